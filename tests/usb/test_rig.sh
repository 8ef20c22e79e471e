#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# One case in a virtual machine that has real USB: usb-rig boots a kernel of its own for it.
# usage: test_rig.sh ROOT RIG_PROGRAM USB_MODEL NAME

set -euo pipefail
root=$1 rig_program=$2 usb_model=$3 name=$4

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

# run RIG_OPTION... -- PROGRAM ARGUMENT...
# Interfaces queue without dropping: Debian's default, fq_codel, drops what has waited for long, and a machine that is
# emulated, on a busy one, makes it wait.
run() {
    "$rig" run --console "$work/console" --timeout 240 --append sysctl.net.core.default_qdisc=pfifo_fast \
        --add "$usb_model:rig/bin/usb_model" "$@" && return
    local status=$?
    echo "--- the machine's own messages ---"
    grep -iE 'usb|asix|cdc|vhci|BUG|WARN|Call Trace|Oops' "$work/console" | tail -n 40 || true
    return "$status"
}

# kernel DRIVER MODEL_ARGUMENT...: the kernel's driver drives a model
kernel() {
    local driver=$1 modules=(--module vhci-hcd --module tun)
    [ "$driver" != asix ] || modules+=(--module ax88796b)
    run "${modules[@]}" --module "$driver" -- "$rig_program" "$driver" usb_model "${@:2}"
}

# huawei MODEL_ARGUMENT...: the one driver of the kernel's that uses blocks of 32 bits, on a model that cdc_ncm, which takes
# it first and knows no better, has to give way for
huawei() {
    cat >"$work/setup.sh" <<'SETUP'
drivers=/sys/bus/usb/drivers
echo 1d6b 0103 2 12d1 0 >$drivers/huawei_cdc_ncm/new_id
(
    until interface=$(cd $drivers/cdc_ncm && ls -d *:1.0 2>/dev/null); do usleep 20000; done
    echo "$interface" >$drivers/cdc_ncm/unbind
    echo "$interface" >$drivers/huawei_cdc_ncm/bind
) &
SETUP
    run --module vhci-hcd --module tun --module huawei_cdc_ncm --setup "$work/setup.sh" -- \
        "$rig_program" huawei_cdc_ncm usb_model "$@"
}

# gadget KIND MODULE ARGUMENT...: our adapter drives a gadget of the kernel's, which that driver holds; "": none
gadget() {
    local id=1d6b:0103 options=(--gadget "$1" --share "$work")
    [ "$1" = ncm ] || id=1d6b:0104
    [ -z "$2" ] || options+=(--module "$2")
    run "${options[@]}" -- "$rig_program" --serve "${@:3}" "$id"
}

# What a gadget's controller is bound by; without it the gadget is unplugged.
udc=/sys/kernel/config/usb_gadget/rig/UDC

modules=() options=() # of the machine and of rig_adapter, beyond what vhci() has

# vhci ID MODEL_ARGUMENT...: our adapter drives one of our models, by libusb all the same
vhci() {
    cat >"$work/setup.sh" <<SETUP
while :; do
    usb_model --vhci 0 --tap wire --address 192.0.2.1 --echo 5000 ${*:2}
done &
SETUP
    run --share "$work" --module vhci-hcd --module tun "${modules[@]}" --setup "$work/setup.sh" -- \
        "$rig_program" "${options[@]}" "$1"
}

