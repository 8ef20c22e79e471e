// SPDX-License-Identifier: MIT
// Starting and stopping an engine, and the loop around its cycle.

#include "audio/engine.h"

#include <errno.h>
#include <string.h>

uint32_t
dx_engine_jitter_frames(double rate_hz) DX_REALTIME
{
    /* Half a millisecond: what a plain interrupt or a timer thread strays by. */
    const double frames = rate_hz * 0.0005;
    return frames < 4.0 ? 4u : (uint32_t)frames;
}

uint32_t
dx_engine_max_io_frames(uint32_t ring_frames, uint32_t input_safety, uint32_t output_safety, double rate_hz)
{
    const uint64_t taken =
        (uint64_t)input_safety + output_safety + dx_engine_jitter_frames(rate_hz);
    return ring_frames > taken ? (uint32_t)((ring_frames - taken) / 3u) : 0;
}

uint32_t
dx_engine_chunk_frames(uint32_t channels)
{
    const uint32_t frames = DX_ENGINE_CHUNK_SAMPLES / channels;
    return frames ? frames : 1u;
}

static void
announce(struct dx_engine *engine)
{
    struct dx_engine_signal *const signal = engine->config.signal;
    /* release: pairs with the acquires in dx_engine_set_plan() and dx_engine_wait_started(). */
    atomic_fetch_add_explicit(&signal->answer, 1, memory_order_release);
    dx_clock_wake(engine->config.clock, &signal->answer, UINT32_MAX);
}

/* Everything of one pass that may block or make a system call; the step itself never does. */
static void
run_io(void *argument)
{
    static const struct dx_wait_reason reason = {.what = "the next cycle"};

    struct dx_engine *const engine = argument;
    dx_clock *const clock = engine->config.clock;
    atomic_store_explicit(&engine->io_task, dx_task_self(), memory_order_release);
    /* Plain scheduling strays by milliseconds: a driver that bears being late bears twice as much. */
    if (dx_task_degraded(dx_task_current()) & DX_TASK_NOT_REALTIME) {
        const uint32_t most = engine->config.ring_frames / 2u;
        const uint32_t twice = 2u * engine->config.late_tolerance;
        engine->config.late_tolerance = twice < most                               ? twice
                                        : engine->config.late_tolerance < most ? most
                                                                                   : engine->config.late_tolerance;
        engine->published.late_tolerance = engine->config.late_tolerance;
    }

    uint64_t now = dx_clock_now_ns(clock);
    for (;;) {
        /* acquire: read before `stop` and the plan, so that a change after it is not slept over. */
        const uint32_t wake = atomic_load_explicit(&engine->wake, memory_order_acquire);
        if (atomic_load_explicit(&engine->stop, memory_order_acquire))
            break;
        const uint64_t until = dx_engine_step(engine, now);
        dx_handler_box_wake(&engine->config.io->handler);
        if (engine->answer_pending) {
            engine->answer_pending = false;
            announce(engine);
        }
        if (engine->notice_pending) {
            engine->notice_pending = false;
            atomic_fetch_add_explicit(engine->config.notices, 1, memory_order_release);
            dx_clock_wake(clock, engine->config.notices, UINT32_MAX);
        }
        now = dx_clock_now_ns(clock);
        if (until > now) {
            (void)dx_clock_wait(clock, &engine->wake, wake, until, &reason);
            now = dx_clock_now_ns(clock);
        }
    }

    dx_events_flush(&engine->events, NULL, NULL);
    /* Device time goes on by the last line; nobody consumes any more. */
    engine->published.state = engine->published.state == DX_TIMELINE_NONE ? DX_TIMELINE_NONE
                                                                          : DX_TIMELINE_STOPPED;
    dx_slots_write(&engine->config.page, &engine->published);
    atomic_store_explicit(&engine->io_task, NULL, memory_order_release);
}

