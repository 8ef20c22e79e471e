// SPDX-License-Identifier: MIT
// What a host controller does for a model.

#include "backends/usb/model_host.h"

#include "backends/usb/descriptors.h"
#include "backends/usb/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    GET_STATUS = 0,
    SET_ADDRESS = 5,
    GET_INTERFACE = 10,

    KIND_MASK = 0x60, // of bmRequestType
    KIND_STANDARD = 0x00,
    TO_DEVICE = 0x00,
    TO_INTERFACE = 0x01,
    TO_ENDPOINT = 0x02,
    ENDPOINT_HALT = 0,

    DT_DEVICE = 1,
    DT_STRING = 3,
    DT_QUALIFIER = 6,

    ENDPOINT_KIND = 0x03, // of bmAttributes
    ENDPOINT_BULK = 2,
    ENDPOINT_INTERRUPT = 3,
};

static uint16_t
get16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

uint64_t
dx_model_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* ---- for models ---- */

int
dx_model_answer(const struct dx_usb_setup *setup, uint8_t *data, const void *answer, uint32_t size)
{
    const uint32_t n = size < setup->length ? size : setup->length;
    if (n)
        memcpy(data, answer, n);
    return (int)n;
}

/* relaxed: whoever reads it wants a recent value. */
void
dx_model_count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* release: pairs with whoever reads the sentence. */
bool
dx_model_judge(struct dx_usb_model *model, const char *complaint)
{
    atomic_store_explicit(&model->complaint, complaint, memory_order_release);
    if (complaint)
        dx_model_count(&model->counters.deaf);
    return !complaint;
}

uint32_t
dx_model_pad(const uint8_t *frame, uint32_t size, uint8_t *room)
{
    if (size < 14 || size > DX_MODEL_FRAME_ROOM)
        return 0;
    memcpy(room, frame, size);
    if (size >= 60)
        return size;
    memset(room + size, 0, 60 - size);
    return 60;
}

uint32_t
dx_model_ether_crc(const uint8_t *bytes, uint32_t size)
{
    uint32_t crc = UINT32_MAX;
    for (uint32_t i = 0; i < size; i++)
        for (uint32_t bit = 0; bit < 8; bit++) {
            const bool is_one = (crc >> 31 ^ bytes[i] >> bit) & 1;
            crc = crc << 1 ^ (is_one ? UINT32_C(0x04c11db7) : 0);
        }
    return crc;
}

/* ---- descriptors ---- */

const uint8_t *
dx_model_find_endpoint(const uint8_t *configuration, uint32_t size, const uint8_t *alternates, uint8_t address)
{
    struct dx_usb_walk walk = {.bytes = configuration, .size = size};
    bool is_current = false;
    for (const uint8_t *descriptor; (descriptor = dx_usb_walk_next(&walk));) {
        if (descriptor[1] == DX_USB_DT_INTERFACE && descriptor[0] >= 9)
            is_current = !alternates ||
                         (descriptor[2] < DX_MODEL_MAX_INTERFACES && alternates[descriptor[2]] == descriptor[3]);
        else if (is_current && descriptor[1] == DX_USB_DT_ENDPOINT && descriptor[0] >= 7 &&
                 descriptor[2] == address)
            return descriptor;
    }
    return NULL;
}

static const uint8_t *
active_configuration(const struct dx_usb_model *model)
{
    for (uint32_t i = 0; i < model->configuration_count; i++)
        if (model->configuration && model->configurations[i][5] == model->configuration)
            return model->configurations[i];
    return NULL;
}

static const uint8_t *
find_endpoint(const struct dx_model_host *host, uint8_t address)
{
    const uint8_t *const configuration = active_configuration(host->model);
    if (!configuration)
        return NULL;
    return dx_model_find_endpoint(configuration, get16(configuration + 2), host->alternates, address);
}

static bool
has_setting(const struct dx_model_host *host, uint32_t interface, uint32_t alternate)
{
    const uint8_t *const configuration = active_configuration(host->model);
    if (!configuration || interface >= DX_MODEL_MAX_INTERFACES)
        return false;
    struct dx_usb_walk walk = {.bytes = configuration, .size = get16(configuration + 2)};
    for (const uint8_t *descriptor; (descriptor = dx_usb_walk_next(&walk));)
        if (descriptor[1] == DX_USB_DT_INTERFACE && descriptor[2] == interface && descriptor[3] == alternate)
            return true;
    return false;
}

