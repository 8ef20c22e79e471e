// SPDX-License-Identifier: MIT
// The driver of AX88772, AX88772A, AX88772B and AX88772C: docs/design/usb-ax88772.md.

#include "backends/usb/ax88772_framing.h"
#include "backends/usb/descriptors.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    BURST_BYTES = 2048, // the most that a bulk IN transfer brings, as the requests below ask for it
    IN_TRANSFERS = 8,
    OUT_BYTES = 2048,
    FILTER_GROUPS = 64,
    NOTIFICATION_BYTES = 8,
    NOTIFICATION_LINKS = 0x03, // of byte 2: of the first and the second PHY

    /* Vendor requests to the device. */
    TAKE_MII = 0x06,
    READ_PHY = 0x07,
    WRITE_PHY = 0x08,
    READ_STATUS = 0x09,
    GIVE_MII = 0x0a,
    READ_EEPROM = 0x0b,
    WRITE_RX_CONTROL = 0x10,
    WRITE_GAPS = 0x12,
    READ_NODE_ID = 0x13,
    WRITE_NODE_ID = 0x14,
    WRITE_HASH = 0x16,
    READ_PHY_ADDRESSES = 0x19,
    WRITE_MEDIUM = 0x1b,
    WRITE_GPIO = 0x1f,
    RESET = 0x20,
    SELECT_PHY = 0x22,
    SET_BURST = 0x2a,

    /* READ_STATUS */
    STATUS_MII_IS_OURS = 0x01,
    CHIP_CODE_SHIFT = 4,
    CHIP_CODE_MASK = 0x07,
    CHIP_772 = 0,
    CHIP_772A = 1,
    CHIP_772B = 2, // and C

    EEPROM_MAC = 4, // the first of three words

    /* RX control */
    RX_ALL_MULTICAST = 0x0002,
    RX_BROADCAST = 0x0008,
    RX_HASH = 0x0010,
    RX_START = 0x0080,

    /* Medium mode */
    MEDIUM_FULL_DUPLEX = 0x0002,
    MEDIUM_ALWAYS = 0x0004,
    MEDIUM_RX_PAUSE = 0x0010,
    MEDIUM_TX_PAUSE = 0x0020,
    MEDIUM_RECEIVE = 0x0100,
    MEDIUM_100 = 0x0200,
    /* Until the PHY says otherwise. */
    MEDIUM_FIRST = MEDIUM_100 | MEDIUM_RECEIVE | MEDIUM_ALWAYS | MEDIUM_FULL_DUPLEX,

    /* The PHY */
    PHY_TYPE_MASK = 0xe0,
    PHY_NONE = 0xe0, // a type
    PHY_ADDRESS_MASK = 0x1f,
    PHY_EMBEDDED = 0x10, // an address

    BMCR = 0,
    BMCR_RESET = 0x8000,
    BMCR_100 = 0x2000,
    BMCR_NEGOTIATE = 0x1000,
    BMCR_POWER_DOWN = 0x0800,
    BMCR_RESTART = 0x0200,
    BMCR_FULL_DUPLEX = 0x0100,
    BMSR = 1,
    BMSR_NEGOTIATED = 0x0020,
    BMSR_LINK = 0x0004,
    PHY_ID1 = 2,
    PHY_ID2 = 3,
    ADVERTISE = 4,
    PARTNER = 5,
    ABILITY_ETHERNET = 0x0001,
    ABILITY_10 = 0x0020,
    ABILITY_10_FULL = 0x0040,
    ABILITY_100 = 0x0080,
    ABILITY_100_FULL = 0x0100,
    ABILITY_PAUSE = 0x0400,
    ABILITY_ASYMMETRIC = 0x0800,
    ADVERTISED = ABILITY_ETHERNET | ABILITY_10 | ABILITY_10_FULL | ABILITY_100 | ABILITY_100_FULL | ABILITY_PAUSE |
                 ABILITY_ASYMMETRIC,

    ID_772C = 0x003b1881,

    /* Tries, with a wait between them. */
    MII_TRIES = 30,
    PHY_ID_TRIES = 100,
    PHY_RESET_TRIES = 100,
    PHY_RESET_WAIT_MS = 5
};

