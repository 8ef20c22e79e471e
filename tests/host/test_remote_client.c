// SPDX-License-Identifier: MIT
// Clients of devices of the machine: what they share, and what happens to them when drivers and supervisors
// change.

#include "audio/client.h"
#include "core/clock.h"
#include "host/protocol.h"
#include "tests/host/descriptors.h"
#include "tests/host/fake_supervisor.h"

#include <dextral/directory.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static struct fake_supervisor fake;
static struct fake_driver driver;
static dx_directory *directory;
static dx_device *device;
static unsigned descriptors_before;

/* A driver that has run since frame 48000, with a ring of 8192 stereo float frames. */
static void
begin(void)
{
    descriptors_before = count_descriptors();
    fake_prepare(&fake);
    fake_driver_create(&driver, 1, 48000, 8192, 8);
    fake.driver = &driver;
    fake.member = 3;
    (void)fake_add_device(&fake, "uid.a", "A");
    fake_start(&fake);
    const dx_directory_config config = {.socket_path = fake.path};
    CHECK_OK(dx_directory_open(&config, &directory, NULL));
    device = dx_directory_copy_device(directory, "uid.a");
    CHECK(device);
}

static void
end(void)
{
    dx_device_release(device);
    dx_directory_close(directory);
    fake_stop(&fake);
    fake_driver_destroy(&driver);
    fake_finish(&fake);
    CHECK_EQ(count_descriptors(), descriptors_before);
}

static kern_return_t
try_open(bool plays, bool records, dx_client **ret_client)
{
    const dx_client_config config = {
        .size = sizeof config,
        .output_stream = plays ? 0 : DX_NO_STREAM,
        .input_stream = records ? 0 : DX_NO_STREAM,
        .io_frames = 256,
    };
    return dx_client_open(device, &config, ret_client);
}

static dx_client *
open_client(bool plays, bool records)
{
    dx_client *client = NULL;
    CHECK_OK(try_open(plays, records, &client));
    return client;
}

static dx_client_status
get_status(dx_client *client)
{
    dx_client_status status = {.size = sizeof status};
    CHECK_OK(dx_client_get_status(client, &status));
    return status;
}

/* Until everything that was sent before has been taken in. */
static void
settle(void)
{
    CHECK_OK(dx_directory_request(directory, DX_OP_DRIVERS, NULL, NULL, NULL));
}

static uint64_t
find_session(uint32_t count)
{
    OSDictionary *const request = fake_wait_for(&fake, DX_OP_OPEN, count);
    const uint64_t session = dx_wire_get_number(request, "session", 0);
    OSObjectRelease(request);
    CHECK(session);
    return session;
}

static void
sleep_ms(uint64_t ms)
{
    dx_clock_sleep_until(dx_clock_host(), dx_clock_now_ns(dx_clock_host()) + ms * 1000000u);
}

/* ---- what is asked, and what is shared ---- */

static void
a_session_is_opened_started_stopped_and_closed(void)
{
    begin();
    dx_client *const client = open_client(true, true);
    OSDictionary *const open = fake_wait_for(&fake, DX_OP_OPEN, 1);
    CHECK_TEXT(dx_wire_get_string(open, "uid"), "uid.a");
    CHECK_EQ(dx_wire_get_number(open, "output", 9), 0);
    CHECK_EQ(dx_wire_get_number(open, "input", 9), 0);
    CHECK_EQ(dx_wire_get_number(open, "io-frames", 0), 256);
    CHECK(OSDictionaryGetObject(open, "running") == kOSBooleanFalse);
    const uint64_t session = dx_wire_get_number(open, "session", 0);
    OSObjectRelease(open);
    static const char *const operations[] = {DX_OP_START, DX_OP_STOP, DX_OP_CLOSE};
    CHECK_OK(dx_client_start(client));
    dx_client_stop(client);
    dx_client_close(client);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(fake_count(&fake, operations[i]), 1);
        OSDictionary *const request = fake_wait_for(&fake, operations[i], 1);
        CHECK_EQ(dx_wire_get_number(request, "session", 0), session);
        OSObjectRelease(request);
    }
    end();
}

