#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# dextral top and incidents: what runs, how it fares, what went wrong; programs' volumes.
# usage: test_watch.sh DEXTRAL MODULES ROOT DEXTRALD DEXTRAL_DRIVER

# shellcheck disable=SC1091,SC2154 # what machine.sh sets
. "$(dirname -- "${BASH_SOURCE[0]}")/machine.sh"

start_supervisor
succeed create cable --name Cable --ppm 40
succeed create null --name Idle

# Nothing runs: no driver is started by looking.
succeed top -b -n 1
head -n 1 stdout | grep -qE '^[0-9:]{8}  devices 2, clients 0$' || fail "top's first line: $(head -n 1 stdout)"
grep -qE '^Cable +idle +- +0 +48000 +512 ' stdout || fail "top lacks a device that is idle: $(cat stdout)"
succeed incidents
grep -qF "nothing went wrong" stderr || fail "incidents of nothing: $(cat stdout stderr)"
check 'd == []' incidents --json
check '[x["state"] for x in d["devices"]] == ["idle", "idle"] and d["time"] > 1.5e9' top --json

# What is given to the command, and cannot be.
refuse 2 "it takes no arguments; what is 'x'" top x
refuse 2 "expected a number from 1 on" top -n 0
refuse 2 "expected seconds, 0.05 to 3600" top -d 0
refuse 2 "expected name, load, late or xruns" top --sort size
refuse 2 "expected an age" incidents --since yesterday
refuse 2 "there is no device 'nowhere'" incidents nowhere

# A player and a recorder of a device.
make_wav long.wav 2 48000 2880000
"$dextral" play -q long.wav --device cable &
player=$!
"$dextral" record -q - --device cable >out.raw &
recorder=$!
has_both() {
    [ "$("$dextral" top -b -n 1 | grep -cE "^  dextral +(plays +$player|records +$recorder) ")" = 2 ]
}
wait_for 10 has_both
shows_cycles() { # the first ones have to be over
    "$dextral" top -b -n 1 |
        grep -E '^Cable +running +[0-9]+ +0 +48000 +[0-9]+ +[0-9.]+% +[0-9]+ +[0-9]+ +[0-9]+ +[-+][0-9.]+ +[0-9]+'
}
wait_for 10 shows_cycles
succeed list
grep -qE '^Cable .* running +48000 +2 +2 +2$' stdout || fail "the list does not count clients: $(cat stdout)"
if $has_json; then
    settled() { # the clock of the cable is 40 ppm fast
        python3 -c 'import json, sys; sys.exit(not abs(json.load(sys.stdin)["devices"][0]["ppm"] - 40) < 5)' < \
            <("$dextral" top --json --sort late)
    }
    wait_for 30 settled
fi
check 'sorted((x["pid"], x["running"], "output" in x, x["underrun-frames"] >= 0) for x in d["devices"][0]["sessions"]) ==
    sorted([('$player', True, True, True), ('$recorder', True, False, True)])' top --json --sort load
check '0 <= d["devices"][0]["load"] < 1 and d["devices"][0]["lateness"]["p50-ns"] <= d["devices"][0]["lateness"]["p99-ns"]
    <= d["devices"][0]["lateness"]["max-ns"] and d["devices"][0]["cycles"] > 0' top --json --sort load
# How far ahead of the cycles the player is; of the recorder there is nothing to say.
is_ahead() {
    "$dextral" top -b -n 1 | grep -qE "^  dextral +plays +$player +- +- +[0-9]+ +- +-[0-9]+ +-[0-9]+ +-?[0-9]+ +- +- "
}
wait_for 10 is_ahead
check '[(x["ahead"]["count"] > 0, 0 <= x["ahead"]["min-ns"] <= x["ahead"]["p01-ns"] <= x["ahead"]["p50-ns"] < 5e9)
    for x in d["devices"][0]["sessions"] if "output" in x] == [(True, True)]' top --json
check 'not any("ahead" in x for x in d["devices"][0]["sessions"] if "output" not in x)' top --json
# A program that stands still is named, with what it did not bring.
kill -s STOP $player
sleep 1.5
kill -s CONT $player
is_told() {
    "$dextral" incidents cable | grep -qE " cable +lane not covered +[1-9][0-9]* +dextral \\[$player\\] "
}
wait_for 10 is_told
check 'any((x["cause"], x.get("client-name"), x.get("client-pid")) == ("lane not covered", "dextral", '$player') and
    x["frames"] > 10000 and "client" not in x for x in d)' incidents cable --json
# One object on a line for each look; tables one below the other.
succeed top --json -n 3 -d 0.05
[ "$(wc -l <stdout)" = 3 ] || fail "three looks are $(wc -l <stdout) lines"
succeed top -b -n 3 -d 0.05
[ "$(grep -c '^NAME ' stdout)" = 3 ] || fail "three looks are $(grep -c '^NAME ' stdout) tables"
! grep -q $'\033' stdout || fail "a pipe gets control sequences"

