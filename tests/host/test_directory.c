// SPDX-License-Identifier: MIT
// A program's directory: what it knows, what it asks, what it is told, and what it survives.

#include "host/protocol.h"
#include "tests/host/descriptors.h"
#include "tests/host/fake_supervisor.h"

#include <dextral/directory.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct fake_supervisor fake;

/* ---- a listener that writes down ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned count;
    struct {
        int kind;
        char uid[64];
        kern_return_t status;
        IOUserAudioObjectID object;
        unsigned selector_count;
        IOUserAudioObjectPropertySelector first_selector;
    } events[256];
    void (*in_event)(const dx_host_event *event);
} told = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void
listen_to(void *context, const dx_host_event *event)
{
    CHECK(context == &told);
    CHECK_EQ(event->size, sizeof *event);
    if (told.in_event)
        told.in_event(event);
    CHECK(pthread_mutex_lock(&told.lock) == 0);
    CHECK(told.count < 256);
    const unsigned i = told.count++;
    told.events[i].kind = (int)event->kind;
    (void)snprintf(told.events[i].uid, sizeof told.events[i].uid, "%s",
                   event->device ? dx_device_uid(event->device) : "");
    told.events[i].status = event->status;
    told.events[i].object = event->object;
    told.events[i].selector_count = event->selector_count;
    told.events[i].first_selector = event->selector_count ? event->selectors[0] : 0;
    CHECK(pthread_cond_broadcast(&told.changed) == 0);
    CHECK(pthread_mutex_unlock(&told.lock) == 0);
}

/* The index of the next event, which must be of this kind and of this device. */
static unsigned
expect_event(unsigned *next, int kind, const char *uid)
{
    CHECK(pthread_mutex_lock(&told.lock) == 0);
    while (told.count <= *next)
        CHECK(pthread_cond_wait(&told.changed, &told.lock) == 0);
    CHECK(pthread_mutex_unlock(&told.lock) == 0);
    CHECK_EQ(told.events[*next].kind, kind);
    CHECK_TEXT(told.events[*next].uid, uid);
    return (*next)++;
}

/* ---- begin and end ---- */

static unsigned descriptors_before;

static void
begin(void)
{
    descriptors_before = count_descriptors();
    memset(told.events, 0, sizeof told.events);
    told.count = 0;
    told.in_event = NULL;
    fake_prepare(&fake);
}

static void
end(void)
{
    fake_finish(&fake);
    CHECK_EQ(count_descriptors(), descriptors_before);
}

static dx_directory *
open_directory(bool listens, uint64_t timeout_ns)
{
    const dx_directory_config config = {
        .size = sizeof config,
        .name = "test program",
        .socket_path = fake.path,
        .timeout_ns = timeout_ns,
        .listener = listens ? listen_to : NULL,
        .listener_context = &told,
    };
    dx_directory *directory = NULL;
    dx_error error = {{0}};
    const kern_return_t status = dx_directory_open(&config, &directory, &error);
    if (status != kIOReturnSuccess)
        (void)fprintf(stderr, "%s: %s\n", dx_return_string(status), error.message);
    CHECK_OK(status);
    return directory;
}

/* What cannot be opened, and why. */
static void
expect_refusal(kern_return_t wanted, const char *words)
{
    const dx_directory_config config = {.size = sizeof config, .socket_path = fake.path};
    dx_directory *directory = (dx_directory *)&fake;
    dx_error error = {{0}};
    CHECK_STATUS(dx_directory_open(&config, &directory, &error), wanted);
    CHECK(directory == (dx_directory *)&fake);
    if (!strstr(error.message, words))
        (void)fprintf(stderr, "'%s'\n", error.message);
    CHECK(strstr(error.message, words));
}

/* Until everything that was sent before has been taken in. */
static void
settle(dx_directory *directory)
{
    CHECK_OK(dx_directory_request(directory, "drivers", NULL, NULL, NULL));
}

/* ---- what it knows ---- */

static void
devices_are_listed_in_their_order_however_many_messages_it_takes(void)
{
    begin();
    char uid[32];
    for (unsigned i = 0; i < 517; i++) {
        (void)snprintf(uid, sizeof uid, "uid.%u", i);
        OSDictionary *const device = fake_add_device(&fake, uid, "Same");
        if (i == 100)
            CHECK(dx_wire_set_bool(device, "hidden", true));
    }
    fake.devices_in_a_list = 50;
    fake_start(&fake);
    dx_directory *const directory = open_directory(false, 0);
    static dx_device *devices[600];
    CHECK_EQ(dx_directory_copy_devices(directory, NULL, 0), 516);
    CHECK_EQ(dx_directory_copy_devices(directory, devices, 600), 516);
    for (unsigned i = 0; i < 516; i++) {
        (void)snprintf(uid, sizeof uid, "uid.%u", i < 100 ? i : i + 1);
        CHECK_TEXT(dx_device_uid(devices[i]), uid);
        dx_device_release(devices[i]);
    }
    CHECK_EQ(fake_count(&fake, DX_OP_LIST), 11);
    dx_directory_close(directory);
    fake_stop(&fake);
    end();
}

