// SPDX-License-Identifier: MIT
// A model of the AX88772, AX88772A and AX88772B/C, whose one PHY is the embedded one.

#include "backends/usb/model_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    INTERRUPT_IN = 0x81,
    BULK_IN = 0x82,
    BULK_OUT = 0x03,

    EMBEDDED_PHY = 0x10,
    NO_PHY = 0xe0,

    /* Chip codes, bits 6..4 of request 0x09. */
    CHIP_772 = 0,
    CHIP_772A = 1,
    CHIP_772B = 2,

    RX_ALL = 0x0001,
    RX_ALL_MULTICAST = 0x0002,
    RX_BROADCAST = 0x0008,
    RX_MULTICAST_HASH = 0x0010,
    RX_UNICAST_HASH = 0x0020,
    RX_START = 0x0080,
    RX_BURST_SHIFT = 8,       // 772, 772A: 2048 << n
    RX_OTHER_HEADERS = 0x0700, // 772B, 772C

    MEDIUM_GIGABIT = 0x0001,
    MEDIUM_FULL_DUPLEX = 0x0002,
    MEDIUM_ALWAYS = 0x0004,
    MEDIUM_NEVER_772 = 0x0008,
    MEDIUM_PAUSE = 0x0020, // frames that tell the other side to wait
    MEDIUM_RECEIVE = 0x0100,
    MEDIUM_100 = 0x0200,

    RESET_PHY_RUNS = 0x20,
    RESET_PHY_POWER_DOWN = 0x40,

    SELECT_EMBEDDED = 0x01,
    SELECT_AUTOMATIC = 0x02,
    SELECT_APPLIES = 0x10,

    GPIO_RELOAD = 0x80,

    BMCR = 0,
    BMSR = 1,
    ADVERTISED = 4,
    PARTNER = 5,
    EXPANSION = 6,
    BMCR_RESET = 0x8000,
    BMCR_100 = 0x2000,
    BMCR_NEGOTIATE = 0x1000,
    BMCR_POWER_DOWN = 0x0800,
    BMCR_ISOLATE = 0x0400,
    BMCR_RESTART = 0x0200,
    BMCR_FULL_DUPLEX = 0x0100,
    BMSR_ABILITIES = 0x7809,
    BMSR_NEGOTIATED = 0x0020,
    BMSR_LINK = 0x0004,
    PARTNER_ABILITIES = 0x45e1, // 10 and 100, half and full duplex, pause; acknowledged

    EEPROM_MAC = 4, // word
    EEPROM_WORDS = 256,
    SRAM_BYTES = 32 * 1024,
    FIFO_BYTES = 64 * 1024, // the chip has 20 KiB, and a host that never sleeps as long as an emulated one
    FIFO_LOW = 8 * 1024,    // room that is left when it asks for a pause

    LENGTH_MASK = 0x07ff,
};

#define INTERRUPT_NS UINT64_C(128000000)
/* For how long software may hold the MII bus before the MAC has lost the PHY: more than a driver's longest access
 * on a machine that has no time for it. */
#define MII_PATIENCE_NS UINT64_C(2000000000)

struct ax88772 {
    struct dx_usb_model model;
    bool is_strict;
    uint32_t fixed_burst;
    uint8_t chip;
    uint8_t device_descriptor[18];
    uint8_t configuration[39];

    uint8_t eeprom[2 * EEPROM_WORDS];
    bool eeprom_is_writable;
    uint8_t sram[SRAM_BYTES];
    uint16_t phy[32];
    bool link_was_lost; // BMSR keeps that until it is read
    bool software_has_mii;
    uint64_t mii_taken_ns;
    uint8_t node_id[6], hash[8], gaps[3], vlan[4];
    uint16_t rx_control, medium, receive_checksum[2], transmit_checksum[2];
    uint8_t gpio, monitor, reset, selection;
    bool was_reset; // the PHY, since it was selected
    uint32_t burst;

