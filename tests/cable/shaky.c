// SPDX-License-Identifier: MIT
// A driver whose clock does what the test says.

#include "tests/cable/shaky.h"

#include "tests/break_rules.h"

#include <math.h>

static const double rates[] = {48000.0, 44100.0, 96000.0};
#define RATES (sizeof rates / sizeof rates[0])

struct shaky {
    struct shaky_config config;
    IOUserAudioDriver *driver; // borrowed: this is its peer
    IODispatchQueue *queue;
    IOUserAudioDevice *device;
    IOUserAudioStream *streams[2];
    float *rings[2]; // by direction
    IOTimerDispatchSource *timer;
    /* The clock; on the work queue. */
    uint64_t random;
    double rate_hz;
    uint64_t anchor_ns;
    uint64_t stamp;   // the next: of frame stamp * period of the hardware's time
    uint64_t next_ns; // when it will be posted
    int64_t shift;    // sample time less the hardware's
    uint64_t off_grid;
    bool is_frozen;
};

void
shaky_tape_add(struct shaky_tape *tape, float sample) DX_REALTIME
{
    if (tape->exact && !tape->pending && sample == shaky_sample(tape->next)) {
        tape->exact++;
        tape->next++;
        return;
    }
    if (sample == 0.0f) {
        tape->pending += tape->exact != 0;
        return;
    }
    const double number = (double)sample * 1048576.0 - 1.0;
    if (!(number >= 0.0) || number >= (double)SHAKY_NUMBERS || number != floor(number)) {
        tape->wrong++;
        return;
    }
    const uint64_t left_out = ((uint64_t)number + SHAKY_NUMBERS - tape->next % SHAKY_NUMBERS) % SHAKY_NUMBERS;
    if (left_out > SHAKY_NUMBERS / 2u) {
        tape->wrong++;
        return;
    }
    if (tape->exact && left_out) {
        tape->missing += left_out;
        tape->gaps++;
    }
    tape->silent += tape->pending;
    tape->pending = 0;
    tape->exact++;
    tape->next += left_out + 1u;
}

static kern_return_t
handle_io(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
          uint64_t host_time, void *context) DX_REALTIME
{
    struct shaky *const shaky = context;
    struct shaky_tapes *const tapes = shaky->config.tapes;
    const uint32_t period = shaky->config.period_frames;
    (void)device, (void)host_time;
    if (operation == IOUserAudioIOOperationBeginRead) {
        float *const ring = shaky->rings[IOUserAudioStreamDirectionInput];
        for (uint32_t i = 0; i < frames; i++)
            ring[(sample_time + i) % period] = shaky_sample(tapes->recorded++);
        return kIOReturnSuccess;
    }
    const float *const ring = shaky->rings[IOUserAudioStreamDirectionOutput];
    for (uint32_t i = 0; i < frames; i++)
        shaky_tape_add(&tapes->played, ring[(sample_time + i) % period]);
    BREAK_RULES_BEGIN("as the test wants it")
    if (tapes->stall_ns)
        IODelay(tapes->stall_ns / 1000u);
    BREAK_RULES_END
    tapes->stall_ns = 0;
    return kIOReturnSuccess;
}

/* ---- the clock ---- */

static void
plan_stamp(struct shaky *shaky)
{
    const double frames = (double)(shaky->stamp * shaky->config.period_frames);
    const double ns = frames * 1e9 / shaky->rate_hz * (1.0 + shaky->config.ppm * 1e-6);
    const uint64_t jitter = shaky->config.jitter_ns ? rig_random(&shaky->random) % shaky->config.jitter_ns : 0;
    shaky->next_ns = shaky->anchor_ns + (uint64_t)(ns + 0.5) + jitter;
}

