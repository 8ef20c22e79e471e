// SPDX-License-Identifier: MIT
// A device at the other end of a socket. Only the thread that pumps touches the socket.

#include "backends/usb/usbip.h"

#include "backends/usb/descriptors.h"
#include "backends/usb/inbox.h"
#include "backends/usb/request.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    TRANSFER_MAX = 1024 * 1024, // bytes
    MESSAGES_A_ROUND = 64,
    DT_DEVICE = 1,
    DEVICE_BYTES = 18,
    CONFIGURATION_HEAD = 9,
};

/* For how long the other side may say nothing of a transfer that is to end, and to a request of open(). */
#define PATIENCE_NS UINT64_C(5000000000)
#define OPEN_TIMEOUT_MS 5000u

/* The pumping thread's, but for what the lock has. */
struct client_slot {
    struct dx_inbox_slot queued; // first
    uint32_t seqnum;
    uint32_t unlink;    // the number of the message that asked for its end; 0: none
    int end;            // what it ends with when that is granted
    uint64_t given_up_ns; // then the other side has said nothing for too long
};

struct client {
    struct dx_usb_device device; // first
    struct dx_inbox inbox; // it refuses when is_dead was seen
    int socket;
    uint32_t device_id;

    /* The pumping thread's. */
    struct dx_model_list unsent, sent, done;
    uint32_t next_seqnum;
    uint32_t unlink_count; // that have not been answered
    bool has_ending;       // a transfer in `sent` whose end has not been asked for yet
    bool is_dead;
    const char *death; // a sentence
    uint8_t in_header[DX_USBIP_HEADER];
    uint32_t in_at;                // of the header, or of the data
    struct client_slot *receiving; // whose data comes
    uint32_t receiving_size;
    int receiving_status;
    uint8_t out_header[DX_USBIP_HEADER];
    struct client_slot *sending; // whose header and data go; NULL: an UNLINK, or nothing
    uint32_t out_at, out_size;   // out_size 0: nothing
};

static struct client *
client_of(struct dx_usb_device *device)
{
    return (struct client *)device;
}

static struct client_slot *
slot_of(struct dx_model_slot *slot)
{
    return (struct client_slot *)slot;
}

/* ---- any thread ---- */

static void
client_wake(struct dx_usb_device *device)
{
    dx_inbox_wake(&client_of(device)->inbox);
}

static int
client_prepare(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    (void)device;
    return dx_inbox_prepare(transfer, sizeof(struct client_slot));
}

static void
client_unprepare(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    (void)device;
    dx_inbox_unprepare(transfer);
}

static int
client_submit(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    return dx_inbox_submit(&client_of(device)->inbox, transfer, TRANSFER_MAX);
}

static int
client_cancel(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    dx_inbox_cancel(&client_of(device)->inbox, transfer);
    return 0;
}

/* ---- ends ---- */

static void
complete(struct client *client, struct dx_model_list *list, struct client_slot *mine, int status, uint32_t actual)
{
    struct dx_usb_transfer *const transfer = mine->queued.slot.transfer;
    dx_model_list_remove(list, &mine->queued.slot);
    transfer->status = status;
    transfer->actual = actual;
    dx_model_list_append(&client->done, &mine->queued.slot);
}

/* Nothing goes to the socket or comes from it any more. */
static void
die(struct client *client, const char *death)
{
    if (client->is_dead)
        return;
    client->is_dead = true;
    client->death = death;
    client->sending = client->receiving = NULL;
    client->out_size = 0;
    while (client->sent.first)
        complete(client, &client->sent, slot_of(client->sent.first), -ENODEV, 0);
    while (client->unsent.first)
        complete(client, &client->unsent, slot_of(client->unsent.first), -ENODEV, 0);
    (void)shutdown(client->socket, SHUT_RDWR); // the other side learns of it
}