static void
a_device_is_found_by_uid_or_by_a_name_that_is_its_own(void)
{
    begin();
    (void)fake_add_device(&fake, "uid.a", "First");
    (void)fake_add_device(&fake, "uid.b", "Twin");
    (void)fake_add_device(&fake, "uid.c", "Twin");
    (void)fake_add_device(&fake, "uid.d", "uid.a"); // a name like another's UID
    CHECK(dx_wire_set_bool(fake_add_device(&fake, "uid.e", "Hidden"), "hidden", true));
    fake.default_uids[0] = "uid.c";
    fake.default_uids[1] = "uid.b";
    fake_start(&fake);
    dx_directory *const directory = open_directory(false, 0);
    static const struct {
        const char *asked, *found;
    } cases[] = {{"uid.b", "uid.b"},  {"First", "uid.a"}, {"uid.a", "uid.a"},
                 {"Hidden", "uid.e"}, {"Twin", NULL},     {"x", NULL}};
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dx_device *const device = dx_directory_copy_device(directory, cases[i].asked);
        CHECK(!device == !cases[i].found);
        if (device)
            CHECK_TEXT(dx_device_uid(device), cases[i].found);
        dx_device_release(device);
    }
    dx_device *const input = dx_directory_copy_default_device(directory, IOUserAudioStreamDirectionInput);
    dx_device *const output = dx_directory_copy_default_device(directory, IOUserAudioStreamDirectionOutput);
    CHECK_TEXT(dx_device_uid(input), "uid.c");
    CHECK_TEXT(dx_device_uid(output), "uid.b");
    dx_device_release(input);
    dx_device_release(output);
    CHECK(!dx_directory_copy_device(directory, NULL));
    CHECK_EQ(dx_directory_copy_devices(NULL, NULL, 0), 0);
    dx_directory_close(directory);
    dx_directory_close(NULL);
    fake_stop(&fake);
    end();
}

static void
what_was_told_is_answered_without_asking(void)
{
    begin();
    OSDictionary *const description = fake_add_device(&fake, "uid.a", "Device");
    OSDictionary *const control = OSDictionaryCreate(8);
    CHECK(OSDictionarySetStringValue(control, "key", "mute/outp/0"));
    CHECK(OSDictionarySetStringValue(control, "kind", "boolean"));
    CHECK(dx_wire_set_bool(control, "on", true));
    OSArray *const controls = OSArrayCreate(1);
    CHECK(OSArraySetObject(controls, control));
    CHECK(dx_wire_take(description, "controls", controls));
    OSObjectRelease(control);
    fake_start(&fake);
    dx_directory *const directory = open_directory(false, 0);
    dx_device *const device = dx_directory_copy_device(directory, "uid.a");
    const uint32_t asked = fake.request_count;

    dx_device_info info = {.size = sizeof info};
    CHECK_OK(dx_device_get_info(device, &info));
    CHECK_TEXT(info.name, "Device");
    CHECK(!info.has_driver && info.sample_rate_hz == 48000.0 && info.actual_rate_hz == 48000.0);
    CHECK_EQ(info.outputs[0].client.mChannelsPerFrame, 2);
    dx_control_info mute = {.size = sizeof mute};
    CHECK_OK(dx_device_get_control(device, "mute/outp/0", &mute));
    CHECK(mute.is_on);
    CHECK_OK(dx_device_get_control_at(device, 0, &mute));
    CHECK_STATUS(dx_device_get_control_at(device, 1, &mute), kIOReturnNotFound);
    CHECK(!dx_device_copy_object(device));
    CHECK_EQ(fake.request_count, asked);
    CHECK_STATUS(dx_device_set_prewarmed(device, true), kIOReturnUnsupported);

    CHECK(OSDictionarySetStringValue(description, "name", "Renamed"));
    CHECK(OSDictionarySetStringValue(description, "state", "running"));
    fake_tell(&fake, description);
    settle(directory);
    CHECK_OK(dx_device_get_info(device, &info));
    CHECK_TEXT(info.name, "Renamed");
    CHECK(info.has_driver);
    dx_device_release(device);
    dx_directory_close(directory);
    fake_stop(&fake);
    end();
}

static void
the_whole_description_is_asked_for_and_shares_nothing(void)
{
    begin();
    (void)fake_add_device(&fake, "uid.a", "Device");
    fake.answer = OSDictionaryCreate(1);
    OSDictionary *const whole = OSDictionaryCreate(1);
    CHECK(OSDictionarySetStringValue(whole, "uid", "uid.a"));
    CHECK(dx_wire_take(fake.answer, "description", whole));
    fake_start(&fake);
    dx_directory *const directory = open_directory(false, 0);
    dx_device *const device = dx_directory_copy_device(directory, "uid.a");
    OSDictionary *const first = dx_directory_copy_description(directory, device);
    CHECK_EQ(OSDictionaryGetCount(first), 1);
    CHECK_EQ(OSObjectGetRetainCount(first), 1);
    OSObjectRelease(first);
    /* Without a supervisor it is what was told, as a copy. */
    fake.refuse = DX_OP_DESCRIBE;
    fake.refusal = kIOReturnNotReady;
    OSDictionary *const known = dx_directory_copy_description(directory, device);
    CHECK_TEXT(dx_wire_get_string(known, "name"), "Device");
    CHECK(OSDictionarySetStringValue(
        dx_wire_get_dictionary(OSArrayGetObject(dx_wire_get_array(known, "outputs"), 0), "client"), "mine",
        "yes"));
    OSObjectRelease(known);
    OSDictionary *const again = dx_directory_copy_description(directory, device);
    CHECK(!dx_wire_get_string(
        dx_wire_get_dictionary(OSArrayGetObject(dx_wire_get_array(again, "outputs"), 0), "client"), "mine"));
    OSObjectRelease(again);
    OSObjectRelease(fake.answer);
    dx_device_release(device);
    dx_directory_close(directory);
    fake_stop(&fake);
    end();
}

/* ---- what it asks ---- */

