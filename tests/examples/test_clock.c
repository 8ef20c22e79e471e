// SPDX-License-Identifier: MIT
// The clock of the cable and the null device, on the simulated clock: exact, nudged, and following another device's.

#ifdef NDEBUG
#    error "tests need their assertions"
#endif

#include "audio/follow.h"
#include "core/pages.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dextral/dextral.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern const dx_driver_class dx_driver_class_CableAudioDriver;
extern const dx_driver_class dx_driver_class_NullAudioDriver;

#define SECOND_NS UINT64_C(1000000000)

/* ---- a device that runs ---- */

struct running {
    dx_host *host; // borrowed
    IOUserAudioDriver *driver;
    dx_device *device;
    IOUserAudioDevice *object;
    dx_client *client;
};

static void
ignore(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    (void)context, (void)cycle, (void)input, (void)output;
}

static void
start_io(struct running *running)
{
    const dx_client_config config = {
        .size = sizeof config, .output_stream = DX_NO_STREAM, .callback = ignore, .flags = DX_CLIENT_SYNCHRONOUS};
    cr_assert(eq(int, dx_client_open(running->device, &config, &running->client), kIOReturnSuccess));
    cr_assert(eq(int, dx_client_start(running->client), kIOReturnSuccess));
}

static void
stop_io(struct running *running)
{
    dx_client_close(running->client);
    running->client = NULL;
}

static kern_return_t
try_start(dx_host *host, const dx_driver_class *class, const char *uid, uint32_t rate_hz, const char *ppm,
          const char *follows, struct running *running)
{
    OSDictionary *const properties = OSDictionaryCreate(0);
    OSArray *const rates = OSArrayCreate(1);
    OSNumber *const rate = OSNumberCreate(rate_hz, 32);
    cr_assert(OSArraySetObject(rates, rate) && OSDictionarySetObject(properties, "Rates", rates));
    cr_assert(OSDictionarySetStringValue(properties, "DeviceUID", uid));
    cr_assert(OSDictionarySetStringValue(properties, "ClockPPM", ppm));
    cr_assert(OSDictionarySetStringValue(properties, "ClockFollows", follows));
    *running = (struct running){.host = host, .driver = class->alloc()};
    const kern_return_t status = dx_host_start_driver(host, running->driver, properties);
    OSObjectRelease(rate);
    OSObjectRelease(rates);
    OSObjectRelease(properties);
    return status;
}

/* A device with IO. */
static struct running
start(dx_host *host, const dx_driver_class *class, const char *uid, uint32_t rate_hz, const char *ppm,
      const char *follows)
{
    struct running running;
    cr_assert(eq(int, try_start(host, class, uid, rate_hz, ppm, follows, &running), kIOReturnSuccess));
    dx_host_settle(host);
    running.device = dx_host_copy_device(host, uid);
    running.object = dx_device_copy_object(running.device);
    start_io(&running);
    return running;
}

static void
finish(struct running *running)
{
    stop_io(running);
    OSObjectRelease(running->object);
    dx_device_release(running->device);
    cr_assert(eq(int, dx_host_stop_driver(running->host, running->driver), kIOReturnSuccess));
    OSObjectRelease(running->driver);
}

static const IOUserAudioObjectPropertyAddress option_address = {
    DX_OPTION_SELECTOR, IOUserAudioObjectPropertyScopeGlobal, IOUserAudioObjectPropertyElementMain};

static kern_return_t
set_option(const struct running *running, const char *name, const char *value)
{
    OSString *const qualifier = OSStringCreate(name);
    OSString *const data = OSStringCreate(value);
    const kern_return_t status = dx_device_set_custom_property(running->device, option_address, qualifier, data);
    OSObjectRelease(qualifier);
    OSObjectRelease(data);
    return status;
}

static void
expect_option(const struct running *running, const char *name, const char *expected)
{
    OSString *const qualifier = OSStringCreate(name);
    OSObjectPtr value = NULL;
    cr_assert(eq(int, dx_device_copy_custom_property(running->device, option_address, qualifier, &value),
                 kIOReturnSuccess));
    cr_expect(OSStringIsEqualToCString(value, expected), "%s", OSStringGetCStringNoCopy(value));
    OSObjectRelease(value);
    OSObjectRelease(qualifier);
}

/* ---- time ---- */