    uint64_t interrupt_ns; // when the next one is due
    uint32_t fifo_first, fifo_size;
    uint8_t fifo[FIFO_BYTES]; // what the host will read: headers, frames and pads
    uint8_t frame[DX_MODEL_FRAME_ROOM];
};

static struct ax88772 *
ax88772_of(struct dx_usb_model *model)
{
    return (struct ax88772 *)model;
}

static uint32_t
least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint16_t
get16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static void
put16(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
}

/* ---- PHY ---- */

static bool
phy_is_selected(const struct ax88772 *ax)
{
    const bool is_embedded = ax->selection & (SELECT_EMBEDDED | SELECT_AUTOMATIC);
    return is_embedded && (ax->chip == CHIP_772 || ax->selection & SELECT_APPLIES);
}

static bool
phy_is_out_of_reset(const struct ax88772 *ax)
{
    return (ax->reset & (RESET_PHY_RUNS | RESET_PHY_POWER_DOWN)) == RESET_PHY_RUNS;
}

static void
reset_phy(struct ax88772 *ax)
{
    static const uint16_t third_ids[] = {[CHIP_772] = 0x1811, [CHIP_772A] = 0x1861, [CHIP_772B] = 0x1881};
    memset(ax->phy, 0, sizeof ax->phy);
    ax->phy[BMCR] = BMCR_100 | BMCR_NEGOTIATE | BMCR_FULL_DUPLEX;
    ax->phy[2] = 0x003b;
    ax->phy[3] = third_ids[ax->chip];
    ax->phy[ADVERTISED] = 0x01e1;
    if (ax->chip == CHIP_772A) {
        ax->phy[0x14] = 0x442c;
        ax->phy[0x15] = 0x03c8;
        ax->phy[0x16] = 0x4044;
    }
    ax->link_was_lost = true;
}

/* relaxed: dx_usb_model_set_link() on any thread */
static bool
has_link(const struct ax88772 *ax)
{
    return phy_is_selected(ax) && phy_is_out_of_reset(ax) && !(ax->phy[BMCR] & (BMCR_POWER_DOWN | BMCR_ISOLATE)) &&
           !atomic_load_explicit(&ax->model.has_no_cable, memory_order_relaxed);
}

/* The bits of the medium mode that follow from what the PHY agreed upon. */
static uint32_t
negotiated_medium(const struct ax88772 *ax)
{
    const uint32_t bmcr = ax->phy[BMCR];
    if (!(bmcr & BMCR_NEGOTIATE))
        return (bmcr & BMCR_100 ? MEDIUM_100 : 0) | (bmcr & BMCR_FULL_DUPLEX ? MEDIUM_FULL_DUPLEX : 0);
    const uint32_t both = ax->phy[ADVERTISED] & PARTNER_ABILITIES;
    if (both & 0x0100)
        return MEDIUM_100 | MEDIUM_FULL_DUPLEX;
    if (both & 0x0080)
        return MEDIUM_100;
    return both & 0x0040 ? MEDIUM_FULL_DUPLEX : 0;
}

static uint16_t
read_bmsr(struct ax88772 *ax)
{
    const bool is_up = has_link(ax);
    const bool is_shown = is_up && !ax->link_was_lost;
    ax->link_was_lost = !is_up;
    const uint32_t negotiated = is_up && ax->phy[BMCR] & BMCR_NEGOTIATE ? BMSR_NEGOTIATED : 0;
    return (uint16_t)(BMSR_ABILITIES | negotiated | (is_shown ? BMSR_LINK : 0));
}

static uint16_t
read_phy(struct ax88772 *ax, uint32_t address, uint32_t number)
{
    if ((address & 0x1f) != EMBEDDED_PHY || !phy_is_selected(ax) || !phy_is_out_of_reset(ax))
        return UINT16_MAX;
    switch (number & 0x1f) {
    case BMSR:
        return read_bmsr(ax);
    case PARTNER:
        return has_link(ax) && ax->phy[BMCR] & BMCR_NEGOTIATE ? PARTNER_ABILITIES : 0;
    case EXPANSION:
        return has_link(ax) ? 1 : 0;
    default:
        return ax->phy[number & 0x1f];
    }
}

