// SPDX-License-Identifier: MIT
// Adapters that run, on models of all three kinds, in this process and behind USB/IP: what is sent comes back, whatever goes wrong
// on the way.

#include "backends/usb/adapter.h"
#include "backends/usb/model.h"
#include "tests/core/check.h"

#include <dextral/clock.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define HEAD 14u
#define WORKERS 64u
#define AHEAD 8u // frames under way: a model has little memory, as its example
#define SENDERS 4u
#define SENDER_SHIFT 24u
#define SENT_FRAMES 1000u // by each of them
#define PATIENCE_NS UINT64_C(60000000000)

struct kind {
    const char *name;
    struct dx_usb_model *(*make)(const struct dx_model_options *options);
    bool is_remote; // behind USB/IP
};

static const struct kind kinds[] = {
    {"ax88772", dx_model_ax88772, false},
    {"cdc-ecm", dx_model_ecm, false},
    {"cdc-ncm", dx_model_ncm, false},
    {"ax88772", dx_model_ax88772, true},
    {"cdc-ncm", dx_model_ncm, true},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

/* An adapter whose wire side sends back what it gets. */
struct rig {
    const struct kind *kind;
    struct dx_usb_model *model; // where it is not behind USB/IP, the device's
    struct dx_usb_device *device;
    int bus[2];  // sockets: [0] is the device's
    int wire[2]; // [0] is that of who echoes
    pthread_t server, echo;
    struct dx_adapter *adapter;
    /* The fault: what, and at which transfer. */
    int fault;
    uint32_t fault_at;
    _Atomic uint32_t transfers;
    _Atomic bool is_reached;
    _Atomic bool is_asleep; // FLUSHED: all transfers
    /* What came back, by the wire thread. */
    _Atomic uint32_t received; // how many
    _Atomic uint32_t last;     // the number of the last one
    uint32_t last_of[SENDERS]; // the same of each further thread that sends: their numbers are marked
    _Atomic uint32_t in_a_row; // frames since the last gap
    _Atomic uint32_t gone;
    _Atomic bool is_up;
    _Atomic uint32_t polls;
    _Atomic int policy, priority; // of the wire thread
    _Atomic bool wants_filter;
    uint8_t groups[80][6];
    uint32_t group_count;
    _Atomic uint32_t listed; // groups of the last list that a CDC model took
    _Atomic uint32_t packet_filter; // and its last packet filter
    uint8_t list[80][6];
};

static uint64_t
now_ns(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void
nap(void)
{
    static const struct timespec time = {.tv_nsec = 500000};
    (void)nanosleep(&time, NULL);
}

/* Frame `number`: to everybody, its own number and size, and bytes that follow from both. */
static void
make_frame(uint8_t *frame, uint32_t size, uint32_t number)
{
    memset(frame, 0xff, 6);
    memcpy(frame + 6, "\x02\x00\x00\x00\x00\x07\x88\xb5", 8);
    for (uint32_t i = HEAD; i < size; i++)
        frame[i] = (uint8_t)(number * 31u + i * 7u + size);
    memcpy(frame + HEAD, &number, sizeof number);
    memcpy(frame + HEAD + 4, &size, sizeof size);
}

static void
take_frame(void *context, const uint8_t *frame, uint32_t size)
{
    struct rig *const rig = context;
    uint8_t expected[DX_FRAME_MAX];
    uint32_t number;
    uint32_t sent_size;
    CHECK(size >= 60 && size <= DX_FRAME_MAX);
    memcpy(&number, frame + HEAD, sizeof number);
    memcpy(&sent_size, frame + HEAD + 4, sizeof sent_size);
    CHECK(sent_size <= size && (size == sent_size || size == 60));
    make_frame(expected, sent_size, number);
    CHECK(memcmp(frame + 6, expected + 6, sent_size - 6) == 0); // the destination is for the filter
    if (number >> SENDER_SHIFT > 0) {
        uint32_t *const last_of = &rig->last_of[(number >> SENDER_SHIFT) - 1];
        CHECK(number == *last_of + 1); // each one's in order, none lost
        *last_of = number;
        (void)atomic_fetch_add_explicit(&rig->received, 1, memory_order_release);
        return;
    }
    /* relaxed: the one writer. */
    const uint32_t last = atomic_load_explicit(&rig->last, memory_order_relaxed);
    CHECK(number > last); // in order, each once
    atomic_store_explicit(&rig->in_a_row,
                          number == last + 1 ? atomic_load_explicit(&rig->in_a_row, memory_order_relaxed) + 1 : 1,
                          memory_order_relaxed);
    atomic_store_explicit(&rig->last, number, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&rig->received, 1, memory_order_release);
}

static void
send_back(void *wire, const uint8_t *frame, uint32_t size)
{
    struct rig *const rig = wire;
    dx_usb_model_receive(rig->device, frame, size);
}

/* ---- behind USB/IP ---- */

static void *
serve(void *context)
{
    struct rig *const rig = context;
    char why[256];
    const int error = dx_usbip_serve(rig->model, rig->bus[1], rig->wire[1], why);
    CHECK(error == 0 || error == -ENODEV); // the other side's end, or the fault's
    (void)shutdown(rig->bus[1], SHUT_RDWR);
    return NULL;
}

static void *
echo(void *context)
{
    const struct rig *const rig = context;
    uint8_t frame[2048];
    for (ssize_t size; (size = recv(rig->wire[0], frame, sizeof frame, 0)) > 0;)
        (void)send(rig->wire[0], frame, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT);
    return NULL;
}

static int
open_remote(struct rig *rig, char why[256])
{
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, rig->bus) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, rig->wire) == 0);
    CHECK(fcntl(rig->wire[1], F_SETFL, O_NONBLOCK) == 0); // a wire that is full loses frames and stops nobody
    CHECK(pthread_create(&rig->server, NULL, serve, rig) == 0);
    CHECK(pthread_create(&rig->echo, NULL, echo, rig) == 0);
    return dx_usb_open_usbip(rig->bus[0], 1, DX_USB_HIGH, &rig->device, why);
}