# command: `dextral usb` as its users meet it, root and nobody, with a gadget that the kernel's driver holds
command_line() {
    cat >"$work/guest.sh" <<'GUEST'
set -eu
share=$1
export LD_LIBRARY_PATH=$2
cd /tmp
fail() {
    echo "FAILED: $*"
    exit 1
}
until readlink /sys/bus/usb/devices/1-1:1.0/driver | grep -q cdc_ncm; do usleep 20000; done
dextral usb list >list
cat list
grep -qE '^1-1 +1d6b:0103 +high +usb-rig ncm gadget +cdc-ncm +cdc_ncm +yes' list || fail "usb list"
dextral usb list --json | tr -d '\n ' >json
grep -q '"driver":"cdc-ncm"' json && grep -q '"may-open":true' json || fail "usb list --json: $(cat json)"
dextral usb capture --seconds 1 --frames "$share/adapter.pcapng" 2>said || fail "usb capture: $(cat said)"
cat said
readlink /sys/bus/usb/devices/1-1:1.0/driver | grep -q cdc_ncm || fail "the kernel's driver is not back"
ping -c 1 -w 5 192.0.2.1 >/dev/null || fail "the gadget's side is gone"
{ dextral usb capture - 2>said; echo "$?" >code; } | head -c 64 >/dev/null # a reader that goes ends it
[ "$(cat code)" != 0 ] && grep -q 'Broken pipe' said || fail "to a reader that goes: $(cat code said)"
readlink /sys/bus/usb/devices/1-1:1.0/driver | grep -q cdc_ncm || fail "the kernel's driver is not back after that"
dextral usb capture killed.pcapng 2>said &
capture=$!
until grep -q NCM said; do usleep 20000; done
readlink /sys/bus/usb/devices/1-1:1.0/driver | grep -q usbfs || fail "it has not claimed it"
kill -9 "$capture"
tries=0
until readlink /sys/bus/usb/devices/1-1:1.0/driver | grep -q cdc_ncm; do
    tries=$((tries + 1))
    [ $tries -lt 500 ] || fail "the kernel's driver is not back after SIGKILL"
    usleep 20000
done
nobody="setpriv --reuid 65534 --regid 65534 --clear-groups"
chmod 660 /dev/bus/usb/001/*
$nobody dextral usb list >list 2>said
grep -qE 'cdc_ncm +no$' list && grep -q 'no right to open /dev/bus/usb' said || fail "of nobody: $(cat list said)"
code=0
$nobody dextral usb capture --device 1-1 never.pcapng 2>said || code=$?
[ "$code" = 4 ] && grep -q 70-dextral-usb.rules said || fail "capture of nobody: $code, $(cat said)"
[ ! -e never.pcapng ] || fail "it left a file"
echo >/sys/kernel/config/usb_gadget/rig/UDC
code=0
dextral usb capture never.pcapng 2>said || code=$?
[ "$code" = 2 ] || fail "capture of nothing: $code, $(cat said)"
echo ok
GUEST
    run --gadget ncm --module cdc_ncm --share "$work" --add "$rig_program:rig/bin/dextral" \
        --add "$(command -v setpriv):rig/bin/setpriv" -- \
        /bin/sh /share/guest.sh /share "$(realpath -- "$(dirname -- "$rig_program")/..")"
}

# asleep: the machine sleeps, and resets the gadget on waking up; its driver of the kernel has it then, and we take it back
asleep() {
    cat >"$work/guest.sh" <<'GUEST'
set -eu
export LD_LIBRARY_PATH=$1
cd /tmp
fail() {
    echo "FAILED: $*"
    cat said
    exit 1
}
# send FRAMES: through the gadget's network interface, once it has a link
send() {
    tries=0
    until [ "$(cat /sys/class/net/usb0/carrier)" = 1 ]; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || fail "no link"
        usleep 100000
    done
    for i in $(seq "$1"); do
        ping -c 1 -W 1 192.0.2.77 >/dev/null 2>&1 &
        usleep 20000
    done
}
until readlink /sys/bus/usb/devices/1-1:1.0/driver | grep -q cdc_ncm; do usleep 20000; done
arp -s 192.0.2.77 02:00:00:00:00:77
dextral usb capture --seconds 600 --frames adapter.pcapng 2>said &
capture=$!
until grep -q NCM said; do usleep 20000; done
send 10
echo devices >/sys/power/pm_test
echo freeze >/sys/power/state
dmesg | grep -q 'reset high-speed USB device' || fail "the device was not reset"
sleep 2
send 200
kill "$capture"
wait "$capture" || fail "capture: $?"
cat said
[ "$(sed -n 's/.* \([0-9]*\) frames$/\1/p' said)" -ge 200 ] || fail "it is deaf after the sleep"
readlink /sys/bus/usb/devices/1-1:1.0/driver | grep -q cdc_ncm || fail "the kernel's driver is not back"
echo ok
GUEST
    # No shared folder: it does not wake up again.
    run --gadget ncm --module cdc_ncm --add "$work/guest.sh:rig/bin/guest.sh" --add "$rig_program:rig/bin/dextral" -- \
        /bin/sh /rig/bin/guest.sh "$(realpath -- "$(dirname -- "$rig_program")/..")"
}

# captured: what tshark makes of the capture of a run
captured() {
    command -v tshark >/dev/null || return 0
    tshark -r "$work/adapter.pcapng" -q -z io,phs >"$work/phs" 2>&1
    grep -q '^ *usb ' "$work/phs" || { cat "$work/phs" && false; }
}

# requests PRODUCT: what the kernel's driver asks of a model, and what ours asks; the differences are those that are known
requests() {
    local here programs product=$1 model=(--trace "/share/$1" --strict --product "$1" ax88772)
    here=$(dirname -- "${BASH_SOURCE[0]}") programs=$(dirname -- "$rig_program")
    run --share "$work" --module vhci-hcd --module tun --module ax88796b --module asix -- \
        "$programs/rig_kernel" asix usb_model "${model[@]}"
    mv "$work/$product" "$work/theirs"
    rig_program=$programs/rig_adapter vhci "0b95:$product" "${model[@]}"
    awk -f "$here/requests.awk" "$work/theirs" >"$work/theirs.list"
    awk -f "$here/requests.awk" "$work/$product" >"$work/ours.list"
    [ "$(wc -l <"$work/ours.list")" -gt 15 ] || { echo "too few requests of ours" && return 1; }
    { diff "$work/theirs.list" "$work/ours.list" || true; } | sed -n "s/^</$product -/p; s/^>/$product +/p" >"$work/found"
    grep "^$product " "$here/requests_ax88772.txt" | sed 's/ ([0-9]*)$//' >"$work/known"
    echo "--- known differences, and found ones"
    diff -u "$work/known" "$work/found" && cat "$work/found"
}

case $name in
asix) kernel asix --strict ax88772 ;;
asix_772) kernel asix --strict --product 7720 ax88772 ;;
asix_772a) kernel asix --strict --product 772a ax88772 ;;
asix_burst) kernel asix --strict --burst 514 ax88772 ;;
asix_full_speed) kernel asix --strict --full-speed ax88772 ;;
requests_772b) requests 772b ;;
requests_772a) requests 772a ;;
requests_7720) requests 7720 ;;
cdc_ncm) kernel cdc_ncm --strict ncm ;;
cdc_ncm_32) kernel cdc_ncm --strict --ntb32 --ndp-first ncm ;;
huawei_ncm) huawei --ntb32-only ncm ;; # not strict: it sets no packet filter
# The smaller the blocks, the more the kernel drops: 28 of 1000 packets with 2048 bytes, on a busy machine.
cdc_ncm_small) kernel cdc_ncm --strict --ntb-max 12288 --full-speed ncm ;;
cdc_ether) kernel cdc_ether --strict ecm ;;
cdc_ether_full_speed) kernel cdc_ether --strict --full-speed ecm ;;
gadget_ncm) gadget ncm "" --capture /share/adapter.pcapng && captured ;;
gadget_ecm) gadget ecm "" ;;
gadget_held) gadget ncm cdc_ncm --held-by cdc_ncm ;;
gadget_by_file) gadget ecm cdc_ether --held-by cdc_ether --by-fd ;;
gadget_command) command_line && captured ;;
gadget_asleep) asleep ;;
gadget_unplugged) gadget ncm "" --unplug "echo >$udc" --replug "ls /sys/class/udc >$udc" ;;
vhci_unplugged)
    options=(--unplug 'echo 0 >/sys/devices/platform/vhci_hcd.0/detach' --replug true)
    vhci 0b95:772b --strict ax88772
    ;;
vhci_held)
    modules=(--module ax88796b --module asix) options=(--held-by asix)
    vhci 0b95:772b --strict ax88772
    ;;
vhci_ax88772) vhci 0b95:772b --strict ax88772 ;;
vhci_ncm) vhci 1d6b:0103 --strict --ntb32 ncm ;;
vhci_ncm_32) vhci 1d6b:0103 --strict --ntb32-only ncm ;;
vhci_ecm) vhci 1d6b:0104 --strict ecm ;;
vhci_stalls) # a frame waits until the halt has been cleared, and is not lost
    vhci 1d6b:0104 --strict --stall 200 --trace /share/trace ecm
    [ "$(grep -c '^02 01 value 0000 index 0082' "$work/trace")" -ge 5 ] || { echo "no halts" && false; }
    ;;
*)
    echo "no case '$name'" >&2
    exit 2
    ;;
esac
