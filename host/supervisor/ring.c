// SPDX-License-Identifier: MIT
// Input rings of drivers: who has which, and how much that is.

#include "host/supervisor/ring.h"

#include "audio/lane.h"
#include "host/error.h"
#include "host/supervisor/listing.h"
#include "host/supervisor/memory.h"
#include "host/supervisor/unit.h"

#include <stdlib.h>
#include <sys/stat.h>

/* Of one driver, in the hands of programs.  All clients of a stream have the same ring. */
#define MAX_RINGS 1024u
#define MAX_RING_BYTES (4 * (uint64_t)DX_LANE_MAX_BYTES)

struct dx_ring {
    struct dx_ring *next;
    ino_t number; // all memfds are of one file system
    uint64_t bytes;
    uint32_t session_count;
};

static kern_return_t
check_room(const struct dx_unit *unit, uint64_t bytes, dx_error *error)
{
    uint32_t count = 0;
    uint64_t sum_bytes = bytes;
    for (const struct dx_ring *ring = unit->rings; ring; ring = ring->next) {
        count++;
        sum_bytes += ring->bytes;
    }
    if (count >= MAX_RINGS)
        return dx_error_set(error, kIOReturnNoResources,
                            "its driver has %u input rings in the hands of programs, and no more are allowed",
                            count);
    if (sum_bytes > MAX_RING_BYTES)
        return dx_error_set(error, kIOReturnNoResources,
                            "its driver's input rings would take %llu MiB, and %llu are allowed",
                            (unsigned long long)(sum_bytes >> 20), (unsigned long long)(MAX_RING_BYTES >> 20));
    return kIOReturnSuccess;
}

static kern_return_t
find_ring(struct dx_unit *unit, int fd, struct dx_ring **ret_ring, dx_error *error)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return dx_error_set(error, kIOReturnNoResources, "the input ring cannot be looked at");
    for (struct dx_ring *ring = unit->rings; ring; ring = ring->next) {
        if (ring->number == status.st_ino) {
            *ret_ring = ring;
            return kIOReturnSuccess;
        }
    }
    const kern_return_t room = check_room(unit, (uint64_t)status.st_size, error);
    if (room != kIOReturnSuccess)
        return room;
    struct dx_ring *const ring = calloc(1, sizeof *ring);
    if (!ring)
        return dx_error_set(error, kIOReturnNoMemory, "no memory for an input ring");
    *ring = (struct dx_ring){.next = unit->rings, .number = status.st_ino, .bytes = (uint64_t)status.st_size};
    unit->rings = ring;
    *ret_ring = ring;
    return kIOReturnSuccess;
}

kern_return_t
dx_session_take_ring(struct dx_session *session, int fd, int *ret_fd, dx_error *error)
{
    struct dx_ring *ring = NULL;
    kern_return_t status = dx_memory_seal(fd, "input ring", DX_LANE_MAX_BYTES, error);
    if (status == kIOReturnSuccess)
        status = find_ring(session->listing->unit, fd, &ring, error);
    if (status != kIOReturnSuccess)
        return status;
    ring->session_count++;
    dx_session_drop_ring(session);
    session->ring = ring;
    *ret_fd = dx_memory_reopen(fd);
    if (*ret_fd >= 0)
        return kIOReturnSuccess;
    dx_session_drop_ring(session);
    return dx_error_set(error, kIOReturnNoResources, "no descriptor for the input ring");
}

void
dx_session_drop_ring(struct dx_session *session)
{
    struct dx_ring *const ring = session->ring;
    session->ring = NULL;
    if (!ring || --ring->session_count > 0)
        return;
    for (struct dx_ring **at = &session->listing->unit->rings; *at; at = &(*at)->next) {
        if (*at == ring) {
            *at = ring->next;
            free(ring);
            return;
        }
    }
}