/* After the device was closed. */
static void
close_remote(struct rig *rig)
{
    if (!rig->kind->is_remote)
        return;
    CHECK(pthread_join(rig->server, NULL) == 0);
    (void)shutdown(rig->wire[0], SHUT_RDWR);
    CHECK(pthread_join(rig->echo, NULL) == 0);
    (void)close(rig->bus[1]);
    (void)close(rig->wire[0]);
    (void)close(rig->wire[1]);
}

static void
close_rig(struct rig *rig)
{
    dx_adapter_close(rig->adapter);
    close_remote(rig);
}

static void
unplug(struct rig *rig)
{
    if (rig->kind->is_remote)
        (void)shutdown(rig->bus[1], SHUT_RDWR);
    else
        dx_usb_model_unplug(rig->device);
}

static void
plug_cable(struct rig *rig, bool is_up)
{
    if (rig->kind->is_remote)
        atomic_store_explicit(&rig->model->has_no_cable, !is_up, memory_order_relaxed); // it looks again and again
    else
        dx_usb_model_set_link(rig->device, is_up);
}

/* ---- a device whose transfers end with -ENODEV though it is there, as usbfs has it where the machine goes to sleep ---- */

#define FLUSHED (-ESHUTDOWN) // the model's word for it
#define FLUSHED_AT_ONCE 10u

static const struct dx_usb_ops *model_ops; // set before there are threads
static struct dx_usb_ops flushing_ops;
static void (*_Atomic flushed[3])(struct dx_usb_transfer *transfer); // of the adapter: bulk in, bulk out, interrupt

static size_t
kind_of(const struct dx_usb_transfer *transfer)
{
    return transfer->kind == DX_USB_INTERRUPT ? 2 : transfer->endpoint & DX_USB_IN ? 0 : 1;
}

static void
complete_flushed(struct dx_usb_transfer *transfer)
{
    if (transfer->status == FLUSHED)
        transfer->status = -ENODEV;
    atomic_load_explicit(&flushed[kind_of(transfer)], memory_order_relaxed)(transfer); // the same for all adapters
}

static int
submit_flushed(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    if (transfer->kind != DX_USB_CONTROL && transfer->completed != complete_flushed) {
        atomic_store_explicit(&flushed[kind_of(transfer)], transfer->completed, memory_order_relaxed); // as above
        transfer->completed = complete_flushed;
    }
    return model_ops->submit(device, transfer);
}

