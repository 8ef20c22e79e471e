#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# shellcheck shell=dash
# The inside of rig_hotplug.sh: one gadget, which is our adapter, the kernel's cdc_ncm, udevd, and a supervisor of an
# ordinary user's. usage: rig_hotplug_guest.sh BUILD_DIR

set -u
build=$1
gadget=/sys/kernel/config/usb_gadget/rig
device=/sys/bus/usb/devices/1-1
uid=RIG0001
export DEXTRAL_RUNTIME_DIR=/tmp/run DEXTRAL_CONFIG_DIR=/tmp/config DEXTRAL_STATE_DIR=/tmp/state
export DEXTRAL_DRIVER_PATH=/drivers DEXTRAL_DRIVER_PROGRAM="$build/host/driver/dextral-driver"
supervisor=

say() { echo "- $*"; }
fail() {
    echo "FAILED: $*"
    dextral list
    dextral drivers
    echo "--- the supervisor's log"
    cat /tmp/log
    exit 1
}

# --- the machine

# An ordinary user, in a group that the rule names, or in none.
as_player() { ${exec:-} /rig/bin/setpriv --reuid 1000 --regid 1000 "--groups=$group" --inh-caps=-all "$@"; }
dextral() { as_player "$build/cli/dextral" "$@" 2>&1; }
plug() { echo dummy_udc.0 >"$gadget/UDC"; }
unplug() { echo >"$gadget/UDC"; }

# wait_until SECONDS SENTENCE COMMAND...
wait_until() {
    local turns=$(($1 * 10)) sentence=$2
    shift 2
    while [ "$turns" -gt 0 ]; do
        "$@" && return 0
        usleep 100000
        turns=$((turns - 1))
    done
    fail "$sentence"
}

kernel_has_it() { [ "$(basename "$(readlink "$device/$(basename $device):1.0/driver")")" = cdc_ncm ]; }
we_have_it() { [ "$(basename "$(readlink "$device/$(basename $device):1.0/driver")")" = usbfs ]; }
is_running() { dextral info $uid | grep -q 'state *running'; }
is_unlisted() { ! dextral info $uid | grep -q 'state'; }
has_state() { dextral drivers | grep -q "org.dextral.test.rig.* $1 "; }
driver_pid() { pidof dextral-driver; }
no_driver() { [ -z "$(driver_pid)" ]; }
other_driver() { [ -n "$(driver_pid)" ] && [ "$(driver_pid)" != "$1" ] && is_running; }
is_gone() { [ ! -e "/proc/$1" ]; }

start_supervisor() {
    exec="exec" # so that the number is the supervisor's own
    as_player "$build/host/supervisor/dextrald" --verbose >>/tmp/log 2>&1 &
    supervisor=$!
    exec=
    wait_until 20 "the supervisor does not answer" listens
}
listens() { dextral drivers | grep -q DRIVER; }
kill_supervisor() {
    kill "-$1" "$supervisor"
    wait "$supervisor" 2>/dev/null
}

mkdir -p /tmp/run /tmp/config /tmp/state /run/udev
chown -R 1000:1000 /tmp/run /tmp/config /tmp/state
chmod 700 /tmp/run /tmp/config /tmp/state
chmod -R go-w /drivers
touch /tmp/log
chmod 666 /tmp/log
group=46

/lib/systemd/systemd-udevd --daemon || fail "udevd does not start"
/rig/bin/udevadm trigger --type=devices --action=add
/rig/bin/udevadm settle --timeout=60 || fail "udev does not settle"

say "the rule gives the node to the group"
node=/dev/bus/usb/$(printf '%03d/%03d' "$(cat $device/busnum)" "$(cat $device/devnum)")
[ "$(stat -c '%a %g' "$node")" = "660 46" ] || fail "$node: $(stat -c '%a %g' "$node")"
kernel_has_it || fail "cdc_ncm does not drive the gadget"

say "without the right it is said what to do"
group=1000
start_supervisor
has_state unapproved || fail "it is not unapproved"
kernel_has_it || fail "what is not approved took it from the kernel"
dextral approve org.dextral.test.rig || fail "approve"
wait_until 10 "it has not failed" has_state failed
dextral drivers | grep -q "$node.*udevadm control --reload" || fail "it is not said what to do"
kernel_has_it || fail "it was taken from the kernel without being opened"
say "and it starts when there is the right"
chmod 666 "$node"
wait_until 20 "it does not run" is_running
kill_supervisor TERM # the shell has SIGINT ignored in the background
wait_until 10 "the kernel did not get it back" kernel_has_it

say "a driver starts for what is there, and has it instead of the kernel"
group=46
chmod 660 "$node"
start_supervisor
wait_until 20 "it does not run" is_running
we_have_it || fail "the driver has not claimed it: $(dextral info $uid)"
dextral info $uid | grep -q 'hardware *USB 1d6b:0103 ncm gadget at 1-1' || fail "its hardware is not shown"

say "it stops when the device leaves"
pid=$(driver_pid)
unplug
wait_until 20 "it is still listed" is_unlisted
wait_until 10 "its process runs on" is_gone "$pid"
dextral drivers | grep -q 'waits for USB 1d6b:0103' || fail "it does not wait"

say "and starts when it comes again: ten times"
for i in 1 2 3 4 5 6 7 8 9 10; do
    plug
    wait_until 20 "it does not run" is_running
    we_have_it || fail "the driver has not claimed it, time $i"
    unplug
    wait_until 20 "it is still listed" is_unlisted
done
plug
wait_until 20 "it does not run" is_running

say "a driver that is killed comes back"
pid=$(driver_pid)
kill -9 "$pid"
wait_until 20 "it does not come back" other_driver "$pid"
we_have_it || fail "the new driver has not claimed it"

say "what is revoked gives it back"
dextral revoke org.dextral.test.rig || fail "revoke"
wait_until 20 "the kernel did not get it back" kernel_has_it
no_driver || fail "it runs on"
dextral approve org.dextral.test.rig || fail "approve"
wait_until 20 "it does not run" is_running

say "a driver that is killed again and again is given up, and gives it back"
turns=0
until has_state failed; do
    pid=$(driver_pid)
    [ -z "$pid" ] || kill -9 "$pid"
    turns=$((turns + 1))
    [ "$turns" -lt 600 ] || fail "it is not given up"
    usleep 100000
done
wait_until 20 "the kernel did not get it back" kernel_has_it
dextral restart org.dextral.test.rig || fail "restart"
wait_until 20 "it does not run" is_running
we_have_it || fail "the driver has not claimed it"

say "a driver goes on without its supervisor, and the next one finds it"
pid=$(driver_pid)
kill_supervisor KILL
we_have_it || fail "the driver lost it"
start_supervisor
wait_until 20 "it does not run" is_running
[ "$(driver_pid)" = "$pid" ] || fail "it is another process"

say "both are killed: the next supervisor gives back what nobody runs"
kill_supervisor KILL
kill -9 "$pid"
wait_until 10 "it lives" is_gone "$pid"
kernel_has_it && fail "the kernel took it by itself"
rm -r /tmp/config/approvals
start_supervisor
wait_until 20 "the kernel did not get it back" kernel_has_it

say "the supervisor ends in good order: the kernel gets it back"
dextral approve org.dextral.test.rig || fail "approve"
wait_until 20 "it does not run" is_running
kill_supervisor TERM
wait_until 20 "the kernel did not get it back" kernel_has_it
no_driver || fail "a driver runs on"

grep -E 'ERROR: |runtime error: ' /tmp/log && fail "a sanitizer has found something"
echo "all of it held"
