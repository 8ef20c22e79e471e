#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# One case in a virtual machine that has real USB: usb-rig boots a kernel of its own for it.
# usage: test_rig.sh ROOT RIG_KERNEL_OR_RIG_ADAPTER USB_MODEL NAME

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
run() {
    "$rig" run --console "$work/console" --timeout 240 --add "$usb_model:rig/bin/usb_model" "$@" && return
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

# gadget KIND MODULE ARGUMENT...: our adapter drives a gadget of the kernel's, which that driver holds; "": none
gadget() {
    local id=1d6b:0103 options=(--gadget "$1" --share "$work")
    [ "$1" = ncm ] || id=1d6b:0104
    [ -z "$2" ] || options+=(--module "$2")
    run "${options[@]}" -- "$rig_program" --serve "${@:3}" "$id"
}

# vhci ID MODEL_ARGUMENT...: our adapter drives one of our models, by libusb all the same
vhci() {
    cat >"$work/setup.sh" <<SETUP
usb_model --vhci 0 --tap wire --address 192.0.2.1 --echo 5000 ${*:2} &
SETUP
    run --module vhci-hcd --module tun --setup "$work/setup.sh" -- "$rig_program" "$1"
}

# captured: what tshark makes of the capture of a run
captured() {
    command -v tshark >/dev/null || return 0
    tshark -r "$work/adapter.pcapng" -q -z io,phs >"$work/phs" 2>&1
    grep -q '^ *usb ' "$work/phs" || { cat "$work/phs" && false; }
}

case $name in
asix) kernel asix --strict ax88772 ;;
asix_772) kernel asix --strict --product 7720 ax88772 ;;
asix_772a) kernel asix --strict --product 772a ax88772 ;;
asix_burst) kernel asix --strict --burst 514 ax88772 ;;
asix_full_speed) kernel asix --strict --full-speed ax88772 ;;
cdc_ncm) kernel cdc_ncm --strict ncm ;;
cdc_ncm_32) kernel cdc_ncm --strict --ntb32 --ndp-first ncm ;;
cdc_ncm_small) kernel cdc_ncm --strict --ntb-max 2048 --full-speed ncm ;;
cdc_ether) kernel cdc_ether --strict ecm ;;
cdc_ether_full_speed) kernel cdc_ether --strict --full-speed ecm ;;
gadget_ncm) gadget ncm "" --capture /share/adapter.pcapng && captured ;;
gadget_ecm) gadget ecm "" ;;
gadget_held) gadget ncm cdc_ncm --held-by cdc_ncm ;;
gadget_by_file) gadget ecm cdc_ether --held-by cdc_ether --by-fd ;;
vhci_ax88772) vhci 0b95:772b --strict ax88772 ;;
vhci_ncm) vhci 1d6b:0103 --strict --ntb32 ncm ;;
vhci_ecm) vhci 1d6b:0104 --strict ecm ;;
*)
    echo "no case '$name'" >&2
    exit 2
    ;;
esac
