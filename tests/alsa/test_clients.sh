#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Unmodified programs play to cables of the machine and record from them.
# usage: test_clients.sh DEXTRAL MODULES ROOT DEXTRALD DEXTRAL_DRIVER ALSA_CONF WAVE PROBE PORTAUDIO|- NAME

# shellcheck disable=SC1091,SC2154 # what clients.sh sets
. "$(dirname -- "${BASH_SOURCE[0]}")/clients.sh"

# Who of these is there.
installed() {
    local program
    for program in "$@"; do
        case $program in
        aplay* | arecord*) has "${program%%-*}" ;;
        gst) has gst-launch-1.0 ;;
        *) has "$program" ;;
        esac >/dev/null && echo "$program" || echo "NOT INSTALLED: $program" >&2
    done
}

# record_all UID FORMAT FILES RECORDER...: all at once; their processes are in $recording
recording=()
record_all() {
    local uid=$1 format=$2 files=$3 program
    shift 3
    recording=()
    rm -f "$files".*
    for program in "$@"; do
        record "$program" "$format" "$files.$program" "dextral:$uid" 2>>record.log
        recording+=($!)
    done
    wait_for 20 has_recorders "$uid" $#
}

players=(aplay aplay-mmap aplay-nonblock aplay-odd ffmpeg sox gst mpv portaudio)
recorders=(arecord arecord-mmap ffmpeg gst portaudio sox)

# The file of every player arrives at every recorder, to the last bit.
pass() { # FORMAT FRAMES
    local format=$1 player recorder
    mapfile -t players < <(installed "${players[@]}")
    mapfile -t recorders < <(installed "${recorders[@]}")
    if [ "${#players[@]}" = 0 ] || [ "${#recorders[@]}" = 0 ]; then
        skip "nobody plays or records"
    fi
    make_cable cable
    "$wave" make in.wav "$format" 48000 2 "$2"
    for player in "${players[@]}"; do
        record_all cable "$format" out "${recorders[@]}"
        try_play "$player" "$format" in.wav dextral:cable
        sleep 0.7 # longer than any of the recorders' periods
        interrupt "${recording[@]}"
        for recorder in "${recorders[@]}"; do
            compare "$format, $player to $recorder" in.wav "out.$recorder"
        done
    done
}

test_s16() {
    recorders+=(mpv)
    pass s16 60000
}
test_s24() { pass s24 60000; }
test_f32() {
    recorders=("${recorders[@]:0:5}") # sox records whole numbers only
    pass f32 60000
}

# What ./dev test has the time for.
test_quick() {
    players=(aplay)
    recorders=(arecord)
    pass s16 30000
    make_cable other
    "$wave" make f32.wav f32 48000 2 30000
    record_all other f32 again arecord-mmap
    try_play aplay-odd f32 f32.wav dextral:other
    sleep 0.5
    interrupt "${recording[@]}"
    compare "f32, mmap and non-blocking" f32.wav again.arecord-mmap
}

