// SPDX-License-Identifier: MIT
// The page that a device's engine writes and everybody may read: the timeline, and how each client's lane fares.

#ifndef DX_AUDIO_PAGE_H
#define DX_AUDIO_PAGE_H

#include "audio/timeline.h"
#include "core/pages.h"
#include "core/slots.h"

/*
 * One memfd for each incarnation of a device's driver: its host maps it, the supervisor seals it, readers map it
 * read-only.  Counters are 32 bits wide, so that a 32-bit reader needs no write access; 2^32 frames are a day.
 * Layout is fixed: sizes are the same for 32 and 64 bits.
 */
#define DX_DEVICE_PAGE_MAGIC 0x50584431u // "1DXP", little-endian
#define DX_DEVICE_PAGE_VERSION 1u
#define DX_DEVICE_PAGE_MEMBERS 1024u

/* What the engine counts for one client's lane. */
struct dx_member_counters {
    _Atomic uint32_t underrun_frames;
    _Atomic uint32_t limited_samples;
};

struct dx_device_page {
    uint32_t magic;
    uint32_t version;
    uint32_t size_bytes;   // of the whole page, in this version
    uint32_t member_count; // DX_DEVICE_PAGE_MEMBERS, in this version
    uint32_t incarnation;  // of the driver
    uint32_t reserved[11];
    _Alignas(64) _Atomic uint32_t timeline[DX_SLOTS_WORDS(sizeof(struct dx_timeline_page))];
    struct dx_member_counters members[DX_DEVICE_PAGE_MEMBERS];
};

/**
 * Makes a page in which device time goes on from `before`, or begins some time when its state is NONE.
 *
 * @param pages        keeps the memory; its descriptor is what others are handed.
 * @param incarnation  the numbers of publications begin at a place of their own for each, so that a copy made across a
 *                     change of drivers is never taken for a whole one.
 * @return 0, -ENOMEM, -EMFILE, -ENFILE.
 */
int dx_device_page_create(struct dx_pages *pages, uint32_t incarnation, const struct dx_timeline_page *before,
                          struct dx_device_page **ret_page);

/**
 * Checks a descriptor of another process's page and maps it read-only.
 *
 * @param fd  borrowed.
 * @param at  where to put it, in place of the page that is mapped there; NULL: anywhere.
 * @return 0; -EINVAL (no device page), -EPERM (not sealed), -EPROTO (of a version that this one does not know),
 *         -EBADF, -ENOMEM.
 */
int dx_device_page_map(int fd, const struct dx_device_page *at, const struct dx_device_page **ret_page);

/** Unmaps what dx_device_page_map() mapped; NULL is fine. */
void dx_device_page_unmap(const struct dx_device_page *page);

static inline struct dx_slots
dx_device_page_timeline(const struct dx_device_page *page)
{
    /* Slots have one view for reading and writing; who maps read-only never writes. */
    return (struct dx_slots){(_Atomic uint32_t *)(uintptr_t)page->timeline, sizeof(struct dx_timeline_page)};
}

#endif /* DX_AUDIO_PAGE_H */
