// SPDX-License-Identifier: MIT
// Getters on other threads, as on the IO thread, while setters run: whole values, always within what was set.

#include "notifications.h"

#include "../core/check.h"

#include <dextral/IOUserAudioLevelControl.h>
#include <dextral/IOUserAudioSelectorControl.h>
#include <dextral/IOUserAudioSliderControl.h>
#include <dextral/IOUserAudioStereoPanControl.h>

#include <pthread.h>
#include <stdatomic.h>

#define READERS 2
#define ROUNDS 1000u
#define MAIN IOUserAudioObjectPropertyElementMain
#define OUTPUT IOUserAudioObjectPropertyScopeOutput

static IOUserAudioSliderControl *slider;
static IOUserAudioLevelControl *level;
static IOUserAudioSelectorControl *selector;
static IOUserAudioStereoPanControl *pan;
static pthread_barrier_t readers_at_work;
static atomic_bool is_over;

/* Every selection that is set has values base, base + 1, ...: as many as base modulo 64, and one more. */
static void
check_selection(void)
{
    IOUserAudioSelectorValue values[DX_MAX_SELECTED_VALUES];
    const size_t count =
        IOUserAudioSelectorControlGetCurrentSelectedValues(selector, values, DX_MAX_SELECTED_VALUES);
    if (count == 0)
        return;
    CHECK(count == 1 || count == values[0] % DX_MAX_SELECTED_VALUES + 1); // 1: lapped
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(values[i], values[0] + i);
}

static void
check_descriptions(void)
{
    IOUserAudioSelectorValueDescription items[4];
    const size_t count = IOUserAudioSelectorControlGetControlValueDescriptions(selector, items, 4);
    CHECK(count <= 2 && IOUserAudioSelectorControlGetControlValuesCount(selector) <= 2);
    for (size_t i = 0; i < count; i++) {
        CHECK(OSStringIsEqualToCString(items[i].m_name, "item"));
        OSObjectRelease(items[i].m_name);
    }
}

static void *
read_values(void *context)
{
    (void)context;
    (void)pthread_barrier_wait(&readers_at_work); // cannot fail
    /* relaxed: only ends the loop; pthread_join() orders the rest. */
    while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {
        const IOUserAudioSliderRange range = IOUserAudioSliderControlGetRange(slider);
        CHECK_EQ(range.m_max, range.m_min + 10);
        CHECK(IOUserAudioSliderControlGetControlValue(slider) <= ROUNDS + 10);

        const IOUserAudioLevelControlRange bounds = IOUserAudioLevelControlGetRange(level);
        CHECK(bounds.m_max == bounds.m_min + 96.0f);
        const float scalar = IOUserAudioLevelControlGetScalarValue(level);
        CHECK(scalar >= 0.0f && scalar <= 1.0f);
        const float decibels = IOUserAudioLevelControlGetDecibelValue(level);
        CHECK(decibels >= -96.0f && decibels <= (float)ROUNDS);

        IOUserAudioObjectPropertyElement left = 0, right = 0;
        IOUserAudioStereoPanControlGetPanningChannels(pan, &left, &right);
        CHECK_EQ(right, left + 1);
        const float position = IOUserAudioStereoPanControlGetControlValue(pan);
        CHECK(position >= 0.0f && position <= 1.0f);

        check_selection();
        check_descriptions();
    }
    return NULL;
}

static void
set_values(uint32_t round)
{
    CHECK_EQ(IOUserAudioSliderControlSetRange(slider, (IOUserAudioSliderRange){round, round + 10}),
             kIOReturnSuccess);
    CHECK_EQ(IOUserAudioSliderControlSetControlValue(slider, round * 7), kIOReturnSuccess);
    const float bottom = -96.0f + (float)(round % 32);
    CHECK_EQ(IOUserAudioLevelControlSetRange(level, (IOUserAudioLevelControlRange){bottom, bottom + 96.0f}),
             kIOReturnSuccess);
    CHECK_EQ(IOUserAudioLevelControlSetScalarValue(level, (float)(round % 11) / 10.0f), kIOReturnSuccess);
    CHECK_EQ(IOUserAudioStereoPanControlSetPanningChannels(pan, round, round + 1), kIOReturnSuccess);
    CHECK_EQ(IOUserAudioStereoPanControlSetControlValue(pan, (float)(round % 5) / 4.0f), kIOReturnSuccess);

    IOUserAudioSelectorValue values[DX_MAX_SELECTED_VALUES];
    const size_t count = round % DX_MAX_SELECTED_VALUES + 1;
    for (uint32_t i = 0; i < count; i++)
        values[i] = round + i;
    CHECK_EQ(IOUserAudioSelectorControlSetCurrentSelectedValues(selector, values, count), kIOReturnSuccess);

    const IOUserAudioSelectorValueDescription items[] = {{round, OSStringCreate("item")},
                                                         {round + 1, OSStringCreate("item")}};
    CHECK_EQ(IOUserAudioSelectorControlAddControlValueDescriptions(selector, items, 2), kIOReturnSuccess);
    CHECK_EQ(IOUserAudioSelectorControlRemoveControlValueDescriptions(selector, items, 1), kIOReturnSuccess);
    CHECK_EQ(IOUserAudioSelectorControlRemoveControlValueDescriptions(selector, items + 1, 1),
             kIOReturnSuccess);
    OSObjectRelease(items[0].m_name);
    OSObjectRelease(items[1].m_name);
}

static void
values_are_whole_while_setters_run(void)
{
    IOUserAudioDriver *const driver = notifications_driver_create();
    CHECK(driver);
    slider = IOUserAudioSliderControlCreate(driver, true, 0, (IOUserAudioSliderRange){0, 10}, MAIN, OUTPUT,
                                            IOUserAudioClassIDSliderControl);
    level = IOUserAudioLevelControlCreate(driver, true, 0.0f, (IOUserAudioLevelControlRange){-96.0f, 0.0f},
                                          MAIN, OUTPUT, IOUserAudioClassIDVolumeControl);
    selector =
        IOUserAudioSelectorControlCreate(driver, true, MAIN, OUTPUT, IOUserAudioClassIDDataSourceControl);
    pan = IOUserAudioStereoPanControlCreate(driver, true, 0.5f, 0, 1, MAIN, OUTPUT,
                                            IOUserAudioClassIDStereoPanControl);
    CHECK(slider && level && selector && pan);

    pthread_t threads[READERS];
    CHECK_EQ(pthread_barrier_init(&readers_at_work, NULL, READERS + 1), 0);
    for (unsigned i = 0; i < READERS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, read_values, NULL), 0);
    (void)pthread_barrier_wait(&readers_at_work); // cannot fail
    for (uint32_t round = 0; round < ROUNDS; round++)
        set_values(round);
    /* relaxed: as in the readers. */
    atomic_store_explicit(&is_over, true, memory_order_relaxed);
    for (unsigned i = 0; i < READERS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(pthread_barrier_destroy(&readers_at_work), 0);

    OSObjectRelease(slider);
    OSObjectRelease(level);
    OSObjectRelease(selector);
    OSObjectRelease(pan);
    notifications_driver_destroy(driver);
}

int
main(void)
{
    RUN(values_are_whole_while_setters_run);
    return 0;
}
