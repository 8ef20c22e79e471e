#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What the kernel's driver asks of a gadget when it binds and its interface goes up, and what ours asks, as usbmon sees both.
# docs/design/usb-cdc.md explains each difference. usage: rig_requests_cdc.sh ROOT DEXTRAL ncm|ecm

set -euo pipefail
root=$1 dextral=$2 kind=$3

skip() {
    echo "SKIPPED: $*"
    exit 77
}

rig=${USB_RIG:-$root/../shared/tools/usb-rig}
[ ! -d "$rig" ] || rig=$rig/usb-rig
[ -x "$rig" ] || skip "no usb-rig at $rig; USB_RIG says where it is"
for program in qemu-system-x86_64 busybox cpio modprobe xz; do
    PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || skip "$program is not installed"
done
"$rig" kernel >/dev/null || skip "no kernel for the virtual machine: it is fetched by apt-get"

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

case $kind in
ncm)
    driver=cdc_ncm
    theirs='set 1
set 0
a1 80 0000 0000 001c
21 8a 0000 0000 0000
21 84 0000 0000 0000
set 1
mac
21 43 000e 0000 0000'
    ours=$theirs
    ;;
ecm)
    driver=cdc_ether
    theirs='set 1
21 43 000c 0000 0000
mac
21 43 000e 0000 0000'
    ours='set 0
set 1
mac
21 43 000e 0000 0000'
    ;;
*)
    echo "no kind '$kind'" >&2
    exit 2
    ;;
esac

cat >"$work/guest.sh" <<'GUEST'
set -eu
share=$1 driver=$2
export LD_LIBRARY_PATH=$3
driver_folder=/sys/bus/usb/drivers/$driver
mount -t debugfs none /sys/kernel/debug 2>/dev/null || true

# watch FILE: all that goes over the bus from now on
watch() {
    cat /sys/kernel/debug/usb/usbmon/1u >"$1" &
    watcher=$!
    sleep 1
}

until [ -e $driver_folder/1-1:1.0 ]; do usleep 20000; done
echo 1-1:1.0 >$driver_folder/unbind
watch "$share/theirs"
echo 1-1:1.0 >$driver_folder/bind
ip link set "$(ls /sys/bus/usb/devices/1-1:1.0/net)" up
tries=0
until grep -q 's 21 43 000e' "$share/theirs"; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || break
    usleep 100000
done
kill $watcher
echo 1-1:1.0 >$driver_folder/unbind
watch "$share/ours"
dextral usb capture --seconds 1 /tmp/adapter.pcapng
sleep 1
kill $watcher
GUEST

"$rig" run --console "$work/console" --timeout 120 --gadget "$kind" --module usbmon --module "$driver" --share "$work" \
    --add "$dextral:rig/bin/dextral" -- \
    /bin/sh /share/guest.sh /share "$driver" "$(realpath -- "$(dirname -- "$dextral")/..")"

# The requests of one file, in words where their numbers are the gadget's own: the string of the MAC is the sixth. What is asked
# twice in a row counts once; the end is the packet filter, for closing is not compared. The languages of strings the kernel
# has read before; the interface's name is for people.
list() {
    awk '$3 == "S" && $5 == "s" {
        line = $6 " " $7 " " $8 " " $9 " " $10
        if ($6 == "01" && $7 == "0b")
            line = "set " ($8 + 0)
        else if ($6 == "80")
            line = $7 == "06" && $8 == "0306" ? "mac" : ""
        if (line != "" && line != last)
            lines[count++] = last = line
        if ($7 == "43")
            end = count
    }
    END {
        for (i = 0; i < end; i++)
            print lines[i]
    }' "$work/$1"
}

echo "--- the kernel's"
list theirs
diff -u - <(list theirs) <<<"$theirs"
echo "--- ours"
list ours
diff -u - <(list ours) <<<"$ours"