static void
write_phy(struct ax88772 *ax, uint32_t address, uint32_t number, uint16_t value)
{
    const uint32_t at = number & 0x1f;
    if ((address & 0x1f) != EMBEDDED_PHY || !phy_is_selected(ax) || !phy_is_out_of_reset(ax))
        return;
    if (at == BMCR && value & BMCR_RESET)
        reset_phy(ax);
    else if (at == BMCR)
        ax->phy[BMCR] = value & (uint16_t)~BMCR_RESTART;
    else if (at == ADVERTISED || at > EXPANSION)
        ax->phy[at] = value;
    if (!has_link(ax))
        ax->link_was_lost = true;
}

/* ---- registers ---- */

static void
load_eeprom(struct ax88772 *ax)
{
    memcpy(ax->node_id, ax->eeprom + 2 * EEPROM_MAC, sizeof ax->node_id);
}

/* A PHY in reset takes the MAC with it: what was started before is lost. */
static void
write_reset(struct ax88772 *ax, uint8_t value)
{
    const bool was_out = phy_is_out_of_reset(ax);
    ax->reset = value;
    if (phy_is_out_of_reset(ax)) {
        if (!was_out)
            reset_phy(ax);
        return;
    }
    ax->rx_control = ax->medium = 0;
    ax->fifo_size = 0;
    ax->was_reset = phy_is_selected(ax);
}

static void
write_selection(struct ax88772 *ax, uint8_t value)
{
    const bool was_selected = phy_is_selected(ax);
    ax->selection = value;
    if (!was_selected || !phy_is_selected(ax))
        ax->was_reset = false;
}

static void
set_burst(struct ax88772 *ax, uint16_t count, uint16_t threshold)
{
    static const struct {
        uint16_t count, threshold;
        uint32_t bytes;
    } sizes[] = {
        {0x8000, 0x8001, 2048}, {0x8100, 0x8147, 4096},  {0x8200, 0x81eb, 6144},  {0x8300, 0x83d7, 8192},
        {0x8400, 0x851e, 16384}, {0x8500, 0x8666, 20480}, {0x8600, 0x87ae, 24576}, {0x8700, 0x8a3d, 32768},
    };
    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (count == sizes[i].count && threshold == sizes[i].threshold)
            ax->burst = sizes[i].bytes;
}

static int
answer16(const struct dx_usb_setup *setup, uint8_t *data, uint16_t value)
{
    uint8_t bytes[2];
    put16(bytes, value);
    return dx_model_answer(setup, data, bytes, sizeof bytes);
}

static uint8_t *
sram_at(struct ax88772 *ax, uint32_t address)
{
    return ax->sram + address * 8 % SRAM_BYTES;
}

static int
read_request(struct ax88772 *ax, const struct dx_usb_setup *setup, uint8_t *data)
{
    const uint8_t phys[2] = {NO_PHY, EMBEDDED_PHY};
    const uint8_t status = (uint8_t)(ax->chip << 4 | (ax->software_has_mii ? 1 : 0));
    switch (setup->request) {
    case 0x02:
        return dx_model_answer(setup, data, sram_at(ax, setup->value), 8);
    case 0x07:
        if (ax->is_strict && !ax->software_has_mii)
            return -EPIPE;
        return answer16(setup, data, read_phy(ax, setup->value, setup->index));
    case 0x09:
        return dx_model_answer(setup, data, &status, 1);
    case 0x0b:
        return dx_model_answer(setup, data, ax->eeprom + 2 * (setup->value % EEPROM_WORDS), 2);
    case 0x0f:
        return answer16(setup, data, ax->rx_control);
    case 0x11:
        return dx_model_answer(setup, data, ax->gaps, sizeof ax->gaps);
    case 0x13:
        return dx_model_answer(setup, data, ax->node_id, sizeof ax->node_id);
    case 0x15:
        return dx_model_answer(setup, data, ax->hash, sizeof ax->hash);
    case 0x19:
        return dx_model_answer(setup, data, phys, sizeof phys);
    case 0x1a:
        return answer16(setup, data, ax->medium);
    case 0x1c:
        return dx_model_answer(setup, data, &ax->monitor, 1);
    case 0x1e:
        return dx_model_answer(setup, data, &ax->gpio, 1);
    case 0x21:
        return dx_model_answer(setup, data, &ax->selection, 1);
    case 0x27:
        return ax->chip == CHIP_772 ? -EPIPE : dx_model_answer(setup, data, ax->vlan, sizeof ax->vlan);
    case 0x2b:
        return ax->chip != CHIP_772B ? -EPIPE : dx_model_answer(setup, data, ax->receive_checksum, 4);
    case 0x2d:
        return ax->chip != CHIP_772B ? -EPIPE : dx_model_answer(setup, data, ax->transmit_checksum, 4);
    default:
        return -EPIPE;
    }
}

