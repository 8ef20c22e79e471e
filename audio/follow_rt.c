// SPDX-License-Identifier: MIT
// Reading the timeline of a device that a driver follows.

#include "audio/follow.h"
#include "audio/handle.h"
#include "core/clock.h"

/* NULL while nobody has put one in. */
static const struct dx_device_page *
find_page(const dx_followed *followed) DX_REALTIME
{
    if (followed->device)
        return followed->device->page;
    /* acquire: pairs with the release in dx_follow_put_page(). */
    return atomic_load_explicit(&followed->slot->page, memory_order_acquire);
}

bool
dx_followed_read(dx_followed *followed, dx_followed_time *time) DX_REALTIME
{
    const struct dx_device_page *const page = followed ? find_page(followed) : NULL;
    if (!page || !time || time->size < sizeof *time)
        return false;
    const struct dx_slots slots = dx_device_page_timeline(page);
    struct dx_timeline_page line;
    if (dx_slots_read(&slots, &line) && dx_timeline_page_is_sane(&line))
        followed->last = line;
    const struct dx_timeline_page *const last = &followed->last;
    if (last->state == DX_TIMELINE_NONE)
        return false;

    const double ticks_per_ns = (double)dx_clock_ticks_from_ns(followed->clock, 1000000000) / 1e9;
    *time = (dx_followed_time){
        .size = time->size,
        .epoch = last->epoch,
        .is_running = last->state == DX_TIMELINE_RUNNING,
        .frame = last->anchor_frame,
        .host_time = dx_clock_ticks_from_ns(followed->clock, last->anchor_host_ns),
        .host_ticks_per_frame = last->ns_per_frame * ticks_per_ns,
        .sample_rate_hz = last->rate_hz,
    };
    return true;
}