/* What has been sent ends when the other side grants it. The one that is being sent is asked for later. */
static void
end_transfer(struct client *client, struct dx_model_list *list, struct client_slot *mine, int end, uint64_t now_ns)
{
    if (list == &client->unsent) {
        complete(client, list, mine, end, 0);
        return;
    }
    if (mine->end)
        return;
    mine->end = end;
    mine->given_up_ns = now_ns + PATIENCE_NS;
    client->has_ending = true;
}

static void
look_at_time(struct client *client, struct dx_model_list *list, uint64_t now_ns)
{
    for (struct dx_model_slot *slot = list->first, *next; slot; slot = next) {
        next = slot->next;
        struct client_slot *const mine = slot_of(slot);
        if (slot->is_cancelled)
            end_transfer(client, list, mine, -ECANCELED, now_ns);
        else if (now_ns >= slot->deadline_ns)
            end_transfer(client, list, mine, -ETIMEDOUT, now_ns);
    }
    for (struct dx_model_slot *slot = list->first; slot; slot = slot->next)
        if (slot_of(slot)->end && now_ns >= slot_of(slot)->given_up_ns) {
            die(client, "the other side does not answer");
            return;
        }
}

static uint64_t
next_time(const struct client *client, uint64_t deadline_ns)
{
    const struct dx_model_list *const lists[] = {&client->unsent, &client->sent};
    uint64_t next_ns = deadline_ns;
    for (uint32_t i = 0; i < 2; i++)
        for (struct dx_model_slot *slot = lists[i]->first; slot; slot = slot->next) {
            const uint64_t at_ns = slot_of(slot)->end ? slot_of(slot)->given_up_ns : slot->deadline_ns;
            if (at_ns < next_ns)
                next_ns = at_ns;
        }
    return next_ns;
}

/* ---- what goes out ---- */

static uint32_t
interval_of(const struct dx_usb_device *device, uint8_t address)
{
    const uint8_t *endpoint = NULL;
    for (uint32_t i = 0; i < device->configuration_count && !endpoint; i++) {
        const struct dx_usb_configuration *const configuration = &device->configurations[i];
        endpoint = dx_model_find_endpoint(configuration->bytes, configuration->size, NULL, address);
    }
    const uint32_t interval = endpoint && endpoint[6] ? endpoint[6] : 1;
    if (device->speed == DX_USB_LOW || device->speed == DX_USB_FULL)
        return interval;
    return 1u << ((interval < 16 ? interval : 16) - 1); // microframes
}

static bool
is_in(const struct dx_usb_transfer *transfer)
{
    return (transfer->kind == DX_USB_CONTROL ? transfer->setup.request_type : transfer->endpoint) & DX_USB_IN;
}

static uint32_t
new_seqnum(struct client *client)
{
    if (++client->next_seqnum == 0)
        client->next_seqnum = 1;
    return client->next_seqnum;
}

static void
begin_header(struct client *client, uint32_t command, uint32_t seqnum)
{
    memset(client->out_header, 0, DX_USBIP_HEADER);
    dx_usbip_put(client->out_header, DX_USBIP_COMMAND, command);
    dx_usbip_put(client->out_header, DX_USBIP_SEQNUM, seqnum);
    dx_usbip_put(client->out_header, DX_USBIP_DEVICE, client->device_id);
    client->out_at = 0;
    client->out_size = DX_USBIP_HEADER;
}

