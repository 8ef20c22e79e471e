// SPDX-License-Identifier: MIT
// Measures how late real-time code begins: number 3 of the architecture, for the handler of a driver and for a client
// of the same process.
//
// Kinds of slices take turns, at least ten of each, all at a period of 64 frames at 48 kHz, control and IO thread on
// the same CPU:
//   bare     the control: a thread that sleeps with clock_nanosleep(TIMER_ABSTIME), at the IO thread's priority;
//   handler  a host with a driver whose clock is exact, and a client that only keeps IO going: from when the device
//            position reached T, by the driver's own clock, to the entry of its handler;
//   client   the same device, and a client with a callback, both directions, as clients are by default: a thread below
//            the IO thread, on any CPU; from the cycle's host_time_ns to the entry of the callback;
//   beside   the same, with that thread on the IO thread's CPU: it is due together with the cycle, and waits for it.
// Lateness counts from when something should have begun: a period that was skipped counts with what had passed when the
// next one began.
//
// Limits, over all slices:
//   - handler: p50 at most 3 us above the control's, p99 at most 1.5 times the control's;
//   - client: p50 at most 10 us above the control's.  The one beside the IO thread is shown, not judged: what it waits
//     for is the cycle.
// NOISY when the control's p99 of one slice is more than 3 times that of another (of its middle eight tenths: the best
// and the worst slice of ten are left out), or when a real-time priority or the CPU was refused.

#include "bench.h"

#include <dextral/dextral.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RATE_HZ = 48000,
    FRAMES = 64,
    RING_FRAMES = 8192,
    TOLERANCE_FRAMES = 2048, // late cycles run, so that they count
    PRIORITY = 80,
    CLIENT_PRIORITY = 70,
    FEWEST_ROUNDS = 10,
    MOST_ROUNDS = 1000,
    MOST_LATE = 4000000, // of each kind
    WARM_PERIODS = 8,
};

#define SLICE_SECONDS 2.0 // at most
#define HANDLER_P50_NS 3000.0
#define HANDLER_P99 1.5
#define CLIENT_P50_NS 10000.0
#define NOISY_FACTOR 3.0

enum kind { BARE, HANDLER, CLIENT, BESIDE, KIND_COUNT };

static const char *const kind_names[KIND_COUNT] = {"bare", "handler", "client", "beside"};

/* What one thread fills in, the main thread reads when it has ended. */
struct lateness {
    struct bench_series all;
    struct bench_series slice;
    struct bench_series p99_of_slices;
    uint64_t missed; // periods that were skipped
    uint32_t warm;   // entries of this slice, while they do not count
};

static struct lateness lateness[KIND_COUNT];
static enum kind measured; // of this slice; written before its threads begin
static bool refused;
static int cpu; // of the control and the IO thread

static void
add(struct lateness *l, uint64_t late_ns) DX_REALTIME
{
    bench_series_add(&l->all, late_ns);
    bench_series_add(&l->slice, late_ns);
}

/* An entry that was due at a time, and how many before it never came. */
static void
enter(struct lateness *l, uint64_t due_ns, uint64_t now_ns, uint64_t missing, double period_ns) DX_REALTIME
{
    if (l->warm < WARM_PERIODS) {
        l->warm++;
        return;
    }
    const uint64_t late_ns = now_ns > due_ns ? now_ns - due_ns : 0;
    add(l, late_ns);
    for (uint64_t i = 1; i <= missing && i < 1000; i++) {
        add(l, late_ns + (uint64_t)((double)i * period_ns));
        l->missed++;
    }
}

static const double period_ns = 1e9 * FRAMES / RATE_HZ;

/* ---- the control ---- */

struct bare {
    double seconds;
};

static void
run_bare(void *argument)
{
    const struct bare *const bare = argument;
    const uint64_t anchor_ns = bench_now_ns() + 1000000u;
    const uint64_t periods = (uint64_t)(bare->seconds * 1e9 / period_ns);
    for (uint64_t i = 0; i < periods; i++) {
        const uint64_t due_ns = anchor_ns + (uint64_t)((double)i * period_ns);
        const struct timespec due = {(time_t)(due_ns / 1000000000u), (long)(due_ns % 1000000000u)};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
            ;
        enter(&lateness[BARE], due_ns, bench_now_ns(), 0, period_ns);
    }
}

