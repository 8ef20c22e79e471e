#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# shellcheck shell=dash disable=SC1091,SC2034,SC2154
# The inside of rig_hotplug.sh: one gadget, which is our adapter, the kernel's cdc_ncm, udevd, and a supervisor of an
# ordinary user's. usage: rig_hotplug_guest.sh BUILD_DIR

set -u
build=$1
uid=RIG0001
bundle=org.dextral.test.rig
. /rig/bin/rig_guest_lib.sh

say "the rule gives the node to the group"
node=/dev/bus/usb/$(printf '%03d/%03d' "$(cat "$device/busnum")" "$(cat "$device/devnum")")
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