/* USB ids. All of them are built around one of the chips, whose own word (READ_STATUS) says which. */
static const struct device_id {
    uint16_t vendor, product;
    bool has_eeprom_mac; // elsewhere the chip reads it, and tells it as its node id
    const char *name;
} device_ids[] = {
    {0x0b95, 0x772b, true, "AX88772B or C"},
    {0x0b95, 0x7e2b, true, "AX88772B"},
    {0x0b95, 0x772a, false, "AX88772A"},
    {0x0b95, 0x7720, false, "AX88772"},
    {0x05ac, 0x1402, false, "AX88772"},      // Apple USB Ethernet Adapter
    {0x07d1, 0x3c05, false, "AX88772"},      // D-Link DUB-E100 B1
    {0x2001, 0x3c05, false, "AX88772"},      // the same
    {0x2001, 0x1a02, false, "AX88772"},      // D-Link DUB-E100 C1
    {0x13b1, 0x0018, false, "AX88772"},      // Linksys USB200M 2
    {0x1557, 0x7720, false, "AX88772"},      // 0Q0
    {0x0db0, 0xa877, false, "AX88772A"},     // MSI
    {0x17ef, 0x7203, true, "AX88772B or C"}, // Lenovo U2L100P
    {0x066b, 0x20f9, true, "AX88772B or C"}, // USBLINK HG20F9
};

struct ax88772 {
    const struct device_id *id;
    uint8_t configuration; // the value of the one to set
    uint8_t interface, alternate;
    uint8_t notify_endpoint;

    /* The request thread's. */
    uint8_t chip; // CHIP_772, ...
    uint8_t phy;  // address
    uint8_t mac[6];
    bool has_taken_mii; // and could not give it back
    uint8_t hash[8];
    uint16_t rx_control, medium; // as written
    struct dx_nic_link link;
    bool is_link_old; // it may have been gone since it was read: another speed is possible

    /* The wire thread's. */
    bool was_notified;
    uint8_t notified_links;
    struct dx_ax88772_sender sender;
    struct dx_ax88772_receiver receiver;
};

/* Where requests go, and a sentence where one fails; NULL: nobody wants it. */
struct port {
    struct dx_usb_device *device;
    char *why; // 256 bytes
};

/* ---- requests ---- */

static void
wait_ms(uint32_t ms)
{
    struct timespec rest = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, &rest) == EINTR) {
    }
}

static const char *
error_text(int error)
{
    switch (error) {
    case -ENODEV:
        return "the device has gone";
    case -EPIPE:
        return "the device refused it";
    case -ETIMEDOUT:
        return "no answer";
    case -EPROTO:
        return "the answer was too short";
    default:
        return strerror(-error);
    }
}

static int
fail(const struct port *port, const char *what, int error)
{
    if (port->why)
        (void)snprintf(port->why, 256, "%s: %s", what, error_text(error));
    return error;
}

static int
make_request(const struct port *port, const struct dx_usb_setup *setup, void *data, const char *what)
{
    const int result = dx_usb_control(port->device, setup, data, DX_USB_CONTROL_TIMEOUT_MS);
    if (result < 0)
        return fail(port, what, result);
    if (result < setup->length)
        return fail(port, what, -EPROTO);
    return 0;
}

static int
read_request(const struct port *port, uint8_t request, uint16_t value, uint16_t index, void *data, uint16_t length,
             const char *what)
{
    const struct dx_usb_setup setup = {0xc0, request, value, index, length};
    return make_request(port, &setup, data, what);
}

static int
write_request(const struct port *port, uint8_t request, uint16_t value, uint16_t index, const char *what)
{
    const struct dx_usb_setup setup = {0x40, request, value, index, 0};
    return make_request(port, &setup, NULL, what);
}

/* A copy is sent: a transfer's memory is one to write to. */
static int
write_bytes(const struct port *port, uint8_t request, const void *bytes, uint16_t length, const char *what)
{
    const struct dx_usb_setup setup = {0x40, request, 0, 0, length};
    uint8_t copy[8];
    memcpy(copy, bytes, length);
    return make_request(port, &setup, copy, what);
}

/* Requests without data, each with a wait behind it. */
struct step {
    uint8_t request;
    uint8_t wait_ms;
    uint16_t value, index;
    const char *what;
};

static int
make_steps(const struct port *port, const struct step *steps, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const int error = write_request(port, steps[i].request, steps[i].value, steps[i].index, steps[i].what);
        if (error)
            return error;
        if (steps[i].wait_ms)
            wait_ms(steps[i].wait_ms);
    }
    return 0;
}

