// SPDX-License-Identifier: MIT
// The USB device that a driver was started for: its provider.

#ifndef DEXTRAL_USB_H
#define DEXTRAL_USB_H

#include <dextral/IOService.h>

DX_BEGIN_DECLS

/*
 * A driver whose personality has IOProviderClass IOUSBHostDevice or IOUSBHostInterface is started by the supervisor,
 * once for each device or interface that fits, and its Start gets that as `provider`.  Nothing here talks USB: the
 * descriptor is usbfs's, for libusb_wrap_sys_device() or for ioctls.
 *
 * The provider's properties, by IOServiceCopyProperties(): idVendor, idProduct, bcdDevice, bDeviceClass, bDeviceSubClass,
 * bDeviceProtocol, bConfigurationValue (0: none is set), kUSBAddress, and of an interface bInterfaceNumber,
 * bInterfaceClass, bInterfaceSubClass, bInterfaceProtocol, all of them numbers; kUSBVendorString, kUSBProductString and
 * kUSBSerialNumberString, where the device has them; USBPortPath ("1-2.3"), USBBusNumber, and USBKilobits, of a second, 0
 * where they are not known.
 */

/** What a device is, as the machine found it when it was plugged in. */
typedef struct dx_usb_info {
    uint32_t size;             ///< sizeof(dx_usb_info), set by the caller
    uint16_t vendor;           ///< idVendor
    uint16_t product;          ///< idProduct
    uint16_t version;          ///< bcdDevice
    uint16_t bus;              ///< of this machine
    uint16_t address;          ///< on that bus
    uint8_t configuration;     ///< value of the one that was set; 0: none
    bool is_interface;         ///< the personality is for one interface
    uint8_t interface_number;  ///< of that one, else 0
    uint32_t kilobits;         ///< a second: 1500, 12000, 480000, 5000000...; 0: not known
} dx_usb_info;

/** Whether a service is a USB device or interface.  NULL is none.  Thread: any.  Real-time: no. */
DX_API bool dx_usb_provider_is(IOServicePtr provider);

/**
 * The descriptor of the device's node, open for reading and writing.
 *
 * A kernel's driver has been taken from the interfaces that the personality is for; it gets them back when the
 * process has ended.  The node itself cannot be opened from within the sandbox.
 *
 * @param ret_fd  borrowed: valid until the driver's Stop has returned, never to be closed; written on success only.
 * @return kIOReturnSuccess; kIOReturnNotAttached (`provider` is no USB device: the driver was started by something
 *         else than the supervisor, `dextral process` for one, which has none to give); kIOReturnBadArgument.
 *
 * Thread: any.  Real-time: no.
 */
DX_API kern_return_t dx_usb_provider_get_fd(IOServicePtr provider, int *ret_fd);

/**
 * What the device is.
 *
 * @param info  its `size` is read; the rest is written on success only.
 * @return as dx_usb_provider_get_fd().
 *
 * Thread: any.  Real-time: no.
 */
DX_API kern_return_t dx_usb_provider_get_info(IOServicePtr provider, dx_usb_info *info);

/**
 * The port that the device is plugged into: "1-2.3", borrowed, alive as long as the provider.  It is the same after the
 * device was plugged out and in again there.  NULL for what is no USB device.
 *
 * Thread: any.  Real-time: no.
 */
DX_API const char *dx_usb_provider_get_port(IOServicePtr provider);

DX_END_DECLS

#endif /* DEXTRAL_USB_H */