static void
sleep_for(uint64_t ns)
{
    dx_clock *const clock = dx_clock_current();
    dx_clock_sleep_until(clock, dx_clock_now_ns(clock) + ns);
}

struct stamp {
    uint64_t frame;
    uint64_t host_time;
};

static struct stamp
last_stamp(const struct running *running)
{
    struct stamp stamp;
    IOUserAudioDeviceGetCurrentZeroTimestamp(running->object, &stamp.frame, &stamp.host_time);
    return stamp;
}

/* Sleeps until there is another stamp, and gives it. */
static struct stamp
next_stamp(const struct running *running)
{
    const struct stamp before = last_stamp(running);
    struct stamp stamp = before;
    while (stamp.frame == before.frame) {
        sleep_for(SECOND_NS / 1000);
        stamp = last_stamp(running);
    }
    cr_assert(eq(u64, stamp.frame, before.frame + 16384), "none is left out");
    return stamp;
}

/* Host time of `frames` at a rate and ppb, in whole nanoseconds: the closed form, where the clock adds up. */
static uint64_t
ideal_ns(uint64_t frames, uint64_t rate_hz, int64_t ppb)
{
    const unsigned __int128 parts = (unsigned __int128)rate_hz * (uint64_t)(1000000000 + ppb);
    return (uint64_t)((unsigned __int128)frames * 1000000000 * 1000000000 / parts);
}

static void
simulate(void (*scenario)(void *unused))
{
    const dx_simulation_config config = {.size = sizeof config, .seed = 1, .limit_ns = 3 * 3600 * SECOND_NS};
    dx_simulation_result result;
    const kern_return_t status = dx_simulate(&config, scenario, NULL, &result);
    cr_assert(eq(int, status, kIOReturnSuccess), "%s", result.message);
    cr_assert(result.repeatable);
}

static dx_host *
make_host(void)
{
    dx_host *host = NULL;
    cr_assert(eq(int, dx_host_create(NULL, &host), kIOReturnSuccess));
    return host;
}

/* ---- by itself ---- */

static void
nudged_scenario(void *unused)
{
    static const struct {
        const char *ppm;
        int64_t ppb;
        uint32_t rate_hz;
    } cases[] = {
        {"0", 0, 44100},      {"1000", 1000000, 48000}, {"-1000", -1000000, 44100}, {"-123.456", -123456, 44100},
        {"0.001", 1, 192000}, {"12.5", 12500, 8000},    {"-0.5", -500, 1000000},
    };
    (void)unused;
    dx_host *const host = make_host();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct running running =
            start(host, &dx_driver_class_CableAudioDriver, "a", cases[i].rate_hz, cases[i].ppm, "");
        const struct stamp first = last_stamp(&running);
        cr_assert(eq(u64, first.frame, 0));
        for (int round = 0; round < 300; round++) {
            sleep_for(SECOND_NS);
            const struct stamp stamp = last_stamp(&running);
            cr_assert(
                eq(u64, stamp.host_time - first.host_time, ideal_ns(stamp.frame, cases[i].rate_hz, cases[i].ppb)));
        }
        finish(&running);
    }
    dx_host_destroy(host);
}

Test(clock, a_nudged_clock_is_exactly_as_much_faster)
{
    simulate(nudged_scenario);
}

static void
changed_scenario(void *unused)
{
    static const struct {
        const char *ppm;
        int64_t ppb;
    } changes[] = {{"1000", 1000000}, {"-1000", -1000000}, {"0.25", 250}, {"0", 0}};
    (void)unused;
    dx_host *const host = make_host();
    struct running running = start(host, &dx_driver_class_NullAudioDriver, "a", 48000, "0", "");
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        const struct stamp before = next_stamp(&running);
        sleep_for(SECOND_NS / 7); // somewhere between two stamps
        cr_assert(eq(int, set_option(&running, "ppm", changes[i].ppm), kIOReturnSuccess));
        for (uint64_t k = 1; k <= 100; k++) {
            const struct stamp stamp = next_stamp(&running);
            cr_assert(eq(u64, stamp.frame, before.frame + k * 16384));
            cr_assert(eq(u64, stamp.host_time - before.host_time, ideal_ns(k * 16384, 48000, changes[i].ppb)));
        }
    }
    dx_device_statistics statistics = {.size = sizeof statistics};
    cr_assert(eq(int, dx_device_get_statistics(running.device, &statistics), kIOReturnSuccess));
    cr_expect(eq(u64, statistics.bad_stamps, 0));
    cr_expect(eq(u64, statistics.overloads, 0));
    finish(&running);
    dx_host_destroy(host);
}

