// SPDX-License-Identifier: MIT
// The cycle.  Everything here runs on the IO thread.

#include "audio/engine.h"

#include <string.h>

/*
 * Device time in, driver time out.  A cycle is due when the device position reaches T.  It covers
 *
 *     input   [input_next,  T - Si)         normally N frames from T - N - Si
 *     output  [output_next, T + 2N + So)    normally N frames from T + N + So
 *
 * and then T advances by N.  The spans are kept by where they stopped, not by N: when N changes between two
 * cycles they come out longer or shorter once (an output span may be empty), and no frame is lost or doubled.
 */

/* How often to look for a zero timestamp while there is none. */
#define LOOK_FOR_STAMP_NS 1000000u

/* How long to sleep at most, so that a stamp far off the mark does not put IO to sleep until then. */
#define LONGEST_SLEEP_NS 100000000u

/* Below this share of the delay no measured interval is called its cause. */
#define BLAME_SHARE 4u

static void
count(_Atomic uint64_t *counter, uint64_t n) DX_REALTIME
{
    /* relaxed: one writer; readers want a recent value, not an order. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static uint64_t
now_ns(const struct dx_engine *engine) DX_REALTIME
{
    return dx_clock_now_ns(engine->config.clock);
}

/* ---- time ---- */

static uint64_t
device_host_ns(const struct dx_engine *engine, uint64_t device_frame) DX_REALTIME
{
    return dx_timeline_host_ns(&engine->timeline, (double)((int64_t)device_frame - engine->timeline.offset));
}

static double
device_position(const struct dx_engine *engine, uint64_t host_ns) DX_REALTIME
{
    return dx_timeline_position(&engine->timeline, host_ns) + (double)engine->timeline.offset;
}

static uint64_t
ceil_frame(double position) DX_REALTIME
{
    if (!(position > 0.0))
        return 0;
    const uint64_t whole = (uint64_t)position;
    return (double)whole < position ? whole + 1 : whole;
}

static void
publish_page(struct dx_engine *engine) DX_REALTIME
{
    struct dx_timeline_page *const page = &engine->published;
    const struct dx_timeline *const timeline = &engine->timeline;

    if (page->state == DX_TIMELINE_RUNNING) {
        const int64_t anchor = (int64_t)timeline->anchor_frame + timeline->offset;
        page->anchor_frame = anchor > 0 ? (uint64_t)anchor : 0;
        page->anchor_host_ns = anchor > 0 ? timeline->anchor_host_ns : device_host_ns(engine, 0);
        page->ns_per_frame = timeline->ns_per_frame;
    }
    page->cycle_frame = engine->due_frame;
    page->mixed_until = engine->output_next;
    page->io_frames = engine->plan->io_frames;
    dx_slots_write(&engine->config.page, page);
}

/* The line that was published last: also for the time after a crash. */
static void
record_line(struct dx_engine *engine) DX_REALTIME
{
    const struct dx_timeline_page *const page = &engine->published;
    dx_recorder_line(&engine->events.recorder, page->anchor_frame, page->anchor_host_ns, page->ns_per_frame);
}

static void
set_phase(struct dx_engine *engine, enum dx_engine_phase phase) DX_REALTIME
{
    /* release: pairs with the acquire in dx_engine_wait_started(). */
    atomic_store_explicit(&engine->config.signal->phase, phase, memory_order_release);
    engine->answer_pending = true;
}

static void
give_up(struct dx_engine *engine) DX_REALTIME
{
    /* relaxed: before the phase, which is a release. */
    atomic_fetch_add_explicit(&engine->config.signal->timeouts, 1, memory_order_relaxed);
    set_phase(engine, DX_ENGINE_TIMED_OUT);
    engine->notice_pending = true;
}

/* Chooses the offset after the filter was anchored anew, so that device time goes on at `now`. */
static void
choose_offset(struct dx_engine *engine, uint64_t now) DX_REALTIME
{
    struct dx_timeline *const timeline = &engine->timeline;
    struct dx_timeline_page *const page = &engine->published;

    if (page->state == DX_TIMELINE_NONE) {
        /* Device time begins as driver time, in its first ring: a driver that counts from the machine's start must
         * not begin with hours of a past that never was. */
        const double driver_now = dx_timeline_position(timeline, now);
        const uint64_t ring = engine->config.ring_frames;
        timeline->offset = driver_now >= (double)ring ? -(int64_t)((uint64_t)driver_now / ring * ring) : 0;
    } else {
        const double device_now = dx_timeline_page_position(page, now);
        const double driver_now = dx_timeline_position(timeline, now);
        const double kept = device_now - (driver_now + (double)timeline->offset);
        /* A stamp that says what was known, give or take its jitter, moves nothing. */
        const double jitter = dx_engine_jitter_frames(timeline->config.rate_hz);
        if (page->state == DX_TIMELINE_RUNNING && kept < jitter && kept > -jitter)
            return;
        const double offset = device_now - driver_now;
        const int64_t whole = (int64_t)offset;
        timeline->offset = (double)whole < offset ? whole + 1 : whole;
    }
    page->epoch++;
}

/* Sets the next cycle to a future T, and leaves out what can no longer be read or written. */
static void
synchronise(struct dx_engine *engine, uint64_t now, bool on_grid) DX_REALTIME
{
    const struct dx_engine_config *const config = &engine->config;
    const uint64_t n = engine->plan->io_frames;
    const uint64_t position = ceil_frame(device_position(engine, now));

    uint64_t due = position + n;
    if (on_grid) {
        const uint64_t behind = position >= engine->due_frame ? position - engine->due_frame : 0;
        due = engine->due_frame + (behind / n + 1) * n;
    } else {
        /* The handler's first sample time is not below 0. */
        const int64_t least = (int64_t)(n + config->input_safety) + engine->timeline.offset;
        if (least > 0 && due < (uint64_t)least)
            due = (uint64_t)least;
    }

    const uint64_t history = n + config->input_safety;
    const uint64_t input = due > history ? due - history : 0;
    const uint64_t output = due + n + config->output_safety;
    if (engine->has_due || config->goes_on) {
        if (input > engine->input_next && engine->plan->inputs_in_use)
            count(&config->counters->skipped_input_frames, input - engine->input_next);
        if (output > engine->output_next && engine->plan->outputs_in_use)
            count(&config->counters->skipped_output_frames, output - engine->output_next);
    }
    engine->due_frame = due;
    engine->input_next = input > engine->input_next ? input : engine->input_next;
    engine->output_next = output > engine->output_next ? output : engine->output_next;
    engine->has_due = true;
}

/* Notes a stamp that was bad, or moved the timeline, and how far from the line before it was. */
static void
note_stamp(struct dx_engine *engine, uint64_t now, uint64_t off_ns) DX_REALTIME
{
    struct dx_incident incident = {
        .host_time_ns = now, .device_time = engine->due_frame, .cause = DX_CAUSE_BAD_STAMP};
    incident.intervals_ns[DX_CAUSE_BAD_STAMP] = off_ns;
    engine->cycle_flags |= DX_CYCLE_STAMP;
    (void)dx_events_add(&engine->events, &engine->causes[DX_CAUSE_BAD_STAMP], &incident, off_ns);
}

static void
take_stamp(struct dx_engine *engine, uint64_t now) DX_REALTIME
{
    struct dx_timeline *const timeline = &engine->timeline;
    struct dx_engine_counters *const counters = engine->config.counters;
    struct dx_stamp stamp;
    if (!dx_slots_read(&engine->stamps, &stamp) || stamp.count == timeline->last.count)
        return;

    const uint64_t stamps = timeline->stamps;
    const uint64_t bad_stamps = timeline->bad_stamps;
    const uint64_t reanchors = timeline->reanchors;
    const int64_t offset = timeline->offset;
    const uint64_t expected_ns = timeline->valid ? dx_timeline_host_ns(timeline, (double)stamp.sample_time) : 0;
    bool has_moved = false;
    switch (dx_timeline_take(timeline, &stamp)) {
    case DX_STAMP_NONE:
    case DX_STAMP_FOLLOWED:
        break;
    case DX_STAMP_ANCHORED:
        choose_offset(engine, now);
        if (engine->published.state != DX_TIMELINE_RUNNING) {
            engine->published.state = DX_TIMELINE_RUNNING;
            synchronise(engine, now, false);
            set_phase(engine, DX_ENGINE_RUNNING);
        } else if (timeline->offset != offset) {
            count(&counters->causes[DX_CAUSE_BAD_STAMP], 1);
            has_moved = true;
        }
        publish_page(engine);
        record_line(engine);
        break;
    case DX_STAMP_CLEARED:
        /* Device time goes on by the last line; cycles wait for the next stamp. */
        engine->published.state = DX_TIMELINE_WAITING;
        publish_page(engine);
        break;
    }
    count(&counters->stamps, timeline->stamps - stamps);
    count(&counters->bad_stamps, timeline->bad_stamps - bad_stamps);
    count(&counters->reanchors, timeline->reanchors - reanchors);
    if (has_moved || timeline->bad_stamps != bad_stamps)
        note_stamp(engine, now, expected_ns > stamp.host_time_ns ? expected_ns - stamp.host_time_ns
                                                                 : stamp.host_time_ns - expected_ns);
}

/* ---- the handler and the DSP chain ---- */

static void
call_handler(struct dx_engine *engine, IOUserAudioIOOperation operation, int64_t sample_time, uint32_t frames,
             uint64_t *spent_ns) DX_REALTIME
{
    const uint64_t host_ns = dx_timeline_host_ns(&engine->timeline, (double)sample_time);
    if (operation == IOUserAudioIOOperationBeginRead) {
        engine->times.input_sample_time = (uint64_t)sample_time;
        engine->times.input_host_time_ns = host_ns;
    } else {
        engine->times.output_sample_time = (uint64_t)sample_time;
        engine->times.output_host_time_ns = host_ns;
    }
    dx_slots_write(&engine->client_times, &engine->times);

    const uint64_t begin = now_ns(engine);
    const kern_return_t result =
        dx_handler_box_call(&engine->config.io->handler, engine->config.device_id, operation, frames,
                            (uint64_t)sample_time, dx_clock_ticks_from_ns(engine->config.clock, host_ns));
    const uint64_t spent = now_ns(engine) - begin;
    *spent_ns += spent;
    dx_histogram_record(&engine->config.counters->handler, spent);
    /* kIOReturnNotAttached means that there is no handler, unless it is a handler's answer. */
    if (result != kIOReturnSuccess &&
        (result != kIOReturnNotAttached ||
         atomic_load_explicit(&engine->config.io->handler.current, memory_order_relaxed) != DX_HANDLER_NONE))
        count(&engine->config.counters->handler_errors, 1);
}

static void
run_dsp(struct dx_engine *engine, struct dx_engine_dsp *const *chain, IOUserAudioIOOperation operation,
        float *samples, uint32_t frames, uint32_t channels, uint64_t device_time) DX_REALTIME
{
    if (!*chain)
        return;
    const uint64_t begin = now_ns(engine);
    const int64_t sample_time = (int64_t)device_time - engine->timeline.offset;
    const uint64_t host_time = dx_clock_ticks_from_ns(
        engine->config.clock, dx_timeline_host_ns(&engine->timeline, (double)sample_time));
    for (; *chain; chain++) {
        struct dx_engine_dsp *const dsp = *chain;
        if (dsp->planar) {
            for (uint32_t c = 0; c < channels; c++)
                for (uint32_t f = 0; f < frames; f++)
                    dsp->planar[c][f] = samples[(size_t)f * channels + c];
        } else {
            dsp->view.interleaved = samples;
        }
        const kern_return_t result =
            dsp->plugin->process(engine->config.device_id, operation, frames,
                                 sample_time > 0 ? (uint64_t)sample_time : 0, host_time, dsp->instance);
        if (result != kIOReturnSuccess)
            count(&engine->config.counters->handler_errors, 1);
        if (dsp->planar)
            for (uint32_t c = 0; c < channels; c++)
                for (uint32_t f = 0; f < frames; f++)
                    samples[(size_t)f * channels + c] = dsp->planar[c][f];
    }
    engine->blame_ns[DX_CAUSE_DSP] += now_ns(engine) - begin;
}

/* Bit i: stream i takes part in this cycle. */
static uint32_t
find_active(const struct dx_engine_stream *streams, uint32_t stream_count) DX_REALTIME
{
    uint32_t active = 0;
    for (uint32_t i = 0; i < stream_count; i++)
        /* relaxed: a switch by itself. */
        if (!streams[i].activity || atomic_load_explicit(streams[i].activity, memory_order_relaxed))
            active |= 1u << i;
    return active;
}

/* ---- input ---- */

/* Frames from `frame` to the end of the ring, at most `frames`. */
static uint32_t
until_edge(const struct dx_engine *engine, uint64_t frame, uint32_t frames) DX_REALTIME
{
    const uint32_t left = engine->config.ring_frames - (uint32_t)(frame % engine->config.ring_frames);
    return left < frames ? left : frames;
}

/* Brings the published end of an input ring to a device time: small gaps are silence, large ones a jump. */
static void
catch_up_input(const struct dx_engine_stream *stream, uint32_t epoch, uint64_t time) DX_REALTIME
{
    struct dx_lane_state *const state = stream->input_state;
    const uint64_t gap = time - state->end;
    state->epoch = epoch;
    state->flags = DX_LANE_RUNNING;
    if (state->end && time > state->end && gap <= stream->input_lane->ring_frames / 2) {
        dx_lane_append(stream->input_lane, state, NULL, (uint32_t)gap);
    } else if (state->end != time) {
        state->begin = time;
        state->end = time;
        dx_lane_publish(stream->input_lane, state);
    }
}

static void
read_stream(struct dx_engine *engine, uint32_t index, uint64_t time, uint32_t frames) DX_REALTIME
{
    const struct dx_engine_stream *const stream = &engine->config.inputs[index];
    struct dx_engine_dsp *const *const chain = engine->plan->input_dsp[index];

    /* The epoch of an input ring is its engine's, fixed at the start: offsets do not move device time. */
    catch_up_input(stream, stream->input_state->epoch, time);
    while (frames) {
        const uint64_t sample_time = (uint64_t)((int64_t)time - engine->timeline.offset);
        uint32_t n = until_edge(engine, sample_time, frames);
        const uint8_t *const from =
            stream->ring + (size_t)(sample_time % engine->config.ring_frames) * stream->bytes_per_frame;
        if (stream->is_mixable) {
            n = n < stream->chunk_frames ? n : stream->chunk_frames;
            stream->to_float(engine->mix, from, (size_t)n * stream->channels);
            run_dsp(engine, chain, IOUserAudioIOOperationBeginRead, engine->mix, n, stream->channels, time);
            dx_lane_append(stream->input_lane, stream->input_state, engine->mix, n);
        } else {
            n = n < stream->input_lane->ring_frames ? n : stream->input_lane->ring_frames;
            dx_lane_append(stream->input_lane, stream->input_state, from, n);
        }
        time += n;
        frames -= n;
    }
}

static void
do_input(struct dx_engine *engine) DX_REALTIME
{
    const struct dx_engine_config *const config = &engine->config;
    if (engine->due_frame < config->input_safety)
        return;
    const uint64_t until = engine->due_frame - config->input_safety;
    if (until <= engine->input_next)
        return;

    uint64_t time = engine->input_next;
    engine->input_next = until;
    const uint32_t active = find_active(config->inputs, config->input_count);
    if (!(active & engine->plan->inputs_in_use))
        return;

    /* What lies before the driver's first frame does not exist: silence, by the gap it leaves. */
    const int64_t sample_time = (int64_t)time - engine->timeline.offset;
    if (sample_time < 0) {
        const uint64_t before = (uint64_t)-sample_time;
        const uint64_t missing = before < until - time ? before : until - time;
        count(&config->counters->skipped_input_frames, missing);
        time += missing;
        if (time == until)
            return;
    }
    /* One operation never covers more than the ring. */
    if (until - time > config->ring_frames) {
        count(&config->counters->skipped_input_frames, until - time - config->ring_frames);
        time = until - config->ring_frames;
    }

    const uint32_t frames = (uint32_t)(until - time);
    call_handler(engine, IOUserAudioIOOperationBeginRead, (int64_t)time - engine->timeline.offset, frames,
                 &engine->blame_ns[DX_CAUSE_HANDLER]);
    for (uint32_t i = 0; i < config->input_count; i++)
        if (active & (1u << i))
            read_stream(engine, i, time, frames);
    count(&config->counters->input_frames, frames);
}

/* ---- output ---- */

/* Lets a synchronous client fill (or read) a chunk; its output goes to engine->source. */
static void
run_synchronous(struct dx_engine *engine, struct dx_engine_source *source, uint64_t output_time,
                uint64_t input_time, uint32_t frames) DX_REALTIME
{
    const struct dx_engine_config *const config = &engine->config;
    const void *input = NULL;
    void *output = NULL;

    if (source->input_stream != DX_NO_STREAM) {
        const struct dx_engine_stream *const stream = &config->inputs[source->input_stream];
        const uint32_t bytes = stream->input_lane->bytes_per_frame;
        memset(source->input_buffer, 0, (size_t)frames * bytes);
        const struct dx_span span = dx_lane_copy(stream->input_lane, &source->input_known, input_time, frames,
                                                 source->input_buffer);
        /* What the copy does not vouch for is silence. */
        memset(source->input_buffer, 0, (size_t)span.first * bytes);
        memset((uint8_t *)source->input_buffer + (size_t)span.last * bytes, 0,
               (size_t)(frames - span.last) * bytes);
        input = source->input_buffer;
    }
    if (source->output_stream != DX_NO_STREAM) {
        const struct dx_engine_stream *const stream = &config->outputs[source->output_stream];
        memset(engine->source, 0,
               (size_t)frames * (stream->is_mixable ? stream->channels * sizeof(float) : stream->bytes_per_frame));
        output = engine->source;
    }

    const dx_client_cycle cycle = {
        .size = sizeof cycle,
        .frames = frames,
        .input_time = input_time,
        .output_time = output_time,
        .host_time_ns = device_host_ns(engine, engine->due_frame),
        .lost_frames = atomic_load_explicit(&source->underrun_frames, memory_order_relaxed),
        .sample_rate_hz = config->timeline.rate_hz,
    };
    const uint64_t begin = now_ns(engine);
    source->callback(source->context, &cycle, input, output);
    engine->blame_ns[DX_CAUSE_CLIENT] += now_ns(engine) - begin;
    count(&source->frames, frames);
    atomic_store_explicit(&source->output_time, output_time + frames, memory_order_relaxed);
}

/* Input for a synchronous client with both directions: a fixed distance behind its output. */
static uint64_t
synchronous_input_time(const struct dx_engine *engine, struct dx_engine_source *source,
                       uint64_t output_time) DX_REALTIME
{
    if (source->input_stream == DX_NO_STREAM)
        return 0;
    /* The whole output of this cycle must find its input, not just the first chunk.  Input that has no driver time
     * is silence: it moves nobody further away. */
    const uint64_t least =
        engine->output_next > engine->input_next ? engine->output_next - engine->input_next : 0;
    if (least > source->input_distance)
        source->input_distance = least;
    return output_time > source->input_distance ? output_time - source->input_distance : 0;
}

/* In the page that the client reads, wherever it is. */
static void
count_shared(_Atomic uint32_t *counter, uint64_t n) DX_REALTIME
{
    /* relaxed: as in count(). */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + (uint32_t)n,
                          memory_order_relaxed);
}

