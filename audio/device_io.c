// SPDX-License-Identifier: MIT
// The handler box: replacing the IOOperationHandler from a control thread, and from inside the handler.

#include "audio/device_io.h"

#include "core/clock.h"

#include <string.h>

void
dx_handler_box_init(struct dx_handler_box *box)
{
    memset(box, 0, sizeof *box);
    atomic_init(&box->current, DX_HANDLER_NONE);
    box->clock = dx_clock_current();
}

/* Takes a slot nobody uses; DX_HANDLER_NONE when there is none. */
static uint32_t
take_slot(struct dx_handler_box *box)
{
    uint32_t used = atomic_load_explicit(&box->used, memory_order_relaxed);
    for (;;) {
        const uint32_t free_bits = ~used & ((1u << DX_HANDLER_SLOTS) - 1u);
        if (!free_bits)
            return DX_HANDLER_NONE;
        const uint32_t index = (uint32_t)__builtin_ctz(free_bits);
        /* acquire: pairs with the release in give_back(); the last user's reads are over. */
        if (atomic_compare_exchange_weak_explicit(&box->used, &used, used | (1u << index),
                                                  memory_order_acquire, memory_order_relaxed))
            return index;
    }
}

static void
give_back(struct dx_handler_box *box, uint32_t bits) DX_REALTIME
{
    /* release: pairs with the acquire in take_slot(). */
    atomic_fetch_and_explicit(&box->used, ~bits, memory_order_release);
}

static void
wait_for_call_to_end(struct dx_handler_box *box)
{
    static const struct dx_wait_reason reason = {.what = "the IOOperationHandler to return"};

    /* seq_cst: after the exchange of `current`; an even value means that a later call sees the new handler. */
    const uint32_t seen = atomic_load_explicit(&box->calls, memory_order_seq_cst);
    if (!(seen & 1u))
        return;
    atomic_fetch_add_explicit(&box->waiters, 1, memory_order_seq_cst);
    while (atomic_load_explicit(&box->calls, memory_order_seq_cst) == seen)
        (void)dx_clock_wait(box->clock, &box->calls, seen, DX_NEVER, &reason);
    atomic_fetch_sub_explicit(&box->waiters, 1, memory_order_relaxed);
}

kern_return_t
dx_handler_box_set(struct dx_handler_box *box, IOOperationHandler function, void *context)
{
    uint32_t index = DX_HANDLER_NONE;
    if (function) {
        index = take_slot(box);
        if (index == DX_HANDLER_NONE)
            return kIOReturnBusy;
        box->slots[index].function = function;
        box->slots[index].context = context;
    }

    /* seq_cst: publishes the slot, and is ordered before the load of `calls`; the IO thread stores `calls`
     * and then loads `current`, so one of us sees the other. */
    const uint32_t before = atomic_exchange_explicit(&box->current, index, memory_order_seq_cst);
    const uint32_t bit = before == DX_HANDLER_NONE ? 0u : 1u << before;

    /* relaxed: equal only on the IO thread itself, which stored it. */
    if (atomic_load_explicit(&box->io_task, memory_order_relaxed) == dx_task_self()) {
        box->retired |= bit;
        return kIOReturnSuccess;
    }
    /* Also where there was none: a handler that has just removed itself may still be running. */
    wait_for_call_to_end(box);
    give_back(box, bit);
    return kIOReturnSuccess;
}

kern_return_t
dx_handler_box_call(struct dx_handler_box *box, IOUserAudioObjectID device, IOUserAudioIOOperation operation,
                    uint32_t frames, uint64_t sample_time, uint64_t host_time) DX_REALTIME
{
    /* relaxed: only this thread stores it. */
    const uint32_t calls = atomic_load_explicit(&box->calls, memory_order_relaxed);

    atomic_store_explicit(&box->io_task, dx_task_self(), memory_order_relaxed);
    /* seq_cst: entry is visible before `current` is read; see dx_handler_box_set(). */
    atomic_store_explicit(&box->calls, calls + 1, memory_order_seq_cst);
    const uint32_t index = atomic_load_explicit(&box->current, memory_order_seq_cst);

    const kern_return_t result = index == DX_HANDLER_NONE
                                     ? kIOReturnNotAttached
                                     : box->slots[index].function(device, operation, frames, sample_time,
                                                                  host_time, box->slots[index].context);

    atomic_store_explicit(&box->io_task, NULL, memory_order_relaxed);
    /* seq_cst: everything the handler did is over for whoever sees this; before the look at `waiters`. */
    atomic_store_explicit(&box->calls, calls + 2, memory_order_seq_cst);
    if (box->retired) {
        give_back(box, box->retired);
        box->retired = 0;
    }
    return result;
}

void
dx_handler_box_wake(struct dx_handler_box *box)
{
    /* seq_cst: after the store of `calls`; a setter counts itself before it looks at `calls` again. */
    if (atomic_load_explicit(&box->waiters, memory_order_seq_cst))
        dx_clock_wake(box->clock, &box->calls, UINT32_MAX);
}

void
dx_device_io_init(struct dx_device_io *io)
{
    memset(io, 0, sizeof *io);
    dx_handler_box_init(&io->handler);
}

void
dx_device_io_post(struct dx_device_io *io, uint64_t sample_time, uint64_t host_time_ns) DX_REALTIME
{
    const struct dx_stamp stamp = {sample_time, host_time_ns, ++io->stamp_count};
    const struct dx_slots slots = dx_device_io_stamps(io);
    dx_slots_write(&slots, &stamp);
}
