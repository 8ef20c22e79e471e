// SPDX-License-Identifier: MIT
// The example plug-ins, loaded as a host loads them, against closed forms.

#ifdef NDEBUG
#    error "tests need their assertions"
#endif

#include <dextral/plugin.h>

#include <complex.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FRAMES 512u
#define MAX_CHANNELS 4u
#define PI 3.14159265358979323846

/* A plug-in, an instance of it, and the view that an engine would fill. */
struct loaded {
    void *library;
    const dx_dsp_plugin *plugin;
    void *instance;
    dx_dsp_view view;
    float *planar[MAX_CHANNELS];
};

static struct loaded
load(const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/dsp/%s.so", EXAMPLES_DIR, name);
    struct loaded loaded = {.library = dlopen(path, RTLD_NOW | RTLD_LOCAL)};
    cr_assert(loaded.library != NULL, "%s: %s", path, dlerror());
    dx_dsp_entry_function entry = NULL;
    *(void **)&entry = dlsym(loaded.library, DX_DSP_ENTRY);
    cr_assert(entry != NULL, "%s", path);
    loaded.plugin = entry();
    cr_assert(eq(u32, loaded.plugin->abi, DX_PLUGIN_ABI));
    cr_assert(eq(sz, loaded.plugin->size, sizeof(dx_dsp_plugin)));
    loaded.instance = loaded.plugin->create();
    cr_assert(loaded.instance != NULL);
    return loaded;
}

static void
unload(struct loaded *loaded)
{
    loaded->plugin->deactivate(loaded->instance);
    loaded->plugin->destroy(loaded->instance);
    dlclose(loaded->library);
}

static void
activate(struct loaded *loaded, uint32_t channels, double rate_hz)
{
    loaded->view = (dx_dsp_view){.size = sizeof loaded->view, .channels = channels};
    cr_assert(eq(int, loaded->plugin->activate(loaded->instance, &loaded->view, rate_hz, MAX_FRAMES),
                 kIOReturnSuccess));
}

static void
process_interleaved(struct loaded *loaded, float *samples, uint32_t frames)
{
    loaded->view.interleaved = samples;
    cr_assert(eq(int, loaded->plugin->process(2, IOUserAudioIOOperationWriteEnd, frames, 0, 0, loaded->instance),
                 kIOReturnSuccess));
}

/* One channel in blocks of changing length, as cycles are. */
static void
process_mono_planar(struct loaded *loaded, float *samples, size_t frames)
{
    uint32_t block = 1;
    for (size_t done = 0; done < frames; done += block, block = block * 7 % MAX_FRAMES + 1) {
        if (block > frames - done)
            block = (uint32_t)(frames - done);
        loaded->planar[0] = samples + done;
        loaded->view.planar = loaded->planar;
        cr_assert(eq(int, loaded->plugin->process(2, IOUserAudioIOOperationBeginRead, block, done, 0, loaded->instance),
                     kIOReturnSuccess));
    }
}

Test(dsp_gain, first_value_is_immediate_and_exact)
{
    static const double gains_db[] = {0.0, -6.0, -20.0, 12.5, 24.0, -120.0};
    for (size_t g = 0; g < sizeof gains_db / sizeof gains_db[0]; g++) {
        struct loaded gain = load("gain");
        cr_assert(eq(int, gain.plugin->set_parameter(gain.instance, 0, gains_db[g]), kIOReturnSuccess));
        cr_assert(eq(dbl, gain.plugin->get_parameter(gain.instance, 0), gains_db[g]));
        activate(&gain, 3, 48000.0);

        float samples[100 * 3], expected[100 * 3];
        const float factor = (float)pow(10.0, gains_db[g] / 20.0); // the definition of the decibel
        for (int i = 0; i < 300; i++) {
            samples[i] = (float)sin(i) * 1.5f;
            expected[i] = samples[i] * factor;
        }
        process_interleaved(&gain, samples, 100);
        cr_expect(eq(int, memcmp(samples, expected, sizeof samples), 0), "%g dB", gains_db[g]);
        unload(&gain);
    }
}