static int
make_fault(void *context, const struct dx_usb_transfer *transfer)
{
    struct rig *const rig = context;
    if (rig->fault == FLUSHED && transfer->kind == DX_USB_CONTROL)
        return 0;
    if (atomic_load_explicit(&rig->is_asleep, memory_order_relaxed))
        return FLUSHED;
    const uint32_t number = atomic_fetch_add_explicit(&rig->transfers, 1, memory_order_relaxed);
    if (number < rig->fault_at || number - rig->fault_at >= (rig->fault == FLUSHED ? FLUSHED_AT_ONCE : 1))
        return 0;
    atomic_store_explicit(&rig->is_reached, true, memory_order_release);
    return rig->fault;
}

static void
note_gone(void *context)
{
    struct rig *const rig = context;
    (void)atomic_fetch_add_explicit(&rig->gone, 1, memory_order_release);
}

static void
note_link(void *context, const struct dx_nic_link *link)
{
    struct rig *const rig = context;
    atomic_store_explicit(&rig->is_up, link->is_up, memory_order_relaxed);
}

/* On the thread that runs the model. */
static void
note_filter(void *context, const struct dx_usb_setup *setup, const uint8_t *data, int result)
{
    struct rig *const rig = context;
    if (setup->request_type != 0x21 || result < 0)
        return;
    if (setup->request == 0x40) { // SetEthernetMulticastFilters
        CHECK(setup->length == 6 * setup->value && setup->length <= sizeof rig->list);
        memcpy(rig->list, data, setup->length);
        atomic_store_explicit(&rig->listed, setup->value, memory_order_release);
    } else if (setup->request == 0x43) { // SetEthernetPacketFilter
        atomic_store_explicit(&rig->packet_filter, setup->value, memory_order_release);
    }
}

static uint64_t
poll_rig(void *context, uint64_t now)
{
    struct rig *const rig = context;
    struct sched_param param = {0};
    CHECK(now > 0 && sched_getparam(0, &param) == 0);
    atomic_store_explicit(&rig->policy, sched_getscheduler(0), memory_order_relaxed);
    atomic_store_explicit(&rig->priority, param.sched_priority, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&rig->polls, 1, memory_order_release);
    if (atomic_exchange_explicit(&rig->wants_filter, false, memory_order_acquire))
        dx_adapter_set_filter(rig->adapter, (const uint8_t (*)[6])rig->groups, rig->group_count);
    return UINT64_MAX;
}

static int
open_rig(struct rig *rig, const struct kind *kind, int fault, uint32_t fault_at, int32_t priority)
{
    static const struct dx_model_options options = {
        .mac = {2, 0, 0, 0, 0, 1}, .speed = DX_USB_HIGH, .is_strict = true};
    const struct dx_adapter_config config = {
        .context = rig,
        .received = take_frame,
        .poll = poll_rig,
        .link_changed = note_link,
        .gone = note_gone,
        .link_interval_ms = 20,
        .priority = priority,
    };
    char why[256] = "";
    *rig = (struct rig){.kind = kind, .fault = fault, .fault_at = fault_at};
    rig->model = kind->make(&options);
    CHECK(rig->model);
    rig->model->fault = make_fault;
    rig->model->fault_context = rig;
    rig->model->told = note_filter;
    rig->model->told_context = rig;
    rig->model->send = send_back;
    rig->model->wire = rig;
    int error = kind->is_remote ? open_remote(rig, why) : dx_usb_open_model(rig->model, &rig->device);
    if (error < 0) { // descriptors are read through the socket
        CHECK(kind->is_remote && *why);
        close_remote(rig);
        return -ENODEV;
    }
    if (fault == FLUSHED)
        rig->device->ops = &flushing_ops;
    error = dx_adapter_open(rig->device, &config, &rig->adapter, why);
    if (error < 0) {
        if (error != fault)
            (void)fprintf(stderr, "%s, %d at %u: %d: %s\n", kind->name, fault, fault_at, error, why);
        CHECK(*why);
        dx_usb_close(rig->device);
        close_remote(rig);
        return error;
    }
    CHECK(strcmp(dx_adapter_info(rig->adapter)->driver, kind->name) == 0);
    return 0;
}

static void
open_good(struct rig *rig, const struct kind *kind)
{
    CHECK_EQ(open_rig(rig, kind, 0, UINT32_MAX, 0), 0);
}

