// SPDX-License-Identifier: MIT
// What comes: IPv4, ICMP echo, and to whom the rest goes.

#include "backends/net/stack_state.h"

enum { ICMP_ECHO_REPLY = 0, ICMP_ECHO = 8, ICMP_BYTES = 8 };

static const uint64_t echo_interval_ns = 5 * MS_NS; // 200 a second

/* What is known of a packet after its header was checked. */
struct packet {
    uint32_t from, to;
    const uint8_t *payload;
    uint32_t size;
    bool is_for_us; // for our address
    bool is_group, is_broadcast;
};

/* A bucket of tokens: a flood of pings leaves the thread time for what it is there for. */
static bool
may_echo(struct dx_net_stack *stack)
{
    const uint64_t tokens = (stack->now_ns - stack->echo_ns) / echo_interval_ns;
    stack->echo_ns += tokens * echo_interval_ns;
    stack->echo_tokens =
        tokens > ECHO_BURST - stack->echo_tokens ? ECHO_BURST : stack->echo_tokens + (uint32_t)tokens;
    if (!stack->echo_tokens)
        return false;
    stack->echo_tokens--;
    return true;
}

/*
 * Answered to the MAC that the ping came from, not to a neighbour that is looked for: senders that somebody
 * invented would fill the table of neighbours, and the queue of what waits for them.
 */
static void
icmp_input(struct dx_net_stack *stack, const struct packet *packet, uint64_t from_mac)
{
    if (!packet->is_for_us || packet->size < ICMP_BYTES || packet->payload[0] != ICMP_ECHO ||
        packet->payload[1] != 0 || !packet->from || dx_mac_is_group(from_mac)) {
        count(&stack->counters.not_for_us);
        return;
    }
    if (dx_checksum(packet->payload, packet->size) != 0) {
        count(&stack->counters.bad_checksums);
        return;
    }
    if (!may_echo(stack)) {
        count(&stack->counters.echoes_dropped);
        return;
    }
    const struct dx_ip_header header = {
        .from = packet->to, .to = packet->from, .protocol = DX_PROTOCOL_ICMP, .ttl = 64};
    uint8_t frame[DX_ETHERNET_MAX_BYTES];
    const uint32_t start = dx_ip_start(frame, &header, packet->size);
    uint8_t *const reply = frame + start;
    memcpy(reply, packet->payload, packet->size);
    reply[0] = ICMP_ECHO_REPLY;
    dx_write16(reply + 2, 0);
    dx_write16(reply + 2, dx_checksum(reply, packet->size));
    dx_write_mac(frame, from_mac);
    dx_write_mac(frame + 6, stack->mac);
    (void)dx_net_transmit(stack, frame, start + packet->size);
}

static void
udp_input(struct dx_net_stack *stack, const struct packet *packet)
{
    const uint8_t *const udp = packet->payload;
    const uint32_t size = packet->size < DX_UDP_BYTES ? 0 : dx_read16(udp + 4);
    if (size < DX_UDP_BYTES || size > packet->size) {
        count(&stack->counters.bad_frames);
        return;
    }
    if (dx_read16(udp + 6) && dx_udp_checksum(packet->from, packet->to, udp, size) != 0) {
        count(&stack->counters.bad_checksums);
        return;
    }
    const struct dx_udp_datagram datagram = {
        .data = udp + DX_UDP_BYTES,
        .size = size - DX_UDP_BYTES,
        .from = {packet->from, (uint16_t)dx_read16(udp)},
        .to = packet->to,
        .received_ns = stack->now_ns,
    };
    const uint16_t port = (uint16_t)dx_read16(udp + 2);
    // RFC 2131, 4.1: an answer may come to the address that it brings.
    if (port == DHCP_CLIENT_PORT && stack->dhcp.state != DHCP_OFF && !packet->is_group) {
        if (datagram.from.port == DHCP_SERVER_PORT)
            dx_dhcp_input(stack, datagram.data, datagram.size);
    } else if (packet->is_for_us || packet->is_group || packet->is_broadcast) {
        dx_udp_input(stack, &datagram, port);
    } else {
        count(&stack->counters.not_for_us);
    }
}

/* Looks at the header. @return false for what was dropped, and counted. */
static bool
take_header(struct dx_net_stack *stack, const uint8_t *ip, uint32_t size, struct packet *ret_packet)
{
    const uint32_t header_bytes = size < DX_IP_BYTES ? 0 : (ip[0] & 15u) * 4;
    if (header_bytes < DX_IP_BYTES || ip[0] >> 4 != 4 || dx_read16(ip + 2) < header_bytes ||
        dx_read16(ip + 2) > size) {
        count(&stack->counters.bad_frames);
        return false;
    }
    if (dx_checksum(ip, header_bytes) != 0) {
        count(&stack->counters.bad_checksums);
        return false;
    }
    if (dx_read16(ip + 6) & 0x3fff) { // more of them, or an offset
        count(&stack->counters.fragments);
        return false;
    }
    const uint32_t own = dx_net_stack_address(stack), from = dx_read32(ip + 12), to = dx_read32(ip + 16);
    // RFC 1122, 3.2.1.3: nobody sends from there; from 0 DHCP clients do, and switches that query.
    if ((from && !dx_ip_is_host(from)) || (own && from == own) || dx_net_is_broadcast(stack, from)) {
        count(&stack->counters.bad_frames);
        return false;
    }
    *ret_packet = (struct packet){
        .from = from,
        .to = to,
        .payload = ip + header_bytes,
        .size = dx_read16(ip + 2) - header_bytes, // without what the frame was padded with
        .is_for_us = own && to == own,
        .is_group = dx_ip_is_group(to),
        .is_broadcast = dx_net_is_broadcast(stack, to),
    };
    return true;
}

void
dx_ip_input(struct dx_net_stack *stack, const uint8_t *ip, uint32_t size, uint64_t to_mac, uint64_t from_mac)
{
    const bool is_group_mac = dx_mac_is_group(to_mac);
    struct packet packet;
    if (!take_header(stack, ip, size, &packet))
        return;
    // RFC 1122, 3.3.6: what came to all on the link, but not to all on the network. And the exact filter.
    if ((packet.is_for_us && is_group_mac) ||
        (packet.is_group &&
         !(is_group_mac && (packet.to == DX_IP_ALL_HOSTS || dx_igmp_listens(stack, packet.to))))) {
        count(&stack->counters.not_for_us);
        return;
    }
    const uint8_t protocol = ip[9];
    if (protocol == DX_PROTOCOL_UDP)
        udp_input(stack, &packet);
    else if (protocol == DX_PROTOCOL_ICMP)
        icmp_input(stack, &packet, from_mac);
    else if (protocol == DX_PROTOCOL_IGMP && (packet.is_group || packet.is_for_us))
        dx_igmp_input(stack, packet.to, packet.payload, packet.size);
    else
        count(&stack->counters.not_for_us);
}