# Each pair on a cable of its own, all at the same time.
test_at_once() {
    local list=(aplay:ffmpeg ffmpeg:arecord sox:gst gst:portaudio mpv:arecord-mmap portaudio:sox aplay-odd:arecord)
    local pair pids=() playing=() pairs=()
    "$wave" make in.wav s16 48000 2 200000
    for pair in "${list[@]}"; do
        [ "$(installed "${pair%:*}" "${pair#*:}" 2>/dev/null | wc -l)" = 2 ] || {
            echo "NOT INSTALLED: one of $pair"
            continue
        }
        pairs+=("$pair")
        make_cable "${pair%:*}"
        record "${pair#*:}" s16 "out.${pair%:*}" "dextral:${pair%:*}" 2>>record.log
        pids+=($!)
    done
    for pair in "${pairs[@]}"; do
        wait_for 20 has_recorders "${pair%:*}" 1
    done
    for pair in "${pairs[@]}"; do
        (
            failures=0
            try_play "${pair%:*}" s16 in.wav "dextral:${pair%:*}"
            [ "$failures" = 0 ]
        ) &
        playing+=($!)
    done
    local i
    for i in "${!playing[@]}"; do
        wait "${playing[i]}" || fail "${pairs[i]} has failed"
    done
    sleep 1
    interrupt "${pids[@]}"
    for pair in "${pairs[@]}"; do
        compare "at once, ${pair%:*} to ${pair#*:}" in.wav "out.${pair%:*}"
    done
}

# One program at a time, and every bit as it wrote it.
test_s32() {
    need aplay
    make_cable cable --mixable no --format s32
    "$wave" make in.wav s32 48000 2 60000
    record_all cable s32 out arecord
    "$probe" hold dextral:cable >holding &
    local holder=$!
    wait_for 10 grep -q holding holding
    if aplay -q -D dextral:cable in.wav 2>stderr; then
        fail "two programs play to a device that is for one"
    fi
    grep -q "another one has it" stderr || fail "the second program was told: $(cat stderr)"
    end $holder
    wait_for 10 try_play aplay s32 in.wav dextral:cable
    sleep 0.5
    interrupt "${recording[@]}"
    compare "s32, aplay to arecord" in.wav out.arecord
}

# Other rates, channels and formats go through plug.
test_plug() {
    need aplay sox
    make_cable cable
    sox -q -n -r 22050 -c 1 -b 16 odd.wav synth 0.5 sine 440 vol 0.5
    local pcm
    for pcm in default plug:dextral "plug:'dextral:cable'"; do
        record_all cable f32 out arecord
        aplay -q -D "$pcm" odd.wav >stdout 2>&1 || fail "aplay -D $pcm: $(cat stdout)"
        sleep 0.5
        interrupt "${recording[@]}"
        sox out.arecord -n stat 2>stats
        # A sine of 0.5 has an RMS of 0.354; it fills a part of the recording.
        awk '/Maximum amplitude/ { if ($3 < 0.45 || $3 > 0.55) exit 1 }' stats || fail "aplay -D $pcm: $(cat stats)"
    done
    # The library's own test of what avail and delay say.
    aplay -q -D "plug:'dextral:cable'" --test-position odd.wav >stdout 2>&1 || fail "--test-position: $(cat stdout)"
    [ ! -s stdout ] || fail "--test-position says: $(cat stdout)"
}

# What programs that list devices see.
test_names() {
    need aplay
    aplay -L >list 2>&1
    grep -qx dextral list || fail "aplay -L does not have it: $(cat list)"
    grep -q "Dextral's default device" list || fail "aplay -L does not describe it: $(cat list)"
    make_cable "odd, name"
    aplay -D "dextral:'odd, name'" --dump-hw-params /dev/zero -d 1 -f S16_LE -r 48000 -c 2 >stdout 2>&1 ||
        fail "a name with a comma: $(cat stdout)"
    grep -q "RATE: 48000" stdout || fail "parameters: $(cat stdout)"
    make_cable six --channels 6
    make_cable one --channels 1
    shows '^FL FR$' "$probe" map "dextral:'odd, name'" || fail "the map of two channels: $("$probe" map "dextral:'odd, name'" 2>&1)"
    shows '^MONO$' "$probe" map dextral:one || fail "the map of one channel: $("$probe" map dextral:one 2>&1)"
    shows '^none$' "$probe" map dextral:six || fail "the map of six channels: $("$probe" map dextral:six 2>&1)"
    if aplay -q -D dextral:nobody /dev/zero >stdout 2>&1; then
        fail "a device that is not there plays"
    fi
    grep -q "there is no device 'nobody'" stdout || fail "it does not say what is wrong: $(cat stdout)"
    stop_supervisor
    if aplay -q -D dextral /dev/zero >stdout 2>&1; then
        fail "it plays without a supervisor"
    fi
    grep -q "Host is down" stdout || fail "without a supervisor it says: $(cat stdout)"
}

# alsabat plays a sine and looks for it in what it records.
test_alsabat() {
    need alsabat
    make_cable cable
    local format
    for format in S16_LE S24_3LE; do
        # In another locale it takes what setlocale() left in errno for an error of its own.
        LC_ALL=C timeout 60 alsabat -D dextral:cable -r 48000 -c 2 -f $format -F 997 -n 96000 >stdout 2>&1 || {
            fail "alsabat $format: $(tail -n 5 stdout)"
            continue
        }
        grep -q 'PASS: Peak detected' stdout || fail "alsabat $format found no peak: $(cat stdout)"
    done
}

# A device with controls; changes by others are told.
test_mixer() {
    need amixer
    "$dextral" approve org.dextral.driver.simple >/dev/null
    local device=dextral:org.dextral.simple
    wait_for 10 amixer -D $device sget Capture
    amixer -q -D $device sset Capture 50%
    wait_for 10 shows '-48dB' "$dextral" get org.dextral.simple vlme/inpt/0
    shows '\[50%\] \[-48.00dB\]' amixer -D $device sget Capture || fail "$(amixer -D $device sget Capture)"
    amixer -q -D $device sset Capture 12dB-
    wait_for 10 shows '-60dB' "$dextral" get org.dextral.simple vlme/inpt/0
    shows 'dBscale-min=-96.00dB,step=0.01dB,mute=0' amixer -D $device cget numid=2 || fail "no scale of decibels"
    shows '^MONO$' "$probe" map $device || fail "the map of what its driver calls mono: $("$probe" map $device 2>&1)"
    stdbuf -oL amixer -D $device events >heard 2>&1 &
    local listener=$!
    wait_for 10 grep -q Ready heard
    succeed set org.dextral.simple vlme/inpt/0 -20dB
    wait_for 10 grep -q "event value: numid=2,iface=MIXER,name='Capture Volume'" heard
    amixer -q -D $device sset Source 'Loopback'
    wait_for 10 grep -q "event value: numid=1,iface=MIXER,name='Source Capture Enum'" heard
    end $listener
    wait_for 10 shows 'Loopback' "$dextral" get org.dextral.simple dsrc/inpt/0
}

# What a library that is loaded into other people's programs must not do.
test_guest() {
    make_cable cable
    local what
    for what in fork unload threads; do
        timeout 60 "$probe" $what dextral:cable >stdout 2>&1 || fail "$what: $(cat stdout)"
    done
    "$probe" until-gone dextral:cable >stdout 2>&1 &
    local player=$!
    wait_for 10 grep -q playing stdout
    succeed remove cable
    wait $player || fail "a device that goes: $(cat stdout)"
}

# A program goes on, and its recorder hears all that is played after another driver came.
test_crash() {
    need aplay
    make_cable cable
    "$wave" make in.wav s16 48000 2 60000
    record_all cable s16 out arecord
    aplay -q -D dextral:cable -t raw -f S16_LE -r 48000 -c 2 -d 5 /dev/zero &
    local player=$!
    kill -s KILL "$("$dextral" info cable | sed -n 's/^ *driver .*process \([0-9]*\).*/\1/p')"
    sleep 1
    try_play aplay s16 in.wav dextral:cable
    wait $player || fail "the program that played while the driver was killed has failed"
    sleep 0.5
    interrupt "${recording[@]}"
    compare "after a crash" in.wav out.arecord
}

# whole FILE PID...: the recording is one tone; the programs have not failed
whole() {
    local file=$1 pid said
    shift
    for pid in "$@"; do
        wait "$pid" || fail "a program has failed: $(cat change.log)"
    done
    if ! said=$("$wave" whole "$file" 1000); then
        fail "$said"
    fi
    echo "$said"
    # As long as the driver takes, and 200 ms.
    awk '{ if ($6 > 400) exit 1 }' <<<"$said" || fail "silent for too long: $said"
}

# The device's rate and channels change while aplay and arecord run: they go on at theirs.
test_change() {
    need aplay arecord
    make_cable cable --rates 44100,96000,48000
    "$wave" tone in.wav s16 44100 2 220500 1000
    arecord -q -D dextral:cable -f S16_LE -r 44100 -c 2 -d 5 out.wav 2>change.log &
    local recorder=$!
    wait_for 10 has_recorders cable 1
    aplay -q -D dextral:cable -d 4 in.wav 2>>change.log &
    local player=$! rate
    for rate in 96000 44100 96000; do
        sleep 0.7
        succeed set cable rate $rate
    done
    sleep 0.7
    succeed set cable channels 4
    succeed restart cable
    whole out.wav $player $recorder
    shows '96000 Hz' "$dextral" info cable || fail "the rate is another one: $("$dextral" info cable)"
}

# The supervisor is killed while sound runs, and comes back: every frame arrives.
test_supervisor() {
    need aplay arecord
    make_cable cable
    "$wave" make in.wav s16 48000 2 200000
    record_all cable s16 out arecord
    try_play aplay s16 in.wav dextral:cable &
    local player=$!
    sleep 1
    kill -s KILL "$supervisor"
    wait "$supervisor" 2>/dev/null || true
    sleep 1
    start_supervisor
    wait $player
    sleep 0.5
    interrupt "${recording[@]}"
    compare "without a supervisor for a second" in.wav out.arecord
    record_all cable s16 again arecord
    try_play aplay s16 in.wav dextral:cable
    sleep 0.5
    interrupt "${recording[@]}"
    compare "with the next supervisor" in.wav again.arecord
}

# jackd on the device's clock: the round trip is what the sizes say, to the frame.
test_jack() {
    need jackd jack_iodelay jack_connect
    make_cable cable
    export JACK_NO_AUDIO_RESERVATION=1 JACK_NO_START_SERVER=1 JACK_DEFAULT_SERVER=dextral-$$
    local sizes period periods expected server meter got
    for sizes in "64 3" "256 2"; do
        read -r period periods <<<"$sizes"
        jackd -R -P 70 -n "$JACK_DEFAULT_SERVER" -d alsa -P dextral:cable -C dextral:cable -r 48000 -p "$period" \
            -n "$periods" >jackd.log 2>&1 &
        server=$!
        wait_for 10 jack_lsp
        stdbuf -oL jack_iodelay >meter.log 2>&1 &
        meter=$!
        wait_for 10 jack_connect jack_delay:out system:playback_1
        wait_for 10 jack_connect system:capture_1 jack_delay:in
        wait_for 20 grep -q total meter.log
        sleep 2
        # Its own buffers, one period that jackd computes in, and twice the IO size, which is half a period.
        expected=$((periods * period + period + period))
        got=$(sed -n 's/^ *\([0-9.]*\) frames.*total.*/\1/p' meter.log | tail -n 1)
        echo "jackd $period x $periods: $got frames, expected $expected; $(grep -c XRun jackd.log || true) xruns"
        awk -v a="${got:-0}" -v b=$expected 'BEGIN { exit !(a > b - 1 && a < b + 1) }' ||
            fail "jackd $period x $periods: $got frames, expected $expected: $(tail -n 3 meter.log)"
        end $meter
        end $server
    done
}

# PipeWire with the device as a sink that drives its graph, and as a source.
test_pipewire() {
    need pipewire pw-play pw-record pw-link sox
    make_cable cable
    export PIPEWIRE_RUNTIME_DIR=$XDG_RUNTIME_DIR
    local common='object.linger = true api.alsa.path = "dextral:cable" audio.format = F32LE audio.rate = 48000
        audio.channels = 2 api.alsa.period-size = 256 adapter.auto-port-config = { mode = dsp position = preserve }'
    cat >pw.conf <<CONF
context.properties = { core.daemon = true core.name = pipewire-0 support.dbus = false log.level = 2
    default.clock.rate = 48000 default.clock.quantum = 256 default.clock.min-quantum = 64 default.clock.max-quantum = 1024 }
context.spa-libs = { audio.convert.* = audioconvert/libspa-audioconvert api.alsa.* = alsa/libspa-alsa
    support.* = support/libspa-support }
context.modules = [
    { name = libpipewire-module-rt flags = [ ifexists nofail ] }
    { name = libpipewire-module-protocol-native }
    { name = libpipewire-module-metadata }
    { name = libpipewire-module-spa-node-factory }
    { name = libpipewire-module-client-node }
    { name = libpipewire-module-access }
    { name = libpipewire-module-adapter }
    { name = libpipewire-module-link-factory }
    { name = libpipewire-module-session-manager }
]
context.objects = [
    { factory = metadata args = { metadata.name = default } }
    { factory = adapter args = { factory.name = api.alsa.pcm.sink node.name = sink media.class = Audio/Sink $common } }
    { factory = adapter args = { factory.name = api.alsa.pcm.source node.name = source media.class = Audio/Source $common } }
]
CONF
    pipewire -c "$PWD/pw.conf" >pw.log 2>&1 &
    local server=$! recorder player channel
    wait_for 10 shows 'source:capture_FR' pw-link -o
    sox -q -n -r 48000 -c 2 -e floating-point -b 32 in.wav synth 1.5 sine 440 vol 0.5
    local ports='{ adapter.auto-port-config = { mode = dsp } }'
    timeout 30 pw-record -P "$ports" --target 0 --format f32 --rate 48000 out.wav 2>/dev/null &
    recorder=$!
    timeout 30 pw-play -P "$ports" --target 0 in.wav 2>/dev/null &
    player=$!
    for channel in FL FR; do
        wait_for 10 pw-link "pw-play:output_$channel" "sink:playback_$channel"
        wait_for 10 pw-link "source:capture_$channel" "pw-record:input_$channel"
    done
    wait $player || fail "pw-play has failed: $(cat pw.log)"
    sleep 0.3
    interrupt $recorder
    end $server
    sox --ignore-length out.wav -n stat 2>stats
    awk '/Maximum amplitude/ { if ($3 < 0.49 || $3 > 0.51) exit 1 }' stats || fail "PipeWire: $(cat stats; cat pw.log)"
}

if [ "$name" = mixer ]; then
    start_supervisor --driver "$(dirname -- "$alsa_conf")/../../examples/Simple.dext"
else
    start_supervisor
fi
"test_$name"
finish