static OSDictionary *
expect_set(uint32_t count, const char *what)
{
    OSDictionary *const request = fake_wait_for(&fake, DX_OP_SET, count);
    CHECK_TEXT(dx_wire_get_string(request, "uid"), "uid.a");
    CHECK_TEXT(dx_wire_get_string(request, "what"), what);
    return request;
}

static double
get_double(const OSDictionary *from, const char *key)
{
    double value = NAN;
    CHECK(dx_wire_get_double(from, key, &value));
    return value;
}

static void
settings_are_asked_for_with_the_keys_of_the_protocol(void)
{
    begin();
    (void)fake_add_device(&fake, "uid.a", "Device");
    fake_start(&fake);
    dx_directory *const directory = open_directory(false, 0);
    dx_device *const device = dx_directory_copy_device(directory, "uid.a");
    OSDictionary *r;

    CHECK_OK(dx_device_set_control_boolean(device, "k", true));
    r = expect_set(1, "control");
    CHECK_TEXT(dx_wire_get_string(r, "key"), "k");
    CHECK(OSDictionaryGetObject(r, "boolean") == kOSBooleanTrue);
    OSObjectRelease(r);
    CHECK_OK(dx_device_set_control_number(device, "k", 77));
    r = expect_set(2, "control");
    CHECK_EQ(dx_wire_get_number(r, "number", 0), 77);
    OSObjectRelease(r);
    CHECK_OK(dx_device_set_control_decibels(device, "k", -6.5f));
    r = expect_set(3, "control");
    CHECK(get_double(r, "decibels-f64") == -6.5);
    OSObjectRelease(r);
    CHECK_OK(dx_device_set_control_scalar(device, "k", 0.5f));
    r = expect_set(4, "control");
    CHECK(get_double(r, "scalar-f64") == 0.5);
    OSObjectRelease(r);
    const IOUserAudioSelectorValue values[] = {3, 1};
    CHECK_OK(dx_device_set_control_values(device, "k", values, 2));
    r = expect_set(5, "control");
    CHECK_EQ(OSArrayGetCount(dx_wire_get_array(r, "values")), 2);
    CHECK_EQ(OSNumberGetUInt64Value(OSArrayGetObject(dx_wire_get_array(r, "values"), 0)), 3);
    OSObjectRelease(r);
    CHECK_OK(dx_device_set_control_item(device, "k", "Line"));
    r = expect_set(6, "control");
    CHECK_TEXT(dx_wire_get_string(r, "item"), "Line");
    OSObjectRelease(r);
    CHECK_OK(dx_device_set_control_position(device, "k", 0.25f));
    r = expect_set(7, "control");
    CHECK(get_double(r, "position-f64") == 0.25);
    OSObjectRelease(r);
    CHECK_OK(dx_device_set_sample_rate(device, 44100.0));
    r = expect_set(8, "rate");
    CHECK(get_double(r, "rate-f64") == 44100.0);
    OSObjectRelease(r);
    CHECK_OK(dx_device_set_io_frames(device, 64));
    r = expect_set(9, "io-frames");
    CHECK_EQ(dx_wire_get_number(r, "frames", 0), 64);
    OSObjectRelease(r);
    const IOUserAudioStreamBasicDescription format = {
        48000.0, IOUserAudioFormatIDLinearPCM, FormatFlagsNativeFloatPacked, 16, 1, 16, 4, 32, 0};
    CHECK_OK(dx_device_set_stream_format(device, IOUserAudioStreamDirectionInput, 2, &format));
    r = expect_set(10, "format");
    CHECK_EQ(dx_wire_get_number(r, "direction", 9), IOUserAudioStreamDirectionInput);
    CHECK_EQ(dx_wire_get_number(r, "index", 9), 2);
    CHECK_EQ(dx_wire_get_number(dx_wire_get_dictionary(r, "format"), "channels", 0), 4);
    OSObjectRelease(r);
    dx_device_release(device);
    dx_directory_close(directory);
    fake_stop(&fake);
    end();
}

static void
properties_and_statistics_are_asked_for(void)
{
    begin();
    (void)fake_add_device(&fake, "uid.a", "Device");
    fake.answer = OSDictionaryCreate(4);
    CHECK(OSDictionarySetStringValue(fake.answer, "value", "of the property"));
    CHECK(OSDictionarySetUInt64Value(fake.answer, "cycles", UINT64_C(1) << 40));
    fake_start(&fake);
    dx_directory *const directory = open_directory(false, 0);
    dx_device *const device = dx_directory_copy_device(directory, "uid.a");
    const IOUserAudioObjectPropertyAddress address = {1, 2, 3};
    OSString *const text = OSStringCreate("qualifier");
    OSObjectPtr value = NULL;
    CHECK_OK(dx_device_copy_custom_property(device, address, text, &value));
    CHECK_TEXT(OSStringGetCStringNoCopy(value), "of the property");
    OSObjectRelease(value);
    OSDictionary *r = fake_wait_for(&fake, DX_OP_GET_PROPERTY, 1);
    CHECK_EQ(dx_wire_get_number(r, "selector", 0) * 100 + dx_wire_get_number(r, "scope", 0) * 10 +
                 dx_wire_get_number(r, "element", 0),
             123);
    CHECK_TEXT(dx_wire_get_string(r, "qualifier"), "qualifier");
    OSObjectRelease(r);
    CHECK_OK(dx_device_set_custom_property(device, address, NULL, text));
    r = expect_set(1, "property");
    CHECK_TEXT(dx_wire_get_string(r, "value"), "qualifier");
    CHECK(!OSDictionaryGetObject(r, "qualifier"));
    OSObjectRelease(r);
    dx_device_statistics statistics = {.size = sizeof statistics};
    CHECK_OK(dx_device_get_statistics(device, &statistics));
    CHECK_EQ(statistics.cycles, UINT64_C(1) << 40);
    OSDictionaryRemoveObject(fake.answer, "value"); // a success without one
    CHECK_STATUS(dx_device_copy_custom_property(device, address, NULL, &value), kIOReturnInternalError);
    OSObjectRelease(fake.answer);
    OSObjectRelease(text);
    dx_device_release(device);
    dx_directory_close(directory);
    fake_stop(&fake);
    end();
}