static void
begin_submit(struct client *client, struct client_slot *mine)
{
    const struct dx_usb_transfer *const transfer = mine->queued.slot.transfer;
    uint8_t *const header = client->out_header;
    dx_model_list_remove(&client->unsent, &mine->queued.slot);
    dx_model_list_append(&client->sent, &mine->queued.slot);
    mine->seqnum = new_seqnum(client);
    begin_header(client, DX_USBIP_SUBMIT, mine->seqnum);
    dx_usbip_put(header, DX_USBIP_DIRECTION, is_in(transfer));
    dx_usbip_put(header, DX_USBIP_ENDPOINT, transfer->endpoint & 0x0fu);
    dx_usbip_put(header, DX_USBIP_FLAGS,
                 (is_in(transfer) ? DX_USBIP_DIRECTION_IN : 0u) |
                     (transfer->ends_short ? DX_USBIP_ZERO_PACKET : 0u));
    dx_usbip_put(header, DX_USBIP_LENGTH, transfer->size);
    if (transfer->kind == DX_USB_INTERRUPT)
        dx_usbip_put(header, DX_USBIP_INTERVAL, interval_of(&client->device, transfer->endpoint));
    if (transfer->kind == DX_USB_CONTROL) {
        const struct dx_usb_setup *const setup = &transfer->setup;
        const uint8_t bytes[8] = {
            setup->request_type,     setup->request,
            (uint8_t)setup->value,   (uint8_t)(setup->value >> 8),
            (uint8_t)setup->index,   (uint8_t)(setup->index >> 8),
            (uint8_t)transfer->size, (uint8_t)(transfer->size >> 8),
        };
        memcpy(header + DX_USBIP_SETUP, bytes, sizeof bytes);
    }
    client->sending = mine;
    if (!is_in(transfer))
        client->out_size += transfer->size;
}

static void
begin_unlink(struct client *client, struct client_slot *mine)
{
    mine->unlink = new_seqnum(client);
    begin_header(client, DX_USBIP_UNLINK, mine->unlink);
    dx_usbip_put(client->out_header, DX_USBIP_VICTIM, mine->seqnum);
    client->unlink_count++;
}

/* The next message. Ends go first: what is unlinked makes room. @return whether there is one. */
static bool
begin_message(struct client *client)
{
    if (client->out_size)
        return true;
    if (client->has_ending)
        for (struct dx_model_slot *slot = client->sent.first; slot; slot = slot->next)
            if (slot_of(slot)->end && !slot_of(slot)->unlink) {
                begin_unlink(client, slot_of(slot));
                return true;
            }
    client->has_ending = false;
    if (client->unsent.first)
        begin_submit(client, slot_of(client->unsent.first));
    return client->out_size != 0;
}

static void
write_messages(struct client *client)
{
    while (!client->is_dead && begin_message(client)) {
        uint8_t *const data = client->sending ? client->sending->queued.slot.transfer->data : NULL;
        const uint32_t at = client->out_at;
        struct iovec parts[2];
        uint32_t count = 0;
        if (at < DX_USBIP_HEADER)
            parts[count++] = (struct iovec){client->out_header + at, DX_USBIP_HEADER - at};
        const uint32_t data_at = at < DX_USBIP_HEADER ? 0 : at - DX_USBIP_HEADER;
        if (client->out_size - DX_USBIP_HEADER > data_at)
            parts[count++] = (struct iovec){data + data_at, client->out_size - DX_USBIP_HEADER - data_at};
        const struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
        const ssize_t n = sendmsg(client->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            if (errno != EAGAIN && errno != EINTR)
                die(client, "the other side has gone");
            return;
        }
        client->out_at += (uint32_t)n;
        if (client->out_at < client->out_size)
            continue;
        client->sending = NULL;
        client->out_size = 0;
    }
}

/* ---- what comes in ---- */

/* The other side's errno values are Linux's. */
static int
status_from(uint32_t value)
{
    const int32_t status = (int32_t)value;
    switch (status) {
    case 0:
    case -121: // EREMOTEIO: it was short, and somebody minded
        return 0;
    case -2:   // ENOENT
    case -104: // ECONNRESET
        return -ECANCELED;
    case -32:
        return -EPIPE;
    case -75:
        return -EOVERFLOW;
    case -110:
        return -ETIMEDOUT;
    case -12:
        return -ENOMEM;
    case -19:  // ENODEV
    case -108: // ESHUTDOWN
        return -ENODEV;
    default:
        return -EPROTO;
    }
}

