// SPDX-License-Identifier: MIT
// The simple device's IO path, called as a host calls it, against closed forms.

#ifdef NDEBUG
#    error "tests need their assertions"
#endif

#include "examples/simple/simple_rt.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RING SIMPLE_RING_FRAMES

/* The device's controls and rings, without the device. */
struct fixture {
    IOUserAudioDriver *driver;
    struct simple_io io;
};

static struct fixture
set_up(uint32_t rate_hz, IOUserAudioSelectorValue source, float volume_db)
{
    struct fixture fixture = {.driver = IOUserAudioDriverAlloc(), .io = {.rate_hz = rate_hz}};
    cr_assert(IOUserAudioDriverInit(fixture.driver));
    fixture.io.output = calloc(RING, sizeof(int16_t));
    fixture.io.input = calloc(RING, sizeof(int16_t));
    fixture.io.source = IOUserAudioSelectorControlCreate(fixture.driver, true, 0, IOUserAudioObjectPropertyScopeInput,
                                                         IOUserAudioClassIDDataSourceControl);
    fixture.io.volume =
        IOUserAudioLevelControlCreate(fixture.driver, true, volume_db, (IOUserAudioLevelControlRange){-96.0f, 0.0f}, 0,
                                      IOUserAudioObjectPropertyScopeInput, IOUserAudioClassIDVolumeControl);
    cr_assert(fixture.io.source && fixture.io.volume);
    cr_assert(eq(int, IOUserAudioSelectorControlSetCurrentSelectedValues(fixture.io.source, &source, 1),
                 kIOReturnSuccess));
    return fixture;
}

static void
tear_down(struct fixture *fixture)
{
    OSObjectRelease(fixture->io.source);
    OSObjectRelease(fixture->io.volume);
    OSObjectRelease(fixture->driver);
    free(fixture->io.output);
    free(fixture->io.input);
}

static void
begin_read(struct fixture *fixture, uint64_t sample_time, uint32_t frames)
{
    cr_assert(eq(int, simple_handle_io(2, IOUserAudioIOOperationBeginRead, frames, sample_time, 0, &fixture->io),
                 kIOReturnSuccess));
}

/* A tone at a sample time, with more precision than the driver has. */
static double
tone_at(uint64_t sample_time, uint32_t frequency_hz, uint32_t rate_hz, double volume_db)
{
    const long double turns = (long double)(sample_time % rate_hz) * frequency_hz / rate_hz;
    return (double)(16384.0L * powl(10.0L, (long double)volume_db / 20.0L) *
                    sinl(2.0L * 3.14159265358979323846264338L * turns));
}

Test(simple_io, tones_are_exact_at_any_time_and_in_any_span)
{
    static const uint32_t rates[] = {44100, 48000}, tones[] = {440, 660};
    static const uint64_t times[] = {0, RING - 100, 12345678, UINT64_C(1) << 40, UINT64_C(48000) * 3600 * 24 * 365 * 100};
    static const double volumes[] = {0.0, -6.5, -40.0};
    for (int c = 0; c < 2 * 2 * 5 * 3; c++) {
        const uint32_t rate = rates[c % 2], tone = tones[c / 2 % 2];
        const uint64_t time = times[c / 4 % 5];
        const double volume = volumes[c / 20];
        struct fixture fixture =
            set_up(rate, tone == 440 ? SIMPLE_SOURCE_TONE_440 : SIMPLE_SOURCE_TONE_660, (float)volume);
        uint64_t at = time;
        for (uint32_t frames = 1; at < time + 5000; at += frames, frames = frames * 5 % 1021 + 1) {
            begin_read(&fixture, at, frames);
            for (uint32_t i = 0; i < frames; i++)
                cr_assert(epsilon_eq(dbl, fixture.io.input[(at + i) % RING], tone_at(at + i, tone, rate, volume), 1.0),
                          "%u Hz at rate %u, %g dB, frame %llu", tone, rate, volume, (unsigned long long)(at + i));
        }
        tear_down(&fixture);
    }
}

