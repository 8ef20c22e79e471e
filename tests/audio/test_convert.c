// SPDX-License-Identifier: MIT
// Conversion: the plain C functions against arithmetic in double, every other set against the plain C one, bit
// for bit.

#include "audio/convert.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>

enum { RANDOM_SAMPLES = 1 << 20 };

/* What a format's bytes mean, written down once more and apart from the code under test. */
static const struct layout {
    unsigned bytes, bits, shift; /* container, value, position of the value's lowest bit */
    bool big, is_float;
} layouts[DX_SAMPLE_FORMAT_COUNT] = {
    [DX_SAMPLE_S16_LE] = {2, 16, 0, false, false},      [DX_SAMPLE_S16_BE] = {2, 16, 0, true, false},
    [DX_SAMPLE_S24_3LE] = {3, 24, 0, false, false},     [DX_SAMPLE_S24_3BE] = {3, 24, 0, true, false},
    [DX_SAMPLE_S24_LE] = {4, 24, 0, false, false},      [DX_SAMPLE_S24_BE] = {4, 24, 0, true, false},
    [DX_SAMPLE_S24_HIGH_LE] = {4, 24, 8, false, false}, [DX_SAMPLE_S24_HIGH_BE] = {4, 24, 8, true, false},
    [DX_SAMPLE_S32_LE] = {4, 32, 0, false, false},      [DX_SAMPLE_S32_BE] = {4, 32, 0, true, false},
    [DX_SAMPLE_F32_LE] = {4, 32, 0, false, true},       [DX_SAMPLE_F32_BE] = {4, 32, 0, true, true},
    [DX_SAMPLE_F64_LE] = {8, 64, 0, false, true},       [DX_SAMPLE_F64_BE] = {8, 64, 0, true, true},
};

static uint64_t
container_at(const struct layout *l, const uint8_t *bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < l->bytes; i++)
        v = v * 256 + bytes[l->big ? i : l->bytes - 1 - i];
    return v;
}

/* The integer in a container: the top bit of the value counts negative, others beside the value do not count. */
static int64_t
integer_in(const struct layout *l, uint64_t container)
{
    const uint64_t v = (container >> l->shift) % (UINT64_C(1) << l->bits);
    const uint64_t half = UINT64_C(1) << (l->bits - 1);
    return v >= half ? (int64_t)(v - half) - (int64_t)half : (int64_t)v;
}

static float
float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t
bits_of_float(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double
double_of_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* A double holds every 32-bit integer and its scaling, so only the cast rounds. */
static float
expected_float(const struct layout *l, const uint8_t *bytes)
{
    const uint64_t container = container_at(l, bytes);
    if (l->is_float)
        return l->bits == 32 ? float_of_bits((uint32_t)container) : (float)double_of_bits(container);
    return (float)ldexp((double)integer_in(l, container), 1 - (int)l->bits);
}

/* Nearest integer, the even one of two, by floor and comparison instead of a rounding mode. */
static double
half_even(double y)
{
    const double below = floor(y);
    const double rest = y - below;
    if (rest != 0.5)
        return rest < 0.5 ? below : below + 1;
    return fmod(below, 2) == 0 ? below : below + 1;
}

static int64_t
expected_integer(const struct layout *l, float x)
{
    const double full = ldexp(1, (int)l->bits - 1);
    if (isnan(x))
        return 0;
    const double y = half_even(fmin(fmax(x, -1), 1) * full);
    return (int64_t)fmin(y, full - 1);
}

/* xorshift64* */
static uint32_t
next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)(*state * UINT64_C(0x2545F4914F6CDD1D) >> 32);
}

static const uint32_t special_bits[] = {
    0x00000000, 0x80000000,                         /* zeros */
    0x00000001, 0x80000001, 0x007FFFFF, 0x807FFFFF, /* subnormals */
    0x00800000, 0x3F000000, 0xBF000000,             /* smallest normal, halves */
    0x3F7FFFFF, 0x3F800000, 0x3F800001,             /* around 1 */
    0xBF7FFFFF, 0xBF800000, 0xBF800001,             /* around -1 */
    0x417FFFFF, 0x41800000, 0x41800001,             /* around 16 */
    0xC17FFFFF, 0xC1800000, 0xC1800001,             /* around -16 */
    0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000, /* largest, infinities */
    0x7FC00000, 0xFFC00000, 0x7FFFFFFF, 0xFFFFFFFF, /* quiet NaN */
    0x7F800001, 0xFF800001, 0x7FA5A5A5, 0xFFBFFFFF, /* signalling NaN */
    0x37800000, 0x38400000, 0xB7800000, 0xB8400000, /* 0.5 and 1.5 steps of 16 bits */
    0x46FFFFFF, 0x4EFFFFFF, 0x4F000000, 0xCF000000, /* around the ends of integers */
};
enum { SPECIAL_COUNT = sizeof special_bits / sizeof special_bits[0] };

