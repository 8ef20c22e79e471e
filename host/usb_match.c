// SPDX-License-Identifier: MIT
// USB personalities: checked, compared with devices, and with what the bundle is entitled to.

#include "host/usb_match.h"

#include "host/entitlements.h"
#include "host/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FULL_MASK 0xFFFFu
#define DEFAULT_CATEGORY "IODefaultMatchCategory"

/* Numbers of a device or interface that a personality, an entitlement and the provider call the same. */
static const struct key {
    const char *name;
    const char *needs; // says nothing without it; or NULL
    bool is_interface; // of an interface alone
} keys[] = {
    {"idVendor", NULL, false},
    {"bcdDevice", "idVendor", false},
    {"bDeviceClass", NULL, false},
    {"bDeviceSubClass", "bDeviceClass", false},
    {"bDeviceProtocol", "bDeviceClass", false},
    {"bConfigurationValue", NULL, false},
    {"bInterfaceNumber", NULL, true},
    {"bInterfaceClass", NULL, true},
    {"bInterfaceSubClass", "bInterfaceClass", true},
    {"bInterfaceProtocol", "bInterfaceClass", true},
};
#define KEY_COUNT (sizeof keys / sizeof keys[0])

/* The value that a device has under one of the keys. */
static uint64_t
value_of(size_t key, const struct dx_usb_plugged *device, const struct dx_usb_interface *interface)
{
    switch (key) {
    case 0:
        return device->vendor;
    case 1:
        return device->version;
    case 2:
        return device->class;
    case 3:
        return device->subclass;
    case 4:
        return device->protocol;
    case 5:
        return device->configuration;
    case 6:
        return interface->number;
    case 7:
        return interface->class;
    case 8:
        return interface->subclass;
    default:
        return interface->protocol;
    }
}

static bool
has(const OSDictionary *from, const char *key)
{
    return OSDictionaryGetObject(from, key) != NULL;
}

/* false: it is not there. */
static bool
get_number(const OSDictionary *from, const char *key, uint64_t *ret_number)
{
    const OSNumber *const number = OSDynamicCast(OSNumber, OSDictionaryGetObject(from, key));
    if (number)
        *ret_number = OSNumberGetUInt64Value(number);
    return number != NULL;
}

enum dx_usb_provider_class
dx_usb_provider_class_of(const OSDictionary *personality)
{
    const char *const provider = OSDictionaryGetStringValue(personality, "IOProviderClass");
    if (provider && strcmp(provider, "IOUSBHostDevice") == 0)
        return DX_USB_HOST_DEVICE;
    return provider && strcmp(provider, "IOUSBHostInterface") == 0 ? DX_USB_HOST_INTERFACE : DX_USB_NO_PROVIDER;
}

const char *
dx_usb_category(const OSDictionary *personality)
{
    const char *const category = OSDictionaryGetStringValue(personality, "IOMatchCategory");
    return category ? category : DEFAULT_CATEGORY;
}

/* ---- checks of a personality ---- */

static kern_return_t
check_array(const OSDictionary *from, const char *place, dx_error *error)
{
    const OSArray *const array = OSDynamicCast(OSArray, OSDictionaryGetObject(from, "idProductArray"));
    const size_t count = array ? OSArrayGetCount(array) : 1;
    if (count == 0 || count > DX_USB_MAX_PRODUCTS)
        return dx_error_set(error, kIOReturnBadArgument, "%s: idProductArray must have 1 to %u numbers", place,
                            DX_USB_MAX_PRODUCTS);
    for (size_t i = 0; array && i < count; i++) {
        const OSNumber *const number = OSDynamicCast(OSNumber, OSArrayGetObject(array, i));
        if (!number || OSNumberGetUInt64Value(number) > 0xFFFF)
            return dx_error_set(error, kIOReturnBadArgument, "%s: idProductArray: each must be an integer, 0 to 65535",
                                place);
    }
    return kIOReturnSuccess;
}

