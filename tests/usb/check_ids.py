#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The adapters that the AX88772 driver takes are those of the udev rule, and of the bundle's personalities and entitlements.

usage: check_ids.py SOURCE_DIR
"""

import plistlib
import re
import sys
from pathlib import Path

source = Path(sys.argv[1])


def driver_ids():
    text = (source / "backends/usb/ax88772.c").read_text()
    table = re.search(r"device_ids\[\] = \{(.*?)\n\};", text, re.S)
    return {(int(v, 16), int(p, 16)) for v, p in re.findall(r"\{0x([0-9a-f]{4}), 0x([0-9a-f]{4}),", table.group(1))}


def rule_ids():
    text = (source / "host/service/70-dextral-usb.rules").read_text()
    found = re.findall(r'^ATTR\{idVendor\}=="([0-9a-f]{4})", ATTR\{idProduct\}=="([0-9a-f]{4})", GOTO=', text, re.M)
    return {(int(vendor, 16), int(product, 16)) for vendor, product in found}


def ids_of(dictionaries):
    found = set()
    for entry in dictionaries:
        products = entry.get("idProductArray", [entry["idProduct"]] if "idProduct" in entry else [])
        found |= {(entry["idVendor"], product) for product in products}
    return found


def bundle(name):
    return plistlib.loads((source / "backends/usb/bundle" / name).read_bytes())


expected = driver_ids()
lists = {
    "the udev rule": rule_ids(),
    "the bundle's personalities": ids_of(bundle("Info.plist")["IOKitPersonalities"].values()),
    "its entitlements": ids_of(
        bundle("UsbEthernet.entitlements")["com.apple.developer.driverkit.transport.usb"]
    ),
}
failed = len(expected) < 10  # the table was not found as it is expected to look
for what, ids in lists.items():
    for vendor, product in sorted(expected - ids):
        print(f"{what}: {vendor:04x}:{product:04x} is missing")
    for vendor, product in sorted(ids - expected):
        print(f"{what}: {vendor:04x}:{product:04x} is of no adapter that the driver takes")
    failed = failed or ids != expected
print(f"{len(expected)} adapters")
sys.exit(1 if failed else 0)
