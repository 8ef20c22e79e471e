// SPDX-License-Identifier: MIT
// Memory: a stack is made whole or not at all, and takes none once it is made.

#include "backends/net/stack.h"
#include "tests/core/check.h"
#include "tests/core/failing_allocator.h"

#include <errno.h>
#include <string.h>

#define GROUP 0xef450001u

static uint32_t sent;

static int
count_sent(void *context, const uint8_t *frame, uint32_t size) DX_REALTIME
{
    (void)context, (void)frame, (void)size;
    sent++;
    return 0;
}

static void
ignore(void *context, const struct dx_udp_datagram *datagram)
{
    (void)context, (void)datagram;
}

static struct dx_net_stack_config
config_of(enum dx_net_addressing addressing)
{
    return (struct dx_net_stack_config){
        .mac = {2, 0, 0, 0, 0, 1},
        .addressing = addressing,
        .address = 0xc0000201,
        .netmask = 0xffffff00,
        .seed = 1,
        .send = count_sent,
    };
}

static void
without_memory_there_is_no_stack_and_no_leak(void)
{
    const struct dx_net_stack_config config = config_of(DX_NET_STATIC);
    for (uint64_t n = 1;; n++) {
        const uint64_t live = failing_allocator_live();
        struct dx_net_stack *stack = NULL;
        failing_allocator_fail_at(n);
        const int error = dx_net_stack_create(&config, &stack);
        const bool has_failed = failing_allocator_stop();
        CHECK(error == (has_failed ? -ENOMEM : 0));
        dx_net_stack_destroy(stack);
        CHECK_EQ(failing_allocator_live(), live);
        if (!has_failed)
            break;
    }
}

static void
without_memory_there_are_no_sockets_of_the_kernels(void)
{
    char why[256];
    struct dx_net *net = NULL;
    const uint64_t live = failing_allocator_live();
    failing_allocator_fail_at(1);
    CHECK_EQ(dx_net_open_kernel("lo", &net, why), -ENOMEM);
    CHECK(failing_allocator_stop());
    CHECK(net == NULL && strlen(why) > 0);
    CHECK_EQ(failing_allocator_live(), live);
}

/* A day of everything, with every call for memory failing: there is none. */
static void
a_stack_that_is_made_takes_no_memory(void)
{
    for (int addressing = DX_NET_STATIC; addressing <= DX_NET_LINK_LOCAL; addressing++) {
        const struct dx_net_stack_config config = config_of((enum dx_net_addressing)addressing);
        struct dx_net_stack *stack;
        CHECK_EQ(dx_net_stack_create(&config, &stack), 0);
        struct dx_net *const net = dx_net_stack_net(stack);
        failing_allocator_fail_from(1);
        uint64_t now_ns = 1000000000;
        dx_net_stack_set_link(stack, true, now_ns);
        for (uint32_t i = 0; i < 86400; i++) {
            const struct dx_udp_config one = {.received = ignore};
            struct dx_udp *udp;
            CHECK_EQ(dx_udp_open(net, &one, &udp), 0);
            CHECK_EQ(dx_udp_join(udp, GROUP + i % 100, i % 2 ? 0xc0000202 : 0), 0);
            (void)dx_udp_send(udp, &(struct dx_udp_address){GROUP, 5004}, "a", 1);
            (void)dx_udp_send(udp, &(struct dx_udp_address){dx_net_address(net) + 1 + i % 50, 5004}, "a", 1);
            now_ns += 1000000000;
            while (dx_net_stack_poll(stack, now_ns) <= now_ns)
                continue;
            dx_udp_close(udp);
        }
        CHECK(sent > 86400);
        const uint64_t calls = failing_allocator_calls();
        CHECK(!failing_allocator_stop());
        CHECK_EQ(calls, 0);
        dx_net_stack_destroy(stack);
        sent = 0;
    }
}

int
main(void)
{
    RUN(without_memory_there_is_no_stack_and_no_leak);
    RUN(without_memory_there_are_no_sockets_of_the_kernels);
    RUN(a_stack_that_is_made_takes_no_memory);
    return 0;
}