/* Any bits, sound, halfway cases of each width, and the special ones. */
static void
fill_floats(float *floats, size_t samples, uint64_t seed)
{
    for (size_t i = 0; i < samples; i++) {
        const uint32_t r = next_random(&seed);
        const uint32_t kind = next_random(&seed) % 8;
        if (i < SPECIAL_COUNT || kind == 0)
            floats[i] = float_of_bits(special_bits[(i < SPECIAL_COUNT ? i : r) % SPECIAL_COUNT]);
        else if (kind <= 2)
            floats[i] = float_of_bits(r);
        else if (kind <= 5)
            floats[i] = (float)((int32_t)r * (1.2 / 0x80000000u));
        else
            floats[i] = (float)ldexp((int32_t)r % 0x8000 + 0.5, kind == 6 ? -15 : -23 - (int)(r >> 31) * 8);
    }
}

static void
fill_bytes(uint8_t *bytes, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)next_random(&seed);
    /* Doubles that a float can hold, too: random ones nearly never are. */
    for (size_t i = 0; i + 8 <= count / 4; i += 8) {
        const double x = float_of_bits(next_random(&seed));
        memcpy(bytes + i, &x, sizeof x);
    }
}

/* Memory with nothing before and nothing behind it: a byte too far is a crash. */
struct fenced {
    uint8_t *begin, *end;
};

static struct fenced
fenced_memory(size_t pages)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *const all = mmap(NULL, (pages + 2) * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(all != MAP_FAILED);
    cr_assert(eq(int, mprotect(all + page, pages * page, PROT_READ | PROT_WRITE), 0));
    return (struct fenced){all + page, all + (pages + 1) * page};
}

static void *
checked_malloc(size_t bytes)
{
    void *const p = malloc(bytes);
    cr_assert(p != NULL);
    return p;
}

/* The plain C functions against double. */

struct format_case {
    int format;
};

static struct criterion_test_params
all_formats(void)
{
    static struct format_case cases[DX_SAMPLE_FORMAT_COUNT];
    for (int i = 0; i < DX_SAMPLE_FORMAT_COUNT; i++)
        cases[i].format = i;
    return cr_make_param_array(struct format_case, cases, DX_SAMPLE_FORMAT_COUNT);
}

ParameterizedTestParameters(convert, plain_c_to_float_is_the_quotient)
{
    return all_formats();
}

ParameterizedTest(struct format_case *c, convert, plain_c_to_float_is_the_quotient)
{
    const struct layout *const l = &layouts[c->format];
    uint8_t *const bytes = checked_malloc((size_t)RANDOM_SAMPLES * l->bytes);
    float *const floats = checked_malloc(RANDOM_SAMPLES * sizeof(float));
    size_t wrong = 0;

    fill_bytes(bytes, (size_t)RANDOM_SAMPLES * l->bytes, 1 + (uint64_t)c->format);
    dx_kernels_get(DX_KERNELS_C)->to_float[c->format](floats, bytes, RANDOM_SAMPLES);
    for (size_t i = 0; i < RANDOM_SAMPLES; i++) {
        const float expected = expected_float(l, bytes + i * l->bytes);
        const bool as_expected = l->bytes == 8 && isnan(expected)
                                     ? isnan(floats[i])
                                     : bits_of_float(floats[i]) == bits_of_float(expected);
        if (!as_expected && wrong++ == 0)
            cr_expect(false, "%s: sample %zu is %a, not %a",
                      dx_sample_format_name((enum dx_sample_format)c->format), i, (double)floats[i],
                      (double)expected);
    }
    cr_assert(eq(sz, wrong, 0));
    free(bytes);
    free(floats);
}

ParameterizedTestParameters(convert, plain_c_from_float_clips_and_rounds_half_to_even)
{
    return all_formats();
}

