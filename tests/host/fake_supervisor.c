// SPDX-License-Identifier: MIT
// A supervisor for tests.

#include "tests/host/fake_supervisor.h"

#include "core/clock.h"
#include "host/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

void
fake_lock(struct fake_supervisor *fake)
{
    CHECK(pthread_mutex_lock(&fake->lock) == 0);
}

void
fake_unlock(struct fake_supervisor *fake)
{
    CHECK(pthread_mutex_unlock(&fake->lock) == 0);
}

static void
set_number(OSDictionary *to, const char *key, uint64_t value)
{
    CHECK(OSDictionarySetUInt64Value(to, key, value));
}

/* ---- devices ---- */

static OSDictionary *
create_format(uint32_t channels, uint32_t flags, uint32_t sample_bytes)
{
    OSDictionary *const format = OSDictionaryCreate(8);
    CHECK(dx_wire_set_double(format, "rate-f64", 48000.0));
    set_number(format, "id", DX_FOURCC('l', 'p', 'c', 'm'));
    set_number(format, "flags", flags);
    set_number(format, "bytes-per-packet", channels * sample_bytes);
    set_number(format, "frames-per-packet", 1);
    set_number(format, "bytes-per-frame", channels * sample_bytes);
    set_number(format, "channels", channels);
    set_number(format, "bits", sample_bytes * 8);
    return format;
}

OSDictionary *
fake_stream(uint32_t channels, bool is_mixable)
{
    /* Float, packed; or signed 16 bits, packed, not mixable. */
    const uint32_t flags = is_mixable ? 0x9 : 0x4C;
    OSDictionary *const stream = OSDictionaryCreate(8);
    set_number(stream, "object", 7);
    CHECK(dx_wire_set_bool(stream, "active", true));
    CHECK(dx_wire_set_bool(stream, "mixable", is_mixable));
    set_number(stream, "latency", 11);
    CHECK(dx_wire_take(stream, "physical", create_format(channels, flags, is_mixable ? 4 : 2)));
    CHECK(dx_wire_take(stream, "client", create_format(channels, flags, is_mixable ? 4 : 2)));
    return stream;
}

OSDictionary *
fake_add_device(struct fake_supervisor *fake, const char *uid, const char *name)
{
    OSDictionary *const device = OSDictionaryCreate(16);
    CHECK(OSDictionarySetStringValue(device, "uid", uid));
    CHECK(OSDictionarySetStringValue(device, "name", name));
    CHECK(OSDictionarySetStringValue(device, "state", "idle"));
    CHECK(dx_wire_set_double(device, "rate-f64", 48000.0));
    set_number(device, "io-frames", 512);
    set_number(device, "default-io-frames", 512);
    set_number(device, "ring-frames", 16384);
    OSArray *const streams = OSArrayCreate(1);
    OSDictionary *const stream = fake_stream(2, true);
    CHECK(OSArraySetObject(streams, stream));
    CHECK(OSDictionarySetObject(device, "outputs", streams));
    CHECK(OSDictionarySetObject(device, "inputs", streams));
    OSObjectRelease(stream);
    OSObjectRelease(streams);
    fake_lock(fake);
    CHECK(fake->device_count < FAKE_DEVICES);
    fake->devices[fake->device_count++] = device;
    fake_unlock(fake);
    return device;
}

/* ---- answers ---- */

static bool
is(const char *operation, const char *wanted)
{
    return wanted && strcmp(operation, wanted) == 0;
}

