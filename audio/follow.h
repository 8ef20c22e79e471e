// SPDX-License-Identifier: MIT
// Timelines of devices that a driver follows, whoever runs them.

#ifndef DX_AUDIO_FOLLOW_H
#define DX_AUDIO_FOLLOW_H

#include "audio/page.h"

#include <dextral/follow.h>
#include <dextral/host.h>

/*
 * A driver names the device that it wants to follow (include/dextral/follow.h).  Where its host has that device,
 * its page is at hand.  Else the process's owner is asked for it, here: a driver process asks the supervisor
 * (DX_EVENT_FOLLOW), and puts in each page that it is sent (DX_EVENT_FOLLOWED).
 */

/* A device of another process, for all that follow it. */
struct dx_follow_slot {
    struct dx_follow_slot *next;
    uint32_t users;
    /* Stored once, by dx_follow_put_page(); read by dx_followed_read().  Later pages are mapped at the same place.
     */
    _Atomic(const struct dx_device_page *) page;
    char uid[];
};

/* One of the two is there. */
struct dx_followed {
    dx_clock *clock;
    dx_device *device;            // +1
    struct dx_follow_slot *slot;  // counts this
    struct dx_timeline_page last; // the last that was whole and sane; its reader's own
};

/**
 * Sets who is told that a device is followed from now on, or no longer; NULL: nobody.  Each UID is told of once,
 * however many followers it has.  Called with a lock held: it must only send or post, and call nothing here.
 *
 * Thread: control, before the first driver is started.
 */
void dx_follow_set_asker(void (*ask)(void *context, const char *uid, bool is_wanted), void *context);

/**
 * Asks again for all that is followed: the one who was asked is another now.
 *
 * Thread: control.
 */
void dx_follow_ask_again(void);

/**
 * Puts in a device's page: the first one, or that of its next driver, which takes the place of the one before.
 *
 * @param fd  borrowed.
 * @return 0, also when nobody follows it any more; a negative errno of dx_device_page_map(), and all is as before.
 *
 * Thread: any but an IO thread.
 */
int dx_follow_put_page(const char *uid, int fd);

#endif /* DX_AUDIO_FOLLOW_H */
