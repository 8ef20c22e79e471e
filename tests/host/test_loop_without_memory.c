// SPDX-License-Identifier: MIT
// Loops, channels and messages when any allocation or descriptor is refused.

#include "host/loop.h"
#include "tests/core/check.h"
#include "tests/core/failing_allocator.h"
#include "tests/host/descriptors.h"

#include <errno.h>
#include <sys/socket.h>

static struct dx_loop *loop;
static unsigned received; // messages, with all that they held
static struct dx_channel *channels[2];

static void
take_message(void *context, struct dx_channel *channel, struct dx_message *message)
{
    (void)context, (void)channel;
    received += dx_wire_get_data(message->body, "data") && message->fd_count == 2;
}

static void
take_end(void *context, struct dx_channel *channel, int reason)
{
    struct dx_channel **const which = context;
    CHECK(reason == 0 || reason == -ENOMEM || reason == -EBADMSG || reason == -EMFILE);
    dx_channel_destroy(channel);
    *which = NULL;
}

static void
quit(void *context)
{
    (void)context;
    dx_loop_quit(loop);
}

/* NULL without memory; what could not be made is gone then. */
static OSDictionary *
create_body(void)
{
    static const uint8_t bytes[30000];
    OSDictionary *const body = OSDictionaryCreate(0);
    if (body && dx_wire_take(body, "data", OSDataCreate(bytes, sizeof bytes)) && dx_wire_set_double(body, "d", 1))
        return body;
    OSObjectRelease(body);
    return NULL;
}

enum { MESSAGES = 12 }; // the first ones fill the socket, the others wait

static unsigned
send_all(struct dx_channel *channel, const OSDictionary *body)
{
    const int fds[2] = {0, 0};
    unsigned sent = 0;
    for (unsigned i = 0; i < MESSAGES; i++) {
        const int result = dx_channel_send(channel, body, fds, 2);
        /* -EPIPE: the other channel could not be made. */
        CHECK(result == 0 || result == -ENOMEM || result == -EMFILE || result == -EPIPE);
        sent += result == 0;
    }
    return sent;
}

static bool
talk(void)
{
    static const struct dx_channel_callbacks callbacks = {.message = take_message, .closed = take_end};
    loop = NULL;
    received = 0;
    if (dx_loop_create(&loop) != 0) {
        CHECK(!loop);
        return false;
    }
    int pair[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    OSDictionary *const body = create_body();
    for (int i = 0; i < 2; i++)
        channels[i] = dx_channel_create(loop, pair[i], &callbacks, &channels[i]);
    unsigned sent = 0;
    if (body && channels[0])
        sent = send_all(channels[0], body);
    for (unsigned i = 0; i < 3 * MESSAGES && dx_loop_post(loop, quit, NULL); i++)
        dx_loop_run(loop);
    const bool done = sent == MESSAGES && received == MESSAGES;
    for (int i = 0; i < 2; i++)
        dx_channel_destroy(channels[i]);
    dx_loop_destroy(loop);
    OSObjectRelease(body);
    return done;
}

int
main(void)
{
    const unsigned fds_before = count_descriptors();
    CHECK(talk());
    for (int behind = 0; behind < 2; behind++) {
        for (uint64_t n = 1;; n++) {
            const uint64_t live = failing_allocator_live();
            if (behind)
                failing_allocator_fail_from(n);
            else
                failing_allocator_fail_at(n);
            const bool done = talk();
            const bool reached = failing_allocator_stop();
            CHECK_EQ(failing_allocator_live(), live);
            CHECK_EQ(count_descriptors(), fds_before);
            if (!reached) {
                CHECK(done);
                CHECK(n > 100); // there was something to fail
                break;
            }
        }
    }
    return 0;
}