static OSDictionary *
answer_list(struct fake_supervisor *fake, const OSDictionary *request)
{
    const uint64_t from = dx_wire_get_number(request, "from", 0);
    uint64_t end = fake->devices_in_a_list ? from + fake->devices_in_a_list : fake->device_count;
    end = end < fake->device_count ? end : fake->device_count;
    OSDictionary *const answer = OSDictionaryCreate(8);
    OSArray *const devices = OSArrayCreate(0);
    for (uint64_t i = from; i < end; i++)
        CHECK(OSArraySetObject(devices, fake->devices[i]));
    CHECK(dx_wire_take(answer, "devices", devices));
    set_number(answer, "next", end < fake->device_count ? end : 0);
    if (fake->default_uids[0])
        CHECK(OSDictionarySetStringValue(answer, "default-input", fake->default_uids[0]));
    if (fake->default_uids[1])
        CHECK(OSDictionarySetStringValue(answer, "default-output", fake->default_uids[1]));
    return answer;
}

static uint32_t
add_memory(OSDictionary *to, const struct fake_driver *driver, uint64_t member, int page, int ring, int *fds)
{
    uint32_t count = 0;
    set_number(to, "incarnation", driver->page->incarnation);
    if (member < UINT32_MAX)
        set_number(to, "member", member);
    set_number(to, "page", count);
    fds[count++] = page >= 0 ? page : driver->page_memory.fd;
    if (driver->ring.data || ring >= 0) {
        set_number(to, "ring", count);
        fds[count++] = ring >= 0 ? ring : driver->ring.pages.fd;
    }
    return count;
}

static OSDictionary *
answer_open(struct fake_supervisor *fake, struct dx_message *message, int *fds, uint32_t *fd_count)
{
    OSDictionary *const answer = OSDictionaryCreate(8);
    if (fake->lane >= 0)
        close(fake->lane);
    fake->lane = dx_message_take_fd(message, (uint32_t)dx_wire_get_number(message->body, "lane", DX_WIRE_MAX_FDS));
    if (fake->driver)
        *fd_count = add_memory(answer, fake->driver, fake->member, fake->replaced_page, fake->replaced_ring, fds);
    return answer;
}

static OSDictionary *
answer_hello(const struct fake_supervisor *fake)
{
    OSDictionary *const answer = OSDictionaryCreate(8);
    set_number(answer, "major", fake->major);
    set_number(answer, "minor", fake->minor);
    CHECK(OSDictionarySetStringValue(answer, "version", "fake"));
    CHECK(OSDictionarySetStringValue(answer, "something-of-the-future", "unknown"));
    return answer;
}

static kern_return_t
judge(const struct fake_supervisor *fake, const char *operation, const OSDictionary *body)
{
    if (is(operation, fake->refuse))
        return fake->refusal;
    if (is(operation, DX_OP_HELLO) && fake->is_strict && dx_wire_get_number(body, "major", 0) != fake->major)
        return kIOReturnUnsupported;
    return kIOReturnSuccess;
}

/* With the lock. */
static void
answer(struct fake_supervisor *fake, int client, struct dx_message *message)
{
    const char *const operation = dx_wire_get_string(message->body, "op");
    CHECK(operation && fake->request_count < FAKE_REQUESTS);
    fake->requests[fake->request_count++] = OSObjectRetain(message->body);
    CHECK(pthread_cond_broadcast(&fake->changed) == 0);
    if (is(operation, fake->mute))
        return;
    int fds[2];
    uint32_t fd_count = 0;
    OSDictionary *body = NULL;
    const kern_return_t status = judge(fake, operation, message->body);
    if (status == kIOReturnSuccess) {
        if (is(operation, DX_OP_HELLO))
            body = answer_hello(fake);
        else if (is(operation, DX_OP_LIST))
            body = answer_list(fake, message->body);
        else if (is(operation, DX_OP_OPEN))
            body = answer_open(fake, message, fds, &fd_count);
        else if (fake->answer)
            body = OSDictionaryCreateWithDictionary(fake->answer);
    }
    if (!body)
        body = OSDictionaryCreate(4);
    set_number(body, "re", dx_wire_get_number(message->body, "id", 0));
    set_number(body, "status", (uint32_t)status);
    if (status != kIOReturnSuccess)
        CHECK(OSDictionarySetStringValue(body, "error", "the fake says no"));
    (void)dx_wire_send(client, body, fds, fd_count); // the program may be gone
    OSObjectRelease(body);
}