#define STEPS(steps) steps, sizeof steps / sizeof steps[0]

/* ---- PHY: while we have its bus the MAC cannot follow it, so that it is given back each time ---- */

static int
give_mii(struct ax88772 *ax, const struct port *port)
{
    const int error = write_request(port, GIVE_MII, 0, 0, "giving the MII bus back");
    ax->has_taken_mii = error < 0;
    return error;
}

static int
take_mii(struct ax88772 *ax, const struct port *port)
{
    for (uint32_t i = 0; i < MII_TRIES; i++) {
        uint8_t status;
        int error = write_request(port, TAKE_MII, 0, 0, "taking the MII bus");
        if (error)
            return error;
        ax->has_taken_mii = true;
        wait_ms(1);
        error = read_request(port, READ_STATUS, 0, 0, &status, sizeof status, "reading the status");
        if (error)
            return error;
        if (status & STATUS_MII_IS_OURS)
            return 0;
    }
    return fail(port, "the MII bus stays with the hardware", -ETIMEDOUT);
}

/* The first error is what is told; the bus is given back all the same. */
static int
end_mii(struct ax88772 *ax, const struct port *port, int error)
{
    const struct port silent = {port->device, NULL};
    if (!ax->has_taken_mii || error == -ENODEV)
        return error;
    const int error_at_end = give_mii(ax, error ? &silent : port);
    return error ? error : error_at_end;
}

static int
read_phy(struct ax88772 *ax, const struct port *port, uint8_t phy, uint8_t number, uint16_t *ret_value)
{
    uint8_t bytes[2];
    int error = take_mii(ax, port);
    if (!error)
        error = read_request(port, READ_PHY, phy, number, bytes, sizeof bytes, "reading a register of the PHY");
    error = end_mii(ax, port, error);
    if (!error)
        *ret_value = (uint16_t)(bytes[0] | bytes[1] << 8);
    return error;
}

