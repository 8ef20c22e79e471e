// SPDX-License-Identifier: MIT
// Making a lane.

#include "audio/lane.h"

#include <errno.h>
#include <string.h>

static uint32_t
round_up_to_power_of_two(uint32_t value)
{
    return value <= 1u ? 1u : 1u << (32u - (uint32_t)__builtin_clz(value - 1u));
}

static void
set_views(struct dx_lane *lane)
{
    struct dx_lane_head *const head = lane->pages.address;
    lane->slots = (struct dx_slots){head->words, sizeof(struct dx_lane_state)};
    lane->data = (uint8_t *)lane->pages.address + DX_LANE_DATA_OFFSET;
}

int
dx_lane_create(struct dx_lane *lane, const char *name, uint32_t min_frames, uint32_t bytes_per_frame)
{
    memset(lane, 0, sizeof *lane);
    if (!min_frames || min_frames > (1u << 26) || !bytes_per_frame || bytes_per_frame > (1u << 16))
        return -EINVAL;
    const uint32_t ring_frames = round_up_to_power_of_two(min_frames);
    const size_t bytes = DX_LANE_DATA_OFFSET + (size_t)ring_frames * bytes_per_frame;
    if (bytes > DX_LANE_MAX_BYTES)
        return -EINVAL;

    const int r = dx_pages_create(name, bytes, &lane->pages);
    if (r < 0)
        return r;
    struct dx_lane_head *const head = lane->pages.address;
    head->magic = DX_LANE_MAGIC;
    head->version = DX_LANE_VERSION;
    head->size_bytes = (uint32_t)bytes;
    head->ring_frames = ring_frames;
    head->bytes_per_frame = bytes_per_frame;
    set_views(lane);
    lane->ring_frames = ring_frames;
    lane->bytes_per_frame = bytes_per_frame;

    const struct dx_lane_state nothing = {.epoch = 0};
    dx_lane_publish(lane, &nothing);
    return 0;
}

/* The head, read once and checked: what it says is never read again. */
static int
check_head(const struct dx_lane_head *head, uint64_t bytes, struct dx_lane *lane)
{
    const uint32_t size_bytes = head->size_bytes;
    lane->ring_frames = head->ring_frames;
    lane->bytes_per_frame = head->bytes_per_frame;
    if (head->magic != DX_LANE_MAGIC)
        return -EINVAL;
    if (head->version != DX_LANE_VERSION)
        return -EPROTO;
    if (!lane->ring_frames || lane->ring_frames > (1u << 26) || (lane->ring_frames & (lane->ring_frames - 1u)) ||
        !lane->bytes_per_frame || lane->bytes_per_frame > (1u << 16))
        return -EINVAL;
    if (size_bytes != DX_LANE_DATA_OFFSET + (uint64_t)lane->ring_frames * lane->bytes_per_frame || size_bytes > bytes)
        return -EINVAL;
    return 0;
}

int
dx_lane_open(int fd, const struct dx_lane *at, struct dx_lane *ret_lane)
{
    uint64_t bytes;
    int r = dx_pages_check(fd, &bytes);
    if (r < 0)
        return r;
    if (bytes < DX_LANE_DATA_OFFSET || bytes > DX_LANE_MAX_BYTES + DX_LANE_DATA_OFFSET)
        return -EINVAL;
    struct dx_lane lane = {.ring_frames = 0};
    r = dx_pages_map_readonly(fd, bytes, &lane.pages);
    if (r < 0)
        return r;
    r = check_head(lane.pages.address, bytes, &lane);
    if (r == 0 && at &&
        (lane.pages.bytes != at->pages.bytes || lane.ring_frames != at->ring_frames ||
         lane.bytes_per_frame != at->bytes_per_frame))
        r = -ESTALE;
    if (r == 0 && at)
        r = dx_pages_move(&lane.pages, &at->pages);
    if (r < 0) {
        dx_pages_finish(&lane.pages);
        return r;
    }
    set_views(&lane);
    *ret_lane = lane;
    return 0;
}

void
dx_lane_finish(struct dx_lane *lane)
{
    dx_pages_finish(&lane->pages);
    memset(lane, 0, sizeof *lane);
}