Test(dsp_gain, change_is_a_straight_line_of_64_frames)
{
    struct loaded gain = load("gain");
    activate(&gain, 2, 48000.0);
    float samples[40 * 2];
    for (int i = 0; i < 80; i++)
        samples[i] = 1.0f;
    process_interleaved(&gain, samples, 40);
    for (int i = 0; i < 80; i++)
        cr_assert(eq(flt, samples[i], 1.0f));

    gain.plugin->set_parameter(gain.instance, 0, -20.0);
    for (int block = 0; block < 3; block++) {
        for (int i = 0; i < 80; i++)
            samples[i] = 1.0f;
        process_interleaved(&gain, samples, 40);
        for (int i = 0; i < 40; i++) {
            const int frame = block * 40 + i + 1;
            const double expected = frame >= 64 ? (float)0.1 : 1.0 + (0.1 - 1.0) * frame / 64.0;
            cr_expect(epsilon_eq(dbl, samples[2 * i], expected, frame >= 64 ? 0.0 : 2e-7), "frame %d", frame);
            cr_expect(eq(flt, samples[2 * i], samples[2 * i + 1]));
        }
    }
    unload(&gain);
}

Test(dsp_gain, change_in_the_middle_of_a_change_does_not_jump)
{
    struct loaded gain = load("gain");
    activate(&gain, 1, 48000.0);
    float before = 1.0f, one = 1.0f;
    process_interleaved(&gain, &one, 1);
    for (int frame = 0; frame < 400; frame++) {
        if (frame % 17 == 0)
            gain.plugin->set_parameter(gain.instance, 0, frame % 2 ? -40.0 : 6.0);
        float sample = 1.0f;
        process_interleaved(&gain, &sample, 1);
        /* The steepest ramp goes from -40 dB to +6 dB, which is 1.995, in 64 frames. */
        cr_expect(le(dbl, fabs((double)sample - before), 2.0 / 64.0), "frame %d: %g to %g", frame, before, sample);
        before = sample;
    }
    unload(&gain);
}

Test(dsp_gain, values_out_of_range_are_clamped_and_nan_refused)
{
    struct loaded gain = load("gain");
    cr_assert(eq(int, gain.plugin->set_parameter(gain.instance, 0, 1000.0), kIOReturnSuccess));
    cr_assert(eq(dbl, gain.plugin->get_parameter(gain.instance, 0), 24.0));
    cr_assert(eq(int, gain.plugin->set_parameter(gain.instance, 0, -INFINITY), kIOReturnSuccess));
    cr_assert(eq(dbl, gain.plugin->get_parameter(gain.instance, 0), -120.0));
    cr_assert(eq(int, gain.plugin->set_parameter(gain.instance, 0, NAN), kIOReturnBadArgument));
    cr_assert(eq(int, gain.plugin->set_parameter(gain.instance, 1, 0.0), kIOReturnBadArgument));
    cr_assert(eq(dbl, gain.plugin->get_parameter(gain.instance, 0), -120.0));
    activate(&gain, 1, 48000.0);
    cr_assert(eq(int, gain.plugin->process(2, 0, MAX_FRAMES + 1, 0, 0, gain.instance), kIOReturnBadArgument));
    unload(&gain);
}

/*
 * The filters' analog prototypes, from the same cookbook, at s = j tan(w/2) / tan(w0/2): the bilinear transform
 * without any of the coefficients that the plug-in computes.
 */
static double complex
prototype(int type, double frequency_hz, double center_hz, double q, double gain_db, double rate_hz)
{
    const double complex s = I * tan(PI * frequency_hz / rate_hz) / tan(PI * center_hz / rate_hz);
    const double a = pow(10.0, gain_db / 40.0), root = sqrt(a) / q;
    const double complex d = s * s + s / q + 1.0;
    switch (type) {
    case 0: return 1.0 / d;
    case 1: return s * s / d;
    case 2: return s / q / d;
    case 3: return (s * s + 1.0) / d;
    case 4: return (s * s - s / q + 1.0) / d;
    case 5: return (s * s + s * a / q + 1.0) / (s * s + s / (a * q) + 1.0);
    case 6: return a * (s * s + root * s + a) / (a * s * s + root * s + 1.0);
    default: return a * (a * s * s + root * s + 1.0) / (s * s + root * s + a);
    }
}

struct filter_case {
    int type;
    double center_hz, q, gain_db, rate_hz;
};