/*
 * Frames that a lane should have brought and did not.
 *
 * noinline, as apply_gain(): what hardly ever runs does not slow what is around it.
 */
__attribute__((noinline)) static void
note_gap(struct dx_engine *engine, struct dx_engine_source *source, uint64_t time, uint64_t missing) DX_REALTIME
{
    count(&source->underrun_frames, missing);
    if (source->counters)
        count_shared(&source->counters->underrun_frames, missing);

    struct dx_incident incident = {
        .host_time_ns = engine->begin_ns,
        .device_time = time,
        .client = source->session,
        .cause = DX_CAUSE_LANE,
        .frames = (uint32_t)missing,
    };
    /* How this cycle fared beside it: a machine that stood still made the client late, too. */
    memcpy(incident.intervals_ns, engine->blame_ns, sizeof incident.intervals_ns);
    const uint64_t missing_ns = (uint64_t)((double)missing * engine->timeline.ns_per_frame);
    incident.intervals_ns[DX_CAUSE_LANE] = missing_ns;
    engine->cycle_flags |= DX_CYCLE_UNCOVERED;
    if (dx_events_add(&engine->events, &source->gap, &incident, missing_ns))
        count(&engine->config.counters->causes[DX_CAUSE_LANE], 1);
}

static void
count_underrun(struct dx_engine *engine, struct dx_engine_source *source, uint64_t time, uint32_t frames,
               struct dx_span span) DX_REALTIME
{
    const struct dx_lane_state *const known = &source->known;
    if (known->epoch != source->epoch) { // started, or gone on after a pause: not always with frame 0
        source->epoch = known->epoch;
        source->begin_time = known->base + known->begin;
    }
    if (!(known->flags & DX_LANE_RUNNING) || (known->flags & DX_LANE_DRAINING))
        return;
    const uint64_t begin = known->base > source->begin_time ? known->base : source->begin_time;
    const uint64_t from = time > begin ? time : begin;
    const uint64_t expected = time + frames > from ? time + frames - from : 0;
    const uint64_t came = span.last - span.first;
    if (expected > came) /* from the first that is missing on: before those that came, or behind them */
        note_gap(engine, source, came && time + span.first == from ? time + span.last : from, expected - came);
}