static void
bare_slice(double seconds)
{
    struct bare bare = {seconds};
    const dx_task_config config = {.name = "bare", .priority = PRIORITY, .cpu = 1 + cpu};
    dx_task *task = NULL;
    if (dx_task_spawn(dx_clock_host(), &config, run_bare, &bare, &task) != kIOReturnSuccess)
        bench_die("no thread");
    refused |= dx_task_degraded(task) & (DX_TASK_NOT_REALTIME | DX_TASK_NOT_PINNED);
    dx_task_join(task);
}

/* ---- the driver ---- */

static struct driver {
    IOUserAudioDriver *driver; // borrowed
    IOUserAudioDevice *device;
    uint64_t anchor_ns;   // of frame 0
    uint64_t next_stamp;  // frame
    uint64_t next_sample; // that BeginRead should come with
} driver;

/* Host time of a frame of the driver's clock. */
static uint64_t
host_ns(uint64_t frame) DX_REALTIME
{
    return driver.anchor_ns + frame / RATE_HZ * 1000000000u + frame % RATE_HZ * 1000000000u / RATE_HZ;
}

static kern_return_t
handle(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
       uint64_t host_time, void *context) DX_REALTIME
{
    (void)device, (void)host_time, (void)context;
    if (operation != IOUserAudioIOOperationBeginRead)
        return kIOReturnSuccess;

    /* BeginRead for [T - N, T): the cycle was due when the position reached T. */
    const uint64_t now_ns = dx_clock_now_ns(dx_clock_current());
    const uint64_t due = sample_time + frames;
    const uint64_t missing = driver.next_sample && sample_time > driver.next_sample
                                 ? (sample_time - driver.next_sample) / FRAMES
                                 : 0;
    driver.next_sample = due;
    if (measured == HANDLER)
        enter(&lateness[HANDLER], host_ns(due), now_ns, missing, period_ns);

    /* The clock is exact: its stamps need no timer, only to be posted when their time has come. */
    if (host_ns(driver.next_stamp) <= now_ns) {
        IOUserAudioDeviceUpdateCurrentZeroTimestamp(driver.device, driver.next_stamp, host_ns(driver.next_stamp));
        driver.next_stamp += RING_FRAMES;
    }
    return kIOReturnSuccess;
}

static kern_return_t
start_io(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags)
{
    const kern_return_t status = IOUserAudioDeviceStartIO_super(device, flags);
    if (status != kIOReturnSuccess)
        return status;
    driver.anchor_ns = bench_now_ns();
    driver.next_stamp = RING_FRAMES;
    driver.next_sample = 0;
    IOUserAudioDeviceUpdateCurrentZeroTimestamp(device, 0, driver.anchor_ns);
    return kIOReturnSuccess;
}

static kern_return_t
add_stream(IOUserAudioStreamDirection direction)
{
    const IOUserAudioStreamBasicDescription format = {
        .mSampleRate = RATE_HZ,
        .mFormatID = IOUserAudioFormatIDLinearPCM,
        .mFormatFlags = FormatFlagsNativeFloatPacked,
        .mBytesPerPacket = 8,
        .mFramesPerPacket = 1,
        .mBytesPerFrame = 8,
        .mChannelsPerFrame = 2,
        .mBitsPerChannel = 32,
    };
    IOBufferMemoryDescriptor *ring = NULL;
    kern_return_t status = IOBufferMemoryDescriptorCreate(kIOMemoryDirectionInOut, RING_FRAMES * 8u, 0, &ring);
    if (status != kIOReturnSuccess)
        return status;
    IOUserAudioStream *const stream =
        IOUserAudioStreamCreate(driver.driver, direction, (IOMemoryDescriptor *)ring);
    status = stream ? IOUserAudioStreamSetAvailableStreamFormats(stream, &format, 1) : kIOReturnNoMemory;
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceAddStream(driver.device, stream);
    OSObjectRelease(stream);
    OSObjectRelease(ring);
    return status;
}

static kern_return_t
build(void)
{
    static const IOUserAudioDeviceOverrides overrides = {.size = sizeof overrides, .StartIO = start_io};
    static const double rates[] = {RATE_HZ};
    OSString *const uid = OSStringCreate("org.dextral.bench");
    kern_return_t status = kIOReturnNoMemory;
    driver.device = IOUserAudioDeviceAlloc();
    if (driver.device && IOUserAudioDeviceSetOverrides(driver.device, &overrides) == kIOReturnSuccess &&
        IOUserAudioDeviceInit(driver.device, driver.driver, false, uid, NULL, NULL, RING_FRAMES))
        status = IOUserAudioDeviceSetAvailableSampleRates(driver.device, rates, 1);
    OSObjectRelease(uid);
    if (status == kIOReturnSuccess)
        status = dx_device_object_set_late_tolerance(driver.device, TOLERANCE_FRAMES);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetIOOperationHandler(driver.device, handle, NULL);
    if (status == kIOReturnSuccess)
        status = add_stream(IOUserAudioStreamDirectionOutput);
    if (status == kIOReturnSuccess)
        status = add_stream(IOUserAudioStreamDirectionInput);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDriverAddObject(driver.driver, driver.device);
    if (status == kIOReturnSuccess)
        status = IOServiceRegisterService(driver.driver);
    return status;
}

