// SPDX-License-Identifier: MIT
// Network interfaces of this machine as the wire side of a model: what dx_usbip_serve() takes as wire_fd.

#ifndef DX_USB_MODEL_WIRE_H
#define DX_USB_MODEL_WIRE_H

#include <stdint.h>

/*
 * A descriptor brings one frame a read and takes one a write, without FCS, and never blocks. All return 0 or an
 * error, with a sentence in `why` (-ENAMETOOLONG: no interface has such a name); interfaces are made in the calling
 * thread's network name space and vanish with the descriptor (TAP) or with the name space (veth).
 */

/**
 * Moves this process to a network name space of its own, with `lo` alone. Where it may not, an own user name space
 * comes first, in which it is root: so an ordinary user can go on. The process must have one thread.
 */
int dx_model_wire_own_network(char why[256]);

/** A TAP interface, up. It needs /dev/net/tun, and the right to it. */
int dx_model_wire_tap(const char *interface, int *ret_fd, char why[256]);

/**
 * A pair of interfaces, both up: the machine's programs use `interface`, the descriptor is a packet socket on the
 * other end, `end`. What the kernel would leave to hardware is switched off by ethtool's requests: frames come
 * with their checksums, and no larger than the MTU.
 */
int dx_model_wire_veth(const char *interface, const char *end, int *ret_fd, char why[256]);

/** Gives an interface an IPv4 address, in host byte order. */
int dx_model_wire_set_address(const char *interface, uint32_t address, uint32_t prefix, char why[256]);

#endif /* DX_USB_MODEL_WIRE_H */