static void
what_is_written_is_in_the_lane(void)
{
    begin();
    dx_client *const client = open_client(true, false);
    OSDictionary *const open = fake_wait_for(&fake, DX_OP_OPEN, 1);
    CHECK_EQ(dx_wire_get_number(open, "input", 9), DX_NO_STREAM);
    OSObjectRelease(open);
    CHECK_OK(dx_client_start(client));
    float frames[200][2];
    for (int i = 0; i < 200; i++)
        frames[i][0] = (float)i, frames[i][1] = (float)-i;
    CHECK_OK(dx_client_write(client, frames, 200, 0, NULL));

    /* As the driver maps it. */
    struct dx_lane lane;
    CHECK(dx_lane_open(fake.lane, NULL, &lane) == 0);
    CHECK_EQ(lane.bytes_per_frame, 8);
    struct dx_lane_state known = {.epoch = 0};
    float heard[200][2];
    const uint64_t base = get_status(client).output_base;
    const struct dx_span span = dx_lane_copy(&lane, &known, base, 200, heard);
    CHECK_EQ(span.first, 0);
    CHECK_EQ(span.last, 200);
    CHECK(memcmp(frames, heard, sizeof frames) == 0);
    /* N + So + lead after now: 512, 0 and more. */
    CHECK(base > 48000 + 512);
    dx_lane_finish(&lane);
    dx_client_close(client);
    end();
}

static void
what_the_driver_recorded_is_read(void)
{
    begin();
    dx_client *const client = open_client(false, true);
    CHECK_OK(dx_client_start(client));
    const uint64_t base = get_status(client).input_base;
    float recorded[256][2];
    for (int i = 0; i < 256; i++)
        recorded[i][0] = (float)i, recorded[i][1] = (float)-i;
    driver.ring_state = (struct dx_lane_state){.epoch = 1, .flags = DX_LANE_RUNNING, .begin = base, .end = base};
    dx_lane_append(&driver.ring, &driver.ring_state, recorded, 256);
    float read[256][2];
    CHECK_OK(dx_client_read(client, read, 256, DX_NEVER, NULL));
    CHECK(memcmp(recorded, read, sizeof read) == 0);
    dx_client_close(client);
    end();
}

static void
the_engines_counters_are_the_clients(void)
{
    begin();
    dx_client *const client = open_client(true, false);
    CHECK_OK(dx_client_start(client));
    atomic_store_explicit(&driver.page->members[3].underrun_frames, 50, memory_order_relaxed);
    atomic_store_explicit(&driver.page->members[3].limited_samples, 7, memory_order_relaxed);
    atomic_store_explicit(&driver.page->members[4].underrun_frames, 999, memory_order_relaxed);
    CHECK_EQ(get_status(client).underrun_frames, 50);
    CHECK_EQ(get_status(client).limited_samples, 7);

    /* The next driver counts from 0, at another place; the sum goes on. */
    struct fake_driver next;
    fake_driver_create(&next, 2, 96000, 0, 0);
    atomic_store_explicit(&next.page->members[3].underrun_frames, 12345, memory_order_relaxed); // somebody else's
    fake_send_driver(&fake, find_session(1), &next, 9);
    settle();
    CHECK_EQ(get_status(client).underrun_frames, 50);
    atomic_store_explicit(&next.page->members[9].underrun_frames, 5, memory_order_relaxed);
    CHECK_EQ(get_status(client).underrun_frames, 55);
    CHECK_EQ(get_status(client).limited_samples, 7);
    /* One that does not say where, or says nonsense, counts nothing. */
    struct fake_driver last;
    fake_driver_create(&last, 3, 96000, 0, 0);
    fake_send_driver(&fake, find_session(1), &last, DX_DEVICE_PAGE_MEMBERS);
    settle();
    CHECK_EQ(get_status(client).underrun_frames, 55);
    dx_client_close(client);
    fake_driver_destroy(&next);
    fake_driver_destroy(&last);
    end();
}

