// SPDX-License-Identifier: MIT
// Which USB devices a personality is for, which of several fits best, and what a bundle is entitled to.

#include "host/entitlements.h"
#include "host/plist.h"
#include "host/usb_match.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>

#include <stdio.h>
#include <string.h>

#define DEVICE "<key>IOProviderClass</key><string>IOUSBHostDevice</string>"
#define INTERFACE "<key>IOProviderClass</key><string>IOUSBHostInterface</string>"
#define NUMBER(name, value) "<key>" name "</key><integer>" value "</integer>"
#define ASIX NUMBER("idVendor", "2965") // 0b95

/* An AX88772B, and a CDC-NCM adapter with its two interfaces. */
static const struct dx_usb_plugged asix = {
    .port = "1-2",
    .bus = 1,
    .address = 4,
    .vendor = 0x0b95,
    .product = 0x772b,
    .version = 0x0002,
    .class = 0xff,
    .subclass = 0xff,
    .configuration = 1,
    .kilobits = 480000,
    .product_text = "AX88772B",
    .serial = "000001",
    .interface_count = 1,
    .interfaces = {{0, 0xff, 0xff, 0x00}},
};
static const struct dx_usb_plugged ncm = {
    .port = "2-1.4",
    .bus = 2,
    .address = 9,
    .vendor = 0x1d6b,
    .product = 0x0103,
    .class = 0x02,
    .configuration = 1,
    .interface_count = 2,
    .interfaces = {{0, 0x02, 0x0d, 0x00}, {1, 0x0a, 0x00, 0x01}},
};

/* A property list's root; the caller's to release. */
static OSDictionary *
read_dictionary(const char *content)
{
    char text[2048];
    dx_error error = {""};
    OSDictionary *root = NULL;
    (void)snprintf(text, sizeof text, "<plist version=\"1.0\"><dict>%s</dict></plist>", content);
    cr_assert(eq(int, dx_plist_parse(text, strlen(text), "test", &root, &error), kIOReturnSuccess), "%s",
              error.message);
    return root;
}

struct match_case {
    char personality[400];
    bool is_ncm;
    int interface; // number; -1: the device
    bool is_match;
};

