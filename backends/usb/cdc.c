// SPDX-License-Identifier: MIT
// What CDC-ECM and CDC-NCM have in common.

#include "backends/usb/cdc.h"

#include "backends/usb/descriptors.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    CLASS_COMMUNICATION = 0x02,
    CLASS_DATA = 0x0a,

    /* Functional descriptors, and the fewest bytes of each. */
    HEADER = 0x00,
    HEADER_BYTES = 5,
    UNION = 0x06,
    UNION_BYTES = 5,
    ETHERNET = 0x0f,
    ETHERNET_BYTES = 13,
    NCM = 0x1a,
    NCM_BYTES = 6,

    REQUEST_OUT = 0x21, // class, interface
    REQUEST_IN = REQUEST_OUT | DX_USB_IN,
    SET_MULTICAST_FILTERS = 0x40,
    SET_PACKET_FILTER = 0x43,

    FILTER_ALL_GROUPS = 0x02,
    FILTER_DIRECTED = 0x04,
    FILTER_BROADCAST = 0x08,
    FILTER_LISTED_GROUPS = 0x10,
    MOST_LISTED = 64,

    NOTIFICATION = 0xa1, // the first byte of one: class, interface, in
    NOTIFICATION_HEAD = 8,
    NETWORK_CONNECTION = 0x00,
    RESPONSE_AVAILABLE = 0x01,
    SPEED_CHANGE = 0x2a,
    SPEED_BYTES = 8
};

static uint16_t
get16(const uint8_t *bytes) DX_REALTIME
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static uint32_t
get32(const uint8_t *bytes) DX_REALTIME
{
    return get16(bytes) | (uint32_t)get16(bytes + 2) << 16;
}

/* ---- descriptors ---- */

static bool
find_interface(const struct dx_usb_configuration *configuration, uint8_t number,
               struct dx_usb_setting *ret_setting)
{
    struct dx_usb_walk walk = dx_usb_walk_begin(configuration);
    while (dx_usb_walk_setting(&walk, ret_setting)) {
        if (ret_setting->interface == number)
            return true;
    }
    return false;
}

/*
 * Which interface has the data: the union says so, in some devices with the roles the other way round. Without one
 * it is the next interface.
 */
static int
find_data_interface(const struct dx_usb_setting *control, uint8_t *ret_number, char why[256])
{
    const uint8_t *const pair = dx_usb_find_functional(control, UNION, UNION_BYTES);
    const uint8_t own = control->interface;
    if (pair && pair[3] != own && pair[4] != own) {
        snprintf(why, 256, "interface %u has a union of others, %u and %u", own, pair[3], pair[4]);
        return -EINVAL;
    }
    *ret_number = !pair ? (uint8_t)(own + 1) : pair[3] == own ? pair[4] : pair[3];
    return 0;
}

/* The setting with the endpoints, of the right class: a disk has bulk endpoints too. */
static int
find_data_setting(const struct dx_usb_configuration *configuration, const struct dx_cdc *cdc,
                  struct dx_usb_setting *ret_setting, char why[256])
{
    if (!find_interface(configuration, cdc->data, ret_setting)) {
        snprintf(why, 256, "data interface %u of interface %u does not exist", cdc->data, cdc->control);
        return -EINVAL;
    }
    if (!dx_usb_find_bulk_setting(configuration, cdc->data, ret_setting)) {
        snprintf(why, 256, "data interface %u has no bulk endpoints in any setting", cdc->data);
        return -EINVAL;
    }
    if (ret_setting->class_code != CLASS_DATA && cdc->data != cdc->control) {
        snprintf(why, 256, "interface %u is of class 0x%02x, not one for the data of interface %u", cdc->data,
                 ret_setting->class_code, cdc->control);
        return -EINVAL;
    }
    return 0;
}