static struct client_slot *
find_sent(const struct client *client, uint32_t number, bool is_unlink)
{
    for (struct dx_model_slot *slot = client->sent.first; slot; slot = slot->next) {
        const struct client_slot *const mine = slot_of(slot);
        if (number && (is_unlink ? mine->unlink : mine->seqnum) == number)
            return slot_of(slot);
    }
    return NULL;
}

static void
finish_receiving(struct client *client)
{
    struct client_slot *const mine = client->receiving;
    const int status = client->receiving_status;
    client->receiving = NULL;
    complete(client, &client->sent, mine, status, client->receiving_size);
    if (status == -ENODEV)
        die(client, "the device has gone");
}

static void
take_ret_submit(struct client *client)
{
    const uint8_t *const header = client->in_header;
    const uint32_t actual = dx_usbip_get(header, DX_USBIP_ACTUAL);
    const uint32_t packets = dx_usbip_get(header, DX_USBIP_PACKETS);
    struct client_slot *const mine = find_sent(client, dx_usbip_get(header, DX_USBIP_SEQNUM), false);
    if (!mine || mine == client->sending) {
        die(client, "the other side answered a transfer that was not made");
        return;
    }
    if (actual > mine->queued.slot.transfer->size || (packets != 0 && packets != DX_USBIP_NOT_ISOCHRONOUS)) {
        die(client, "the other side answered with more than was asked for");
        return;
    }
    client->receiving = mine;
    client->receiving_size = actual;
    client->receiving_status = status_from(dx_usbip_get(header, DX_USBIP_STATUS));
    if (actual == 0 || !is_in(mine->queued.slot.transfer))
        finish_receiving(client);
}

/* Whatever the status, no other answer to that transfer will come. */
static void
take_ret_unlink(struct client *client)
{
    struct client_slot *const mine = find_sent(client, dx_usbip_get(client->in_header, DX_USBIP_SEQNUM), true);
    if (client->unlink_count == 0) {
        die(client, "the other side granted an end that nobody asked for");
        return;
    }
    client->unlink_count--;
    if (mine && mine != client->sending)
        complete(client, &client->sent, mine, mine->end, 0);
}

static void
take_header(struct client *client)
{
    switch (dx_usbip_get(client->in_header, DX_USBIP_COMMAND)) {
    case DX_USBIP_RET_SUBMIT:
        take_ret_submit(client);
        return;
    case DX_USBIP_RET_UNLINK:
        take_ret_unlink(client);
        return;
    default:
        die(client, "the other side sent a message of an unknown kind");
    }
}

static void
read_messages(struct client *client)
{
    for (uint32_t i = 0; i < MESSAGES_A_ROUND && !client->is_dead;) {
        struct client_slot *const mine = client->receiving;
        uint8_t *const place = mine ? mine->queued.slot.transfer->data : client->in_header;
        const uint32_t whole = mine ? client->receiving_size : DX_USBIP_HEADER;
        const ssize_t n = recv(client->socket, place + client->in_at, whole - client->in_at, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            const bool is_within = client->in_at || mine;
            die(client, is_within ? "the other side ended within a message" : "the other side has gone");
            return;
        }
        client->in_at += (uint32_t)n;
        if (client->in_at < whole)
            continue;
        client->in_at = 0;
        i++;
        if (mine)
            finish_receiving(client);
        else
            take_header(client);
    }
}

/* ---- the thread that pumps ---- */

static void
take_requests(struct client *client)
{
    pthread_mutex_lock(&client->inbox.lock);
    for (struct dx_model_slot *slot; (slot = client->inbox.submitted.first);) {
        struct client_slot *const mine = slot_of(slot);
        const uint32_t timeout_ms = slot->transfer->timeout_ms;
        dx_model_list_remove(&client->inbox.submitted, slot);
        slot->deadline_ns = timeout_ms ? mine->queued.submitted_ns + timeout_ms * UINT64_C(1000000) : UINT64_MAX;
        slot->is_cancelled = false;
        mine->seqnum = mine->unlink = 0;
        mine->end = 0;
        dx_model_list_append(&client->unsent, slot);
        if (client->is_dead)
            complete(client, &client->unsent, mine, -ENODEV, 0);
    }
    if (client->inbox.has_cancelled) {
        dx_inbox_mark_cancelled(&client->unsent);
        dx_inbox_mark_cancelled(&client->sent);
    }
    client->inbox.has_cancelled = false;
    client->inbox.refuses = client->is_dead;
    pthread_mutex_unlock(&client->inbox.lock);
}