static int
write_phy(struct ax88772 *ax, const struct port *port, uint8_t phy, uint8_t number, uint16_t value)
{
    const struct dx_usb_setup setup = {0x40, WRITE_PHY, phy, number, 2};
    uint8_t bytes[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
    int error = take_mii(ax, port);
    if (!error)
        error = make_request(port, &setup, bytes, "writing a register of the PHY");
    return end_mii(ax, port, error);
}

/* Right after a reset it may not be there yet. */
static int
read_phy_id(struct ax88772 *ax, const struct port *port, uint32_t *ret_id)
{
    uint16_t first = 0, second;
    for (uint32_t i = 0; i < PHY_ID_TRIES; i++) {
        if (i > 0)
            wait_ms(1);
        int error = read_phy(ax, port, ax->phy, PHY_ID1, &first);
        if (error)
            return error;
        if (first == 0 || first == UINT16_MAX)
            continue;
        error = read_phy(ax, port, ax->phy, PHY_ID2, &second);
        if (!error)
            *ret_id = (uint32_t)first << 16 | second;
        return error;
    }
    return fail(port, "the PHY", -ETIMEDOUT);
}

/* The embedded ones look at the reset bit's edge. */
static int
reset_phy(struct ax88772 *ax, const struct port *port)
{
    int error = write_phy(ax, port, ax->phy, BMCR, 0);
    if (!error)
        error = write_phy(ax, port, ax->phy, BMCR, BMCR_RESET | BMCR_RESTART);
    for (uint32_t i = 0; !error && i < PHY_RESET_TRIES; i++) {
        uint16_t control;
        error = read_phy(ax, port, ax->phy, BMCR, &control);
        if (!error && !(control & BMCR_RESET))
            return 0;
        wait_ms(PHY_RESET_WAIT_MS);
    }
    return error ? error : fail(port, "the PHY's reset", -ETIMEDOUT);
}

static int
start_phy(struct ax88772 *ax, const struct port *port)
{
    int error = reset_phy(ax, port);
    if (!error)
        error = write_phy(ax, port, ax->phy, ADVERTISE, ADVERTISED);
    if (!error)
        error = write_phy(ax, port, ax->phy, BMCR, BMCR_100 | BMCR_NEGOTIATE | BMCR_RESTART | BMCR_FULL_DUPLEX);
    return error;
}

/* ---- link ---- */

static uint16_t
medium_of_link(const struct dx_nic_link *link, uint16_t partner)
{
    uint32_t medium = MEDIUM_ALWAYS | MEDIUM_RECEIVE;
    if (link->megabits == 100)
        medium |= MEDIUM_100;
    if (link->is_full_duplex) {
        medium |= MEDIUM_FULL_DUPLEX;
        /* IEEE 802.3, table 28B-3, for one who advertises both. */
        if (partner & ABILITY_PAUSE)
            medium |= MEDIUM_RX_PAUSE | MEDIUM_TX_PAUSE;
        else if (partner & ABILITY_ASYMMETRIC)
            medium |= MEDIUM_RX_PAUSE;
    }
    return (uint16_t)medium;
}

/* What was agreed upon. The 772A's PHY shows some partners as able to do nothing; then register 0 has it. */
static int
read_agreement(struct ax88772 *ax, const struct port *port, struct dx_nic_link *ret_link, uint16_t *ret_partner)
{
    struct dx_nic_link link = {.is_up = true};
    uint16_t partner, control;
    int error = read_phy(ax, port, ax->phy, PARTNER, &partner);
    if (error)
        return error;
    const uint32_t both = partner & ADVERTISED;
    if (both & (ABILITY_100_FULL | ABILITY_100)) {
        link.megabits = 100;
        link.is_full_duplex = both & ABILITY_100_FULL;
    } else if (both & (ABILITY_10_FULL | ABILITY_10)) {
        link.megabits = 10;
        link.is_full_duplex = both & ABILITY_10_FULL;
    } else {
        error = read_phy(ax, port, ax->phy, BMCR, &control);
        if (error)
            return error;
        link.megabits = control & BMCR_100 ? 100 : 10;
        link.is_full_duplex = control & BMCR_FULL_DUPLEX;
    }
    *ret_link = link;
    *ret_partner = partner;
    return 0;
}

static int
write_medium(struct ax88772 *ax, const struct port *port, uint16_t medium)
{
    const int error = write_request(port, WRITE_MEDIUM, medium, 0, "writing the medium mode");
    if (!error)
        ax->medium = medium;
    return error;
}

static int
take_link(struct ax88772 *ax, const struct port *port)
{
    struct dx_nic_link link;
    uint16_t partner;
    int error = read_agreement(ax, port, &link, &partner);
    if (error)
        return error;
    const uint16_t medium = medium_of_link(&link, partner);
    if (medium != ax->medium)
        error = write_medium(ax, port, medium);
    if (error)
        return error;
    ax->link = link;
    ax->is_link_old = false;
    return 0;
}

static int
lose_link(struct ax88772 *ax, const struct port *port)
{
    int error = write_medium(ax, port, 0);
    if (!error && ax->chip == CHIP_772A)
        error = start_phy(ax, port); // else it may show the partner that was
    if (!error)
        ax->link = (struct dx_nic_link){.is_up = false};
    return error;
}

/*
 * That the link is down is kept until it has been read, so that a short gap shows in the first of two readings. It shows once:
 * after an error, whose answer may have been the one, speed and duplex are read again.
 */
static int
ax88772_poll_link(void *nic, struct dx_usb_device *device, struct dx_nic_link *link)
{
    struct ax88772 *const ax = nic;
    const struct port port = {device, NULL};
    uint16_t status = 0;
    int error = read_phy(ax, &port, ax->phy, BMSR, &status);
    const bool was_down = !(status & BMSR_LINK); // or nobody knows
    ax->is_link_old = ax->is_link_old || was_down;
    if (!error && was_down)
        error = read_phy(ax, &port, ax->phy, BMSR, &status);
    if (error)
        return error;
    const bool is_up = status & BMSR_LINK && status & BMSR_NEGOTIATED;
    if (is_up && (ax->is_link_old || !ax->link.is_up))
        error = take_link(ax, &port);
    else if (!is_up && ax->link.is_up)
        error = lose_link(ax, &port);
    *link = ax->link;
    return error;
}

static bool
ax88772_notified(void *nic, const uint8_t *data, uint32_t size, struct dx_nic_link *link) DX_REALTIME
{
    struct ax88772 *const ax = nic;
    (void)link; // it counts when the MAC matches it: poll_link()
    if (size < NOTIFICATION_BYTES)
        return false;
    const uint8_t links = data[2] & NOTIFICATION_LINKS;
    const bool is_news = !ax->was_notified || links != ax->notified_links;
    ax->was_notified = true;
    ax->notified_links = links;
    return is_news;
}

/* ---- filter ---- */

static int
write_rx_control(struct ax88772 *ax, const struct port *port, uint16_t control)
{
    const int error = write_request(port, WRITE_RX_CONTROL, control, 0, "writing RX control");
    if (!error)
        ax->rx_control = control;
    return error;
}

static int
ax88772_set_filter(void *nic, struct dx_usb_device *device, const uint8_t (*groups)[6], uint32_t count,
                   bool is_all)
{
    struct ax88772 *const ax = nic;
    const struct port port = {device, NULL};
    uint32_t control = RX_START | RX_BROADCAST;
    if (is_all || count > FILTER_GROUPS) {
        control |= RX_ALL_MULTICAST;
    } else if (count > 0) {
        uint8_t hash[8] = {0};
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t bit = dx_ax88772_hash(groups[i]);
            hash[bit / 8] |= (uint8_t)(1u << bit % 8);
        }
        const int error = write_bytes(&port, WRITE_HASH, hash, sizeof hash, "writing the hash table");
        if (error)
            return error;
        memcpy(ax->hash, hash, sizeof hash);
        control |= RX_HASH;
    }
    return write_rx_control(ax, &port, (uint16_t)control);
}