static kern_return_t
start(IOUserAudioDriver *self, IOService *provider)
{
    const kern_return_t status = IOUserAudioDriverStart_super(self, provider);
    return status == kIOReturnSuccess ? build() : status;
}

/* ---- clients ---- */

static uint64_t last_due_ns; // of the callback

static void
play(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    (void)context, (void)input, (void)output;
    const uint64_t now_ns = dx_clock_now_ns(dx_clock_current());
    const uint64_t since_ns = last_due_ns && cycle->host_time_ns > last_due_ns ? cycle->host_time_ns - last_due_ns : 0;
    const double periods = (double)since_ns / period_ns + 0.5;
    last_due_ns = cycle->host_time_ns;
    enter(&lateness[measured], cycle->host_time_ns, now_ns, periods >= 2.0 ? (uint64_t)periods - 1 : 0, period_ns);
}

static void
io_slice(dx_device *device, bool with_callback, double seconds)
{
    const dx_client_config config = {
        .size = sizeof config,
        .name = "bench",
        .output_stream = with_callback ? 0 : DX_NO_STREAM,
        .input_stream = 0,
        .io_frames = FRAMES,
        .priority = CLIENT_PRIORITY,
        .callback = with_callback ? play : NULL,
    };
    dx_client *client = NULL;
    last_due_ns = 0;
    if (measured == BESIDE)
        (void)bench_pin(cpu); // its thread inherits it
    kern_return_t status = dx_client_open(device, &config, &client);
    if (status == kIOReturnSuccess)
        status = dx_client_start(client);
    if (status != kIOReturnSuccess)
        bench_die(dx_return_string(status));
    if (measured == BESIDE)
        bench_unpin();
    dx_clock_sleep_until(dx_clock_host(), bench_now_ns() + (uint64_t)(seconds * 1e9));

    dx_device_statistics statistics = {.size = sizeof statistics};
    if (dx_device_get_statistics(device, &statistics) == kIOReturnSuccess)
        refused |= statistics.degraded & (DX_TASK_NOT_REALTIME | DX_TASK_NOT_PINNED);
    dx_client_close(client);
}

/* ---- the whole ---- */

static void
run_slice(dx_device *device, enum kind kind, double seconds)
{
    struct lateness *const l = &lateness[kind];
    measured = kind;
    l->warm = 0;
    bench_series_clear(&l->slice);
    if (kind == BARE)
        bare_slice(seconds);
    else
        io_slice(device, kind != HANDLER, seconds);
    if (l->slice.count * period_ns < seconds * 0.5e9)
        bench_die("less than half of the periods came");
    bench_series_add(&l->p99_of_slices, bench_series_quantile(&l->slice, 0.99));
}

/* Whether the control's slices tell different stories. */
static bool
is_noisy(double *ret_factor)
{
    struct bench_series *const p99 = &lateness[BARE].p99_of_slices;
    const double low = (double)bench_series_quantile(p99, 0.1);
    const double high = (double)bench_series_quantile(p99, 0.89);
    *ret_factor = low > 0.0 ? high / low : 0.0;
    return low <= 0.0 || high > low * NOISY_FACTOR;
}

