// SPDX-License-Identifier: MIT
// The example drivers under a host, on the simulated clock: what a client hears of them.

#ifdef NDEBUG
#    error "tests need their assertions"
#endif

#include "examples/simple/simple_rt.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dextral/dextral.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

extern const dx_driver_class dx_driver_class_LoopAudioDriver;
extern const dx_driver_class dx_driver_class_SimpleAudioDriver;
extern const dx_driver_class dx_driver_class_CableAudioDriver;
extern const dx_driver_class dx_driver_class_NullAudioDriver;

#define SECOND_NS UINT64_C(1000000000)

/* A host with one driver and its device. */
struct world {
    dx_host *host;
    IOUserAudioDriver *driver;
    dx_device *device;
};

static struct world
open_world(const dx_driver_class *driver_class, OSDictionary *properties)
{
    struct world world = {.driver = driver_class->alloc()};
    cr_assert(world.driver != NULL);
    cr_assert(eq(int, dx_host_create(NULL, &world.host), kIOReturnSuccess));
    const kern_return_t status = dx_host_start_driver(world.host, world.driver, properties);
    cr_assert(eq(int, status, kIOReturnSuccess), "%s", dx_return_string(status));
    dx_host_settle(world.host);
    cr_assert(eq(sz, dx_host_copy_devices(world.host, &world.device, 1), 1));
    OSObjectRelease(properties);
    return world;
}

static void
close_world(struct world *world)
{
    dx_device_release(world->device);
    cr_assert(eq(int, dx_host_stop_driver(world->host, world->driver), kIOReturnSuccess));
    dx_host_destroy(world->host);
    OSObjectRelease(world->driver);
}

static dx_device_info
info_of(const struct world *world)
{
    dx_device_info info = {.size = sizeof info};
    cr_assert(eq(int, dx_device_get_info(world->device, &info), kIOReturnSuccess));
    return info;
}

/* The first object of a class, +1. */
static void *
copy_object(const struct world *world, const OSMetaClass *meta)
{
    for (IOUserAudioObjectID id = 2; id < 100; id++) {
        IOUserAudioObject *object = IOUserAudioDriverGetAudioObjectForObjectID(world->driver, id);
        if (OSObjectIsKindOf(object, meta))
            return object;
        OSObjectRelease(object);
    }
    cr_assert(false, "no %s", OSMetaClassGetName(meta));
    return NULL;
}

/* What a client plays and records, frame by frame of its own count. */
struct session {
    uint8_t *play;   // frames * play_bytes; NULL: it only records
    uint8_t *record; // frames * record_bytes; NULL: it only plays
    size_t play_bytes;
    size_t record_bytes;
    size_t capacity;
    size_t frames;
    uint64_t output_time; // device time of frame 0
    uint64_t input_time;
    uint64_t lost_frames;
};

static void
play_and_record(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    struct session *session = context;
    if (session->frames == 0) {
        session->output_time = cycle->output_time;
        session->input_time = cycle->input_time;
    }
    size_t frames = session->capacity - session->frames;
    if (frames > cycle->frames)
        frames = cycle->frames;
    if (output)
        memcpy(output, session->play + session->frames * session->play_bytes, frames * session->play_bytes);
    if (input)
        memcpy(session->record + session->frames * session->record_bytes, input, frames * session->record_bytes);
    session->frames += frames;
    session->lost_frames = cycle->lost_frames;
}

static struct session
make_session(const struct world *world, size_t frames, bool plays, bool records)
{
    const dx_device_info info = info_of(world);
    struct session session = {.capacity = frames};
    if (plays) {
        session.play_bytes = info.outputs[0].client.mBytesPerFrame;
        session.play = calloc(frames, session.play_bytes);
    }
    if (records) {
        session.record_bytes = info.inputs[0].client.mBytesPerFrame;
        session.record = malloc(frames * session.record_bytes);
        memset(session.record, 0xA5, frames * session.record_bytes);
    }
    return session;
}

static void
free_session(struct session *session)
{
    free(session->play);
    free(session->record);
}