/* ---- its thread ---- */

static void
drop_client(struct fake_supervisor *fake)
{
    if (fake->client >= 0)
        close(fake->client);
    fake->client = -1;
}

static void
look_at_client(struct fake_supervisor *fake)
{
    struct dx_message message = {0};
    const int r = dx_wire_receive(fake->client, &message);
    fake_lock(fake);
    if (r == 1)
        answer(fake, fake->client, &message);
    else if (r != -EAGAIN)
        drop_client(fake);
    fake_unlock(fake);
    dx_message_finish(&message);
}

static void
accept_client(struct fake_supervisor *fake)
{
    const int client = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    CHECK(client >= 0);
    fake_lock(fake);
    drop_client(fake);
    fake->client = client;
    fake->connections++;
    CHECK(pthread_cond_broadcast(&fake->changed) == 0);
    fake_unlock(fake);
}

static void *
run(void *argument)
{
    struct fake_supervisor *const fake = argument;
    for (;;) {
        struct pollfd fds[] = {
            {.fd = fake->wake[0], .events = POLLIN},
            {.fd = fake->listener, .events = POLLIN},
            {.fd = fake->client, .events = POLLIN},
        };
        CHECK(poll(fds, 3, -1) > 0);
        if (fds[0].revents)
            return NULL;
        if (fds[2].revents)
            look_at_client(fake);
        if (fds[1].revents)
            accept_client(fake);
    }
}

void
fake_prepare(struct fake_supervisor *fake)
{
    memset(fake, 0, sizeof *fake);
    (void)snprintf(fake->folder, sizeof fake->folder, "%s/dextral-fake-XXXXXX", P_tmpdir);
    CHECK(mkdtemp(fake->folder));
    (void)snprintf(fake->path, sizeof fake->path, "%s/socket", fake->folder);
    fake->major = 1;
    fake->is_strict = true;
    fake->client = -1;
    fake->lane = -1;
    fake->member = UINT64_MAX;
    fake->replaced_page = fake->replaced_ring = -1;
    CHECK(pthread_mutex_init(&fake->lock, NULL) == 0);
    CHECK(pthread_cond_init(&fake->changed, NULL) == 0);
}

void
fake_start(struct fake_supervisor *fake)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, fake->path);
    fake->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    CHECK(bind(fake->listener, (const struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(fake->listener, 64) == 0);
    CHECK(pipe2(fake->wake, O_CLOEXEC) == 0);
    CHECK(pthread_create(&fake->thread, NULL, run, fake) == 0);
}

void
fake_stop(struct fake_supervisor *fake)
{
    close(fake->wake[1]);
    CHECK(pthread_join(fake->thread, NULL) == 0);
    close(fake->wake[0]);
    close(fake->listener);
    CHECK(unlink(fake->path) == 0);
    drop_client(fake);
}

void
fake_finish(struct fake_supervisor *fake)
{
    for (uint32_t i = 0; i < fake->device_count; i++)
        OSObjectRelease(fake->devices[i]);
    for (uint32_t i = 0; i < fake->request_count; i++)
        OSObjectRelease(fake->requests[i]);
    if (fake->lane >= 0)
        close(fake->lane);
    CHECK(rmdir(fake->folder) == 0);
}

/* ---- what it says by itself ---- */

OSDictionary *
fake_event(const char *event, const char *uid)
{
    OSDictionary *const body = OSDictionaryCreate(8);
    CHECK(OSDictionarySetStringValue(body, "event", event));
    if (uid)
        CHECK(OSDictionarySetStringValue(body, "uid", uid));
    return body;
}

void
fake_send(struct fake_supervisor *fake, OSDictionary *body, const int *fds, uint32_t fd_count)
{
    fake_lock(fake);
    CHECK(dx_wire_send(fake->client, body, fds, fd_count) == 0);
    fake_unlock(fake);
    OSObjectRelease(body);
}

void
fake_send_bytes(struct fake_supervisor *fake, const void *bytes, size_t length)
{
    fake_lock(fake);
    CHECK(send(fake->client, bytes, length, MSG_NOSIGNAL) == (ssize_t)length);
    fake_unlock(fake);
}

void
fake_tell(struct fake_supervisor *fake, const OSDictionary *description)
{
    OSDictionary *const event = fake_event(DX_EVENT_DESCRIPTION, dx_wire_get_string(description, "uid"));
    OSDictionary *const copy = OSDictionaryCreateWithDictionary(description);
    CHECK(dx_wire_take(event, "description", copy));
    fake_send(fake, event, NULL, 0);
}

/* ---- what it was asked ---- */

static uint32_t
count_requests(const struct fake_supervisor *fake, const char *operation, OSDictionary **ret_last)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < fake->request_count; i++) {
        if (is(dx_wire_get_string(fake->requests[i], "op"), operation)) {
            *ret_last = fake->requests[i];
            count++;
        }
    }
    return count;
}