/* Takes what was sent, all of it or none. */
static int
take(const struct dx_usb_setup *setup, const uint8_t *data, void *place, uint32_t size)
{
    if (setup->length != size)
        return -EPIPE;
    memcpy(place, data, size);
    return (int)size;
}

static int
write_request(struct ax88772 *ax, const struct dx_usb_setup *setup, const uint8_t *data)
{
    const uint16_t value = setup->value, index = setup->index;
    switch (setup->request) {
    case 0x03:
        return take(setup, data, sram_at(ax, value), 8);
    case 0x06:
        if (!ax->software_has_mii)
            ax->mii_taken_ns = dx_model_now_ns();
        ax->software_has_mii = true;
        return 0;
    case 0x08:
        if (setup->length != 2 || (ax->is_strict && !ax->software_has_mii))
            return -EPIPE;
        write_phy(ax, value, index, get16(data));
        return 2;
    case 0x0a:
        ax->software_has_mii = false;
        return 0;
    case 0x0c:
        if (!ax->eeprom_is_writable)
            return -EPIPE;
        put16(ax->eeprom + 2 * (value % EEPROM_WORDS), index);
        return 0;
    case 0x0d:
    case 0x0e:
        ax->eeprom_is_writable = setup->request == 0x0d;
        return 0;
    case 0x10:
        ax->rx_control = value;
        if (ax->chip != CHIP_772B)
            ax->burst = 2048u << (value >> RX_BURST_SHIFT & 3);
        return 0;
    case 0x12:
        ax->gaps[0] = (uint8_t)value;
        ax->gaps[1] = (uint8_t)(value >> 8);
        ax->gaps[2] = (uint8_t)index;
        return 0;
    case 0x14:
        return take(setup, data, ax->node_id, sizeof ax->node_id);
    case 0x16:
        return take(setup, data, ax->hash, sizeof ax->hash);
    case 0x1b:
        ax->medium = value;
        return 0;
    case 0x1d:
        ax->monitor = (uint8_t)value;
        return 0;
    case 0x1f:
        ax->gpio = (uint8_t)value & (uint8_t)~GPIO_RELOAD;
        if (value & GPIO_RELOAD)
            load_eeprom(ax);
        return 0;
    case 0x20:
        write_reset(ax, (uint8_t)value);
        return 0;
    case 0x22:
        write_selection(ax, (uint8_t)value);
        return 0;
    case 0x28:
        return ax->chip == CHIP_772 ? -EPIPE : take(setup, data, ax->vlan, sizeof ax->vlan);
    case 0x2a:
        if (ax->chip != CHIP_772B)
            return -EPIPE;
        set_burst(ax, value, index);
        return 0;
    case 0x2c:
    case 0x2e:
        if (ax->chip != CHIP_772B)
            return -EPIPE;
        (setup->request == 0x2c ? ax->receive_checksum : ax->transmit_checksum)[0] = value;
        (setup->request == 0x2c ? ax->receive_checksum : ax->transmit_checksum)[1] = index;
        return 0;
    default:
        return -EPIPE;
    }
}