/* ---- opening ---- */

static int
read_mac(struct ax88772 *ax, const struct port *port, struct dx_nic_info *info)
{
    int error = 0;
    if (!ax->id->has_eeprom_mac)
        error = read_request(port, READ_NODE_ID, 0, 0, ax->mac, sizeof ax->mac, "reading the MAC address");
    for (uint32_t i = 0; ax->id->has_eeprom_mac && !error && i < 3; i++)
        error = read_request(port, READ_EEPROM, (uint16_t)(EEPROM_MAC + i), 0, ax->mac + 2 * i, 2,
                             "reading the MAC address from the EEPROM");
    if (error)
        return error;
    info->is_mac_made_up = !dx_nic_mac_is_valid(ax->mac);
    if (info->is_mac_made_up)
        dx_nic_make_mac(port->device, ax->mac);
    memcpy(info->mac, ax->mac, sizeof info->mac);
    return 0;
}

static int
read_chip(struct ax88772 *ax, const struct port *port)
{
    uint8_t phys[2], status; // the second (external) and the first PHY
    int error = read_request(port, READ_PHY_ADDRESSES, 0, 0, phys, sizeof phys, "reading the PHY's address");
    if (!error)
        error = read_request(port, READ_STATUS, 0, 0, &status, sizeof status, "reading the chip's code");
    if (error)
        return error;
    ax->chip = status >> CHIP_CODE_SHIFT & CHIP_CODE_MASK;
    if ((phys[1] & PHY_TYPE_MASK) != PHY_NONE)
        ax->phy = phys[1] & PHY_ADDRESS_MASK;
    else if ((phys[0] & PHY_TYPE_MASK) != PHY_NONE)
        ax->phy = phys[0] & PHY_ADDRESS_MASK;
    else
        ax->phy = PHY_EMBEDDED; // all of these chips have one
    return 0;
}

/* The first chip of the family. */
static int
reset_772(const struct ax88772 *ax, const struct port *port)
{
    static const struct step embedded[] = {
        {WRITE_GPIO, 5, 0x00b0, 0, "reloading the EEPROM"},
        {SELECT_PHY, 0, 0x0001, 0, "selecting the embedded PHY"},
        {RESET, 10, 0x0040, 0, "powering the PHY down"},
        {RESET, 60, 0x0000, 0, "resetting the PHY"},
        {RESET, 150, 0x0028, 0, "ending the PHY's reset"},
    };
    static const struct step external[] = {
        {WRITE_GPIO, 5, 0x00b0, 0, "reloading the EEPROM"},
        {SELECT_PHY, 0, 0x0000, 0, "selecting the external PHY"},
        {RESET, 150, 0x0048, 0, "ending the PHY's reset"},
    };
    return ax->phy == PHY_EMBEDDED ? make_steps(port, STEPS(embedded)) : make_steps(port, STEPS(external));
}

