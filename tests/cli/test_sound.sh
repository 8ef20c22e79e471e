#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# dextral play and record: what one plays to a cable, the other records, bit by bit; files are whole however it ends.
# usage: test_sound.sh DEXTRAL MODULES ROOT DEXTRALD DEXTRAL_DRIVER

# shellcheck disable=SC1091,SC2154 # what machine.sh sets
. "$(dirname -- "${BASH_SOURCE[0]}")/machine.sh"

start_supervisor
succeed create cable --name Cable
make_wav in.wav 2 48000 24000
tail -c +45 in.wav >in.raw # no byte of it is 0: see make_wav()

# compare EXPECTED RECORDED TITLE: the recording is silence, all of what was played, and silence
compare() {
    local first
    first=$(LC_ALL=C grep -obUaP -m1 '[^\x00]' "$2" 2>/dev/null | head -n 1 | cut -d: -f1 || true)
    if [ -n "$first" ] && cmp -s <(tail -c +$((first + 1)) "$2" | head -c "$(stat -c %s "$1")") "$1"; then
        return
    fi
    if [ -s stderr.record ] || [ -s stderr.play ] || "$dextral" incidents 2>/dev/null | grep -q .; then
        echo "this machine was too busy to compare $3: $(cat stderr.record stderr.play) $("$dextral" incidents 2>&1)"
    else
        fail "$3: not bit by bit"
    fi
}

# through OUTPUT RECORD_ARGUMENTS -- PLAY_ARGUMENTS: records while something is played; OUTPUT gets standard output
through() {
    local recorded=$1 record=() got=0
    shift
    while [ "$1" != -- ]; do
        record+=("$1")
        shift
    done
    shift
    timeout 60 "$dextral" record "${record[@]}" >"$recorded" 2>stderr.record </dev/null &
    local pid=$!
    wait_for 10 is_recording
    timeout 60 "$dextral" play "$@" >stdout 2>stderr.play || got=$?
    [ "$got" = 0 ] || fail "dextral play $*: exit code $got: $(cat stderr.play)"
    got=0
    wait $pid || got=$?
    [ "$got" = 0 ] || fail "dextral record ${record[*]}: exit code $got: $(cat stderr.record)"
}

# The recorder runs, which its device tells.
is_recording() {
    "$dextral" info "${device:-cable}" | grep -qE 'dextral \(process [0-9]+\), records$'
}

# Bit by bit, through standard input and output and through files.
through out.raw - --format s16 --duration 1.5 -- in.wav
compare in.raw out.raw "s16"
[ "$(stat -c %s out.raw)" = $((4 * 72000)) ] || fail "1.5 s are $(stat -c %s out.raw) bytes"
through out.raw - --format s16 --duration 1.5 -- - --format s16 --rate 48000 <in.raw
compare in.raw out.raw "s16 through standard input"
through nothing rec.wav --format s16 --duration 1.5 -- in.wav --latency 200
tail -c +45 rec.wav >out.raw
compare in.raw out.raw "s16 into a file"
[ "$(stat -c %s rec.wav)" = $((44 + 4 * 72000)) ] || fail "a file of 1.5 s has $(stat -c %s rec.wav) bytes"
through nothing rec.flac --format s24 --duration 1.5 -- in.wav
make_bundle Good.dext GoodDriver
succeed process --offline -q --driver Good.dext --output-format s16 rec.flac back.wav
tail -c +45 back.wav >out.raw
compare in.raw out.raw "s24 in a FLAC file"

# A device that one program has for itself, in its own format.
succeed create cable --name Exact --format s32 --mixable no
device=exact
through out.raw - --device exact --format s16 --duration 1.5 -- in.wav --device exact
compare in.raw out.raw "a non-mixable device"
device=cable

# Other rates and channel counts: as long as they are, whatever the device has.
make_wav mono.wav 1 44100 22050
through nothing rec.wav --channels 1 --rate 44100 --format s16 --duration 1 -- mono.wav
frames=$((($(stat -c %s rec.wav) - 44) / 2))
said=$("$dextral" process --offline --driver Good.dext mono.wav x.wav 2>&1 || true)
if [[ $said != *-Dsamplerate=enabled* ]]; then
    [ "$frames" = 44100 ] || fail "1 s at 44100 Hz: $frames frames"
fi
show 48000 get cable rate

# Both at once, several times, are one mix: no error.
through out.raw - --duration 1 -- in.wav
"$dextral" play -q in.wav &
first=$!
succeed play -q in.wav
wait $first || fail "the first of two players failed"

