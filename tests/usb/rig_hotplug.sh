#!/bin/sh
# SPDX-License-Identifier: MIT
# A USB adapter that is plugged in and out, with systemd-udevd and the kernel's own driver beside ours, in a machine of
# its own. usage: rig_hotplug.sh BUILD_DIR SOURCE_DIR hotplug|ethernet
#
# hotplug: a driver that claims the device and does nothing with it. ethernet: UsbEthernet.dext, which plays and records.
# Ends with 77 where it cannot be tried, and says why.

set -eu
build=$1
source=$2
what=$3

skip() {
    echo "not tried: $*"
    exit 77
}

rig=${USB_RIG:-$source/../shared/tools/usb-rig}
[ -x "$rig/usb-rig" ] || skip "there is no usb-rig at $rig: set USB_RIG"
command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86_64 is not installed"
command -v setpriv >/dev/null || skip "setpriv is not installed"
udevd=
for path in /lib/systemd/systemd-udevd /usr/lib/systemd/systemd-udevd; do
    [ ! -x "$path" ] || udevd=$path
done
[ -n "$udevd" ] || skip "systemd-udevd is not installed (package udev)"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# For every adapter of the maker of the gadget; the driver claims the first interface, and no more.
cat >"$work/Info.plist" <<'END'
<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0">
<dict>
  <key>CFBundleIdentifier</key>
  <string>org.dextral.test.rig</string>
  <key>CFBundleExecutable</key>
  <string>Fault.so</string>
  <key>IOKitPersonalities</key>
  <dict>
    <key>Gadget</key>
    <dict>
      <key>IOProviderClass</key>
      <string>IOUSBHostDevice</string>
      <key>idVendor</key>
      <integer>7531</integer>
      <key>idProduct</key>
      <integer>259</integer>
      <key>IOUserClass</key>
      <string>FaultyAudioDriver</string>
      <key>IOUserAudioDriverUserClientProperties</key>
      <dict>
        <key>IOClass</key>
        <string>IOUserUserClient</string>
        <key>IOUserClass</key>
        <string>IOUserAudioDriverUserClient</string>
      </dict>
    </dict>
  </dict>
</dict>
</plist>
END
cat >"$work/Rig.entitlements" <<'END'
<plist version="1.0">
<dict>
  <key>com.apple.developer.driverkit.transport.usb</key>
  <array><dict><key>idVendor</key><integer>7531</integer></dict></array>
</dict>
</plist>
END
printf 'root:x:0:0::/root:/bin/sh\nplayer:x:1000:1000::/tmp:/bin/sh\n' >"$work/passwd"
printf 'root:x:0:\nplayer:x:1000:\nplugdev:x:46:player\n' >"$work/group"

# Programs are where they were built, as that is where they look for each other.
set --
for file in host/supervisor/dextrald host/driver/dextral-driver cli/dextral; do
    set -- "$@" --add "$build/$file:$build/$file"
done
rules=$(dirname "$udevd" | sed 's,/systemd$,,')/udev/rules.d
[ ! -f "$rules/50-udev-default.rules" ] || set -- "$@" --add "$rules/50-udev-default.rules:lib/udev/rules.d/50-udev-default.rules"
if [ "$what" = hotplug ]; then
    set -- "$@" --add "$build/tests/host/Fault.dext/Fault.so:drivers/Rig.dext/Fault.so" \
        --add "$work/Info.plist:drivers/Rig.dext/Info.plist" \
        --add "$work/Rig.entitlements:drivers/Rig.dext/Rig.entitlements"
else
    bundle=backends/usb/UsbEthernet.dext
    for file in UsbEthernet.so Info.plist UsbEthernet.entitlements; do
        set -- "$@" --add "$build/$bundle/$file:drivers/UsbEthernet.dext/$file"
    done
    set -- "$@" --add "$build/tests/usb/rtp_peer"
fi
"$rig/usb-rig" run --timeout 560 --gadget ncm --module cdc_ncm "$@" \
    --add "$work/passwd:etc/passwd" --add "$work/group:etc/group" \
    --add "$source/host/service/70-dextral-usb.rules:lib/udev/rules.d/70-dextral-usb.rules" \
    --add "$udevd:lib/systemd/systemd-udevd" --add "$(command -v udevadm):rig/bin/udevadm" \
    --add "$(command -v setpriv):rig/bin/setpriv" \
    --add "$source/tests/usb/rig_guest_lib.sh:rig/bin/rig_guest_lib.sh" \
    -- "$source/tests/usb/rig_${what}_guest.sh" "$build"