static void
tick(void *context, uint64_t now)
{
    struct shaky *const shaky = context;
    while (shaky->next_ns <= now) {
        const int64_t sample_time = (int64_t)(shaky->stamp * shaky->config.period_frames) + shaky->shift;
        if (!shaky->is_frozen && sample_time >= 0)
            IOUserAudioDeviceUpdateCurrentZeroTimestamp(shaky->device, (uint64_t)sample_time + shaky->off_grid,
                                                        shaky->next_ns);
        shaky->off_grid = 0;
        shaky->stamp++;
        plan_stamp(shaky);
    }
    CHECK_OK(IOTimerDispatchSourceWakeAtTime(shaky->timer, kIOTimerClockMachAbsoluteTime, shaky->next_ns, 0));
}

struct fault {
    struct shaky *shaky;
    enum shaky_fault fault;
    uint64_t frames;
};

static void
do_fault(void *context)
{
    const struct fault *const fault = context;
    struct shaky *const shaky = fault->shaky;
    switch (fault->fault) {
    case SHAKY_JUMP:
        shaky->shift += (int64_t)fault->frames;
        break;
    case SHAKY_BACK:
        shaky->shift -= (int64_t)fault->frames;
        break;
    case SHAKY_OFF_GRID:
        shaky->off_grid = fault->frames;
        break;
    case SHAKY_FREEZE:
        shaky->is_frozen = true;
        break;
    case SHAKY_THAW:
        shaky->is_frozen = false;
        break;
    case SHAKY_CLEAR:
        IOUserAudioDeviceUpdateCurrentZeroTimestamp(shaky->device, 0, 0);
        shaky->shift = -(int64_t)(shaky->stamp * shaky->config.period_frames);
        break;
    }
}

void
shaky_do(IOUserAudioDriver *driver, enum shaky_fault what, uint64_t frames)
{
    struct fault fault = {OSObjectGetPeer(driver), what, frames};
    CHECK_OK(IODispatchQueueDispatchSync_f(fault.shaky->queue, &fault, do_fault));
}

/* ---- the device ---- */

static kern_return_t
start_io(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags)
{
    struct shaky *const shaky = OSObjectGetPeer(device);
    const bool was_running = IOUserAudioDeviceGetDeviceIsRunning(device);
    const kern_return_t status = IOUserAudioDeviceStartIO_super(device, flags);
    if (status != kIOReturnSuccess || was_running)
        return status;
    shaky->rate_hz = IOUserAudioDeviceGetSampleRate(device);
    shaky->anchor_ns = mach_absolute_time();
    shaky->stamp = 0;
    shaky->shift = 0;
    shaky->is_frozen = false;
    plan_stamp(shaky);
    shaky->next_ns = shaky->anchor_ns; // the first at once
    tick(shaky, shaky->anchor_ns);
    return IOTimerDispatchSourceSetEnable(shaky->timer, true);
}

static kern_return_t
stop_io(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags)
{
    struct shaky *const shaky = OSObjectGetPeer(device);
    CHECK_OK(IOTimerDispatchSourceSetEnable(shaky->timer, false));
    return IOUserAudioDeviceStopIO_super(device, flags);
}

static void
add_stream(struct shaky *shaky, IOUserAudioStreamDirection direction)
{
    IOUserAudioStreamBasicDescription formats[RATES];
    for (size_t i = 0; i < RATES; i++)
        formats[i] = (IOUserAudioStreamBasicDescription){
            .mSampleRate = rates[i],
            .mFormatID = IOUserAudioFormatIDLinearPCM,
            .mFormatFlags = FormatFlagsNativeFloatPacked,
            .mBytesPerPacket = sizeof(float),
            .mFramesPerPacket = 1,
            .mBytesPerFrame = sizeof(float),
            .mChannelsPerFrame = 1,
            .mBitsPerChannel = 32,
        };
    IOBufferMemoryDescriptor *memory = NULL;
    IOAddressSegment range;
    CHECK_OK(IOBufferMemoryDescriptorCreate(kIOMemoryDirectionInOut, shaky->config.period_frames * sizeof(float), 0,
                                            &memory));
    CHECK_OK(IOBufferMemoryDescriptorGetAddressRange(memory, &range));
    shaky->rings[direction] = (float *)(uintptr_t)range.address;
    IOUserAudioStream *stream = IOUserAudioStreamCreate(shaky->driver, direction, (IOMemoryDescriptor *)memory);
    CHECK(stream);
    CHECK_OK(IOUserAudioStreamSetAvailableStreamFormats(stream, formats, RATES));
    CHECK_OK(IOUserAudioDeviceAddStream(shaky->device, stream));
    shaky->streams[direction] = stream;
    OSObjectRelease(memory);
}

