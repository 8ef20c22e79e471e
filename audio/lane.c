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
    lane->slots = (struct dx_slots){head->words, sizeof(struct dx_lane_state)};
    lane->data = (uint8_t *)lane->pages.address + DX_LANE_DATA_OFFSET;
    lane->ring_frames = ring_frames;
    lane->bytes_per_frame = bytes_per_frame;

    const struct dx_lane_state nothing = {.epoch = 0};
    dx_lane_publish(lane, &nothing);
    return 0;
}

void
dx_lane_finish(struct dx_lane *lane)
{
    dx_pages_finish(&lane->pages);
    memset(lane, 0, sizeof *lane);
}
