// SPDX-License-Identifier: MIT
// A model of a CDC-NCM adapter: blocks of 16 and 32 bits both ways.

#include "backends/usb/model_cdc.h"

#include <errno.h>
#include <string.h>

enum {
    GET_NTB_PARAMETERS = 0x80,
    GET_NTB_FORMAT = 0x83,
    SET_NTB_FORMAT = 0x84,
    GET_NTB_INPUT_SIZE = 0x85,
    SET_NTB_INPUT_SIZE = 0x86,
    PARAMETER_BYTES = 28,

    BLOCK_MIN = 2048,
    BLOCK_MAX_16 = 65535,
    DATAGRAMS_MAX = 40, // of a block to the host
    ALIGNMENT = 4,
    ETHERNET_HEADER = 14,
    FRAME_MIN = 14,
    FRAME_MAX = 1518,
};

/* Where things stand in blocks of 16 and of 32 bits. */
struct layout {
    const char *block, *pointers; // signatures
    uint32_t header, length_at, index_at; // of the block
    uint32_t head, next_at, entry;        // of the pointers
    uint32_t width;                       // bytes of a number
};

static const struct layout layouts[2] = {
    {"NCMH", "NCM0", 12, 8, 10, 8, 6, 4, 2},
    {"ncmh", "ncm0", 16, 8, 12, 16, 8, 8, 4},
};

struct ncm {
    struct dx_model_cdc cdc; // first
    uint32_t block_max;      // either way
    uint32_t formats;        // a bit for each of `layouts`
    bool has_pointers_first;

    const struct layout *layout;
    uint32_t in_size, in_datagrams;
    uint16_t sequence;
    bool was_asked; // for its parameters
};

static struct ncm *
ncm_of(struct dx_usb_model *model)
{
    return (struct ncm *)model;
}

static uint32_t
get(const uint8_t *bytes, uint32_t width)
{
    uint32_t value = 0;
    for (uint32_t i = 0; i < width; i++)
        value |= (uint32_t)bytes[i] << 8 * i;
    return value;
}

