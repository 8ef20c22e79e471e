// SPDX-License-Identifier: MIT
// UDP sockets, whether our own stack or the kernel's is below.

#ifndef DX_NET_UDP_H
#define DX_NET_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DX_UDP_MAX_BYTES 1472u // without fragments, on Ethernet

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
    uint32_t size;
    struct dx_udp_address from;
    uint32_t to;           // the address it was sent to: a group, or ours
    uint64_t received_ns;  // CLOCK_MONOTONIC: when the transfer or the packet came
};

struct dx_udp_config {
    uint32_t address; // to bind to; 0: any
    uint16_t port;    // 0: a free one
    uint8_t dscp;     // of what is sent: 46, 34, 0
    uint8_t ttl;      // of multicast; 0: 1
    bool is_loop;     // multicast comes back to this host (the kernel's; our own stack never does)
    void *context;
    void (*received)(void *context, const struct dx_udp_datagram *datagram); // on the thread that polls
};

struct dx_net_ops {
    int (*open)(struct dx_net *net, const struct dx_udp_config *config, struct dx_udp **ret_socket);
    void (*close)(struct dx_udp *socket);
    /** Source 0: from anybody. */
    int (*join)(struct dx_udp *socket, uint32_t group, uint32_t source);
    int (*leave)(struct dx_udp *socket, uint32_t group, uint32_t source);
    int (*send)(struct dx_udp *socket, const struct dx_udp_address *to, const void *data, uint32_t size);
    uint16_t (*port)(const struct dx_udp *socket);
    uint32_t (*address)(const struct dx_net *net);
    /** Receives what has come, does what is due. @return when to be called next. */
    uint64_t (*poll)(struct dx_net *net, uint64_t now_ns);
    /** To wait on; -1: none (the adapter's thread calls). */
    int (*fd)(const struct dx_net *net);
    void (*destroy)(struct dx_net *net);
};

struct dx_net {
    const struct dx_net_ops *ops;
};

struct dx_udp {
    struct dx_net *net;
    struct dx_udp_config config;
};

/** Thin calls of the table: errors are negative errno values (-EADDRINUSE, -EADDRNOTAVAIL, -ENETUNREACH, -EMSGSIZE, -ENOBUFS). */
int dx_udp_open(struct dx_net *net, const struct dx_udp_config *config, struct dx_udp **ret_socket);
void dx_udp_close(struct dx_udp *socket);
int dx_udp_join(struct dx_udp *socket, uint32_t group, uint32_t source);
int dx_udp_leave(struct dx_udp *socket, uint32_t group, uint32_t source);
int dx_udp_send(struct dx_udp *socket, const struct dx_udp_address *to, const void *data, uint32_t size);

/** The kernel's sockets on one interface: "eth0". */
int dx_net_open_kernel(const char *interface, struct dx_net **ret_net, char why[256]);

#endif /* DX_NET_UDP_H */
