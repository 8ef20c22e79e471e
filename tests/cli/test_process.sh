#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What dextral process gives: samples, lengths, summaries, signals.
# usage: test_process.sh DEXTRAL MODULES ROOT

# shellcheck disable=SC1091,SC2154 # what common.sh sets
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

make_bundle Good.dext GoodDriver
make_wav in.wav 2 48000 24000
p=(process --driver Good.dext)

# Offline: bit by bit, the same each time, and an option may stand anywhere.
succeed "${p[@]}" --offline in.wav out.wav
cmp in.wav out.wav || fail "offline: not bit by bit"
for line in 'driver    org.dextral.test 1.0' 'device    org.dextral.test: 48000 Hz, 2 in, 2 out, 512 frames a cycle, offline' \
    'out       out.wav: 24000 frames, 48000 Hz, 2 channels, s16' 'overloads 0'; do
    grep -qxF "$line" stdout || fail "the summary lacks: $line"
done
grep -qE '^lateness  p50 [0-9.]+ us, p99 [0-9.]+ us, p99.9 [0-9.]+ us, max [0-9.]+ us$' stdout || fail "no lateness"
grep -qE '^cycles    [0-9]+, 0 of them late$' stdout || fail "no cycles"
grep -qE '^ +peak -?[0-9.]+ dBFS, RMS -[0-9.]+ dBFS$' stdout || fail "no levels"
cp stdout first
succeed process in.wav --offline out.wav --driver=Good.dext
cmp first stdout || fail "two equal runs differ"
succeed "${p[@]}" --offline --seed 7 -q in.wav -- out.wav
if [ -s stdout ] || [ -s stderr ]; then
    fail "-q is not quiet"
fi

# Containers and channel counts: a mono file comes back as it was through a stereo device.
make_wav mono.wav 1 48000 5000
succeed "${p[@]}" --offline -q mono.wav out.wav
cmp mono.wav out.wav || fail "mono: not bit by bit"
for suffix in flac aiff caf w64 rf64; do
    succeed "${p[@]}" --offline -q in.wav "a.$suffix"
    succeed "${p[@]}" --offline -q "a.$suffix" out.wav
    cmp in.wav out.wav || fail "$suffix and back: not bit by bit"
done
make_wav six.wav 6 48000 1000
succeed "${p[@]}" --offline six.wav out.wav
grep -qF "of the file's 6 the others are not played" stderr || fail "dropped channels are not mentioned"

# Lengths: as the file, whatever its rate, plus the tail.
frames() { sed -n 's/^out .*: \([0-9]*\) frames.*/\1/p' stdout; }
for rate in 8000 44100 96000 192000; do
    make_wav rate.wav 1 $rate 3001
    if "$dextral" "${p[@]}" --offline rate.wav out.wav >stdout 2>stderr; then
        [ "$(frames)" = 3001 ] || fail "$rate Hz: $(frames) frames"
    else
        # built without libsamplerate
        grep -qF -- "-Dsamplerate=enabled" stderr || fail "$rate Hz: $(cat stderr)"
    fi
done
succeed "${p[@]}" --offline --tail 0.25 in.wav out.wav
[ "$(frames)" = 36000 ] || fail "--tail: $(frames) frames"

# Sizes of a cycle.
for size in 16 100 1024 4096; do
    succeed "${p[@]}" --offline --io-frames $size in.wav out.wav
    cmp in.wav out.wav || fail "--io-frames $size: not bit by bit"
    grep -qF "$size frames a cycle" stdout || fail "--io-frames $size is not in force"
done