/* The keys about products, which come in three ways. */
static kern_return_t
check_products(const OSDictionary *from, const char *place, dx_error *error)
{
    static const char *const names[] = {"idProduct", "idProductArray", "idProductMask"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (has(from, names[i]) && !has(from, "idVendor"))
            return dx_error_set(error, kIOReturnBadArgument, "%s: %s says nothing without idVendor", place, names[i]);
    if (has(from, "idProduct") && has(from, "idProductArray"))
        return dx_error_set(error, kIOReturnBadArgument,
                            "%s: idProduct and idProductArray contradict each other: keep one of them", place);
    if (has(from, "idProductMask") && !has(from, "idProduct"))
        return dx_error_set(error, kIOReturnBadArgument, "%s: idProductMask says nothing without idProduct", place);
    return check_array(from, place, error);
}

static bool
is_strange_value(void *context, OSString *key, OSObjectPtr value)
{
    (void)context;
    (void)key;
    return !OSDynamicCast(OSString, value) && !OSDynamicCast(OSNumber, value) && !OSDynamicCast(OSBoolean, value);
}

static kern_return_t
check_property_match(const OSDictionary *personality, const char *place, dx_error *error)
{
    const OSDictionary *const wanted = OSDynamicCast(OSDictionary, OSDictionaryGetObject(personality, "IOPropertyMatch"));
    if (wanted && OSDictionaryIterateObjects(wanted, is_strange_value, NULL))
        return dx_error_set(error, kIOReturnBadArgument,
                            "%s: IOPropertyMatch: a USB device's properties are strings, integers and booleans", place);
    return kIOReturnSuccess;
}

kern_return_t
dx_usb_check_personality(const OSDictionary *personality, const char *place, dx_error *error)
{
    const enum dx_usb_provider_class provider = dx_usb_provider_class_of(personality);
    if (provider == DX_USB_NO_PROVIDER)
        return kIOReturnSuccess;
    if (has(personality, "IOResourceMatch"))
        return dx_error_set(error, kIOReturnBadArgument,
                            "%s: IOResourceMatch contradicts a USB device, which is no resource of the system", place);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (!has(personality, keys[i].name))
            continue;
        if (keys[i].is_interface && provider == DX_USB_HOST_DEVICE)
            return dx_error_set(error, kIOReturnBadArgument,
                                "%s: %s is of an interface, and IOProviderClass \"IOUSBHostDevice\" of a whole "
                                "device: expected \"IOUSBHostInterface\"",
                                place, keys[i].name);
        if (keys[i].needs && !has(personality, keys[i].needs))
            return dx_error_set(error, kIOReturnBadArgument, "%s: %s says nothing without %s", place, keys[i].name,
                                keys[i].needs);
    }
    kern_return_t status = check_products(personality, place, error);
    if (status == kIOReturnSuccess)
        status = check_property_match(personality, place, error);
    if (status != kIOReturnSuccess)
        return status;
    if (!has(personality, "idVendor") && !has(personality, "bDeviceClass") && !has(personality, "bInterfaceClass"))
        return dx_error_set(error, kIOReturnBadArgument,
                            "%s: it would be for every USB device: add idVendor, bDeviceClass or bInterfaceClass", place);
    return kIOReturnSuccess;
}

/* ---- matching ---- */

static bool
product_matches(const OSDictionary *personality, uint16_t product, uint32_t *precision)
{
    const OSArray *const array = OSDynamicCast(OSArray, OSDictionaryGetObject(personality, "idProductArray"));
    uint64_t wanted = 0;
    uint64_t mask = FULL_MASK;
    if (get_number(personality, "idProduct", &wanted)) {
        (void)get_number(personality, "idProductMask", &mask);
        *precision += mask == FULL_MASK;
        return (product & mask) == (wanted & mask);
    }
    *precision += array != NULL;
    for (size_t i = 0; array && i < OSArrayGetCount(array); i++) {
        const OSNumber *const number = OSDynamicCast(OSNumber, OSArrayGetObject(array, i));
        if (number && OSNumberGetUInt64Value(number) == product)
            return true;
    }
    return !array;
}

struct comparing {
    const OSDictionary *properties;
    uint32_t *precision;
};

static bool
differs(void *context, OSString *key, OSObjectPtr wanted)
{
    const struct comparing *const comparing = context;
    OSObjectPtr const found = OSDictionaryGetObject(comparing->properties, OSStringGetCStringNoCopy(key));
    const OSNumber *const number = OSDynamicCast(OSNumber, wanted);
    const OSNumber *const found_number = OSDynamicCast(OSNumber, found);
    ++*comparing->precision;
    if (number || found_number) // of whatever width
        return !number || !found_number || OSNumberGetUInt64Value(number) != OSNumberGetUInt64Value(found_number);
    return !found || !OSObjectIsEqualTo(found, wanted);
}

