// SPDX-License-Identifier: MIT
// What is the same for the sockets of our own stack and the kernel's: which groups, and who may share a port.

#ifndef DX_NET_MEMBERSHIPS_H
#define DX_NET_MEMBERSHIPS_H

#include "backends/net/udp.h"

/* The groups of one socket, each with a source, or 0: any. */
struct dx_memberships {
    uint32_t count;
    struct {
        uint32_t group, source;
    } entries[DX_UDP_MAX_MEMBERSHIPS];
};

/** @return what dx_udp_join() does; the list is as it was. */
int dx_memberships_check(const struct dx_memberships *memberships, uint32_t group, uint32_t source);

/** Adds what dx_memberships_check() has let through. */
void dx_memberships_add(struct dx_memberships *memberships, uint32_t group, uint32_t source);

/** @return false if it is not there. */
bool dx_memberships_remove(struct dx_memberships *memberships, uint32_t group, uint32_t source);

/** Whether what a source sends to a group is for the socket. */
bool dx_memberships_admit(const struct dx_memberships *memberships, uint32_t group, uint32_t source);

/** Whether two sockets cannot both have their port. */
bool dx_udp_is_conflict(const struct dx_udp_config *a, const struct dx_udp_config *b);

#endif /* DX_NET_MEMBERSHIPS_H */