/* How far a lane reaches beyond the cycle, whose first chunk was taken: 0 where something is missing. */
static void
note_ahead(const struct dx_engine *engine, const struct dx_engine_source *source) DX_REALTIME
{
    const struct dx_lane_state *const known = &source->known;
    const uint64_t end = known->base + known->end;
    if ((known->flags & (DX_LANE_RUNNING | DX_LANE_DRAINING)) != DX_LANE_RUNNING ||
        known->base + known->begin >= engine->output_next)
        return; // what is there is not for now
    const uint64_t frames = end > engine->output_next ? end - engine->output_next : 0;
    dx_histogram_record(source->ahead, (uint64_t)((double)frames * engine->timeline.ns_per_frame));
}

/* What one source brings for a chunk, in engine->source. */
static struct dx_span
fetch_source(struct dx_engine *engine, struct dx_engine_source *source, uint64_t time,
             uint32_t frames) DX_REALTIME
{
    if (!source->lane) {
        run_synchronous(engine, source, time, synchronous_input_time(engine, source, time), frames);
        return (struct dx_span){0, frames};
    }
    const struct dx_span span = dx_lane_copy(source->lane, &source->known, time, frames, engine->source);
    if (source->ahead && time == engine->output_from)
        note_ahead(engine, source);
    count_underrun(engine, source, time, frames, span);
    count(&source->frames, span.last - span.first);
    return span;
}

