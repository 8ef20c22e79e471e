// SPDX-License-Identifier: MIT
// A driver for tests of the host, and a host that writes down what it says.

#include "test_driver.h"
#include "tests/break_rules.h"

#include <math.h>
#include <stdlib.h>

const char *test_filter;

/* ---- formats ---- */

static IOUserAudioStreamBasicDescription
make_format(double rate_hz, uint32_t channels, IOUserAudioFormatFlags flags, uint32_t bytes)
{
    return (IOUserAudioStreamBasicDescription){
        .mSampleRate = rate_hz,
        .mFormatID = IOUserAudioFormatIDLinearPCM,
        .mFormatFlags = flags,
        .mBytesPerPacket = channels * bytes,
        .mFramesPerPacket = 1,
        .mBytesPerFrame = channels * bytes,
        .mChannelsPerFrame = channels,
        .mBitsPerChannel = bytes * 8u,
    };
}

IOUserAudioStreamBasicDescription
test_format(double rate_hz, uint32_t channels)
{
    return make_format(rate_hz, channels, FormatFlagsNativeFloatPacked, 4);
}

IOUserAudioStreamBasicDescription
test_format_s16(double rate_hz, uint32_t channels)
{
    return make_format(rate_hz, channels, FormatFlagIsSignedInteger | FormatFlagIsPacked, 2);
}

/* ---- the log of calls ---- */

static void
note(struct test_driver *driver, const char *call)
{
    const size_t length = strlen(driver->calls);
    if (length + strlen(call) + 2 < sizeof driver->calls)
        (void)snprintf(driver->calls + length, sizeof driver->calls - length, "%s%s", length ? " " : "", call);
}

void
test_driver_forget(struct test_driver *driver)
{
    driver->calls[0] = '\0';
}

/* ---- the clock ---- */

uint64_t
test_driver_host_ns(const struct test_driver *driver, double sample)
{
    const double ns = (sample - (double)driver->anchor_sample) * 1e9 / driver->config.rate_hz /
                      (1.0 + driver->posted_ppm * 1e-6);
    return ns < 0 ? driver->anchor_ns - (uint64_t)llround(-ns) : driver->anchor_ns + (uint64_t)llround(ns);
}

static uint64_t
stamp_sample(const struct test_driver *driver)
{
    return driver->anchor_sample + driver->next_stamp * driver->config.period_frames;
}

static void
arm(struct test_driver *driver)
{
    (void)IOTimerDispatchSourceWakeAtTime(driver->timer, kIOTimerClockMachAbsoluteTime,
                                          test_driver_host_ns(driver, (double)stamp_sample(driver)), 0);
}

static void
post(struct test_driver *driver)
{
    const uint64_t sample = stamp_sample(driver);
    uint64_t host_ns = test_driver_host_ns(driver, (double)sample);
    if (driver->config.jitter_ns)
        host_ns += dx_clock_random(dx_clock_current()) % driver->config.jitter_ns;
    IOUserAudioDeviceUpdateCurrentZeroTimestamp(driver->device, sample, host_ns);
    driver->next_stamp++;
}

static void
tick(void *context, uint64_t now)
{
    struct test_driver *const driver = context;
    if (!atomic_load(&driver->clock_runs))
        return;
    while (test_driver_host_ns(driver, (double)stamp_sample(driver)) <= now)
        post(driver);
    arm(driver);
}

static void
start_clock(void *context)
{
    struct test_driver *const driver = context;
    const struct test_config *const config = &driver->config;
    const uint64_t now = mach_absolute_time();
    uint64_t sample = 0, host = 0;
    driver->posted_ppm = config->ppm;
    driver->config.rate_hz = IOUserAudioDeviceGetSampleRate(driver->device);
    driver->config.period_frames = IOUserAudioDeviceGetZeroTimestampPeriod(driver->device);
    switch (config->stamps) {
    case TEST_STAMPS_AT_ONCE:
        driver->anchor_ns = now;
        driver->anchor_sample = config->first_sample;
        driver->next_stamp = 0;
        post(driver);
        break;
    case TEST_STAMPS_SIMPLE:
        IOUserAudioDeviceUpdateCurrentZeroTimestamp(driver->device, 0, 0);
        driver->anchor_ns = now;
        driver->anchor_sample = config->first_sample;
        driver->anchor_ns = test_driver_host_ns(driver, (double)(driver->anchor_sample + config->period_frames));
        driver->next_stamp = 0;
        break;
    case TEST_STAMPS_RESUME:
        IOUserAudioDeviceGetCurrentZeroTimestamp(driver->device, &sample, &host);
        driver->next_stamp = 0;
        if (host == 0) {
            driver->anchor_ns = now;
            driver->anchor_sample = config->first_sample;
            post(driver);
        } else {
            /* The hardware ran on meanwhile: its next crossing of the ring's start. */
            driver->anchor_ns = host;
            driver->anchor_sample = sample;
            while (test_driver_host_ns(driver, (double)stamp_sample(driver)) <= now)
                driver->next_stamp++;
        }
        break;
    case TEST_STAMPS_NONE:
        return;
    }
    atomic_store(&driver->clock_runs, true);
    arm(driver);
}

