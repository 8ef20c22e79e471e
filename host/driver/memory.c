// SPDX-License-Identifier: MIT
// Where the time of devices goes on that were there before this process.

#include "audio/page.h"
#include "host/driver/state.h"
#include "host/protocol.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct line {
    char *uid;
    bool has_line;
    uint64_t frame;
    uint64_t host_ns;
    double ns_per_frame;
};

struct dx_process_memory {
    size_t count;
    struct line lines[];
};

/* What cannot be true is as if nothing were known: time then begins anew. */
static bool
read_line(const OSDictionary *item, struct line *line)
{
    const char *const uid = dx_wire_get_string(item, DX_KEY_UID);
    line->uid = uid ? strdup(uid) : NULL;
    if (!line->uid)
        return !uid;
    line->frame = dx_wire_get_number(item, "frame", 0);
    line->host_ns = dx_wire_get_number(item, "host-ns", 0);
    line->has_line = OSDictionaryGetObject(item, "frame") && OSDictionaryGetObject(item, "host-ns") &&
                     dx_wire_get_double(item, "ns-per-frame-f64", &line->ns_per_frame) &&
                     isfinite(line->ns_per_frame) && line->ns_per_frame > 0;
    return true;
}

struct dx_process_memory *
dx_process_memory_create(const OSDictionary *load, struct dx_message *message)
{
    (void)message;
    OSArray *const before = dx_wire_get_array(load, "before");
    const size_t count = before ? OSArrayGetCount(before) : 0;
    struct dx_process_memory *const memory = calloc(1, sizeof *memory + count * sizeof memory->lines[0]);
    bool done = memory;
    for (size_t i = 0; done && i < count; i++) {
        const OSDictionary *const item = OSDynamicCast(OSDictionary, OSArrayGetObject(before, i));
        done = !item || read_line(item, &memory->lines[memory->count++]);
    }
    if (!done) {
        dx_process_memory_destroy(memory);
        return NULL;
    }
    return memory;
}

void
dx_process_memory_destroy(struct dx_process_memory *memory)
{
    for (size_t i = 0; memory && i < memory->count; i++)
        free(memory->lines[i].uid);
    free(memory);
}

void
dx_process_memory_find(void *context, const char *uid, struct dx_timeline_page *ret_before, void **ret_recorder)
{
    (void)ret_recorder;
    const struct dx_process_memory *const memory = context;
    for (size_t i = 0; i < memory->count; i++) {
        const struct line *const line = &memory->lines[i];
        if (!line->uid || !line->has_line || strcmp(line->uid, uid) != 0)
            continue;
        const struct dx_timeline_page before = {
            .state = DX_TIMELINE_STOPPED,
            .anchor_frame = line->frame,
            .anchor_host_ns = line->host_ns,
            .ns_per_frame = line->ns_per_frame,
            .rate_hz = 1e9 / line->ns_per_frame,
            .io_frames = 1, // until IO starts
            .ring_frames = 1,
        };
        if (dx_timeline_page_is_sane(&before))
            *ret_before = before;
    }
}