static void
put(uint8_t *bytes, uint32_t width, uint32_t value)
{
    for (uint32_t i = 0; i < width; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
}

/* ---- requests ---- */

static int
get_parameters(struct ncm *ncm, const struct dx_usb_setup *setup, uint8_t *data)
{
    uint8_t bytes[PARAMETER_BYTES] = {0};
    put(bytes, 2, sizeof bytes);
    put(bytes + 2, 2, ncm->formats);
    put(bytes + 4, 4, ncm->block_max);
    put(bytes + 8, 2, ALIGNMENT);
    put(bytes + 12, 2, ALIGNMENT);
    put(bytes + 16, 4, ncm->block_max);
    put(bytes + 20, 2, ALIGNMENT);
    put(bytes + 24, 2, ALIGNMENT);
    ncm->was_asked = true;
    return dx_model_answer(setup, data, bytes, sizeof bytes);
}

static int
set_format(struct ncm *ncm, const struct dx_usb_setup *setup)
{
    if (ncm->cdc.data_alternate || setup->value > 1 || !(ncm->formats >> setup->value & 1))
        return -EPIPE;
    ncm->layout = &layouts[setup->value];
    return 0;
}

/* With how many datagrams at most, where eight bytes came. */
static int
set_input_size(struct ncm *ncm, const struct dx_usb_setup *setup, const uint8_t *data)
{
    if (setup->length != 4 && setup->length != 8)
        return -EPIPE;
    const uint32_t size = get(data, 4), datagrams = setup->length == 8 ? get(data + 4, 2) : 0;
    if (size < BLOCK_MIN || size > ncm->block_max)
        return -EPIPE;
    ncm->in_size = size;
    ncm->in_datagrams = datagrams && datagrams < DATAGRAMS_MAX ? datagrams : DATAGRAMS_MAX;
    return setup->length;
}

static int
ncm_control(struct dx_usb_model *model, const struct dx_usb_setup *setup, uint8_t *data)
{
    struct ncm *const ncm = ncm_of(model);
    uint8_t bytes[4];
    switch (setup->index == 0 ? setup->request_type << 8 | setup->request : 0) {
    case DX_CDC_FROM_INTERFACE << 8 | GET_NTB_PARAMETERS:
        return get_parameters(ncm, setup, data);
    case DX_CDC_FROM_INTERFACE << 8 | GET_NTB_FORMAT:
        put(bytes, 2, ncm->layout == &layouts[1]);
        return dx_model_answer(setup, data, bytes, 2);
    case DX_CDC_TO_INTERFACE << 8 | SET_NTB_FORMAT:
        return set_format(ncm, setup);
    case DX_CDC_FROM_INTERFACE << 8 | GET_NTB_INPUT_SIZE:
        put(bytes, 4, ncm->in_size);
        return dx_model_answer(setup, data, bytes, 4);
    case DX_CDC_TO_INTERFACE << 8 | SET_NTB_INPUT_SIZE:
        return set_input_size(ncm, setup, data);
    default:
        return dx_model_cdc_control(model, setup, data);
    }
}

static void
ncm_configured(struct dx_usb_model *model, uint8_t configuration)
{
    struct ncm *const ncm = ncm_of(model);
    dx_model_cdc_configured(model, configuration);
    ncm->layout = &layouts[ncm->formats & 1 ? 0 : 1];
    ncm->in_size = ncm->block_max;
    ncm->in_datagrams = DATAGRAMS_MAX;
    ncm->sequence = 0;
    ncm->was_asked = false;
}

/* Setting 0 resets the function, but for its format, which is set there. */
static int
ncm_set_interface(struct dx_usb_model *model, uint8_t interface, uint8_t alternate)
{
    if (interface == DX_CDC_DATA_INTERFACE)
        ncm_of(model)->sequence = 0;
    return dx_model_cdc_set_interface(model, interface, alternate);
}

/* ---- blocks to the host ---- */

static uint32_t
align_datagram(uint32_t at)
{
    return at + ((0u - ETHERNET_HEADER - at) & (ALIGNMENT - 1u));
}

static uint32_t
align_pointers(uint32_t at)
{
    return (at + ALIGNMENT - 1) & ~(ALIGNMENT - 1u);
}

/* Fills the transfer with the frames that wait, as many as one block takes. */
static void
make_block(struct ncm *ncm)
{
    const struct layout *const layout = ncm->layout;
    uint8_t *const block = ncm->cdc.transfer;
    const uint32_t limit = layout->width == 2 && ncm->in_size > BLOCK_MAX_16 ? BLOCK_MAX_16 : ncm->in_size;
    uint32_t places[DATAGRAMS_MAX], sizes[DATAGRAMS_MAX], count = 0;
    uint32_t end = layout->header;
    if (ncm->has_pointers_first)
        end += layout->head + (ncm->in_datagrams + 1) * layout->entry;

    memset(block, 0, limit);
    for (const uint8_t *frame; count < ncm->in_datagrams; count++) {
        uint32_t size;
        if (!(frame = dx_model_cdc_peek(&ncm->cdc, &size)))
            break;
        const uint32_t place = align_datagram(end);
        const uint32_t pointers =
            ncm->has_pointers_first ? 0 : ALIGNMENT + layout->head + (count + 2) * layout->entry;
        if (place + size + pointers > limit)
            break;
        memcpy(block + place, frame, size);
        dx_model_cdc_drop(&ncm->cdc);
        places[count] = place;
        sizes[count] = size;
        end = place + size;
    }
    const uint32_t at = ncm->has_pointers_first ? layout->header : align_pointers(end);
    const uint32_t length = layout->head + (count + 1) * layout->entry;
    memcpy(block + at, layout->pointers, 4);
    put(block + at + 4, 2, length);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *const entry = block + at + layout->head + i * layout->entry;
        put(entry, layout->width, places[i]);
        put(entry + layout->width, layout->width, sizes[i]);
    }
    if (!ncm->has_pointers_first)
        end = at + length;
    memcpy(block, layout->block, 4);
    put(block + 4, 2, layout->header);
    put(block + 6, 2, ncm->sequence++);
    put(block + layout->length_at, layout->width, end);
    put(block + layout->index_at, layout->width, at);
    dx_model_cdc_begin(&ncm->cdc, end);
}

static int
ncm_in(struct dx_usb_model *model, uint8_t endpoint, uint8_t *data, uint32_t size, uint64_t now_ns)
{
    struct ncm *const ncm = ncm_of(model);
    if (endpoint == DX_CDC_NOTIFY_IN)
        return dx_model_cdc_notify(&ncm->cdc, data, size, now_ns);
    uint32_t waiting;
    if (dx_model_cdc_is_free(&ncm->cdc) && dx_model_cdc_peek(&ncm->cdc, &waiting))
        make_block(ncm);
    return dx_model_cdc_read(&ncm->cdc, data, size, ncm->in_size);
}

/* ---- blocks from the host ---- */

