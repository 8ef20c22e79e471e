// SPDX-License-Identifier: MIT
// DSP plug-in: one second-order filter on each channel.
//
// Use:  dextral process --driver Loop.dext --dsp biquad.so:type=1,frequency_hz=80,q=0.707 in.wav out.wav
//
// Coefficients: Robert Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients".
// Structure: transposed direct form II in double, which keeps its precision at low frequencies and takes a
// change of coefficients between two frames without a burst.

#include <dextral/plugin.h>

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Values of the parameter `type`: also what users write, so they stay as they are. */
enum filter_type {
    LOWPASS = 0,
    HIGHPASS = 1,
    BANDPASS = 2, // 0 dB at its peak
    NOTCH = 3,
    ALLPASS = 4,
    PEAKING = 5,    // uses gain_db
    LOW_SHELF = 6,  // uses gain_db
    HIGH_SHELF = 7, // uses gain_db
};

enum { TYPE, FREQUENCY_HZ, Q, GAIN_DB, PARAMETER_COUNT };

static const dx_dsp_parameter parameters[PARAMETER_COUNT] = {
    [TYPE] = {.name = "type", .unit = "", .minimum = LOWPASS, .maximum = HIGH_SHELF, .initial = LOWPASS},
    /* In force: at most 0.49 of the rate. */
    [FREQUENCY_HZ] = {.name = "frequency_hz", .unit = "Hz", .minimum = 1.0, .maximum = 384000.0, .initial = 1000.0},
    [Q] = {.name = "q", .unit = "", .minimum = 0.01, .maximum = 100.0, .initial = 0.70710678118654752},
    [GAIN_DB] = {.name = "gain_db", .unit = "dB", .minimum = -48.0, .maximum = 48.0, .initial = 0.0},
};

/* y = b0 x + s1;  s1 = b1 x - a1 y + s2;  s2 = b2 x - a2 y */
struct coefficients {
    double b0, b1, b2, a1, a2;
};

struct state {
    double s1, s2;
};

/*
 * The IO thread computes the coefficients itself, from the parameters, when one of them has changed: a handful
 * of operations, at most once per call.  So every set of coefficients in use is of one piece, any number of
 * threads may set parameters at once, and nobody waits.
 */
struct biquad {
    /* Written by any thread, read by the IO thread. */
    _Atomic double values[PARAMETER_COUNT];
    _Atomic uint32_t changes; // + 1 after each store into values

    /* Fixed between activate and deactivate. */
    const dx_dsp_view *view;
    double rate_hz;
    uint32_t max_frames;
    uint32_t channels;

    /* The IO thread's own. */
    struct state *states; // one per channel
    struct coefficients coefficients;
    uint32_t changes_seen;
};

static void *
create(void)
{
    struct biquad *biquad = calloc(1, sizeof *biquad);
    if (!biquad)
        return NULL;
    for (uint32_t i = 0; i < PARAMETER_COUNT; i++)
        atomic_init(&biquad->values[i], parameters[i].initial);
    atomic_init(&biquad->changes, 0);
    return biquad;
}

static void
deactivate(void *instance)
{
    struct biquad *biquad = instance;
    free(biquad->states);
    biquad->states = NULL;
    biquad->view = NULL;
}

static void
destroy(void *instance)
{
    if (instance)
        deactivate(instance);
    free(instance);
}

static struct coefficients
compute_coefficients(enum filter_type type, double frequency_hz, double q, double gain_db, double rate_hz) DX_REALTIME
{
    const double w0 = 2.0 * 3.14159265358979323846 * fmin(frequency_hz / rate_hz, 0.49);
    const double cosine = cos(w0);
    const double alpha = sin(w0) / (2.0 * q);
    const double a = pow(10.0, gain_db / 40.0);
    const double shelf = 2.0 * sqrt(a) * alpha;
    double b0 = 1.0, b1 = 0.0, b2 = 0.0;
    double a0 = 1.0 + alpha, a1 = -2.0 * cosine, a2 = 1.0 - alpha; // of all but those with a gain

    switch (type) {
    case LOWPASS:
        b1 = 1.0 - cosine;
        b0 = b2 = b1 / 2.0;
        break;
    case HIGHPASS:
        b1 = -(1.0 + cosine);
        b0 = b2 = -b1 / 2.0;
        break;
    case BANDPASS:
        b0 = alpha;
        b2 = -alpha;
        break;
    case NOTCH:
        b1 = a1;
        b2 = 1.0;
        break;
    case ALLPASS:
        b0 = a2;
        b1 = a1;
        b2 = a0;
        break;
    case PEAKING:
        b0 = 1.0 + alpha * a;
        b1 = a1;
        b2 = 1.0 - alpha * a;
        a0 = 1.0 + alpha / a;
        a2 = 1.0 - alpha / a;
        break;
    case LOW_SHELF:
        b0 = a * ((a + 1.0) - (a - 1.0) * cosine + shelf);
        b1 = 2.0 * a * ((a - 1.0) - (a + 1.0) * cosine);
        b2 = a * ((a + 1.0) - (a - 1.0) * cosine - shelf);
        a0 = (a + 1.0) + (a - 1.0) * cosine + shelf;
        a1 = -2.0 * ((a - 1.0) + (a + 1.0) * cosine);
        a2 = (a + 1.0) + (a - 1.0) * cosine - shelf;
        break;
    case HIGH_SHELF:
        b0 = a * ((a + 1.0) + (a - 1.0) * cosine + shelf);
        b1 = -2.0 * a * ((a - 1.0) + (a + 1.0) * cosine);
        b2 = a * ((a + 1.0) + (a - 1.0) * cosine - shelf);
        a0 = (a + 1.0) - (a - 1.0) * cosine + shelf;
        a1 = 2.0 * ((a - 1.0) - (a + 1.0) * cosine);
        a2 = (a + 1.0) - (a - 1.0) * cosine - shelf;
        break;
    }
    return (struct coefficients){b0 / a0, b1 / a0, b2 / a0, a1 / a0, a2 / a0};
}

