#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# One case in a virtual machine that has real USB: usb-rig boots a kernel of its own for it.
# usage: test_rig.sh ROOT RIG_KERNEL USB_MODEL NAME

set -euo pipefail
root=$1 rig_kernel=$2 usb_model=$3 name=$4

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
    run "${modules[@]}" --module "$driver" -- "$rig_kernel" "$driver" usb_model "${@:2}"
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
*)
    echo "no case '$name'" >&2
    exit 2
    ;;
esac