# The end of a recording that was asked for is a whole file.
for signal in TERM HUP; do
    rm -f rec.wav
    # Under nohup SIGHUP is ignored, and a program that was started so leaves it alone.
    env --default-signal=$signal "$dextral" record rec.wav --format s16 2>stderr </dev/null &
    pid=$!
    wait_for 10 is_recording
    sleep 0.3
    [ ! -e rec.wav ] || fail "a recording has its name before it is whole"
    kill -s $signal $pid
    got=0
    wait $pid || got=$?
    [ "$got" = 0 ] || fail "SIG$signal: record ended with $got: $(cat stderr)"
    grep -qE 'rec\.wav: [0-9.]+ s recorded' stderr || fail "SIG$signal: $(cat stderr)"
    bytes=$(stat -c %s rec.wav)
    [ "$bytes" -gt 19244 ] || fail "SIG$signal: a recording of $bytes bytes"
    cmp -s <(head -c 44 rec.wav | tail -c 4) <(little 4 $((bytes - 44))) || fail "SIG$signal: the header is not right"
done
if command -v python3 >/dev/null 2>&1; then
    # Bash starts background jobs with SIGINT ignored; a terminal does not.
    rm -f rec.wav
    python3 - "$dextral" record rec.wav <<'PYTHON' || fail "SIGINT: record ended with an error"
import signal, subprocess, sys, time
child = subprocess.Popen(sys.argv[1:], stderr=subprocess.PIPE,
                         preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
caught = 0
while child.poll() is None and not caught & 1 << signal.SIGINT - 1:
    time.sleep(0.01)
    with open(f"/proc/{child.pid}/status") as status:
        caught = int(next(line for line in status if line.startswith("SigCgt:")).split()[1], 16)
time.sleep(0.5)
child.send_signal(signal.SIGINT)
_, said = child.communicate(timeout=20)
sys.exit(0 if child.returncode == 0 else f"{child.returncode}: {said.decode()}")
PYTHON
    [ -e rec.wav ] || fail "SIGINT left no recording"
fi
make_wav long.wav 2 48000 480000
"$dextral" play long.wav 2>stderr </dev/null &
pid=$!
sleep 0.5
kill -s TERM $pid
got=0
wait $pid || got=$?
[ "$got" = 143 ] || fail "SIGTERM: play ended with $got: $(cat stderr)"

# The supervisor may go while sound runs.
timeout 60 "$dextral" record - --format s16 --duration 2 >out.raw 2>stderr.record </dev/null &
pid=$!
wait_for 10 is_recording
kill -s KILL "$supervisor"
wait "$supervisor" 2>/dev/null || true
supervisor=
got=0
wait $pid || got=$?
[ "$got" = 0 ] || fail "without a supervisor the recording ended with $got: $(cat stderr.record)"
[ "$(stat -c %s out.raw)" = $((4 * 96000)) ] || fail "without a supervisor the recording is $(stat -c %s out.raw) bytes"
start_supervisor

# What is wrong is said, and nothing is left.
refuse 2 "which file" play
refuse 2 "one file at a time; what is 'b.wav'" play a.wav b.wav
refuse 2 "the name of the file is empty" play ''
refuse 3 "missing.wav: No such file" play missing.wav
printf 'no audio at all' >text.wav
refuse 3 "no audio file" play text.wav
refuse 2 "there is no device 'nowhere'" play in.wav --device nowhere
refuse 2 "a file says it itself" play in.wav --rate 48000
for value in 0 x 10001; do
    refuse 2 "--latency $value: expected milliseconds" play in.wav --latency $value
done
refuse 2 "expected s16, s24, s32, f32 or f64" play - --format u8
refuse 2 "expected 1 to 1024" play - --channels 0
refuse 2 "which file" record
refuse 2 "End its name in .wav" record rec
refuse 2 "expected seconds" record rec.wav --duration 0
refuse 2 "4 GiB" record long.wav --duration 1000000
refuse 5 "folder" record no/such/folder/rec.wav --duration 1
refuse 2 "holds no 2 channels of f32" record rec.flac --format f32 --duration 1
got=0
"$dextral" record - --duration 0.5 >/dev/full 2>stderr || got=$?
[ "$got" = 5 ] || fail "a full standard output: $got: $(cat stderr)"
check_nothing_left "record"
cp in.wav keep.wav
refuse 2 "expected s16" record keep.wav --format s17
cmp in.wav keep.wav || fail "a recording that failed replaced a file"

# There is no default where there is no device.
succeed remove cable exact
refuse 2 "there is no default device" play in.wav
refuse 2 "there is no default device" record rec.wav --duration 1

stop_supervisor
wait_for 20 is_none_left
finish