/* Multiplies what a source brings by its gain: along a line over all frames of a cycle in which it changes. */
__attribute__((noinline)) static void
apply_gain(const struct dx_engine *engine, const struct dx_engine_source *source, uint64_t time, uint32_t channels,
           struct dx_span span) DX_REALTIME
{
    float *sample = engine->source + (size_t)span.first * channels;
    const float step = (source->next_gain - source->gain) / (float)engine->output_frames;
    for (uint32_t f = span.first; f < span.last; f++) {
        const float gain = source->gain == source->next_gain
                               ? source->gain
                               : source->gain + step * (float)(time - engine->output_from + f + 1u);
        for (uint32_t c = 0; c < channels; c++)
            *sample++ *= gain;
    }
}

/* At the first chunk of a cycle: the gain that it ends with. */
static void
take_gain(struct dx_engine_source *source) DX_REALTIME
{
    /* relaxed: a value by itself; dx_member_set_gain() stores it. */
    const uint32_t bits = atomic_load_explicit(&source->gain_bits, memory_order_relaxed);
    float gain;
    memcpy(&gain, &bits, sizeof gain);
    source->gain = source->has_gain ? source->next_gain : gain;
    source->next_gain = gain;
    source->has_gain = true;
}

/* The sum of all sources of a mixable stream, in engine->mix.  The first is copied, the others are added. */
static void
mix_chunk(struct dx_engine *engine, uint32_t index, uint64_t time, uint32_t frames) DX_REALTIME
{
    const uint32_t channels = engine->config.outputs[index].channels;
    const struct dx_kernels *const kernels = engine->config.kernels;
    const struct dx_engine_plan *const plan = engine->plan;
    bool first = true;

    for (uint32_t i = plan->stream_begin[index]; i < plan->stream_begin[index + 1u]; i++) {
        struct dx_engine_source *const source = plan->sources[plan->by_stream[i]];
        if (time == engine->output_from)
            take_gain(source);
        const struct dx_span span = fetch_source(engine, source, time, frames);
        if (span.first >= span.last || (source->gain == 0.0f && source->next_gain == 0.0f))
            continue;
        if (source->gain != 1.0f || source->next_gain != 1.0f) // else every bit as it came
            apply_gain(engine, source, time, channels, span);
        const size_t head = (size_t)span.first * channels;
        const size_t body = (size_t)(span.last - span.first) * channels;
        const size_t all = (size_t)frames * channels;
        size_t limited;
        if (first) {
            memset(engine->mix, 0, head * sizeof(float));
            limited = kernels->copy_limited(engine->mix + head, engine->source + head, body);
            memset(engine->mix + head + body, 0, (all - head - body) * sizeof(float));
            first = false;
        } else {
            limited = kernels->add_limited(engine->mix + head, engine->source + head, body);
        }
        if (limited) {
            count(&source->limited_samples, limited);
            if (source->counters)
                count_shared(&source->counters->limited_samples, limited);
            count(&engine->config.counters->limited_samples, limited);
        }
    }
    if (first)
        memset(engine->mix, 0, (size_t)frames * channels * sizeof(float));
}