Test(clock, a_change_counts_from_the_last_stamp_on)
{
    simulate(changed_scenario);
}

static void
settings_scenario(void *unused)
{
    static const char *const bad_ppm[] = {"1000.001", "-1001",  "x",   "",
                                          ".5",       "1.2345", "1e3", "99999999999999999999"};
    (void)unused;
    dx_host *const host = make_host();
    struct running running;
    for (size_t i = 0; i < sizeof bad_ppm / sizeof bad_ppm[0]; i++) {
        cr_expect(eq(int, try_start(host, &dx_driver_class_CableAudioDriver, "a", 48000, bad_ppm[i], "", &running),
                     kIOReturnBadArgument));
        OSObjectRelease(running.driver);
    }
    char uid[300];
    memset(uid, 'x', sizeof uid - 1);
    uid[sizeof uid - 1] = '\0';
    cr_expect(eq(int, try_start(host, &dx_driver_class_CableAudioDriver, "a", 48000, "0", uid, &running),
                 kIOReturnBadArgument));
    OSObjectRelease(running.driver);

    running = start(host, &dx_driver_class_CableAudioDriver, "a", 48000, "-0.25", "somebody");
    expect_option(&running, "ppm", "-0.250");
    expect_option(&running, "follow", "somebody");
    for (size_t i = 0; i < sizeof bad_ppm / sizeof bad_ppm[0]; i++)
        cr_expect(eq(int, set_option(&running, "ppm", bad_ppm[i]), kIOReturnBadArgument));
    cr_expect(eq(int, set_option(&running, "follow", uid), kIOReturnBadArgument));
    cr_expect(eq(int, set_option(&running, "channels", "2"), kIOReturnBadArgument)); // not while it runs
    expect_option(&running, "ppm", "-0.250");
    expect_option(&running, "follow", "somebody");
    cr_expect(eq(int, set_option(&running, "ppm", "3"), kIOReturnSuccess));
    cr_expect(eq(int, set_option(&running, "follow", ""), kIOReturnSuccess));
    expect_option(&running, "ppm", "3.000");
    expect_option(&running, "follow", "");
    finish(&running);
    dx_host_destroy(host);
}

Test(clock, settings_that_are_none_are_refused)
{
    simulate(settings_scenario);
}

/* ---- following ---- */

/* Where a device is at a host time, by its last stamp and its rate: an exact line between changes of ppm. */
static double
position_at(const struct running *running, uint64_t host_time, double rate_hz, double ppm)
{
    const struct stamp stamp = last_stamp(running);
    const double ns = (double)(int64_t)(host_time - stamp.host_time);
    return (double)stamp.frame + ns * 1e-9 * rate_hz * (1.0 + ppm * 1e-6);
}

/* How far a follower at 48 kHz is before its leader at 44.1 kHz, in its own frames. */
static double
frames_ahead(const struct running *follower, const struct running *leader, double leader_ppm)
{
    const struct stamp own = last_stamp(follower);
    return (double)own.frame - position_at(leader, own.host_time, 44100.0, leader_ppm) * 48000.0 / 44100.0;
}

/* Nothing of the follower's clock is off the grid, and its IO goes on. */
static void
expect_clean(const struct running *running)
{
    dx_device_statistics statistics = {.size = sizeof statistics};
    cr_assert(eq(int, dx_device_get_statistics(running->device, &statistics), kIOReturnSuccess));
    cr_expect(eq(u64, statistics.bad_stamps, 0));
    cr_expect(eq(u64, statistics.overloads, 0));
}

