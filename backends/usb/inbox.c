// SPDX-License-Identifier: MIT
// Transfers from any thread to the one that pumps: a list, and an event.

#include "backends/usb/inbox.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

int
dx_inbox_begin(struct dx_inbox *inbox)
{
    pthread_mutex_init(&inbox->lock, NULL);
    inbox->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return inbox->news_fd < 0 ? -errno : 0;
}

void
dx_inbox_end(struct dx_inbox *inbox)
{
    if (inbox->news_fd >= 0)
        (void)close(inbox->news_fd);
    pthread_mutex_destroy(&inbox->lock);
}

/* A counter that is full wakes as well. */
void
dx_inbox_tell(const struct dx_inbox *inbox)
{
    const int saved = errno;
    const uint64_t one = 1;
    const ssize_t n = write(inbox->news_fd, &one, sizeof one);
    (void)n;
    errno = saved;
}

/* release: pairs with dx_inbox_was_woken() */
void
dx_inbox_wake(struct dx_inbox *inbox)
{
    atomic_store_explicit(&inbox->is_woken, true, memory_order_release);
    dx_inbox_tell(inbox);
}

int
dx_inbox_prepare(struct dx_usb_transfer *transfer, size_t bytes)
{
    struct dx_inbox_slot *const mine = calloc(1, bytes);
    if (!mine)
        return -ENOMEM;
    mine->slot.transfer = transfer;
    transfer->backend = mine;
    return 0;
}

void
dx_inbox_unprepare(struct dx_usb_transfer *transfer)
{
    free(transfer->backend);
    transfer->backend = NULL;
}

int
dx_inbox_submit(struct dx_inbox *inbox, struct dx_usb_transfer *transfer, uint32_t most)
{
    struct dx_inbox_slot *const mine = transfer->backend;
    if (transfer->size > most || (transfer->kind == DX_USB_CONTROL) != (transfer->endpoint == 0))
        return -EINVAL;
    const uint64_t now_ns = dx_model_now_ns();
    pthread_mutex_lock(&inbox->lock);
    int result = 0;
    if (inbox->refuses) {
        result = -ENODEV;
    } else if (mine->is_under_way) {
        result = -EINVAL;
    } else {
        mine->is_under_way = true;
        mine->is_cancelled = false;
        mine->submitted_ns = now_ns;
        dx_model_list_append(&inbox->submitted, &mine->slot);
    }
    pthread_mutex_unlock(&inbox->lock);
    if (result == 0)
        dx_inbox_tell(inbox);
    return result;
}

void
dx_inbox_cancel(struct dx_inbox *inbox, struct dx_usb_transfer *transfer)
{
    struct dx_inbox_slot *const mine = transfer->backend;
    pthread_mutex_lock(&inbox->lock);
    const bool is_under_way = mine->is_under_way;
    if (is_under_way)
        mine->is_cancelled = inbox->has_cancelled = true;
    pthread_mutex_unlock(&inbox->lock);
    if (is_under_way)
        dx_inbox_tell(inbox);
}

void
dx_inbox_mark_cancelled(struct dx_model_list *list)
{
    for (struct dx_model_slot *slot = list->first; slot; slot = slot->next)
        slot->is_cancelled = ((const struct dx_inbox_slot *)slot)->is_cancelled;
}

void
dx_inbox_complete(struct dx_inbox *inbox, struct dx_model_slot *slot)
{
    struct dx_usb_transfer *const transfer = slot->transfer;
    pthread_mutex_lock(&inbox->lock);
    ((struct dx_inbox_slot *)slot)->is_under_way = false;
    pthread_mutex_unlock(&inbox->lock);
    transfer->completed(transfer); // may submit it again, or free it
}

/* acquire: pairs with dx_inbox_wake() */
bool
dx_inbox_was_woken(struct dx_inbox *inbox)
{
    return atomic_exchange_explicit(&inbox->is_woken, false, memory_order_acquire);
}

void
dx_inbox_wait(const struct dx_inbox *inbox, int fd, short events, uint64_t until_ns)
{
    struct timespec left = {0};
    if (until_ns != UINT64_MAX) {
        const uint64_t now_ns = dx_model_now_ns();
        const uint64_t ns = until_ns > now_ns ? until_ns - now_ns : 0;
        left.tv_sec = (time_t)(ns / UINT64_C(1000000000));
        left.tv_nsec = (long)(ns % UINT64_C(1000000000));
    }
    struct pollfd waited[2] = {{.fd = inbox->news_fd, .events = POLLIN}, {.fd = fd, .events = events}};
    uint64_t count = 0;
    if (ppoll(waited, 2, until_ns == UINT64_MAX ? NULL : &left, NULL) > 0 && waited[0].revents) {
        const ssize_t n = read(inbox->news_fd, &count, sizeof count);
        (void)n;
    }
}
