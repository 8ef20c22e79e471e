// SPDX-License-Identifier: MIT
// The USB device or interface that a driver was started for.

#include "host/usb_provider.h"

#include "audio/service.h"
#include "host/usb_match.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct usb_provider {
    struct IOService service;
    int fd;
    dx_usb_info info;
    char port[DX_USB_PORT_BYTES];
};

static void
free_provider(OSObjectPtr object)
{
    struct usb_provider *const provider = object;
    if (provider->fd >= 0)
        (void)close(provider->fd);
    dx_service_object_free(provider);
}

static const OSMetaClass usb_provider_class = {
    .name = "IOUSBHostDevice",
    .super = &dx_service_class,
    .instance_bytes = sizeof(struct usb_provider),
    .free = free_provider,
};

static const struct dx_service_ops usb_provider_ops = {NULL, NULL, NULL}; // nothing of it is made or started

static struct usb_provider *
check(IOServicePtr provider)
{
    return OSObjectIsKindOf(provider, &usb_provider_class) ? provider : NULL;
}

/* false: it is missing, or out of its range. */
static bool
read_number(const OSDictionary *from, const char *key, uint64_t maximum, uint64_t *ret_number)
{
    const OSNumber *const number = OSDynamicCast(OSNumber, OSDictionaryGetObject(from, key));
    *ret_number = number ? OSNumberGetUInt64Value(number) : 0;
    return number && *ret_number <= maximum;
}

static bool
read_info(const OSDictionary *from, dx_usb_info *info)
{
    uint64_t vendor, product, version, bus, address, configuration, kilobits, interface;
    if (!read_number(from, "idVendor", UINT16_MAX, &vendor) || !read_number(from, "idProduct", UINT16_MAX, &product) ||
        !read_number(from, "bcdDevice", UINT16_MAX, &version) || !read_number(from, DX_KEY_USB_BUS, UINT16_MAX, &bus) ||
        !read_number(from, DX_KEY_USB_ADDRESS, UINT16_MAX, &address) ||
        !read_number(from, "bConfigurationValue", UINT8_MAX, &configuration) ||
        !read_number(from, DX_KEY_USB_KILOBITS, UINT32_MAX, &kilobits))
        return false;
    const bool is_interface = OSDictionaryGetObject(from, "bInterfaceNumber") != NULL;
    if (is_interface && !read_number(from, "bInterfaceNumber", UINT8_MAX, &interface))
        return false;
    *info = (dx_usb_info){
        .size = sizeof *info,
        .vendor = (uint16_t)vendor,
        .product = (uint16_t)product,
        .version = (uint16_t)version,
        .bus = (uint16_t)bus,
        .address = (uint16_t)address,
        .configuration = (uint8_t)configuration,
        .is_interface = is_interface,
        .interface_number = is_interface ? (uint8_t)interface : 0,
        .kilobits = (uint32_t)kilobits,
    };
    return true;
}

IOService *
dx_usb_provider_create(const OSDictionary *properties, int fd)
{
    dx_usb_info info;
    const char *const port = properties ? OSDictionaryGetStringValue(properties, DX_KEY_USB_PORT) : NULL;
    if (!port || strlen(port) >= DX_USB_PORT_BYTES || !read_info(properties, &info))
        return NULL;
    struct usb_provider *const provider = dx_service_object_alloc(&usb_provider_class, &usb_provider_ops);
    if (!provider)
        return NULL;
    provider->info = info;
    memcpy(provider->port, port, strlen(port));
    provider->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (provider->fd < 0 || dx_service_set_properties(&provider->service, properties) != kIOReturnSuccess) {
        OSObjectRelease(provider);
        return NULL;
    }
    return &provider->service;
}

bool
dx_usb_provider_is(IOServicePtr provider)
{
    return check(provider);
}

kern_return_t
dx_usb_provider_get_fd(IOServicePtr provider, int *ret_fd)
{
    const struct usb_provider *const p = check(provider);
    if (!ret_fd)
        return kIOReturnBadArgument;
    if (!p)
        return kIOReturnNotAttached;
    *ret_fd = p->fd;
    return kIOReturnSuccess;
}

kern_return_t
dx_usb_provider_get_info(IOServicePtr provider, dx_usb_info *info)
{
    const struct usb_provider *const p = check(provider);
    if (!info || info->size != sizeof *info)
        return kIOReturnBadArgument;
    if (!p)
        return kIOReturnNotAttached;
    *info = p->info;
    return kIOReturnSuccess;
}

const char *
dx_usb_provider_get_port(IOServicePtr provider)
{
    const struct usb_provider *const p = check(provider);
    return p ? p->port : NULL;
}
