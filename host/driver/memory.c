// SPDX-License-Identifier: MIT
// What is known of devices from before this process, and where it is written down for after it.

#include "audio/page.h"
#include "audio/recorder.h"
#include "core/sync.h"
#include "host/driver/state.h"
#include "host/protocol.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct remembered {
    struct remembered *next;
    struct dx_timeline_page before; // DX_TIMELINE_NONE: time begins with this process
    struct dx_pages recorder;       // all-zero: none
    char uid[];
};

/* Devices come on the drivers' queues, recorders on the control thread. */
struct dx_process_memory {
    struct dx_mutex lock;
    struct remembered *list;
};

/* ---- recorders ---- */

/* Maps a file of the supervisor's, in memory, and sees that it is a recorder. */
static bool
map_recorder(struct dx_process_job *job, int fd, struct dx_pages *ret_pages)
{
    const size_t bytes = dx_recorder_bytes();
    struct stat info;
    void *address = MAP_FAILED;
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size < (off_t)bytes) {
        (void)dx_process_job_fail(job, kIOReturnBadArgument, "the recorder: no descriptor of a file of %zu bytes",
                                  bytes);
        return false;
    }
    address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) {
        (void)dx_process_job_fail(job, kIOReturnNoMemory, "the recorder cannot be mapped: %s", strerror(errno));
        return false;
    }
    *ret_pages = (struct dx_pages){.address = address, .bytes = bytes, .fd = -1};
    ret_pages->locked = dx_pages_touch(address, bytes, true);
    if (dx_recorder_init(address, bytes))
        return true;
    (void)dx_process_job_fail(job, kIOReturnUnsupported, "the recorder is none that this version knows");
    dx_pages_finish(ret_pages);
    return false;
}

/* For a device that nobody knew of: the supervisor's is put in its place when that comes. */
static void
make_recorder(struct remembered *remembered)
{
    if (dx_pages_create("dextral-recorder", dx_recorder_bytes(), &remembered->recorder) < 0)
        return; // nothing is recorded then
    (void)dx_recorder_init(remembered->recorder.address,
                           remembered->recorder.bytes); // it is zeroed and large enough
}

/* ---- the list ---- */

static struct remembered *
find(const struct dx_process_memory *memory, const char *uid)
{
    struct remembered *remembered = memory->list;
    while (remembered && strcmp(remembered->uid, uid) != 0)
        remembered = remembered->next;
    return remembered;
}

static struct remembered *
add(struct dx_process_memory *memory, const char *uid)
{
    struct remembered *const remembered = calloc(1, sizeof *remembered + strlen(uid) + 1);
    if (!remembered)
        return NULL;
    strcpy(remembered->uid, uid);
    remembered->before.state = DX_TIMELINE_NONE;
    remembered->next = memory->list;
    memory->list = remembered;
    return remembered;
}

/* What cannot be true is as if nothing were known: time begins anew then. */
static void
read_line(const OSDictionary *item, struct dx_timeline_page *ret_before)
{
    double ns_per_frame = 0;
    if (!OSDictionaryGetObject(item, "frame") || !dx_wire_get_double(item, "ns-per-frame-f64", &ns_per_frame) ||
        !(ns_per_frame > 0))
        return;
    const struct dx_timeline_page before = {
        .state = DX_TIMELINE_STOPPED,
        .anchor_frame = dx_wire_get_number(item, "frame", 0),
        .anchor_host_ns = dx_wire_get_number(item, "host-ns", 0),
        .ns_per_frame = ns_per_frame,
        .rate_hz = 1e9 / ns_per_frame,
        .io_frames = 1, // until IO starts
        .ring_frames = 1,
    };
    if (dx_timeline_page_is_sane(&before))
        *ret_before = before;
}

static bool
read_item(struct dx_process_job *job, struct dx_process_memory *memory, const OSDictionary *item,
          const struct dx_message *message)
{
    const char *const uid = dx_wire_get_string(item, DX_KEY_UID);
    const uint64_t recorder = dx_wire_get_number(item, "recorder", DX_WIRE_MAX_FDS);
    if (!uid || find(memory, uid))
        return true;
    struct remembered *const remembered = add(memory, uid);
    if (!remembered)
        return false;
    read_line(item, &remembered->before);
    if (recorder < message->fd_count && !map_recorder(job, message->fds[recorder], &remembered->recorder)) {
        dx_process_log("%s: %s", uid, job->error.message);
        job->status = kIOReturnSuccess; // it runs as well without
        job->error.message[0] = '\0';
    }
    return true;
}

struct dx_process_memory *
dx_process_memory_create(struct dx_process_job *job, const struct dx_message *message)
{
    OSArray *const before = dx_wire_get_array(message->body, "before");
    struct dx_process_memory *const memory = calloc(1, sizeof *memory);
    if (!memory)
        return NULL;
    dx_mutex_init(&memory->lock, "recorders");
    for (size_t i = 0; before && i < OSArrayGetCount(before); i++) {
        const OSDictionary *const item = OSDynamicCast(OSDictionary, OSArrayGetObject(before, i));
        if (!item || read_item(job, memory, item, message))
            continue;
        dx_process_memory_destroy(memory);
        return NULL;
    }
    return memory;
}

void
dx_process_memory_destroy(struct dx_process_memory *memory)
{
    while (memory && memory->list) {
        struct remembered *const remembered = memory->list;
        memory->list = remembered->next;
        dx_pages_finish(&remembered->recorder);
        free(remembered);
    }
    free(memory);
}

void
dx_process_memory_find(void *context, const char *uid, struct dx_timeline_page *ret_before, void **ret_recorder)
{
    struct dx_process_memory *const memory = context;
    dx_mutex_lock(&memory->lock);
    struct remembered *remembered = find(memory, uid);
    if (!remembered && (remembered = add(memory, uid)))
        make_recorder(remembered);
    if (remembered && remembered->before.state != DX_TIMELINE_NONE)
        *ret_before = remembered->before;
    if (remembered && remembered->recorder.address)
        *ret_recorder = remembered->recorder.address;
    dx_mutex_unlock(&memory->lock);
}

/* Control thread. */
void
dx_process_record(struct dx_process_job *job, struct dx_message *message)
{
    struct dx_process_memory *const memory = job->process->memory;
    const char *const uid = dx_wire_get_string(job->arguments, DX_KEY_UID);
    const uint64_t index = dx_wire_get_number(job->arguments, "recorder", DX_WIRE_MAX_FDS);
    struct dx_pages pages;
    if (map_recorder(job, index < message->fd_count ? message->fds[index] : -1, &pages)) {
        dx_mutex_lock(&memory->lock);
        const struct remembered *const remembered = uid ? find(memory, uid) : NULL;
        /* In one step: an IO thread that records meanwhile does so into the one or the other. */
        const int r = remembered ? dx_pages_move(&pages, &remembered->recorder) : -ENOENT;
        dx_mutex_unlock(&memory->lock);
        if (r < 0) {
            dx_pages_finish(&pages);
            (void)dx_process_job_fail(job, kIOReturnNotFound, "no device of that UID has a place for a recorder");
        }
    }
    dx_process_job_end(job);
}
