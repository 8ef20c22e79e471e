// SPDX-License-Identifier: MIT
// Sending from several threads while neighbours come, change and go: each frame has a MAC that its address had.

#include "backends/net/stack.h"
#include "tests/break_rules.h"
#include "tests/core/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { SENDERS = 3, ROUNDS = 20000, PEERS = 8 };

#define OUR_IP 0xc0000201u
#define GROUP 0xef450001u

static struct dx_net_stack *stack;
static atomic_uint unicasts, multicasts, requests;
static atomic_bool is_over;

/* Peer p is 192.0.2.(16 + p), and its MAC ends in p and one of two numbers that belong together. */
static int
check_frame(void *context, const uint8_t *frame, uint32_t size) DX_REALTIME
{
    (void)context;
    if (frame[13] == 6) {
        atomic_fetch_add_explicit(&requests, 1, memory_order_relaxed);
        return 0;
    }
    BREAK_RULES_BEGIN("a check that fails ends the program")
    CHECK(frame[12] == 8 && frame[13] == 0 && size >= 42);
    if (frame[14 + 9] == 17 && frame[0] != 1) {
        const uint8_t peer = (uint8_t)(frame[14 + 19] - 16);
        CHECK(frame[0] == 2 && frame[3] == peer);
        CHECK(frame[4] + frame[5] == 255);
        CHECK(size == 42 + 8 && memcmp(frame + 42, "\x01\x01\x01\x01\x01\x01\x01\x01", 8) == 0);
        atomic_fetch_add_explicit(&unicasts, 1, memory_order_relaxed);
    } else if (frame[14 + 9] == 17) {
        CHECK(memcmp(frame, "\x01\x00\x5e\x45\x00\x01", 6) == 0);
        atomic_fetch_add_explicit(&multicasts, 1, memory_order_relaxed);
    }
    BREAK_RULES_END
    return 0;
}

static void
ignore(void *context, const struct dx_udp_datagram *datagram)
{
    (void)context, (void)datagram;
}

static void *
send_much(void *context)
{
    struct dx_udp *const udp = context;
    for (uint32_t i = 0; !atomic_load_explicit(&is_over, memory_order_relaxed); i++) {
        const struct dx_udp_address to = {i % 4 ? 0xc0000210u + i % PEERS : GROUP, 5004};
        const int error = dx_udp_send(udp, &to, "\x01\x01\x01\x01\x01\x01\x01\x01", 8);
        CHECK(error == 0 || error == -ENOBUFS || error == -ENETDOWN || error == -EADDRNOTAVAIL);
    }
    return NULL;
}

/* A peer says what its MAC is, another one each time. */
static void
give_arp(uint8_t peer, uint8_t number, uint64_t now_ns)
{
    uint8_t frame[42] = {0xff, 0xff, 0xff,   0xff,
                         0xff, 0xff, 2,      0,
                         0,    peer, number, (uint8_t)~number,
                         8,    6,    0,      1,
                         8,    0,    6,      4,
                         0,    1,    2,      0,
                         0,    peer, number, (uint8_t)~number,
                         192,  0,    2,      (uint8_t)(16 + peer)};
    memcpy(frame + 38, "\xc0\x00\x02\x01", 4);
    dx_net_stack_input(stack, frame, sizeof frame, now_ns);
}

int
main(void)
{
    const struct dx_net_stack_config config = {
        .mac = {2, 0, 0, 0, 0, 1},
        .address = OUR_IP,
        .netmask = 0xffffff00,
        .seed = 1,
        .send = check_frame,
    };
    pthread_t threads[SENDERS];
    uint64_t now_ns = 1000000000;
    CHECK_EQ(dx_net_stack_create(&config, &stack), 0);
    dx_net_stack_set_link(stack, true, now_ns);
    for (uint32_t i = 0; i < SENDERS; i++) {
        const struct dx_udp_config one = {.port = (uint16_t)(6000 + i), .received = ignore};
        struct dx_udp *udp;
        CHECK_EQ(dx_udp_open(dx_net_stack_net(stack), &one, &udp), 0);
        CHECK_EQ(pthread_create(&threads[i], NULL, send_much, udp), 0);
    }
    for (uint32_t i = 0; i < ROUNDS || atomic_load_explicit(&unicasts, memory_order_relaxed) < 1000; i++) {
        now_ns += 10000000;
        give_arp((uint8_t)(i % PEERS), (uint8_t)(i / PEERS), now_ns);
        (void)dx_net_stack_poll(stack, now_ns);
        if (i % 500 == 499) { // all neighbours are forgotten
            dx_net_stack_set_link(stack, false, now_ns);
            dx_net_stack_set_link(stack, true, now_ns);
        }
        struct dx_net_stack_counters counters;
        dx_net_stack_get_counters(stack, &counters);
        CHECK(counters.received == i + 1);
    }
    atomic_store_explicit(&is_over, true, memory_order_relaxed);
    for (uint32_t i = 0; i < SENDERS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK(atomic_load(&unicasts) > 0 && atomic_load(&multicasts) > 0 && atomic_load(&requests) > 0);
    struct dx_net_stack_counters counters;
    dx_net_stack_get_counters(stack, &counters);
    (void)fprintf(stderr, "%u unicasts, %u multicasts, %u of ARP, %llu dropped while they waited\n",
                  atomic_load(&unicasts), atomic_load(&multicasts), atomic_load(&requests),
                  (unsigned long long)counters.arp_dropped);
    dx_net_stack_destroy(stack);
    return 0;
}