ParameterizedTestParameters(dsp_biquad, response_is_that_of_the_prototype)
{
    static struct filter_case cases[8 * 4];
    static const struct filter_case variants[4] = {
        {0, 1000.0, 0.70710678118654752, 6.0, 48000.0},
        {0, 120.0, 2.5, -9.0, 44100.0},
        {0, 15000.0, 0.5, 18.0, 48000.0},
        {0, 40000.0, 6.0, -3.0, 192000.0},
    };
    for (int i = 0; i < 32; i++) {
        cases[i] = variants[i % 4];
        cases[i].type = i / 4;
    }
    return cr_make_param_array(struct filter_case, cases, 32);
}

ParameterizedTest(struct filter_case *c, dsp_biquad, response_is_that_of_the_prototype)
{
    struct loaded biquad = load("biquad");
    const double values[] = {c->type, c->center_hz, c->q, c->gain_db};
    for (uint32_t i = 0; i < 4; i++)
        cr_assert(eq(int, biquad.plugin->set_parameter(biquad.instance, i, values[i]), kIOReturnSuccess));
    activate(&biquad, 1, c->rate_hz);

    /* Its impulse response, long enough to have died away. */
    const size_t length = 1u << 16;
    float *response = calloc(length, sizeof *response);
    response[0] = 1.0f;
    process_mono_planar(&biquad, response, length);

    for (double part = 0.0005; part < 0.5; part *= 1.31) {
        double complex measured = 0.0;
        for (size_t i = 0; i < length; i++)
            measured += response[i] * cexp(-2.0 * I * PI * fmod(part * (double)i, 1.0));
        const double complex expected =
            prototype(c->type, part * c->rate_hz, c->center_hz, c->q, c->gain_db, c->rate_hz);
        /* 2^-24 of each sample is lost where the plug-in rounds to float. */
        cr_expect(le(dbl, cabs(measured - expected), 2e-6 + 2e-6 * cabs(expected)),
                  "type %d, %g Hz: |H| is %g, must be %g", c->type, part * c->rate_hz, cabs(measured), cabs(expected));
    }
    free(response);
    unload(&biquad);
}

Test(dsp_biquad, channels_do_not_mix)
{
    struct loaded biquad = load("biquad");
    activate(&biquad, 3, 48000.0);
    float samples[3][64] = {{0}};
    samples[1][0] = 1.0f;
    for (int channel = 0; channel < 3; channel++)
        biquad.planar[channel] = samples[channel];
    biquad.view.planar = biquad.planar;
    cr_assert(eq(int, biquad.plugin->process(2, 1, 64, 0, 0, biquad.instance), kIOReturnSuccess));
    for (int i = 0; i < 64; i++) {
        cr_expect(eq(flt, samples[0][i], 0.0f));
        cr_expect(eq(flt, samples[2][i], 0.0f));
    }
    cr_expect(ne(flt, samples[1][5], 0.0f));
    unload(&biquad);
}

/* The tail of 100 Hz falls by a factor of 100 in a block: what ends at 1e-30 never reaches the denormal floats. */
Test(dsp_biquad, decays_to_true_zero_without_denormals)
{
    struct loaded biquad = load("biquad");
    biquad.plugin->set_parameter(biquad.instance, 0, 2.0);
    biquad.plugin->set_parameter(biquad.instance, 1, 100.0);
    activate(&biquad, 1, 48000.0);
    static float samples[48000];
    samples[0] = 16.0f;
    process_mono_planar(&biquad, samples, 48000);
    for (int i = 0; i < 48000; i++)
        cr_assert(samples[i] == 0.0f || fabsf(samples[i]) > 1e-36f, "frame %d: %g", i, (double)samples[i]);
    cr_assert(ne(flt, samples[4000], 0.0f));
    cr_assert(eq(flt, samples[47999], 0.0f));
    unload(&biquad);
}

Test(dsp_biquad, change_of_parameters_takes_effect_while_it_runs)
{
    struct loaded biquad = load("biquad");
    activate(&biquad, 1, 48000.0);
    static float samples[4096];
    for (int i = 0; i < 4096; i++)
        samples[i] = 1.0f;
    process_mono_planar(&biquad, samples, 4096);
    cr_assert(epsilon_eq(flt, samples[4095], 1.0f, 1e-6f)); // low-pass: a constant passes
    biquad.plugin->set_parameter(biquad.instance, 0, 1.0);
    for (int i = 0; i < 4096; i++)
        samples[i] = 1.0f;
    process_mono_planar(&biquad, samples, 4096);
    cr_assert(epsilon_eq(flt, samples[4095], 0.0f, 1e-6f)); // high-pass: it does not
    unload(&biquad);
}