uint32_t
fake_count(struct fake_supervisor *fake, const char *operation)
{
    OSDictionary *last;
    fake_lock(fake);
    const uint32_t count = count_requests(fake, operation, &last);
    fake_unlock(fake);
    return count;
}

OSDictionary *
fake_wait_for(struct fake_supervisor *fake, const char *operation, uint32_t count)
{
    OSDictionary *last = NULL;
    fake_lock(fake);
    while (count_requests(fake, operation, &last) < count)
        CHECK(pthread_cond_wait(&fake->changed, &fake->lock) == 0);
    OSObjectRetain(last);
    fake_unlock(fake);
    return last;
}

void
fake_wait_for_connections(struct fake_supervisor *fake, uint32_t count)
{
    fake_lock(fake);
    while (fake->connections < count)
        CHECK(pthread_cond_wait(&fake->changed, &fake->lock) == 0);
    fake_unlock(fake);
}

/* ---- a driver's memory ---- */

static void
seal(int fd)
{
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) == 0);
}

void
fake_driver_create(struct fake_driver *driver, uint32_t incarnation, uint64_t frame, uint32_t ring_frames,
                   uint32_t ring_bytes_per_frame)
{
    memset(driver, 0, sizeof *driver);
    const struct dx_timeline_page line = {
        .epoch = 1,
        .state = DX_TIMELINE_RUNNING,
        .anchor_frame = frame,
        .anchor_host_ns = dx_clock_now_ns(dx_clock_host()),
        .ns_per_frame = 1e9 / 48000.0,
        .rate_hz = 48000.0,
        .cycle_frame = frame,
        .mixed_until = frame,
        .io_frames = 512,
        .ring_frames = 16384,
        .late_tolerance = 4096,
    };
    CHECK(dx_device_page_create(&driver->page_memory, incarnation, &line, &driver->page) == 0);
    const struct dx_slots slots = dx_device_page_timeline(driver->page);
    dx_slots_write(&slots, &line); // running, not stopped
    seal(driver->page_memory.fd);
    if (!ring_bytes_per_frame)
        return;
    CHECK(dx_lane_create(&driver->ring, "ring", ring_frames, ring_bytes_per_frame) == 0);
    seal(driver->ring.pages.fd);
}

void
fake_driver_destroy(struct fake_driver *driver)
{
    dx_pages_finish(&driver->page_memory);
    dx_lane_finish(&driver->ring);
}

void
fake_send_driver(struct fake_supervisor *fake, uint64_t session, const struct fake_driver *driver, uint64_t member)
{
    OSDictionary *const event = fake_event(DX_EVENT_NEW_DRIVER, NULL);
    int fds[2];
    set_number(event, "session", session);
    const uint32_t count = add_memory(event, driver, member, -1, -1, fds);
    fake_send(fake, event, fds, count);
}