static void
stop_clock(void *context)
{
    struct test_driver *const driver = context;
    atomic_store(&driver->clock_runs, false);
}

static void
cancel_clock(void *context)
{
    struct test_driver *const driver = context;
    atomic_store(&driver->clock_runs, false);
    (void)IOTimerDispatchSourceCancel_f(driver->timer, NULL, NULL);
}

/* ---- the handler ---- */

static void
copy_span(const struct test_driver *driver, uint8_t *to, const uint8_t *from, size_t bytes, uint64_t sample,
          uint32_t frames)
{
    const uint32_t ring = driver->config.period_frames;
    for (uint32_t done = 0; done < frames;) {
        const uint32_t at = (uint32_t)((sample + done) % ring);
        const uint32_t n = ring - at < frames - done ? ring - at : frames - done;
        memcpy(to + at * bytes, from + at * bytes, n * bytes);
        done += n;
    }
}

static void
hear(struct test_driver *driver, uint64_t sample, uint32_t frames)
{
    const IOUserAudioStreamBasicDescription format = IOUserAudioStreamGetCurrentStreamFormat(driver->outputs[0]);
    for (uint32_t i = 0; i < frames; i++) {
        if (sample + i >= driver->heard_frames)
            return;
        memcpy(&driver->heard[sample + i],
               driver->output_rings[0] + (sample + i) % driver->config.period_frames * format.mBytesPerFrame,
               sizeof(float));
    }
}

static kern_return_t
handle_io(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
          uint64_t host_time, void *context) DX_REALTIME
{
    (void)device, (void)host_time;
    struct test_driver *const driver = context;
    if (!atomic_load(&driver->io_runs))
        atomic_fetch_add(&driver->stray_calls, 1);
    uint32_t seen = atomic_load(&driver->smallest_operation);
    if (!seen || frames < seen)
        atomic_store(&driver->smallest_operation, frames);
    if (frames > atomic_load(&driver->largest_operation))
        atomic_store(&driver->largest_operation, frames);
    if (driver->config.in_handler)
        driver->config.in_handler(driver, operation, frames, sample_time);
    if (operation == IOUserAudioIOOperationBeginRead) {
        atomic_fetch_add(&driver->begin_reads, 1);
        atomic_fetch_add(&driver->frames_read, frames);
        atomic_store(&driver->last_read, sample_time);
    } else {
        atomic_fetch_add(&driver->write_ends, 1);
        atomic_fetch_add(&driver->frames_written, frames);
        atomic_store(&driver->last_write, sample_time);
        if (driver->heard)
            hear(driver, sample_time, frames);
        if (driver->config.loops_back)
            copy_span(driver, driver->input_rings[0], driver->output_rings[0],
                      driver->config.formats[0].mBytesPerFrame, sample_time, frames);
    }
    BREAK_RULES_BEGIN("a slow handler, where a test wants one")
    if (driver->config.handler_ns)
        dx_clock_sleep_until(dx_clock_current(), dx_clock_now_ns(dx_clock_current()) + driver->config.handler_ns);
    BREAK_RULES_END
    return kIOReturnSuccess;
}

/* ---- overrides ---- */