/* @return whether any was called. */
static bool
call_completed(struct client *client)
{
    bool any = false;
    for (struct dx_model_slot *slot; (slot = client->done.first); any = true) {
        dx_model_list_remove(&client->done, slot);
        dx_inbox_complete(&client->inbox, slot);
    }
    return any;
}

static bool
is_idle(struct client *client)
{
    pthread_mutex_lock(&client->inbox.lock);
    const bool result = !client->inbox.submitted.first && !client->inbox.has_cancelled &&
                        client->inbox.refuses == client->is_dead;
    pthread_mutex_unlock(&client->inbox.lock);
    return result;
}

static int
client_pump(struct dx_usb_device *device, uint64_t deadline_ns)
{
    struct client *const client = client_of(device);
    for (;;) {
        take_requests(client);
        const uint64_t now_ns = dx_model_now_ns();
        look_at_time(client, &client->unsent, now_ns);
        look_at_time(client, &client->sent, now_ns);
        read_messages(client);
        write_messages(client);
        if (call_completed(client))
            return 0;
        if (dx_inbox_was_woken(&client->inbox) || dx_model_now_ns() >= deadline_ns)
            return 0;
        if (!is_idle(client))
            continue;
        if (client->is_dead)
            return -ENODEV;
        const short events = (short)(POLLIN | (client->out_size ? POLLOUT : 0));
        dx_inbox_wait(&client->inbox, client->socket, events, next_time(client, deadline_ns));
    }
}

/* ---- opening ---- */

static void
client_close(struct dx_usb_device *device)
{
    struct client *const client = client_of(device);
    dx_inbox_end(&client->inbox);
    (void)close(client->socket);
    free(client);
}

static const struct dx_usb_ops client_ops = {
    .prepare = client_prepare,
    .unprepare = client_unprepare,
    .submit = client_submit,
    .cancel = client_cancel,
    .pump = client_pump,
    .wake = client_wake,
    .set_configuration = dx_request_set_configuration,
    .claim = dx_request_claim,
    .release = dx_request_claim,
    .set_interface = dx_request_set_interface,
    .clear_halt = dx_request_clear_halt,
    .reset = dx_request_reset,
    .close = client_close,
};

static void
note_end(struct dx_usb_transfer *transfer)
{
    *(bool *)transfer->context = true;
}

/* A request before anybody pumps: this thread does. @return bytes, or an error. */
static int
ask(struct client *client, struct dx_usb_setup setup, void *data)
{
    bool has_ended = false;
    struct dx_usb_transfer transfer = {
        .kind = DX_USB_CONTROL,
        .setup = setup,
        .data = data,
        .capacity = setup.length,
        .size = setup.length,
        .timeout_ms = OPEN_TIMEOUT_MS,
        .completed = note_end,
        .context = &has_ended,
    };
    int result = dx_usb_prepare(&client->device, &transfer);
    if (result == 0)
        result = dx_usb_submit(&client->device, &transfer);
    while (result == 0 && !has_ended)
        (void)dx_usb_pump(&client->device, UINT64_MAX); // the time-out ends it, or the socket
    dx_usb_unprepare(&client->device, &transfer);
    if (result < 0)
        return result;
    return transfer.status < 0 ? transfer.status : (int)transfer.actual;
}