static void
print_results(const struct bench_options *options, const struct bench_summary results[KIND_COUNT])
{
    double factor;
    const bool noisy = is_noisy(&factor) || refused;
    const char *separator = "";
    if (options->json)
        printf(", \"period_ns\": %.0f, \"priority\": %d, \"client_priority\": %d, \"priority_refused\": %s, "
               "\"control_p99_factor\": %.2f, \"rows\": [",
               period_ns, PRIORITY, CLIENT_PRIORITY, refused ? "true" : "false", factor);
    else
        printf("period %.0f ns, FIFO %d, client FIFO %d%s; the control's p99 differs by %.2f times between slices\n\n"
               "%-8s %9s %7s %9s %9s %9s %9s   %s\n",
               period_ns, PRIORITY, CLIENT_PRIORITY, refused ? " (REFUSED)" : "", factor, "", "periods", "missed",
               "p50 ns", "p99", "p99.9", "max", "p99 of each slice, us");
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        const struct bench_summary *const s = &results[kind];
        if (options->json)
            printf("%s\n{\"what\": \"%s\", \"periods\": %zu, \"missed\": %llu, \"p50_ns\": %.0f, \"p99_ns\": %.0f, "
                   "\"p999_ns\": %.0f, \"max_ns\": %.0f}",
                   separator, kind_names[kind], s->count, (unsigned long long)lateness[kind].missed, s->p50, s->p99,
                   s->p999, s->max);
        else {
            printf("%-8s %9zu %7llu %9.0f %9.0f %9.0f %9.0f  ", kind_names[kind], s->count,
                   (unsigned long long)lateness[kind].missed, s->p50, s->p99, s->p999, s->max);
            /* Sorted for the control, as they came for the others. */
            for (size_t i = 0; i < lateness[kind].p99_of_slices.count && i < 20; i++)
                printf(" %.0f", (double)lateness[kind].p99_of_slices.values[i] / 1e3);
            printf("\n");
        }
        separator = ",";
    }

    printf(options->json ? "\n], \"verdicts\": [" : "\n");
    const double handler_p50 = results[HANDLER].p50 - results[BARE].p50;
    const double handler_p99 = results[HANDLER].p99 / results[BARE].p99;
    const double client_p50 = results[CLIENT].p50 - results[BARE].p50;
    char figure[64];
    snprintf(figure, sizeof figure, "%+.0f ns", handler_p50);
    bench_print_verdict(options, "", "handler entry at most 3000 ns behind a bare sleep at p50", figure,
                        bench_judge(handler_p50 <= HANDLER_P50_NS, noisy));
    snprintf(figure, sizeof figure, "%.2f times", handler_p99);
    bench_print_verdict(options, ",", "handler entry at most 1.5 times as late as a bare sleep at p99", figure,
                        bench_judge(handler_p99 <= HANDLER_P99, noisy));
    snprintf(figure, sizeof figure, "%+.0f ns", client_p50);
    bench_print_verdict(options, ",", "a client's callback at most 10000 ns behind a bare sleep at p50", figure,
                        bench_judge(client_p50 <= CLIENT_P50_NS, noisy));
    if (options->json)
        printf("\n]}\n");
}

int
main(int argc, char **argv)
{
    const struct bench_options options = bench_options(argc, argv, 60.0);
    bench_print_machine(&options, "wake");
    cpu = bench_cpu(bench_cpu_count() - 1);
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        lateness[kind].all = bench_series_create(MOST_LATE);
        lateness[kind].slice = bench_series_create(MOST_LATE / FEWEST_ROUNDS);
        lateness[kind].p99_of_slices = bench_series_create(MOST_ROUNDS);
    }

    static const IOUserAudioDriverOverrides overrides = {.size = sizeof overrides, .Start = start};
    const dx_host_config config = {
        .size = sizeof config, .io_priority = PRIORITY, .io_cpu = 1 + cpu, .io_frames = FRAMES};
    dx_host *host = NULL;
    driver.driver = IOUserAudioDriverAlloc();
    if (!driver.driver || IOUserAudioDriverSetOverrides(driver.driver, &overrides) != kIOReturnSuccess ||
        dx_host_create(&config, &host) != kIOReturnSuccess ||
        dx_host_start_driver(host, driver.driver, NULL) != kIOReturnSuccess)
        bench_die("the driver did not start");
    dx_host_settle(host);
    dx_device *const device = dx_host_copy_device(host, "org.dextral.bench");
    if (!device)
        bench_die("the device is not there");

    double slice = options.seconds / (KIND_COUNT * FEWEST_ROUNDS);
    slice = slice < SLICE_SECONDS ? slice : SLICE_SECONDS;
    const double wanted = options.seconds / (KIND_COUNT * slice);
    const int rounds = wanted < MOST_ROUNDS ? (int)(wanted + 0.5) : MOST_ROUNDS;
    for (int round = 0; round < rounds; round++)
        for (int kind = 0; kind < KIND_COUNT; kind++)
            run_slice(device, (enum kind)kind, slice);

    struct bench_summary results[KIND_COUNT];
    for (int kind = 0; kind < KIND_COUNT; kind++)
        results[kind] = bench_series_summary(&lateness[kind].all, 0, 1.0);
    print_results(&options, results);

    dx_device_release(device);
    (void)dx_host_stop_driver(host, driver.driver); // the process ends
    OSObjectRelease(driver.device);
    OSObjectRelease(driver.driver);
    dx_host_destroy(host);
    return bench_exit_status();
}
