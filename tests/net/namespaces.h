// SPDX-License-Identifier: MIT
// Two hosts on one machine: a Linux kernel at one end of a cable, a stack of ours or the kernel's at the other.

#ifndef DX_TESTS_NET_NAMESPACES_H
#define DX_TESTS_NET_NAMESPACES_H

#include "backends/net/stack.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#define MS 1000000ull
#define S 1000000000ull

enum { SKIPPED = 77 };

#define OUR_IP 0xc0000201u   // 192.0.2.1
#define PEER_IP 0xc0000202u  // 192.0.2.2, dev "vk"
#define PEER_IP2 0xc0000203u // 192.0.2.3, the same host
#define GROUP 0xef450001u    // 239.69.0.1

#define CHECK(condition)                                                                                          \
    do {                                                                                                          \
        if (!(condition)) {                                                                                       \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                         \
            exit(1);                                                                                              \
        }                                                                                                         \
    } while (0)

#define CHECK_EQ(a, b)                                                                                            \
    do {                                                                                                          \
        const long long check_a_ = (long long)(a), check_b_ = (long long)(b);                                     \
        if (check_a_ != check_b_) {                                                                               \
            (void)fprintf(stderr, "%s:%d: %s is %lld, %s is %lld\n", __FILE__, __LINE__, #a, check_a_, #b,        \
                          check_b_);                                                                              \
            exit(1);                                                                                              \
        }                                                                                                         \
    } while (0)

#define RUN(test)                                                                                                 \
    do {                                                                                                          \
        (void)fprintf(stderr, "- %s\n", #test);                                                                   \
        test();                                                                                                   \
    } while (0)

/* What is at our end of the cable. */
enum cable {
    CABLE_PACKET, // a veth pair, the stack behind a packet socket
    CABLE_TAP,    // the stack behind a TAP interface
    CABLE_KERNEL, // a veth pair, dx_net_open_kernel()
};

struct rig {
    enum cable cable;
    int their_namespace, our_namespace;
    int frames_fd; // -1: the kernel's sockets
    struct dx_net_stack *stack;
    struct dx_net *net;
    uint64_t group_frames; // that came by the cable to 239.69.0.1's MAC
    bool is_mute;          // no IGMP goes out
};

extern struct rig rig;

/**
 * Makes namespaces and the cable; the process stays in the peer's. Ends the process with SKIPPED and a reason
 * where the machine does not allow it.
 */
void rig_make(enum cable cable);

/** Starts what is at our end: 192.0.2.1/24 if it has a static address. */
void rig_start(enum dx_net_addressing addressing);
void rig_stop(void);

void enter_ours(void);
void enter_theirs(void);

/** Carries frames and polls, until the time is over or `is_done` says so. @return is_done()'s last word. */
bool rig_run(uint64_t ns, bool (*is_done)(void));

/** The same, while a command runs. @return its exit status. */
int rig_run_command(const char *command);

/** Runs a command that must succeed; `%d` stands for a number. */
void run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** A process in the background, in the peer's namespace; ended with the test. */
pid_t rig_spawn(const char *const *arguments);
void rig_kill(pid_t pid);

/** A UDP socket of the peer's; groups: of its interface "vk". */
int peer_socket(uint32_t address, uint16_t port);
void peer_send(int fd, uint32_t to, uint16_t port, const void *data, uint32_t size);

bool has_program(const char *name);
uint64_t now_ns(void);

#endif /* DX_TESTS_NET_NAMESPACES_H */