static bool
properties_match(const OSDictionary *personality, const struct dx_usb_plugged *device,
                 const struct dx_usb_interface *interface, uint32_t *precision)
{
    const OSDictionary *const wanted = OSDynamicCast(OSDictionary, OSDictionaryGetObject(personality, "IOPropertyMatch"));
    if (!wanted)
        return true;
    OSDictionary *const properties = dx_usb_copy_properties(device, interface);
    struct comparing comparing = {properties, precision};
    const bool is_equal = properties && !OSDictionaryIterateObjects(wanted, differs, &comparing);
    OSObjectRelease(properties);
    return is_equal;
}

bool
dx_usb_matches(const OSDictionary *personality, const struct dx_usb_plugged *device,
               const struct dx_usb_interface *interface, struct dx_usb_score *ret_score)
{
    const enum dx_usb_provider_class provider = dx_usb_provider_class_of(personality);
    if (provider != (interface ? DX_USB_HOST_INTERFACE : DX_USB_HOST_DEVICE))
        return false;
    struct dx_usb_score score = {0};
    for (size_t i = 0; i < KEY_COUNT; i++) {
        uint64_t wanted = 0;
        if (!get_number(personality, keys[i].name, &wanted))
            continue;
        if ((keys[i].is_interface && !interface) || wanted != value_of(i, device, interface))
            return false;
        score.precision++;
    }
    uint64_t probe_score = 0;
    (void)get_number(personality, "IOProbeScore", &probe_score);
    score.probe_score = (int32_t)(uint32_t)probe_score;
    if (!product_matches(personality, device->product, &score.precision) ||
        !properties_match(personality, device, interface, &score.precision))
        return false;
    if (ret_score)
        *ret_score = score;
    return true;
}

bool
dx_usb_score_is_better(struct dx_usb_score score, struct dx_usb_score than)
{
    return score.probe_score != than.probe_score ? score.probe_score > than.probe_score
                                                 : score.precision > than.precision;
}

/* ---- entitlements ---- */

/* Of an entitlement, "*" stands for any value. */
static bool
is_any(const OSDictionary *entry, const char *key)
{
    const char *const text = OSDictionaryGetStringValue(entry, key);
    return text && strcmp(text, "*") == 0;
}

static const char *const product_keys[] = {"idProduct", "idProductMask"};

static bool
is_known_number_key(const char *name)
{
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (strcmp(keys[i].name, name) == 0)
            return true;
    for (size_t i = 0; i < sizeof product_keys / sizeof product_keys[0]; i++)
        if (strcmp(product_keys[i], name) == 0)
            return true;
    return false;
}

struct checking {
    const OSDictionary *entry;
    const char *place;
    dx_error *error;
    kern_return_t status;
};

static bool
check_entry_key(void *context, OSString *key, OSObjectPtr value)
{
    struct checking *const checking = context;
    const char *const name = OSStringGetCStringNoCopy(key);
    const OSNumber *const number = OSDynamicCast(OSNumber, value);
    if (strcmp(name, "idProductArray") == 0 && OSDynamicCast(OSArray, value))
        return false; // looked at with the other keys of products
    if (!is_known_number_key(name)) /* one that is not understood would widen what is asked for */
        checking->status =
            dx_error_set(checking->error, kIOReturnBadArgument, "%s: %.80s is no key that is known here",
                         checking->place, name);
    else if (!is_any(checking->entry, name) && (!number || OSNumberGetUInt64Value(number) > 0xFFFF))
        checking->status = dx_error_set(checking->error, kIOReturnBadArgument,
                                        "%s: %s must be an integer, 0 to 65535, or \"*\"", checking->place, name);
    return checking->status != kIOReturnSuccess;
}