static kern_return_t
start_io(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags)
{
    struct test_driver *const driver = OSObjectGetPeer(device);
    CHECK(IODispatchQueueOnQueue(driver->queue));
    atomic_fetch_add(&driver->start_ios, 1);
    note(driver, "StartIO");
    driver->last_flags = flags;
    const bool was_running = IOUserAudioDeviceGetDeviceIsRunning(device);
    kern_return_t status = IOUserAudioDeviceStartIO_super(device, flags);
    if (driver->config.start_io_ns)
        test_sleep(driver->config.start_io_ns);
    if (driver->config.in_start_io)
        driver->config.in_start_io(driver);
    if (status == kIOReturnSuccess && driver->config.start_io_status != kIOReturnSuccess) {
        if (!was_running)
            (void)IOUserAudioDeviceStopIO_super(device, flags);
        return driver->config.start_io_status;
    }
    if (status != kIOReturnSuccess || was_running || flags == IOUserAudioStartStopFlagsPrewarm)
        return status;
    atomic_store(&driver->io_runs, true);
    status = IODispatchQueueDispatchSync_f(driver->clock_queue, driver, start_clock);
    return status;
}

static kern_return_t
stop_io(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags)
{
    struct test_driver *const driver = OSObjectGetPeer(device);
    CHECK(IODispatchQueueOnQueue(driver->queue));
    atomic_fetch_add(&driver->stop_ios, 1);
    note(driver, "StopIO");
    driver->last_flags = flags;
    if (flags == IOUserAudioStartStopFlagsNone) {
        (void)IODispatchQueueDispatchSync_f(driver->clock_queue, driver, stop_clock);
        atomic_store(&driver->io_runs, false);
    }
    return IOUserAudioDeviceStopIO_super(device, flags);
}

static kern_return_t
perform(IOUserAudioDevice *device, uint64_t action, OSObjectPtr info)
{
    struct test_driver *const driver = OSObjectGetPeer(device);
    CHECK(IODispatchQueueOnQueue(driver->queue));
    atomic_fetch_add(&driver->performs, 1);
    note(driver, "Perform");
    const kern_return_t status =
        driver->config.in_perform ? driver->config.in_perform(driver, action, info) : kIOReturnSuccess;
    if (status != kIOReturnSuccess)
        return status;
    return IOUserAudioDevicePerformDeviceConfigurationChange_super(device, action, info);
}

static kern_return_t
abort_change(IOUserAudioDevice *device, uint64_t action, OSObjectPtr info)
{
    struct test_driver *const driver = OSObjectGetPeer(device);
    CHECK(IODispatchQueueOnQueue(driver->queue));
    atomic_fetch_add(&driver->aborts, 1);
    note(driver, "Abort");
    if (driver->config.in_abort)
        driver->config.in_abort(driver, action, info);
    return IOUserAudioDeviceAbortDeviceConfigurationChange_super(device, action, info);
}

static kern_return_t
change_rate(IOUserAudioDevice *device, double rate_hz)
{
    struct test_driver *const driver = OSObjectGetPeer(device);
    CHECK(IODispatchQueueOnQueue(driver->queue));
    atomic_fetch_add(&driver->rate_changes, 1);
    note(driver, "HandleChangeSampleRate");
    return IOUserAudioDeviceHandleChangeSampleRate_super(device, rate_hz);
}

static kern_return_t
start_stream(IOUserAudioStream *stream, IOUserAudioStartStopFlags flags)
{
    struct test_driver *const driver = OSObjectGetPeer(stream);
    atomic_fetch_add(&driver->stream_starts, 1);
    note(driver, "stream.StartIO");
    return IOUserAudioStreamStartIO_super(stream, flags);
}

static kern_return_t
stop_stream(IOUserAudioStream *stream, IOUserAudioStartStopFlags flags)
{
    struct test_driver *const driver = OSObjectGetPeer(stream);
    atomic_fetch_add(&driver->stream_stops, 1);
    note(driver, "stream.StopIO");
    return IOUserAudioStreamStopIO_super(stream, flags);
}

static kern_return_t
change_format(IOUserAudioStream *stream, const IOUserAudioStreamBasicDescription *format)
{
    struct test_driver *const driver = OSObjectGetPeer(stream);
    atomic_fetch_add(&driver->format_changes, 1);
    note(driver, "HandleChangeCurrentStreamFormat");
    return IOUserAudioStreamHandleChangeCurrentStreamFormat_super(stream, format);
}

/* ---- making ---- */