/* Until the link is up, there is room, or it is gone. */
static int
send_number(struct rig *rig, uint32_t number, uint32_t size)
{
    const uint64_t end_ns = now_ns() + PATIENCE_NS;
    uint8_t frame[DX_FRAME_MAX];
    int error;
    make_frame(frame, size, number);
    while ((error = dx_adapter_send(rig->adapter, frame, size)) == -ENETDOWN || error == -ENOBUFS) {
        CHECK(now_ns() < end_ns);
        dx_adapter_flush(rig->adapter);
        nap();
    }
    dx_adapter_flush(rig->adapter);
    return error;
}

static uint32_t
get(const _Atomic uint32_t *number)
{
    return atomic_load_explicit(number, memory_order_acquire);
}

static void
wait_until(const _Atomic uint32_t *number, uint32_t value)
{
    const uint64_t end_ns = now_ns() + PATIENCE_NS;
    while (get(number) < value) {
        CHECK(now_ns() < end_ns);
        nap();
    }
}

static void
wait_for_link(struct rig *rig, bool is_up)
{
    const uint64_t end_ns = now_ns() + PATIENCE_NS;
    while (atomic_load_explicit(&rig->is_up, memory_order_relaxed) != is_up) {
        CHECK(now_ns() < end_ns);
        nap();
    }
}

/* ---- tests ---- */

static void
send_every_size(struct rig *rig)
{
    uint32_t number = 0;
    for (uint32_t payload = 0; payload <= 1472; payload++) {
        CHECK_EQ(send_number(rig, ++number, 42 + payload), 0);
        if (number > AHEAD)
            wait_until(&rig->received, number - AHEAD);
    }
    wait_until(&rig->received, number);
    CHECK_EQ(get(&rig->in_a_row), number);
    const struct dx_nic_counters *const counters = dx_adapter_counters(rig->adapter);
    CHECK_EQ(atomic_load_explicit(&counters->sent, memory_order_relaxed), number);
    CHECK_EQ(atomic_load_explicit(&counters->received, memory_order_relaxed), number);
    CHECK_EQ(atomic_load_explicit(&counters->bad_headers, memory_order_relaxed), 0);
    CHECK_EQ(atomic_load_explicit(&counters->bad_lengths, memory_order_relaxed), 0);
    CHECK_EQ(atomic_load_explicit(&counters->lost_sync, memory_order_relaxed), 0);
}

static void
every_size_comes_back_in_order(void)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct rig rig;
        open_good(&rig, &kinds[i]);
        send_every_size(&rig);
        close_rig(&rig);
        CHECK_EQ(get(&rig.gone), 0);
    }
}

static struct dx_usb_model *
make_ncm_of_32_bits(const struct dx_model_options *options)
{
    struct dx_model_options alone = *options;
    alone.has_no_ntb16 = true;
    return dx_model_ncm(&alone);
}

/* Blocks of 16 bits it would not take, and it sends none. */
static void
an_adapter_with_blocks_of_32_bits_alone_carries_every_size(void)
{
    static const struct kind kind = {"cdc-ncm", make_ncm_of_32_bits, false};
    struct rig rig;
    open_good(&rig, &kind);
    send_every_size(&rig);
    CHECK_EQ(atomic_load_explicit(&rig.model->counters.bad, memory_order_relaxed), 0);
    CHECK(!atomic_load_explicit(&rig.model->complaint, memory_order_acquire));
    close_rig(&rig);
}

static void
what_no_adapter_sends_is_refused(void)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct rig rig;
        static const uint8_t frame[DX_FRAME_MAX + 1];
        open_good(&rig, &kinds[i]);
        CHECK_EQ(send_number(&rig, 1, 60), 0); // the link is up
        CHECK_EQ(-dx_adapter_send(rig.adapter, frame, 13), EMSGSIZE);
        CHECK_EQ(-dx_adapter_send(rig.adapter, frame, dx_adapter_info(rig.adapter)->max_frame + 1), EMSGSIZE);
        close_rig(&rig);
    }
}

static void *
try_priority(void *context)
{
    const struct sched_param param = {.sched_priority = 7};
    *(bool *)context = sched_setscheduler(0, SCHED_FIFO, &param) == 0;
    return NULL;
}