static int
ax88772_control(struct dx_usb_model *model, const struct dx_usb_setup *setup, uint8_t *data)
{
    struct ax88772 *const ax = ax88772_of(model);
    switch (setup->request_type) {
    case 0xc0:
        return read_request(ax, setup, data);
    case 0x40:
        return write_request(ax, setup, data);
    default:
        return -EPIPE;
    }
}

/* ---- frames ---- */

/* Why no frame passes either way, however many bits of the receiver are set. NULL: they pass. */
static const char *
complaint_of_link(const struct ax88772 *ax)
{
    const uint32_t relevant = MEDIUM_GIGABIT | MEDIUM_FULL_DUPLEX | MEDIUM_100;
    if (!phy_is_selected(ax))
        return "the embedded PHY is not selected (request 0x22)";
    if (!ax->was_reset)
        return "the PHY was not reset after it had been selected (requests 0x22, 0x20)";
    if (!phy_is_out_of_reset(ax))
        return "the PHY is in reset or without power (request 0x20)";
    if (ax->phy[BMCR] & (BMCR_POWER_DOWN | BMCR_ISOLATE))
        return "the PHY is powered down or isolated (its register 0)";
    if (ax->software_has_mii && dx_model_now_ns() - ax->mii_taken_ns > MII_PATIENCE_NS)
        return "software holds the MII bus, so that the MAC cannot follow the PHY (request 0x06 without 0x0a)";
    if (!(ax->medium & MEDIUM_ALWAYS))
        return "the medium mode is 0, or lacks bit 2 (request 0x1b)";
    if (ax->chip == CHIP_772 && ax->medium & MEDIUM_NEVER_772)
        return "bit 3 of the medium mode is set (request 0x1b)";
    if ((ax->medium & relevant) != negotiated_medium(ax))
        return "the medium mode is not the speed and duplex that the PHY has (request 0x1b)";
    return NULL;
}

static const char *
complaint_of_receiver(const struct ax88772 *ax)
{
    if (!(ax->medium & MEDIUM_RECEIVE))
        return "the medium mode has no receive enable (request 0x1b, bit 8)";
    if (!(ax->rx_control & RX_START))
        return "RX control has no start bit (request 0x10, bit 7)";
    if (ax->chip == CHIP_772B && ax->rx_control & RX_OTHER_HEADERS)
        return "RX control asks for another kind of header (request 0x10, bits 10..8)";
    return NULL;
}

static bool
is_in_hash(const struct ax88772 *ax, const uint8_t *address)
{
    const uint32_t index = dx_model_ether_crc(address, 6) >> 26;
    return ax->hash[index / 8] >> index % 8 & 1;
}

static bool
is_let_through(const struct ax88772 *ax, const uint8_t *frame)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    if (ax->rx_control & RX_ALL)
        return true;
    if (memcmp(frame, broadcast, 6) == 0)
        return ax->rx_control & RX_BROADCAST;
    if (frame[0] & 1)
        return ax->rx_control & RX_ALL_MULTICAST || (ax->rx_control & RX_MULTICAST_HASH && is_in_hash(ax, frame));
    return memcmp(frame, ax->node_id, 6) == 0 || (ax->rx_control & RX_UNICAST_HASH && is_in_hash(ax, frame));
}

/* A length, its complement, the frame, a pad byte where the length is odd. */
static bool
put_frame(struct ax88772 *ax, const uint8_t *frame, uint32_t size)
{
    const uint32_t needed = 4 + size + (size & 1);
    if (ax->fifo_size + needed > FIFO_BYTES)
        return false;
    if (ax->fifo_first + ax->fifo_size + needed > FIFO_BYTES) {
        memmove(ax->fifo, ax->fifo + ax->fifo_first, ax->fifo_size);
        ax->fifo_first = 0;
    }
    uint8_t *const place = ax->fifo + ax->fifo_first + ax->fifo_size;
    put16(place, size);
    put16(place + 2, ~size);
    memcpy(place + 4, frame, size);
    if (size & 1)
        place[4 + size] = 0;
    ax->fifo_size += needed;
    return true;
}