/* The next character of UTF-8 that is known to be good: a model's own. */
static uint32_t
next_character(const char **text)
{
    const uint8_t first = (uint8_t) * (*text)++;
    uint32_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    uint32_t character = more ? first & 0x3fu >> more : first;
    for (; more && **text; more--)
        character = character << 6 | ((uint8_t) * (*text)++ & 0x3fu);
    return character;
}

static uint32_t
make_string(const char *text, uint8_t bytes[255])
{
    uint32_t size = 2;
    while (*text && size + 4 <= 254) {
        uint32_t character = next_character(&text);
        if (character > 0xffff) {
            character -= 0x10000;
            const uint32_t high = 0xd800 + (character >> 10);
            bytes[size++] = (uint8_t)high;
            bytes[size++] = (uint8_t)(high >> 8);
            character = 0xdc00 + (character & 0x3ff);
        }
        bytes[size++] = (uint8_t)character;
        bytes[size++] = (uint8_t)(character >> 8);
    }
    bytes[0] = (uint8_t)size;
    bytes[1] = DT_STRING;
    return size;
}

static int
get_string(const struct dx_usb_model *model, const struct dx_usb_setup *setup, uint8_t *data)
{
    static const uint8_t languages[] = {4, DT_STRING, 0x09, 0x04};
    const uint32_t index = setup->value & 0xff;
    if (index == 0)
        return dx_model_answer(setup, data, languages, sizeof languages);
    if (index >= sizeof model->strings / sizeof model->strings[0] || !model->strings[index])
        return -EPIPE;
    uint8_t bytes[255];
    const uint32_t size = make_string(model->strings[index], bytes);
    return dx_model_answer(setup, data, bytes, size);
}

/* What the device would be at its other speed: the same. Only devices that know high speed have one. */
static int
get_qualifier(const struct dx_usb_model *model, const struct dx_usb_setup *setup, uint8_t *data)
{
    if (model->speed != DX_USB_HIGH)
        return -EPIPE;
    uint8_t bytes[10] = {sizeof bytes, DT_QUALIFIER};
    memcpy(bytes + 2, model->device_descriptor + 2, 6); // release, class, subclass, protocol, packet
    bytes[8] = (uint8_t)model->configuration_count;
    return dx_model_answer(setup, data, bytes, sizeof bytes);
}

static int
get_descriptor(const struct dx_usb_model *model, const struct dx_usb_setup *setup, uint8_t *data)
{
    const uint32_t index = setup->value & 0xff;
    switch (setup->value >> 8) {
    case DT_DEVICE:
        return dx_model_answer(setup, data, model->device_descriptor, 18);
    case DX_USB_DT_CONFIGURATION:
        if (index >= model->configuration_count)
            return -EPIPE;
        return dx_model_answer(setup, data, model->configurations[index], get16(model->configurations[index] + 2));
    case DT_STRING:
        return get_string(model, setup, data);
    case DT_QUALIFIER:
        return get_qualifier(model, setup, data);
    default:
        return -EPIPE;
    }
}

/* ---- standard requests ---- */

static uint32_t
endpoint_bit(uint32_t address)
{
    return 1u << ((address & 0x0f) | (address & DX_USB_IN ? 16 : 0));
}

static void
forget_endpoints(struct dx_model_host *host)
{
    host->halted = 0;
    for (uint32_t i = 0; i < 16; i++)
        host->gathered[i].size = 0;
}

static int
set_configuration(struct dx_model_host *host, uint32_t value)
{
    struct dx_usb_model *const model = host->model;
    const uint8_t before = model->configuration;
    model->configuration = (uint8_t)value;
    if (value && (value > UINT8_MAX || !active_configuration(model))) {
        model->configuration = before;
        return -EPIPE;
    }
    memset(host->alternates, 0, sizeof host->alternates);
    forget_endpoints(host);
    model->ops->configured(model, model->configuration);
    return 0;
}

static int
set_interface(struct dx_model_host *host, uint32_t interface, uint32_t alternate)
{
    if (!has_setting(host, interface, alternate))
        return -EPIPE;
    if (host->model->ops->set_interface &&
        host->model->ops->set_interface(host->model, (uint8_t)interface, (uint8_t)alternate) < 0)
        return -EPIPE;
    host->alternates[interface] = (uint8_t)alternate;
    forget_endpoints(host);
    return 0;
}