ParameterizedTest(struct format_case *c, convert, plain_c_from_float_clips_and_rounds_half_to_even)
{
    const struct layout *const l = &layouts[c->format];
    uint8_t *const bytes = checked_malloc((size_t)RANDOM_SAMPLES * l->bytes);
    float *const floats = checked_malloc(RANDOM_SAMPLES * sizeof(float));
    size_t wrong = 0;

    fill_floats(floats, RANDOM_SAMPLES, 1 + (uint64_t)c->format);
    dx_kernels_get(DX_KERNELS_C)->from_float[c->format](bytes, floats, RANDOM_SAMPLES);
    for (size_t i = 0; i < RANDOM_SAMPLES; i++) {
        const uint64_t container = container_at(l, bytes + i * l->bytes);
        bool as_expected;
        if (l->is_float && l->bits == 32) {
            as_expected = container == bits_of_float(floats[i]);
        } else if (l->is_float) {
            const double x = double_of_bits(container);
            as_expected = isnan(floats[i]) ? isnan(x) : x == floats[i] && !signbit(x) == !signbit(floats[i]);
        } else {
            /* Sign above, zeros below: the whole container, not only the value. */
            const int64_t whole = expected_integer(l, floats[i]) * ((int64_t)1 << l->shift);
            as_expected = container == ((uint64_t)whole & (UINT64_MAX >> (64 - 8 * l->bytes)));
        }
        if (!as_expected && wrong++ == 0)
            cr_expect(false, "%s: %a became %#llx", dx_sample_format_name((enum dx_sample_format)c->format),
                      (double)floats[i], (unsigned long long)container);
    }
    cr_assert(eq(sz, wrong, 0));
    free(bytes);
    free(floats);
}

/* Each set. */

struct set_case {
    int set;
};

static struct criterion_test_params
all_sets(void)
{
    static struct set_case cases[DX_KERNELS_COUNT];
    for (int i = 0; i < DX_KERNELS_COUNT; i++)
        cases[i].set = i;
    return cr_make_param_array(struct set_case, cases, DX_KERNELS_COUNT);
}

static const struct dx_kernels *
kernels_or_skip(const struct set_case *c)
{
    const struct dx_kernels *const kernels = dx_kernels_get((enum dx_cpu_kernels)c->set);
    if (!kernels)
        cr_skip_test("not on this CPU");
    return kernels;
}

struct vector {
    float x;
    int32_t s16, s24, s32;
};

ParameterizedTestParameters(convert, known_values_come_out)
{
    return all_sets();
}

ParameterizedTest(struct set_case *c, convert, known_values_come_out)
{
    /* By hand; half a step of 16 bits is 2^-16. */
    static const struct vector vectors[] = {
        {0.0f, 0, 0, 0},
        {-0.0f, 0, 0, 0},
        {1.0f, 32767, 8388607, INT32_MAX},
        {-1.0f, -32768, -8388608, INT32_MIN},
        {0.5f, 16384, 4194304, 1 << 30},
        {-0.5f, -16384, -4194304, -(1 << 30)},
        {0x1.fffffep-1f, 32767, 8388607, INT32_MAX - 127},
        {1.5f, 32767, 8388607, INT32_MAX},
        {-1.5f, -32768, -8388608, INT32_MIN},
        {FLT_MAX, 32767, 8388607, INT32_MAX},
        {-FLT_MAX, -32768, -8388608, INT32_MIN},
        {INFINITY, 32767, 8388607, INT32_MAX},
        {-INFINITY, -32768, -8388608, INT32_MIN},
        {NAN, 0, 0, 0},
        {-NAN, 0, 0, 0},
        {0x1p-16f, 0, 128, 32768},
        {0x3p-16f, 2, 384, 3 * 32768},
        {0x5p-16f, 2, 640, 5 * 32768},
        {-0x1p-16f, 0, -128, -32768},
        {-0x3p-16f, -2, -384, -3 * 32768},
        {0x1.000002p-16f, 1, 128, 32768},
        {0x1p-24f, 0, 0, 128},
        {0x3p-24f, 0, 2, 384},
        {-0x3p-24f, 0, -2, -384},
        {0x1p-32f, 0, 0, 0},
        {0x3p-32f, 0, 0, 2},
        {FLT_TRUE_MIN, 0, 0, 0},
    };
    const struct dx_kernels *const kernels = kernels_or_skip(c);
    static const int formats[] = {DX_SAMPLE_S16_LE, DX_SAMPLE_S16_BE, DX_SAMPLE_S24_3LE,     DX_SAMPLE_S24_3BE,
                                  DX_SAMPLE_S24_LE, DX_SAMPLE_S24_BE, DX_SAMPLE_S24_HIGH_LE, DX_SAMPLE_S24_HIGH_BE,
                                  DX_SAMPLE_S32_LE, DX_SAMPLE_S32_BE};

    for (size_t v = 0; v < sizeof vectors / sizeof vectors[0]; v++) {
        float floats[21]; /* whole blocks and a rest */
        for (size_t i = 0; i < 21; i++)
            floats[i] = vectors[v].x;
        for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++) {
            const struct layout *const l = &layouts[formats[f]];
            const int32_t expected = l->bits == 16   ? vectors[v].s16
                                     : l->bits == 24 ? vectors[v].s24
                                                     : vectors[v].s32;
            uint8_t bytes[21 * 4];
            kernels->from_float[formats[f]](bytes, floats, 21);
            for (size_t i = 0; i < 21; i++)
                cr_expect(eq(i64, integer_in(l, container_at(l, bytes + i * l->bytes)), expected),
                          "%s %s: %a, sample %zu", kernels->name,
                          dx_sample_format_name((enum dx_sample_format)formats[f]), (double)vectors[v].x, i);
        }
    }
}