static void
the_wire_thread_has_the_priority_that_was_asked_for(void)
{
    struct rig rig;
    pthread_t thread;
    bool is_allowed = false;
    CHECK(pthread_create(&thread, NULL, try_priority, &is_allowed) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_EQ(open_rig(&rig, &kinds[0], 0, UINT32_MAX, 7), 0);
    CHECK_EQ(send_number(&rig, 1, 60), 0);
    wait_until(&rig.received, 1);
    wait_until(&rig.polls, 1);
    const int policy = atomic_load_explicit(&rig.policy, memory_order_relaxed) & ~SCHED_RESET_ON_FORK;
    CHECK_EQ(policy, is_allowed ? SCHED_FIFO : SCHED_OTHER); // it runs all the same
    CHECK_EQ(atomic_load_explicit(&rig.priority, memory_order_relaxed), is_allowed ? 7 : 0);
    CHECK_EQ(dx_adapter_degraded(rig.adapter) & DX_TASK_NOT_REALTIME, is_allowed ? 0 : DX_TASK_NOT_REALTIME);
    close_rig(&rig);
    open_good(&rig, &kinds[0]); // who asks for nothing lacks nothing
    CHECK_EQ(dx_adapter_degraded(rig.adapter), 0);
    close_rig(&rig);
}

/* On a thread of its own, which has lost the right for good; so have those that it starts. */
static void *
open_without_right(void *context)
{
    struct rig *const rig = context;
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2];
    CHECK(syscall(SYS_capget, &head, sets) == 0);
    sets[0].effective &= ~(1u << CAP_SYS_NICE);
    CHECK(syscall(SYS_capset, &head, sets) == 0);
    CHECK_EQ(open_rig(rig, &kinds[0], 0, UINT32_MAX, 7), 0);
    return NULL;
}

static void
a_priority_that_is_refused_is_told(void)
{
    struct rig rig;
    struct rlimit limit;
    pthread_t thread;
    CHECK(getrlimit(RLIMIT_RTPRIO, &limit) == 0);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
    CHECK(setrlimit(RLIMIT_RTPRIO, &none) == 0);
    CHECK(pthread_create(&thread, NULL, open_without_right, &rig) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(setrlimit(RLIMIT_RTPRIO, &limit) == 0);
    CHECK(dx_adapter_degraded(rig.adapter) & DX_TASK_NOT_REALTIME);
    CHECK_EQ(send_number(&rig, 1, 60), 0); // it runs all the same
    wait_until(&rig.received, 1);
    wait_until(&rig.polls, 1);
    CHECK_EQ(atomic_load_explicit(&rig.policy, memory_order_relaxed), SCHED_OTHER);
    close_rig(&rig);
}

/* Groups that nobody asked for do not pass the chip's hash; those that the wire thread asked for do. */
static void
the_filter_lets_groups_through(void)
{
    static const uint8_t group[6] = {0x01, 0x00, 0x5e, 0x45, 0x00, 0x01}; // bit 42, as in the kernel's table
    struct rig rig;
    uint8_t frame[100];
    open_good(&rig, &kinds[0]);
    CHECK_EQ(send_number(&rig, 1, 60), 0);
    wait_until(&rig.received, 1);
    make_frame(frame, sizeof frame, 2);
    memcpy(frame, group, sizeof group);
    dx_usb_model_receive(rig.device, frame, sizeof frame);
    CHECK_EQ(send_number(&rig, 2, 60), 0); // to all: behind the other on its way
    wait_until(&rig.received, 2);
    CHECK_EQ(get(&rig.received), 2);
    memcpy(rig.groups[0], group, sizeof group);
    rig.group_count = 1;
    atomic_store_explicit(&rig.wants_filter, true, memory_order_release);
    dx_adapter_flush(rig.adapter);
    for (uint32_t number = 3; get(&rig.received) < 3; number++) { // as soon as the request thread has asked for it
        make_frame(frame, sizeof frame, number);
        memcpy(frame, group, sizeof group);
        dx_usb_model_receive(rig.device, frame, sizeof frame);
        nap();
    }
    close_rig(&rig);
}

static void
ask_for_groups(struct rig *rig, uint32_t count, uint32_t expected_filter)
{
    const uint64_t end_ns = now_ns() + PATIENCE_NS;
    rig->group_count = count;
    atomic_store_explicit(&rig->wants_filter, true, memory_order_release);
    dx_adapter_flush(rig->adapter);
    while (atomic_load_explicit(&rig->packet_filter, memory_order_acquire) != expected_filter) {
        CHECK(now_ns() < end_ns);
        nap();
    }
}

/* Both models take a list of 32. Bit 1 is all groups, bit 4 those of the list. */
static void
a_device_that_takes_a_list_of_groups_gets_it(void)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct rig rig;
        if (strcmp(kinds[i].name, "ax88772") == 0)
            continue;
        open_good(&rig, &kinds[i]);
        CHECK_EQ(send_number(&rig, 1, 60), 0);
        wait_until(&rig.polls, 1);
        for (size_t j = 0; j < 33; j++)
            memcpy(rig.groups[j], (const uint8_t[]){0x01, 0x00, 0x5e, 0x45, 0x00, (uint8_t)j}, 6);
        ask_for_groups(&rig, 32, 0x1e);
        CHECK_EQ(get(&rig.listed), 32);
        CHECK(memcmp(rig.list, rig.groups, 32 * sizeof rig.list[0]) == 0);
        ask_for_groups(&rig, 33, 0x0e);
        CHECK_EQ(get(&rig.listed), 32);
        close_rig(&rig);
    }
}

