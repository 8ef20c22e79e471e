# SPDX-License-Identifier: MIT
# Sourced by the tests with other people's programs: a supervisor and cables of their own, the plug-ins of the build and
# no others, and each program's way to play and to record a file.
# usage of each: TEST DEXTRAL MODULES ROOT DEXTRALD DEXTRAL_DRIVER ALSA_CONF WAVE PROBE PORTAUDIO|- NAME
# shellcheck shell=bash disable=SC2154 # machine.sh sets it

alsa_conf=$(realpath -- "$6")
wave=$(realpath -- "$7")
# shellcheck disable=SC2034 # the caller's
probe=$(realpath -- "$8")
portaudio=
[ "$9" = - ] || portaudio=$(realpath -- "$9")
# shellcheck disable=SC2034
name=${10}
# shellcheck disable=SC1091,SC2154 # what machine.sh sets, here and below
. "$(dirname -- "${BASH_SOURCE[0]}")/../cli/machine.sh"
# PortAudio lists what the configuration has a name for.
export ALSA_CONFIG_PATH=$work/alsa.conf
echo "<$alsa_conf>" >"$ALSA_CONFIG_PATH"
unset DISPLAY WAYLAND_DISPLAY DBUS_SESSION_BUS_ADDRESS
export XDG_RUNTIME_DIR=$machine/xdg
mkdir -m 700 "$XDG_RUNTIME_DIR"

# The test's process, so that Meson shows what is not there.
skip() {
    echo "SKIPPED: $*"
    exit 77
}

# has PROGRAM...: whether all are there; says so where one is not
has() {
    local program
    for program in "$@"; do
        case $program in
        portaudio) [ -n "$portaudio" ] ;;
        gst-launch-1.0) command -v "$program" >/dev/null && gst-inspect-1.0 wavparse >/dev/null 2>&1 ;;
        *) command -v "$program" >/dev/null ;;
        esac || {
            echo "NOT INSTALLED: $program"
            return 1
        }
    done
}

need() {
    has "$@" || skip "$* is not installed"
}

# A cable whose cycles may be as late as a busy machine makes them.
# make_cable UID [OPTION]...
make_cable() {
    local uid=$1
    shift
    succeed create cable --name "$uid" --uid "$uid" --ring 65536 "$@"
    printf 'pcm."%s" { type dextral uid "%s" }\n' "$uid" "$uid" >>"$work/alsa.conf"
}

# of a format s16, s24, f32 or s32: as each program calls it
alsa_format() { case $1 in s16) echo S16_LE ;; s24) echo S24_3LE ;; s32) echo S32_LE ;; f32) echo FLOAT_LE ;; esac }
ffmpeg_format() { echo "pcm_$1le"; }
gst_format() { case $1 in f32) echo F32LE ;; *) echo "S${1#s}LE" ;; esac }

# play PROGRAM FORMAT FILE DEVICE: to its end; ways of one program have names of their own
play() {
    local program=$1 format=$2 file=$3 device=$4
    case $program in
    aplay) aplay -q -D "$device" "$file" ;;
    aplay-mmap) aplay -q -D "$device" -M "$file" ;;
    aplay-nonblock) aplay -q -D "$device" -N "$file" ;;
    aplay-odd) aplay -q -D "$device" -M -N --period-size=1111 --buffer-size=12221 "$file" ;;
    ffmpeg) ffmpeg -nostdin -v error -i "$file" -c:a "$(ffmpeg_format "$format")" -f alsa "$device" ;;
    sox) sox -q -D --buffer 65536 "$file" -t alsa "$device" 2>/dev/null ;; # it says that it chose another format
    gst)
        # wavparse's times are exact: with rawaudioparse's the sink drops a frame, and without any it does not drain.
        gst-launch-1.0 -q filesrc location="$file" ! wavparse ! \
            alsasink device="$device" buffer-time=500000
        ;;
    mpv)
        mpv --no-config --really-quiet --no-video --ao=alsa --audio-device="alsa/$device" --audio-buffer=0.5 "$file"
        ;;
    portaudio) "$wave" raw "$file" | "$portaudio" play "${device#dextral:}" "$format" 2 48000 2>/dev/null ;;
    esac
}

# The same, with what the program says kept and its failure a failure of the test.
try_play() {
    local code=0
    play "$1" "$2" "$3" "$4" >"play.$1" 2>&1 </dev/null || code=$?
    [ "$code" = 0 ] || fail "$1 plays $2: exit code $code: $(cat "play.$1")"
}

# record PROGRAM FORMAT FILE DEVICE: until it is interrupted; leaves its process in $!
record() {
    local program=$1 format=$2 file=$3 device=$4 encoding=signed
    [ "$format" != f32 ] || encoding=floating-point
    case $program in
    arecord) arecord -q -D "$device" -f "$(alsa_format "$format")" -r 48000 -c 2 "$file" & ;;
    arecord-mmap) arecord -q -D "$device" -M -N -f "$(alsa_format "$format")" -r 48000 -c 2 "$file" & ;;
    ffmpeg)
        ffmpeg -nostdin -y -v error -f alsa -c:a "$(ffmpeg_format "$format")" -ar 48000 -ac 2 -i "$device" \
            -c:a "$(ffmpeg_format "$format")" -f wav "$file" &
        ;;
    sox) sox -q -D --buffer 65536 -t alsa -r 48000 -c 2 -b "${format#?}" -e $encoding "$device" -t wav "$file" & ;;
    gst)
        gst-launch-1.0 -q -e alsasrc device="$device" buffer-time=500000 ! \
            "audio/x-raw,format=$(gst_format "$format"),rate=48000,channels=2" ! filesink location="$file.raw" &
        ;;
    mpv) # s16 only; a shell's child in the background ignores the signal that ends it
        env --default-signal=INT mpv --no-config --really-quiet --no-video --of=wav --oac=pcm_s16le --o="$file" \
            --demuxer-lavf-o=sample_rate=48000,channels=2 "av://alsa:$device" &
        ;;
    portaudio) "$portaudio" record "${device#dextral:}" "$format" 2 48000 >"$file.raw" & ;;
    esac
}

# How many programs record from a device.
count_recorders() {
    "$dextral" info "$1" | grep -cE ', records(,|$)' || true
}
has_recorders() {
    [ "$(count_recorders "$1")" -ge "$2" ]
}

# compare TITLE FILE RECORDING: the recording is silence, all of the file, and silence
compare() {
    local title=$1 file=$2 recording=$3 said
    [ ! -f "$recording.raw" ] || { head -c 44 "$file" && cat "$recording.raw"; } >"$recording" 2>/dev/null
    [ ! -f "$recording.raw" ] || printf '\0\0\0\0' | dd of="$recording" bs=1 seek=40 conv=notrunc status=none
    if said=$("$wave" compare "$file" "$recording" 2>&1); then
        echo "$title: $said"
    else
        fail "$title: $said"
        "$dextral" incidents || true
    fi
}

# shows PATTERN COMMAND...: whether it is in what the command prints
shows() {
    local pattern=$1
    shift
    grep -qE -- "$pattern" <<<"$("$@" 2>&1)"
}

# end PID...: and wait
end() {
    kill "$@" 2>/dev/null || true
    wait "$@" 2>/dev/null || true
}

# interrupt PID...: and wait; for recorders, which end their files then, though a shell's children ignore it at first
interrupt() {
    kill -s INT "$@" 2>/dev/null || true
    wait "$@" 2>/dev/null || true
}
