// SPDX-License-Identifier: MIT
// Memory that another process made: a device page and an input ring, as a program maps them.  Whatever is in it,
// what is accepted can be read to its end.
//
// The first byte says what it is taken for, the second how many pages of memory there are; the rest is what it
// begins with.

#include "audio/lane.h"
#include "audio/page.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_BYTES 4096u
#define MOST_PAGES 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
create_memory(const uint8_t *data, size_t size, unsigned pages)
{
    const int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    const size_t bytes = (size_t)pages * PAGE_BYTES;
    const size_t given = size < bytes ? size : bytes;
    if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0 || pwrite(fd, data, given, 0) != (ssize_t)given ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE) != 0)
        abort();
    return fd;
}

static void
read_lane(const struct dx_lane *lane)
{
    struct dx_lane_state known = {.epoch = 0};
    if (!dx_lane_read_state(lane, &known))
        return;
    const uint32_t frames = lane->ring_frames < 1024u ? lane->ring_frames : 1024u;
    uint8_t *const copy = malloc((size_t)frames * lane->bytes_per_frame);
    if (!copy)
        abort();
    (void)dx_lane_copy(lane, &known, known.base + known.begin, frames, copy);
    (void)dx_lane_copy(lane, &known, known.base + known.end - frames, frames, copy);
    free(copy);
    volatile uint8_t last = lane->data[(size_t)lane->ring_frames * lane->bytes_per_frame - 1u]; // it is there
    (void)last;
}

static void
try_lane(int fd)
{
    struct dx_lane good, lane;
    if (dx_lane_create(&good, "good", 64, 4) < 0)
        abort();
    if (dx_lane_open(good.pages.fd, NULL, &lane) < 0)
        abort();
    struct dx_lane mapped;
    if (dx_lane_open(fd, NULL, &mapped) == 0) {
        read_lane(&mapped);
        dx_lane_finish(&mapped);
    }
    struct dx_lane replaced; // in the place of another one, which stays where this one is refused
    if (dx_lane_open(fd, &lane, &replaced) == 0 && replaced.data != lane.data)
        abort();
    read_lane(&lane);
    dx_lane_finish(&lane);
    dx_lane_finish(&good);
}

static void
read_page(const struct dx_device_page *page)
{
    struct dx_timeline_page line;
    const struct dx_slots slots = dx_device_page_timeline(page);
    if (dx_slots_read(&slots, &line) && dx_timeline_page_is_sane(&line))
        (void)dx_timeline_page_host_ns(&line, dx_timeline_page_position(&line, UINT64_C(1) << 40));
    /* The last counter is there. */
    (void)atomic_load_explicit(&page->members[DX_DEVICE_PAGE_MEMBERS - 1u].limited_samples, memory_order_relaxed);
}

static void
try_page(int fd)
{
    const size_t bytes = (sizeof(struct dx_device_page) + PAGE_BYTES - 1u) / PAGE_BYTES * PAGE_BYTES;
    const struct dx_device_page *const place = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const struct dx_device_page *page = NULL;
    if (place == MAP_FAILED)
        abort();
    if (dx_device_page_map(fd, place, &page) == 0 && page != place)
        abort();
    read_page(place); // what was mapped, or the empty one
    dx_device_page_unmap(place);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const int fd = create_memory(data + 2, size - 2, 1u + data[1] % MOST_PAGES);
    if (data[0] & 1u)
        try_page(fd);
    else
        try_lane(fd);
    close(fd);
    return 0;
}
