// SPDX-License-Identifier: MIT
// A network adapter that runs: one wire thread which owns its transfers, and one thread for requests.

#ifndef DX_USB_ADAPTER_H
#define DX_USB_ADAPTER_H

#include "backends/usb/nic.h"

struct dx_adapter;

/*
 * What is told. `received`, `poll` and `link_changed` are called on the wire thread; `gone` is its last call, once, where the
 * device was unplugged and not closed. All of them may come before dx_adapter_open() has returned; none may close it.
 */
struct dx_adapter_config {
    void *context;
    dx_frame_sink received;
    /** Called after each pump. @return when at the latest to be called again, CLOCK_MONOTONIC; UINT64_MAX: no need. */
    uint64_t (*poll)(void *context, uint64_t now_ns);
    void (*link_changed)(void *context, const struct dx_nic_link *link);
    void (*gone)(void *context);
    int32_t priority;           // SCHED_FIFO of the wire thread; 0: plain scheduling. Refused: dx_adapter_degraded()
    uint32_t send_ring_frames;  // room for frames that wait to be sent; 0: 256
    uint32_t link_interval_ms;  // how often the PHY is asked; 0: 1000
};

/**
 * Finds the driver of a device, initialises it and starts receiving. Blocks for as long as that takes (0.5 s). What goes wrong on
 * the bus is tried again, three times in all; later, while it runs, for ever: halts are cleared, errors that repeat are
 * followed by 1/8 s of rest.
 *
 * @param device  taken on success.
 * @param why     a sentence on failure.
 * @return 0; -ENOTSUP (no driver takes it); else what failed.
 */
int dx_adapter_open(struct dx_usb_device *device, const struct dx_adapter_config *config, struct dx_adapter **ret_adapter,
                    char why[256]);

/** Stops both threads, gives the interfaces back, and closes the device. Not on the wire thread. NULL is fine. */
void dx_adapter_close(struct dx_adapter *adapter);

/**
 * Puts a frame into the ring of those to be sent.
 *
 * @param frame  without FCS; padded to 60 bytes where it is shorter.
 * @return 0; -ENOBUFS (ring full: counted as dropped), -EMSGSIZE, -ENODEV, -ENETDOWN (no link).
 *
 * Thread: any, several at a time. What is sent in `received` and `poll` goes out at once; from elsewhere dx_adapter_flush()
 * starts it.  Real-time: yes, lock-free.
 */
int dx_adapter_send(struct dx_adapter *adapter, const uint8_t *frame, uint32_t size) DX_REALTIME;

/** Lets the wire thread look at the ring: one system call. */
void dx_adapter_flush(struct dx_adapter *adapter);

/** The groups to let through: taken over by the request thread, later. Thread: the wire thread. */
void dx_adapter_set_filter(struct dx_adapter *adapter, const uint8_t (*groups)[6], uint32_t count);

/** What the wire thread lacks of what was asked for: bits of dx_task_degraded(). It runs all the same. */
unsigned dx_adapter_degraded(const struct dx_adapter *adapter);

const struct dx_nic_info *dx_adapter_info(const struct dx_adapter *adapter);
const struct dx_nic_counters *dx_adapter_counters(const struct dx_adapter *adapter);

#endif /* DX_USB_ADAPTER_H */