static void
latency_is_the_drivers_and_the_clients_own(void)
{
    begin();
    dx_client *const client = open_client(true, true);
    const dx_client_status status = get_status(client);
    /* The description's 11, N = 512, So = Si = 0, and the lead that goes with 256 frames: 256 + 512. */
    CHECK_EQ(status.output_latency_frames, 11 + 512 + 256 + 512);
    CHECK_EQ(status.input_latency_frames, 11 + 512);
    dx_client_close(client);
    end();
}

/* ---- what cannot be ---- */

static void
what_a_remote_device_cannot_do_is_refused(void)
{
    begin();
    dx_client *client = NULL;
    dx_client_config config = {.size = sizeof config, .output_stream = 1, .input_stream = DX_NO_STREAM};
    CHECK_STATUS(dx_client_open(device, &config, &client), kIOReturnBadArgument); // there is one stream
    config.output_stream = DX_NO_STREAM;
    config.input_stream = 31;
    CHECK_STATUS(dx_client_open(device, &config, &client), kIOReturnBadArgument);
    config.output_stream = 0;
    config.input_stream = DX_NO_STREAM;
    config.flags = DX_CLIENT_SYNCHRONOUS;
    config.callback = (dx_client_callback)abort;
    CHECK_STATUS(dx_client_open(device, &config, &client), kIOReturnUnsupported);
    CHECK_EQ(fake_count(&fake, DX_OP_OPEN), 0);
    fake.refuse = DX_OP_OPEN;
    fake.refusal = kIOReturnExclusiveAccess;
    CHECK_STATUS(try_open(true, true, &client), kIOReturnExclusiveAccess);
    fake.refuse = DX_OP_START;
    fake.refusal = kIOReturnNotPermitted;
    client = open_client(true, false);
    CHECK_STATUS(dx_client_start(client), kIOReturnNotPermitted);
    CHECK(!get_status(client).is_running);
    dx_client_close(client);
    fake_send(&fake, fake_event(DX_EVENT_GONE, "uid.a"), NULL, 0);
    settle();
    CHECK_STATUS(try_open(true, false, &client), kIOReturnNoDevice);
    end();
}