static kern_return_t
make_stream(struct test_driver *driver, IOUserAudioStreamDirection direction, IOUserAudioStream **ret_stream,
            uint8_t **ret_ring)
{
    static const IOUserAudioStreamOverrides overrides = {
        .size = sizeof overrides,
        .StartIO = start_stream,
        .StopIO = stop_stream,
        .HandleChangeCurrentStreamFormat = change_format,
    };
    const struct test_config *const config = &driver->config;
    uint32_t largest = 0;
    for (uint32_t i = 0; i < config->format_count; i++)
        largest = config->formats[i].mBytesPerFrame > largest ? config->formats[i].mBytesPerFrame : largest;

    IOBufferMemoryDescriptor *memory = NULL;
    IOAddressSegment range;
    kern_return_t status = IOBufferMemoryDescriptorCreate(kIOMemoryDirectionInOut,
                                                          (uint64_t)config->ring_frames * largest, 0, &memory);
    if (status == kIOReturnSuccess)
        status = IOBufferMemoryDescriptorGetAddressRange(memory, &range);
    if (status != kIOReturnSuccess) {
        OSObjectRelease(memory);
        return status;
    }
    *ret_ring = (uint8_t *)(uintptr_t)range.address;
    IOUserAudioStream *const stream = IOUserAudioStreamAlloc();
    *ret_stream = stream;
    OSObjectSetPeer(stream, driver, NULL);
    status = kIOReturnNoMemory;
    if (stream && IOUserAudioStreamSetOverrides(stream, &overrides) == kIOReturnSuccess &&
        IOUserAudioStreamInit(stream, driver->driver, direction, memory))
        status = IOUserAudioStreamSetAvailableStreamFormats(stream, config->formats, config->format_count);
    if (status == kIOReturnSuccess)
        status = IOUserAudioStreamSetLatency(stream, config->stream_latency);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceAddStream(driver->device, stream);
    OSObjectRelease(memory);
    return status;
}

static kern_return_t
make_device(struct test_driver *driver)
{
    static const IOUserAudioDeviceOverrides overrides = {
        .size = sizeof overrides,
        .StartIO = start_io,
        .StopIO = stop_io,
        .PerformDeviceConfigurationChange = perform,
        .AbortDeviceConfigurationChange = abort_change,
        .HandleChangeSampleRate = change_rate,
    };
    const struct test_config *const config = &driver->config;
    OSString *const uid = OSStringCreate(config->uid);
    driver->device = IOUserAudioDeviceAlloc();
    OSObjectSetPeer(driver->device, driver, NULL);
    const bool made = uid && driver->device &&
                      IOUserAudioDeviceSetOverrides(driver->device, &overrides) == kIOReturnSuccess &&
                      IOUserAudioDeviceInit(driver->device, driver->driver, config->prewarms, uid, NULL, NULL,
                                            config->period_frames);
    OSObjectRelease(uid);
    if (!made)
        return kIOReturnNoMemory;

    double rates[TEST_FORMATS];
    size_t rate_count = 0;
    for (uint32_t i = 0; i < config->format_count; i++) {
        bool is_new = true;
        for (size_t j = 0; j < rate_count; j++)
            is_new &= rates[j] != config->formats[i].mSampleRate;
        if (is_new)
            rates[rate_count++] = config->formats[i].mSampleRate;
    }
    IOUserAudioDevice *const device = driver->device;
    kern_return_t status = IOUserAudioDeviceSetAvailableSampleRates(device, rates, rate_count);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetSampleRate(device, config->rate_hz);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetClockAlgorithm(device, config->algorithm);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetInputSafetyOffset(device, config->input_safety);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetOutputSafetyOffset(device, config->output_safety);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetInputLatency(device, config->input_latency);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetOutputLatency(device, config->output_latency);
    if (status == kIOReturnSuccess)
        status = dx_device_object_set_late_tolerance(device, config->late_tolerance);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetIOOperationHandler(device, handle_io, driver);
    if (status == kIOReturnSuccess && config->is_hidden)
        status = IOUserAudioDeviceSetIsHidden(device, true);
    if (config->refuses_restored_controls)
        IOUserAudioDeviceSetWantsControlsRestored(device, false);
    if (config->refuses_restored_formats)
        IOUserAudioDeviceSetWantsStreamFormatsRestored(device, false);
    return status;
}

static kern_return_t
make_volume(struct test_driver *driver)
{
    driver->volume = IOUserAudioLevelControlCreate(
        driver->driver, true, 0.0f, (IOUserAudioLevelControlRange){-96.0f, 0.0f}, IOUserAudioObjectPropertyElementMain,
        IOUserAudioObjectPropertyScopeOutput, IOUserAudioClassIDVolumeControl);
    return driver->volume ? IOUserAudioDeviceAddControl(driver->device, driver->volume) : kIOReturnNoMemory;
}