/* All the others. */
static int
reset_772a(const struct ax88772 *ax, const struct port *port)
{
    static const struct step steps[] = {
        {RESET, 10, 0x0060, 0, "powering the PHY down"},
        {RESET, 160, 0x0020, 0, "powering the PHY up"},
        {RESET, 0, 0x0000, 0, "resetting the PHY"},
        {RESET, 200, 0x0020, 0, "ending the PHY's reset"},
    };
    const uint16_t selection = ax->phy == PHY_EMBEDDED ? 0x0011 : 0x0010;
    const struct step first[] = {
        {WRITE_GPIO, 5, 0x0080, 0, "reloading the EEPROM"},
        {SELECT_PHY, 10, selection, 0, "selecting the PHY"},
    };
    const int error = make_steps(port, STEPS(first));
    return error ? error : make_steps(port, STEPS(steps));
}

/* The 772A's PHY comes with other values now and then, and works badly with them. */
static int
restore_phy_registers(struct ax88772 *ax, const struct port *port)
{
    static const struct {
        uint8_t number;
        uint16_t value;
    } registers[] = {{0x14, 0x442c}, {0x15, 0x03c8}, {0x16, 0x4044}};
    int error = 0;
    for (uint32_t i = 0; !error && i < sizeof registers / sizeof registers[0]; i++) {
        uint16_t value;
        error = read_phy(ax, port, ax->phy, registers[i].number, &value);
        if (!error && value != registers[i].value)
            error = write_phy(ax, port, ax->phy, registers[i].number, registers[i].value);
    }
    return error;
}

static int
reset_chip(struct ax88772 *ax, const struct port *port)
{
    int error = ax->chip == CHIP_772 ? reset_772(ax, port) : reset_772a(ax, port);
    if (!error && ax->chip == CHIP_772B)
        error = write_request(port, SET_BURST, 0x8000, 0x8001, "setting the size of bursts");
    if (!error && ax->chip == CHIP_772A)
        error = restore_phy_registers(ax, port);
    return error;
}

/* In the kernel's order, in which the 772 alone has its receiver started before the gaps are set. */
static int
start_mac(struct ax88772 *ax, const struct port *port)
{
    const uint16_t control = RX_START | RX_BROADCAST;
    int error = 0;
    if (ax->chip == CHIP_772) {
        error = write_rx_control(ax, port, control);
        if (!error)
            error = write_medium(ax, port, MEDIUM_FIRST);
    }
    if (!error)
        error = write_request(port, WRITE_GAPS, 0x001d, 0x0012, "setting the gaps between packets");
    if (!error)
        error = write_bytes(port, WRITE_NODE_ID, ax->mac, sizeof ax->mac, "writing the MAC address");
    if (!error && ax->chip != CHIP_772) {
        error = write_rx_control(ax, port, control);
        if (!error)
            error = write_medium(ax, port, MEDIUM_FIRST);
    }
    return error ? error : write_rx_control(ax, port, control);
}

/* An external PHY is used: the embedded one sleeps, with the clock that the MAC needs running. */
static int
put_embedded_phy_to_sleep(struct ax88772 *ax, const struct port *port)
{
    uint16_t control;
    const int error = read_phy(ax, port, PHY_EMBEDDED, BMCR, &control);
    return error ? error : write_phy(ax, port, PHY_EMBEDDED, BMCR, control | BMCR_POWER_DOWN);
}

static void
name_chip(const struct ax88772 *ax, uint32_t phy_id, struct dx_nic_info *info)
{
    const char *const name = phy_id == ID_772C       ? "AX88772C"
                             : ax->chip == CHIP_772  ? "AX88772"
                             : ax->chip == CHIP_772A ? "AX88772A"
                             : ax->chip == CHIP_772B ? "AX88772B"
                                                     : ax->id->name;
    (void)snprintf(info->chip, sizeof info->chip, "%s%s", name, ax->phy == PHY_EMBEDDED ? "" : ", external PHY");
}