# DSP plug-ins: in the order given, with their parameters, and their delay at the end of the file.
dsp=$modules/test_linear.so
head -c 44 in.wav >silence.wav
head -c 96000 /dev/zero >>silence.wav
succeed "${p[@]}" --offline --dsp "$dsp:scale=0.5" --dsp "$dsp:offset=0.25" silence.wav out.wav
grep -qF "peak -12.04 dBFS, RMS -12.04 dBFS" stdout || fail "0 * 0.5 + 0.25: $(cat stdout)"
succeed "${p[@]}" --offline --dsp "$dsp:offset=0.25" --dsp "$dsp:scale=0.5" silence.wav out.wav
grep -qF "peak -18.06 dBFS, RMS -18.06 dBFS" stdout || fail "(0 + 0.25) * 0.5: $(cat stdout)"
grep -qxF "dsp       Linear, Linear; 0 frames of delay" stdout || fail "the chain is not in the summary"
succeed "${p[@]}" --offline --dsp "$dsp:scale=4" --output-format s16 in.wav out.wav
grep -qE "[1-9][0-9]* samples clipped" stdout || fail "clipped samples are not counted"
succeed "${p[@]}" --offline --dsp "$dsp:delay=100" --dsp "$dsp:delay=77" in.wav out.wav
[ "$(frames)" = 24177 ] || fail "177 frames of delay: $(frames) frames"
cmp <(tail -c +45 in.wav) <(tail -c +$((45 + 4 * 177)) out.wav) || fail "177 frames of delay: not bit by bit"

# A device that only records: its own sound, as long as the file.
make_bundle Source.dext NoOutputDriver
succeed process --offline --driver Source.dext in.wav out.wav
grep -qF "plays nothing" stderr || fail "a device without output is not mentioned"
grep -qF "peak -12.04 dBFS, RMS -12.04 dBFS" stdout || fail "the device's own sound is not there"
make_bundle Two.dext TwoDevicesDriver
succeed process --offline -q --device org.dextral.test --driver Two.dext in.wav out.wav

# Controls: a device that loops back only when told to.  70001 frames are no whole number of its rings.
simple=$modules/../../examples/Simple.dext
if [ -f "$simple/Simple.so" ]; then
    s=(process --offline --driver "$simple")
    for rate in 44100 48000; do
        make_wav simple.wav 1 $rate 70001
        succeed "${s[@]}" -q --set Source=Loopback simple.wav out.wav
        cmp simple.wav out.wav || fail "Simple at $rate Hz: not bit by bit"
        succeed "${s[@]}" -q --set dsrc/inpt/0=1819242352 --set vlme/inpt/0=0dB simple.wav out.wav # 'loop'
        cmp simple.wav out.wav || fail "Simple by keys at $rate Hz: not bit by bit"
    done
    succeed "${s[@]}" -q simple.wav tone.wav
    succeed "${s[@]}" -q --set "Source=Tone 440 Hz" --set Volume=1 simple.wav out.wav
    cmp tone.wav out.wav || fail "Simple's tone is not its default"
    succeed "${s[@]}" --set "Source=Tone 660 Hz" --set Volume=-6.0206dB simple.wav out.wav
    grep -qF "peak -12.04 dBFS" stdout || fail "half a volume is not half of the tone: $(cat stdout)"
    cmp -s tone.wav out.wav && fail "Simple's source was not set"
    succeed "${s[@]}" --set Source=Loopback --set Source="Tone 440 Hz" --set Volume=0 --set Volume=1 -q simple.wav out.wav
    cmp tone.wav out.wav || fail "the last --set does not count"
fi

# JSON.
if "$dextral" "${p[@]}" --offline --json in.wav out.wav >stdout 2>stderr; then
    for key in cycles late_cycles frames lateness_ns p50 p99 p99.9 max overloads causes peak_dbfs rms_dbfs repeatable; do
        grep -qF "\"$key\":" stdout || fail "--json lacks $key"
    done
    if command -v python3 >/dev/null 2>&1; then
        python3 -c 'import json, sys; d = json.load(sys.stdin); assert d["output"]["frames"] == 24000, d' <stdout ||
            fail "--json cannot be read"
    fi
    [ ! -s stderr ] || fail "--json says something else: $(cat stderr)"
else
    grep -qF -- "-Djson=enabled" stderr || fail "--json: $(cat stderr)"
fi