/* A chip that is not strict hears all that its filter, once there is one, lets through. */
static void
ax88772_receive(struct dx_usb_model *model, const uint8_t *frame, uint32_t size)
{
    struct ax88772 *const ax = ax88772_of(model);
    const uint32_t padded = dx_model_pad(frame, size, ax->frame);
    if (!padded || !has_link(ax)) {
        if (ax->is_strict && padded)
            dx_model_judge(model, complaint_of_link(ax));
        return;
    }
    if (ax->is_strict) {
        const char *const complaint = complaint_of_link(ax);
        if (!dx_model_judge(model, complaint ? complaint : complaint_of_receiver(ax)))
            return;
    }
    if (ax->rx_control && !is_let_through(ax, ax->frame))
        dx_model_count(&model->counters.filtered);
    else if (!put_frame(ax, ax->frame, padded))
        dx_model_count(&model->counters.overrun);
    else
        dx_model_count(&model->counters.received);
}

/* Flow control of the link, where the host has set it up. */
static bool
ax88772_is_full(const struct dx_usb_model *model)
{
    const struct ax88772 *const ax = (const struct ax88772 *)model;
    return (!ax->is_strict || ax->medium & MEDIUM_PAUSE) && ax->fifo_size > FIFO_BYTES - FIFO_LOW;
}

static int
read_stream(struct ax88772 *ax, uint8_t *data, uint32_t size)
{
    const uint32_t burst = ax->fixed_burst ? ax->fixed_burst : ax->burst;
    const uint32_t n = least(least(ax->fifo_size, burst), size) & ~1u;
    if (n == 0)
        return -EAGAIN;
    memcpy(data, ax->fifo + ax->fifo_first, n);
    ax->fifo_size -= n;
    ax->fifo_first = ax->fifo_size ? ax->fifo_first + n : 0;
    return (int)n;
}

static int
read_interrupt(struct ax88772 *ax, uint8_t *data, uint32_t size, uint64_t now_ns)
{
    const uint8_t packet[8] = {[0] = 0xa1, [2] = has_link(ax) ? 1 : 0};
    if (now_ns < ax->interrupt_ns)
        return -EAGAIN;
    if (size < sizeof packet)
        return -EOVERFLOW;
    ax->interrupt_ns = now_ns + INTERRUPT_NS;
    memcpy(data, packet, sizeof packet);
    return sizeof packet;
}

static int
ax88772_in(struct dx_usb_model *model, uint8_t endpoint, uint8_t *data, uint32_t size, uint64_t now_ns)
{
    struct ax88772 *const ax = ax88772_of(model);
    return endpoint == BULK_IN ? read_stream(ax, data, size) : read_interrupt(ax, data, size, now_ns);
}

static uint64_t
ax88772_next(const struct dx_usb_model *model, uint64_t now_ns)
{
    (void)now_ns;
    return ((const struct ax88772 *)model)->interrupt_ns;
}

static void
send_frame(struct ax88772 *ax, const uint8_t *frame, uint32_t size)
{
    struct dx_usb_model *const model = &ax->model;
    const uint32_t padded = dx_model_pad(frame, size, ax->frame);
    if (!padded) {
        dx_model_count(&model->counters.bad);
        return;
    }
    if ((ax->is_strict && !dx_model_judge(model, complaint_of_link(ax))) || !has_link(ax))
        return;
    dx_model_count(&model->counters.sent);
    if (model->send)
        model->send(model->wire, ax->frame, padded);
}

/* Frames, each behind its header and at an even place; a header of length 0 only makes the transfer short. */
static int
ax88772_out(struct dx_usb_model *model, uint8_t endpoint, const uint8_t *data, uint32_t size)
{
    struct ax88772 *const ax = ax88772_of(model);
    (void)endpoint;
    uint32_t at = 0;
    while (size - at >= 4) {
        const uint32_t length = get16(data + at) & LENGTH_MASK;
        const uint32_t complement = ~get16(data + at + 2) & LENGTH_MASK;
        at += 4;
        if (length != complement || length > size - at) {
            dx_model_count(&model->counters.bad);
            return 0;
        }
        if (length)
            send_frame(ax, data + at, length);
        at = least(at + length + (length & 1), size);
    }
    if (size - at)
        dx_model_count(&model->counters.bad);
    return 0;
}