static kern_return_t
check_entitlement(OSObjectPtr value, dx_error *error)
{
    static const char place[] = "the bundle's entitlements: " DX_ENTITLEMENT_USB;
    const OSArray *const array = OSDynamicCast(OSArray, value);
    if (!array)
        return dx_error_set(error, kIOReturnBadArgument, "%s must be an array of dictionaries", place);
    for (size_t i = 0; i < OSArrayGetCount(array); i++) {
        const OSDictionary *const entry = OSDynamicCast(OSDictionary, OSArrayGetObject(array, i));
        if (!entry)
            return dx_error_set(error, kIOReturnBadArgument, "%s must be an array of dictionaries", place);
        if (OSDictionaryGetCount(entry) == 0)
            return dx_error_set(error, kIOReturnBadArgument,
                                "%s has an empty dictionary: idVendor \"*\" is what asks for every device", place);
        struct checking checking = {entry, place, error, kIOReturnSuccess};
        (void)OSDictionaryIterateObjects(entry, check_entry_key, &checking);
        if (checking.status == kIOReturnSuccess)
            checking.status = check_products(entry, place, error);
        if (checking.status != kIOReturnSuccess)
            return checking.status;
    }
    return kIOReturnSuccess;
}

/* What a personality says of products: one with a mask, in which 0 is any. */
struct products {
    uint64_t product;
    uint64_t mask;
};

static bool
array_has(const OSArray *array, uint64_t product)
{
    for (size_t i = 0; i < OSArrayGetCount(array); i++) {
        const OSNumber *const number = OSDynamicCast(OSNumber, OSArrayGetObject(array, i));
        if (number && OSNumberGetUInt64Value(number) == product)
            return true;
    }
    return false;
}

static bool
covers_products(const OSDictionary *entry, struct products wanted)
{
    const OSArray *const array = OSDynamicCast(OSArray, OSDictionaryGetObject(entry, "idProductArray"));
    if (array)
        return wanted.mask == FULL_MASK && array_has(array, wanted.product);
    uint64_t product = 0;
    uint64_t mask = FULL_MASK;
    if (!get_number(entry, "idProduct", &product))
        return true; // not there, or "*"
    (void)get_number(entry, "idProductMask", &mask);
    /* Each bit that the entry fixes, the personality fixes to the same. */
    return (mask & ~wanted.mask) == 0 && (wanted.product & mask) == (product & mask);
}

/* Whatever the entry fixes, the personality fixes to the same. */
static bool
covers(const OSDictionary *entry, const OSDictionary *personality, struct products wanted)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        uint64_t fixed = 0;
        uint64_t found = 0;
        if (get_number(entry, keys[i].name, &fixed) &&
            (!get_number(personality, keys[i].name, &found) || found != fixed))
            return false;
    }
    return covers_products(entry, wanted);
}

static bool
is_covered(const OSArray *entitled, const OSDictionary *personality, struct products wanted)
{
    for (size_t i = 0; entitled && i < OSArrayGetCount(entitled); i++)
        if (covers(OSArrayGetObject(entitled, i), personality, wanted))
            return true;
    return false;
}

static kern_return_t
refuse_uncovered(const OSDictionary *personality, const char *name, const OSArray *entitled, dx_error *error)
{
    char summary[DX_USB_SUMMARY_BYTES];
    dx_usb_describe_personality(personality, summary);
    if (!entitled)
        return dx_error_set(error, kIOReturnNotPermitted,
                            "personality \"%.60s\" is for %.160s, but the bundle does not ask for them: its "
                            "entitlements need %s, an array of dictionaries with idVendor and idProduct",
                            name, summary, DX_ENTITLEMENT_USB);
    return dx_error_set(error, kIOReturnNotPermitted,
                        "personality \"%.60s\" is for %.160s, of which %s in the bundle's entitlements does not name all",
                        name, summary, DX_ENTITLEMENT_USB);
}

kern_return_t
dx_usb_check_entitled(const OSDictionary *personality, const char *name, OSObjectPtr value, dx_error *error)
{
    if (dx_usb_provider_class_of(personality) == DX_USB_NO_PROVIDER)
        return kIOReturnSuccess;
    const kern_return_t status = value ? check_entitlement(value, error) : kIOReturnSuccess;
    if (status != kIOReturnSuccess)
        return status;
    const OSArray *const entitled = value;
    const OSArray *const array = OSDynamicCast(OSArray, OSDictionaryGetObject(personality, "idProductArray"));
    struct products wanted = {0, 0};
    bool is_all = true;
    if (get_number(personality, "idProduct", &wanted.product)) {
        wanted.mask = FULL_MASK;
        (void)get_number(personality, "idProductMask", &wanted.mask);
    }
    if (!array)
        is_all = is_covered(entitled, personality, wanted);
    for (size_t i = 0; array && is_all && i < OSArrayGetCount(array); i++) {
        const struct products one = {OSNumberGetUInt64Value(OSArrayGetObject(array, i)), FULL_MASK};
        is_all = is_covered(entitled, personality, one);
    }
    return is_all ? kIOReturnSuccess : refuse_uncovered(personality, name, entitled, error);
}