static kern_return_t
make(struct test_driver *driver)
{
    struct test_config *const config = &driver->config;
    kern_return_t status = make_device(driver);
    for (uint32_t i = 0; i < config->output_streams && status == kIOReturnSuccess; i++)
        status = make_stream(driver, IOUserAudioStreamDirectionOutput, &driver->outputs[i], &driver->output_rings[i]);
    for (uint32_t i = 0; i < config->input_streams && status == kIOReturnSuccess; i++)
        status = make_stream(driver, IOUserAudioStreamDirectionInput, &driver->inputs[i], &driver->input_rings[i]);
    if (status == kIOReturnSuccess && config->has_volume)
        status = make_volume(driver);
    if (status == kIOReturnSuccess)
        status = IODispatchQueueCreate("test-clock", 0, 0, &driver->clock_queue);
    if (status == kIOReturnSuccess)
        status = IOTimerDispatchSourceCreate(driver->clock_queue, &driver->timer);
    if (status == kIOReturnSuccess)
        status = IOTimerDispatchSourceSetHandler_f(driver->timer, driver, tick);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDriverAddObject(driver->driver, driver->device);
    if (status == kIOReturnSuccess && config->insists)
        status = IOUserAudioStreamSetCurrentStreamFormat(driver->outputs[0], &config->formats[1]);
    if (status == kIOReturnSuccess && !config->does_not_register)
        status = IOServiceRegisterService(driver->driver);
    if (status == kIOReturnSuccess)
        status = config->start_status;
    return status;
}

static kern_return_t
start(IOUserAudioDriver *object, IOService *provider)
{
    struct test_driver *const driver = OSObjectGetPeer(object);
    atomic_fetch_add(&driver->starts, 1);
    note(driver, "Start");
    kern_return_t status = IOUserAudioDriverStart_super(object, provider);
    if (status != kIOReturnSuccess)
        return status;
    driver->queue = IOUserAudioDriverGetWorkQueue(object);
    status = make(driver);
    if (status != kIOReturnSuccess) {
        if (driver->device)
            (void)IOUserAudioDriverRemoveObject(object, driver->device);
        (void)IOUserAudioDriverStop_super(object, provider);
    }
    return status;
}

static kern_return_t
stop(IOUserAudioDriver *object, IOService *provider)
{
    struct test_driver *const driver = OSObjectGetPeer(object);
    atomic_fetch_add(&driver->stops, 1);
    note(driver, "Stop");
    if (driver->config.stop_removes)
        CHECK_OK(IOUserAudioDriverRemoveObject(object, driver->device));
    return IOUserAudioDriverStop_super(object, provider);
}

static kern_return_t
start_device(IOUserAudioDriver *object, IOUserAudioObjectID device, IOUserAudioStartStopFlags flags)
{
    struct test_driver *const driver = OSObjectGetPeer(object);
    CHECK(IODispatchQueueOnQueue(driver->queue));
    atomic_fetch_add(&driver->start_devices, 1);
    note(driver, "StartDevice");
    const kern_return_t status = IOUserAudioDriverStartDevice_super(object, device, flags);
    if (driver->config.in_start_device)
        driver->config.in_start_device(driver);
    return status;
}

static kern_return_t
stop_device(IOUserAudioDriver *object, IOUserAudioObjectID device, IOUserAudioStartStopFlags flags)
{
    struct test_driver *const driver = OSObjectGetPeer(object);
    CHECK(IODispatchQueueOnQueue(driver->queue));
    atomic_fetch_add(&driver->stop_devices, 1);
    note(driver, "StopDevice");
    return IOUserAudioDriverStopDevice_super(object, device, flags);
}

static void
free_driver(IOUserAudioDriver *object)
{
    struct test_driver *const driver = OSObjectGetPeer(object);
    if (driver->timer)
        (void)IODispatchQueueDispatchSync_f(driver->clock_queue, driver, cancel_clock);
    OSSafeReleaseNULL(driver->timer);
    OSSafeReleaseNULL(driver->clock_queue);
    OSSafeReleaseNULL(driver->queue);
    for (uint32_t i = 0; i < TEST_STREAMS; i++) {
        OSSafeReleaseNULL(driver->outputs[i]);
        OSSafeReleaseNULL(driver->inputs[i]);
    }
    OSSafeReleaseNULL(driver->volume);
    OSSafeReleaseNULL(driver->device);
    atomic_fetch_add(&driver->frees, 1);
    IOUserAudioDriverFree_super(object);
}