/* ---- making one ---- */

static void
ax88772_configured(struct dx_usb_model *model, uint8_t configuration)
{
    struct ax88772 *const ax = ax88772_of(model);
    ax->fifo_first = ax->fifo_size = 0;
    if (configuration)
        return; // a reset of the bus alone puts registers back
    ax->eeprom_is_writable = ax->software_has_mii = ax->was_reset = false;
    ax->rx_control = ax->medium = 0;
    ax->gpio = ax->monitor = ax->reset = ax->selection = 0;
    ax->burst = 2048;
    ax->interrupt_ns = 0;
    memset(ax->hash, 0, sizeof ax->hash);
    load_eeprom(ax);
    if (!ax->is_strict) {
        ax->selection = SELECT_EMBEDDED | SELECT_APPLIES;
        ax->reset = RESET_PHY_RUNS;
    }
    reset_phy(ax);
}

static void
ax88772_destroy(struct dx_usb_model *model)
{
    free(model);
}

static const struct dx_usb_model_ops ax88772_ops = {
    .control = ax88772_control,
    .configured = ax88772_configured,
    .out = ax88772_out,
    .in = ax88772_in,
    .next = ax88772_next,
    .is_full = ax88772_is_full,
    .receive = ax88772_receive,
    .destroy = ax88772_destroy,
};

static void
make_descriptors(struct ax88772 *ax, uint16_t product)
{
    static const uint8_t device[18] = {
        18, 1, 0x00, 0x02, 0xff, 0xff, 0x00, 64, 0x95, 0x0b, 0x2b, 0x77, 0x02, 0x00, 1, 2, 3, 1,
    };
    static const uint8_t configuration[39] = {
        9, 2, 39, 0, 1, 1, 0, 0xa0, 125,             //
        9, 4, 0, 0, 3, 0xff, 0xff, 0x00, 0,          //
        7, 5, INTERRUPT_IN, 3, 8, 0, 11,             //
        7, 5, BULK_IN, 2, 0x00, 0x02, 0,             //
        7, 5, BULK_OUT, 2, 0x00, 0x02, 0,            //
    };
    memcpy(ax->device_descriptor, device, sizeof device);
    put16(ax->device_descriptor + 10, product);
    memcpy(ax->configuration, configuration, sizeof configuration);
    if (ax->model.speed == DX_USB_FULL) {
        ax->configuration[24] = 128; // frames of a millisecond
        put16(ax->configuration + 29, 64);
        put16(ax->configuration + 36, 64);
    }
    ax->model.device_descriptor = ax->device_descriptor;
    ax->model.configurations[0] = ax->configuration;
    ax->model.configuration_count = 1;
    ax->model.strings[1] = "ASIX Elec. Corp.";
    ax->model.strings[2] = product == 0x7720 ? "AX88772" : product == 0x772a ? "AX88772A" : "AX88772C";
    ax->model.strings[3] = "000001";
}

struct dx_usb_model *
dx_model_ax88772(const struct dx_model_options *options)
{
    struct ax88772 *const ax = calloc(1, sizeof *ax);
    if (!ax)
        return NULL;
    const uint16_t product = options->product ? options->product : 0x772b;
    ax->model.ops = &ax88772_ops;
    ax->model.speed = options->speed == DX_USB_FULL ? DX_USB_FULL : DX_USB_HIGH;
    ax->is_strict = options->is_strict;
    ax->fixed_burst = options->burst & ~1u;
    ax->chip = product == 0x7720 ? CHIP_772 : product == 0x772a ? CHIP_772A : CHIP_772B;
    make_descriptors(ax, product);
    memset(ax->eeprom, 0xff, sizeof ax->eeprom);
    memcpy(ax->eeprom + 2 * EEPROM_MAC, options->mac, sizeof options->mac);
    ax88772_configured(&ax->model, 0);
    return &ax->model;
}
