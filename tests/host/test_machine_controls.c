// SPDX-License-Identifier: MIT
// Controls, properties, rates and events of a device of the machine: what one program changes, another is told of.
// The driver is Simple, in a process of its own.

#include "core/clock.h"
#include "tests/host/supervisor_rig.h"

#include <dextral/dextral.h>

#include <math.h>
#include <pthread.h>

#define TEXT DX_FOURCC('t', 'e', 'x', 't')
#define CHECK_OK(call)                                                                                            \
    do {                                                                                                          \
        const kern_return_t check_status_ = (call);                                                               \
        if (check_status_ != kIOReturnSuccess)                                                                    \
            (void)fprintf(stderr, "%s: %s\n", #call, dx_return_string(check_status_));                            \
        CHECK(check_status_ == kIOReturnSuccess);                                                                 \
    } while (0)

static struct machine machine;
static dx_directory *directory; // who changes
static dx_device *device;
static dx_directory *other; // who is told
static dx_device *others_device;

/* ---- a listener that remembers ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned count;
    struct {
        int kind;
        kern_return_t status;
        IOUserAudioObjectID object;
        IOUserAudioObjectPropertySelector selectors[8];
        unsigned selector_count;
    } events[256];
} told = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void
listen_to(void *context, const dx_host_event *event)
{
    (void)context;
    CHECK(pthread_mutex_lock(&told.lock) == 0);
    CHECK(told.count < 256);
    told.events[told.count].kind = (int)event->kind;
    told.events[told.count].status = event->status;
    told.events[told.count].object = event->object;
    const unsigned count = event->selector_count < 8 ? event->selector_count : 8;
    for (unsigned i = 0; i < count; i++)
        told.events[told.count].selectors[i] = event->selectors[i];
    told.events[told.count].selector_count = count;
    told.count++;
    CHECK(pthread_cond_broadcast(&told.changed) == 0);
    CHECK(pthread_mutex_unlock(&told.lock) == 0);
}

static bool
is_event(unsigned i, int kind, IOUserAudioObjectID object, IOUserAudioObjectPropertySelector selector)
{
    if (told.events[i].kind != kind || (object && told.events[i].object != object))
        return false;
    for (unsigned k = 0; k < told.events[i].selector_count; k++)
        if (told.events[i].selectors[k] == selector)
            return true;
    return selector == 0;
}

/* Waits for an event after the first `from`, and gives its place. */
static unsigned
wait_told(unsigned from, int kind, IOUserAudioObjectID object, IOUserAudioObjectPropertySelector selector)
{
    CHECK(pthread_mutex_lock(&told.lock) == 0);
    unsigned i = from;
    for (;;) {
        while (i < told.count && !is_event(i, kind, object, selector))
            i++;
        if (i < told.count)
            break;
        CHECK(pthread_cond_wait(&told.changed, &told.lock) == 0);
    }
    CHECK(pthread_mutex_unlock(&told.lock) == 0);
    return i;
}

static unsigned
count_told(void)
{
    CHECK(pthread_mutex_lock(&told.lock) == 0);
    const unsigned count = told.count;
    CHECK(pthread_mutex_unlock(&told.lock) == 0);
    return count;
}

/* ---- begin and end ---- */

static dx_device *
wait_for_device(dx_directory *in)
{
    const int64_t end_ms = now_ms() + 15000;
    for (;;) {
        dx_device *found = NULL;
        if (dx_directory_copy_devices(in, &found, 1) > 0)
            return found;
        CHECK(now_ms() < end_ms);
        sleep_ms(5);
    }
}

/* A bundle in the driver folder, or given as an argument, is approved, and its device opened twice. */
static void
open_machine(const char *const *arguments, const char *bundle)
{
    machine_start(&machine, arguments);
    CHECK_OK(dx_directory_open(NULL, &directory, NULL));
    const dx_directory_config config = {.listener = listen_to};
    CHECK_OK(dx_directory_open(&config, &other, NULL));
    OSDictionary *const approval = OSDictionaryCreate(1);
    set_text(approval, "bundle", bundle);
    dx_error error = {{0}};
    const kern_return_t status = dx_directory_request(directory, "approve", approval, NULL, &error);
    if (status != kIOReturnSuccess)
        (void)fprintf(stderr, "%s\n", error.message);
    CHECK_OK(status);
    OSObjectRelease(approval);
    device = wait_for_device(directory); // it is learned then
    others_device = wait_for_device(other);
}

static void
begin(void)
{
    static const char *const arguments[] = {"--driver", EXAMPLES "/Simple.dext", NULL};
    machine_create(&machine);
    open_machine(arguments, "org.dextral.driver.simple");
}

static void
begin_with(const char *name, const char *fault)
{
    char bundle[64];
    machine_create(&machine);
    machine_add_bundle(&machine, name, fault);
    (void)snprintf(bundle, sizeof bundle, "org.dextral.test.%s", name);
    open_machine(NULL, bundle);
}

static void
end(void)
{
    dx_device_release(device);
    dx_device_release(others_device);
    dx_directory_close(directory);
    dx_directory_close(other);
    machine_destroy(&machine);
}

static dx_control_info
get_control(dx_device *of, const char *key)
{
    dx_control_info info = {.size = sizeof info};
    CHECK_OK(dx_device_get_control(of, key, &info));
    return info;
}

/* ---- what is tested ---- */

static void
a_control_is_set_by_one_program_and_seen_by_another(void)
{
    const unsigned before = count_told();
    dx_control_info volume = get_control(device, "vlme/inpt/0");
    CHECK(volume.kind == DX_CONTROL_LEVEL && volume.is_settable);
    const float middle = (volume.decibels_min + volume.decibels_max) / 2.0f;
    CHECK_OK(dx_device_set_control_decibels(device, "vlme/inpt/0", middle));
    CHECK(get_control(device, "vlme/inpt/0").decibels == middle); // who has set it sees it at once
    (void)wait_told(before, DX_EVENT_PROPERTIES_CHANGED, 0, kIOUserAudioPropertyLevelControlDecibelValue);
    CHECK(get_control(others_device, "vlme/inpt/0").decibels == middle);
    CHECK(fabsf(get_control(others_device, "vlme/inpt/0").scalar - 0.5f) < 1e-6f);

    CHECK_OK(dx_device_set_control_scalar(others_device, "vlme/inpt/0", 1.0f));
    CHECK(get_control(others_device, "vlme/inpt/0").decibels == volume.decibels_max);
    CHECK_EQ(dx_device_set_control_decibels(device, "vlme/inpt/0", volume.decibels_max + 1.0f),
             kIOReturnBadArgument);
    CHECK_EQ(dx_device_set_control_decibels(device, "vlme/inpt/0", NAN), kIOReturnBadArgument);
    CHECK_EQ(dx_device_set_control_boolean(device, "vlme/inpt/0", true), kIOReturnUnsupported);
    CHECK_EQ(dx_device_set_control_boolean(device, "mute/outp/9", true), kIOReturnNotFound);
}

static void
what_was_set_is_seen_by_a_program_that_begins_right_after(void)
{
    for (int i = 0; i < 20; i++) {
        const float decibels = -1.0f - (float)i;
        CHECK_OK(dx_device_set_control_decibels(device, "vlme/inpt/0", decibels));
        dx_directory *late = NULL;
        CHECK_OK(dx_directory_open(NULL, &late, NULL));
        dx_device *const found = wait_for_device(late);
        CHECK(get_control(found, "vlme/inpt/0").decibels == decibels);
        dx_device_release(found);
        dx_directory_close(late);
    }
}

static void
a_selector_is_set_by_value_and_by_name(void)
{
    dx_control_item items[8];
    uint32_t count = 0;
    CHECK_OK(dx_device_get_control_items(device, "dsrc/inpt/0", items, 8, &count));
    CHECK(count >= 2 && count <= 8);
    const unsigned before = count_told();
    CHECK_OK(dx_device_set_control_item(device, "dsrc/inpt/0", items[1].name));
    CHECK_EQ(get_control(device, "dsrc/inpt/0").selected[0], items[1].value);
    (void)wait_told(before, DX_EVENT_PROPERTIES_CHANGED, 0, kIOUserAudioPropertySelectorControlCurrentItem);
    CHECK_EQ(get_control(others_device, "dsrc/inpt/0").selected[0], items[1].value);
    CHECK_OK(dx_device_set_control_values(device, "dsrc/inpt/0", &items[0].value, 1));
    CHECK_EQ(get_control(device, "dsrc/inpt/0").selected[0], items[0].value);
    CHECK_EQ(dx_device_set_control_item(device, "dsrc/inpt/0", "no such item"), kIOReturnBadArgument);
    const IOUserAudioSelectorValue none = 4711;
    CHECK_EQ(dx_device_set_control_values(device, "dsrc/inpt/0", &none, 1), kIOReturnBadArgument);
}

static void
a_property_is_set_by_one_program_and_told_to_another(void)
{
    dx_custom_property_info info = {.size = sizeof info};
    CHECK_OK(dx_device_get_custom_property_at(device, 0, &info));
    CHECK_EQ(info.address.mSelector, TEXT);
    const unsigned before = count_told();
    OSString *const text = OSStringCreate("set from afar");
    CHECK_OK(dx_device_set_custom_property(device, info.address, NULL, text));
    (void)wait_told(before, DX_EVENT_PROPERTIES_CHANGED, 0, TEXT);
    OSObjectPtr value = NULL;
    CHECK_OK(dx_device_copy_custom_property(others_device, info.address, NULL, &value));
    CHECK(OSObjectIsEqualTo(value, text));
    OSObjectRelease(value);
    CHECK_EQ(dx_device_set_custom_property(device, info.address, text, text),
             kIOReturnBadArgument); // no qualifier
    OSObjectRelease(text);
}

static void
a_change_of_rate_is_told_begin_and_end(void)
{
    dx_device_info info = {.size = sizeof info};
    CHECK_OK(dx_device_get_info(device, &info));
    CHECK(info.rate_count >= 2);
    const double wanted = info.rates_hz[info.sample_rate_hz == info.rates_hz[0] ? 1 : 0];
    const unsigned before = count_told();
    CHECK_OK(dx_device_set_sample_rate(device, wanted));
    CHECK_OK(dx_device_get_info(device, &info));
    CHECK(info.sample_rate_hz == wanted);
    const unsigned begins = wait_told(before, DX_EVENT_CONFIGURATION_BEGIN, 0, 0);
    const unsigned ends = wait_told(begins, DX_EVENT_CONFIGURATION_END, 0, 0);
    CHECK_EQ(told.events[ends].status, kIOReturnSuccess);
    (void)wait_told(before, DX_EVENT_DEVICE_CHANGED, 0, 0);
    const int64_t end_ms = now_ms() + 15000; // its description may be told after that
    do {
        CHECK_OK(dx_device_get_info(others_device, &info));
        CHECK(now_ms() < end_ms);
    } while (info.sample_rate_hz != wanted);
    CHECK_EQ(dx_device_set_sample_rate(device, wanted + 1.0), kIOReturnUnsupported);
}

static void
the_io_size_is_set_and_goes_back(void)
{
    CHECK_OK(dx_device_set_io_frames(device, 128));
    dx_device_info info = {.size = sizeof info};
    CHECK_OK(dx_device_get_info(device, &info));
    CHECK_EQ(info.wanted_io_frames, 128);
    CHECK_EQ(info.io_frames, 128);
    CHECK_EQ(dx_device_set_io_frames(device, 1u << 24), kIOReturnBadArgument);
    CHECK_OK(dx_device_set_io_frames(device, 0));
    CHECK_OK(dx_device_get_info(device, &info));
    CHECK_EQ(info.wanted_io_frames, 0);
}

static void
controls_are_known_without_a_driver(void)
{
    const float decibels = get_control(device, "vlme/inpt/0").decibels;
    const int64_t end_ms = now_ms() + 15000; // some time after nobody has used it
    dx_device_info info = {.size = sizeof info};
    do {
        CHECK_OK(dx_device_get_info(device, &info));
        CHECK(now_ms() < end_ms);
        sleep_ms(5);
    } while (info.has_driver);
    CHECK(get_control(device, "vlme/inpt/0").decibels == decibels);
    CHECK(info.input_streams > 0 && info.rate_count >= 2);
    /* Asking for a change starts it, and the value comes back with it. */
    CHECK_OK(dx_device_set_control_scalar(device, "vlme/inpt/0", 0.25f));
    CHECK(fabsf(get_control(device, "vlme/inpt/0").scalar - 0.25f) < 1e-6f);
}

/* The numbers of CoreAudioBaseTypes.h: 1 is left, 2 right. */
static bool
has_layout(dx_device *of, IOUserAudioChannelLabel first, IOUserAudioChannelLabel second)
{
    IOUserAudioChannelLabel labels[3] = {0};
    uint32_t count = 0;
    CHECK_OK(dx_device_get_channel_layout(of, IOUserAudioStreamDirectionOutput, 0, labels, 3, &count));
    CHECK_EQ(count, 2);
    return labels[0] == first && labels[1] == second;
}

/* Of a device whose first channel is the right one, until it is muted. */
static void
what_channels_are_for_is_known_and_told_when_it_changes(void)
{
    CHECK(has_layout(device, 2, 1) && has_layout(others_device, 2, 1));
    uint32_t count = 7;
    CHECK_OK(dx_device_get_channel_layout(device, IOUserAudioStreamDirectionInput, 0, NULL, 0, &count));
    CHECK_EQ(count, 0);
    CHECK_EQ(dx_device_get_channel_layout(device, IOUserAudioStreamDirectionOutput, 1, NULL, 0, &count),
             kIOReturnNotFound);
    const unsigned before = count_told();
    CHECK_OK(dx_device_set_control_boolean(device, "mute/outp/0", true));
    (void)wait_told(before, DX_EVENT_PROPERTIES_CHANGED, 0, kIOUserAudioPropertyPreferredChannelLayout);
    CHECK(has_layout(others_device, 1, 2)); // its description came before
    (void)wait_told(before, DX_EVENT_DEVICE_CHANGED, 0, 0);
    const int64_t end_ms = now_ms() + 15000;
    while (!has_layout(device, 1, 2)) { // who has changed it may be told later
        CHECK(now_ms() < end_ms);
        sleep_ms(5);
    }
}

int
main(void)
{
    begin();
    RUN(a_control_is_set_by_one_program_and_seen_by_another);
    RUN(what_was_set_is_seen_by_a_program_that_begins_right_after);
    RUN(a_selector_is_set_by_value_and_by_name);
    RUN(a_property_is_set_by_one_program_and_told_to_another);
    RUN(a_change_of_rate_is_told_begin_and_end);
    RUN(the_io_size_is_set_and_goes_back);
    RUN(controls_are_known_without_a_driver);
    end();
    begin_with("turner", "turned channels");
    RUN(what_channels_are_for_is_known_and_told_when_it_changes);
    end();
    return 0;
}
