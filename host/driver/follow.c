// SPDX-License-Identifier: MIT
// Devices of other processes that a driver here follows: their pages come by way of the supervisor.

#include "audio/follow.h"

#include "host/driver/state.h"
#include "host/protocol.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct wish {
    struct dx_driver_process *process;
    OSDictionary *event; // +1, or NULL
};

/* Control thread. */
static void
send_wish(void *context)
{
    struct wish *const wish = context;
    (void)dx_process_send(wish->process, wish->event, NULL, 0);
    free(wish);
}

/* With a lock of the followers held: posts, so that nothing waits. */
static void
ask(void *context, const char *uid, bool is_wanted)
{
    struct wish *const wish = calloc(1, sizeof *wish);
    if (!wish) {
        dx_process_log("%s: no memory to ask for the device", uid);
        return;
    }
    wish->process = context;
    wish->event = dx_process_event(DX_EVENT_FOLLOW);
    if (wish->event && !(OSDictionarySetStringValue(wish->event, DX_KEY_UID, uid) &&
                         dx_wire_set_bool(wish->event, "on", is_wanted)))
        OSSafeReleaseNULL(wish->event);
    dx_process_post(wish->process, send_wish, wish);
}

void
dx_process_follow_begin(struct dx_driver_process *process)
{
    dx_follow_set_asker(ask, process);
}

void
dx_process_follow_end(void)
{
    dx_follow_set_asker(NULL, NULL);
}

void
dx_process_take_followed(const struct dx_message *message)
{
    const char *const uid = dx_wire_get_string(message->body, DX_KEY_UID);
    const uint64_t page = dx_wire_get_number(message->body, "page", DX_WIRE_MAX_FDS);
    if (!uid)
        return;
    const int r = page < message->fd_count ? dx_follow_put_page(uid, message->fds[page]) : -EBADF;
    if (r < 0)
        dx_process_log("%.200s: its page is of no use: %s", uid, strerror(-r));
}
