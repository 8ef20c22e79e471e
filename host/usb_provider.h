// SPDX-License-Identifier: MIT
// The provider of a driver for a USB device, in the driver's process.

#ifndef DX_HOST_USB_PROVIDER_H
#define DX_HOST_USB_PROVIDER_H

#include <dextral/usb.h>

/**
 * Makes one.
 *
 * @param properties  as dx_usb_copy_properties() made them, come from another process: what is missing is refused.
 * @param fd          duplicated: each provider has its own number of the same open file.
 * @return NULL where the properties are of no USB device, or without memory or a descriptor.
 */
IOService *dx_usb_provider_create(const OSDictionary *properties, int fd);

#endif /* DX_HOST_USB_PROVIDER_H */