static void
a_full_ring_says_so_and_counts(void)
{
    struct rig rig;
    uint8_t frame[1514];
    open_good(&rig, &kinds[0]);
    CHECK_EQ(send_number(&rig, 1, 60), 0);
    wait_until(&rig.received, 1);
    uint32_t number = 1;
    uint32_t refused = 0;
    while (refused == 0) { // without a flush nobody looks, but after a notification or a link's poll
        make_frame(frame, sizeof frame, number + 1);
        if (dx_adapter_send(rig.adapter, frame, sizeof frame) == 0)
            number++;
        else
            refused++;
    }
    CHECK_EQ(atomic_load_explicit(&dx_adapter_counters(rig.adapter)->dropped, memory_order_relaxed), refused);
    dx_adapter_flush(rig.adapter);
    wait_until(&rig.received, number);
    CHECK_EQ(get(&rig.in_a_row), number);
    close_rig(&rig);
}

struct sender {
    struct rig *rig;
    uint32_t first;
    pthread_t thread;
};

static void *
send_many(void *context)
{
    struct sender *const sender = context;
    for (uint32_t i = 0; i < SENT_FRAMES; i++) {
        CHECK_EQ(send_number(sender->rig, sender->first + i, 60 + i % 500), 0);
        while (i + 2 * AHEAD > get(&sender->rig->received) / SENDERS + 4 * AHEAD)
            nap(); // together no more than a model has room for
    }
    return NULL;
}

static void
several_threads_may_send(void)
{
    struct rig rig;
    struct sender senders[SENDERS];
    open_good(&rig, &kinds[0]);
    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.rig = &rig, .first = ((i + 1) << SENDER_SHIFT) + 1};
        rig.last_of[i] = (i + 1) << SENDER_SHIFT;
    }
    for (uint32_t i = 0; i < SENDERS; i++)
        CHECK(pthread_create(&senders[i].thread, NULL, send_many, &senders[i]) == 0);
    for (uint32_t i = 0; i < SENDERS; i++)
        CHECK(pthread_join(senders[i].thread, NULL) == 0);
    wait_until(&rig.received, SENDERS * SENT_FRAMES);
    close_rig(&rig);
}

static void
a_cable_that_is_pulled_out_is_told_and_back(void)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct rig rig;
        uint8_t frame[60];
        open_good(&rig, &kinds[i]);
        CHECK_EQ(send_number(&rig, 1, 60), 0);
        wait_until(&rig.received, 1);
        plug_cable(&rig, false);
        wait_for_link(&rig, false);
        make_frame(frame, sizeof frame, 2);
        CHECK_EQ(-dx_adapter_send(rig.adapter, frame, sizeof frame), ENETDOWN);
        plug_cable(&rig, true);
        wait_for_link(&rig, true);
        CHECK_EQ(send_number(&rig, 2, 60), 0);
        wait_until(&rig.received, 2);
        close_rig(&rig);
    }
}

static void
opening_and_closing_leaves_nothing(void)
{
    for (uint32_t i = 0; i < 20; i++) {
        struct rig rig;
        open_good(&rig, &kinds[i % KINDS]);
        close_rig(&rig);
        CHECK_EQ(get(&rig.gone), 0);
    }
    dx_adapter_close(NULL);
}

