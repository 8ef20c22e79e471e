// SPDX-License-Identifier: MIT
// What is the same for the sockets of our own stack and the kernel's: which groups, and who may share a port.

#include "backends/net/memberships.h"

#include "backends/net/wire.h"

#include <errno.h>

int
dx_memberships_check(const struct dx_memberships *memberships, uint32_t group, uint32_t source)
{
    uint32_t sources = 0;
    for (uint32_t i = 0; i < memberships->count; i++) {
        if (memberships->entries[i].group != group)
            continue;
        if (memberships->entries[i].source == source)
            return -EADDRINUSE;
        if (!memberships->entries[i].source || !source)
            return -EINVAL;
        sources++;
    }
    return memberships->count == DX_UDP_MAX_MEMBERSHIPS || sources == DX_UDP_MAX_SOURCES ? -ENOBUFS : 0;
}

void
dx_memberships_add(struct dx_memberships *memberships, uint32_t group, uint32_t source)
{
    memberships->entries[memberships->count].group = group;
    memberships->entries[memberships->count++].source = source;
}

bool
dx_memberships_remove(struct dx_memberships *memberships, uint32_t group, uint32_t source)
{
    for (uint32_t i = 0; i < memberships->count; i++) {
        if (memberships->entries[i].group != group || memberships->entries[i].source != source)
            continue;
        memberships->entries[i] = memberships->entries[--memberships->count];
        return true;
    }
    return false;
}

bool
dx_memberships_admit(const struct dx_memberships *memberships, uint32_t group, uint32_t source)
{
    for (uint32_t i = 0; i < memberships->count; i++)
        if (memberships->entries[i].group == group &&
            (!memberships->entries[i].source || memberships->entries[i].source == source))
            return true;
    return false;
}

bool
dx_udp_is_conflict(const struct dx_udp_config *a, const struct dx_udp_config *b)
{
    return a->port == b->port && !dx_ip_is_group(a->address) && !dx_ip_is_group(b->address);
}
