// SPDX-License-Identifier: MIT
// The lines that an ALSA pointer follows.

#include "backends/alsa/position.h"

#include "audio/client.h"

/* How long after a cycle is due its input is looked for. */
#define AFTER_CYCLE_NS 20000u
/* How long to wait at least before looking again for what should have come already. */
#define SHORTEST_PAUSE_NS 50000u

static uint64_t
floor_frame(double frame) DX_REALTIME
{
    return frame > 0.0 ? (uint64_t)frame : 0;
}

uint64_t
dx_alsa_find_playback_line(const struct dx_timeline_page *page, uint64_t now_ns) DX_REALTIME
{
    const uint64_t consumed = dx_client_find_consumed(page, now_ns);
    if (page->state != DX_TIMELINE_RUNNING)
        return consumed;
    const uint64_t on_time =
        floor_frame(dx_timeline_page_position(page, now_ns) + 2.0 * page->io_frames + page->output_safety);
    /* A cycle and a half late: hold the program, it loses nothing by it. */
    const uint64_t most = page->mixed_until + 2u * (uint64_t)page->io_frames;
    const uint64_t line = on_time < most ? on_time : most;
    return line > consumed ? line : consumed;
}

uint64_t
dx_alsa_find_capture_line(const struct dx_timeline_page *page, uint64_t ring_end, uint64_t now_ns) DX_REALTIME
{
    const uint64_t captured = dx_client_find_captured(page, now_ns);
    if (page->state != DX_TIMELINE_RUNNING)
        return captured;
    const uint64_t on_time =
        floor_frame(dx_timeline_page_position(page, now_ns) - (double)page->io_frames - page->input_safety);
    const uint64_t line = on_time < ring_end ? on_time : ring_end;
    return line > captured ? line : captured;
}

/* A time in the past means that a cycle is late: look again a quarter of a cycle later. */
static uint64_t
not_before_now(const struct dx_timeline_page *page, uint64_t when_ns, uint64_t now_ns) DX_REALTIME
{
    if (when_ns > now_ns)
        return when_ns;
    const uint64_t quarter = (uint64_t)(page->ns_per_frame * page->io_frames / 4.0);
    return now_ns + (quarter > SHORTEST_PAUSE_NS ? quarter : SHORTEST_PAUSE_NS);
}

uint64_t
dx_alsa_find_playback_ns(const struct dx_timeline_page *page, uint64_t frame, uint64_t now_ns) DX_REALTIME
{
    const double position = (double)frame - 2.0 * page->io_frames - page->output_safety;
    return not_before_now(page, dx_timeline_page_host_ns(page, position) + 1u, now_ns);
}

uint64_t
dx_alsa_find_capture_ns(const struct dx_timeline_page *page, uint64_t frame, uint64_t now_ns) DX_REALTIME
{
    const uint64_t n = page->io_frames;
    const uint64_t on_line =
        dx_timeline_page_host_ns(page, (double)frame + (double)n + page->input_safety) + 1u;
    /* The first cycle that reads up to it: less than N before, so only one that is due right then is waited for. */
    const uint64_t least = frame + page->input_safety;
    const uint64_t due = least + (page->cycle_frame % n + n - least % n) % n;
    const uint64_t after_cycle = dx_timeline_page_host_ns(page, (double)due) + AFTER_CYCLE_NS;
    return not_before_now(page, on_line > after_cycle ? on_line : after_cycle, now_ns);
}

uint64_t
dx_alsa_find_heard_ns(const struct dx_timeline_page *page, uint64_t frame, uint64_t now_ns) DX_REALTIME
{
    return not_before_now(page, dx_timeline_page_host_ns(page, (double)frame) + 1u, now_ns);
}
