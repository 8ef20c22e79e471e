// SPDX-License-Identifier: MIT
// An Info.plist whose personalities are for USB devices: checked, compared with devices and entitlements, and shown.

#include "host/bundle_info.h"
#include "host/usb_match.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct dx_usb_plugged device = {
    .port = "1-2",
    .bus = 1,
    .address = 4,
    .vendor = 0x0b95,
    .product = 0x772b,
    .version = 1,
    .class = 0xff,
    .configuration = 1,
    .product_text = "AX88772B",
    .interface_count = 2,
    .interfaces = {{0, 0x02, 0x0d, 0x00}, {1, 0x0a, 0x00, 0x01}},
};

static void
try_personality(const OSDictionary *personality)
{
    char text[DX_USB_SUMMARY_BYTES];
    struct dx_usb_score score = {0};
    unsigned matches = dx_usb_matches(personality, &device, NULL, &score);
    if (dx_usb_score_is_better(score, score))
        abort();
    for (uint32_t i = 0; i < device.interface_count; i++)
        matches += dx_usb_matches(personality, &device, &device.interfaces[i], &score);
    if (matches && dx_usb_provider_class_of(personality) == DX_USB_NO_PROVIDER)
        abort();
    dx_usb_describe_personality(personality, text);
    if (strlen(text) >= sizeof text)
        abort();

    /* What names this device's vendor and product alone must not let another one's personality through. */
    dx_error error = {""};
    OSDictionary *const entry = OSDictionaryCreate(2);
    OSArray *const entitled = OSArrayCreate(1);
    if (entry && entitled && OSDictionarySetUInt64Value(entry, "idVendor", 0x0b95) &&
        OSDictionarySetUInt64Value(entry, "idProduct", 0x772b) && OSArraySetObject(entitled, entry) &&
        dx_usb_provider_class_of(personality) != DX_USB_NO_PROVIDER &&
        dx_usb_check_entitled(personality, "P", entitled, &error) == kIOReturnSuccess) {
        struct dx_usb_plugged other = device;
        other.product = 0x772a;
        for (uint32_t i = 0; i < other.interface_count; i++)
            if (dx_usb_matches(personality, &other, &other.interfaces[i], NULL))
                abort();
        if (dx_usb_matches(personality, &other, NULL, NULL))
            abort();
    }
    OSObjectRelease(entry);
    OSObjectRelease(entitled);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dx_bundle_info info = {0};
    dx_error error = {""};
    if (dx_bundle_info_parse(data, size, &info, &error) != kIOReturnSuccess)
        return 0;
    for (size_t i = 0; i < info.personality_count; i++)
        try_personality(info.personalities[i].properties);
    dx_bundle_info_finish(&info);
    return 0;
}
