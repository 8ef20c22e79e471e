#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# shellcheck shell=dash disable=SC1091,SC2034,SC2154
# UsbEthernet.dext on the kernel's NCM gadget: what is played comes out of the gadget's network interface, and what is sent
# there is recorded. usage: rig_ethernet_guest.sh BUILD_DIR

set -u
build=$1
uid=usb-ethernet-02000000aa01
bundle=org.dextral.driver.usb-ethernet
. /rig/bin/rig_guest_lib.sh

own=192.0.2.1
group_address=239.69.0.1
port=5004

say "the adapter is an audio device"
start_supervisor
dextral approve $bundle || fail "approve"
wait_until 30 "it does not run" is_running
we_have_it || fail "the driver has not claimed it"
dextral info $uid >/tmp/info
grep -q 'output:0.*latency 48 frames' /tmp/info || fail "its latency: $(cat /tmp/info)"
grep -q 'input:0.*latency 240 frames' /tmp/info || fail "its latency: $(cat /tmp/info)"

say "what is played comes out of its network"
head -c 4000000 /dev/urandom >/tmp/noise
dextral play - --device $uid --format s16 --quiet </tmp/noise &
player=$!
rtp_peer record $group_address $port $own 3000 || fail "packets"
kill "$player"

say "what comes from its network is recorded"
rtp_peer play $group_address $port $own 15 &
dextral record - --device $uid --duration 8 --format f32 --quiet >/tmp/recorded || fail "record"
rtp_peer check /tmp/recorded 960 || fail "the recording"

say "it tells what it has seen"
dextral get --json $uid property netw >/tmp/seen || fail "property netw: $(cat /tmp/seen)"
cat /tmp/seen
for number in '"PacketsReceived": *[1-9][0-9]' '"FramesSent": *[1-9][0-9]' '"FramesBad": *0,*$' '"AddressConflicts": *0,*$' \
    '"ChecksumsBad": *0,*$'; do
    grep -q "$number" /tmp/seen || fail "it has not seen $number"
done

say "it is the same one when it is plugged in again"
unplug
wait_until 20 "it is still listed" is_unlisted
plug
wait_until 30 "it does not run" is_running

say "what no host can have is refused, and named"
settle_on() { # ADDRESS
    kill_supervisor TERM
    sed -i "/<key>Address</{n;s,<string>[^<]*<,<string>$1<,}" /drivers/UsbEthernet.dext/Info.plist
    start_supervisor
}
refused() { grep -q "personality's Address must be one that a host of its network can have" /tmp/log; }
settle_on 192.0.2.255
wait_until 20 "the driver said nothing of its address" refused

say "an address of its own answers"
answers() { ping -c 1 -w 2 192.0.2.9 >/dev/null 2>&1; }
answers && fail "somebody else has the address"
settle_on 192.0.2.9
wait_until 30 "it does not run" is_running
wait_until 20 "nobody answers at the address" answers
dextral get --json $uid property netw | grep -q '"Address": *"192.0.2.9"' || fail "it tells another address"

say "the kernel gets it back"
kill_supervisor TERM
wait_until 20 "the kernel did not get it back" kernel_has_it
grep -E 'ERROR: |runtime error: ' /tmp/log && fail "a sanitizer has found something"
echo "all of it held"
