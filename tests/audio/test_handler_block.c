// SPDX-License-Identifier: MIT
// A block as the handler: copied, called with what it captured, released when it was replaced.

#include "fake_host.h"

#include "../core/check.h"

#include "audio/device.h"

static IOUserAudioDriver *driver;
static IOUserAudioDevice *device;

static kern_return_t
call_handler(void)
{
    return dx_handler_box_call(&dx_device_get_io(device)->handler, 2, IOUserAudioIOOperationWriteEnd, 64, 1000, 7);
}

/* A block on this stack frame, which is gone when the handler is called. */
static void
set_block(kern_return_t answer)
{
    __block uint64_t calls = 0;
    const IOOperationHandler_b block =
        ^kern_return_t(IOUserAudioObjectID id, IOUserAudioIOOperation operation, uint32_t frames,
                       uint64_t sample_time, uint64_t host_time) DX_REALTIME {
          calls++;
          const int is_right = id == 2 && operation == IOUserAudioIOOperationWriteEnd && frames == 64 &&
                               sample_time == 1000 && host_time == 7;
          return is_right ? answer + (kern_return_t)calls : kIOReturnError;
        };
    CHECK_EQ(IOUserAudioDeviceSetIOOperationHandler_b(device, block), kIOReturnSuccess);
}

static void
a_block_is_called_with_what_it_captured(void)
{
    set_block(100);
    CHECK_EQ(call_handler(), 101);
    CHECK_EQ(call_handler(), 102);
    set_block(200);
    CHECK_EQ(call_handler(), 201);
    CHECK_EQ(IOUserAudioDeviceSetIOOperationHandler_b(device, NULL), kIOReturnSuccess);
    CHECK_EQ((uint32_t)call_handler(), (uint32_t)kIOReturnNotAttached);
    CHECK_EQ((uint32_t)IOUserAudioDeviceSetIOOperationHandler_b(NULL, NULL), (uint32_t)kIOReturnBadArgument);
}

static void
a_block_that_was_refused_is_not_kept(void)
{
    const kern_return_t answer = 5;
    const IOOperationHandler_b block =
        ^kern_return_t(IOUserAudioObjectID id, IOUserAudioIOOperation operation, uint32_t frames,
                       uint64_t sample_time, uint64_t host_time) DX_REALTIME {
          (void)id, (void)operation, (void)frames, (void)sample_time, (void)host_time;
          return answer;
        };
    CHECK_EQ((uint32_t)IOUserAudioDeviceSetIOOperationHandler_b(NULL, block), (uint32_t)kIOReturnBadArgument);
}

/* What is left at the end is the device's to release: AddressSanitizer would tell. */
static void
the_device_releases_the_last_block(void)
{
    set_block(300);
}

int
main(void)
{
    driver = fake_host_start_driver(NULL);
    CHECK(driver);
    device = make_device(driver, "uid", 512);
    CHECK(device);
    RUN(a_block_is_called_with_what_it_captured);
    RUN(a_block_that_was_refused_is_not_kept);
    RUN(the_device_releases_the_last_block);
    OSObjectRelease(device);
    fake_host_stop_driver(driver);
    return 0;
}