/* A memfd of a page or more, sealed or not. */
static int
create_memory(size_t bytes, unsigned seals)
{
    const int fd = memfd_create("memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CHECK(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
    CHECK(fcntl(fd, F_ADD_SEALS, seals) == 0);
    return fd;
}

static void
memory_that_is_not_what_it_should_be_is_refused(void)
{
    begin();
    struct fake_driver other; // a ring of another format
    fake_driver_create(&other, 5, 0, 8192, 4);
    static const unsigned seals = F_SEAL_SHRINK | F_SEAL_GROW;
    const struct {
        int page, ring;
        kern_return_t wanted;
    } cases[] = {
        {create_memory(1 << 16, seals), -1, kIOReturnInternalError}, // of zeros
        {create_memory(1 << 16, 0), -1, kIOReturnNotPermitted},      // can be cut
        {create_memory(4096, seals), -1, kIOReturnInternalError},    // too short
        {open("/dev/null", O_RDWR | O_CLOEXEC), -1, kIOReturnInternalError},
        {open("/proc/self/exe", O_RDONLY | O_CLOEXEC), -1, kIOReturnInternalError},
        {dup(driver.ring.pages.fd), -1, kIOReturnInternalError}, // a lane
        {-1, create_memory(1 << 16, seals), kIOReturnInternalError},
        {-1, create_memory(1 << 16, 0), kIOReturnNotPermitted},
        {-1, dup(driver.page_memory.fd), kIOReturnInternalError}, // a page
        {-1, dup(other.ring.pages.fd), kIOReturnUnsupportedMode},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fake.replaced_page = cases[i].page;
        fake.replaced_ring = cases[i].ring;
        dx_client *client = NULL;
        const kern_return_t status = try_open(true, true, &client);
        if (status != cases[i].wanted)
            (void)fprintf(stderr, "case %u\n", i);
        CHECK_STATUS(status, cases[i].wanted);
        CHECK_EQ(fake_count(&fake, DX_OP_CLOSE), i + 1); // it is not left open
        close(cases[i].page >= 0 ? cases[i].page : cases[i].ring);
    }
    fake.replaced_page = fake.replaced_ring = -1;
    fake.driver = NULL; // no descriptors at all
    dx_client *client = NULL;
    CHECK_STATUS(try_open(true, true, &client), kIOReturnInternalError);
    fake.driver = &driver;
    client = open_client(true, true); // nothing of it is left
    dx_client_close(client);
    fake_driver_destroy(&other);
    end();
}

static void
a_page_of_another_version_is_refused(void)
{
    begin();
    driver.page->version = 2;
    dx_client *client = NULL;
    CHECK_STATUS(try_open(true, false, &client), kIOReturnUnsupported);
    /* A later minor version has more behind what is known. */
    driver.page->version = DX_DEVICE_PAGE_VERSION;
    driver.page->member_count = DX_DEVICE_PAGE_MEMBERS + 100;
    CHECK_OK(try_open(true, false, &client));
    dx_client_close(client);
    end();
}

/* ---- drivers come and go ---- */

static void
a_new_driver_takes_over_in_place_and_time_does_not_go_back(void)
{
    begin();
    dx_client *const client = open_client(true, true);
    CHECK_OK(dx_client_start(client));
    const struct dx_lane *const ring = dx_client_ring(client);
    const struct dx_device_page *const page = device->page;
    const uint64_t before = get_status(client).device_time;
    CHECK(before >= 48000 && before < 48000 * 60);

    struct fake_driver next;
    fake_driver_create(&next, 2, 48000 * 100, 8192, 8);
    fake_send_driver(&fake, find_session(1), &next, UINT64_MAX);
    settle();
    CHECK(device->page == page && dx_client_ring(client) == ring); // at the same place
    CHECK(device->page->incarnation == 2);
    CHECK(get_status(client).device_time >= 48000 * 100);
    /* A driver that says that less time has passed: what was told stands. */
    struct fake_driver last;
    fake_driver_create(&last, 3, 48000, 8192, 8);
    fake_send_driver(&fake, find_session(1), &last, UINT64_MAX);
    settle();
    CHECK(device->page->incarnation == 3);
    CHECK(get_status(client).device_time >= 48000 * 100);
    CHECK_OK(dx_client_write(client, (float[2]){0}, 1, 0, NULL)); // it is not cut off
    dx_client_close(client);
    fake_driver_destroy(&next);
    fake_driver_destroy(&last);
    end();
}

static void
a_ring_of_another_size_takes_the_place_of_the_first(void)
{
    begin();
    dx_client *const client = open_client(false, true);
    CHECK_OK(dx_client_start(client));
    const struct dx_lane *const first = dx_client_ring(client);
    struct fake_driver next;
    fake_driver_create(&next, 2, 48000 * 100, 65536, 8);
    fake_send_driver(&fake, find_session(1), &next, UINT64_MAX);
    settle();
    CHECK(dx_client_ring(client) != first);
    CHECK_EQ(dx_client_ring(client)->ring_frames, 65536);
    CHECK_EQ(first->ring_frames, 8192); // who reads it at this moment still can
    CHECK(first->data[100] == 0);
    float read[2] = {1, 1};
    CHECK_OK(dx_client_read(client, read, 0, 0, NULL)); // it is not cut off
    dx_client_close(client);
    fake_driver_destroy(&next);
    end();
}

static void
a_driver_that_does_not_take_a_client_cuts_it_off_and_no_other(void)
{
    begin();
    dx_client *const client = open_client(true, false);
    const uint64_t session = find_session(1);
    dx_client *const other = open_client(true, false);
    CHECK_OK(dx_client_start(client));
    CHECK_OK(dx_client_start(other));
    OSDictionary *const event = fake_event(DX_EVENT_NEW_DRIVER, NULL);
    CHECK(OSDictionarySetUInt64Value(event, "session", session));
    CHECK(OSDictionarySetUInt64Value(event, "status", (uint32_t)kIOReturnUnsupportedMode));
    fake_send(&fake, event, NULL, 0);
    settle();
    CHECK_STATUS(dx_client_write(client, (float[2]){0}, 1, 0, NULL), kIOReturnUnsupportedMode);
    CHECK_OK(dx_client_write(other, (float[2]){0}, 1, 0, NULL));
    dx_client_close(client);
    dx_client_close(other);
    end();
}

/* Replaces the device's streams of both directions. */
static void
change_streams(OSDictionary *description, OSDictionary *stream)
{
    OSArray *const streams = OSArrayCreate(1);
    CHECK(OSArraySetObject(streams, stream));
    CHECK(OSDictionarySetObject(description, "outputs", streams));
    CHECK(OSDictionarySetObject(description, "inputs", streams));
    OSObjectRelease(streams);
    OSObjectRelease(stream);
    fake_tell(&fake, description);
    settle();
}

static void
another_format_cuts_off_and_another_latency_does_not(void)
{
    begin();
    OSDictionary *const description = fake.devices[0];
    float frame[8] = {0};
    dx_client *client = open_client(true, false);
    CHECK_OK(dx_client_start(client));
    OSDictionary *stream = fake_stream(2, true);
    CHECK(OSDictionarySetUInt64Value(stream, "latency", 99));
    const uint32_t before = get_status(client).output_latency_frames;
    change_streams(description, stream);
    CHECK_EQ(get_status(client).output_latency_frames, before + 88);
    CHECK_OK(dx_client_write(client, frame, 1, 0, NULL));
    change_streams(description, fake_stream(4, true));
    CHECK_STATUS(dx_client_write(client, frame, 1, 0, NULL), kIOReturnUnsupportedMode);
    CHECK_STATUS(dx_client_start(client), kIOReturnSuccess); // it runs already
    dx_client_stop(client);
    CHECK_STATUS(dx_client_start(client), kIOReturnUnsupportedMode);
    dx_client_close(client);

    client = open_client(true, false); // opened again it fits
    CHECK_EQ(client->lane.bytes_per_frame, 16);
    change_streams(description, fake_stream(4, false)); // 16 bits, and not mixable
    CHECK_STATUS(dx_client_write(client, frame, 1, 0, NULL), kIOReturnUnsupportedMode);
    dx_client_close(client);
    client = open_client(true, false);
    CHECK_EQ(client->lane.bytes_per_frame, 8);
    OSArray *const none = OSArrayCreate(0);
    CHECK(dx_wire_take(description, "outputs", none));
    fake_tell(&fake, description);
    settle();
    CHECK_STATUS(dx_client_write(client, frame, 1, 0, NULL), kIOReturnUnsupportedMode);
    dx_client_close(client);
    /* A format that makes no sense cannot be joined. */
    stream = fake_stream(2, true);
    CHECK(OSDictionarySetUInt64Value(dx_wire_get_dictionary(stream, "client"), "bytes-per-frame", 12));
    change_streams(description, stream);
    CHECK_STATUS(try_open(true, false, &client), kIOReturnUnsupportedMode);
    end();
}

static void
a_device_that_goes_cuts_off_its_clients(void)
{
    begin();
    dx_client *const client = open_client(true, true);
    CHECK_OK(dx_client_start(client));
    fake_send(&fake, fake_event(DX_EVENT_GONE, "uid.a"), NULL, 0);
    settle();
    float frame[2] = {0};
    CHECK_STATUS(dx_client_write(client, frame, 1, 0, NULL), kIOReturnUnsupportedMode);
    CHECK_STATUS(dx_client_read(client, frame, 1, 0, NULL), kIOReturnUnsupportedMode);
    dx_client_close(client);
    end();
}

static void
the_page_is_let_go_with_the_last_client(void)
{
    begin();
    dx_client *const first = open_client(true, false);
    dx_client *const second = open_client(true, false);
    dx_client_close(first);
    CHECK_EQ(device->page->incarnation, 1);
    CHECK(get_status(second).device_time >= 48000);
    dx_client_close(second);
    CHECK_EQ(device->page->incarnation, 0);
    dx_device_info info = {.size = sizeof info};
    CHECK_OK(dx_device_get_info(device, &info)); // which looks at it
    dx_client *const third = open_client(true, false);
    CHECK_EQ(device->page->incarnation, 1);
    dx_client_close(third);
    end();
}

/* ---- supervisors come and go ---- */

static void
sessions_are_opened_again_as_they_were(void)
{
    begin();
    dx_client *const running = open_client(true, true);
    const uint64_t running_session = find_session(1);
    dx_client *const stopped = open_client(false, true);
    CHECK_OK(dx_client_start(running));
    const uint64_t base = get_status(running).output_base;
    fake_stop(&fake);
    /* Sound goes on: there is room to write into, and time passes. */
    const uint64_t before = get_status(running).device_time;
    float frame[2] = {0.5f, 0.25f};
    CHECK_OK(dx_client_write(running, frame, 1, 0, NULL));
    sleep_ms(20);
    CHECK(get_status(running).device_time > before);
    dx_client *client = NULL;
    CHECK_STATUS(try_open(true, false, &client), kIOReturnNotReady);
    CHECK_STATUS(dx_client_start(stopped), kIOReturnNotReady);

    fake_start(&fake);
    OSObjectRelease(fake_wait_for(&fake, DX_OP_OPEN, 4)); // by itself: there are sessions
    settle();
    bool was_running = false, was_stopped = false;
    fake_lock(&fake);
    for (uint32_t i = 0, opens = 0; i < fake.request_count; i++) {
        const OSDictionary *const request = fake.requests[i];
        if (strcmp(dx_wire_get_string(request, "op"), DX_OP_OPEN) != 0 || ++opens <= 2)
            continue;
        const bool is_running = dx_wire_get_number(request, "session", 0) == running_session;
        CHECK_EQ(dx_wire_get_bool(request, "running"), is_running);
        CHECK_EQ(OSDictionaryGetObject(request, "lane") != NULL, is_running); // the other one only records
        was_running |= is_running;
        was_stopped |= !is_running;
    }
    fake_unlock(&fake);
    CHECK(was_running && was_stopped);
    CHECK_EQ(get_status(running).output_base, base);
    CHECK_EQ(get_status(running).output_frames, 1);
    CHECK_OK(dx_client_start(stopped));
    dx_client_close(running);
    dx_client_close(stopped);
    end();
}

static void
a_session_that_cannot_be_opened_again_is_cut_off(void)
{
    begin();
    dx_client *const client = open_client(true, false);
    CHECK_OK(dx_client_start(client));
    fake_stop(&fake);
    fake.refuse = DX_OP_OPEN;
    fake.refusal = kIOReturnExclusiveAccess;
    fake_start(&fake);
    settle();
    CHECK_STATUS(dx_client_write(client, (float[2]){0}, 1, 0, NULL), kIOReturnUnsupportedMode);
    dx_client_close(client);
    end();
}

static void
a_client_can_be_stopped_and_closed_without_a_supervisor(void)
{
    begin();
    dx_client *const client = open_client(true, true);
    dx_client *const other = open_client(true, true);
    CHECK_OK(dx_client_start(client));
    fake_stop(&fake);
    dx_client_stop(client);
    dx_client_close(client);
    fake_start(&fake);
    settle();
    CHECK_EQ(fake_count(&fake, DX_OP_OPEN), 3); // of the other one
    dx_client_close(other);
    end();
}

/* ---- fork ---- */

static void
a_child_after_fork_does_not_touch_the_sound(void)
{
    begin();
    dx_client *const client = open_client(true, true);
    CHECK_OK(dx_client_start(client));
    float frames[64][2] = {{0}};
    CHECK_OK(dx_client_write(client, frames, 64, 0, NULL));
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        dx_client_status status = {.size = sizeof status};
        CHECK_STATUS(dx_client_write(client, frames, 64, DX_NEVER, NULL), kIOReturnNotAttached);
        CHECK_STATUS(dx_client_read(client, frames, 64, DX_NEVER, NULL), kIOReturnNotAttached);
        CHECK_STATUS(dx_client_drain(client, DX_NEVER), kIOReturnNotAttached);
        CHECK_STATUS(dx_client_start(client), kIOReturnNotAttached);
        CHECK_STATUS(dx_client_get_status(client, &status), kIOReturnNotAttached);
        dx_client_stop(client);
        dx_client_close(client);
        dx_device_release(device);
        dx_directory_close(directory);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
    CHECK_EQ(fake_count(&fake, DX_OP_STOP) + fake_count(&fake, DX_OP_CLOSE), 0);
    CHECK_OK(dx_client_write(client, frames, 64, 0, NULL));
    CHECK_EQ(get_status(client).output_frames, 128);
    dx_client_close(client);
    end();
}

/* ---- callbacks ---- */

static _Atomic uint32_t callbacks;
static _Atomic uint64_t last_output_time;

static void
count_callback(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    (void)context, (void)input, (void)output;
    const uint64_t last = atomic_exchange_explicit(&last_output_time, cycle->output_time, memory_order_relaxed);
    if (cycle->frames != 480 || (last && cycle->output_time < last + 480))
        atomic_store_explicit(&callbacks, 1u << 30, memory_order_relaxed); // seen below
    else
        atomic_fetch_add_explicit(&callbacks, 1, memory_order_relaxed);
}

static void
callbacks_go_on_over_drivers_and_supervisors(void)
{
    begin();
    const dx_client_config config = {.size = sizeof config,
                                     .output_stream = 0,
                                     .input_stream = DX_NO_STREAM,
                                     .io_frames = 480,
                                     .callback = count_callback};
    dx_client *client = NULL;
    CHECK_OK(dx_client_open(device, &config, &client));
    CHECK_OK(dx_client_start(client));
    struct fake_driver next;
    fake_driver_create(&next, 2, 48000 + 2 * 48000, 0, 0);
    for (unsigned round = 0; round < 3; round++) {
        const uint32_t before = atomic_load_explicit(&callbacks, memory_order_relaxed);
        while (atomic_load_explicit(&callbacks, memory_order_relaxed) < before + 10)
            sleep_ms(1);
        if (round == 0)
            fake_send_driver(&fake, find_session(1), &next, UINT64_MAX);
        else if (round == 1)
            fake_stop(&fake);
    }
    CHECK(atomic_load_explicit(&callbacks, memory_order_relaxed) < 1u << 30);
    fake_start(&fake);
    dx_client_close(client);
    fake_driver_destroy(&next);
    end();
}

int
main(void)
{
    RUN(a_session_is_opened_started_stopped_and_closed);
    RUN(what_is_written_is_in_the_lane);
    RUN(what_the_driver_recorded_is_read);
    RUN(the_engines_counters_are_the_clients);
    RUN(latency_is_the_drivers_and_the_clients_own);
    RUN(what_a_remote_device_cannot_do_is_refused);
    RUN(memory_that_is_not_what_it_should_be_is_refused);
    RUN(a_page_of_another_version_is_refused);
    RUN(a_new_driver_takes_over_in_place_and_time_does_not_go_back);
    RUN(a_ring_of_another_size_takes_the_place_of_the_first);
    RUN(a_driver_that_does_not_take_a_client_cuts_it_off_and_no_other);
    RUN(another_format_cuts_off_and_another_latency_does_not);
    RUN(a_device_that_goes_cuts_off_its_clients);
    RUN(the_page_is_let_go_with_the_last_client);
    RUN(sessions_are_opened_again_as_they_were);
    RUN(a_session_that_cannot_be_opened_again_is_cut_off);
    RUN(a_client_can_be_stopped_and_closed_without_a_supervisor);
    RUN(a_child_after_fork_does_not_touch_the_sound);
    RUN(callbacks_go_on_over_drivers_and_supervisors);
    return 0;
}