/* The bits of the one source of a non-mixable stream, zero bytes where it has none, in engine->mix. */
static void
pass_chunk(struct dx_engine *engine, uint32_t index, uint64_t time, uint32_t frames) DX_REALTIME
{
    const size_t bytes = engine->config.outputs[index].bytes_per_frame;
    uint8_t *const to = (uint8_t *)engine->mix;

    memset(to, 0, frames * bytes);
    const struct dx_engine_plan *const plan = engine->plan;
    if (plan->stream_begin[index] == plan->stream_begin[index + 1u])
        return;
    struct dx_engine_source *const source = plan->sources[plan->by_stream[plan->stream_begin[index]]];
    const struct dx_span span = fetch_source(engine, source, time, frames);
    if (span.first < span.last)
        memcpy(to + span.first * bytes, (const uint8_t *)engine->source + span.first * bytes,
               (span.last - span.first) * bytes);
}

static void
write_stream(struct dx_engine *engine, uint32_t index, uint64_t time, uint32_t frames) DX_REALTIME
{
    const struct dx_engine_stream *const stream = &engine->config.outputs[index];
    struct dx_engine_dsp *const *const chain = engine->plan->output_dsp[index];

    while (frames) {
        const uint64_t sample_time = (uint64_t)((int64_t)time - engine->timeline.offset);
        uint32_t n = until_edge(engine, sample_time, frames);
        n = n < stream->chunk_frames ? n : stream->chunk_frames;
        uint8_t *const to =
            stream->ring + (size_t)(sample_time % engine->config.ring_frames) * stream->bytes_per_frame;
        if (stream->is_mixable) {
            mix_chunk(engine, index, time, n);
            run_dsp(engine, chain, IOUserAudioIOOperationWriteEnd, engine->mix, n, stream->channels, time);
            stream->from_float(to, engine->mix, (size_t)n * stream->channels);
        } else {
            pass_chunk(engine, index, time, n);
            memcpy(to, engine->mix, (size_t)n * stream->bytes_per_frame);
        }
        time += n;
        frames -= n;
    }
}

