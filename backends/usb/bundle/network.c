// SPDX-License-Identifier: MIT
// Adapter, stack and socket: everything but opening and closing is on the wire thread.

#include "backends/usb/bundle/network.h"

#include "backends/usb/adapter.h"
#include "backends/usb/usb.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
#define RETRY_NS (NS_PER_S / 100) // while the stack is being made
#define LEAVE_S 1
#define LAST_FRAMES_NS (NS_PER_S / 50) // what was said on leaving gets onto the wire
#define WIRE_PRIORITY 75               // below IO threads
#define PACKETS_AT_ONCE 8u
#define DSCP_AUDIO 34u

struct network {
    struct network_config config;
    struct dx_adapter *adapter;
    struct dx_net_stack *_Atomic stack; // set once it is there
    _Atomic bool is_leaving;
    sem_t has_left;

    /* The wire thread's. */
    bool is_up;
    bool was_up;
    bool said_left;
    struct dx_udp *socket;
};

static uint64_t
now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* ---- the stack's callbacks ---- */

static int
send_frame(void *context, const uint8_t *frame, uint32_t size) DX_REALTIME
{
    struct network *const network = context;
    return network->adapter ? dx_adapter_send(network->adapter, frame, size) : -ENODEV;
}

static void
set_filter(void *context, const uint8_t (*groups)[6], uint32_t count)
{
    struct network *const network = context;
    if (network->adapter)
        dx_adapter_set_filter(network->adapter, groups, count);
}

static void
take_datagram(void *context, const struct dx_udp_datagram *datagram)
{
    struct network *const network = context;
    if (datagram->to == network->config.group)
        packets_take(network->config.packets, datagram->data, datagram->size, datagram->received_ns);
}

/* ---- the adapter's callbacks: the wire thread ---- */

static void
open_socket(struct network *network, struct dx_net_stack *stack)
{
    const struct dx_udp_config config = {
        .address = network->config.group,
        .port = network->config.port,
        .dscp = DSCP_AUDIO,
        .context = network,
        .received = take_datagram,
    };
    if (dx_udp_open(dx_net_stack_net(stack), &config, &network->socket) == 0)
        (void)dx_udp_join(network->socket, network->config.group, 0); // the only one: there is room
}

static void
leave(struct network *network)
{
    dx_udp_close(network->socket);
    network->socket = NULL;
    if (!network->said_left)
        (void)sem_post(&network->has_left);
    network->said_left = true;
}

/* @return when the next packet is due. */
static uint64_t
send_packets(struct network *network, uint64_t now)
{
    const struct dx_udp_address to = {network->config.group, network->config.port};
    uint8_t bytes[PACKETS_MAX_BYTES];
    uint64_t due = UINT64_MAX;
    for (unsigned i = 0; i < PACKETS_AT_ONCE; i++) {
        const uint32_t size = packets_make(network->config.packets, now, bytes, &due);
        if (!size)
            break;
        (void)dx_udp_send(network->socket, &to, bytes, size); // without a link or an address it is lost, as on any wire
    }
    return due;
}

static uint64_t
poll_network(void *context, uint64_t now)
{
    struct network *const network = context;
    /* acquire: pairs with make_stack(). */
    struct dx_net_stack *const stack = atomic_load_explicit(&network->stack, memory_order_acquire);
    if (!stack)
        return now + RETRY_NS;
    /* acquire: pairs with network_close(). */
    const bool is_leaving = atomic_load_explicit(&network->is_leaving, memory_order_acquire);
    if (is_leaving)
        leave(network);
    else if (!network->socket)
        open_socket(network, stack);
    if (network->is_up != network->was_up)
        dx_net_stack_set_link(stack, network->is_up, now);
    network->was_up = network->is_up;
    const uint64_t due = network->socket ? send_packets(network, now) : UINT64_MAX;
    const uint64_t next = dx_net_stack_poll(stack, now);
    return due < next ? due : next;
}

static void
take_frame(void *context, const uint8_t *frame, uint32_t size)
{
    struct network *const network = context;
    /* acquire: pairs with make_stack(). */
    struct dx_net_stack *const stack = atomic_load_explicit(&network->stack, memory_order_acquire);
    if (stack)
        dx_net_stack_input(stack, frame, size, now_ns());
}

static void
take_link(void *context, const struct dx_nic_link *link)
{
    struct network *const network = context;
    network->is_up = link->is_up;
}

/* The supervisor sees it leave, and stops the driver. */
static void
note_gone(void *context)
{
    struct network *const network = context;
    if (!network->said_left)
        (void)sem_post(&network->has_left);
    network->said_left = true;
}