ParameterizedTestParameters(convert, every_integer_of_16_and_24_bits_survives_the_round_trip)
{
    return all_sets();
}

ParameterizedTest(struct set_case *c, convert, every_integer_of_16_and_24_bits_survives_the_round_trip)
{
    enum { CHUNK = 4096 };
    const struct dx_kernels *const kernels = kernels_or_skip(c);

    for (int f = DX_SAMPLE_S16_LE; f <= DX_SAMPLE_S24_HIGH_BE; f++) {
        const struct layout *const l = &layouts[f];
        const int64_t full = (int64_t)1 << (l->bits - 1);
        static uint8_t bytes[CHUNK * 4], back[CHUNK * 4];
        static float floats[CHUNK];
        size_t inexact = 0, changed = 0;

        for (int64_t first = -full; first < full; first += CHUNK) {
            for (unsigned i = 0; i < CHUNK; i++) {
                const uint64_t container = (uint64_t)((first + i) * ((int64_t)1 << l->shift));
                for (unsigned b = 0; b < l->bytes; b++)
                    bytes[i * l->bytes + (l->big ? l->bytes - 1 - b : b)] = (uint8_t)(container >> (8 * b));
            }
            kernels->to_float[f](floats, bytes, CHUNK);
            kernels->from_float[f](back, floats, CHUNK);
            for (unsigned i = 0; i < CHUNK; i++)
                inexact += (double)floats[i] * (double)full != (double)(first + i);
            changed += memcmp(bytes, back, (size_t)CHUNK * l->bytes) != 0;
        }
        cr_expect(eq(sz, inexact, 0), "%s %s", kernels->name, dx_sample_format_name((enum dx_sample_format)f));
        cr_expect(eq(sz, changed, 0), "%s %s", kernels->name, dx_sample_format_name((enum dx_sample_format)f));
    }
}

ParameterizedTestParameters(convert, each_set_gives_the_bits_of_plain_c)
{
    return all_sets();
}

ParameterizedTest(struct set_case *c, convert, each_set_gives_the_bits_of_plain_c)
{
    const struct dx_kernels *const plain = dx_kernels_get(DX_KERNELS_C);
    const struct dx_kernels *const kernels = kernels_or_skip(c);
    const size_t bytes = (size_t)RANDOM_SAMPLES * 8;
    uint8_t *const source = checked_malloc(bytes);
    float *const floats = checked_malloc(RANDOM_SAMPLES * sizeof(float));
    uint8_t *const a = checked_malloc(bytes), *const b = checked_malloc(bytes);

    fill_bytes(source, bytes, 99);
    fill_floats(floats, RANDOM_SAMPLES, 100);
    /* All values of 16 bits, at the start of it. */
    for (uint32_t i = 0; i < 65536; i++) {
        source[2 * i] = (uint8_t)i;
        source[2 * i + 1] = (uint8_t)(i >> 8);
    }
    for (int f = 0; f < DX_SAMPLE_FORMAT_COUNT; f++) {
        const char *const name = dx_sample_format_name((enum dx_sample_format)f);
        plain->to_float[f]((float *)(void *)a, source, RANDOM_SAMPLES);
        kernels->to_float[f]((float *)(void *)b, source, RANDOM_SAMPLES);
        cr_expect(memcmp(a, b, RANDOM_SAMPLES * sizeof(float)) == 0, "%s: %s to float", kernels->name, name);
        plain->from_float[f](a, floats, RANDOM_SAMPLES);
        kernels->from_float[f](b, floats, RANDOM_SAMPLES);
        cr_expect(memcmp(a, b, (size_t)RANDOM_SAMPLES * layouts[f].bytes) == 0, "%s: %s from float", kernels->name,
                  name);
    }
    free(source);
    free(floats);
    free(a);
    free(b);
}

ParameterizedTestParameters(convert, small_counts_at_any_address_touch_nothing_else)
{
    return all_sets();
}