static void
a_device_that_no_driver_takes_stays_the_callers(void)
{
    static const struct dx_adapter_config config = {.context = NULL};
    static const struct dx_model_options options = {.mac = {2, 0, 0, 0, 0, 1}, .speed = DX_USB_HIGH};
    struct dx_usb_device *device = NULL;
    struct dx_adapter *adapter = NULL;
    char why[256] = "";
    CHECK_EQ(dx_usb_open_model(dx_model_ecm(&options), &device), 0);
    for (uint32_t i = 0; i < device->configuration_count; i++)
        device->configurations[i].size = 9; // no interfaces
    CHECK_EQ(-dx_adapter_open(device, &config, &adapter, why), ENOTSUP);
    CHECK(strstr(why, "no driver takes"));
    dx_usb_close(device);
}

static void
unplugged_in_the_midst_of_traffic_is_told_once(void)
{
    for (uint32_t i = 0; i < 30; i++) {
        struct rig rig;
        int error = 0;
        open_good(&rig, &kinds[i % KINDS]);
        for (uint32_t number = 1; error == 0; number++) {
            error = send_number(&rig, number, 60 + number % 1400);
            if (number == 10 + i)
                unplug(&rig);
        }
        CHECK_EQ(-error, ENODEV);
        wait_until(&rig.gone, 1);
        nap();
        CHECK_EQ(get(&rig.gone), 1);
        close_rig(&rig);
        CHECK_EQ(get(&rig.gone), 1);
    }
}

/* ---- one fault, at each place ---- */

#define FRAMES 12u // in a row: then it has recovered

/* Returns whether the run got as far as the fault. */
static bool
run_with_fault(const struct kind *kind, int fault, uint32_t at)
{
    struct rig rig;
    const uint64_t end_ns = now_ns() + PATIENCE_NS;
    const int error = open_rig(&rig, kind, fault, at, 0);
    if (error < 0) { // all but a device that is not there any more, or does not tell what it is, is tried again
        CHECK_EQ(-error, ENODEV);
        CHECK(fault == -ENODEV || !rig.device);
        CHECK_EQ(get(&rig.gone), 0);
        return true;
    }
    bool is_reached = false;
    uint32_t since = 0; // in_a_row counts from here on
    int sent = 0;
    for (uint32_t number = 1; sent == 0; number++) {
        sent = send_number(&rig, number, 60 + number * 97 % 1400);
        const uint32_t received = get(&rig.received);
        const uint64_t soon_ns = now_ns() + 5000000u;
        while (sent == 0 && get(&rig.received) == received && now_ns() < soon_ns)
            nap(); // a frame that was lost does not come
        if (!is_reached && atomic_load_explicit(&rig.is_reached, memory_order_acquire)) {
            is_reached = true;
            since = number;
        }
        if (get(&rig.in_a_row) >= FRAMES && get(&rig.last) >= since + FRAMES && fault != -ENODEV)
            break;
        if (get(&rig.in_a_row) >= FRAMES && !is_reached)
            break;
        if (now_ns() > end_ns) {
            (void)fprintf(stderr, "%s: fault %d at transfer %u: nothing came any more\n", kind->name, fault, at);
            abort();
        }
    }
    is_reached = is_reached || atomic_load_explicit(&rig.is_reached, memory_order_acquire);
    if (is_reached && fault == -ENODEV)
        wait_until(&rig.gone, 1);
    close_rig(&rig);
    CHECK_EQ(get(&rig.gone), is_reached && fault == -ENODEV);
    return is_reached;
}

struct campaign {
    const struct kind *kind;
    int fault;
    _Atomic uint32_t next;
    _Atomic uint32_t whole; // the first place that a run did not get to
};

static void *
work(void *context)
{
    struct campaign *const campaign = context;
    for (;;) {
        const uint32_t at = atomic_fetch_add_explicit(&campaign->next, 1, memory_order_relaxed);
        if (at >= atomic_load_explicit(&campaign->whole, memory_order_relaxed))
            return NULL;
        if (run_with_fault(campaign->kind, campaign->fault, at))
            continue;
        uint32_t whole = atomic_load_explicit(&campaign->whole, memory_order_relaxed);
        while (at < whole && !atomic_compare_exchange_weak_explicit(&campaign->whole, &whole, at,
                                                                    memory_order_relaxed, memory_order_relaxed))
            ;
    }
}