static void
do_output(struct dx_engine *engine) DX_REALTIME
{
    const struct dx_engine_config *const config = &engine->config;
    const uint64_t until = engine->due_frame + 2u * (uint64_t)engine->plan->io_frames + config->output_safety;
    if (until <= engine->output_next)
        return;

    uint64_t time = engine->output_next;
    engine->output_next = until;
    const uint32_t active = find_active(config->outputs, config->output_count);
    if (!(active & engine->plan->outputs_in_use))
        return;

    const int64_t sample_time = (int64_t)time - engine->timeline.offset;
    if (sample_time < 0) {
        const uint64_t before = (uint64_t)-sample_time;
        const uint64_t missing = before < until - time ? before : until - time;
        count(&config->counters->skipped_output_frames, missing);
        time += missing;
        if (time == until)
            return;
    }
    if (until - time > config->ring_frames) {
        count(&config->counters->skipped_output_frames, until - time - config->ring_frames);
        time = until - config->ring_frames;
    }

    const uint32_t frames = (uint32_t)(until - time);
    engine->output_from = time;
    engine->output_frames = frames;
    for (uint32_t i = 0; i < config->output_count; i++)
        if (active & (1u << i))
            write_stream(engine, i, time, frames);
    call_handler(engine, IOUserAudioIOOperationWriteEnd, (int64_t)time - engine->timeline.offset, frames,
                 &engine->blame_ns[DX_CAUSE_HANDLER]);
    count(&config->counters->output_frames, frames);
}

