// SPDX-License-Identifier: MIT
// What other threads ask of the thread that pumps, in backends without a library that has such queues.

#ifndef DX_USB_INBOX_H
#define DX_USB_INBOX_H

#include "backends/usb/model_host.h"

#include <pthread.h>

/* A transfer that was prepared; a backend's own may begin with one. */
struct dx_inbox_slot {
    struct dx_model_slot slot; // first: what lists hold
    uint64_t submitted_ns;

    /* The lock's. */
    bool is_under_way;
    bool is_cancelled;
};

struct dx_inbox {
    int news_fd;           // an event: something is to be looked at
    _Atomic bool is_woken; // dx_inbox_wake()

    pthread_mutex_t lock;
    struct dx_model_list submitted;
    bool has_cancelled;
    bool refuses; // nothing can be submitted: the device has gone
};

/* ---- any thread ---- */

/** @return 0 or an error; dx_inbox_end() is called either way. */
int dx_inbox_begin(struct dx_inbox *inbox);
void dx_inbox_end(struct dx_inbox *inbox);

/** Something is to be looked at. Async-signal-safe. */
void dx_inbox_tell(const struct dx_inbox *inbox);
/** The same, and it ends the pump. */
void dx_inbox_wake(struct dx_inbox *inbox);

/** @param bytes  of what begins with a struct dx_inbox_slot; zeroed. */
int dx_inbox_prepare(struct dx_usb_transfer *transfer, size_t bytes);
void dx_inbox_unprepare(struct dx_usb_transfer *transfer);

/** @param most  bytes of a transfer. @return 0, -EINVAL, -ENODEV. */
int dx_inbox_submit(struct dx_inbox *inbox, struct dx_usb_transfer *transfer, uint32_t most);
void dx_inbox_cancel(struct dx_inbox *inbox, struct dx_usb_transfer *transfer);

/* ---- the thread that pumps ---- */

/** With the lock: which of a list are to be cancelled. */
void dx_inbox_mark_cancelled(struct dx_model_list *list);

/** Calls `completed` of one that is in no list any more. */
void dx_inbox_complete(struct dx_inbox *inbox, struct dx_model_slot *slot);

/** Whether somebody has called dx_inbox_wake() since the last time. */
bool dx_inbox_was_woken(struct dx_inbox *inbox);

/** Waits for news, `events` of `fd` (-1: none), or a time. */
void dx_inbox_wait(const struct dx_inbox *inbox, int fd, short events, uint64_t until_ns);

#endif /* DX_USB_INBOX_H */
