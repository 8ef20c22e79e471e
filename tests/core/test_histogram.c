// SPDX-License-Identifier: MIT
// The histogram against sorted values.

#include "core/histogram.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <math.h>
#include <stdlib.h>

static struct dx_histogram histogram, other; // each test runs in a process of its own

Test(histogram, empty_one_shows_zeros)
{
    cr_assert(eq(u64, dx_histogram_count(&histogram), 0));
    cr_assert(eq(u64, dx_histogram_min_ns(&histogram), 0));
    cr_assert(eq(u64, dx_histogram_max_ns(&histogram), 0));
    cr_assert(eq(u64, dx_histogram_quantile_ns(&histogram, 0.5), 0));
}

Test(histogram, values_below_64_are_exact)
{
    for (uint64_t v = 0; v < 64; v++)
        dx_histogram_record(&histogram, v);
    for (unsigned v = 0; v < 64; v++)
        cr_expect(eq(u64, dx_histogram_quantile_ns(&histogram, (v + 1) / 64.0), v));
}

/* The promise of the header, at every edge of an octave: never too low, at most 1/32 too high. */
Test(histogram, error_is_at_most_a_32nd)
{
    for (unsigned bit = 6; bit < 40; bit++) {
        const uint64_t octave = (uint64_t)1 << bit;
        const uint64_t values[] = {octave - 1, octave, octave + 1, octave + octave / 3, 2 * octave - 1};
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            dx_histogram_reset(&histogram);
            dx_histogram_record(&histogram, values[i]);
            dx_histogram_record(&histogram, (uint64_t)1 << 41); // or the maximum would make it exact
            const uint64_t shown = dx_histogram_quantile_ns(&histogram, 0.5);
            cr_expect(ge(u64, shown, values[i]));
            cr_expect(le(u64, shown - values[i], values[i] / 32));
        }
    }
}

static int
compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

enum { VALUES = 20000 };

Test(histogram, quantiles_agree_with_sorted_values)
{
    static uint64_t values[VALUES];
    uint32_t state = 1;
    for (unsigned i = 0; i < VALUES; i++) {
        state = state * 1664525u + 1013904223u; // Numerical Recipes' generator
        values[i] = (uint64_t)exp2(3.0 + 30.0 * state / 4294967296.0);
        dx_histogram_record(&histogram, values[i]);
    }
    qsort(values, VALUES, sizeof values[0], compare);
    cr_assert(eq(u64, dx_histogram_count(&histogram), VALUES));
    cr_assert(eq(u64, dx_histogram_min_ns(&histogram), values[0]));
    cr_assert(eq(u64, dx_histogram_max_ns(&histogram), values[VALUES - 1]));
    static const unsigned per_mille[] = {1, 10, 500, 900, 990, 999, 1000};
    for (size_t i = 0; i < sizeof per_mille / sizeof per_mille[0]; i++) {
        const uint64_t exact = values[VALUES / 1000 * per_mille[i] - 1];
        const uint64_t shown = dx_histogram_quantile_ns(&histogram, per_mille[i] / 1000.0);
        cr_expect(ge(u64, shown, exact), "%u", per_mille[i]);
        cr_expect(le(u64, shown - exact, exact / 32), "%u", per_mille[i]);
    }
    cr_assert(eq(u64, dx_histogram_quantile_ns(&histogram, 1.0), values[VALUES - 1]));
    cr_assert(eq(u64, dx_histogram_quantile_ns(&histogram, 7.0), values[VALUES - 1]));
    cr_assert(le(u64, dx_histogram_quantile_ns(&histogram, (double)NAN), values[0] + values[0] / 32));
}

Test(histogram, huge_values_share_the_last_bucket)
{
    dx_histogram_record(&histogram, UINT64_MAX);
    dx_histogram_record(&histogram, (uint64_t)1 << 40);
    cr_assert(eq(u64, dx_histogram_count(&histogram), 2));
    cr_assert(eq(u64, dx_histogram_max_ns(&histogram), UINT64_MAX));
    cr_assert(eq(u64, dx_histogram_quantile_ns(&histogram, 0.5), UINT64_MAX));
}

Test(histogram, merge_adds_all_values)
{
    dx_histogram_merge(&histogram, &other); // empty into empty
    cr_assert(eq(u64, dx_histogram_count(&histogram), 0));
    dx_histogram_record(&histogram, 10);
    dx_histogram_record(&other, 5);
    dx_histogram_record(&other, 20);
    dx_histogram_merge(&histogram, &other);
    cr_assert(eq(u64, dx_histogram_count(&histogram), 3));
    cr_assert(eq(u64, dx_histogram_min_ns(&histogram), 5));
    cr_assert(eq(u64, dx_histogram_max_ns(&histogram), 20));
    cr_assert(eq(u64, dx_histogram_quantile_ns(&histogram, 0.5), 10));
    dx_histogram_reset(&histogram);
    cr_assert(eq(u64, dx_histogram_count(&histogram), 0));
}