# In real time: the same samples, in the time they take.
before=$(date +%s%N)
succeed "${p[@]}" in.wav out.wav
took=$((($(date +%s%N) - before) / 1000000))
[ "$took" -ge 490 ] || fail "half a second took $took ms"
grep -qF "frames a cycle, real time" stdout || fail "not in real time"
if grep -qE '^(underruns|overruns|moved)' stdout || ! grep -qx 'overloads 0' stdout; then
    echo "this machine was too busy to compare: $(cat stdout)"
else
    cmp in.wav out.wav || fail "real time: not bit by bit"
fi

# A slow handler is named as the cause, and --strict makes a failure of it.
make_bundle Slow.dext SlowDriver
make_wav long.wav 2 48000 96000
got=0
"$dextral" process --driver Slow.dext --strict long.wav out.wav >stdout 2>stderr || got=$?
[ "$got" = 6 ] || fail "--strict: exit code $got"
grep -qE '^overloads [1-9][0-9]* .*causes: .*handler' stdout || fail "the handler is not named: $(cat stdout)"
[ -e out.wav ] || fail "--strict took the file away"

# Calls of the handler that fail are told, and count.
make_bundle Failing.dext FailingDriver
got=0
"$dextral" process --offline --driver Failing.dext --strict long.wav out.wav >stdout 2>stderr || got=$?
[ "$got" = 6 ] || fail "a handler that fails: exit code $got with --strict"
grep -qE '^errors +[1-9][0-9]* calls of the handler' stdout || fail "failing calls are not told: $(cat stdout)"

# Signals: an orderly end, and nothing is left.
wait_until_caught() { # PID NUMBER
    local caught
    while caught=$(sed -n 's/^SigCgt:\t*//p' "/proc/$1/status" 2>/dev/null) && [ -n "$caught" ]; do
        [ $((0x$caught >> ($2 - 1) & 1)) = 0 ] || return 0
        sleep 0.01
    done
}
for signal in TERM HUP; do
    rm -f out.wav
    # Under nohup SIGHUP is ignored, and a program that was started so leaves it alone.
    env --default-signal=$signal "$dextral" "${p[@]}" long.wav out.wav >stdout 2>stderr &
    pid=$!
    wait_until_caught $pid "$(kill -l $signal)"
    sleep 0.3
    kill -s $signal $pid
    got=0
    wait $pid || got=$?
    [ "$got" = $((128 + $(kill -l $signal))) ] || fail "SIG$signal: exit code $got: $(cat stderr)"
    grep -qF "nothing was written" stderr || fail "SIG$signal: $(cat stderr)"
    [ ! -e out.wav ] || fail "SIG$signal left out.wav"
    check_nothing_left "SIG$signal"
done
if command -v python3 >/dev/null 2>&1; then
    # Bash starts background jobs with SIGINT ignored; a terminal does not.
    python3 - "$dextral" "${p[@]}" long.wav out.wav <<'PYTHON' || fail "SIGINT: not 130"
import signal, subprocess, sys, time
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                         preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
caught = 0
while child.poll() is None and not caught & 1 << signal.SIGINT - 1:
    time.sleep(0.01)
    with open(f"/proc/{child.pid}/status") as status:
        caught = int(next(line for line in status if line.startswith("SigCgt:")).split()[1], 16)
time.sleep(0.3)
child.send_signal(signal.SIGINT)
_, said = child.communicate(timeout=20)
sys.exit(0 if child.returncode == 130 and b"nothing was written" in said else said.decode() or 1)
PYTHON
    [ ! -e out.wav ] || fail "SIGINT left out.wav"

    # a bar on a terminal, and only there
    if python3 -c 'import os; os.openpty()' 2>/dev/null; then
        python3 - "$dextral" "${p[@]}" in.wav out.wav >bar <<'PYTHON' || fail "on a terminal: it failed"
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], lambda fd: os.read(fd, 1024))))
PYTHON
        grep -qF '[####' bar || fail "no bar on a terminal"
    else
        echo "no terminal can be made here: the bar is not looked at"
    fi
fi
succeed "${p[@]}" --offline in.wav out.wav
grep -qF '[' stderr && fail "a bar, but no terminal"

finish