static void
a_refusal_is_handed_on_with_its_words(void)
{
    begin();
    (void)fake_add_device(&fake, "uid.a", "Device");
    fake.refuse = DX_OP_CREATE;
    fake.refusal = kIOReturnNoSpace;
    fake_start(&fake);
    dx_directory *const directory = open_directory(false, 0);
    OSDictionary *const arguments = OSDictionaryCreate(1);
    CHECK(OSDictionarySetStringValue(arguments, "kind", "cable"));
    OSDictionary *answer = NULL;
    dx_error error = {{0}};
    CHECK_STATUS(dx_directory_request(directory, DX_OP_CREATE, arguments, &answer, &error), kIOReturnNoSpace);
    CHECK_TEXT(error.message, "the fake says no");
    OSObjectRelease(answer);
    CHECK_EQ(OSDictionaryGetCount(arguments), 1); // it is the caller's
    OSDictionary *const r = fake_wait_for(&fake, DX_OP_CREATE, 1);
    CHECK_TEXT(dx_wire_get_string(r, "kind"), "cable");
    OSObjectRelease(r);

    /* More than a message holds. */
    char *const much = calloc(1, DX_WIRE_MAX_BYTES + 1);
    memset(much, 'x', DX_WIRE_MAX_BYTES);
    CHECK(OSDictionarySetStringValue(arguments, "kind", much));
    CHECK_STATUS(dx_directory_request(directory, DX_OP_CREATE, arguments, NULL, &error), kIOReturnNoSpace);
    free(much);
    CHECK_OK(dx_directory_request(directory, DX_OP_DRIVERS, NULL, &answer, NULL));
    CHECK(!OSDictionaryGetObject(answer, "re") && !OSDictionaryGetObject(answer, "status"));
    OSObjectRelease(answer);
    CHECK_STATUS(dx_directory_request(directory, NULL, NULL, NULL, NULL), kIOReturnBadArgument);
    OSObjectRelease(arguments);
    dx_directory_close(directory);
    fake_stop(&fake);
    end();
}

static void
an_answer_that_does_not_come_is_a_time_out_and_harms_nothing(void)
{
    begin();
    fake_start(&fake);
    dx_directory *const directory = open_directory(false, 200000000);
    fake_lock(&fake);
    fake.mute = DX_OP_KINDS;
    fake_unlock(&fake);
    CHECK_STATUS(dx_directory_request(directory, DX_OP_KINDS, NULL, NULL, NULL), kIOReturnTimeout);
    /* It comes after all, with a descriptor that nobody wants, and again, and one that was never asked for. */
    OSDictionary *const asked = fake_wait_for(&fake, DX_OP_KINDS, 1);
    const uint64_t ids[] = {dx_wire_get_number(asked, "id", 0), dx_wire_get_number(asked, "id", 0), 123456, 0,
                            UINT64_MAX};
    OSObjectRelease(asked);
    for (unsigned i = 0; i < 5; i++) {
        OSDictionary *const late = OSDictionaryCreate(4);
        CHECK(OSDictionarySetUInt64Value(late, "re", ids[i]));
        const int fd = create_numbered(1);
        fake_send(&fake, late, &fd, 1);
        close(fd);
    }
    settle(directory);
    dx_directory_close(directory);
    fake_stop(&fake);
    end();
}

struct asker {
    dx_directory *directory;
    unsigned number;
};

static void *
ask_many(void *argument)
{
    const struct asker *const asker = argument;
    for (unsigned i = 0; i < 100; i++) {
        OSDictionary *const body = OSDictionaryCreate(1);
        CHECK(OSDictionarySetUInt64Value(body, "mine", asker->number * 1000 + i));
        OSDictionary *answer = NULL;
        CHECK_OK(dx_directory_request(asker->directory, DX_OP_KINDS, body, &answer, NULL));
        CHECK(answer);
        OSObjectRelease(answer);
        OSObjectRelease(body);
    }
    return NULL;
}

