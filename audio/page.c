// SPDX-License-Identifier: MIT
// Making and mapping a device's page.

#include "audio/page.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Publications of one incarnation: more would run into the next one's, which readers survive all the same. */
#define PUBLICATIONS_SHIFT 24u

int
dx_device_page_create(struct dx_pages *pages, uint32_t incarnation, const struct dx_timeline_page *before,
                      struct dx_device_page **ret_page)
{
    const int r = dx_pages_create("dextral-device", sizeof(struct dx_device_page), pages);
    if (r < 0)
        return r;
    struct dx_device_page *const page = pages->address;
    page->magic = DX_DEVICE_PAGE_MAGIC;
    page->version = DX_DEVICE_PAGE_VERSION;
    page->size_bytes = sizeof *page;
    page->member_count = DX_DEVICE_PAGE_MEMBERS;
    page->incarnation = incarnation;
    /* relaxed: nobody else has the page yet. */
    atomic_store_explicit(&page->timeline[0], incarnation << PUBLICATIONS_SHIFT, memory_order_relaxed);

    struct dx_timeline_page line = *before;
    if (line.state != DX_TIMELINE_NONE)
        line.state = DX_TIMELINE_STOPPED;
    const struct dx_slots slots = dx_device_page_timeline(page);
    dx_slots_write(&slots, &line);
    *ret_page = page;
    return 0;
}

static int
check_page(const struct dx_device_page *page, uint64_t bytes)
{
    if (page->magic != DX_DEVICE_PAGE_MAGIC)
        return -EINVAL;
    if (page->version != DX_DEVICE_PAGE_VERSION)
        return -EPROTO;
    /* A later minor version may have more behind what is known here. */
    if (page->size_bytes < sizeof *page || page->size_bytes > bytes || page->member_count < DX_DEVICE_PAGE_MEMBERS)
        return -EINVAL;
    return 0;
}

int
dx_device_page_map(int fd, const struct dx_device_page *at, const struct dx_device_page **ret_page)
{
    uint64_t bytes;
    int r = dx_pages_check(fd, &bytes);
    if (r < 0)
        return r;
    /* Mapped elsewhere first, so that a page that is refused takes nothing away. */
    struct dx_pages pages = {.fd = -1};
    r = dx_pages_map_readonly(fd, sizeof(struct dx_device_page), &pages);
    if (r < 0)
        return r;
    r = check_page(pages.address, bytes);
    if (r == 0 && at) {
        const struct dx_pages place = {.address = (void *)(uintptr_t)at, .bytes = sizeof *at, .fd = -1};
        r = dx_pages_move(&pages, &place);
    }
    if (r < 0) {
        dx_pages_finish(&pages);
        return r;
    }
    *ret_page = pages.address;
    return 0;
}

void
dx_device_page_unmap(const struct dx_device_page *page)
{
    if (page)
        (void)munmap((void *)(uintptr_t)page, sizeof *page);
}