/* Samples of the largest chunk. */
static size_t
find_chunk_samples(const struct dx_engine_config *config)
{
    size_t samples = 1;
    for (uint32_t i = 0; i < config->input_count; i++) {
        const size_t n = (size_t)config->inputs[i].chunk_frames * config->inputs[i].channels;
        samples = n > samples ? n : samples;
    }
    for (uint32_t i = 0; i < config->output_count; i++) {
        const size_t n = (size_t)config->outputs[i].chunk_frames * config->outputs[i].channels;
        samples = n > samples ? n : samples;
    }
    return samples;
}

static size_t
align(size_t bytes)
{
    return (bytes + 63u) & ~(size_t)63u;
}

static void
free_engine(struct dx_engine *engine)
{
    struct dx_pages pages = engine->pages; // the engine lies in them
    dx_pages_finish(&pages);
}

/* The engine and its buffers in one region that is touched and locked.  8 bytes a sample also hold what is
 * passed through. */
static struct dx_engine *
allocate_engine(const struct dx_engine_config *config)
{
    const size_t chunk_bytes = align(find_chunk_samples(config) * 8u);
    const size_t engine_bytes = align(sizeof(struct dx_engine));
    struct dx_pages pages;
    if (dx_pages_create("dextral-engine", engine_bytes + 2u * chunk_bytes, &pages) < 0)
        return NULL;
    uint8_t *const bytes = pages.address;
    struct dx_engine *const engine = pages.address;
    engine->pages = pages;
    engine->config = *config;
    engine->mix = (float *)(void *)(bytes + engine_bytes);
    engine->source = (float *)(void *)(bytes + engine_bytes + chunk_bytes);
    return engine;
}

/* Finds the sources of each stream, so that a cycle need not look for them. */
static void
sort_sources(struct dx_engine_plan *plan)
{
    uint16_t *const begin = plan->stream_begin;
    memset(begin, 0, sizeof plan->stream_begin);
    uint16_t places[DX_MAX_STREAMS + 1u];
    for (uint32_t i = 0; i < plan->source_count; i++) {
        const uint32_t stream = plan->sources[i]->output_stream;
        begin[(stream < DX_MAX_STREAMS ? stream : DX_MAX_STREAMS) + 1u]++;
    }
    for (uint32_t i = 0; i <= DX_MAX_STREAMS; i++) {
        places[i] = begin[i];
        begin[i + 1u] = (uint16_t)(begin[i + 1u] + begin[i]);
    }
    for (uint32_t i = 0; i < plan->source_count; i++) {
        const uint32_t stream = plan->sources[i]->output_stream;
        plan->by_stream[places[stream < DX_MAX_STREAMS ? stream : DX_MAX_STREAMS]++] = (uint16_t)i;
    }
}

int
dx_engine_start(const struct dx_engine_config *config, struct dx_engine_plan *plan,
                struct dx_engine **ret_engine)
{
    struct dx_engine *const engine = allocate_engine(config);
    if (!engine)
        return -ENOMEM;
    engine->stamps = dx_device_io_stamps(config->io);
    engine->client_times = dx_device_io_clients(config->io);

    dx_timeline_init(&engine->timeline, &config->timeline);
    /* Client times are zero before the first cycle. */
    dx_slots_write(&engine->client_times, &engine->times);
    if (!dx_slots_read(&config->page, &engine->published))
        memset(&engine->published, 0, sizeof engine->published);
    struct dx_timeline_page *const page = &engine->published;
    const struct dx_timeline_page before = *page;
    const uint64_t now = dx_clock_now_ns(config->clock);
    if (page->state != DX_TIMELINE_NONE) {
        /* Goes on from where it is, at the new nominal rate until stamps say better. */
        const double position = dx_timeline_page_position(page, now);
        page->anchor_frame = (uint64_t)position + ((double)(uint64_t)position < position ? 1u : 0u);
        page->anchor_host_ns = now;
        if (page->rate_hz != config->timeline.rate_hz)
            page->ns_per_frame = 1e9 / config->timeline.rate_hz;
        page->state = DX_TIMELINE_WAITING;
        engine->output_next = page->mixed_until;
        for (uint32_t i = 0; i < config->input_count; i++) {
            const uint64_t end = config->inputs[i].input_state->end;
            engine->input_next = end > engine->input_next ? end : engine->input_next;
        }
        page->epoch++;
    } else {
        page->ns_per_frame = 1e9 / config->timeline.rate_hz;
    }
    page->rate_hz = config->timeline.rate_hz;
    page->ring_frames = config->ring_frames;
    page->input_safety = config->input_safety;
    page->output_safety = config->output_safety;
    page->late_tolerance = config->late_tolerance;
    page->io_frames = plan->io_frames;
    dx_slots_write(&config->page, page);