ParameterizedTestParameters(usb_match, each_key_has_to_fit)
{
    static struct match_case cases[] = {
        {DEVICE ASIX, false, -1, true},
        {DEVICE ASIX, true, -1, false},
        {DEVICE ASIX, false, 0, false}, // a device is no interface
        {INTERFACE ASIX, false, 0, true},
        {INTERFACE ASIX, false, -1, false},
        {"<key>IOProviderClass</key><string>IOPCIDevice</string>" ASIX, false, -1, false},
        {DEVICE ASIX NUMBER("idProduct", "30507"), false, -1, true}, // 772b
        {DEVICE ASIX NUMBER("idProduct", "30506"), false, -1, false},
        {DEVICE ASIX NUMBER("idProduct", "30464") NUMBER("idProductMask", "65280"), false, -1, true}, // 77xx
        {DEVICE ASIX NUMBER("idProduct", "30720") NUMBER("idProductMask", "65280"), false, -1, false}, // 78xx
        {DEVICE ASIX "<key>idProductArray</key><array><integer>1</integer><integer>30507</integer></array>", false, -1,
         true},
        {DEVICE ASIX "<key>idProductArray</key><array><integer>1</integer><integer>2</integer></array>", false, -1, false},
        {DEVICE ASIX NUMBER("bcdDevice", "2"), false, -1, true},
        {DEVICE ASIX NUMBER("bcdDevice", "3"), false, -1, false},
        {DEVICE ASIX NUMBER("bConfigurationValue", "2"), false, -1, false},
        {DEVICE NUMBER("bDeviceClass", "2"), true, -1, true},
        {DEVICE NUMBER("bDeviceClass", "2") NUMBER("bDeviceSubClass", "1"), true, -1, false},
        {DEVICE NUMBER("bDeviceClass", "255") NUMBER("bDeviceSubClass", "255") NUMBER("bDeviceProtocol", "0"), false, -1,
         true},
        {INTERFACE NUMBER("bInterfaceClass", "2") NUMBER("bInterfaceSubClass", "13"), true, 0, true},
        {INTERFACE NUMBER("bInterfaceClass", "2") NUMBER("bInterfaceSubClass", "13"), true, 1, false},
        {INTERFACE NUMBER("bInterfaceClass", "10") NUMBER("bInterfaceProtocol", "1"), true, 1, true},
        {INTERFACE NUMBER("bInterfaceClass", "10") NUMBER("bInterfaceNumber", "0"), true, 1, false},
        {DEVICE ASIX "<key>IOPropertyMatch</key><dict><key>kUSBProductString</key><string>AX88772B</string></dict>", false,
         -1, true},
        {DEVICE ASIX "<key>IOPropertyMatch</key><dict><key>kUSBProductString</key><string>AX88772C</string></dict>", false,
         -1, false},
        {DEVICE ASIX "<key>IOPropertyMatch</key><dict><key>kUSBAddress</key><integer>4</integer></dict>", false, -1, true},
        {DEVICE ASIX "<key>IOPropertyMatch</key><dict><key>colour</key><true/></dict>", false, -1, false},
    };
    return cr_make_param_array(struct match_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct match_case *c, usb_match, each_key_has_to_fit)
{
    const struct dx_usb_plugged *const device = c->is_ncm ? &ncm : &asix;
    OSDictionary *const personality = read_dictionary(c->personality);
    const bool is_match =
        dx_usb_matches(personality, device, c->interface < 0 ? NULL : &device->interfaces[c->interface], NULL);
    cr_expect(eq(int, is_match, c->is_match), "%s", c->personality);
    OSObjectRelease(personality);
}

static struct dx_usb_score
score_of(const char *personality)
{
    struct dx_usb_score score = {0};
    OSDictionary *const dictionary = read_dictionary(personality);
    cr_assert(dx_usb_matches(dictionary, &asix, NULL, &score));
    OSObjectRelease(dictionary);
    return score;
}

Test(usb_match, the_probe_score_counts_first_then_how_much_had_to_fit)
{
    const struct dx_usb_score vendor = score_of(DEVICE ASIX);
    const struct dx_usb_score product = score_of(DEVICE ASIX NUMBER("idProduct", "30507"));
    const struct dx_usb_score liked = score_of(DEVICE ASIX NUMBER("IOProbeScore", "100"));
    const struct dx_usb_score disliked = score_of(DEVICE ASIX NUMBER("idProduct", "30507") NUMBER("IOProbeScore", "-1"));
    cr_expect(dx_usb_score_is_better(product, vendor));
    cr_expect(not(dx_usb_score_is_better(vendor, product)));
    cr_expect(dx_usb_score_is_better(liked, product));
    cr_expect(dx_usb_score_is_better(vendor, disliked), "a probe score may be negative");
    cr_expect(not(dx_usb_score_is_better(vendor, vendor)));
}

Test(usb_match, what_it_is_for_is_told_to_people)
{
    char text[DX_USB_SUMMARY_BYTES];
    OSDictionary *personality =
        read_dictionary(DEVICE ASIX "<key>idProductArray</key><array><integer>30506</integer><integer>30507</integer></array>");
    dx_usb_describe_personality(personality, text);
    cr_expect(eq(int, strcmp(text, "USB 0b95:772a,772b"), 0), "%s", text);
    OSObjectRelease(personality);
    personality = read_dictionary(INTERFACE NUMBER("bInterfaceClass", "2") NUMBER("bInterfaceSubClass", "13"));
    dx_usb_describe_personality(personality, text);
    cr_expect(eq(int, strcmp(text, "USB interface class 02/0d"), 0), "%s", text);
    OSObjectRelease(personality);
    dx_usb_describe_plugged(&asix, text);
    cr_expect(eq(int, strcmp(text, "USB 0b95:772b AX88772B at 1-2"), 0), "%s", text);
}

/* ---- entitlements ---- */

struct entitled_case {
    char entitlement[300]; // members of the array
    char personality[300];
    bool is_covered;
};

ParameterizedTestParameters(usb_match, a_bundle_gets_what_it_is_entitled_to)
{
    static struct entitled_case cases[] = {
        {"<dict>" ASIX NUMBER("idProduct", "30507") "</dict>", DEVICE ASIX NUMBER("idProduct", "30507"), true},
        {"<dict>" ASIX NUMBER("idProduct", "30507") "</dict>", DEVICE ASIX NUMBER("idProduct", "30506"), false},
        {"<dict>" ASIX NUMBER("idProduct", "30507") "</dict>", DEVICE ASIX, false},
        {"<dict>" ASIX "</dict>", DEVICE ASIX NUMBER("idProduct", "30507"), true},
        {"<dict>" NUMBER("idVendor", "1") "</dict><dict>" ASIX "</dict>", DEVICE ASIX, true},
        {"<dict>" NUMBER("idVendor", "1") "</dict>", DEVICE ASIX, false},
        {"<dict><key>idVendor</key><string>*</string></dict>", DEVICE ASIX, true},
        {"<dict><key>idVendor</key><string>*</string></dict>", INTERFACE NUMBER("bInterfaceClass", "2"), true},
        {"<dict>" NUMBER("bInterfaceClass", "2") "</dict>", INTERFACE NUMBER("bInterfaceClass", "2"), true},
        {"<dict>" NUMBER("bInterfaceClass", "2") "</dict>", DEVICE ASIX, false},
        /* Each product of an array is named, by whichever member. */
        {"<dict>" ASIX NUMBER("idProduct", "1") "</dict><dict>" ASIX NUMBER("idProduct", "2") "</dict>",
         DEVICE ASIX "<key>idProductArray</key><array><integer>1</integer><integer>2</integer></array>", true},
        {"<dict>" ASIX NUMBER("idProduct", "1") "</dict>",
         DEVICE ASIX "<key>idProductArray</key><array><integer>1</integer><integer>2</integer></array>", false},
        {"<dict>" ASIX "<key>idProductArray</key><array><integer>1</integer><integer>2</integer></array></dict>",
         DEVICE ASIX NUMBER("idProduct", "2"), true},
        {"<dict>" ASIX NUMBER("idProduct", "30464") NUMBER("idProductMask", "65280") "</dict>",
         DEVICE ASIX NUMBER("idProduct", "30507"), true},
        {"<dict>" ASIX NUMBER("idProduct", "30464") NUMBER("idProductMask", "65280") "</dict>",
         DEVICE ASIX NUMBER("idProduct", "30464") NUMBER("idProductMask", "61440"), false}, // 7xxx is more than 77xx
    };
    return cr_make_param_array(struct entitled_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct entitled_case *c, usb_match, a_bundle_gets_what_it_is_entitled_to)
{
    char text[1200];
    dx_error error = {""};
    struct dx_entitlements entitlements = {0};
    (void)snprintf(text, sizeof text,
                   "<plist version=\"1.0\"><dict><key>com.apple.developer.driverkit.transport.usb</key><array>%s</array>"
                   "</dict></plist>",
                   c->entitlement);
    cr_assert(eq(int, dx_entitlements_parse(text, strlen(text), "test", &entitlements, &error), kIOReturnSuccess), "%s",
              error.message);
    OSDictionary *const personality = read_dictionary(c->personality);
    const kern_return_t status = dx_usb_check_entitled(personality, "P", entitlements.usb, &error);
    cr_expect(eq(int, status, c->is_covered ? kIOReturnSuccess : kIOReturnNotPermitted), "%s for %s: %s", c->entitlement,
              c->personality, error.message);
    if (!c->is_covered)
        cr_expect(strstr(error.message, "personality \"P\" is for USB") != NULL, "%s", error.message);
    OSObjectRelease(personality);
    dx_entitlements_finish(&entitlements);
}

Test(usb_match, without_the_entitlement_it_is_said_what_is_missing)
{
    dx_error error = {""};
    OSDictionary *const personality = read_dictionary(DEVICE ASIX);
    cr_expect(eq(int, dx_usb_check_entitled(personality, "P", NULL, &error), kIOReturnNotPermitted));
    cr_expect(strstr(error.message, "com.apple.developer.driverkit.transport.usb") != NULL, "%s", error.message);
    OSObjectRelease(personality);
    OSDictionary *const virtual = read_dictionary("<key>IOProviderClass</key><string>IOUserResources</string>");
    cr_expect(eq(int, dx_usb_check_entitled(virtual, "P", NULL, &error), kIOReturnSuccess));
    OSObjectRelease(virtual);
}

struct bad_case {
    char value[200];
    char message[80];
};

ParameterizedTestParameters(usb_match, an_entitlement_that_is_not_understood_is_refused)
{
    static struct bad_case cases[] = {
        {"<true/>", "must be an array of dictionaries"},
        {"<array><integer>1</integer></array>", "must be an array of dictionaries"},
        {"<array><dict/></array>", "empty dictionary"},
        {"<array><dict><key>idVendor</key><integer>65536</integer></dict></array>", "idVendor must be an integer"},
        {"<array><dict><key>idVendor</key><string>2965</string></dict></array>", "idVendor must be an integer"},
        {"<array><dict><key>colour</key><integer>1</integer></dict></array>", "colour is no key"},
        {"<array><dict><key>idProduct</key><integer>1</integer></dict></array>", "idProduct says nothing without idVendor"},
    };
    return cr_make_param_array(struct bad_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct bad_case *c, usb_match, an_entitlement_that_is_not_understood_is_refused)
{
    char text[600];
    dx_error error = {""};
    struct dx_entitlements entitlements = {0};
    (void)snprintf(text, sizeof text,
                   "<plist version=\"1.0\"><dict><key>com.apple.developer.driverkit.transport.usb</key>%s</dict></plist>",
                   c->value);
    cr_assert(eq(int, dx_entitlements_parse(text, strlen(text), "test", &entitlements, &error), kIOReturnSuccess));
    OSDictionary *const personality = read_dictionary(DEVICE ASIX);
    cr_expect(eq(int, dx_usb_check_entitled(personality, "P", entitlements.usb, &error), kIOReturnBadArgument));
    OSObjectRelease(personality);
    cr_expect(strstr(error.message, c->message) != NULL, "\"%s\" in \"%s\"", c->message, error.message);
    dx_entitlements_finish(&entitlements);
}