static void
many_threads_ask_at_once(void)
{
    begin();
    fake_start(&fake);
    dx_directory *const directory = open_directory(true, 0);
    pthread_t threads[8];
    struct asker askers[8];
    for (unsigned i = 0; i < 8; i++) {
        askers[i] = (struct asker){directory, i};
        CHECK(pthread_create(&threads[i], NULL, ask_many, &askers[i]) == 0);
    }
    for (unsigned i = 0; i < 8; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK_EQ(fake_count(&fake, DX_OP_KINDS), 800);
    dx_directory_close(directory);
    fake_stop(&fake);
    end();
}

/* ---- what it is told ---- */

static void
changes_are_told_in_their_order(void)
{
    begin();
    OSDictionary *const a = fake_add_device(&fake, "uid.a", "A");
    fake_start(&fake);
    dx_directory *const directory = open_directory(true, 0);
    unsigned next = 0;
    CHECK(dx_wire_set_bool(a, "io-running", true));
    fake_tell(&fake, a);
    (void)expect_event(&next, DX_EVENT_DEVICE_CHANGED, "uid.a");
    (void)expect_event(&next, DX_EVENT_IO_STARTED, "uid.a");
    CHECK(dx_wire_set_bool(a, "io-running", false));
    fake_tell(&fake, a);
    (void)expect_event(&next, DX_EVENT_DEVICE_CHANGED, "uid.a");
    (void)expect_event(&next, DX_EVENT_IO_STOPPED, "uid.a");
    fake_tell(&fake, a); // nothing new
    OSDictionary *const b = fake_add_device(&fake, "uid.b", "B");
    fake_tell(&fake, b);
    (void)expect_event(&next, DX_EVENT_DEVICE_ADDED, "uid.b");

    OSDictionary *event = fake_event(DX_EVENT_PROPERTIES, "uid.a");
    OSArray *const selectors = OSArrayCreate(2);
    OSNumber *const selector = OSNumberCreate(DX_FOURCC('b', 'c', 'v', 'l'), 32);
    CHECK(OSArraySetObject(selectors, kOSBooleanTrue)); // none
    CHECK(OSArraySetObject(selectors, selector));
    OSObjectRelease(selector);
    CHECK(dx_wire_take(event, "selectors", selectors));
    CHECK(OSDictionarySetUInt64Value(event, "object", 42));
    fake_send(&fake, event, NULL, 0);
    unsigned i = expect_event(&next, DX_EVENT_PROPERTIES_CHANGED, "uid.a");
    CHECK_EQ(told.events[i].object, 42);
    CHECK_EQ(told.events[i].selector_count, 1);
    CHECK_EQ(told.events[i].first_selector, DX_FOURCC('b', 'c', 'v', 'l'));

    event = fake_event(DX_EVENT_CONFIGURATION, "uid.a");
    CHECK(dx_wire_set_bool(event, "begin", true));
    fake_send(&fake, event, NULL, 0);
    (void)expect_event(&next, DX_EVENT_CONFIGURATION_BEGIN, "uid.a");
    event = fake_event(DX_EVENT_CONFIGURATION, "uid.a");
    CHECK(OSDictionarySetUInt64Value(event, "status", (uint32_t)kIOReturnAborted));
    fake_send(&fake, event, NULL, 0);
    i = expect_event(&next, DX_EVENT_CONFIGURATION_END, "uid.a");
    CHECK_EQ(told.events[i].status, kIOReturnAborted);

    event = fake_event(DX_EVENT_DEFAULT, NULL);
    CHECK(OSDictionarySetStringValue(event, "output", "uid.b"));
    fake_send(&fake, event, NULL, 0);
    (void)expect_event(&next, DX_EVENT_DEFAULT_CHANGED, "");
    dx_device *const output = dx_directory_copy_default_device(directory, IOUserAudioStreamDirectionOutput);
    CHECK_TEXT(dx_device_uid(output), "uid.b");
    fake_send(&fake, fake_event(DX_EVENT_GONE, "uid.b"), NULL, 0);
    (void)expect_event(&next, DX_EVENT_DEVICE_REMOVED, "uid.b");
    CHECK(!dx_directory_copy_device(directory, "uid.b"));
    CHECK(!dx_directory_copy_default_device(directory, IOUserAudioStreamDirectionOutput));
    /* When it comes back, it is the same for who has kept it. */
    fake_tell(&fake, b);
    (void)expect_event(&next, DX_EVENT_DEVICE_ADDED, "uid.b");
    dx_device *const again = dx_directory_copy_device(directory, "uid.b");
    CHECK(again == output);
    dx_device_release(again);
    dx_device_release(output);
    dx_directory_close(directory);
    fake_stop(&fake);
    end();
}

static void
events_about_nothing_are_ignored(void)
{
    begin();
    OSDictionary *const a = fake_add_device(&fake, "uid.a", "A");
    fake_start(&fake);
    dx_directory *const directory = open_directory(true, 0);
    static const char *const events[] = {DX_EVENT_GONE,        DX_EVENT_PROPERTIES, DX_EVENT_CONFIGURATION,
                                         DX_EVENT_DESCRIPTION, DX_EVENT_NEW_DRIVER, DX_EVENT_COMPLETION,
                                         "of the future"};
    for (unsigned i = 0; i < sizeof events / sizeof events[0]; i++) {
        const int fd = create_numbered(3); // a descriptor that nobody asked for
        fake_send(&fake, fake_event(events[i], "uid.x"), &fd, 1);
        fake_send(&fake, fake_event(events[i], NULL), NULL, 0);
        close(fd);
    }
    /* A description that cannot be true changes nothing. */
    CHECK(OSDictionarySetUInt64Value(a, "io-frames", UINT64_MAX));
    CHECK(OSDictionarySetStringValue(a, "name", "Liar"));
    fake_tell(&fake, a);
    OSDictionary *const new = fake_add_device(&fake, "uid.new", "New");
    CHECK(OSDictionarySetUInt64Value(new, "io-frames", UINT64_MAX));
    fake_tell(&fake, new);
    settle(directory);
    CHECK_EQ(told.count, 0);
    CHECK(dx_directory_copy_device(directory, "uid.new") == NULL);
    dx_device *const device = dx_directory_copy_device(directory, "A");
    CHECK(device);
    dx_device_release(device);
    dx_directory_close(directory);
    fake_stop(&fake);
    end();
}

static dx_directory *asked_by_listener;

static void
ask_in_event(const dx_host_event *event)
{
    if ((int)event->kind != DX_EVENT_DEVICE_ADDED)
        return;
    /* Another event comes while this one is being told of. */
    fake_tell(&fake, fake.devices[1]);
    CHECK_OK(dx_directory_request(asked_by_listener, DX_OP_KINDS, NULL, NULL, NULL));
    CHECK_OK(dx_device_set_control_boolean(event->device, "k", true));
    dx_device *const device = dx_directory_copy_device(asked_by_listener, "uid.b");
    CHECK(device); // known already, told later
    dx_device_release(device);
}

static void
a_listener_may_ask(void)
{
    begin();
    OSDictionary *const a = fake_add_device(&fake, "uid.a", "A");
    (void)fake_add_device(&fake, "uid.b", "B");
    fake.device_count = 0; // not at first
    fake_start(&fake);
    dx_directory *const directory = open_directory(true, 0);
    asked_by_listener = directory;
    fake.device_count = 2;
    told.in_event = ask_in_event;
    fake_tell(&fake, a);
    unsigned next = 0;
    (void)expect_event(&next, DX_EVENT_DEVICE_ADDED, "uid.a");
    (void)expect_event(&next, DX_EVENT_DEVICE_ADDED, "uid.b");
    CHECK_EQ(fake_count(&fake, DX_OP_SET), 2);
    dx_directory_close(directory);
    fake_stop(&fake);
    end();
}

/* ---- who is there ---- */

static void
a_supervisor_that_is_not_there_is_said_so(void)
{
    begin();
    expect_refusal(kIOReturnNotFound, fake.path);
    expect_refusal(kIOReturnNotFound, "dextral serve");
    /* A socket that nobody listens to any more. */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, fake.path);
    const int left = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    CHECK(bind(left, (const struct sockaddr *)&address, sizeof address) == 0);
    expect_refusal(kIOReturnNotFound, "no supervisor");
    close(left);
    CHECK(unlink(fake.path) == 0);
    /* A socket of another kind; a file. */
    const int stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(stream, (const struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(stream, 1) == 0);
    expect_refusal(kIOReturnUnsupported, "no socket of a supervisor");
    close(stream);
    CHECK(unlink(fake.path) == 0);
    close(open(fake.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    expect_refusal(kIOReturnNotFound, "no supervisor");
    CHECK(unlink(fake.path) == 0);

    static char long_path[300];
    memset(long_path, 'x', sizeof long_path - 1);
    dx_directory *directory = NULL;
    dx_directory_config config = {.size = sizeof config, .socket_path = long_path};
    CHECK_STATUS(dx_directory_open(&config, &directory, NULL), kIOReturnBadArgument);
    config.size = 3;
    CHECK_STATUS(dx_directory_open(&config, &directory, NULL), kIOReturnBadArgument);
    CHECK_STATUS(dx_directory_open(NULL, NULL, NULL), kIOReturnBadArgument);
    end();
}

/* A process of another user that listens at the fake's path. */
static pid_t
listen_as(uid_t user)
{
    CHECK(chmod(fake.folder, 0755) == 0);
    CHECK(chown(fake.folder, user, (gid_t)-1) == 0);
    int pipes[2];
    CHECK(pipe2(pipes, O_CLOEXEC) == 0);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        strcpy(address.sun_path, fake.path);
        const int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        CHECK(setuid(user) == 0);
        CHECK(bind(listener, (const struct sockaddr *)&address, sizeof address) == 0);
        CHECK(chmod(fake.path, 0777) == 0);
        CHECK(listen(listener, 1) == 0);
        CHECK(write(pipes[1], "", 1) == 1);
        for (;;)
            (void)pause();
    }
    char ready;
    CHECK(read(pipes[0], &ready, 1) == 1);
    close(pipes[0]);
    close(pipes[1]);
    return child;
}

static void
a_supervisor_of_another_user_is_refused(void)
{
    begin();
    if (geteuid() != 0) { // nobody else can be had
        CHECK(rmdir(fake.folder) == 0);
        return;
    }
    const pid_t other = listen_as(65533);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(setuid(65534) == 0);
        expect_refusal(kIOReturnNotPermitted, "the supervisor is of user 65533");
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
    CHECK(kill(other, SIGKILL) == 0);
    CHECK(waitpid(other, NULL, 0) == other);
    CHECK(unlink(fake.path) == 0);
    end();
}

static void
another_minor_version_works_and_another_major_one_is_refused_with_a_sentence(void)
{
    static const struct {
        uint64_t major, minor;
        bool is_strict, works;
    } versions[] = {
        {1, 0, true, true},          {1, 1, true, true},
        {1, 4000000000, true, true}, {2, 0, true, false}, // it refuses itself
        {2, 0, false, false},                             // it would not mind
        {0, 9, false, false},
    };
    for (unsigned i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        begin();
        fake.major = versions[i].major;
        fake.minor = versions[i].minor;
        fake.is_strict = versions[i].is_strict;
        fake_start(&fake);
        if (versions[i].works) {
            dx_directory *const directory = open_directory(false, 0);
            settle(directory);
            OSDictionary *const hello = fake_wait_for(&fake, DX_OP_HELLO, 1);
            CHECK_TEXT(dx_wire_get_string(hello, "role"), "client");
            CHECK_TEXT(dx_wire_get_string(hello, "name"), "test program");
            CHECK_EQ(dx_wire_get_number(hello, "major", 0), 1);
            OSObjectRelease(hello);
            dx_directory_close(directory);
        } else {
            expect_refusal(kIOReturnUnsupported, versions[i].is_strict ? "the fake says no" : "version");
        }
        fake_stop(&fake);
        end();
    }
}

static void
one_that_talks_nonsense_or_not_at_all_is_given_up(void)
{
    begin();
    fake.mute = DX_OP_HELLO;
    fake_start(&fake);
    dx_directory *directory = NULL;
    const dx_directory_config config = {.socket_path = fake.path, .timeout_ns = 100000000};
    dx_error error = {{0}};
    CHECK_STATUS(dx_directory_open(&config, &directory, &error), kIOReturnTimeout);
    CHECK(strstr(error.message, "does not answer"));
    fake_lock(&fake);
    fake.mute = NULL;
    fake_unlock(&fake);

    directory = open_directory(true, 0);
    unsigned next = 0;
    fake_send_bytes(&fake, "no message at all", 17);
    (void)expect_event(&next, DX_EVENT_SUPERVISOR_LOST, "");
    (void)expect_event(&next, DX_EVENT_SUPERVISOR_BACK, "");
    settle(directory);
    dx_directory_close(directory);
    fake_stop(&fake);
    end();
}

/* ---- coming back ---- */

static void
it_connects_again_by_itself_and_tells_what_has_changed(void)
{
    begin();
    OSDictionary *const a = fake_add_device(&fake, "uid.a", "A");
    (void)fake_add_device(&fake, "uid.b", "B");
    fake_start(&fake);
    dx_directory *const directory = open_directory(true, 0);
    unsigned next = 0;
    fake_stop(&fake);
    (void)expect_event(&next, DX_EVENT_SUPERVISOR_LOST, "");
    /* What was known still is; what has to be asked is not ready. */
    CHECK_EQ(dx_directory_copy_devices(directory, NULL, 0), 2);
    dx_error error = {{0}};
    CHECK_STATUS(dx_directory_request(directory, DX_OP_DRIVERS, NULL, NULL, &error), kIOReturnNotReady);
    CHECK(strstr(error.message, "no supervisor"));

    CHECK(OSDictionarySetStringValue(a, "name", "Renamed"));
    OSObjectRelease(fake.devices[1]);
    fake.device_count = 1;
    (void)fake_add_device(&fake, "uid.c", "C");
    fake_start(&fake);
    (void)expect_event(&next, DX_EVENT_DEVICE_CHANGED, "uid.a");
    (void)expect_event(&next, DX_EVENT_DEVICE_ADDED, "uid.c");
    (void)expect_event(&next, DX_EVENT_DEVICE_REMOVED, "uid.b");
    (void)expect_event(&next, DX_EVENT_SUPERVISOR_BACK, "");
    settle(directory);
    dx_directory_close(directory);
    fake_stop(&fake);
    end();
}

static void
without_need_it_connects_again_only_when_it_is_asked(void)
{
    begin();
    (void)fake_add_device(&fake, "uid.a", "A");
    fake_start(&fake);
    dx_directory *const directory = open_directory(false, 0);
    fake_stop(&fake);
    fake_start(&fake);
    /* Nobody listens and nobody plays: no attempt was made when the next request came. */
    const uint32_t before = fake.connections;
    settle(directory);
    CHECK_EQ(fake.connections, before + 1);
    dx_directory_close(directory);
    fake_stop(&fake);
    end();
}

static void *
ask_muted(void *argument)
{
    CHECK_STATUS(dx_directory_request(argument, DX_OP_KINDS, NULL, NULL, NULL), kIOReturnNotReady);
    return NULL;
}

static void
who_waits_for_an_answer_is_told_when_the_supervisor_goes(void)
{
    begin();
    fake.mute = DX_OP_KINDS;
    fake_start(&fake);
    dx_directory *const directory = open_directory(false, 0);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, ask_muted, directory) == 0);
    OSObjectRelease(fake_wait_for(&fake, DX_OP_KINDS, 1));
    fake_stop(&fake);
    CHECK(pthread_join(thread, NULL) == 0);
    dx_directory_close(directory);
    end();
}

