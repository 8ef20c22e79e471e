// SPDX-License-Identifier: MIT
// Frames, time and calls from bytes: the stack sends whole frames, delivers what was joined, and rests.

#include "backends/net/stack.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUR_MAC "\x02\x00\x00\x00\x00\x01"
#define REQUIRE(condition)                                                                                        \
    do {                                                                                                          \
        if (!(condition))                                                                                         \
            abort();                                                                                              \
    } while (0)

enum { SOCKETS = 4, MOST_SENT_AT_ONCE = 200 };

struct joined {
    uint32_t group, source;
};

static struct dx_net_stack *stack;
static uint64_t now_ns;
static uint32_t sent_at_once;

static struct open_socket {
    struct dx_udp *udp;
    struct joined joined[DX_UDP_MAX_MEMBERSHIPS];
    uint32_t count;
} sockets[SOCKETS];

/* What is left of the input; beyond its end there are zeros. */
static const uint8_t *bytes;
static size_t bytes_left;

static uint8_t
take8(void)
{
    return bytes_left ? (bytes_left--, *bytes++) : 0;
}

static uint32_t
take32(void)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 8 | take8();
    return value;
}

static uint32_t
read16(const uint8_t *at)
{
    return at[0] * 256u + at[1];
}

static void
write16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void
write32(uint8_t *at, uint32_t value)
{
    write16(at, value >> 16);
    write16(at + 2, value);
}

static uint32_t
read32(const uint8_t *at)
{
    return read16(at) << 16 | read16(at + 2);
}

