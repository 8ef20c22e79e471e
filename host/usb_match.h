// SPDX-License-Identifier: MIT
// Which USB devices a personality is for, and whether its bundle may ask for them.

#ifndef DX_HOST_USB_MATCH_H
#define DX_HOST_USB_MATCH_H

#include <dextral/bundle.h>

#define DX_USB_MAX_INTERFACES 32u  // their numbers are below
#define DX_USB_PORT_BYTES 32u      // "1-2.3", with its NUL
#define DX_USB_TEXT_BYTES 128u     // of a string descriptor, with its NUL
#define DX_USB_MAX_PRODUCTS 256u   // of an idProductArray
#define DX_USB_SUMMARY_BYTES 512u  // of a text for people

/* Of a provider's properties, besides those that IOKit knows; include/dextral/usb.h tells of them. */
#define DX_KEY_USB_PORT "USBPortPath"
#define DX_KEY_USB_BUS "USBBusNumber"
#define DX_KEY_USB_ADDRESS "kUSBAddress"
#define DX_KEY_USB_KILOBITS "USBKilobits"

struct dx_usb_interface {
    uint8_t number;
    uint8_t class;
    uint8_t subclass;
    uint8_t protocol;
};

/* A device as it is plugged in, with the interfaces of the configuration that is set. */
struct dx_usb_plugged {
    char port[DX_USB_PORT_BYTES];
    uint16_t bus;
    uint16_t address;
    uint16_t vendor;
    uint16_t product;
    uint16_t version; // bcdDevice
    uint8_t class;
    uint8_t subclass;
    uint8_t protocol;
    uint8_t configuration; // 0: none
    uint32_t kilobits;     // a second; 0: not known
    char vendor_text[DX_USB_TEXT_BYTES];
    char product_text[DX_USB_TEXT_BYTES];
    char serial[DX_USB_TEXT_BYTES]; // "": it has none
    uint32_t interface_count;
    struct dx_usb_interface interfaces[DX_USB_MAX_INTERFACES]; // by number
};

enum dx_usb_provider_class {
    DX_USB_NO_PROVIDER, // the personality is for something else
    DX_USB_HOST_DEVICE,
    DX_USB_HOST_INTERFACE,
};

/* How well a personality fits; more of the first counts, then more of the second. */
struct dx_usb_score {
    int32_t probe_score; // IOProbeScore
    uint32_t precision;  // how many keys had to fit
};

/** By IOProviderClass. */
enum dx_usb_provider_class dx_usb_provider_class_of(const OSDictionary *personality);

/**
 * Checks the keys of a personality against each other; types and ranges have been checked.
 *
 * @param place  where it is, for the message.
 */
kern_return_t dx_usb_check_personality(const OSDictionary *personality, const char *place, dx_error *error);

/**
 * Whether each device that a personality is for is one that the entitlement names.  One that is for none needs none.
 *
 * @param name      of the personality, for the message.
 * @param entitled  what com.apple.developer.driverkit.transport.usb says, expected to be an array of dictionaries; NULL:
 *                  the bundle does not have it.
 * @return kIOReturnSuccess; kIOReturnNotPermitted; kIOReturnBadArgument (what it says is not understood).
 */
kern_return_t dx_usb_check_entitled(const OSDictionary *personality, const char *name, OSObjectPtr entitled,
                                    dx_error *error);

/**
 * Whether a personality is for a device, or for an interface of it.
 *
 * @param interface  NULL: the device itself.
 * @param ret_score  written where it is; may be NULL.
 */
bool dx_usb_matches(const OSDictionary *personality, const struct dx_usb_plugged *device,
                    const struct dx_usb_interface *interface, struct dx_usb_score *ret_score);

bool dx_usb_score_is_better(struct dx_usb_score score, struct dx_usb_score than);

/** IOMatchCategory; the default one where the personality has none. */
const char *dx_usb_category(const OSDictionary *personality);

/** The properties of a device or interface, as its driver's provider has them.  +1; NULL without memory. */
OSDictionary *dx_usb_copy_properties(const struct dx_usb_plugged *device, const struct dx_usb_interface *interface);

/** What a personality is for, for people: "USB 0b95:772a,772b". */
void dx_usb_describe_personality(const OSDictionary *personality, char text[DX_USB_SUMMARY_BYTES]);

/** "USB 0b95:772b AX88772B at 1-2". */
void dx_usb_describe_plugged(const struct dx_usb_plugged *device, char text[DX_USB_SUMMARY_BYTES]);

#endif /* DX_HOST_USB_MATCH_H */
