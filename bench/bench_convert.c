// SPDX-License-Identifier: MIT
// Measures sample conversion and mixing: time per call and bytes moved (read and written) per second, for each
// format, direction and instruction set, at 128 samples (64 stereo frames), 2048 and 65536.
//
// The sets take turns, batch by batch, so that what disturbs the machine disturbs all of them; the ratio is to
// plain C in the same run.  A batch is a few microseconds of calls on the same buffers, which are therefore in the
// first cache (128, 2048) or in the second (65536); its time is divided by its calls.  One thread, no affinity.

#include "audio/convert.h"
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCHES = 400, // in DEFAULT_SECONDS
    FEWEST_BATCHES = 100,
    MOST_BATCHES = 100000,
    BATCH_NS = 4000,
    SIZE_COUNT = 3,
    SIZE_MOST = 65536,
    OPERATION_COUNT = 2 * DX_SAMPLE_FORMAT_COUNT + 2
};

#define DEFAULT_SECONDS 10.0

static const size_t sizes[SIZE_COUNT] = {128, 2048, SIZE_MOST};

enum direction { TO_FLOAT, FROM_FLOAT, COPY, ADD };

struct operation {
    enum direction direction;
    enum dx_sample_format format; // of the first two
};

struct buffers {
    uint8_t *physical; // 8 bytes per sample
    float *floats, *other;
};

struct result {
    double p50_ns, p99_ns, p999_ns, max_ns, gigabytes_per_second, ratio;
};

static struct operation
operation_at(int index)
{
    if (index >= 2 * DX_SAMPLE_FORMAT_COUNT)
        return (struct operation){index % 2 ? ADD : COPY, DX_SAMPLE_F32_LE};
    return (struct operation){index % 2 ? FROM_FLOAT : TO_FLOAT, (enum dx_sample_format)(index / 2)};
}

static const char *
operation_name(const struct operation *operation)
{
    switch (operation->direction) {
    case TO_FLOAT:
        return "to_float";
    case FROM_FLOAT:
        return "from_float";
    case COPY:
        return "copy_limited";
    case ADD:
        return "add_limited";
    }
    return NULL;
}

/* Adding reads both sides and writes one. */
static size_t
bytes_per_sample(const struct operation *operation)
{
    switch (operation->direction) {
    case TO_FLOAT:
    case FROM_FLOAT:
        return sizeof(float) + dx_sample_format_bytes(operation->format);
    case COPY:
        return 2 * sizeof(float);
    case ADD:
        return 3 * sizeof(float);
    }
    return 0;
}

static void
run(const struct dx_kernels *kernels, const struct operation *operation, const struct buffers *b, size_t samples,
    unsigned calls)
{
    for (unsigned i = 0; i < calls; i++) {
        switch (operation->direction) {
        case TO_FLOAT:
            kernels->to_float[operation->format](b->other, b->physical, samples);
            break;
        case FROM_FLOAT:
            kernels->from_float[operation->format](b->physical, b->floats, samples);
            break;
        case COPY:
            kernels->copy_limited(b->other, b->floats, samples);
            break;
        case ADD:
            kernels->add_limited(b->other, b->floats, samples);
            break;
        }
    }
}

static int
compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sound on both sides: what is converted to float is what the format makes of it. */
static void
prepare(const struct operation *operation, const struct buffers *b)
{
    for (size_t i = 0; i < SIZE_MOST; i++) {
        b->floats[i] = 0.8f * sinf((float)i * 0.0371f) + 0.1f * sinf((float)i * 1.37f);
        b->other[i] = 0;
    }
    dx_kernels_get(DX_KERNELS_C)->from_float[operation->format](b->physical, b->floats, SIZE_MOST);
}

/* Something of every result goes in here, and the end of the program prints it. */
static double checksum;