static int
set_halt(struct dx_model_host *host, uint32_t address, bool is_halted)
{
    if ((address & 0x0f) == 0)
        return 0;
    if (!find_endpoint(host, (uint8_t)address))
        return -EPIPE;
    if (is_halted)
        host->halted |= endpoint_bit(address);
    else
        host->halted &= ~endpoint_bit(address);
    if (!(address & DX_USB_IN))
        host->gathered[address & 0x0f].size = 0;
    return 0;
}

static int
get_status(const struct dx_model_host *host, const struct dx_usb_setup *setup, uint8_t *data)
{
    uint8_t status[2] = {0, 0};
    if ((setup->request_type & 0x1f) == TO_ENDPOINT && host->halted & endpoint_bit(setup->index))
        status[0] = 1;
    return dx_model_answer(setup, data, status, sizeof status);
}

static int
get_interface(const struct dx_model_host *host, const struct dx_usb_setup *setup, uint8_t *data)
{
    if (setup->index >= DX_MODEL_MAX_INTERFACES || !has_setting(host, setup->index, 0))
        return -EPIPE;
    return dx_model_answer(setup, data, &host->alternates[setup->index], 1);
}

static int
standard_request(struct dx_model_host *host, const struct dx_usb_setup *setup, uint8_t *data)
{
    const uint32_t recipient = setup->request_type & 0x1f;
    const bool is_halt = recipient == TO_ENDPOINT && setup->value == ENDPOINT_HALT;
    switch (setup->request_type & DX_USB_IN ? setup->request | 0x100 : setup->request) {
    case GET_STATUS | 0x100:
        return get_status(host, setup, data);
    case DX_USB_GET_DESCRIPTOR | 0x100:
        return recipient == TO_DEVICE ? get_descriptor(host->model, setup, data) : -EPIPE;
    case DX_USB_GET_CONFIGURATION | 0x100:
        return dx_model_answer(setup, data, &host->model->configuration, 1);
    case GET_INTERFACE | 0x100:
        return get_interface(host, setup, data);
    case DX_USB_SET_CONFIGURATION:
        return set_configuration(host, setup->value);
    case DX_USB_SET_INTERFACE:
        return set_interface(host, setup->index, setup->value);
    case DX_USB_CLEAR_FEATURE:
        return is_halt ? set_halt(host, setup->index, false) : 0;
    case DX_USB_SET_FEATURE:
        return is_halt ? set_halt(host, setup->index, true) : 0;
    case SET_ADDRESS:
        return 0;
    default:
        return -EPIPE;
    }
}

/* As Linux: the settings from before come back. */
static int
reset(struct dx_model_host *host)
{
    const uint8_t configuration = host->model->configuration;
    uint8_t alternates[DX_MODEL_MAX_INTERFACES];
    memcpy(alternates, host->alternates, sizeof alternates);
    set_configuration(host, 0);
    set_configuration(host, configuration);
    for (uint32_t i = 0; i < DX_MODEL_MAX_INTERFACES; i++)
        if (alternates[i])
            set_interface(host, i, alternates[i]);
    return 0;
}

static int
any_request(struct dx_model_host *host, const struct dx_usb_setup *setup, uint8_t *data)
{
    if (setup->request_type == DX_USB_TO_PORT && setup->request == DX_USB_SET_FEATURE &&
        setup->value == DX_USB_PORT_RESET)
        return reset(host);
    if ((setup->request_type & KIND_MASK) == KIND_STANDARD)
        return standard_request(host, setup, data);
    return host->model->ops->control(host->model, setup, data);
}

int
dx_model_host_control(struct dx_model_host *host, const struct dx_usb_setup *setup, uint8_t *data)
{
    const struct dx_usb_model *const model = host->model;
    const int result = any_request(host, setup, data);
    if (model->told)
        model->told(model->told_context, setup, setup->length ? data : NULL, result);
    return result;
}

/* ---- transfers ---- */

void
dx_model_list_append(struct dx_model_list *list, struct dx_model_slot *slot)
{
    slot->next = NULL;
    slot->previous = list->last;
    if (list->last)
        list->last->next = slot;
    else
        list->first = slot;
    list->last = slot;
}