static void
try_everywhere(const struct kind *kind, int fault)
{
    struct campaign campaign = {.kind = kind, .fault = fault, .whole = UINT32_MAX};
    pthread_t workers[WORKERS];
    for (size_t i = 0; i < WORKERS; i++)
        CHECK(pthread_create(&workers[i], NULL, work, &campaign) == 0);
    for (size_t i = 0; i < WORKERS; i++)
        CHECK(pthread_join(workers[i], NULL) == 0);
    const uint32_t places = get(&campaign.whole);
    (void)fprintf(stderr, "  %s%s: fault %d at each of %u transfers\n", kind->name,
                  kind->is_remote ? " behind USB/IP" : "", fault, places);
    CHECK(places > (fault == FLUSHED ? 12 : 20)); // requests, unless FLUSHED; transfers of both directions, notifications
}

static void
a_fault_at_any_transfer_is_recovered_from(void)
{
    static const int faults[] = {-EPIPE, -EPROTO, -EOVERFLOW, -ETIMEDOUT, -EINPROGRESS, 1, -ENODEV};
    for (size_t i = 0; i < KINDS; i++) {
        for (size_t j = 0; j < sizeof faults / sizeof faults[0]; j++)
            try_everywhere(&kinds[i], faults[j]);
    }
}

static void
take_operations_of_a_model(void)
{
    struct rig rig;
    open_good(&rig, &kinds[0]);
    model_ops = rig.device->ops;
    close_rig(&rig);
    flushing_ops = *model_ops;
    flushing_ops.submit = submit_flushed;
}

static void
transfers_that_end_while_the_device_stays_are_made_anew(void)
{
    take_operations_of_a_model();
    for (size_t i = 0; i < KINDS && !kinds[i].is_remote; i++)
        try_everywhere(&kinds[i], FLUSHED);
}

/* May be refused: there is no link, or no room. */
static void
send_to_group(struct rig *rig, uint32_t number)
{
    uint8_t frame[100];
    make_frame(frame, sizeof frame, number);
    memcpy(frame, rig->groups[0], 6);
    (void)dx_adapter_send(rig->adapter, frame, sizeof frame);
    dx_adapter_flush(rig->adapter);
    nap();
}

/* Its port was reset: it has forgotten all that it was told, its groups too. */
static void
a_device_that_was_asleep_is_initialised_anew(void)
{
    take_operations_of_a_model();
    for (size_t i = 0; i < KINDS && !kinds[i].is_remote; i++) {
        struct rig rig;
        CHECK_EQ(open_rig(&rig, &kinds[i], FLUSHED, UINT32_MAX, 0), 0);
        CHECK_EQ(send_number(&rig, 1, 60), 0);
        wait_until(&rig.received, 1);
        wait_until(&rig.polls, 1);
        memcpy(rig.groups[0], (const uint8_t[]){0x01, 0x00, 0x5e, 0x45, 0x00, 0x01}, 6);
        rig.group_count = 1;
        atomic_store_explicit(&rig.wants_filter, true, memory_order_release);
        dx_adapter_flush(rig.adapter);
        atomic_store_explicit(&rig.is_asleep, true, memory_order_relaxed);
        CHECK_EQ(dx_usb_reset(rig.device), 0);
        uint32_t number = 1;
        while (number < 100)
            send_to_group(&rig, ++number);
        atomic_store_explicit(&rig.is_asleep, false, memory_order_relaxed);
        const uint64_t end_ns = now_ns() + PATIENCE_NS;
        while (get(&rig.last) <= 100) {
            CHECK(now_ns() < end_ns);
            send_to_group(&rig, ++number);
        }
        close_rig(&rig);
        CHECK_EQ(get(&rig.gone), 0);
    }
}

int
main(void)
{
    RUN(every_size_comes_back_in_order);
    RUN(an_adapter_with_blocks_of_32_bits_alone_carries_every_size);
    RUN(what_no_adapter_sends_is_refused);
    RUN(the_wire_thread_has_the_priority_that_was_asked_for);
    RUN(a_priority_that_is_refused_is_told);
    RUN(the_filter_lets_groups_through);
    RUN(a_device_that_takes_a_list_of_groups_gets_it);
    RUN(a_full_ring_says_so_and_counts);
    RUN(several_threads_may_send);
    RUN(a_cable_that_is_pulled_out_is_told_and_back);
    RUN(opening_and_closing_leaves_nothing);
    RUN(a_device_that_no_driver_takes_stays_the_callers);
    RUN(unplugged_in_the_midst_of_traffic_is_told_once);
    RUN(a_fault_at_any_transfer_is_recovered_from);
    RUN(a_device_that_was_asleep_is_initialised_anew);
    RUN(transfers_that_end_while_the_device_stays_are_made_anew);
    return 0;
}