static int
start(struct ax88772 *ax, const struct port *port, struct dx_nic_info *info)
{
    uint32_t phy_id = 0;
    int error = read_mac(ax, port, info);
    if (!error)
        error = read_chip(ax, port);
    if (!error)
        error = reset_chip(ax, port);
    if (!error)
        error = start_mac(ax, port);
    if (!error)
        error = read_phy_id(ax, port, &phy_id);
    if (!error && ax->phy != PHY_EMBEDDED && ax->chip != CHIP_772)
        error = put_embedded_phy_to_sleep(ax, port);
    if (!error)
        error = start_phy(ax, port);
    if (!error)
        name_chip(ax, phy_id, info);
    return error;
}

/* As far as the device is there, and whatever it refuses. */
static void
stop(struct ax88772 *ax, struct dx_usb_device *device)
{
    const struct port port = {device, NULL};
    int error = ax->has_taken_mii ? give_mii(ax, &port) : 0;
    if (error != -ENODEV)
        error = write_rx_control(ax, &port, 0);
    if (error != -ENODEV)
        (void)write_medium(ax, &port, 0);
}

static int
claim(const struct ax88772 *ax, const struct port *port)
{
    int error = 0;
    if (port->device->configuration != ax->configuration)
        error = dx_usb_set_configuration(port->device, ax->configuration);
    if (error < 0)
        return fail(port, "setting the configuration", error);
    error = dx_usb_claim(port->device, ax->interface);
    if (error < 0)
        return fail(port, "claiming the interface", error);
    error = dx_usb_set_interface(port->device, ax->interface, ax->alternate);
    if (error < 0) {
        (void)dx_usb_release(port->device, ax->interface);
        return fail(port, "selecting the interface's setting", error);
    }
    return 0;
}

static int
ax88772_open(void *nic, struct dx_usb_device *device, struct dx_nic_info *info, char why[256])
{
    struct ax88772 *const ax = nic;
    const struct port port = {device, why};
    int error = claim(ax, &port);
    if (error)
        return error;
    ax->has_taken_mii = ax->was_notified = false;
    ax->link = (struct dx_nic_link){.is_up = false};
    memset(&ax->receiver, 0, sizeof ax->receiver);
    error = start(ax, &port, info);
    if (error) {
        if (error != -ENODEV)
            stop(ax, device);
        (void)dx_usb_release(device, ax->interface);
    }
    return error;
}

static void
ax88772_close(void *nic, struct dx_usb_device *device)
{
    struct ax88772 *const ax = nic;
    stop(ax, device);
    (void)dx_usb_release(device, ax->interface);
}

/* A chip that was reset behind our back, by a dip of its supply for one, has forgotten what makes it receive. */
static int
ax88772_recover(void *nic, struct dx_usb_device *device, uint8_t endpoint)
{
    struct ax88772 *const ax = nic;
    const struct port port = {device, NULL};
    if (endpoint == ax->notify_endpoint)
        return 0;
    int error = write_bytes(&port, WRITE_NODE_ID, ax->mac, sizeof ax->mac, "writing the MAC address");
    if (!error && ax->rx_control & RX_HASH)
        error = write_bytes(&port, WRITE_HASH, ax->hash, sizeof ax->hash, "writing the hash table");
    if (!error)
        error = write_rx_control(ax, &port, ax->rx_control);
    if (!error)
        error = write_medium(ax, &port, ax->medium);
    return error;
}

/* ---- finding ---- */

static const struct device_id *
find_id(const struct dx_usb_device *device)
{
    const uint8_t *const d = device->device_descriptor;
    const uint32_t vendor = d[8] | (uint32_t)d[9] << 8, product = d[10] | (uint32_t)d[11] << 8;
    for (uint32_t i = 0; i < sizeof device_ids / sizeof device_ids[0]; i++)
        if (device_ids[i].vendor == vendor && device_ids[i].product == product)
            return &device_ids[i];
    return NULL;
}

/* The first setting with a bulk endpoint each way, of whichever interface. */
static bool
find_setting(const struct dx_usb_configuration *configuration, struct dx_usb_setting *ret_setting)
{
    struct dx_usb_walk walk = dx_usb_walk_begin(configuration);
    while (dx_usb_walk_setting(&walk, ret_setting))
        if (ret_setting->bulk_in.address && ret_setting->bulk_out.address)
            return true;
    return false;
}