static int
get_descriptor(struct client *client, uint32_t kind, uint32_t index, void *data, uint32_t size)
{
    const struct dx_usb_setup setup = {
        .request_type = DX_USB_IN,
        .request = DX_USB_GET_DESCRIPTOR,
        .value = (uint16_t)(kind << 8 | index),
        .length = (uint16_t)size,
    };
    return ask(client, setup, data);
}

/* What came of it is kept; its head must be there. */
static int
read_configuration(struct client *client, uint32_t index)
{
    uint8_t head[CONFIGURATION_HEAD] = {0};
    const int got = get_descriptor(client, DX_USB_DT_CONFIGURATION, index, head, sizeof head);
    const uint32_t whole = head[2] | (uint32_t)head[3] << 8;
    if (got < 0)
        return got;
    if (got < CONFIGURATION_HEAD || head[1] != DX_USB_DT_CONFIGURATION || whole < CONFIGURATION_HEAD)
        return -EPROTO;
    struct dx_usb_configuration *const configuration = &client->device.configurations[index];
    if (!(configuration->bytes = malloc(whole)))
        return -ENOMEM;
    client->device.configuration_count = index + 1;
    const int n = get_descriptor(client, DX_USB_DT_CONFIGURATION, index, configuration->bytes, whole);
    configuration->size = n > 0 ? (uint32_t)n : 0;
    return n < 0 ? n : n < CONFIGURATION_HEAD ? -EPROTO : 0;
}

/* As the kernel does with a device that is new: the first configuration, where none is set. */
static int
configure(struct client *client)
{
    struct dx_usb_device *const device = &client->device;
    const struct dx_usb_setup get = {.request_type = DX_USB_IN, .request = DX_USB_GET_CONFIGURATION, .length = 1};
    const int got = ask(client, get, &device->configuration);
    if (got != 1)
        return got < 0 ? got : -EPROTO;
    if (device->configuration || !device->configuration_count)
        return 0;
    const uint8_t value = device->configurations[0].bytes[5];
    const struct dx_usb_setup set = {.request = DX_USB_SET_CONFIGURATION, .value = value};
    const int result = ask(client, set, NULL);
    if (result >= 0)
        device->configuration = value;
    return result < 0 ? result : 0;
}

static int
introduce(struct client *client, const char **ret_what)
{
    struct dx_usb_device *const device = &client->device;
    *ret_what = "the device descriptor";
    const int got = get_descriptor(client, DT_DEVICE, 0, device->device_descriptor, DEVICE_BYTES);
    if (got < 0)
        return got;
    if (got < DEVICE_BYTES || device->device_descriptor[1] != DT_DEVICE)
        return -EPROTO;
    *ret_what = "a configuration descriptor";
    for (uint32_t i = 0; i < device->device_descriptor[17] && i < DX_USB_MAX_CONFIGURATIONS; i++) {
        const int result = read_configuration(client, i);
        if (result < 0)
            return result;
    }
    *ret_what = "the configuration";
    return configure(client);
}

int
dx_usb_open_usbip(int socket, uint32_t device_id, enum dx_usb_speed speed, struct dx_usb_device **ret_device,
                  char why[256])
{
    const int one = 1;
    struct client *const client = calloc(1, sizeof *client);
    why[0] = '\0';
    if (!client) {
        (void)close(socket);
        (void)snprintf(why, 256, "no memory");
        return -ENOMEM;
    }
    client->device.ops = &client_ops;
    client->device.speed = speed;
    (void)snprintf(client->device.path, sizeof client->device.path, "usbip %u", device_id);
    client->socket = socket;
    client->device_id = device_id;
    (void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); // fails where it is not TCP
    const char *what = "an event";
    int result = dx_inbox_begin(&client->inbox);
    if (result == 0)
        result = introduce(client, &what);
    if (result < 0) {
        const bool is_gone = result == -ENODEV && client->death;
        (void)snprintf(why, 256, "%s: %s", what, is_gone ? client->death : strerror(-result));
        dx_usb_close(&client->device);
        return result;
    }
    *ret_device = &client->device;
    return 0;
}
