// SPDX-License-Identifier: MIT
// A device without a driver: its time goes on, and nothing comes from it.

#include "host/supervisor/listing.h"

#include "audio/recorder.h"
#include "audio/timeline.h"
#include "host/describe.h"
#include "host/supervisor/memory.h"
#include "host/supervisor/session.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RING_FRAMES 8192u
#define RATE_FALLBACK_HZ 48000.0 // where nothing is known of the device, as the two below
#define IO_FRAMES_FALLBACK 512u
#define DEVICE_RING_FRAMES_FALLBACK 16384u
#define MOST_FRAMES (UINT64_MAX >> 2)

/* What a recorder tells may be anything: as a line only what can be one, and began before now. */
static bool
read_recorded_line(const struct dx_listing *listing, struct dx_timeline_page *ret_line)
{
    size_t bytes = 0;
    void *const recording = dx_listing_read_recording(listing, &bytes);
    struct dx_timeline_page line = {.state = DX_TIMELINE_STOPPED};
    const bool is_there =
        recording &&
        dx_recording_line(recording, bytes, &line.anchor_frame, &line.anchor_host_ns, &line.ns_per_frame) &&
        line.anchor_host_ns <= dx_now_ns() && line.anchor_frame < MOST_FRAMES && line.ns_per_frame >= 1.0 &&
        line.ns_per_frame <= 1e10;
    free(recording);
    if (is_there)
        *ret_line = line;
    return is_there;
}

static bool
read_page_line(const struct dx_device_page *page, struct dx_timeline_page *ret_line)
{
    const struct dx_slots slots = dx_device_page_timeline(page);
    struct dx_timeline_page line;
    if (!dx_slots_read(&slots, &line) || !dx_timeline_page_is_sane(&line) || line.state == DX_TIMELINE_NONE)
        return false;
    *ret_line = line;
    return true;
}

void
dx_listing_keep_line(struct dx_listing *listing)
{
    const struct dx_device_page *page = NULL;
    if (listing->page_fd < 0 || dx_device_page_map(listing->page_fd, NULL, &page) < 0)
        return;
    (void)read_page_line(page, &listing->last_line); // else the one of before stays
    dx_device_page_unmap(page);
}

/* Whatever a client has seen, time does not go back: the line that is further counts. */
static void
choose_line(struct dx_timeline_page *chosen, const struct dx_timeline_page *line, uint64_t now_ns)
{
    if (chosen->state == DX_TIMELINE_NONE ||
        dx_timeline_page_position(line, now_ns) > dx_timeline_page_position(chosen, now_ns))
        *chosen = *line;
}

bool
dx_listing_get_line(const struct dx_listing *listing, struct dx_timeline_page *ret_line)
{
    const uint64_t now_ns = dx_now_ns();
    struct dx_timeline_page chosen = listing->last_line;
    struct dx_timeline_page line;
    if (read_recorded_line(listing, &line))
        choose_line(&chosen, &line, now_ns);
    if (listing->page.address && read_page_line(listing->page.address, &line))
        choose_line(&chosen, &line, now_ns);
    if (chosen.state == DX_TIMELINE_NONE)
        return false;
    *ret_line = chosen;
    return true;
}

/* The line from now on, at the nominal rate. */
static bool
make_line(const struct dx_listing *listing, struct dx_timeline_page *ret_line)
{
    dx_device_info *const info = calloc(1, sizeof *info);
    if (!info)
        return false;
    if (!listing->brief || dx_description_get_info(listing->brief, info) != kIOReturnSuccess)
        memset(info, 0, sizeof *info);
    const bool is_shaped = info->io_frames > 0 && info->io_frames <= info->ring_frames;
    const double rate_hz = info->sample_rate_hz > 0.0 ? info->sample_rate_hz : RATE_FALLBACK_HZ;
    struct dx_timeline_page before;
    const uint64_t now_ns = dx_now_ns();
    const bool is_known = dx_listing_get_line(listing, &before);
    *ret_line = (struct dx_timeline_page){
        .epoch = 1,
        .state = DX_TIMELINE_STOPPED,
        .anchor_frame = is_known ? (uint64_t)ceil(dx_timeline_page_position(&before, now_ns)) : 0,
        .anchor_host_ns = now_ns,
        .ns_per_frame = 1e9 / rate_hz,
        .rate_hz = rate_hz,
        .io_frames = is_shaped ? info->io_frames : IO_FRAMES_FALLBACK,
        .ring_frames = is_shaped ? info->ring_frames : DEVICE_RING_FRAMES_FALLBACK,
        .input_safety = info->input_safety_frames,
        .output_safety = info->output_safety_frames,
        .late_tolerance = info->late_tolerance_frames,
    };
    ret_line->cycle_frame = ret_line->anchor_frame;
    ret_line->mixed_until = ret_line->anchor_frame;
    free(info);
    return true;
}