void
dx_model_list_remove(struct dx_model_list *list, struct dx_model_slot *slot)
{
    if (slot->previous)
        slot->previous->next = slot->next;
    else
        list->first = slot->next;
    if (slot->next)
        slot->next->previous = slot->previous;
    else
        list->last = slot->previous;
    slot->next = slot->previous = NULL;
}

void
dx_model_host_begin(struct dx_model_host *host, struct dx_usb_model *model)
{
    *host = (struct dx_model_host){.model = model};
    set_configuration(host, 0);
}

void
dx_model_host_end(struct dx_model_host *host)
{
    for (uint32_t i = 0; i < 16; i++)
        free(host->gathered[i].bytes);
    host->model->ops->destroy(host->model);
    host->model = NULL;
}

void
dx_model_host_submit(struct dx_model_host *host, struct dx_model_slot *slot, uint64_t now_ns)
{
    const struct dx_usb_transfer *const transfer = slot->transfer;
    *slot = (struct dx_model_slot){
        .transfer = slot->transfer,
        .deadline_ns = transfer->timeout_ms ? now_ns + transfer->timeout_ms * UINT64_C(1000000) : UINT64_MAX,
        .limit = UINT32_MAX,
    };
    dx_model_list_append(&host->pending, slot);
}

struct dx_model_slot *
dx_model_host_take(struct dx_model_host *host)
{
    struct dx_model_slot *const slot = host->done.first;
    if (slot)
        dx_model_list_remove(&host->done, slot);
    return slot;
}

bool
dx_model_host_is_full(const struct dx_model_host *host)
{
    return host->model->ops->is_full && host->model->ops->is_full(host->model);
}

enum dx_usb_kind
dx_model_host_kind(const struct dx_model_host *host, uint8_t endpoint)
{
    const uint8_t *const descriptor = find_endpoint(host, endpoint);
    const bool is_interrupt = descriptor && (descriptor[3] & ENDPOINT_KIND) == ENDPOINT_INTERRUPT;
    return is_interrupt ? DX_USB_INTERRUPT : DX_USB_BULK;
}

static void
complete(struct dx_model_host *host, struct dx_model_slot *slot, int status, uint32_t actual)
{
    dx_model_list_remove(&host->pending, slot);
    slot->transfer->status = status;
    slot->transfer->actual = actual;
    dx_model_list_append(&host->done, slot);
}

/* Control transfers have no direction in their endpoint, and are the only ones to 0. */
static uint32_t
transfer_bit(const struct dx_usb_transfer *transfer)
{
    return transfer->kind == DX_USB_CONTROL ? 1u : endpoint_bit(transfer->endpoint);
}

static uint32_t
least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* A transfer gets a result: bytes, -EAGAIN (it waits), or an error. */
static int
run_control(struct dx_model_host *host, const struct dx_model_slot *slot)
{
    const struct dx_usb_transfer *const transfer = slot->transfer;
    struct dx_usb_setup setup = transfer->setup;
    setup.length = (uint16_t)least(transfer->size, UINT16_MAX);
    const int result = dx_model_host_control(host, &setup, transfer->data);
    if (result < 0 || setup.request_type & DX_USB_IN)
        return result < 0 ? result : (int)least((uint32_t)result, slot->limit);
    return (int)least(setup.length, slot->limit);
}

/* A device takes what comes for one transfer until a packet that is not full. */
static int
run_out(struct dx_model_host *host, const struct dx_model_slot *slot, uint32_t packet)
{
    struct dx_usb_model *const model = host->model;
    const struct dx_usb_transfer *const transfer = slot->transfer;
    struct dx_model_gathered *const gathered = &host->gathered[transfer->endpoint & 0x0f];
    const uint32_t size = least(transfer->size, slot->limit);
    const uint32_t whole = gathered->size + size;
    if (whole > DX_MODEL_OUT_ROOM)
        return -EPIPE;
    const bool is_whole = size % packet != 0 || transfer->ends_short || size == 0 ||
                          (model->out_max && whole >= model->out_max);
    if (is_whole && gathered->size == 0) {
        const int result = model->ops->out(model, transfer->endpoint, transfer->data, size);
        return result < 0 ? result : (int)size;
    }
    if (!gathered->bytes && !(gathered->bytes = malloc(DX_MODEL_OUT_ROOM)))
        return -ENOMEM;
    if (size)
        memcpy(gathered->bytes + gathered->size, transfer->data, size);
    gathered->size = whole;
    if (is_whole) {
        gathered->size = 0;
        const int result = model->ops->out(model, transfer->endpoint, gathered->bytes, whole);
        return result < 0 ? result : (int)size;
    }
    return (int)size;
}