/* Synchronous clients that only record: once the input of this cycle is there. */
static void
run_recorders(struct dx_engine *engine, uint64_t from) DX_REALTIME
{
    const struct dx_engine_plan *const plan = engine->plan;
    for (uint32_t i = plan->stream_begin[DX_MAX_STREAMS]; i < plan->source_count; i++) {
        struct dx_engine_source *const source = plan->sources[plan->by_stream[i]];
        if (source->input_stream == DX_NO_STREAM)
            continue;
        const struct dx_engine_stream *const stream = &engine->config.inputs[source->input_stream];
        uint64_t time = from;
        while (time < stream->input_state->end) {
            const uint64_t left = stream->input_state->end - time;
            const uint32_t n = left < stream->chunk_frames ? (uint32_t)left : stream->chunk_frames;
            run_synchronous(engine, source, 0, time, n);
            time += n;
        }
    }
}

/* ---- the cycle ---- */

/* Names the largest of the measured intervals, when it is a fair share of the whole delay. */
static dx_cause
find_cause(const struct dx_engine *engine, uint64_t delay_ns) DX_REALTIME
{
    dx_cause worst = DX_CAUSE_UNKNOWN;
    uint64_t most = delay_ns / BLAME_SHARE;
    for (int cause = DX_CAUSE_LATE_WAKE; cause <= DX_CAUSE_BAD_STAMP; cause++)
        if (engine->blame_ns[cause] > most) {
            most = engine->blame_ns[cause];
            worst = (dx_cause)cause;
        }
    return worst;
}

/* Counts a cycle that was late or skipped for what delayed it most, and notes it. */
static void
note_delay(struct dx_engine *engine, uint64_t device_time, uint64_t delay_ns, uint64_t lost_frames) DX_REALTIME
{
    const dx_cause cause = find_cause(engine, delay_ns);
    count(&engine->config.counters->causes[cause], 1);

    struct dx_incident incident = {
        .host_time_ns = engine->begin_ns,
        .device_time = device_time,
        .cause = cause,
        .frames = lost_frames < UINT32_MAX ? (uint32_t)lost_frames : UINT32_MAX,
    };
    memcpy(incident.intervals_ns, engine->blame_ns, sizeof incident.intervals_ns);
    uint64_t known_ns = 0;
    for (int i = DX_CAUSE_LATE_WAKE; i <= DX_CAUSE_BAD_STAMP; i++)
        known_ns += engine->blame_ns[i];
    incident.intervals_ns[DX_CAUSE_UNKNOWN] = delay_ns > known_ns ? delay_ns - known_ns : 0;
    (void)dx_events_add(&engine->events, &engine->causes[cause], &incident, delay_ns);
}

/* Ends a turn: a cycle that was run or skipped.  The page was published. */
static void
record_turn(struct dx_engine *engine, uint64_t handler_ns, uint64_t cycle_ns) DX_REALTIME
{
    const struct dx_cycle_times times = {
        .host_time_ns = engine->begin_ns,
        .lateness_ns = engine->wake_late_ns,
        .handler_ns = handler_ns,
        .cycle_ns = cycle_ns,
        .flags = engine->cycle_flags,
    };
    if (dx_recorder_cycle(&engine->events.recorder, &times))
        record_line(engine);
    engine->cycle_flags = 0;
}

static void
skip_cycles(struct dx_engine *engine, uint64_t late_ns) DX_REALTIME
{
    const uint64_t due_frame = engine->due_frame;
    count(&engine->config.counters->overloads, 1);
    engine->notice_pending = true;
    engine->cycle_flags |= DX_CYCLE_SKIPPED;
    synchronise(engine, engine->begin_ns, true);
    note_delay(engine, due_frame, late_ns, engine->due_frame - due_frame);
    publish_page(engine);
    record_turn(engine, 0, 0);
}