static void
follow_scenario(void *unused)
{
    (void)unused;
    dx_host *const host = make_host();
    struct running leader = start(host, &dx_driver_class_NullAudioDriver, "leader", 44100, "300", "");
    sleep_for(SECOND_NS * 3);
    struct running follower = start(host, &dx_driver_class_CableAudioDriver, "follower", 48000, "0", "leader");
    sleep_for(SECOND_NS * 5);
    const double ahead = frames_ahead(&follower, &leader, 300.0);
    for (int second = 0; second < 600; second++) {
        sleep_for(SECOND_NS);
        cr_assert(epsilon_eq(dbl, frames_ahead(&follower, &leader, 300.0), ahead, 0.05), "second %d", second);
    }
    /* The leader changes: a moment later the two are as far apart as before. */
    cr_assert(eq(int, set_option(&leader, "ppm", "-700"), kIOReturnSuccess));
    sleep_for(SECOND_NS * 5);
    for (int second = 0; second < 60; second++) {
        sleep_for(SECOND_NS);
        cr_assert(epsilon_eq(dbl, frames_ahead(&follower, &leader, -700.0), ahead, 0.05), "second %d", second);
    }
    /* The follower's own ppm come on top. */
    cr_assert(eq(int, set_option(&follower, "ppm", "100"), kIOReturnSuccess));
    sleep_for(SECOND_NS);
    const struct stamp before = last_stamp(&follower);
    const double ahead_before = frames_ahead(&follower, &leader, -700.0);
    sleep_for(SECOND_NS * 100);
    const double frames = (double)(last_stamp(&follower).frame - before.frame);
    cr_assert(
        epsilon_eq(dbl, frames_ahead(&follower, &leader, -700.0) - ahead_before, frames * 100e-6 / 1.0001, 0.1));
    expect_clean(&follower);
    expect_clean(&leader);
    finish(&follower);
    finish(&leader);
    dx_host_destroy(host);
}

Test(clock, a_follower_keeps_the_time_of_its_leader)
{
    simulate(follow_scenario);
}

static void
late_leader_scenario(void *unused)
{
    (void)unused;
    dx_host *const host = make_host();
    struct running follower = start(host, &dx_driver_class_NullAudioDriver, "follower", 48000, "0", "leader");
    const struct stamp first = last_stamp(&follower);
    sleep_for(SECOND_NS * 20);
    cr_assert(eq(u64, last_stamp(&follower).host_time - first.host_time,
                 ideal_ns(last_stamp(&follower).frame, 48000, 0))); // by itself, exactly
    struct running leader = start(host, &dx_driver_class_NullAudioDriver, "leader", 44100, "1000", "");
    sleep_for(SECOND_NS * 5);
    double ahead = frames_ahead(&follower, &leader, 1000.0);
    sleep_for(SECOND_NS * 60);
    cr_assert(epsilon_eq(dbl, frames_ahead(&follower, &leader, 1000.0), ahead, 0.05));

    /* A leader that stops goes on in its own time as it was going, and so does the follower; then it starts again. */
    stop_io(&leader);
    struct stamp before = last_stamp(&follower);
    sleep_for(SECOND_NS * 60);
    struct stamp after = last_stamp(&follower);
    cr_assert(epsilon_eq(dbl, (double)(after.host_time - before.host_time),
                         (double)ideal_ns(after.frame - before.frame, 48000, 1000000), 2000.0));
    start_io(&leader);
    sleep_for(SECOND_NS * 5);
    ahead = frames_ahead(&follower, &leader, 1000.0);
    sleep_for(SECOND_NS * 60);
    cr_assert(epsilon_eq(dbl, frames_ahead(&follower, &leader, 1000.0), ahead, 0.05));

    /* Without its leader's driver it goes on; told to follow nobody, it is exact again from there on. */
    finish(&leader);
    sleep_for(SECOND_NS * 20);
    cr_assert(eq(int, set_option(&follower, "follow", ""), kIOReturnSuccess));
    before = last_stamp(&follower);
    sleep_for(SECOND_NS * 20);
    after = last_stamp(&follower);
    cr_assert(eq(u64, after.host_time - before.host_time, ideal_ns(after.frame - before.frame, 48000, 0)));
    expect_clean(&follower);
    finish(&follower);
    dx_host_destroy(host);
}

Test(clock, a_follower_goes_on_when_its_leader_comes_and_goes)
{
    simulate(late_leader_scenario);
}

/* ---- leaders in other processes ---- */

static struct {
    char text[256];
    void *context;
} asked;

static void
keep_question(void *context, const char *uid, bool is_wanted)
{
    const size_t length = strlen(asked.text);
    asked.context = context;
    (void)snprintf(asked.text + length, sizeof asked.text - length, "%s%s ", is_wanted ? "+" : "-", uid);
}