IOUserAudioDriver *
test_driver_create(struct test_driver *driver, const struct test_config *config)
{
    static const IOUserAudioDriverOverrides overrides = {
        .size = sizeof overrides,
        .free = free_driver,
        .Start = start,
        .Stop = stop,
        .StartDevice = start_device,
        .StopDevice = stop_device,
    };
    float *const heard = driver->heard;
    const uint64_t heard_frames = driver->heard_frames;
    memset(driver, 0, sizeof *driver);
    driver->heard = heard;
    driver->heard_frames = heard_frames;
    if (config)
        driver->config = *config;
    struct test_config *const c = &driver->config;
    c->uid = c->uid ? c->uid : TEST_UID;
    c->period_frames = c->period_frames ? c->period_frames : 16384;
    c->ring_frames = c->ring_frames ? c->ring_frames : c->period_frames;
    c->algorithm = c->algorithm ? c->algorithm : (IOUserAudioClockAlgorithm)IOUserAudioClockAlgorithmRaw;
    if (!c->output_streams && !c->input_streams)
        c->output_streams = c->input_streams = 1;
    c->output_streams = c->output_streams == TEST_NONE ? 0 : c->output_streams;
    c->input_streams = c->input_streams == TEST_NONE ? 0 : c->input_streams;
    if (!c->format_count) {
        c->format_count = 3;
        c->formats[0] = test_format(48000, 2);
        c->formats[1] = test_format(44100, 2);
        c->formats[2] = test_format(96000, 2);
    }
    c->rate_hz = c->rate_hz > 0 ? c->rate_hz : c->formats[0].mSampleRate;

    IOUserAudioDriver *const object = IOUserAudioDriverAlloc();
    if (!object)
        return NULL;
    OSObjectSetPeer(object, driver, NULL);
    driver->driver = object;
    if (IOUserAudioDriverSetOverrides(object, &overrides) != kIOReturnSuccess)
        abort();
    return object;
}

/* ---- the host ---- */

static void
listen(void *context, const dx_host_event *event)
{
    struct test_host *const host = context;
    const uint32_t index = atomic_load(&host->event_count);
    if (index < sizeof host->events / sizeof host->events[0]) {
        struct test_event *const to = &host->events[index];
        *to = (struct test_event){
            .kind = event->kind,
            .object = event->object,
            .selector_count = event->selector_count,
            .status = event->status,
            .has_device = event->device,
            .time_ns = test_now(),
        };
        for (uint32_t i = 0; i < event->selector_count && i < 8; i++)
            to->selectors[i] = event->selectors[i];
        atomic_store(&host->event_count, index + 1);
    }
    if (host->in_event)
        host->in_event(host, event);
}

static void
write_line(void *context, const char *line)
{
    struct test_host *const host = context;
    /* Lines may come from several threads; what is lost in a race is text only. */
    if (atomic_fetch_add(&host->lines, 1) > 1000)
        return;
    const size_t length = strlen(host->log);
    if (length + strlen(line) + 2 < sizeof host->log)
        (void)snprintf(host->log + length, sizeof host->log - length, "%s\n", line);
    if (getenv("TEST_LOG"))
        (void)fprintf(stderr, "  log: %s\n", line);
}

void
test_host_create(struct test_host *host, const dx_host_config *config)
{
    memset(host, 0, sizeof *host);
    if (config)
        host->config = *config;
    host->config.size = sizeof host->config;
    host->config.io_priority = host->config.io_priority ? host->config.io_priority : -1;
    host->config.listener = listen;
    host->config.listener_context = host;
    host->config.log = write_line;
    host->config.log_context = host;
    CHECK_OK(dx_host_create(&host->config, &host->host));
}

void
test_host_destroy(struct test_host *host)
{
    dx_host_destroy(host->host);
    host->host = NULL;
}

void
test_host_forget(struct test_host *host)
{
    dx_host_settle(host->host);
    atomic_store(&host->event_count, 0);
    host->log[0] = '\0';
}

uint32_t
test_host_count(const struct test_host *host, dx_host_event_kind kind)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < atomic_load(&host->event_count); i++)
        n += host->events[i].kind == kind;
    return n;
}