static void
measure(const struct operation *operation, const struct buffers *b, size_t samples,
        int batches, struct result results[DX_KERNELS_COUNT])
{
    static double times[DX_KERNELS_COUNT][MOST_BATCHES];
    unsigned calls[DX_KERNELS_COUNT] = {0};

    for (int set = 0; set < DX_KERNELS_COUNT; set++) {
        const struct dx_kernels *const kernels = dx_kernels_get((enum dx_cpu_kernels)set);
        if (!kernels)
            continue;
        /* Warm-up, which also says how many calls make a batch. */
        const unsigned warm = samples < SIZE_MOST ? 400 : 20;
        run(kernels, operation, b, samples, warm);
        const double begin = (double)bench_now_ns();
        run(kernels, operation, b, samples, warm);
        const double per_call = ((double)bench_now_ns() - begin) / warm;
        calls[set] = per_call < BATCH_NS ? (unsigned)(BATCH_NS / per_call) + 1 : 1;
    }
    for (int batch = 0; batch < batches; batch++) {
        for (int set = 0; set < DX_KERNELS_COUNT; set++) {
            if (!calls[set])
                continue;
            const struct dx_kernels *const kernels = dx_kernels_get((enum dx_cpu_kernels)set);
            /* The first call fetches what the set before it left elsewhere. */
            run(kernels, operation, b, samples, 1);
            const double begin = (double)bench_now_ns();
            run(kernels, operation, b, samples, calls[set]);
            times[set][batch] = ((double)bench_now_ns() - begin) / calls[set];
            checksum += (double)b->other[(size_t)batch % samples] + b->physical[(size_t)batch % samples];
        }
    }
    for (int set = 0; set < DX_KERNELS_COUNT; set++) {
        if (!calls[set])
            continue;
        double *const t = times[set];
        qsort(t, (size_t)batches, sizeof t[0], compare_doubles);
        results[set] = (struct result){
            .p50_ns = t[batches / 2],
            .p99_ns = t[batches * 99LL / 100],
            .p999_ns = t[batches * 999LL / 1000],
            .max_ns = t[batches - 1],
            .gigabytes_per_second = (double)(samples * bytes_per_sample(operation)) / t[batches / 2],
            .ratio = times[DX_KERNELS_C][batches / 2] / t[batches / 2], // plain C comes first and is sorted by now
        };
    }
}

int
main(int argc, char **argv)
{
    const struct bench_options options = bench_options(argc, argv, DEFAULT_SECONDS);
    const bool json = options.json;
    const double wanted = BATCHES * options.seconds / DEFAULT_SECONDS;
    const int batches = wanted < FEWEST_BATCHES ? FEWEST_BATCHES
                        : wanted > MOST_BATCHES ? MOST_BATCHES
                                                : (int)wanted;

    /* Not at the same place of a page each: a load waits for a store that is 4096 bytes away from it. */
    uint8_t *const memory = bench_allocate(4 * 4096 + SIZE_MOST * (8 + 2 * sizeof(float)));
    const struct buffers buffers = {
        .physical = memory,
        .floats = (float *)(void *)(memory + SIZE_MOST * 8 + 1344),
        .other = (float *)(void *)(memory + SIZE_MOST * 12 + 4096 + 2752),
    };
    bench_print_machine(&options, "convert");
    if (json)
        printf(", \"batches\": %d, \"rows\": [", batches);
    else
        printf("kernels with their set's own flags beside; %d batches each; GB/s is bytes read and written at p50; ratio "
               "is to plain C at p50\n\n%-12s %-13s %7s %-7s %10s %10s %10s %10s %8s %7s\n",
               batches, "format", "operation", "samples", "set", "p50 ns", "p99 ns", "p99.9 ns", "max ns", "GB/s",
               "ratio");

    const char *separator = "";
    for (int index = 0; index < OPERATION_COUNT; index++) {
        const struct operation operation = operation_at(index);
        const char *const format = dx_sample_format_name(operation.format);
        for (int size = 0; size < SIZE_COUNT; size++) {
            struct result results[DX_KERNELS_COUNT] = {0};
            prepare(&operation, &buffers);
            measure(&operation, &buffers, sizes[size], batches, results);
            for (int set = 0; set < DX_KERNELS_COUNT; set++) {
                const struct dx_kernels *const kernels = dx_kernels_get((enum dx_cpu_kernels)set);
                const struct result *const r = &results[set];
                if (!kernels)
                    continue;
                if (json)
                    printf("%s\n{\"format\": \"%s\", \"operation\": \"%s\", \"samples\": %zu, \"set\": \"%s\", "
                           "\"p50_ns\": %.2f, \"p99_ns\": %.2f, \"p999_ns\": %.2f, \"max_ns\": %.2f, "
                           "\"gigabytes_per_second\": %.2f, \"ratio\": %.2f}",
                           separator, format, operation_name(&operation), sizes[size], kernels->name, r->p50_ns,
                           r->p99_ns, r->p999_ns, r->max_ns, r->gigabytes_per_second, r->ratio);
                else
                    printf("%-12s %-13s %7zu %-7s %10.1f %10.1f %10.1f %10.1f %8.1f %7.1f\n", format,
                           operation_name(&operation), sizes[size], kernels->name, r->p50_ns, r->p99_ns,
                           r->p999_ns, r->max_ns, r->gigabytes_per_second, r->ratio);
                separator = ",";
            }
        }
    }
    if (json)
        printf("\n], \"checksum\": %g}\n", checksum);
    else
        printf("\nchecksum %g\n", checksum);
    free(memory);
    return 0;
}