/* Physical bytes at any address, floats at any multiple of a float; both ends of the memory are fenced. */
ParameterizedTest(struct set_case *c, convert, small_counts_at_any_address_touch_nothing_else)
{
    enum { MOST = 70 };
    const struct dx_kernels *const plain = dx_kernels_get(DX_KERNELS_C);
    const struct dx_kernels *const kernels = kernels_or_skip(c);
    const struct fenced memory = fenced_memory(1), float_memory = fenced_memory(1);
    uint8_t physical[MOST * 8], expected[MOST * 8];
    float floats[MOST], expected_floats[MOST];

    fill_bytes(physical, sizeof physical, 5);
    fill_floats(floats, MOST, 6);
    for (int f = 0; f < DX_SAMPLE_FORMAT_COUNT; f++) {
        const char *const name = dx_sample_format_name((enum dx_sample_format)f);
        for (size_t count = 0; count <= MOST; count++) {
            const size_t bytes = count * layouts[f].bytes, float_bytes = count * sizeof(float);
            plain->to_float[f](expected_floats, physical, count);
            plain->from_float[f](expected, floats, count);
            for (unsigned offset = 0; offset < 16; offset++) {
                /* Eight addresses from the lower fence up, eight from the upper one down. */
                uint8_t *const p = offset < 8 ? memory.begin + offset : memory.end - bytes - (offset - 8);
                uint8_t *const q = offset < 8 ? float_memory.begin + 4 * offset
                                              : float_memory.end - float_bytes - 4 * (offset - 8);
                size_t beside = 0;

                memcpy(p, physical, bytes);
                memset(float_memory.begin, 0xA5, (size_t)(float_memory.end - float_memory.begin));
                kernels->to_float[f]((float *)(void *)q, p, count);
                cr_expect(memcmp(q, expected_floats, float_bytes) == 0, "%s: %s, %zu to float at %u",
                          kernels->name, name, count, offset);
                for (const uint8_t *b = float_memory.begin; b < float_memory.end; b++)
                    beside += (b < q || b >= q + float_bytes) && *b != 0xA5;

                memcpy(q, floats, float_bytes);
                memset(memory.begin, 0xA5, (size_t)(memory.end - memory.begin));
                kernels->from_float[f](p, (const float *)(const void *)q, count);
                cr_expect(memcmp(p, expected, bytes) == 0, "%s: %s, %zu from float at %u", kernels->name, name,
                          count, offset);
                for (const uint8_t *b = memory.begin; b < memory.end; b++)
                    beside += (b < p || b >= p + bytes) && *b != 0xA5;
                cr_expect(eq(sz, beside, 0), "%s: %s, %zu at %u", kernels->name, name, count, offset);
            }
        }
    }
}

/* Mixing. */

/* Written from the interface: what is over 16 is cut to it, what is no number or not finite is silence. */
static float
expected_limited(float x, size_t *changed)
{
    if (!isnan(x) && x >= -16 && x <= 16)
        return x;
    ++*changed;
    return isnan(x) || isinf(x) ? 0.0f : x > 0 ? 16.0f : -16.0f;
}

ParameterizedTestParameters(convert, mixing_limits_what_is_not_sound_and_counts_it)
{
    return all_sets();
}

ParameterizedTest(struct set_case *c, convert, mixing_limits_what_is_not_sound_and_counts_it)
{
    const struct dx_kernels *const kernels = kernels_or_skip(c);
    float *const src = checked_malloc(RANDOM_SAMPLES * sizeof(float));
    float *const dst = checked_malloc(RANDOM_SAMPLES * sizeof(float));
    float *const before = checked_malloc(RANDOM_SAMPLES * sizeof(float));

    fill_floats(src, RANDOM_SAMPLES, 7);
    /* A long stretch of plain sound at the end, where whole blocks need no limiting. */
    for (size_t i = RANDOM_SAMPLES / 2; i < RANDOM_SAMPLES; i++)
        src[i] = (float)i * 0x1p-20f - 0.75f;
    /* Any finite sum may stand there, and rubbish too. */
    fill_floats(before, RANDOM_SAMPLES, 8);

    size_t expected_changed = 0, wrong = 0;
    const size_t copy_changed = kernels->copy_limited(dst, src, RANDOM_SAMPLES);
    for (size_t i = 0; i < RANDOM_SAMPLES; i++)
        wrong += bits_of_float(dst[i]) != bits_of_float(expected_limited(src[i], &expected_changed));
    cr_expect(eq(sz, wrong, 0), "%s: copy", kernels->name);
    cr_expect(eq(sz, copy_changed, expected_changed), "%s: copy", kernels->name);

    memcpy(dst, before, RANDOM_SAMPLES * sizeof(float));
    const size_t add_changed = kernels->add_limited(dst, src, RANDOM_SAMPLES);
    wrong = 0;
    for (size_t i = 0; i < RANDOM_SAMPLES; i++) {
        size_t ignored = 0;
        const float x = expected_limited(src[i], &ignored);
        if (isnan(before[i]))
            wrong += bits_of_float(dst[i]) != (bits_of_float(before[i]) | 0x400000); /* kept, made quiet */
        else
            wrong += bits_of_float(dst[i]) != bits_of_float((float)((double)before[i] + (double)x));
    }
    cr_expect(eq(sz, wrong, 0), "%s: add", kernels->name);
    cr_expect(eq(sz, add_changed, expected_changed), "%s: add", kernels->name);
    free(src);
    free(dst);
    free(before);
}

