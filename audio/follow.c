// SPDX-License-Identifier: MIT
// Finding the timeline of a device that a driver follows.

#include "audio/follow.h"

#include "audio/driver_link.h"
#include "audio/handle.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Guards what follows, the slots too.  Nothing under it waits, so fibers may take it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct dx_follow_slot *slots;
static void (*asker)(void *context, const char *uid, bool is_wanted);
static void *asker_context;

void
dx_follow_set_asker(void (*ask)(void *context, const char *uid, bool is_wanted), void *context)
{
    pthread_mutex_lock(&lock);
    asker = ask;
    asker_context = context;
    pthread_mutex_unlock(&lock);
}

void
dx_follow_ask_again(void)
{
    pthread_mutex_lock(&lock);
    for (struct dx_follow_slot *slot = slots; asker && slot; slot = slot->next)
        asker(asker_context, slot->uid, true);
    pthread_mutex_unlock(&lock);
}

/* With the lock held. */
static struct dx_follow_slot *
find_slot(const char *uid)
{
    struct dx_follow_slot *slot = slots;
    while (slot && strcmp(slot->uid, uid) != 0)
        slot = slot->next;
    return slot;
}

/* With the lock held: a slot of which nobody has been told yet. */
static struct dx_follow_slot *
create_slot(const char *uid)
{
    const size_t length = strlen(uid);
    struct dx_follow_slot *const slot = calloc(1, sizeof *slot + length + 1);
    if (!slot)
        return NULL;
    memcpy(slot->uid, uid, length + 1);
    slot->next = slots;
    slots = slot;
    return slot;
}

static kern_return_t
enter_slot(const char *uid, struct dx_follow_slot **ret_slot)
{
    kern_return_t status = kIOReturnSuccess;
    pthread_mutex_lock(&lock);
    struct dx_follow_slot *slot = find_slot(uid);
    if (!asker) {
        status = kIOReturnNotFound;
    } else if (!slot) {
        slot = create_slot(uid);
        if (slot)
            asker(asker_context, uid, true);
        else
            status = kIOReturnNoMemory;
    }
    if (status == kIOReturnSuccess)
        slot->users++;
    pthread_mutex_unlock(&lock);
    *ret_slot = slot;
    return status;
}

static void
leave_slot(struct dx_follow_slot *slot)
{
    pthread_mutex_lock(&lock);
    if (--slot->users == 0) {
        struct dx_follow_slot **link = &slots;
        while (*link != slot)
            link = &(*link)->next;
        *link = slot->next;
        if (asker)
            asker(asker_context, slot->uid, false);
        /* relaxed: stored with the lock held. */
        dx_device_page_unmap(atomic_load_explicit(&slot->page, memory_order_relaxed));
        free(slot);
    }
    pthread_mutex_unlock(&lock);
}

int
dx_follow_put_page(const char *uid, int fd)
{
    int r = 0;
    pthread_mutex_lock(&lock);
    struct dx_follow_slot *const slot = find_slot(uid);
    if (slot) {
        /* relaxed: stored with the lock held. */
        const struct dx_device_page *const before = atomic_load_explicit(&slot->page, memory_order_relaxed);
        const struct dx_device_page *page = NULL;
        r = dx_device_page_map(fd, before, &page);
        if (r == 0) /* release: pairs with the acquire in dx_followed_read(), which then sees the mapping. */
            atomic_store_explicit(&slot->page, page, memory_order_release);
    }
    pthread_mutex_unlock(&lock);
    return r;
}

/* A device of the driver's own host, +1; NULL where it has none of that UID. */
static kern_return_t
copy_own_device(IOUserAudioDriver *driver, const char *uid, dx_device **ret_device)
{
    struct dx_driver_link *const link = dx_driver_get_link(driver);
    struct dx_host_call call;
    if (!link || !dx_driver_link_enter_host(link, kIOUserAudioObjectIDDriver, &call))
        return kIOReturnNotReady;
    *ret_device = dx_host_copy_device(call.host, uid);
    dx_driver_link_leave_host(link, &call);
    return kIOReturnSuccess;
}

kern_return_t
dx_followed_open(IOUserAudioDriver *driver, const char *uid, dx_followed **ret_followed)
{
    if (!driver || !uid || !*uid || !ret_followed)
        return kIOReturnBadArgument;
    dx_followed *const followed = calloc(1, sizeof *followed);
    if (!followed)
        return kIOReturnNoMemory;
    followed->clock = dx_clock_current();
    kern_return_t status = copy_own_device(driver, uid, &followed->device);
    if (status == kIOReturnSuccess && !followed->device)
        status = enter_slot(uid, &followed->slot);
    if (status == kIOReturnSuccess)
        *ret_followed = followed;
    else
        free(followed);
    return status;
}

void
dx_followed_close(dx_followed *followed)
{
    if (!followed)
        return;
    if (followed->device)
        dx_device_release(followed->device);
    else
        leave_slot(followed->slot);
    free(followed);
}