static uint32_t
sum_of(const uint8_t *at, uint32_t size, uint32_t sum)
{
    for (uint32_t i = 0; i < size; i++)
        sum += i % 2 ? at[i] : at[i] * 256u;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* Few addresses, so that they meet; sometimes any. */
static uint32_t
take_address(void)
{
    static const uint32_t addresses[] = {0xc0000201, 0xc0000202, 0xc0000203, 0xc00002ff, 0xffffffff,
                                         0,          0xe0000001, 0xe0000016, 0xef450001, 0xef450002,
                                         0xee450001, 0xa9fe0101, 0x7f000001, 0x08080808};
    const uint8_t choice = take8();
    if (choice == 255)
        return take32();
    if (choice == 254)
        return dx_net_stack_address(stack);
    return addresses[choice % (sizeof addresses / sizeof *addresses)];
}

static void
take_mac(uint8_t *mac)
{
    const uint8_t choice = take8();
    const uint32_t group = 0xef450001 + choice / 8;
    switch (choice % 5) {
    case 0:
        memcpy(mac, OUR_MAC, 6);
        break;
    case 1:
        memset(mac, 0xff, 6);
        break;
    case 2:
        memcpy(mac, "\x01\x00\x5e", 3);
        mac[3] = (uint8_t)(group >> 16 & 0x7f);
        write16(mac + 4, group);
        break;
    case 3:
        memcpy(mac, "\x01\x00\x5e\x00\x00\x01", 6);
        break;
    default:
        memcpy(mac, "\x02\x00\x00\x00\x00", 5);
        mac[5] = choice;
        break;
    }
}

static int
check_sent(void *context, const uint8_t *frame, uint32_t size) DX_REALTIME
{
    (void)context;
    REQUIRE(size >= 42 && size <= 1514);
    REQUIRE(memcmp(frame + 6, OUR_MAC, 6) == 0);
    REQUIRE(++sent_at_once <= MOST_SENT_AT_ONCE);
    if (read16(frame + 12) == 0x0806) {
        REQUIRE(size == 42 && memcmp(frame + 14, "\x00\x01\x08\x00\x06\x04\x00", 7) == 0);
        REQUIRE(memcmp(frame + 22, OUR_MAC, 6) == 0);
        return 0;
    }
    const uint8_t *const ip = frame + 14;
    const uint32_t header = (ip[0] & 15u) * 4;
    REQUIRE(read16(frame + 12) == 0x0800 && ip[0] >> 4 == 4 && header >= 20 && read16(ip + 2) == size - 14);
    REQUIRE(sum_of(ip, header, 0) == 0xffff);
    // From our address, but for DHCP before there is one; and to a group's MAC only what is for a group or for all.
    const uint32_t from = read32(ip + 12), to = read32(ip + 16);
    REQUIRE(from ? from == dx_net_stack_address(stack) : ip[9] == 17 && read16(ip + header) == 68);
    REQUIRE(to != 0 && to != from && to >> 24 != 127 && (to >> 28 < 0xf || to == 0xffffffff));
    REQUIRE(!(frame[0] & 1) || to >> 28 == 0xe || (ip[9] != 1 && (to & 1)));
    if (ip[9] == 2) {
        REQUIRE(ip[8] == 1 && header == 24 && sum_of(ip + 24, size - 38, 0) == 0xffff);
    } else if (ip[9] == 17) {
        REQUIRE(read16(ip + header + 4) == size - 14 - header);
    } else {
        REQUIRE(ip[9] == 1 && ip[header] == 0 && sum_of(ip + header, size - 14 - header, 0) == 0xffff);
    }
    return ip[19] % 16 == 15 ? -1 : 0; // it fails at times
}

static void
check_filter(void *context, const uint8_t (*groups)[6], uint32_t count)
{
    (void)context;
    REQUIRE(count >= 1 && count <= 64 && memcmp(groups[0], "\x01\x00\x5e\x00\x00\x01", 6) == 0);
    for (uint32_t i = 0; i < count; i++) {
        REQUIRE(memcmp(groups[i], "\x01\x00\x5e", 3) == 0 && groups[i][3] < 128);
        for (uint32_t j = 0; j < i; j++)
            REQUIRE(memcmp(groups[i], groups[j], 6) != 0);
    }
}

static void
check_address(void *context, uint32_t address, const char *how)
{
    (void)context;
    REQUIRE(address >> 28 < 0xe && address >> 24 != 127 && (address == 0 || address >> 24 != 0));
    REQUIRE(how && strlen(how) < 64);
}

static void
check_received(void *context, const struct dx_udp_datagram *datagram)
{
    const struct open_socket *const socket = context;
    uint8_t *const copy = malloc(datagram->size + 1u);
    REQUIRE(copy && datagram->size <= DX_UDP_MAX_BYTES && socket->udp);
    memcpy(copy, datagram->data, datagram->size); // all of it is there
    free(copy);
    bool is_joined = datagram->to >> 28 != 0xe;
    for (uint32_t i = 0; i < socket->count && !is_joined; i++)
        is_joined = socket->joined[i].group == datagram->to &&
                    (!socket->joined[i].source || socket->joined[i].source == datagram->from.address);
    REQUIRE(is_joined);
    if (datagram->size && datagram->data[0] == 'e') // it answers
        (void)dx_udp_send(socket->udp, &datagram->from, datagram->data, datagram->size);
}

static void
give(const uint8_t *frame, uint32_t size)
{
    uint8_t *const copy = malloc(size ? size : 1); // exact size: one byte too far is seen
    REQUIRE(copy);
    memcpy(copy, frame, size);
    dx_net_stack_input(stack, copy, size, now_ns);
    free(copy);
}

static void
give_arp(void)
{
    uint8_t frame[60] = {0};
    take_mac(frame);
    take_mac(frame + 6);
    memcpy(frame + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00", 9);
    frame[21] = take8() % 4;
    take_mac(frame + 22);
    write32(frame + 28, take_address());
    write32(frame + 38, take_address());
    const uint8_t cut = take8();
    give(frame, cut < 128 ? 42u + cut % 19 : cut % 42u);
}

/* A packet that is right but for what the input says otherwise, so that what is behind the sums is reached. */
static void
give_ip(uint8_t protocol)
{
    uint8_t frame[1518] = {0};
    const uint8_t lies = take8();
    const uint32_t options = lies & 1 ? take8() % 11 * 4u : 0;
    uint32_t size = take8() * (lies & 2 ? 6u : 1u), at = 14;
    take_mac(frame);
    take_mac(frame + 6);
    write16(frame + 12, 0x0800);
    if (lies & 4) {
        write16(frame + 12, 0x8100);
        frame[15] = take8() & 1;
        write16(frame + 16, 0x0800);
        at = 18;
    }
    uint8_t *const ip = frame + at, *const payload = ip + 20 + options;
    if (size > sizeof frame - at - 20 - options)
        size = (uint32_t)sizeof frame - at - 20 - options;
    ip[0] = (uint8_t)(0x45 + options / 4);
    write16(ip + 2, 20 + options + size + (lies & 8 ? take8() - 128u : 0));
    write16(ip + 6, lies & 16 ? take8() << 8 : 0);
    ip[8] = 64;
    ip[9] = protocol;
    write32(ip + 12, take_address());
    write32(ip + 16, take_address());
    for (uint32_t i = 0; i < size; i++)
        payload[i] = take8();
    write16(ip + 10, ~sum_of(ip, 20 + options, 0) & 0xffff);
    if (protocol == 17 && size >= 8) {
        if (!(lies & 32))
            write16(payload + 4, size);
        write16(payload + 6, 0);
        const uint32_t sum = ~sum_of(payload, size, sum_of(ip + 12, 8, 17 + size)) & 0xffff;
        write16(payload + 6, lies & 64 ? 0 : sum ? sum : 0xffff);
    } else if (protocol != 17 && size >= 4) {
        write16(payload + 2, 0);
        write16(payload + 2, ~sum_of(payload, size, 0) & 0xffff);
    }
    give(frame, at + 20 + options + size);
}

static void
give_raw(void)
{
    uint8_t frame[2048];
    const uint32_t size = take8() * 8u + take8() % 8;
    for (uint32_t i = 0; i < size; i++)
        frame[i] = take8();
    give(frame, size);
}

/* Polls until the stack rests: what it has to do it does in a few rounds. */
static void
rest(void)
{
    for (uint32_t i = 0; dx_net_stack_poll(stack, now_ns) <= now_ns; i++) {
        REQUIRE(i < 16);
        sent_at_once = 0;
    }
}

static void
pass_time(void)
{
    const uint8_t exponent = take8() % 44; // to five hours
    const uint64_t end_ns = now_ns + (1ull << exponent) + take8();
    for (uint32_t i = 0; i < 300; i++) {
        sent_at_once = 0;
        const uint64_t next_ns = dx_net_stack_poll(stack, now_ns);
        if (next_ns > end_ns)
            break;
        if (next_ns > now_ns)
            now_ns = next_ns;
    }
    now_ns = end_ns;
}

static void
call_socket(void)
{
    const uint8_t choice = take8();
    struct open_socket *const socket = &sockets[choice % SOCKETS];
    const uint32_t address = take_address(), other = choice & 64 ? take_address() : 0;
    struct dx_net *const net = dx_net_stack_net(stack);
    uint8_t data[DX_UDP_MAX_BYTES + 1] = {'e'};
    if (!socket->udp) {
        const struct dx_udp_config config = {
            .address = choice & 8 ? address : 0,
            .port = choice & 16 ? (uint16_t)(5004 + choice % 2) : 0,
            .dscp = choice / 4,
            .ttl = choice,
            .context = socket,
            .received = check_received,
        };
        socket->count = 0;
        if (dx_udp_open(net, &config, &socket->udp) != 0)
            socket->udp = NULL;
        return;
    }
    switch (choice / 4 % 8) {
    case 0:
        dx_udp_close(socket->udp);
        socket->udp = NULL;
        break;
    case 1:
    case 2:
        for (uint32_t i = 0; i < 1u + (choice & 128) / 16; i++)
            if (dx_udp_join(socket->udp, address + i, other) == 0)
                socket->joined[socket->count++] = (struct joined){address + i, other};
        break;
    case 3:
    case 4:
        if (dx_udp_leave(socket->udp, address, other) == 0) {
            uint32_t i = 0;
            while (socket->joined[i].group != address || socket->joined[i].source != other)
                i++;
            socket->joined[i] = socket->joined[--socket->count];
        }
        break;
    default:
        (void)dx_udp_send(socket->udp, &(struct dx_udp_address){address, choice}, data, take8() * 6u);
        break;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes = data;
    bytes_left = size;
    memset(sockets, 0, sizeof sockets);
    now_ns = 1;
    sent_at_once = 0;
    const uint8_t choice = take8();
    const struct dx_net_stack_config config = {
        .mac = {2, 0, 0, 0, 0, 1},
        .addressing = (enum dx_net_addressing)(choice % 3),
        .address = 0xc0000201,
        .netmask = choice & 64 ? 0xffffff00 : 0,
        .gateway = choice & 128 ? 0xc0000202 : 0,
        .igmp_version = (const uint32_t[]){0, 2, 3, 0}[choice / 4 % 4],
        .seed = 1 + choice / 16,
        .send = check_sent,
        .set_filter = check_filter,
        .address_changed = check_address,
    };
    REQUIRE(dx_net_stack_create(&config, &stack) == 0);
    dx_net_stack_set_link(stack, true, now_ns);
    for (uint32_t calls = 0; bytes_left && calls < 400; calls++) {
        sent_at_once = 0;
        switch (take8() % 9) {
        case 0:
            give_raw();
            break;
        case 1:
            give_arp();
            break;
        case 2:
            give_ip(1);
            break;
        case 3:
            give_ip(2);
            break;
        case 4:
            give_ip(17);
            break;
        case 5:
        case 6:
            call_socket();
            break;
        case 7:
            pass_time();
            break;
        default:
            dx_net_stack_set_link(stack, take8() % 4 != 0, now_ns);
            break;
        }
        sent_at_once = 0;
        rest();
    }
    sent_at_once = 0;
    dx_net_stack_destroy(stack);
    return 0;
}