ParameterizedTestParameters(convert, mixing_of_small_counts_touches_nothing_else)
{
    return all_sets();
}

ParameterizedTest(struct set_case *c, convert, mixing_of_small_counts_touches_nothing_else)
{
    enum { MOST = 140 };
    const struct dx_kernels *const kernels = kernels_or_skip(c);
    const struct fenced src_memory = fenced_memory(1), dst_memory = fenced_memory(1);
    float floats[MOST], expected[MOST];

    fill_floats(floats, MOST, 9);
    for (size_t count = 0; count <= MOST; count++) {
        for (unsigned offset = 0; offset < 16; offset++) {
            const size_t bytes = count * sizeof(float);
            uint8_t *const s =
                offset < 8 ? src_memory.begin + 4 * offset : src_memory.end - bytes - 4 * (offset - 8);
            uint8_t *const d =
                offset < 8 ? dst_memory.begin + 4 * offset : dst_memory.end - bytes - 4 * (offset - 8);
            float *const dst = (float *)(void *)d;
            size_t changed = 0, beside = 0;

            memcpy(s, floats, bytes);
            memset(dst_memory.begin, 0, (size_t)(dst_memory.end - dst_memory.begin));
            for (size_t i = 0; i < count; i++)
                expected[i] = expected_limited(floats[i], &changed);
            cr_expect(eq(sz, kernels->copy_limited(dst, (const float *)(const void *)s, count), changed));
            cr_expect(memcmp(dst, expected, bytes) == 0, "%s: copy %zu at %u", kernels->name, count, offset);

            for (size_t i = 0; i < count; i++) {
                dst[i] = 0.25f;
                expected[i] += 0.25f;
            }
            cr_expect(eq(sz, kernels->add_limited(dst, (const float *)(const void *)s, count), changed));
            cr_expect(memcmp(dst, expected, bytes) == 0, "%s: add %zu at %u", kernels->name, count, offset);
            for (const uint8_t *b = dst_memory.begin; b < dst_memory.end; b++)
                beside += (b < d || b >= d + bytes) && *b != 0;
            cr_expect(eq(sz, beside, 0), "%s: %zu at %u", kernels->name, count, offset);
        }
    }
}

/* Choice. */

Test(convert, best_is_the_last_that_the_cpu_has)
{
    const struct dx_kernels *last = NULL;
    unsetenv("DEXTRAL_KERNELS");
    for (int i = 0; i < DX_KERNELS_COUNT; i++)
        if (dx_kernels_get((enum dx_cpu_kernels)i))
            last = dx_kernels_get((enum dx_cpu_kernels)i);
    cr_assert(dx_kernels_best() == last);
    cr_expect(dx_kernels_get(DX_KERNELS_COUNT) == NULL);
}

Test(convert, environment_names_a_lesser_one)
{
    for (int i = 0; i < DX_KERNELS_COUNT; i++) {
        const struct dx_kernels *const kernels = dx_kernels_get((enum dx_cpu_kernels)i);
        if (!kernels)
            continue;
        setenv("DEXTRAL_KERNELS", kernels->name, 1);
        cr_expect(dx_kernels_best() == kernels, "%s", kernels->name);
    }
}

Test(convert, environment_that_names_nothing_is_ignored)
{
    unsetenv("DEXTRAL_KERNELS");
    const struct dx_kernels *const best = dx_kernels_best();
    setenv("DEXTRAL_KERNELS", "altivec", 1);
    cr_expect(dx_kernels_best() == best);
    setenv("DEXTRAL_KERNELS", "", 1);
    cr_expect(dx_kernels_best() == best);
}