static int
read_functional(struct dx_cdc *cdc, const struct dx_usb_setting *control, char why[256])
{
    const uint8_t *const ethernet = dx_usb_find_functional(control, ETHERNET, ETHERNET_BYTES);
    if (!ethernet) {
        snprintf(why, 256, "interface %u has no Ethernet descriptor", control->interface);
        return -EINVAL;
    }
    const uint16_t segment = get16(ethernet + 8);
    cdc->mac_string = ethernet[3];
    cdc->max_frame = (uint16_t)(segment < DX_CDC_MIN_SEGMENT   ? DX_CDC_MIN_SEGMENT
                                : segment > DX_CDC_MAX_SEGMENT ? DX_CDC_MAX_SEGMENT
                                                               : segment);
    cdc->filter_count = get16(ethernet + 10) & 0x7fff;
    const uint8_t *const header = dx_usb_find_functional(control, HEADER, HEADER_BYTES);
    cdc->version = header ? get16(header + 3) : 0;
    if (control->subclass != DX_CDC_NCM)
        return 0;

    const uint8_t *const ncm = dx_usb_find_functional(control, NCM, NCM_BYTES);
    if (!ncm) {
        snprintf(why, 256, "interface %u has no NCM descriptor", control->interface);
        return -EINVAL;
    }
    cdc->version = get16(ncm + 3);
    cdc->capabilities = ncm[5];
    return 0;
}

static void
describe(const struct dx_cdc *cdc, const struct dx_usb_setting *control, const struct dx_usb_setting *data,
         struct dx_nic_info *info)
{
    info->interfaces[0] = cdc->control;
    info->interfaces[1] = cdc->data;
    info->interface_count = cdc->control == cdc->data ? 1 : 2;
    info->in_endpoint = data->bulk_in.address;
    info->in_packet = data->bulk_in.packet;
    info->out_endpoint = data->bulk_out.address;
    info->out_packet = data->bulk_out.packet;
    info->notify_endpoint = control->interrupt_in.address;
    info->notify_packet = control->interrupt_in.packet;
    info->max_frame = cdc->max_frame;
    info->filter_count = cdc->filter_count < MOST_LISTED ? cdc->filter_count : MOST_LISTED;
}

/* One function, which begins with its control interface. */
static int
read_function(struct dx_cdc *cdc, const struct dx_usb_configuration *configuration,
              const struct dx_usb_setting *control, struct dx_nic_info *info, char why[256])
{
    *cdc = (struct dx_cdc){
        .configuration = dx_usb_configuration_value(configuration),
        .control = control->interface,
        .tells_link = control->interrupt_in.address != 0,
    };
    struct dx_usb_setting data;
    int error = read_functional(cdc, control, why);
    if (!error)
        error = find_data_interface(control, &cdc->data, why);
    if (!error)
        error = find_data_setting(configuration, cdc, &data, why);
    if (error)
        return error;
    cdc->alternate = data.alternate;
    describe(cdc, control, &data, info);
    return 0;
}

static int
find_in_configuration(struct dx_cdc *cdc, const struct dx_usb_device *device,
                      const struct dx_usb_configuration *configuration, uint8_t subclass, struct dx_nic_info *info,
                      char why[256])
{
    int result = -ENOTSUP;
    struct dx_usb_walk walk = dx_usb_walk_begin(configuration);
    struct dx_usb_setting setting;
    while (dx_usb_walk_setting(&walk, &setting)) {
        if (setting.class_code != CLASS_COMMUNICATION || setting.subclass != subclass ||
            (device->is_for_interface && setting.interface != device->interface))
            continue;
        result = read_function(cdc, configuration, &setting, info, why);
        if (!result)
            break;
    }
    return result;
}

int
dx_cdc_find(struct dx_cdc *cdc, const struct dx_usb_device *device, uint8_t subclass, struct dx_nic_info *info,
            char why[256])
{
    int result = -ENOTSUP;
    const int most_other = device->is_for_interface ? 0 : 1;
    for (int is_other = 0; is_other <= most_other; is_other++) { // the one that is set comes first
        for (uint32_t i = 0; i < device->configuration_count; i++) {
            const struct dx_usb_configuration *const configuration = &device->configurations[i];
            const uint8_t value = dx_usb_configuration_value(configuration);
            if (!value || (value != device->configuration) != is_other)
                continue;
            const int error = find_in_configuration(cdc, device, configuration, subclass, info, why);
            if (!error)
                return 0;
            if (error == -EINVAL)
                result = error;
        }
    }
    if (result == -ENOTSUP)
        snprintf(why, 256, "no communication interface of subclass 0x%02x", subclass);
    return result;
}

/* ---- requests ---- */