/* ---- what it leaves alone ---- */

static _Atomic int signals_taken;

static void
take_signal(int number)
{
    (void)number;
    atomic_fetch_add_explicit(&signals_taken, 1, memory_order_relaxed);
}

/* A line of /proc about the one thread that a directory has: what follows `key`. */
static void
read_thread(const char *key, char *ret_value, size_t bytes)
{
    char path[64];
    char line[256];
    unsigned threads = 0;
    DIR *const tasks = opendir("/proc/self/task");
    for (const struct dirent *entry; (entry = readdir(tasks));) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "/proc/self/task/%.20s/status", entry->d_name);
        FILE *const file = fopen(path, "re");
        CHECK(file && fgets(line, sizeof line, file));
        const bool is_it = strcmp(line, "Name:\tdextral\n") == 0;
        threads += is_it;
        while (fgets(line, sizeof line, file))
            if (is_it && strncmp(line, key, strlen(key)) == 0)
                (void)snprintf(ret_value, bytes, "%s", line + strlen(key));
        (void)fclose(file);
    }
    (void)closedir(tasks);
    CHECK_EQ(threads, 1);
}

static void
check_signals_are_blocked(void)
{
    char value[64] = "";
    read_thread("SigBlk:", value, sizeof value);
    /* All but KILL, STOP and those that the C library keeps for itself. */
    const unsigned long long wanted =
        ~((1ull << (SIGKILL - 1)) | (1ull << (SIGSTOP - 1)) | (1ull << 31) | (1ull << 32) | (1ull << 33));
    CHECK_EQ(strtoull(value, NULL, 16) & wanted, wanted);
}

