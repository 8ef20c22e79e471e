// SPDX-License-Identifier: MIT
// UDP sockets, whether our own stack or the kernel's is below.

#ifndef DX_NET_UDP_H
#define DX_NET_UDP_H

#include <dextral/base.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DX_UDP_MAX_BYTES 1472u     // without fragments, on Ethernet
#define DX_UDP_MAX_SOCKETS 64u     // of one network
#define DX_UDP_MAX_MEMBERSHIPS 16u // of one socket: pairs of group and source
#define DX_UDP_MAX_SOURCES 8u      // of one group of one socket

struct dx_net;
struct dx_udp;

/* IPv4, in host byte order. */
struct dx_udp_address {
    uint32_t address;
    uint16_t port;
};

/* A datagram that came. Borrowed for the call. */
struct dx_udp_datagram {
    const uint8_t *data;
    uint32_t size; // to DX_UDP_MAX_BYTES
    struct dx_udp_address from;
    uint32_t to;          // the address it was sent to: a group, a broadcast, or ours
    uint64_t received_ns; // CLOCK_MONOTONIC: when the transfer or the packet came
};

struct dx_udp_config {
    uint32_t address; // to bind to: ours, or a group; 0: any
    uint16_t port;    // 0: a free one
    uint8_t dscp;     // of what is sent: 46, 34, 0
    uint8_t ttl;      // of multicast; 0: 1
    bool is_loop;     // multicast comes back to this host (the kernel's; our own stack never does)
    void *context;
    /** On the thread that polls. May send, open, close, join and leave, this socket's too. */
    void (*received)(void *context, const struct dx_udp_datagram *datagram);
};

/* Of one network's sockets. */
struct dx_net_ops {
    int (*open)(struct dx_net *net, const struct dx_udp_config *config, struct dx_udp **ret_socket);
    void (*close)(struct dx_udp *socket);
    int (*join)(struct dx_udp *socket, uint32_t group, uint32_t source);
    int (*leave)(struct dx_udp *socket, uint32_t group, uint32_t source);
    int (*send)(struct dx_udp *socket, const struct dx_udp_address *to, const void *data,
                uint32_t size) DX_REALTIME;
    uint32_t (*address)(const struct dx_net *net);
    uint64_t (*lost)(const struct dx_net *net);
    uint64_t (*poll)(struct dx_net *net, uint64_t now_ns);
    int (*fd)(const struct dx_net *net);
    void (*destroy)(struct dx_net *net);
};

struct dx_net {
    const struct dx_net_ops *ops;
};

struct dx_udp {
    struct dx_net *net;
    struct dx_udp_config config; // `port` is the one it got
};

/*
 * Errors are negative errno values. All calls are made on the thread that polls, but for dx_udp_send().
 */

/**
 * Opens a socket.
 *
 * @return 0; -EADDRINUSE (the port is another socket's: those bound to groups may share one), -EADDRNOTAVAIL
 *         (the address is not ours), -ENOBUFS (as many as there may be), -EINVAL (DSCP above 63, no `received`).
 */
int dx_udp_open(struct dx_net *net, const struct dx_udp_config *config, struct dx_udp **ret_socket);

/** Leaves all groups, and closes. NULL is fine. */
void dx_udp_close(struct dx_udp *socket);

/**
 * Lets a group's datagrams to this socket; again for each further source.
 *
 * @param source  0: from anybody.
 * @return 0; -EADDRINUSE (joined already), -EINVAL (no group; from anybody and from a source), -ENOBUFS (too
 *         many).
 */
int dx_udp_join(struct dx_udp *socket, uint32_t group, uint32_t source);

/** Undoes a join. @return 0; -EADDRNOTAVAIL (there was none). */
int dx_udp_leave(struct dx_udp *socket, uint32_t group, uint32_t source);

/**
 * Sends a datagram.
 *
 * @return 0; -EMSGSIZE (above DX_UDP_MAX_BYTES), -ENOBUFS (no room in a queue), -ENETDOWN (no link),
 *         -EADDRNOTAVAIL (no address yet, or not the one it is bound to), -ENETUNREACH (no way there). The kernel
 *         says -ENETUNREACH of a link and of a bound address too, and without an address it sends from 0.0.0.0.
 *
 * Thread: any, one at a time for a socket, and not while it is closed.  Real-time: yes.  Our own stack: no lock,
 * no system call but what its `send` does; to a neighbour whose MAC is not known yet it waits in a queue, and the
 * next poll asks.  The kernel's: one system call, which does not wait.
 */
int dx_udp_send(struct dx_udp *socket, const struct dx_udp_address *to, const void *data,
                uint32_t size) DX_REALTIME;

/** The network's own address; 0: none.  Thread: any. */
uint32_t dx_net_address(const struct dx_net *net);

/**
 * Datagrams that came and found no room in a queue of the kernel's, or were above DX_UDP_MAX_BYTES. 0 for our own
 * stack, which has no queue, and counts fragments otherwise.
 */
uint64_t dx_net_lost(const struct dx_net *net);

/** Receives what has come, does what is due. @return when to be called next at the latest; UINT64_MAX: never. */
uint64_t dx_net_poll(struct dx_net *net, uint64_t now_ns);

/** To wait on until it is readable; -1: none (who gives frames to the stack polls). */
int dx_net_fd(const struct dx_net *net);

/** Closes all sockets. NULL is fine. */
void dx_net_destroy(struct dx_net *net);

/**
 * The kernel's sockets on one interface.
 *
 * @param interface  "eth0".
 * @param why        a sentence on failure.
 * @return 0; -ENODEV (no such interface); else what failed.
 */
int dx_net_open_kernel(const char *interface, struct dx_net **ret_net, char why[256]);

#endif /* DX_NET_UDP_H */