/* One list of pointers. @return where the next one is; 0: there is none, or this one lies. */
static uint32_t
take_pointers(struct ncm *ncm, const uint8_t *block, uint32_t size, uint32_t at, bool *ret_is_good)
{
    const struct layout *const layout = ncm->layout;
    *ret_is_good = false;
    if (at < layout->header || at % ALIGNMENT || at > size || size - at < layout->head + 2 * layout->entry ||
        memcmp(block + at, layout->pointers, 4) != 0)
        return 0;
    const uint32_t length = get(block + at + 4, 2);
    if (length < layout->head + 2 * layout->entry || length % layout->entry || length > size - at)
        return 0;
    for (uint32_t i = layout->head; i < length; i += layout->entry) {
        const uint32_t place = get(block + at + i, layout->width);
        const uint32_t bytes = get(block + at + i + layout->width, layout->width);
        if (place == 0 || bytes == 0)
            break;
        if (place < layout->header || place > size || bytes > size - place)
            return 0;
        if (bytes < FRAME_MIN || bytes > FRAME_MAX)
            return 0;
        dx_model_cdc_send(&ncm->cdc, block + place, bytes);
    }
    const uint32_t next = get(block + at + layout->next_at, layout->width);
    *ret_is_good = next == 0 || next > at; // forward alone: no cycle
    return *ret_is_good ? next : 0;
}

static bool
take_block(struct ncm *ncm, const uint8_t *block, uint32_t size)
{
    const struct layout *const layout = ncm->layout;
    if (size < layout->header || size > ncm->block_max || memcmp(block, layout->block, 4) != 0 ||
        get(block + 4, 2) != layout->header)
        return false;
    const uint32_t length = get(block + layout->length_at, layout->width);
    if (length > size)
        return false;
    uint32_t at = get(block + layout->index_at, layout->width);
    bool is_good = false;
    do
        at = take_pointers(ncm, block, length ? length : size, at, &is_good);
    while (at);
    return is_good;
}

static const char *
complaint(const struct ncm *ncm)
{
    return ncm->was_asked ? NULL : "nobody asked for the parameters of blocks (request 0x80)";
}

static int
ncm_out(struct dx_usb_model *model, uint8_t endpoint, const uint8_t *data, uint32_t size)
{
    struct ncm *const ncm = ncm_of(model);
    (void)endpoint;
    if (size == 0)
        return 0;
    if (ncm->cdc.is_strict && !dx_model_judge(model, complaint(ncm)))
        return 0;
    /* One byte beyond the largest block makes it short. */
    if (size == ncm->block_max + 1)
        size--;
    if (!take_block(ncm, data, size))
        dx_model_count(&model->counters.bad);
    return 0;
}

static void
ncm_receive(struct dx_usb_model *model, const uint8_t *frame, uint32_t size)
{
    struct ncm *const ncm = ncm_of(model);
    dx_model_cdc_receive(&ncm->cdc, frame, size, complaint(ncm));
}

/* ---- making one ---- */

static const struct dx_usb_model_ops ncm_ops = {
    .control = ncm_control,
    .configured = ncm_configured,
    .set_interface = ncm_set_interface,
    .out = ncm_out,
    .in = ncm_in,
    .next = dx_model_cdc_next,
    .is_full = dx_model_cdc_is_full,
    .receive = ncm_receive,
    .destroy = dx_model_cdc_destroy,
};

static uint32_t
limit_block(const struct dx_model_options *options)
{
    const uint32_t asked = options->ntb_max ? options->ntb_max : 16384;
    if (asked < BLOCK_MIN)
        return BLOCK_MIN;
    return asked < DX_CDC_BLOCK_MAX ? asked : DX_CDC_BLOCK_MAX;
}

struct dx_usb_model *
dx_model_ncm(const struct dx_model_options *options)
{
    static const struct dx_model_cdc_kind kind = {
        .name = "CDC-NCM model",
        .ops = &ncm_ops,
        .product = 0x0103,
        .subclass = 0x0d,
        .data_protocol = 0x01,
        .more_size = 6,
        .more = {6, 0x24, 0x1a, 0x00, 0x01, 0x21}, // packet filter, input size of eight bytes
    };
    struct ncm *const ncm = (struct ncm *)dx_model_cdc_create(options, &kind, sizeof *ncm);
    if (!ncm)
        return NULL;
    ncm->block_max = limit_block(options);
    ncm->formats = options->has_no_ntb16 ? 2 : options->has_ntb32 ? 3 : 1;
    ncm->has_pointers_first = options->has_ndp_first;
    ncm->cdc.model.out_max = ncm->block_max;
    return &ncm->cdc.model;
}
