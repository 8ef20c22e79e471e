#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Wireshark reads what a tap writes: as many records, none of them malformed, requests by their names, frames as they were.
# usage: test_capture.sh TEST_CAPTURE

set -euo pipefail
export LC_ALL=C.UTF-8
capture=$(realpath -- "$1")
for program in tshark capinfos; do
    command -v "$program" >/dev/null || {
        echo "SKIPPED: $program is not installed"
        exit 77
    }
done
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
cd "$work"
# neither the settings nor the plug-ins of whoever runs this
export HOME=$work XDG_CONFIG_HOME=$work

fail() {
    printf 'FAILED: %s\n' "$*"
    exit 1
}

expect() { # WHAT EXPECTED GOT
    [ "$2" = "$3" ] || fail "$1: expected $2, got $3"
}

show() { # FILTER FIELD: that field of each packet
    tshark -n -r run.pcapng -Y "$1" -T fields -e "$2" 2>/dev/null
}

read -r transfers frames < <("$capture" run.pcapng)
expect "frames that were captured" 100 "$frames"
capinfos run.pcapng >info
grep -q "USB packets with Linux header and padding ($transfers)" info || fail "transfers: $(cat info)"
grep -q "Ethernet ($frames)" info || fail "frames: $(cat info)"

expect "malformed records" "" "$(show '_ws.malformed || _ws.expert.severity == error' frame.number)"
expect "the device's ids" 0x1d6b,0x0104 \
    "$(tshark -n -r run.pcapng -Y usb.idVendor -T fields -E separator=, -e usb.idVendor -e usb.idProduct 2>/dev/null |
        sort -u)"
expect "bus and address" 3.7 "$(tshark -n -r run.pcapng -Y usb -T fields -E separator=. -e usb.bus_id \
    -e usb.device_address 2>/dev/null | sort -u)"
show 'usb.transfer_type == 2' _ws.col.Info >requests
for request in "GET DESCRIPTOR Request DEVICE" "GET DESCRIPTOR Request CONFIGURATION" "SET CONFIGURATION Request" \
    "SET INTERFACE Request" "GET DESCRIPTOR Request STRING" "SET ETHERNET PACKET FILTER Request"; do
    grep -qF "$request" requests || fail "no $request among: $(sort -u requests)"
done
# 83: submitted, 67: completed; the last ones were cancelled
expect "submissions" $((transfers / 2)) "$(show "usb.urb_type == 83" frame.number | wc -l)"
expect "completions" $((transfers / 2)) "$(show "usb.urb_type == 67" frame.number | wc -l)"
show 'usb.urb_type == 67' usb.urb_status | sort -u | tr '\n' ' ' >statuses
grep -qE '^-125 0 $|^0 -125 $' statuses || fail "statuses: $(cat statuses)"

# Frames of 60 to 109 bytes, each sent and received, on the second interface and in the bulk transfers below it.
sizes=$(seq 60 109)
for direction in 1 2; do # inbound, outbound
    expect "frames, direction $direction" "$sizes" \
        "$(show "frame.interface_id == 1 && frame.packet_flags_direction == $direction" frame.len)"
done
expect "OUT transfers" "$sizes" "$(show 'usb.urb_type == 83 && usb.endpoint_address == 0x03' usb.urb_len)"
expect "IN transfers" "$sizes" \
    "$(show 'usb.urb_type == 67 && usb.endpoint_address == 0x82 && usb.urb_status == 0' usb.urb_len)"
echo ok
