// SPDX-License-Identifier: MIT
// A walk over a configuration's descriptors, which may lie: no step leaves the bytes that came, or goes back.

#ifndef DX_USB_DESCRIPTORS_H
#define DX_USB_DESCRIPTORS_H

#include "backends/usb/transfer.h"

/* Types of descriptors. */
#define DX_USB_DT_CONFIGURATION 0x02u
#define DX_USB_DT_INTERFACE 0x04u
#define DX_USB_DT_ENDPOINT 0x05u
#define DX_USB_DT_FUNCTIONAL 0x24u // of a class, for an interface

/*
 * Where a walk is. It ends with the bytes, with wTotalLength, or at a descriptor that cannot be right: one that is
 * shorter than its own head, or that is cut off.
 */
struct dx_usb_walk {
    const uint8_t *bytes;
    uint32_t size;
    uint32_t at;
};

/* One endpoint; `address` 0: there is none. */
struct dx_usb_endpoint {
    uint8_t address; // with DX_USB_IN
    uint8_t interval;
    uint16_t packet; // bytes of one packet; never 0
};

/* One alternate setting of one interface. */
struct dx_usb_setting {
    uint8_t interface;
    uint8_t alternate;
    uint8_t class_code, subclass, protocol;
    struct dx_usb_endpoint bulk_in, bulk_out, interrupt_in; // the first of each kind that holds any bytes
    struct dx_usb_walk body; // what lies between this setting and the next one
};

/** Starts at the beginning of a configuration. One with a bad head, or none, is a walk of nothing. */
struct dx_usb_walk dx_usb_walk_begin(const struct dx_usb_configuration *configuration);

/** @return the next descriptor, of [0] >= 2 bytes that are all there; NULL at the end. */
const uint8_t *dx_usb_walk_next(struct dx_usb_walk *walk);

/**
 * The next alternate setting, in the order in which they came. An interface descriptor that is too short for one
 * ends the setting before it, and what follows is nobody's.
 */
bool dx_usb_walk_setting(struct dx_usb_walk *walk, struct dx_usb_setting *ret_setting);

/**
 * The first setting of an interface that has a bulk endpoint each way.
 *
 * @param interface  its number.
 */
bool dx_usb_find_bulk_setting(const struct dx_usb_configuration *configuration, uint8_t interface,
                              struct dx_usb_setting *ret_setting);

/**
 * @return the first functional descriptor of a setting with this subtype, of at least `least` bytes; NULL: none.
 */
const uint8_t *dx_usb_find_functional(const struct dx_usb_setting *setting, uint8_t subtype, uint32_t least);

/** @return bConfigurationValue; 0 where there is none. */
uint8_t dx_usb_configuration_value(const struct dx_usb_configuration *configuration);

#endif /* DX_USB_DESCRIPTORS_H */
