// SPDX-License-Identifier: MIT
// The engine on the host's clock with a thread for everybody: for ThreadSanitizer.  No time is measured.

#include "audio/engine.h"
#include "core/realtime.h"
#include "tests/core/check.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { RING = 4096, LANE = 16384, ROUNDS = 4 };

static dx_clock *host_clock;
static struct dx_device_io io;
static struct dx_engine_config config;
static struct dx_engine_plan plans[2];
static struct dx_engine_counters counters;
static struct dx_engine_signal signal_words;
static _Atomic uint32_t notices;
static _Atomic uint32_t page_words[DX_SLOTS_WORDS(sizeof(struct dx_timeline_page))];
static float output_ring[RING], input_ring[RING];
static struct dx_lane input_lane, player_lane;
static struct dx_lane_state input_state;
static struct dx_engine_source source;
static struct dx_engine *engine;
static _Atomic bool stop;
static _Atomic uint64_t calls, sounding;

static struct dx_timeline_page
read_page(void)
{
    const struct dx_slots slots = {page_words, sizeof(struct dx_timeline_page)};
    struct dx_timeline_page page;
    if (!dx_slots_read(&slots, &page))
        page = (struct dx_timeline_page){.state = DX_TIMELINE_NONE};
    CHECK(dx_timeline_page_is_sane(&page));
    return page;
}

/* A frame of device time, never 0, exact in a float. */
static float
value_of(uint64_t time)
{
    return (float)(time % 65536 + 1) / 65536.0f;
}

/* Each frame is silence, or the one after the one before it. */
static kern_return_t
look(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
     uint64_t host_time, void *context) DX_REALTIME
{
    (void)device;
    (void)host_time;
    (void)context;
    DX_REALTIME_TRUSTED_BEGIN("the test's own, not in the product")
    CHECK(frames > 0 && frames <= RING);
    float before = 0.0f;
    for (uint32_t i = 0; i < frames; i++) {
        const uint64_t at = (sample_time + i) % RING;
        if (operation == IOUserAudioIOOperationBeginRead) {
            input_ring[at] = 0.5f;
            continue;
        }
        const float value = output_ring[at];
        CHECK(value == 0.0f || before == 0.0f || value == before + 1.0f / 65536.0f || before == 1.0f);
        atomic_fetch_add_explicit(&sounding, value != 0.0f, memory_order_relaxed);
        before = value;
    }
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    DX_REALTIME_TRUSTED_END
    return kIOReturnSuccess;
}

static void
pause_ms(unsigned ms)
{
    dx_clock_sleep_until(host_clock, dx_clock_now_ns(host_clock) + ms * 1000000u);
}

static void *
post_stamps(void *argument)
{
    (void)argument;
    const uint64_t origin = dx_clock_now_ns(host_clock);
    for (uint64_t k = 0; !atomic_load_explicit(&stop, memory_order_relaxed); k++) {
        const uint64_t when = origin + k * RING * 62500u / 3u;
        dx_clock_sleep_until(host_clock, when);
        dx_device_io_post(&io, k * RING, when);
    }
    return NULL;
}

static void *
play(void *argument)
{
    (void)argument;
    struct dx_lane_state state = {.flags = DX_LANE_RUNNING};
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        const struct dx_timeline_page page = read_page();
        const uint64_t position = (uint64_t)dx_timeline_page_position(&page, dx_clock_now_ns(host_clock));
        if (page.state != DX_TIMELINE_NONE) {
            if (state.end < position) {
                state.begin = position;
                state.end = position;
            }
            while (state.end < position + LANE / 2) {
                float block[256];
                for (unsigned i = 0; i < 256; i++)
                    block[i] = value_of(state.end + i);
                dx_lane_append(&player_lane, &state, block, 256);
            }
        }
        pause_ms(5);
    }
    return NULL;
}