    dx_recorder_attach(&engine->events.recorder, config->recorder);
    sort_sources(plan);
    engine->plan = plan;
    atomic_init(&engine->next_plan, plan);
    atomic_init(&engine->plan_in_force, plan);
    engine->start_deadline_ns =
        config->start_timeout_ns < DX_NEVER - now ? now + config->start_timeout_ns : DX_NEVER;
    engine->slept = true;
    for (uint32_t i = 0; i < config->input_count; i++)
        engine->config.inputs[i].input_state->epoch++;

    atomic_store_explicit(&config->signal->phase, DX_ENGINE_STARTING, memory_order_release);
    const dx_task_config task = {.name = config->name, .priority = config->priority, .cpu = config->cpu};
    const kern_return_t status = dx_task_spawn(config->clock, &task, run_io, engine, &engine->task);
    if (status != kIOReturnSuccess) {
        atomic_store_explicit(&config->signal->phase, DX_ENGINE_STOPPED, memory_order_release);
        dx_slots_write(&config->page, &before);
        free_engine(engine);
        return status == kIOReturnNoMemory ? -ENOMEM : -EAGAIN;
    }
    atomic_store_explicit(&config->counters->starts,
                          atomic_load_explicit(&config->counters->starts, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    *ret_engine = engine;
    return 0;
}

static void
poke(struct dx_engine *engine)
{
    atomic_fetch_add_explicit(&engine->wake, 1, memory_order_release);
    dx_clock_wake(engine->config.clock, &engine->wake, 1);
}

void
dx_engine_stop(struct dx_engine *engine)
{
    if (!engine)
        return;
    atomic_store_explicit(&engine->stop, true, memory_order_release);
    poke(engine);
    dx_task_join(engine->task);
    atomic_store_explicit(&engine->config.signal->phase, DX_ENGINE_STOPPED, memory_order_release);
    announce(engine);
    free_engine(engine);
}

void
dx_engine_set_plan(struct dx_engine *engine, struct dx_engine_plan *plan)
{
    static const struct dx_wait_reason reason = {.what = "the IO thread to take a plan"};

    sort_sources(plan);
    dx_clock *const clock = engine->config.clock;
    struct dx_engine_signal *const signal = engine->config.signal;
    /* release: pairs with the acquire in take_plan(). */
    atomic_store_explicit(&engine->next_plan, plan, memory_order_release);
    poke(engine);
    for (;;) {
        const uint32_t answer = atomic_load_explicit(&signal->answer, memory_order_acquire);
        if (atomic_load_explicit(&engine->plan_in_force, memory_order_acquire) == plan)
            return;
        (void)dx_clock_wait(clock, &signal->answer, answer, DX_NEVER, &reason);
    }
}

enum dx_engine_phase
dx_engine_wait_started(dx_clock *clock, struct dx_engine_signal *signal)
{
    static const struct dx_wait_reason reason = {.what = "the first zero timestamp"};

    for (;;) {
        const uint32_t answer = atomic_load_explicit(&signal->answer, memory_order_acquire);
        const enum dx_engine_phase phase = atomic_load_explicit(&signal->phase, memory_order_acquire);
        if (phase != DX_ENGINE_STARTING)
            return phase;
        (void)dx_clock_wait(clock, &signal->answer, answer, DX_NEVER, &reason);
    }
}

unsigned
dx_engine_degraded(const struct dx_engine *engine)
{
    return dx_task_degraded(engine->task) | (engine->pages.locked ? 0u : DX_TASK_NOT_LOCKED);
}

bool
dx_engine_is_io_task(const struct dx_engine *engine)
{
    return atomic_load_explicit(&engine->io_task, memory_order_acquire) == dx_task_self();
}