int
dx_cdc_select(const struct dx_cdc *cdc, struct dx_usb_device *device, uint8_t alternate)
{
    const int error = dx_usb_set_interface(device, cdc->data, alternate);
    return error == -EPIPE && !cdc->alternate ? 0 : error;
}

int
dx_cdc_claim(const struct dx_cdc *cdc, struct dx_usb_device *device, char why[256])
{
    if (device->configuration != cdc->configuration) {
        const int error = dx_usb_set_configuration(device, cdc->configuration);
        if (error) {
            snprintf(why, 256, "configuration %u cannot be set: %s", cdc->configuration, strerror(-error));
            return error;
        }
    }
    int error = dx_usb_claim(device, cdc->control);
    if (!error && cdc->data != cdc->control) {
        error = dx_usb_claim(device, cdc->data);
        if (error)
            (void)dx_usb_release(device, cdc->control);
    }
    if (error)
        snprintf(why, 256, "interfaces %u and %u cannot be claimed: %s", cdc->control, cdc->data,
                 strerror(-error));
    return error;
}

void
dx_cdc_release(const struct dx_cdc *cdc, struct dx_usb_device *device)
{
    if (cdc->alternate)
        (void)dx_usb_set_interface(device, cdc->data, 0);
    if (cdc->data != cdc->control)
        (void)dx_usb_release(device, cdc->data);
    (void)dx_usb_release(device, cdc->control);
}

int
dx_cdc_get(const struct dx_cdc *cdc, struct dx_usb_device *device, uint8_t request, void *data, uint16_t length)
{
    const struct dx_usb_setup setup = {REQUEST_IN, request, 0, cdc->control, length};
    return dx_usb_control(device, &setup, data, DX_USB_CONTROL_TIMEOUT_MS);
}

int
dx_cdc_set(const struct dx_cdc *cdc, struct dx_usb_device *device, uint8_t request, uint16_t value, void *data,
           uint16_t length)
{
    const struct dx_usb_setup setup = {REQUEST_OUT, request, value, cdc->control, length};
    return dx_usb_control(device, &setup, data, DX_USB_CONTROL_TIMEOUT_MS);
}