static void
update_coefficients(struct biquad *biquad) DX_REALTIME
{
    /* acquire: pairs with the release in set_parameter(); values up to this change are visible below.  One set
     * meanwhile may or may not be seen now; its own change is seen at the next call. */
    biquad->changes_seen = atomic_load_explicit(&biquad->changes, memory_order_acquire);
    double value[PARAMETER_COUNT];
    for (uint32_t i = 0; i < PARAMETER_COUNT; i++)
        value[i] = atomic_load_explicit(&biquad->values[i], memory_order_relaxed);
    biquad->coefficients = compute_coefficients((enum filter_type)value[TYPE], value[FREQUENCY_HZ], value[Q],
                                                value[GAIN_DB], biquad->rate_hz);
}

static kern_return_t
activate(void *instance, const dx_dsp_view *view, double rate_hz, uint32_t max_frames)
{
    struct biquad *biquad = instance;
    if (!view || view->channels == 0 || !(rate_hz > 0.0))
        return kIOReturnBadArgument;

    struct state *states = calloc(view->channels, sizeof *states);
    if (!states)
        return kIOReturnNoMemory;
    free(biquad->states);
    biquad->states = states;
    biquad->view = view;
    biquad->rate_hz = rate_hz;
    biquad->max_frames = max_frames;
    biquad->channels = view->channels;
    update_coefficients(biquad);
    return kIOReturnSuccess;
}

/*
 * What is left of a sound decays by the same factor with every frame, down into the denormal numbers, where a
 * processor may take a hundred times as long.  Changing the thread's rounding mode would change everybody
 * else's arithmetic as well; so a rest 600 dB below full scale is made 0 here, after every call.
 */
static inline double
without_rest(double value) DX_REALTIME
{
    return fabs(value) < 1e-30 ? 0.0 : value;
}

static kern_return_t
process(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
        uint64_t host_time, void *context) DX_REALTIME
{
    struct biquad *biquad = context;
    (void)device, (void)operation, (void)sample_time, (void)host_time; // the same in both directions, at any time
    if (!biquad->view || frames > biquad->max_frames)
        return kIOReturnBadArgument;

    /* relaxed: only asks whether there is something new; update_coefficients() loads it again. */
    if (atomic_load_explicit(&biquad->changes, memory_order_relaxed) != biquad->changes_seen)
        update_coefficients(biquad);

    const struct coefficients c = biquad->coefficients;
    for (uint32_t channel = 0; channel < biquad->channels; channel++) {
        float *samples = biquad->view->planar[channel];
        struct state s = biquad->states[channel];
        for (uint32_t frame = 0; frame < frames; frame++) {
            const double x = samples[frame];
            const double y = c.b0 * x + s.s1;
            s.s1 = c.b1 * x - c.a1 * y + s.s2;
            s.s2 = c.b2 * x - c.a2 * y;
            samples[frame] = (float)y;
        }
        biquad->states[channel] = (struct state){without_rest(s.s1), without_rest(s.s2)};
    }
    return kIOReturnSuccess;
}

static kern_return_t
set_parameter(void *instance, uint32_t index, double value) DX_REALTIME
{
    struct biquad *biquad = instance;
    if (index >= PARAMETER_COUNT || isnan(value))
        return kIOReturnBadArgument;
    value = fmin(fmax(value, parameters[index].minimum), parameters[index].maximum);
    if (index == TYPE)
        value = rint(value);
    /* relaxed: published by the increment below. */
    atomic_store_explicit(&biquad->values[index], value, memory_order_relaxed);
    /* release: pairs with the acquire in update_coefficients(). */
    atomic_fetch_add_explicit(&biquad->changes, 1, memory_order_release);
    return kIOReturnSuccess;
}

static double
get_parameter(void *instance, uint32_t index) DX_REALTIME
{
    struct biquad *biquad = instance;
    /* relaxed: one number, nothing depends on it. */
    return index < PARAMETER_COUNT ? atomic_load_explicit(&biquad->values[index], memory_order_relaxed) : 0.0;
}

static uint32_t
latency_frames(void *instance)
{
    (void)instance;
    return 0; // its phase shift is the filter's sound, not a delay
}

static const dx_dsp_plugin plugin = {
    .size = sizeof plugin,
    .abi = DX_PLUGIN_ABI,
    .identifier = "org.dextral.dsp.biquad",
    .name = "Biquad filter",
    .version = "1.0",
    .flags = DX_DSP_PLANAR,
    .parameter_count = PARAMETER_COUNT,
    .parameters = parameters,
    .create = create,
    .destroy = destroy,
    .activate = activate,
    .deactivate = deactivate,
    .process = process,
    .set_parameter = set_parameter,
    .get_parameter = get_parameter,
    .latency_frames = latency_frames,
};

DX_DSP_PLUGIN(plugin)