/* ---- opening and closing ---- */

static int
make_stack(struct network *network, char why[256])
{
    struct dx_net_stack *stack = NULL;
    struct dx_net_stack_config config = {
        .addressing = network->config.address.addressing,
        .address = network->config.address.address,
        .netmask = network->config.address.netmask,
        .gateway = network->config.address.gateway,
        .host_name = "dextral",
        .context = network,
        .send = send_frame,
        .set_filter = set_filter,
    };
    memcpy(config.mac, dx_adapter_info(network->adapter)->mac, sizeof config.mac);
    const int error = dx_net_stack_create(&config, &stack);
    if (error < 0) {
        (void)strcpy(why, error == -ENOMEM ? "no memory for the network" : "the adapter has no address of its own");
        return error;
    }
    /* release: pairs with the acquire in poll_network() and take_frame(). */
    atomic_store_explicit(&network->stack, stack, memory_order_release);
    dx_adapter_flush(network->adapter);
    return 0;
}

static int
open_adapter(struct network *network, int fd, const char *port, const dx_usb_info *info, char why[256])
{
    const struct dx_adapter_config config = {
        .context = network,
        .received = take_frame,
        .poll = poll_network,
        .link_changed = take_link,
        .gone = note_gone,
        .priority = WIRE_PRIORITY,
    };
    struct dx_usb_device *device = NULL;
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        (void)strcpy(why, "no descriptor left for the adapter");
        return -errno;
    }
    int error = dx_usb_open_fd(copy, port, &device, why);
    if (error < 0)
        return error;
    device->is_for_interface = info->is_interface;
    device->interface = info->interface_number;
    error = dx_adapter_open(device, &config, &network->adapter, why);
    if (error < 0)
        dx_usb_close(device); // else it is taken
    return error;
}

int
network_open(int fd, const char *port, const dx_usb_info *info, const struct network_config *config,
             struct network **ret_network, char why[256])
{
    struct network *const network = calloc(1, sizeof *network);
    if (!network) {
        (void)strcpy(why, "no memory for the network");
        return -ENOMEM;
    }
    network->config = *config;
    (void)sem_init(&network->has_left, 0, 0); // cannot fail for one of this process with 0
    int error = open_adapter(network, fd, port, info, why);
    if (error == 0)
        error = make_stack(network, why);
    if (error < 0) {
        network_close(network);
        return error;
    }
    *ret_network = network;
    return 0;
}

/* On the wire thread, which still runs: what is said last has somewhere to go. */
static void
leave_group(struct network *network)
{
    struct timespec end;
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += LEAVE_S;
    /* release: pairs with poll_network(). */
    atomic_store_explicit(&network->is_leaving, true, memory_order_release);
    dx_adapter_flush(network->adapter);
    while (sem_clockwait(&network->has_left, CLOCK_MONOTONIC, &end) != 0 && errno == EINTR)
        ;
    (void)nanosleep(&(struct timespec){.tv_nsec = (long)LAST_FRAMES_NS}, NULL);
}

void
network_close(struct network *network)
{
    if (!network)
        return;
    /* relaxed: this thread has set it. */
    struct dx_net_stack *const stack = atomic_load_explicit(&network->stack, memory_order_relaxed);
    if (stack)
        leave_group(network);
    dx_adapter_close(network->adapter);
    network->adapter = NULL; // no thread of it runs any more; the stack has nothing to say
    dx_net_stack_destroy(stack);
    (void)sem_destroy(&network->has_left);
    free(network);
}

void
network_wake(struct network *network)
{
    dx_adapter_flush(network->adapter);
}

unsigned
network_degraded(const struct network *network)
{
    return dx_adapter_degraded(network->adapter);
}

const uint8_t *
network_mac(const struct network *network)
{
    return dx_adapter_info(network->adapter)->mac;
}

const char *
network_chip(const struct network *network)
{
    return dx_adapter_info(network->adapter)->chip;
}

/* relaxed: whoever has a network has it from network_open(), which has made the stack. */
static const struct dx_net_stack *
stack_of(const struct network *network)
{
    return atomic_load_explicit(&network->stack, memory_order_relaxed);
}

uint32_t
network_address(const struct network *network)
{
    return dx_net_stack_address(stack_of(network));
}

void
network_get_stack_counters(const struct network *network, struct dx_net_stack_counters *ret_counters)
{
    dx_net_stack_get_counters(stack_of(network), ret_counters);
}

const struct dx_nic_counters *
network_counters(const struct network *network)
{
    return dx_adapter_counters(network->adapter);
}