static void *
record(void *argument)
{
    (void)argument;
    struct dx_lane_state known = {0};
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        float block[256];
        (void)dx_lane_read_state(&input_lane, &known);
        const uint64_t time = known.end > 256 ? known.end - 256 : 0;
        const struct dx_span span = dx_lane_copy(&input_lane, &known, time, 256, block);
        for (uint32_t i = span.first; i < span.last; i++)
            CHECK(block[i] == 0.5f || block[i] == 0.0f);
        pause_ms(2);
    }
    return NULL;
}

static void *
replace_handlers(void *argument)
{
    (void)argument;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        void *const context = malloc(1);
        CHECK_EQ(dx_handler_box_set(&io.handler, look, context), kIOReturnSuccess);
        pause_ms(1);
        CHECK_EQ(dx_handler_box_set(&io.handler, look, NULL), kIOReturnSuccess);
        free(context);
    }
    return NULL;
}

static void
set_up(void)
{
    const struct dx_kernels *const kernels = dx_kernels_best();
    host_clock = dx_clock_host();
    dx_device_io_init(&io);
    CHECK_EQ(dx_lane_create(&input_lane, "input", LANE, sizeof(float)), 0);
    CHECK_EQ(dx_lane_create(&player_lane, "player", LANE, sizeof(float)), 0);
    const struct dx_engine_stream stream = {
        .bytes_per_frame = sizeof(float),
        .channels = 1,
        .is_mixable = true,
        .to_float = kernels->to_float[DX_SAMPLE_F32_LE],
        .from_float = kernels->from_float[DX_SAMPLE_F32_LE],
        .chunk_frames = dx_engine_chunk_frames(1),
    };
    config = (struct dx_engine_config){
        .clock = host_clock,
        .name = "io",
        .io = &io,
        .timeline = {.rate_hz = 48000.0, .period_frames = RING, .algorithm = IOUserAudioClockAlgorithmSimpleIIR},
        .ring_frames = RING,
        .input_count = 1,
        .output_count = 1,
        .page = {page_words, sizeof(struct dx_timeline_page)},
        .counters = &counters,
        .signal = &signal_words,
        .kernels = kernels,
        .notices = &notices,
        .start_timeout_ns = 5000000000u,
    };
    config.inputs[0] = stream;
    config.inputs[0].ring = (uint8_t *)input_ring;
    config.inputs[0].input_lane = &input_lane;
    config.inputs[0].input_state = &input_state;
    config.outputs[0] = stream;
    config.outputs[0].ring = (uint8_t *)output_ring;
    source = (struct dx_engine_source){.input_stream = DX_NO_STREAM, .lane = &player_lane,
                                       .gain_bits = DX_GAIN_UNITY};
    plans[0] = (struct dx_engine_plan){
        .io_frames = 256, .inputs_in_use = 1, .outputs_in_use = 1, .source_count = 1, .sources = {&source}};
}

static void
threads_of_all_parties_share_nothing_unordered(void)
{
    set_up();
    void *(*const parties[])(void *argument) = {post_stamps, play, record, replace_handlers};
    pthread_t threads[4];
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, parties[i], NULL), 0);
    unsigned current = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        CHECK_EQ(dx_engine_start(&config, &plans[current], &engine), 0);
        CHECK_EQ(dx_engine_wait_started(host_clock, &signal_words), DX_ENGINE_RUNNING);
        (void)dx_engine_degraded(engine);
        for (unsigned i = 0; i < 30; i++) {
            plans[!current] = plans[current];
            plans[!current].io_frames = 64u + 37u * i;
            dx_engine_set_plan(engine, &plans[!current]);
            current = !current;
            memset(&plans[!current], 0xFF, sizeof plans[0]); // the one before is free
            CHECK(!dx_engine_is_io_task(engine));
            pause_ms(8);
        }
        dx_engine_stop(engine);
        CHECK_EQ(read_page().state, DX_TIMELINE_STOPPED);
    }
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK(atomic_load_explicit(&calls, memory_order_relaxed) > 0);
    CHECK(atomic_load_explicit(&sounding, memory_order_relaxed) > 0);
    dx_lane_finish(&input_lane);
    dx_lane_finish(&player_lane);
}

int
main(void)
{
    RUN(threads_of_all_parties_share_nothing_unordered);
    return 0;
}