Test(convert, formats_have_their_size_and_a_name_of_their_own)
{
    for (int i = 0; i < DX_SAMPLE_FORMAT_COUNT; i++) {
        const char *const name = dx_sample_format_name((enum dx_sample_format)i);
        cr_expect(eq(u32, dx_sample_format_bytes((enum dx_sample_format)i), layouts[i].bytes));
        cr_assert(name != NULL);
        for (int k = 0; k < i; k++)
            cr_expect(strcmp(name, dx_sample_format_name((enum dx_sample_format)k)) != 0, "%s", name);
    }
    cr_expect(strcmp(dx_sample_format_name(DX_SAMPLE_S24_3LE), "s24_3le") == 0);
    cr_expect(strcmp(dx_sample_format_name(DX_SAMPLE_S24_HIGH_BE), "s24_high_be") == 0);
}

/* Descriptions. */

enum { FLOAT = 1, BIG = 2, SIGNED = 4, PACKED = 8, HIGH = 16, PLANAR = 32, ALONE = 64 };

struct accepted_case {
    char name[40];
    uint32_t flags, bits, container_bytes, channels;
    int format;
};

ParameterizedTestParameters(description, is_accepted)
{
    static struct accepted_case cases[] = {
        {"Apple's sample: 16 bits, not packed", SIGNED, 16, 2, 2, DX_SAMPLE_S16_LE},
        {"16 bits packed", SIGNED | PACKED, 16, 2, 2, DX_SAMPLE_S16_LE},
        {"16 bits big-endian", SIGNED | BIG | PACKED, 16, 2, 1, DX_SAMPLE_S16_BE},
        {"16 bits, high in a full container", SIGNED | HIGH, 16, 2, 2, DX_SAMPLE_S16_LE},
        {"24 bits in 3", SIGNED | PACKED, 24, 3, 2, DX_SAMPLE_S24_3LE},
        {"24 bits in 3, not packed", SIGNED, 24, 3, 32, DX_SAMPLE_S24_3LE},
        {"24 bits in 3 big-endian", SIGNED | BIG | PACKED, 24, 3, 2, DX_SAMPLE_S24_3BE},
        {"24 bits low in 4", SIGNED, 24, 4, 2, DX_SAMPLE_S24_LE},
        {"24 bits low in 4 big-endian", SIGNED | BIG, 24, 4, 2, DX_SAMPLE_S24_BE},
        {"24 bits high in 4", SIGNED | HIGH, 24, 4, 2, DX_SAMPLE_S24_HIGH_LE},
        {"24 bits high in 4 big-endian", SIGNED | HIGH | BIG, 24, 4, 2, DX_SAMPLE_S24_HIGH_BE},
        {"32 bits", SIGNED | PACKED, 32, 4, 1024, DX_SAMPLE_S32_LE},
        {"32 bits big-endian, not packed", SIGNED | BIG, 32, 4, 2, DX_SAMPLE_S32_BE},
        {"float32", FLOAT | PACKED, 32, 4, 2, DX_SAMPLE_F32_LE},
        {"float32, not packed", FLOAT, 32, 4, 2, DX_SAMPLE_F32_LE},
        {"float32 big-endian", FLOAT | PACKED | BIG, 32, 4, 2, DX_SAMPLE_F32_BE},
        {"float64", FLOAT | PACKED, 64, 8, 2, DX_SAMPLE_F64_LE},
        {"float64 big-endian", FLOAT | PACKED | BIG, 64, 8, 2, DX_SAMPLE_F64_BE},
        {"non-mixable", SIGNED | PACKED | ALONE, 32, 4, 2, DX_SAMPLE_S32_LE},
    };
    return cr_make_param_array(struct accepted_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct accepted_case *c, description, is_accepted)
{
    const uint32_t frame_bytes = c->container_bytes * c->channels;
    const IOUserAudioStreamBasicDescription description = {
        .mSampleRate = 48000,
        .mFormatID = 0x6C70636D,
        .mFormatFlags = c->flags,
        .mBytesPerPacket = frame_bytes,
        .mFramesPerPacket = 1,
        .mBytesPerFrame = frame_bytes,
        .mChannelsPerFrame = c->channels,
        .mBitsPerChannel = c->bits,
    };
    enum dx_sample_format format = DX_SAMPLE_FORMAT_COUNT;
    const char *reason = "untouched";

    cr_assert(eq(int, dx_sample_format_from_description(&description, &format, &reason), 0), "%s: %s", c->name,
              reason);
    cr_expect(eq(int, (int)format, c->format), "%s", c->name);
    cr_expect(strcmp(reason, "untouched") == 0, "%s: %s", c->name, reason);
    cr_expect(eq(u32, dx_sample_format_bytes(format), c->container_bytes), "%s", c->name);
}

struct refused_case {
    char reason[48]; /* a part of it */
    int error;
    IOUserAudioStreamBasicDescription d;
};

#define PCM(flags, packet_bytes, packet_frames, frame_bytes, channels, bits)                                      \
    {                                                                                                             \
        48000, 0x6C70636D, flags, packet_bytes, packet_frames, frame_bytes, channels, bits, 0                     \
    }

ParameterizedTestParameters(description, is_refused_with_a_reason)
{
    static struct refused_case cases[] = {
        {"not linear PCM", -ENOTSUP, {48000, 0x61616320, 0, 0, 1024, 0, 2, 0, 0}},
        {"not linear PCM", -ENOTSUP, {.mFormatID = 0}},
        {"non-interleaved", -ENOTSUP, PCM(FLOAT | PACKED | PLANAR, 4, 1, 4, 2, 32)},
        {"unsigned", -ENOTSUP, PCM(PACKED, 4, 1, 4, 2, 16)},
        {"unsigned", -ENOTSUP, PCM(0x80000000, 4, 1, 4, 2, 16)},
        {"fraction", -ENOTSUP, PCM(SIGNED | PACKED | 24 << 7, 8, 1, 8, 2, 32)},
        {"integer of another width", -ENOTSUP, PCM(SIGNED | PACKED, 2, 1, 2, 2, 8)},
        {"integer of another width", -ENOTSUP, PCM(SIGNED | HIGH, 6, 1, 6, 2, 20)},
        {"integer of another width", -ENOTSUP, PCM(SIGNED, 8, 1, 8, 2, 16)},
        {"integer of another width", -ENOTSUP, PCM(SIGNED | PACKED, 16, 1, 16, 2, 64)},
        {"float of another width", -ENOTSUP, PCM(FLOAT | PACKED, 4, 1, 4, 2, 16)},
        {"float of another width", -ENOTSUP, PCM(FLOAT, 16, 1, 16, 2, 32)},
        {"float of another width", -ENOTSUP, PCM(FLOAT | HIGH, 8, 1, 8, 2, 24)},
        {"float and integer", -EINVAL, PCM(FLOAT | SIGNED | PACKED, 8, 1, 8, 2, 32)},
        {"beside others", -EINVAL, PCM(SIGNED | 0x80000000, 4, 1, 4, 2, 16)},
        {"unknown flags", -EINVAL, PCM(SIGNED | 0x2000, 4, 1, 4, 2, 16)},
        {"mChannelsPerFrame is 0", -EINVAL, PCM(SIGNED, 4, 1, 4, 0, 16)},
        {"mFramesPerPacket", -EINVAL, PCM(SIGNED, 4, 0, 4, 2, 16)},
        {"mFramesPerPacket", -EINVAL, PCM(SIGNED, 8, 2, 4, 2, 16)},
        {"mBytesPerPacket differs", -EINVAL, PCM(SIGNED, 8, 1, 4, 2, 16)},
        {"mBytesPerFrame is 0", -EINVAL, PCM(SIGNED, 0, 1, 0, 2, 16)},
        {"not a multiple", -EINVAL, PCM(SIGNED, 5, 1, 5, 2, 16)},
        {"not a multiple", -EINVAL, PCM(SIGNED, 2, 1, 2, 4, 16)},
        {"mBitsPerChannel is 0", -EINVAL, PCM(SIGNED, 4, 1, 4, 2, 0)},
        {"does not fit", -EINVAL, PCM(SIGNED, 4, 1, 4, 2, 24)},
        {"does not fit", -EINVAL, PCM(SIGNED, 4, 1, 4, 2, UINT32_MAX)},
        {"packed, but", -EINVAL, PCM(SIGNED | PACKED, 8, 1, 8, 2, 24)},
    };
    return cr_make_param_array(struct refused_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct refused_case *c, description, is_refused_with_a_reason)
{
    enum dx_sample_format format = DX_SAMPLE_FORMAT_COUNT;
    const char *reason = NULL;

    cr_expect(eq(int, dx_sample_format_from_description(&c->d, &format, &reason), c->error), "%s", c->reason);
    cr_assert(reason != NULL);
    cr_expect(strstr(reason, c->reason) != NULL, "\"%s\" does not say \"%s\"", reason, c->reason);
    cr_expect(eq(int, (int)format, DX_SAMPLE_FORMAT_COUNT), "written on failure");
    cr_expect(eq(int, dx_sample_format_from_description(&c->d, &format, NULL), c->error));
}

Test(description, none_at_all_is_refused)
{
    enum dx_sample_format format = DX_SAMPLE_FORMAT_COUNT;
    cr_expect(eq(int, dx_sample_format_from_description(NULL, &format, NULL), -EINVAL));
}