static unsigned long long
count_switches(void)
{
    char own[64] = "", forced[64] = "";
    read_thread("voluntary_ctxt_switches:", own, sizeof own);
    read_thread("nonvoluntary_ctxt_switches:", forced, sizeof forced);
    return strtoull(own, NULL, 10) + strtoull(forced, NULL, 10);
}

static void
a_directory_that_nothing_happens_to_does_not_wake(void)
{
    begin();
    (void)fake_add_device(&fake, "uid.a", "A");
    fake_start(&fake);
    dx_directory *const directory = open_directory(true, 0);
    settle(directory);
    /* Until it sleeps; from then on its count stays. */
    char state[64] = "";
    do
        read_thread("State:", state, sizeof state);
    while (!strchr(state, 'S'));
    (void)usleep(100000);
    const unsigned long long before = count_switches();
    (void)sleep(2);
    CHECK_EQ(count_switches(), before);
    dx_directory_close(directory);
    fake_stop(&fake);
    end();
}

static void
its_thread_takes_no_signals_and_raises_none(void)
{
    begin();
    const struct sigaction action = {.sa_handler = take_signal};
    struct sigaction before;
    CHECK(sigaction(SIGPIPE, &action, &before) == 0);
    fake_start(&fake);
    dx_directory *const directory = open_directory(true, 0);
    check_signals_are_blocked();
    for (unsigned i = 0; i < 20; i++) {
        fake_stop(&fake);
        (void)dx_directory_request(directory, DX_OP_DRIVERS, NULL, NULL, NULL);
        fake_start(&fake);
        (void)dx_directory_request(directory, DX_OP_DRIVERS, NULL, NULL, NULL);
    }
    CHECK_EQ(atomic_load(&signals_taken), 0);
    dx_directory_close(directory);
    fake_stop(&fake);
    CHECK(sigaction(SIGPIPE, &before, NULL) == 0);
    end();
}