static int
run_data(struct dx_model_host *host, const struct dx_model_slot *slot, uint64_t now_ns)
{
    struct dx_usb_model *const model = host->model;
    const struct dx_usb_transfer *const transfer = slot->transfer;
    const uint8_t *const endpoint = find_endpoint(host, transfer->endpoint);
    const uint32_t kind = transfer->kind == DX_USB_BULK ? ENDPOINT_BULK : ENDPOINT_INTERRUPT;
    const uint32_t packet = endpoint ? get16(endpoint + 4) & 0x7ffu : 0;
    if (!packet || (endpoint[3] & ENDPOINT_KIND) != kind)
        return -EPROTO; // nobody answers
    if (host->halted & endpoint_bit(transfer->endpoint))
        return -EPIPE;
    if (!(transfer->endpoint & DX_USB_IN))
        return run_out(host, slot, packet);
    const int result = model->ops->in(model, transfer->endpoint, transfer->data, transfer->size, now_ns);
    return result < 0 ? result : (int)least((uint32_t)result, slot->limit);
}

static int
ask_fault(const struct dx_model_host *host, struct dx_model_slot *slot)
{
    const struct dx_usb_model *const model = host->model;
    const int fault = model->fault ? model->fault(model->fault_context, slot->transfer) : 0;
    slot->is_known = true;
    slot->is_stuck = fault == -EINPROGRESS;
    if (fault > 0)
        slot->limit = (uint32_t)fault;
    return fault < 0 && !slot->is_stuck ? fault : 0;
}

/* @return bytes, -EAGAIN where it waits, or what it ends with. */
static int
run_one(struct dx_model_host *host, struct dx_model_slot *slot, bool is_first, uint64_t now_ns)
{
    if (slot->is_cancelled)
        return -ECANCELED;
    if (host->is_gone)
        return -ENODEV;
    if (now_ns >= slot->deadline_ns)
        return -ETIMEDOUT;
    if (!is_first)
        return -EAGAIN;
    int result = slot->is_known ? 0 : ask_fault(host, slot);
    if (result == 0 && slot->is_stuck)
        return -EAGAIN;
    if (result == 0)
        result = slot->transfer->kind == DX_USB_CONTROL ? run_control(host, slot) : run_data(host, slot, now_ns);
    if (result == -EPIPE && slot->transfer->kind != DX_USB_CONTROL)
        host->halted |= endpoint_bit(slot->transfer->endpoint);
    if (result == -ENODEV)
        host->is_gone = true;
    return result;
}

/* One look at each transfer; of an endpoint's only the first may move. @return whether anything completed. */
static bool
run_pass(struct dx_model_host *host, uint64_t now_ns)
{
    bool has_moved = false;
    uint32_t waiting = 0;
    for (struct dx_model_slot *slot = host->pending.first, *next; slot; slot = next) {
        next = slot->next;
        const uint32_t bit = transfer_bit(slot->transfer);
        const int result = run_one(host, slot, !(waiting & bit), now_ns);
        if (result == -EAGAIN) {
            waiting |= bit;
            continue;
        }
        complete(host, slot, result < 0 ? result : 0, result < 0 ? 0 : (uint32_t)result);
        has_moved = true;
    }
    return has_moved;
}

uint64_t
dx_model_host_run(struct dx_model_host *host, uint64_t now_ns)
{
    while (run_pass(host, now_ns)) {
    }
    uint64_t next_ns = UINT64_MAX;
    bool is_periodic = false;
    for (const struct dx_model_slot *slot = host->pending.first; slot; slot = slot->next) {
        if (slot->deadline_ns < next_ns)
            next_ns = slot->deadline_ns;
        is_periodic = is_periodic || (slot->transfer->kind == DX_USB_INTERRUPT && !slot->is_stuck);
    }
    if (is_periodic && host->model->ops->next) {
        const uint64_t periodic_ns = host->model->ops->next(host->model, now_ns);
        if (periodic_ns < next_ns)
            next_ns = periodic_ns;
    }
    return next_ns;
}