static kern_return_t
start(IOUserAudioDriver *driver, IOService *provider)
{
    static const IOUserAudioDeviceOverrides overrides = {
        .size = sizeof overrides,
        .StartIO = start_io,
        .StopIO = stop_io,
    };
    struct shaky *const shaky = OSObjectGetPeer(driver);
    CHECK_OK(IOUserAudioDriverStart_super(driver, provider));
    shaky->queue = IOUserAudioDriverGetWorkQueue(driver);
    shaky->device = IOUserAudioDeviceAlloc();
    OSObjectSetPeer(shaky->device, shaky, NULL);
    CHECK_OK(IOUserAudioDeviceSetOverrides(shaky->device, &overrides));
    OSString *uid = OSStringCreate(shaky->config.uid);
    CHECK(IOUserAudioDeviceInit(shaky->device, driver, false, uid, uid, uid, shaky->config.period_frames));
    OSObjectRelease(uid);
    CHECK_OK(IOUserAudioDeviceSetAvailableSampleRates(shaky->device, rates, RATES));
    CHECK_OK(IOUserAudioDeviceSetClockAlgorithm(shaky->device, shaky->config.algorithm));
    CHECK_OK(IOUserAudioDeviceSetInputSafetyOffset(shaky->device, shaky->config.input_safety));
    CHECK_OK(IOUserAudioDeviceSetOutputSafetyOffset(shaky->device, shaky->config.output_safety));
    CHECK_OK(dx_device_object_set_late_tolerance(shaky->device, shaky->config.late_tolerance));
    add_stream(shaky, IOUserAudioStreamDirectionOutput);
    add_stream(shaky, IOUserAudioStreamDirectionInput);
    CHECK_OK(IOTimerDispatchSourceCreate(shaky->queue, &shaky->timer));
    CHECK_OK(IOTimerDispatchSourceSetHandler_f(shaky->timer, shaky, tick));
    CHECK_OK(IOUserAudioDeviceSetIOOperationHandler(shaky->device, handle_io, shaky));
    CHECK_OK(IOUserAudioDriverAddObject(driver, shaky->device));
    return IOServiceRegisterService(driver);
}

static void
cancel(void *context)
{
    struct shaky *const shaky = context;
    CHECK_OK(IOTimerDispatchSourceCancel_f(shaky->timer, NULL, NULL));
}

static kern_return_t
stop(IOUserAudioDriver *driver, IOService *provider)
{
    struct shaky *const shaky = OSObjectGetPeer(driver);
    CHECK_OK(IOUserAudioDriverRemoveObject(driver, shaky->device));
    CHECK_OK(IODispatchQueueDispatchSync_f(shaky->queue, shaky, cancel));
    return IOUserAudioDriverStop_super(driver, provider);
}

static void
free_shaky(void *peer)
{
    struct shaky *const shaky = peer;
    OSObjectRelease(shaky->timer);
    OSObjectRelease(shaky->queue);
    OSObjectRelease(shaky->streams[0]);
    OSObjectRelease(shaky->streams[1]);
    OSObjectRelease(shaky->device);
    free(shaky);
}

IOUserAudioDriver *
shaky_create(const struct shaky_config *config)
{
    static const IOUserAudioDriverOverrides overrides = {
        .size = sizeof overrides,
        .Start = start,
        .Stop = stop,
    };
    struct shaky *const shaky = calloc(1, sizeof *shaky);
    CHECK(shaky);
    shaky->config = *config;
    shaky->random = config->seed;
    shaky->driver = IOUserAudioDriverAlloc();
    CHECK(shaky->driver);
    CHECK_OK(IOUserAudioDriverSetOverrides(shaky->driver, &overrides));
    OSObjectSetPeer(shaky->driver, shaky, free_shaky);
    return shaky->driver;
}