static kern_return_t
as_return(int r)
{
    return r == 0 ? kIOReturnSuccess : r == -ENOMEM ? kIOReturnNoMemory : kIOReturnNoResources;
}

static kern_return_t
make_page(struct dx_listing *listing)
{
    struct dx_timeline_page line;
    struct dx_device_page *page;
    if (!make_line(listing, &line))
        return kIOReturnNoMemory;
    const uint32_t incarnation = ++listing->supervisor->incarnation;
    const int r = dx_device_page_create(&listing->page, incarnation, &line, &page);
    if (r < 0)
        return as_return(r);
    const kern_return_t status = dx_memory_seal(listing->page.fd, "device page", DX_LANE_MAX_BYTES, NULL);
    if (status != kIOReturnSuccess)
        dx_pages_finish(&listing->page);
    listing->page_incarnation = incarnation;
    return status;
}

kern_return_t
dx_listing_open_page(struct dx_listing *listing, int *ret_fd, uint32_t *ret_incarnation)
{
    const kern_return_t status = listing->page.address ? kIOReturnSuccess : make_page(listing);
    if (status != kIOReturnSuccess)
        return status;
    const int fd = dx_memory_reopen(listing->page.fd);
    if (fd < 0)
        return kIOReturnNoResources;
    *ret_fd = fd;
    *ret_incarnation = listing->page_incarnation;
    return kIOReturnSuccess;
}

static uint32_t
find_input_bytes_per_frame(const struct dx_listing *listing, uint32_t input)
{
    dx_device_info *const info = calloc(1, sizeof *info);
    uint32_t bytes = 0;
    if (info && listing->brief && dx_description_get_info(listing->brief, info) == kIOReturnSuccess &&
        input < info->input_streams)
        bytes = info->inputs[input].client.mBytesPerFrame;
    free(info);
    return bytes;
}

static kern_return_t
make_ring(struct dx_listing *listing, uint32_t input)
{
    const uint32_t bytes_per_frame = find_input_bytes_per_frame(listing, input);
    struct dx_lane *const ring = bytes_per_frame ? calloc(1, sizeof *ring) : NULL;
    if (!ring)
        return bytes_per_frame ? kIOReturnNoMemory : kIOReturnBadArgument;
    const int r = dx_lane_create(ring, "dextral-input", RING_FRAMES, bytes_per_frame);
    kern_return_t status = as_return(r);
    if (r == 0)
        status = dx_memory_seal(ring->pages.fd, "input ring", DX_LANE_MAX_BYTES, NULL);
    if (status != kIOReturnSuccess) {
        dx_lane_finish(ring);
        free(ring);
        return status;
    }
    listing->rings[input] = ring;
    return kIOReturnSuccess;
}

kern_return_t
dx_listing_open_ring(struct dx_listing *listing, uint32_t input, int *ret_fd)
{
    const kern_return_t status = listing->rings[input] ? kIOReturnSuccess : make_ring(listing, input);
    if (status != kIOReturnSuccess)
        return status;
    const int fd = dx_memory_reopen(listing->rings[input]->pages.fd);
    if (fd < 0)
        return kIOReturnNoResources;
    *ret_fd = fd;
    return kIOReturnSuccess;
}

void
dx_listing_close_alone(struct dx_listing *listing)
{
    dx_pages_finish(&listing->page);
    for (uint32_t i = 0; i < DX_MAX_STREAMS; i++) {
        if (listing->rings[i])
            dx_lane_finish(listing->rings[i]);
        free(listing->rings[i]);
        listing->rings[i] = NULL;
    }
}

void
dx_listing_check_alone(struct dx_listing *listing)
{
    for (const struct dx_session *session = listing->supervisor->sessions; session; session = session->next)
        if (session->listing == listing && session->join != DX_JOIN_DONE)
            return;
    if (listing->has_driver || listing->session_count == 0)
        dx_listing_close_alone(listing);
}
