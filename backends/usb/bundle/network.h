// SPDX-License-Identifier: MIT
// An adapter with a network stack on its wire thread, and one socket of a multicast group.

#ifndef DX_USB_BUNDLE_NETWORK_H
#define DX_USB_BUNDLE_NETWORK_H

#include "backends/net/stack.h"
#include "backends/usb/bundle/packets.h"
#include "backends/usb/bundle/settings.h"
#include "backends/usb/nic.h"

#include <dextral/usb.h>

struct network;

struct network_config {
    uint32_t group; // host byte order
    uint16_t port;
    struct settings_address address;
    struct packets *packets; // outlives the network
};

/**
 * Opens the adapter and joins the group. Blocks for half a second.
 *
 * @param fd    of usbfs; borrowed for the call.
 * @param port  that the device is plugged into.
 * @param info  of an interface: that one is taken, whatever else the device has.
 * @param why   a sentence on failure.
 * @return 0, or a negative errno value.
 */
int network_open(int fd, const char *port, const dx_usb_info *info, const struct network_config *config,
                 struct network **ret_network, char why[256]);

/** Leaves the group, and gives the adapter back. NULL is fine. */
void network_close(struct network *network);

/** Has the wire thread look at the packets: IO has begun. */
void network_wake(struct network *network);

/** What the adapter's thread lacks of being real-time: bits of dx_task_degraded(). */
unsigned network_degraded(const struct network *network);

/** The adapter's address, six bytes; and what it is called. Alive as long as the network. */
const uint8_t *network_mac(const struct network *network);
const char *network_chip(const struct network *network);

/** The IPv4 address that it has now, host byte order; 0: none.  Thread: any. */
uint32_t network_address(const struct network *network);

/** What the adapter counts.  Alive as long as the network. */
const struct dx_nic_counters *network_counters(const struct network *network);

/** What the stack above it counts.  Thread: any. */
void network_get_stack_counters(const struct network *network, struct dx_net_stack_counters *ret_counters);

#endif /* DX_USB_BUNDLE_NETWORK_H */