static int
hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    const char lower = (char)(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Whether a text is the address of a station, in 12 hex digits. */
static bool
parse_mac(const char *text, int length, uint8_t ret_mac[6])
{
    if (length != 12)
        return false;
    for (int i = 0; i < 6; i++) {
        const int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret_mac[i] = (uint8_t)(high << 4 | low);
    }
    return dx_nic_mac_is_valid(ret_mac);
}

int
dx_cdc_read_mac(const struct dx_cdc *cdc, struct dx_usb_device *device, struct dx_nic_info *info)
{
    char text[32] = "";
    int length = cdc->mac_string ? dx_usb_read_string(device, cdc->mac_string, text, sizeof text) : 0;
    if (length < 0 && length != -EPIPE) // an answer that got lost must not make another device of it
        length = dx_usb_read_string(device, cdc->mac_string, text, sizeof text);
    if (length == -ENODEV)
        return length;
    info->is_mac_made_up = !parse_mac(text, length, info->mac);
    if (info->is_mac_made_up)
        dx_nic_make_mac(device, info->mac);
    return 0;
}

/* @return whether the device took the list; -ENODEV. */
static int
list_groups(const struct dx_cdc *cdc, struct dx_usb_device *device, const uint8_t (*groups)[6], uint32_t count)
{
    uint8_t list[MOST_LISTED][6];
    if (!count || count > cdc->filter_count || count > MOST_LISTED)
        return 0;
    memcpy(list, groups, count * sizeof list[0]);
    const uint16_t bytes = (uint16_t)(count * sizeof list[0]);
    const int result = dx_cdc_set(cdc, device, SET_MULTICAST_FILTERS, (uint16_t)count, list, bytes);
    return result < 0 ? (result == -ENODEV ? result : 0) : 1;
}

/*
 * All groups, also where it has taken a list: there are devices that take one and do not look at it, and others
 * that look at nothing else.
 */
int
dx_cdc_set_filter(const struct dx_cdc *cdc, struct dx_usb_device *device, const uint8_t (*groups)[6],
                  uint32_t count, bool is_all)
{
    const int listed = is_all ? 0 : list_groups(cdc, device, groups, count);
    if (listed < 0)
        return listed;
    const uint16_t filter =
        FILTER_DIRECTED | FILTER_BROADCAST | FILTER_ALL_GROUPS | (listed ? FILTER_LISTED_GROUPS : 0);
    return dx_cdc_set(cdc, device, SET_PACKET_FILTER, filter, NULL, 0) == -ENODEV ? -ENODEV : 0;
}

/* ---- link ---- */

/* relaxed: nobody else has it yet. */
void
dx_cdc_reset_link(struct dx_cdc *cdc)
{
    cdc->notification_bytes = 0;
    cdc->link_polls = 0;
    atomic_store_explicit(&cdc->connection, DX_CDC_UNTOLD, memory_order_relaxed);
    atomic_store_explicit(&cdc->megabits, 0, memory_order_relaxed);
}

/* Whether a packet is the beginning of a notification, also where the rest of another one is due. */
static DX_REALTIME bool
begins_notification(const uint8_t *data, uint32_t size)
{
    if (size < NOTIFICATION_HEAD || data[0] != NOTIFICATION)
        return false;
    const uint16_t more = get16(data + 6);
    return (data[1] == SPEED_CHANGE && more == SPEED_BYTES) ||
           ((data[1] == NETWORK_CONNECTION || data[1] == RESPONSE_AVAILABLE) && !more);
}

/* Puts a notification together that came in several packets. @return whether it is whole. */
static DX_REALTIME bool
join(struct dx_cdc *cdc, const uint8_t *data, uint32_t size)
{
    if (begins_notification(data, size))
        cdc->notification_bytes = 0;
    const uint32_t have = cdc->notification_bytes, room = sizeof cdc->notification - have;
    const uint32_t taken = size < room ? size : room;
    memcpy(cdc->notification + have, data, taken);
    cdc->notification_bytes += taken;
    if (cdc->notification[0] != NOTIFICATION) {
        cdc->notification_bytes = 0;
        return false;
    }
    if (cdc->notification_bytes < NOTIFICATION_HEAD)
        return false;
    const uint32_t more = cdc->notification[1] == SPEED_CHANGE ? SPEED_BYTES : 0;
    if (cdc->notification_bytes < NOTIFICATION_HEAD + more)
        return false;
    cdc->notification_bytes = 0;
    return true;
}

/* relaxed, here and in what calls it: the wire thread stores, the request thread loads each for itself. */
static DX_REALTIME void
read_link(const struct dx_cdc *cdc, bool is_up, struct dx_nic_link *link)
{
    *link = (struct dx_nic_link){
        .is_up = is_up,
        .is_full_duplex = true,
        .megabits = atomic_load_explicit(&cdc->megabits, memory_order_relaxed),
    };
}

bool
dx_cdc_notified(struct dx_cdc *cdc, const uint8_t *data, uint32_t size, struct dx_nic_link *link) DX_REALTIME
{
    if (!size || !join(cdc, data, size))
        return false;
    const uint32_t old_connection = atomic_load_explicit(&cdc->connection, memory_order_relaxed);
    const uint32_t old_megabits = atomic_load_explicit(&cdc->megabits, memory_order_relaxed);
    uint32_t connection = old_connection, megabits = old_megabits;
    if (cdc->notification[1] == NETWORK_CONNECTION)
        connection = get16(cdc->notification + 2) ? DX_CDC_UP : DX_CDC_DOWN;
    else if (cdc->notification[1] == SPEED_CHANGE)
        megabits = get32(cdc->notification + NOTIFICATION_HEAD) / 1000000;
    atomic_store_explicit(&cdc->connection, connection, memory_order_relaxed);
    atomic_store_explicit(&cdc->megabits, megabits, memory_order_relaxed);
    if (connection == DX_CDC_UNTOLD)
        return false; // of no link it makes no news
    read_link(cdc, connection == DX_CDC_UP, link);
    return connection != old_connection || megabits != old_megabits;
}

int
dx_cdc_poll_link(struct dx_cdc *cdc, struct dx_nic_link *link)
{
    const uint32_t connection = atomic_load_explicit(&cdc->connection, memory_order_relaxed);
    if (cdc->link_polls < 2)
        cdc->link_polls++;
    const bool is_late = cdc->link_polls > 1 || !cdc->tells_link;
    read_link(cdc, connection == DX_CDC_UP || (connection == DX_CDC_UNTOLD && is_late), link);
    return 0;
}
