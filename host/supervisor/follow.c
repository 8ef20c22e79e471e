// SPDX-License-Identifier: MIT
// Devices that follow the timeline of a device of another driver process.

#include "host/protocol.h"
#include "host/supervisor/listing.h"
#include "host/supervisor/unit.h"

#include <unistd.h>

#define MAX_FOLLOWED 256u // by one driver

static size_t
find_followed(const struct dx_unit *unit, const char *uid)
{
    const size_t count = unit->follows ? OSArrayGetCount(unit->follows) : 0;
    for (size_t i = 0; i < count; i++)
        if (OSStringIsEqualToCString(OSArrayGetObject(unit->follows, i), uid))
            return i;
    return SIZE_MAX;
}

static void
send_page(struct dx_unit *unit, const char *uid, int page_fd)
{
    OSDictionary *const event = dx_event_create(DX_EVENT_FOLLOWED);
    if (event && unit->channel && OSDictionarySetStringValue(event, DX_KEY_UID, uid) &&
        OSDictionarySetUInt64Value(event, "page", 0))
        (void)dx_channel_send(unit->channel, event, &page_fd, 1);
    OSObjectRelease(event);
}

static void
tell_follower(struct dx_unit *unit, struct dx_listing *listing)
{
    uint32_t incarnation;
    int page_fd = -1;
    if (listing->page_fd >= 0) {
        send_page(unit, listing->uid, listing->page_fd);
    } else if (dx_listing_open_page(listing, &page_fd, &incarnation) == kIOReturnSuccess) {
        send_page(unit, listing->uid, page_fd);
        close(page_fd);
    }
}

void
dx_listing_tell_followers(struct dx_listing *listing)
{
    for (struct dx_unit *unit = listing->supervisor->units; unit; unit = unit->next)
        if (find_followed(unit, listing->uid) != SIZE_MAX)
            tell_follower(unit, listing);
}

void
dx_unit_follow(struct dx_unit *unit, const char *uid, bool is_wanted)
{
    const size_t at = find_followed(unit, uid);
    if (!is_wanted) {
        if (at != SIZE_MAX)
            OSArrayRemoveObject(unit->follows, at);
        return;
    }
    if (at != SIZE_MAX || (unit->follows && OSArrayGetCount(unit->follows) >= MAX_FOLLOWED))
        return;
    OSString *const string = OSStringCreate(uid);
    if (!unit->follows)
        unit->follows = OSArrayCreate(1);
    const bool done = string && unit->follows && OSArraySetObject(unit->follows, string);
    OSObjectRelease(string);
    struct dx_listing *const listing = done ? dx_listing_find(unit->supervisor, uid) : NULL;
    if (listing)
        tell_follower(unit, listing);
}