static void
a_child_after_fork_can_only_close(void)
{
    begin();
    (void)fake_add_device(&fake, "uid.a", "A");
    fake_start(&fake);
    dx_directory *const directory = open_directory(true, 0);
    dx_device *const device = dx_directory_copy_device(directory, "uid.a");
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        dx_device_info info = {.size = sizeof info};
        dx_client *client = NULL;
        const dx_client_config config = {.size = sizeof config, .output_stream = 0, .input_stream = DX_NO_STREAM};
        CHECK_STATUS(dx_directory_request(directory, DX_OP_DRIVERS, NULL, NULL, NULL), kIOReturnNotAttached);
        CHECK_STATUS(dx_device_get_info(device, &info), kIOReturnNotAttached);
        CHECK_STATUS(dx_device_set_control_boolean(device, "k", true), kIOReturnNotAttached);
        CHECK_STATUS(dx_client_open(device, &config, &client), kIOReturnNotAttached);
        CHECK_EQ(dx_directory_copy_devices(directory, NULL, 0), 0);
        CHECK(!dx_directory_copy_device(directory, "uid.a"));
        CHECK(!dx_directory_copy_default_device(directory, IOUserAudioStreamDirectionOutput));
        CHECK(!dx_directory_copy_description(directory, device));
        dx_device_release(device);
        dx_directory_close(directory);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
    settle(directory); // the parent's goes on
    dx_device_release(device);
    dx_directory_close(directory);
    fake_stop(&fake);
    end();
}

static void
ten_thousand_connections_leave_nothing(void)
{
    begin();
    (void)fake_add_device(&fake, "uid.a", "A");
    fake_start(&fake);
    for (unsigned i = 0; i < 10000; i++) {
        dx_directory *const directory = open_directory(i % 2, 0);
        dx_directory_close(directory);
        if (i % 1000 == 999) { // what the fake keeps
            fake_lock(&fake);
            while (fake.request_count)
                OSObjectRelease(fake.requests[--fake.request_count]);
            fake_unlock(&fake);
        }
    }
    CHECK_EQ(fake.connections, 10000);
    fake_stop(&fake);
    end();
}

int
main(void)
{
    RUN(devices_are_listed_in_their_order_however_many_messages_it_takes);
    RUN(a_device_is_found_by_uid_or_by_a_name_that_is_its_own);
    RUN(what_was_told_is_answered_without_asking);
    RUN(the_whole_description_is_asked_for_and_shares_nothing);
    RUN(settings_are_asked_for_with_the_keys_of_the_protocol);
    RUN(properties_and_statistics_are_asked_for);
    RUN(a_refusal_is_handed_on_with_its_words);
    RUN(an_answer_that_does_not_come_is_a_time_out_and_harms_nothing);
    RUN(many_threads_ask_at_once);
    RUN(changes_are_told_in_their_order);
    RUN(events_about_nothing_are_ignored);
    RUN(a_listener_may_ask);
    RUN(a_supervisor_that_is_not_there_is_said_so);
    RUN(a_supervisor_of_another_user_is_refused);
    RUN(another_minor_version_works_and_another_major_one_is_refused_with_a_sentence);
    RUN(one_that_talks_nonsense_or_not_at_all_is_given_up);
    RUN(it_connects_again_by_itself_and_tells_what_has_changed);
    RUN(without_need_it_connects_again_only_when_it_is_asked);
    RUN(who_waits_for_an_answer_is_told_when_the_supervisor_goes);
    RUN(a_directory_that_nothing_happens_to_does_not_wake);
    RUN(its_thread_takes_no_signals_and_raises_none);
    RUN(a_child_after_fork_can_only_close);
    RUN(ten_thousand_connections_leave_nothing);
    return 0;
}