static void
run_session(const struct world *world, struct session *session, uint32_t flags)
{
    const dx_client_config config = {
        .size = sizeof config,
        .flags = flags,
        .name = "test",
        .output_stream = session->play ? 0 : DX_NO_STREAM,
        .input_stream = session->record ? 0 : DX_NO_STREAM,
        .callback = play_and_record,
        .context = session,
    };
    dx_client *client = NULL;
    kern_return_t status = dx_client_open(world->device, &config, &client);
    cr_assert(eq(int, status, kIOReturnSuccess), "%s", dx_return_string(status));
    status = dx_client_start(client);
    cr_assert(eq(int, status, kIOReturnSuccess), "%s", dx_return_string(status));
    dx_clock *clock = dx_clock_current();
    for (int i = 0; i < 2000 && session->frames < session->capacity; i++)
        dx_clock_sleep_until(clock, dx_clock_now_ns(clock) + SECOND_NS / 50);
    dx_client_close(client);
    cr_assert(eq(sz, session->frames, session->capacity));
    cr_assert(eq(u64, session->lost_frames, 0));
}

static bool
is_silent(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

/* What was played came back later by exactly `latency` frames, with nothing before it. */
static void
assert_loopback(const struct session *session, uint64_t latency)
{
    const uint64_t apart = session->output_time - session->input_time;
    cr_assert(apart == latency, "%llu frames apart, must be %llu", (unsigned long long)apart,
              (unsigned long long)latency);
    cr_assert(eq(sz, session->play_bytes, session->record_bytes));
    const size_t bytes = session->play_bytes;
    cr_assert(is_silent(session->record, (size_t)latency * bytes), "something came before what was played");
    for (size_t frame = (size_t)latency; frame < session->capacity; frame++)
        cr_assert(memcmp(session->record + frame * bytes, session->play + (frame - latency) * bytes, bytes) == 0,
                  "frame %zu", frame);
}

static void
fill_with_floats(struct session *session)
{
    float *samples = (float *)(void *)session->play;
    for (size_t i = 0; i < session->capacity * session->play_bytes / sizeof(float); i++)
        samples[i] = (float)((double)rand() / RAND_MAX * 4.0 - 2.0); // also over full scale: a float wire carries it
}

/* Runs a scenario on a simulated clock of its own. */
static void
simulate(void (*scenario)(void *unused))
{
    const dx_simulation_config config = {.size = sizeof config, .seed = 1, .limit_ns = 3 * 3600 * SECOND_NS};
    dx_simulation_result result;
    const kern_return_t status = dx_simulate(&config, scenario, NULL, &result);
    cr_assert(eq(int, status, kIOReturnSuccess), "%s", result.message);
    cr_assert(result.repeatable);
}

/* The tone's phase at a recording's first frame is anybody's guess; what follows is not. */
static void
assert_tone(const struct session *session, uint32_t frequency_hz, uint32_t rate_hz, size_t from)
{
    const float *samples = (const float *)(const void *)session->record;
    const double peak = SIMPLE_TONE_PEAK / 32768.0, lsb = 1.0 / 32768.0;
    for (uint32_t phase = 0; phase < rate_hz; phase++) {
        size_t frame = from;
        while (frame < session->capacity &&
               fabs(samples[frame] - peak * sin(2.0 * 3.14159265358979323846 *
                                                (double)((phase + (uint64_t)frame * frequency_hz) % rate_hz) /
                                                rate_hz)) <= lsb)
            frame++;
        if (frame == session->capacity)
            return;
    }
    cr_assert(false, "no tone of %u Hz at %u Hz", frequency_hz, rate_hz);
}

static void
simple_scenario(void *unused)
{
    (void)unused;
    struct world world = open_world(&dx_driver_class_SimpleAudioDriver, NULL);
    IOUserAudioSelectorControl *source = copy_object(&world, gIOUserAudioSelectorControlMetaClass);

    static const uint32_t rates[] = {44100, 48000, 44100};
    for (int i = 0; i < 3; i++) {
        const IOUserAudioSelectorValue tone = i == 1 ? SIMPLE_SOURCE_TONE_660 : SIMPLE_SOURCE_TONE_440;
        cr_assert(eq(int, IOUserAudioSelectorControlSetCurrentSelectedValues(source, &tone, 1), kIOReturnSuccess));
        if (info_of(&world).sample_rate_hz != rates[i])
            cr_assert(eq(int, dx_device_set_sample_rate(world.device, rates[i]), kIOReturnSuccess));
        const dx_device_info info = info_of(&world);
        cr_assert(eq(dbl, info.sample_rate_hz, rates[i]));
        cr_assert(eq(dbl, info.inputs[0].physical.mSampleRate, rates[i]));
        cr_assert(eq(dbl, info.outputs[0].physical.mSampleRate, rates[i]));

        struct session session = make_session(&world, 50000, false, true);
        run_session(&world, &session, 0);
        assert_tone(&session, i == 1 ? 660 : 440, rates[i], info.io_frames * 2);
        free_session(&session);
    }
    cr_assert(eq(int, dx_device_set_sample_rate(world.device, 96000.0), kIOReturnUnsupported));

    OSObjectRelease(source);
    close_world(&world);
}

Test(drivers, simple_tones_have_their_frequency_at_each_rate)
{
    simulate(simple_scenario);
}

static void
simple_loopback_scenario(void *unused)
{
    (void)unused;
    struct world world = open_world(&dx_driver_class_SimpleAudioDriver, NULL);
    IOUserAudioSelectorControl *source = copy_object(&world, gIOUserAudioSelectorControlMetaClass);
    IOUserAudioLevelControl *volume = copy_object(&world, gIOUserAudioLevelControlMetaClass);
    const IOUserAudioSelectorValue loopback = SIMPLE_SOURCE_LOOPBACK;
    cr_assert(eq(int, IOUserAudioSelectorControlSetCurrentSelectedValues(source, &loopback, 1), kIOReturnSuccess));

    /* What 16 bits can hold comes back as it was. */
    struct session session = make_session(&world, 70000, true, true);
    float *samples = (float *)(void *)session.play;
    for (size_t i = 0; i < session.capacity; i++)
        samples[i] = (float)(rand() % 65536 - 32768) / 32768.0f;
    run_session(&world, &session, DX_CLIENT_SYNCHRONOUS);
    assert_loopback(&session, 2 * info_of(&world).io_frames);
    free_session(&session);

    /* Nothing of it is left for the next who listens. */
    session = make_session(&world, 70000, false, true);
    run_session(&world, &session, DX_CLIENT_SYNCHRONOUS);
    cr_assert(is_silent(session.record, session.capacity * session.record_bytes));
    free_session(&session);

    /* The volume scales it. */
    cr_assert(eq(int, IOUserAudioLevelControlSetDecibelValue(volume, -20.0f), kIOReturnSuccess));
    session = make_session(&world, 10000, true, true);
    for (size_t i = 0; i < session.capacity; i++)
        ((float *)(void *)session.play)[i] = 0.5f;
    run_session(&world, &session, DX_CLIENT_SYNCHRONOUS);
    cr_assert(epsilon_eq(dbl, ((const float *)(const void *)session.record)[session.capacity - 1], 0.05, 0.51 / 32768.0));
    free_session(&session);

    OSObjectRelease(source);
    OSObjectRelease(volume);
    close_world(&world);
}

Test(drivers, simple_loopback_is_exact_and_forgets)
{
    simulate(simple_loopback_scenario);
}

static void
simple_text_scenario(void *unused)
{
    (void)unused;
    struct world world = open_world(&dx_driver_class_SimpleAudioDriver, NULL);
    IOUserAudioCustomProperty *text = copy_object(&world, gIOUserAudioCustomPropertyMetaClass);
    OSString *value = OSStringCreate("a text \xC3\xA4\xC3\xB6\xC3\xBC");
    cr_assert(eq(int, IOUserAudioCustomPropertyHandleChangeCustomPropertyDataValueWithQualifier(text, NULL, value),
                 kIOReturnSuccess));
    OSObjectPtr back = NULL;
    cr_assert(eq(int, IOUserAudioCustomPropertyGetCustomPropertyValueWithQualifier(text, NULL, &back),
                 kIOReturnSuccess));
    cr_assert(OSObjectIsEqualTo(back, value));
    OSObjectRelease(back);
    OSObjectRelease(value);
    OSObjectRelease(text);
    close_world(&world);
}

Test(drivers, simple_text_comes_back_as_it_was_set)
{
    simulate(simple_text_scenario);
}

static OSDictionary *
numbers(const char *const *keys, const uint64_t *values, size_t count)
{
    OSDictionary *dictionary = OSDictionaryCreate(8);
    for (size_t i = 0; i < count; i++)
        cr_assert(OSDictionarySetUInt64Value(dictionary, keys[i], values[i]));
    return dictionary;
}

static void
cable_scenario(void *unused)
{
    (void)unused;
    static const char *const keys[] = {"Channels", "InputSafetyOffset", "OutputSafetyOffset"};
    struct world world =
        open_world(&dx_driver_class_CableAudioDriver, numbers(keys, (const uint64_t[]){3, 32, 48}, 3));
    cr_assert(eq(u32, info_of(&world).late_tolerance_frames, 4096));
    cr_assert(eq(u32, info_of(&world).outputs[0].client.mChannelsPerFrame, 3));

    static const uint32_t sizes[] = {512, 64, 1000, 1365};
    for (int i = 0; i < 4; i++) {
        cr_assert(eq(int, dx_device_set_io_frames(world.device, sizes[i]), kIOReturnSuccess));
        struct session session = make_session(&world, 60000, true, true);
        fill_with_floats(&session);
        run_session(&world, &session, DX_CLIENT_SYNCHRONOUS);
        assert_loopback(&session, 2 * sizes[i] + 32 + 48);
        free_session(&session);

        session = make_session(&world, 40000, false, true);
        run_session(&world, &session, DX_CLIENT_SYNCHRONOUS);
        cr_assert(is_silent(session.record, session.capacity * session.record_bytes), "%u frames", sizes[i]);
        free_session(&session);
    }
    close_world(&world);
}

Test(drivers, cable_passes_every_bit_in_2n_plus_its_offsets)
{
    simulate(cable_scenario);
}

/* Every format of the cable is set once: both ends have it, and sound goes through. */
static void
cable_formats_scenario(void *unused)
{
    (void)unused;
    struct world world = open_world(&dx_driver_class_CableAudioDriver, NULL);
    IOUserAudioDevice *device = dx_device_copy_object(world.device);
    IOUserAudioStream *stream = copy_object(&world, gIOUserAudioStreamMetaClass);
    IOUserAudioStreamBasicDescription formats[256];
    const size_t count = IOUserAudioStreamGetAvailableStreamFormats(stream, formats, 256);
    cr_assert(eq(sz, count, 9 * 21));

    for (size_t i = 0; i < count; i++) {
        if (formats[i].mSampleRate != 48000.0)
            continue;
        const IOUserAudioStreamDirection end = i % 2 ? IOUserAudioStreamDirectionInput : IOUserAudioStreamDirectionOutput;
        cr_assert(eq(int, dx_device_set_stream_format(world.device, end, 0, &formats[i]), kIOReturnSuccess));
        const dx_device_info info = info_of(&world);
        cr_assert(memcmp(&info.inputs[0].physical, &formats[i], sizeof formats[i]) == 0);
        cr_assert(memcmp(&info.outputs[0].physical, &formats[i], sizeof formats[i]) == 0);

        struct session session = make_session(&world, 8000, true, true);
        const bool is_mixable = !(formats[i].mFormatFlags & FormatFlagIsNonMixable);
        cr_assert(eq(int, info.outputs[0].is_mixable, is_mixable));
        if (is_mixable) {
            float *samples = (float *)(void *)session.play; // 16 bits: every format holds them
            for (size_t s = 0; s < session.capacity * 2; s++)
                samples[s] = (float)(rand() % 65536 - 32768) / 32768.0f;
        } else {
            cr_assert(eq(sz, session.play_bytes, formats[i].mBytesPerFrame));
            for (size_t b = 0; b < session.capacity * session.play_bytes; b++)
                session.play[b] = (uint8_t)rand();
        }
        run_session(&world, &session, DX_CLIENT_SYNCHRONOUS);
        assert_loopback(&session, 2 * info.io_frames);
        free_session(&session);
    }
    OSObjectRelease(stream);
    OSObjectRelease(device);
    close_world(&world);
}

Test(drivers, cable_has_one_format_at_both_ends)
{
    simulate(cable_formats_scenario);
}

/* A cable as it is declared: one format at first, three others, and one client's bits as they are. */
static void
cable_declared_scenario(void *unused)
{
    static const char *const names[] = {"float32", "s16", "s24", "s32"};
    static const uint32_t bytes[] = {4, 2, 3, 4};
    (void)unused;
    for (int i = 0; i < 8; i++) {
        const bool is_mixable = i % 2;
        OSDictionary *properties = OSDictionaryCreate(2);
        cr_assert(OSDictionarySetStringValue(properties, "Format", names[i / 2]));
        cr_assert(OSDictionarySetObject(properties, "Mixable", is_mixable ? kOSBooleanTrue : kOSBooleanFalse));
        cr_assert(OSDictionarySetUInt64Value(properties, "OutputLatency", 480));
        struct world world = open_world(&dx_driver_class_CableAudioDriver, properties);
        const dx_device_info info = info_of(&world);
        cr_assert(eq(u32, info.outputs[0].physical.mBytesPerFrame, 2 * bytes[i / 2]));
        cr_assert(eq(u32, info.outputs[0].latency_frames, 480));
        cr_assert(eq(u32, info.inputs[0].latency_frames, 0));
        cr_assert(eq(int, info.outputs[0].is_mixable, is_mixable));
        cr_assert(eq(int, info.inputs[0].is_mixable, is_mixable));
        IOUserAudioStream *stream = copy_object(&world, gIOUserAudioStreamMetaClass);
        cr_assert(eq(sz, IOUserAudioStreamGetNumberAvailableStreamFormats(stream), 9 * 4));
        OSObjectRelease(stream);

        struct session session = make_session(&world, 20000, true, true);
        if (is_mixable) {
            for (size_t s = 0; s < session.capacity * 2; s++) // 16 bits: every format holds them
                ((float *)(void *)session.play)[s] = (float)(rand() % 65536 - 32768) / 32768.0f;
        } else {
            for (size_t b = 0; b < session.capacity * session.play_bytes; b++)
                session.play[b] = (uint8_t)rand();
        }
        run_session(&world, &session, DX_CLIENT_SYNCHRONOUS);
        assert_loopback(&session, 2 * info.io_frames); // the latency is told, not made
        free_session(&session);
        close_world(&world);
    }
}

Test(drivers, a_declared_cable_has_the_format_that_was_asked_for)
{
    simulate(cable_declared_scenario);
}

/* The stamps, looked at for an hour, against the ideal grid in whole numbers. */
static void
cable_clock_scenario(void *unused)
{
    (void)unused;
    struct world world = open_world(&dx_driver_class_CableAudioDriver, NULL);
    IOUserAudioDevice *device = dx_device_copy_object(world.device);
    cr_assert(eq(int, dx_device_set_sample_rate(world.device, 44100.0), kIOReturnSuccess));
    cr_assert(eq(int, dx_device_set_io_frames(world.device, 4096), kIOReturnSuccess));

    struct session session = make_session(&world, 44100 * 10, false, true);
    const dx_client_config config = {.size = sizeof config,
                                     .output_stream = DX_NO_STREAM,
                                     .callback = play_and_record,
                                     .context = &session};
    dx_client *client = NULL;
    cr_assert(eq(int, dx_client_open(world.device, &config, &client), kIOReturnSuccess));
    cr_assert(eq(int, dx_client_start(client), kIOReturnSuccess));
    dx_clock *clock = dx_clock_current();
    uint64_t sample_time = 0, anchor = 0, host_time = 0;
    IOUserAudioDeviceGetCurrentZeroTimestamp(device, &sample_time, &anchor);
    cr_assert(eq(u64, sample_time, 0), "the first stamp is there when IO starts");
    for (int second = 1; second <= 3600; second++) {
        dx_clock_sleep_until(clock, anchor + second * SECOND_NS);
        IOUserAudioDeviceGetCurrentZeroTimestamp(device, &sample_time, &host_time);
        cr_assert(eq(u64, sample_time % 16384, 0));
        const uint64_t ideal_ns =
            sample_time / 44100 * SECOND_NS + sample_time % 44100 * SECOND_NS / 44100;
        cr_assert(eq(u64, host_time - anchor, ideal_ns));
        cr_assert(le(u64, host_time, anchor + second * SECOND_NS));
        cr_assert(gt(u64, host_time + 16384 * SECOND_NS / 44100 + 2, anchor + second * SECOND_NS), "none is left out");
    }
    dx_client_close(client);
    free_session(&session);
    OSObjectRelease(device);
    close_world(&world);
}

Test(drivers, cable_clock_does_not_drift)
{
    simulate(cable_clock_scenario);
}

static void
null_scenario(void *unused)
{
    (void)unused;
    static const char *const keys[] = {"Channels"};
    struct world world = open_world(&dx_driver_class_NullAudioDriver, numbers(keys, (const uint64_t[]){5}, 1));
    struct session session = make_session(&world, 40000, true, true);
    cr_assert(eq(sz, session.record_bytes, 5 * sizeof(float)));
    fill_with_floats(&session);
    run_session(&world, &session, 0);
    cr_assert(is_silent(session.record, session.capacity * session.record_bytes));
    free_session(&session);
    close_world(&world);
}

Test(drivers, null_says_nothing)
{
    simulate(null_scenario);
}

static void
loop_scenario(void *unused)
{
    (void)unused;
    for (int again = 0; again < 2; again++) {
        struct world world = open_world(&dx_driver_class_LoopAudioDriver, NULL);
        struct session session = make_session(&world, 60000, true, true);
        fill_with_floats(&session);
        run_session(&world, &session, DX_CLIENT_SYNCHRONOUS);
        assert_loopback(&session, 2 * info_of(&world).io_frames);
        free_session(&session);
        close_world(&world);
    }
}

Test(drivers, loop_gives_back_what_it_gets)
{
    simulate(loop_scenario);
}

struct refusal {
    const char *key;
    uint64_t value;
    const char *text; // in place of the value
};

static void
refusal_scenario(void *unused)
{
    (void)unused;
    static const struct refusal refusals[] = {
        {"Channels", 0, NULL},
        {"Channels", 1025, NULL},
        {"PeriodFrames", 0, NULL},
        {"PeriodFrames", 65537, NULL},
        {"LateToleranceFrames", 16385, NULL},
        {"OutputLatency", UINT64_C(1) << 32, NULL},
        {"Format", 0, "s8"},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        dx_host *host = NULL;
        cr_assert(eq(int, dx_host_create(NULL, &host), kIOReturnSuccess));
        IOUserAudioDriver *driver = dx_driver_class_CableAudioDriver.alloc();
        OSDictionary *properties = OSDictionaryCreate(1);
        if (refusals[i].text)
            cr_assert(OSDictionarySetStringValue(properties, refusals[i].key, refusals[i].text));
        else
            cr_assert(OSDictionarySetUInt64Value(properties, refusals[i].key, refusals[i].value));
        cr_assert(eq(int, dx_host_start_driver(host, driver, properties), kIOReturnBadArgument), "%s", refusals[i].key);
        OSObjectRelease(properties);
        OSObjectRelease(driver);
        dx_host_destroy(host);
    }
}

Test(drivers, cable_refuses_settings_out_of_range)
{
    simulate(refusal_scenario);
}