/* ---- properties ---- */

static bool
set_text(OSDictionary *to, const char *key, const char *text)
{
    return !text[0] || OSDictionarySetStringValue(to, key, text);
}

OSDictionary *
dx_usb_copy_properties(const struct dx_usb_plugged *device, const struct dx_usb_interface *interface)
{
    OSDictionary *to = OSDictionaryCreate(24);
    bool done = to != NULL;
    for (size_t i = 0; done && i < KEY_COUNT; i++)
        if (interface || !keys[i].is_interface)
            done = OSDictionarySetUInt64Value(to, keys[i].name, value_of(i, device, interface));
    done = done && OSDictionarySetUInt64Value(to, "idProduct", device->product) &&
           OSDictionarySetUInt64Value(to, DX_KEY_USB_BUS, device->bus) &&
           OSDictionarySetUInt64Value(to, DX_KEY_USB_ADDRESS, device->address) &&
           OSDictionarySetUInt64Value(to, DX_KEY_USB_KILOBITS, device->kilobits) &&
           OSDictionarySetStringValue(to, DX_KEY_USB_PORT, device->port) &&
           set_text(to, "kUSBVendorString", device->vendor_text) &&
           set_text(to, "kUSBProductString", device->product_text) &&
           set_text(to, "kUSBSerialNumberString", device->serial);
    if (!done)
        OSSafeReleaseNULL(to);
    return to;
}

/* ---- for people ---- */

struct summary {
    char *text;
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void
append(struct summary *summary, const char *format, ...)
{
    const size_t room = DX_USB_SUMMARY_BYTES - summary->length;
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(summary->text + summary->length, room, format, arguments);
    va_end(arguments);
    if (length > 0) // what does not fit is cut
        summary->length += (size_t)length < room ? (size_t)length : room - 1;
}

static void
append_class(struct summary *summary, const OSDictionary *personality, const char *what, const char *const names[3])
{
    uint64_t value = 0;
    for (size_t i = 0; i < 3 && get_number(personality, names[i], &value); i++)
        append(summary, "%s%02x", i == 0 ? what : "/", (unsigned)value);
}

static void
append_products(struct summary *summary, const OSDictionary *personality)
{
    const OSArray *const array = OSDynamicCast(OSArray, OSDictionaryGetObject(personality, "idProductArray"));
    uint64_t product = 0;
    uint64_t mask = FULL_MASK;
    if (get_number(personality, "idProduct", &product))
        append(summary, "%04x", (unsigned)product);
    else if (!array)
        append(summary, "*");
    if (get_number(personality, "idProductMask", &mask))
        append(summary, "&%04x", (unsigned)mask);
    for (size_t i = 0; array && i < OSArrayGetCount(array); i++)
        append(summary, "%s%04x", i ? "," : "", (unsigned)OSNumberGetUInt64Value(OSArrayGetObject(array, i)));
}

void
dx_usb_describe_personality(const OSDictionary *personality, char text[DX_USB_SUMMARY_BYTES])
{
    static const char *const device_class[] = {"bDeviceClass", "bDeviceSubClass", "bDeviceProtocol"};
    static const char *const interface_class[] = {"bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol"};
    struct summary summary = {text, 0};
    uint64_t number = 0;
    append(&summary, "USB");
    if (get_number(personality, "idVendor", &number)) {
        append(&summary, " %04x:", (unsigned)number);
        append_products(&summary, personality);
    }
    append_class(&summary, personality, " class ", device_class);
    append_class(&summary, personality, " interface class ", interface_class);
    if (get_number(personality, "bInterfaceNumber", &number))
        append(&summary, " interface %u", (unsigned)number);
}

void
dx_usb_describe_plugged(const struct dx_usb_plugged *device, char text[DX_USB_SUMMARY_BYTES])
{
    struct summary summary = {text, 0};
    append(&summary, "USB %04x:%04x", device->vendor, device->product);
    if (device->product_text[0])
        append(&summary, " %s", device->product_text);
    append(&summary, " at %s", device->port);
}