static void
run_cycle(struct dx_engine *engine, uint64_t due_ns) DX_REALTIME
{
    const struct dx_engine_config *const config = &engine->config;
    struct dx_engine_counters *const counters = config->counters;
    const uint64_t input_from = engine->input_next;
    const uint64_t deadline_frame =
        engine->due_frame + engine->plan->io_frames + config->output_safety;
    uint64_t others = engine->blame_ns[DX_CAUSE_HANDLER] + engine->blame_ns[DX_CAUSE_DSP] +
                      engine->blame_ns[DX_CAUSE_CLIENT];
    const uint64_t handler_ns = engine->blame_ns[DX_CAUSE_HANDLER];

    do_input(engine);
    run_recorders(engine, input_from);
    do_output(engine);

    const uint64_t end_ns = now_ns(engine);
    others = engine->blame_ns[DX_CAUSE_HANDLER] + engine->blame_ns[DX_CAUSE_DSP] +
             engine->blame_ns[DX_CAUSE_CLIENT] - others;
    const uint64_t spent = end_ns - engine->begin_ns;
    engine->blame_ns[DX_CAUSE_ENGINE] += spent > others ? spent - others : 0;
    dx_histogram_record(&counters->cycle, spent);
    count(&counters->cycles, 1);
    if (end_ns >= device_host_ns(engine, deadline_frame)) {
        count(&counters->late_cycles, 1);
        engine->cycle_flags |= DX_CYCLE_LATE;
        note_delay(engine, engine->due_frame, end_ns - due_ns, 0);
    }
    engine->due_frame += engine->plan->io_frames;
    publish_page(engine);
    record_turn(engine, engine->blame_ns[DX_CAUSE_HANDLER] - handler_ns, spent);
}

/* Whether an event is the engine's own, or that of a source which the plan has. */
static bool
is_in_plan(const void *context, const struct dx_event *event) DX_REALTIME
{
    const struct dx_engine *const engine = context;
    if (event->incident.cause != DX_CAUSE_LANE)
        return true;
    for (uint32_t i = 0; i < engine->plan->source_count; i++)
        if (event == &engine->plan->sources[i]->gap)
            return true;
    return false;
}

static void
take_plan(struct dx_engine *engine) DX_REALTIME
{
    /* acquire: pairs with the release in dx_engine_set_plan(); what the plan points to is visible. */
    const struct dx_engine_plan *const plan =
        atomic_load_explicit(&engine->next_plan, memory_order_acquire);
    if (plan == engine->plan)
        return;
    engine->plan = plan;
    dx_events_flush(&engine->events, is_in_plan, engine); // sources that left may be gone with the old plan
    if (engine->has_due)
        publish_page(engine); // whoever waits for the plan finds its N
    /* release: pairs with the acquire in dx_engine_set_plan(); the old plan is used no more. */
    atomic_store_explicit(&engine->plan_in_force, plan, memory_order_release);
    engine->answer_pending = true;
}

static uint64_t
take_step(struct dx_engine *engine, uint64_t now) DX_REALTIME
{
    const struct dx_engine_config *const config = &engine->config;

    take_plan(engine);
    /* relaxed: only this thread stores it while it runs. */
    const enum dx_engine_phase phase = atomic_load_explicit(&config->signal->phase, memory_order_relaxed);
    if (phase == DX_ENGINE_TIMED_OUT)
        return DX_NEVER;
    take_stamp(engine, now);
    if (!engine->timeline.valid) {
        if (phase == DX_ENGINE_STARTING && now >= engine->start_deadline_ns)
            give_up(engine);
        engine->slept = true;
        engine->asleep_until_ns = now + LOOK_FOR_STAMP_NS;
        return engine->asleep_until_ns;
    }

    const uint64_t due_ns = device_host_ns(engine, engine->due_frame);
    if (now < due_ns) {
        engine->slept = true;
        engine->asleep_until_ns = due_ns - now < LONGEST_SLEEP_NS ? due_ns : now + LONGEST_SLEEP_NS;
        return engine->asleep_until_ns;
    }

    const uint64_t late_ns = now - due_ns;
    uint64_t wake_late_ns = late_ns;
    const bool has_slept = engine->slept;
    if (has_slept) {
        /* It woke when it had asked to, but a stamp has moved the line meanwhile: that part is not the wake's. */
        if (engine->asleep_until_ns > due_ns && engine->asleep_until_ns <= now)
            wake_late_ns = now - engine->asleep_until_ns;
        memset(engine->blame_ns, 0, sizeof engine->blame_ns);
        engine->blame_ns[DX_CAUSE_LATE_WAKE] = wake_late_ns;
        engine->blame_ns[DX_CAUSE_BAD_STAMP] = late_ns - wake_late_ns;
        engine->slept = false;
    }

    const double limit = (double)engine->due_frame + (double)engine->plan->io_frames +
                         (double)config->output_safety + (double)config->late_tolerance;
    engine->begin_ns = now;
    engine->wake_late_ns = has_slept ? wake_late_ns : 0;
    engine->events.turn++;
    if (device_position(engine, now) >= limit)
        skip_cycles(engine, late_ns);
    else
        run_cycle(engine, due_ns);
    /* Only now: the handler does not wait for memory that this touches. */
    if (has_slept)
        dx_histogram_record(&config->counters->lateness, wake_late_ns);
    return now;
}

uint64_t
dx_engine_step(struct dx_engine *engine, uint64_t now) DX_REALTIME
{
    const uint64_t until = take_step(engine, now);
    dx_events_settle(&engine->events, now);
    return until;
}