uint32_t
test_host_find(const struct test_host *host, dx_host_event_kind kind, uint32_t from)
{
    const uint32_t count = atomic_load(&host->event_count);
    while (from < count && host->events[from].kind != kind)
        from++;
    return from < count ? from : count;
}

bool
test_host_told(const struct test_host *host, IOUserAudioObjectID object, IOUserAudioObjectPropertySelector selector)
{
    for (uint32_t i = 0; i < atomic_load(&host->event_count); i++) {
        const struct test_event *const event = &host->events[i];
        if (event->kind != DX_EVENT_PROPERTIES_CHANGED || (object && event->object != object))
            continue;
        for (uint32_t j = 0; j < event->selector_count && j < 8; j++)
            if (event->selectors[j] == selector)
                return true;
    }
    return false;
}

/* ---- the rig ---- */

void
test_rig_start(struct test_rig *rig, const struct test_config *config, const dx_host_config *host_config)
{
    test_host_create(&rig->host, host_config);
    IOUserAudioDriver *const driver = test_driver_create(&rig->driver, config);
    CHECK(driver);
    CHECK_OK(dx_host_start_driver(rig->host.host, driver, NULL));
    OSObjectRelease(driver);
    dx_host_settle(rig->host.host);
    rig->device = dx_host_copy_device(rig->host.host, rig->driver.config.uid);
    CHECK(rig->device);
    rig->object = dx_device_copy_object(rig->device);
    CHECK(rig->object == rig->driver.device);
}

void
test_rig_finish(struct test_rig *rig)
{
    OSSafeReleaseNULL(rig->object);
    dx_device_release(rig->device);
    rig->device = NULL;
    test_host_destroy(&rig->host);
    CHECK_EQ(rig->driver.frees, 1);
    CHECK_EQ(rig->driver.stray_calls, 0);
}

/* ---- clients ---- */

dx_client *
test_open(dx_device *device, bool plays, bool records, uint32_t io_frames)
{
    const dx_client_config config = {
        .size = sizeof config,
        .output_stream = plays ? 0 : DX_NO_STREAM,
        .input_stream = records ? 0 : DX_NO_STREAM,
        .io_frames = io_frames,
        .priority = -1,
    };
    dx_client *client = NULL;
    CHECK_OK(dx_client_open(device, &config, &client));
    return client;
}

dx_client_status
test_status(dx_client *client)
{
    dx_client_status status = {.size = sizeof status};
    CHECK_OK(dx_client_get_status(client, &status));
    return status;
}

dx_device_info
test_info(dx_device *device)
{
    dx_device_info info = {.size = sizeof info};
    CHECK_OK(dx_device_get_info(device, &info));
    return info;
}

dx_device_statistics
test_statistics(dx_device *device)
{
    dx_device_statistics statistics = {.size = sizeof statistics};
    CHECK_OK(dx_device_get_statistics(device, &statistics));
    return statistics;
}

/* ---- time ---- */

uint64_t
test_now(void)
{
    return dx_clock_now_ns(dx_clock_current());
}

void
test_sleep(uint64_t ns)
{
    dx_clock_sleep_until(dx_clock_current(), test_now() + ns);
}

dx_task *
test_spawn(void (*function)(void *), void *argument)
{
    dx_task *task = NULL;
    CHECK_OK(dx_task_spawn(dx_clock_current(), NULL, function, argument, &task));
    return task;
}

static void
call_test(void *argument)
{
    void (*const *const test)(void) = argument;
    (*test)();
}

void
test_simulate_seeded(void (*test)(void), uint64_t seed)
{
    const dx_simulation_config config = {.size = sizeof config, .seed = seed, .limit_ns = 4000 * TEST_S};
    dx_simulation_result result;
    const kern_return_t status = dx_simulate(&config, call_test, &test, &result);
    if (status != kIOReturnSuccess || !result.repeatable) {
        (void)fprintf(stderr, "seed %llu: %s%s: %s\n", (unsigned long long)seed, dx_return_string(status),
                      result.repeatable ? "" : ", not repeatable", result.message);
        abort();
    }
}

void
test_simulate(void (*test)(void))
{
    const char *const seed = getenv("TEST_SEED"); // to look for what depends on the order of tasks
    test_simulate_seeded(test, seed ? strtoull(seed, NULL, 0) : 1);
}