Test(simple_io, a_second_of_tone_has_as_many_periods_as_its_frequency)
{
    static const uint32_t rates[] = {44100, 48000};
    for (int r = 0; r < 2; r++) {
        struct fixture fixture = set_up(rates[r], SIMPLE_SOURCE_TONE_660, 0.0f);
        uint32_t upward = 0;
        int16_t before = -1; // the tone begins with a zero, upward
        for (uint32_t at = 0; at < rates[r]; at += 50) {
            begin_read(&fixture, at, 50);
            for (uint32_t i = 0; i < 50; i++) {
                const int16_t sample = fixture.io.input[(at + i) % RING];
                upward += before < 0 && sample >= 0;
                before = sample;
            }
        }
        cr_expect(eq(u32, upward, 660));
        tear_down(&fixture);
    }
}

Test(simple_io, loopback_at_0_db_is_bit_exact_and_heard_once)
{
    struct fixture fixture = set_up(48000, SIMPLE_SOURCE_LOOPBACK, 0.0f);
    int16_t played[RING];
    srand(1);
    for (uint32_t i = 0; i < RING; i++)
        played[i] = fixture.io.output[i] = (int16_t)(rand() & 0xFFFF);
    cr_assert(eq(int, simple_handle_io(2, IOUserAudioIOOperationWriteEnd, RING, 0, 0, &fixture.io), kIOReturnSuccess));
    for (uint64_t at = RING + 20000; at < 2 * RING + 20000; at += 512) // through the ring's edge
        begin_read(&fixture, at, 512);
    cr_assert(eq(int, memcmp(fixture.io.input, played, sizeof played), 0));
    for (uint64_t at = 2 * RING + 20000; at < 3 * RING + 20000; at += 512)
        begin_read(&fixture, at, 512);
    for (uint32_t i = 0; i < RING; i++)
        cr_assert(eq(i16, fixture.io.input[i], 0));
    tear_down(&fixture);
}

Test(simple_io, volume_is_exact_in_decibels)
{
    static const float volumes[] = {-0.5f, -6.0f, -20.0f, -60.0f, -96.0f};
    for (size_t v = 0; v < sizeof volumes / sizeof volumes[0]; v++) {
        struct fixture fixture = set_up(48000, SIMPLE_SOURCE_LOOPBACK, volumes[v]);
        for (int value = -32768; value <= 32767; value += 7) {
            fixture.io.output[5] = (int16_t)value;
            begin_read(&fixture, 5, 1);
            const long double exact = value * powl(10.0L, (long double)volumes[v] / 20.0L);
            cr_assert(epsilon_eq(dbl, fixture.io.input[5], (double)exact, 0.5 + 1e-9), "%d at %g dB", value,
                      (double)volumes[v]);
        }
        tear_down(&fixture);
    }
}

Test(simple_io, controls_take_effect_at_the_next_call)
{
    struct fixture fixture = set_up(48000, SIMPLE_SOURCE_TONE_440, 0.0f);
    begin_read(&fixture, 27, 1);
    cr_assert(epsilon_eq(dbl, fixture.io.input[27], tone_at(27, 440, 48000, 0.0), 1.0));

    IOUserAudioSelectorValue source = SIMPLE_SOURCE_TONE_660;
    cr_assert(eq(int, IOUserAudioSelectorControlHandleChangeSelectedValues(fixture.io.source, &source, 1),
                 kIOReturnSuccess));
    begin_read(&fixture, 27, 1);
    cr_assert(epsilon_eq(dbl, fixture.io.input[27], tone_at(27, 660, 48000, 0.0), 1.0));

    cr_assert(eq(int, IOUserAudioLevelControlHandleChangeDecibelValue(fixture.io.volume, -12.0f), kIOReturnSuccess));
    begin_read(&fixture, 27, 1);
    cr_assert(epsilon_eq(dbl, fixture.io.input[27], tone_at(27, 660, 48000, -12.0), 1.0));

    cr_assert(eq(int, IOUserAudioSelectorControlHandleChangeSelectedValues(fixture.io.source, NULL, 0),
                 kIOReturnSuccess));
    begin_read(&fixture, 27, 1);
    cr_assert(eq(i16, fixture.io.input[27], 0));
    tear_down(&fixture);
}

Test(simple_io, more_than_the_ring_holds_is_refused)
{
    struct fixture fixture = set_up(48000, SIMPLE_SOURCE_LOOPBACK, 0.0f);
    cr_assert(eq(int, simple_handle_io(2, IOUserAudioIOOperationBeginRead, RING + 1, 0, 0, &fixture.io),
                 kIOReturnBadArgument));
    begin_read(&fixture, 1, RING);
    tear_down(&fixture);
}
