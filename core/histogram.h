// SPDX-License-Identifier: MIT
// Distribution of durations with a fixed relative error.

#ifndef DX_CORE_HISTOGRAM_H
#define DX_CORE_HISTOGRAM_H

#include <dextral/base.h>

#include <stdatomic.h>

/*
 * Log-linear, as in HdrHistogram: values below 64 ns have a bucket each, every octave above has 32 of equal
 * width.  A bucket is at most 1/32 of its lower edge wide: a quantile is never too low and at most 3.125 %
 * too high.  Values from 2^40 ns (18 min) on share one more bucket; the largest is kept exactly in any case.
 */
#define DX_HISTOGRAM_BUCKETS (32u * 36u + 1u)

/**
 * All-zero is empty.  One writer; any number of readers, which see each field for itself.
 *
 * Counts stop at 2^32 - 1 per bucket.
 */
struct dx_histogram {
    _Atomic uint64_t max_ns;
    _Atomic uint64_t min_ns_plus_1; // 0: nothing recorded
    _Atomic uint32_t counts[DX_HISTOGRAM_BUCKETS];
};

/** Makes it empty.  Thread: the writer.  Real-time: yes, wait-free (4.6 KB of stores). */
void dx_histogram_reset(struct dx_histogram *histogram) DX_REALTIME;

/** Records one value.  Thread: the writer.  Real-time: yes, wait-free. */
void dx_histogram_record(struct dx_histogram *histogram, uint64_t value_ns) DX_REALTIME;

/** Values recorded.  Thread: any.  Real-time: yes, wait-free. */
uint64_t dx_histogram_count(const struct dx_histogram *histogram) DX_REALTIME;

/** The smallest and largest value, exact; 0 when empty.  Thread: any.  Real-time: yes, wait-free. */
uint64_t dx_histogram_min_ns(const struct dx_histogram *histogram) DX_REALTIME;
uint64_t dx_histogram_max_ns(const struct dx_histogram *histogram) DX_REALTIME;

/**
 * The value that the fraction `quantile` of all values do not exceed.
 *
 * @param quantile  0 ... 1; 0.5 is the median.  Outside: the nearest of both.
 * @return the upper edge of its bucket, but never more than the largest value; 0 when empty.
 *
 * Thread: any.  Real-time: yes, wait-free.
 */
uint64_t dx_histogram_quantile_ns(const struct dx_histogram *histogram, double quantile) DX_REALTIME;

/**
 * Adds all values of another.
 *
 * Thread: the writer of `histogram`.  Real-time: yes, wait-free.
 */
void dx_histogram_merge(struct dx_histogram *histogram, const struct dx_histogram *other) DX_REALTIME;

#endif /* DX_CORE_HISTOGRAM_H */