/* Another process's page, as its descriptor is sent here; ns_per_frame 20000 is 50 kHz. */
static int
make_page(uint32_t incarnation, uint32_t epoch, uint64_t frame)
{
    const struct dx_timeline_page line = {
        .epoch = epoch,
        .state = DX_TIMELINE_STOPPED,
        .anchor_frame = frame,
        .anchor_host_ns = 1000,
        .ns_per_frame = 20000.0,
        .rate_hz = 48000.0,
        .io_frames = 512,
        .ring_frames = 16384,
    };
    struct dx_pages pages;
    struct dx_device_page *page = NULL;
    cr_assert(eq(int, dx_device_page_create(&pages, incarnation, &line, &page), 0));
    cr_assert(eq(int, fcntl(pages.fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL), 0));
    const int fd = dup(pages.fd);
    dx_pages_finish(&pages);
    return fd;
}

static void
give_page(const char *uid, int fd, int expected)
{
    cr_expect(eq(int, dx_follow_put_page(uid, fd), expected));
    cr_assert(eq(int, close(fd), 0));
}

Test(clock, a_device_elsewhere_is_asked_for_and_its_pages_are_taken)
{
    dx_host *const host = make_host();
    struct running running = start(host, &dx_driver_class_NullAudioDriver, "own", 48000, "0", "");
    dx_followed *first = NULL;
    dx_followed *second = NULL;
    dx_followed_time time = {.size = sizeof time};
    cr_expect(
        eq(int, dx_followed_open(running.driver, "far", &first), kIOReturnNotFound)); // there is nobody to ask
    cr_expect(eq(int, dx_followed_open(NULL, "far", &first), kIOReturnBadArgument));
    cr_expect(eq(int, dx_followed_open(running.driver, "", &first), kIOReturnBadArgument));

    dx_follow_set_asker(keep_question, &asked);
    cr_assert(eq(int, dx_followed_open(running.driver, "far", &first), kIOReturnSuccess));
    cr_assert(eq(int, dx_followed_open(running.driver, "far", &second), kIOReturnSuccess));
    cr_expect(eq(int, strcmp(asked.text, "+far "), 0)); // once
    cr_expect(eq(ptr, asked.context, &asked));
    cr_expect(not(dx_followed_read(first, &time))); // no page yet
    dx_follow_ask_again();
    cr_expect(eq(int, strcmp(asked.text, "+far +far "), 0));

    give_page("other", make_page(1, 1, 1), 0); // of a device that nobody follows
    give_page("far", open("/dev/null", O_RDONLY), -EINVAL);
    cr_expect(not(dx_followed_read(first, &time)));
    give_page("far", make_page(1, 7, 480000), 0);
    cr_assert(dx_followed_read(first, &time));
    cr_expect(eq(u32, time.epoch, 7));
    cr_expect(eq(u64, time.frame, 480000));
    cr_expect(eq(u64, time.host_time, 1000));
    cr_expect(eq(dbl, time.host_ticks_per_frame, 20000.0));
    cr_expect(eq(dbl, time.sample_rate_hz, 48000.0));
    cr_expect(not(time.is_running));
    give_page("far", open("/dev/null", O_RDONLY), -EINVAL); // what is no page changes nothing
    cr_assert(dx_followed_read(second, &time));
    give_page("far", make_page(2, 8, 960000), 0); // the next driver's, at the same place
    cr_assert(dx_followed_read(first, &time));
    cr_expect(eq(u64, time.frame, 960000));
    cr_expect(not(dx_followed_read(first, &(dx_followed_time){.size = 8}))); // of another version

    asked.text[0] = '\0';
    dx_followed_close(first);
    cr_expect(eq(int, strcmp(asked.text, ""), 0));
    dx_followed_close(second);
    cr_expect(eq(int, strcmp(asked.text, "-far "), 0));
    dx_followed_close(NULL);
    cr_assert(eq(int, dx_followed_open(running.driver, "own", &first), kIOReturnSuccess)); // is here
    cr_expect(eq(int, strcmp(asked.text, "-far "), 0));
    cr_expect(dx_followed_read(first, &time));
    dx_followed_close(first);
    dx_follow_set_asker(NULL, NULL);
    finish(&running);
    dx_host_destroy(host);
}