# A program's volume, in each of its forms.
succeed set cable client dextral volume -6dB
show -6dB get cable client dextral volume
check 'abs(d["value"] - 10 ** (-6 / 20)) < 1e-9' get cable client dextral volume --json
succeed set cable client dextral volume 50%
check 'd["value"] == 0.5' get cable client dextral volume --json
succeed set cable client dextral volume 0.25
show -12.04dB get cable client dextral volume
succeed set cable client dextral mute on
show on get cable client dextral mute
check '{(x["gain"], x["mute"]) for x in d["sessions"] if "output" in x} == {(0.25, True)}' info cable --json
succeed set cable client dextral volume 1
# What is set for a program that is not there is shown, kept, and taken back.
succeed set cable client later volume -6dB
show -6dB get cable client later volume
show off get cable client later mute
succeed info cable
grep -qE '^ +volumes +later \(not playing\), -6dB$' stdout || fail "a volume that was set is not shown: $(cat stdout)"
check '[x["name"] for x in d["volumes"]] == ["dextral", "later"] or
    [x["name"] for x in d["volumes"]] == ["later", "dextral"]' info cable --json
succeed set cable client later volume 100%
refuse 2 "the device has no client later volume" get cable client later volume
refuse 2 "decibels up to 24dB" set cable client dextral volume 30dB
refuse 2 "expected on or off" set cable client dextral mute maybe
refuse 2 "a program has volume and mute; what is 'loudness'?" set cable client dextral loudness 1
refuse 2 "client PROGRAM volume|mute VALUE" set cable client dextral volume

# A driver that is killed is started again; its death is told, with the signal.
driver=$(sed -nE 's/^  driver +.* process ([0-9]+),.*/\1/p' < <("$dextral" info cable))
(timeout 5 "$dextral" incidents --follow >followed 2>&1 || true) &
follower=$!
sleep 0.3
kill -s KILL "$driver"
runs_again() {
    "$dextral" top -b -n 1 | grep -E '^Cable +running +[0-9]+ +1 ' | grep -qvw "$driver"
}
wait_for 10 runs_again
succeed incidents cable
grep -qE ' cable +signal of death .*SIGKILL' stdout || fail "incidents: $(cat stdout)"
check '[x["cause"] for x in d if "SIGKILL" in x.get("text", "")] == ["signal of death"] and
    all(x["uid"] == "cable" and x["time"] > 1.5e9 for x in d)' incidents --json --since 1m
check 'd == []' incidents idle --json
wait $follower
grep -qE ' cable +signal of death .*SIGKILL' followed || fail "--follow did not tell of it: $(cat followed)"
wait_for 10 has_both

# What began earlier and is told later is told by --follow as well: it is told when it is over.
"$dextral" play -q long.wav --device idle &
second=$!
plays_on_idle() { "$dextral" top -b -n 1 | grep -qE "^  dextral +plays +$second "; }
wait_for 10 plays_on_idle
(timeout 6 "$dextral" incidents --follow >followed 2>&1 || true) &
follower=$!
count_missing() { "$dextral" top -b -n 1 | sed -nE "s/^  dextral +plays +$player .* ([0-9]+) frames missing.*/\1/p"; }
before=$(count_missing)
lacks_more() { [ "$(count_missing)" -gt "${before:-0}" ]; }
kill -s STOP $player
wait_for 10 lacks_more
kill -s KILL "$(sed -nE 's/^  driver +.* process ([0-9]+),.*/\1/p' < <("$dextral" info idle))"
sleep 0.6 # less than a second: it is one incident, told when it is over
kill -s CONT $player
wait $follower
grep -qE ' idle +signal of death ' followed || fail "--follow did not tell of a death: $(cat followed)"
grep -qE " cable +lane not covered .* dextral \\[$player\\] " followed ||
    fail "--follow left out what began earlier: $(cat followed)"
[ "$(sort followed | uniq -d | grep -c .)" = 0 ] || fail "--follow told something twice: $(cat followed)"
kill -s TERM $second
wait $second || true
wait_for 10 has_both

# Restarted by hand: another process, and clients stay.
driver=$(sed -nE 's/^  driver +.* process ([0-9]+),.*/\1/p' < <("$dextral" info cable))
succeed restart cable
is_replaced() {
    "$dextral" info cable | grep -E '^  driver .* process ' | grep -qvF "process $driver,"
}
wait_for 10 is_replaced
wait_for 10 has_both
kill -s TERM $player $recorder
wait $player $recorder || true
# Whose it was is known when the program is gone, and when the supervisor is another one.
succeed incidents cable
is_told || fail "a program that has ended is not named: $(cat stdout)"
stop_supervisor
start_supervisor
wait_for 10 is_told

# On a terminal: the screen, keys, and the terminal as it was.
if command -v python3 >/dev/null 2>&1 && python3 -c 'import os; os.openpty()' 2>/dev/null; then
    python3 - "$dextral" top -d 0.2 <<'PYTHON' || fail "top on a terminal"
import fcntl, os, pty, select, struct, sys, termios, time
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 40, 0, 0))
shown = b""
def watch(until):
    global shown
    end = time.monotonic() + 20
    while time.monotonic() < end and not until():
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:
                return
watch(lambda: shown.count(b"\x1b[H\x1b[J") >= 3)
assert b"Cable" in shown and b"q: end" in shown, shown
last = shown.split(b"\x1b[H\x1b[J")[2]
assert max(len(line) for line in last.split(b"\r\n")[:-1]) <= 40, last
os.write(terminal, b"x")
watch(lambda: shown.count(b"\x1b[H\x1b[J") >= 5)
os.write(terminal, b"q")
watch(lambda: False)
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
PYTHON
else
    echo "no terminal can be made here: the screen is not looked at"
fi

# Without a supervisor a script is told.
stop_supervisor
refuse 7 "no supervisor runs" top -b -n 1
wait_for 20 is_none_left
finish
