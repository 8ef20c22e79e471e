// SPDX-License-Identifier: MIT
// Distribution of durations with a fixed relative error.

#include "core/histogram.h"

/*
 * All accesses are relaxed: one thread stores, and a reader takes each field for itself, so that a quantile
 * read during a record may or may not count it.  Nothing else is published through them.
 */

enum {
    SUB_BITS = 5, // 32 buckets per octave
    LAST_BIT = 39,
};

static uint32_t
load_count(const struct dx_histogram *histogram, uint32_t bucket) DX_REALTIME
{
    return atomic_load_explicit(&histogram->counts[bucket], memory_order_relaxed);
}

static void
add_to_bucket(struct dx_histogram *histogram, uint32_t bucket, uint32_t count) DX_REALTIME
{
    uint32_t sum;
    if (__builtin_add_overflow(load_count(histogram, bucket), count, &sum))
        sum = UINT32_MAX;
    atomic_store_explicit(&histogram->counts[bucket], sum, memory_order_relaxed);
}

/* 0 ... 63 as they are; above, 32 per octave: the position of the first bit, and the five bits behind it. */
static uint32_t
bucket_of(uint64_t value_ns) DX_REALTIME
{
    if (value_ns < 64)
        return (uint32_t)value_ns;
    const uint32_t bit = 63 - (uint32_t)__builtin_clzll(value_ns);
    if (bit > LAST_BIT)
        return DX_HISTOGRAM_BUCKETS - 1;
    const uint32_t shift = bit - SUB_BITS;
    return (shift << SUB_BITS) + (uint32_t)(value_ns >> shift);
}

/* The largest value of a bucket. */
static uint64_t
upper_edge_of(uint32_t bucket) DX_REALTIME
{
    if (bucket < 64)
        return bucket;
    const uint32_t shift = (bucket >> SUB_BITS) - 1;
    const uint64_t mantissa = (bucket & 31u) + 32u;
    return ((mantissa + 1) << shift) - 1;
}

static void
widen(struct dx_histogram *histogram, uint64_t smallest_ns, uint64_t largest_ns) DX_REALTIME
{
    const uint64_t min_plus_1 = atomic_load_explicit(&histogram->min_ns_plus_1, memory_order_relaxed);
    if (!min_plus_1 || smallest_ns < min_plus_1 - 1) {
        const uint64_t plus_1 = smallest_ns == UINT64_MAX ? UINT64_MAX : smallest_ns + 1;
        atomic_store_explicit(&histogram->min_ns_plus_1, plus_1, memory_order_relaxed);
    }
    if (largest_ns > atomic_load_explicit(&histogram->max_ns, memory_order_relaxed))
        atomic_store_explicit(&histogram->max_ns, largest_ns, memory_order_relaxed);
}

void
dx_histogram_reset(struct dx_histogram *histogram) DX_REALTIME
{
    for (uint32_t i = 0; i < DX_HISTOGRAM_BUCKETS; i++)
        atomic_store_explicit(&histogram->counts[i], 0, memory_order_relaxed);
    atomic_store_explicit(&histogram->min_ns_plus_1, 0, memory_order_relaxed);
    atomic_store_explicit(&histogram->max_ns, 0, memory_order_relaxed);
}

void
dx_histogram_record(struct dx_histogram *histogram, uint64_t value_ns) DX_REALTIME
{
    widen(histogram, value_ns, value_ns);
    add_to_bucket(histogram, bucket_of(value_ns), 1);
}

uint64_t
dx_histogram_count(const struct dx_histogram *histogram) DX_REALTIME
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < DX_HISTOGRAM_BUCKETS; i++)
        count += load_count(histogram, i);
    return count;
}

uint64_t
dx_histogram_min_ns(const struct dx_histogram *histogram) DX_REALTIME
{
    const uint64_t plus_1 = atomic_load_explicit(&histogram->min_ns_plus_1, memory_order_relaxed);
    return plus_1 ? plus_1 - 1 : 0;
}

uint64_t
dx_histogram_max_ns(const struct dx_histogram *histogram) DX_REALTIME
{
    return atomic_load_explicit(&histogram->max_ns, memory_order_relaxed);
}

/* The rank, from 1, of the value that a fraction of `count` values does not exceed. */
static uint64_t
rank_of(double quantile, uint64_t count) DX_REALTIME
{
    const double exact = quantile * (double)count;
    if (!(exact > 1.0)) // also not a number
        return 1;
    if (exact >= (double)count)
        return count;
    const uint64_t floor = (uint64_t)exact;
    return (double)floor < exact ? floor + 1 : floor;
}

uint64_t
dx_histogram_quantile_ns(const struct dx_histogram *histogram, double quantile) DX_REALTIME
{
    const uint64_t count = dx_histogram_count(histogram);
    if (!count)
        return 0;
    const uint64_t rank = rank_of(quantile, count);
    const uint64_t max_ns = dx_histogram_max_ns(histogram);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < DX_HISTOGRAM_BUCKETS - 1; i++) {
        seen += load_count(histogram, i);
        if (seen >= rank) {
            const uint64_t edge_ns = upper_edge_of(i);
            return edge_ns < max_ns ? edge_ns : max_ns;
        }
    }
    return max_ns;
}

void
dx_histogram_merge(struct dx_histogram *histogram, const struct dx_histogram *other) DX_REALTIME
{
    if (atomic_load_explicit(&other->min_ns_plus_1, memory_order_relaxed))
        widen(histogram, dx_histogram_min_ns(other), dx_histogram_max_ns(other));
    for (uint32_t i = 0; i < DX_HISTOGRAM_BUCKETS; i++)
        add_to_bucket(histogram, i, load_count(other, i));
}