/* The configuration that is set is better than others. */
static bool
find_configuration(const struct dx_usb_device *device, uint8_t *ret_value, struct dx_usb_setting *ret_setting)
{
    bool is_found = false;
    for (uint32_t i = 0; i < device->configuration_count; i++) {
        struct dx_usb_setting setting;
        const uint8_t value = dx_usb_configuration_value(&device->configurations[i]);
        if (!value || (is_found && value != device->configuration) ||
            !find_setting(&device->configurations[i], &setting))
            continue;
        *ret_value = value;
        *ret_setting = setting;
        is_found = true;
    }
    return is_found;
}

/* A transfer's size has to be a multiple of them. */
static bool
packet_is_possible(uint16_t packet)
{
    return packet >= 8 && packet <= 1024 && !(packet & (packet - 1));
}

static int
ax88772_probe(void *nic, const struct dx_usb_device *device, struct dx_nic_info *info, char why[256])
{
    struct ax88772 *const ax = nic;
    struct dx_usb_setting setting = {.interface = 0};
    ax->id = find_id(device);
    if (!ax->id)
        return -ENOTSUP;
    if (!find_configuration(device, &ax->configuration, &setting)) {
        (void)snprintf(why, 256, "%s by its ids (%04x:%04x), but no interface has a bulk endpoint each way",
                       ax->id->name, ax->id->vendor, ax->id->product);
        return -EINVAL;
    }
    if (!packet_is_possible(setting.bulk_in.packet) || !packet_is_possible(setting.bulk_out.packet)) {
        (void)snprintf(why, 256, "%s by its ids, but its packets have %u and %u bytes, which USB does not know",
                       ax->id->name, setting.bulk_in.packet, setting.bulk_out.packet);
        return -EINVAL;
    }
    ax->interface = setting.interface;
    ax->alternate = setting.alternate;
    ax->notify_endpoint = setting.interrupt_in.address;
    ax->sender = (struct dx_ax88772_sender){
        .packet = setting.bulk_out.packet, .max_frame = DX_FRAME_MAX, .capacity = OUT_BYTES};
    *info = (struct dx_nic_info){
        .driver = dx_nic_ax88772.name,
        .interfaces = {setting.interface},
        .interface_count = 1,
        .in_endpoint = setting.bulk_in.address,
        .out_endpoint = setting.bulk_out.address,
        .notify_endpoint = setting.interrupt_in.address,
        .in_packet = setting.bulk_in.packet,
        .out_packet = setting.bulk_out.packet,
        .notify_packet = setting.interrupt_in.packet,
        .in_transfer = BURST_BYTES,
        .out_transfer = OUT_BYTES,
        .in_count = IN_TRANSFERS,
        .max_frame = DX_FRAME_MAX,
        .filter_count = FILTER_GROUPS,
    };
    (void)snprintf(info->chip, sizeof info->chip, "%s", ax->id->name);
    return 0;
}

/* ---- frames ---- */

static uint32_t
ax88772_receive(void *nic, const uint8_t *data, uint32_t size, dx_frame_sink sink, void *context,
                struct dx_nic_counters *counters)
{
    struct ax88772 *const ax = nic;
    const uint8_t *frame;
    uint32_t frame_size, count = 0;
    dx_ax88772_begin(&ax->receiver, data, size, counters);
    for (; dx_ax88772_next(&ax->receiver, &frame, &frame_size, counters); count++)
        sink(context, frame, frame_size);
    return count;
}

static void
ax88772_reset_framing(void *nic) DX_REALTIME
{
    struct ax88772 *const ax = nic;
    dx_ax88772_reset_receiver(&ax->receiver);
}

static uint32_t
ax88772_frame(void *nic, const uint8_t *const *frames, const uint32_t *sizes, uint32_t count, uint8_t *buffer,
              uint32_t *ret_size, bool *ret_ends_short) DX_REALTIME
{
    const struct ax88772 *const ax = nic;
    *ret_ends_short = false; // the padding word sees to it
    return dx_ax88772_send(&ax->sender, frames, sizes, count, buffer, ret_size);
}

const struct dx_nic_ops dx_nic_ax88772 = {
    .name = "ax88772",
    .bytes = sizeof(struct ax88772),
    .probe = ax88772_probe,
    .open = ax88772_open,
    .close = ax88772_close,
    .set_filter = ax88772_set_filter,
    .poll_link = ax88772_poll_link,
    .notified = ax88772_notified,
    .recover = ax88772_recover,
    .receive = ax88772_receive,
    .reset_framing = ax88772_reset_framing,
    .frame = ax88772_frame,
};
