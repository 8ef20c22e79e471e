// SPDX-License-Identifier: MIT
// The DHCP client: RFC 2131, 4.4.

#include "backends/net/dhcp_message.h"
#include "backends/net/stack_state.h"

enum { REQUEST_TRIES = 4, FOR_EVER_S = 0xffffffff };

static const uint64_t first_wait_ns = S_NS;          // at most, so that not all speak at once after a power cut
static const uint64_t fallback_after_ns = 12 * S_NS; // two messages without an answer
static const uint64_t declined_wait_ns = 10 * S_NS;  // RFC 2131, 3.1, 5
static const uint64_t least_renew_interval_ns = 60 * S_NS; // RFC 2131, 4.4.5

static void
wait_until(struct dx_net_stack *stack, uint64_t when_ns)
{
    stack->dhcp.due_ns = when_ns;
    due_at(stack, when_ns);
}

static void
begin_anew(struct dx_net_stack *stack, uint64_t delay_ns)
{
    stack->dhcp.state = DHCP_INIT;
    wait_until(stack, after(stack->now_ns, delay_ns));
}

/* RFC 2131, 4.1: 4, 8, 16, 32, 64 s, each a second more or less. */
static uint64_t
back_off(struct dx_net_stack *stack)
{
    const uint32_t tries = stack->dhcp.tries;
    return ((4ull << (tries < 4 ? tries : 4)) - 1) * S_NS + dx_net_random(stack, 2 * S_NS + 1);
}

/* Half of what is left until then, but no less than a minute: RFC 2131, 4.4.5. */
static uint64_t
half_way(uint64_t now_ns, uint64_t end_ns)
{
    const uint64_t half_ns = end_ns == NEVER ? least_renew_interval_ns : (end_ns - now_ns) / 2;
    return sooner(end_ns, after(now_ns, half_ns > least_renew_interval_ns ? half_ns : least_renew_interval_ns));
}

static void
send_message(struct dx_net_stack *stack, uint8_t type, uint32_t requested, uint32_t server)
{
    const struct dx_dhcp *const dhcp = &stack->dhcp;
    const bool is_renewing = dhcp->state == DHCP_RENEWING || dhcp->state == DHCP_REBINDING;
    const struct dx_dhcp_request request = {
        .type = type,
        .xid = dhcp->xid,
        .mac = stack->mac,
        .elapsed_s = dhcp->elapsed_s,
        .client = is_renewing ? dhcp->address : 0,
        .requested = requested,
        .server = server,
        .host_name = stack->config.host_name,
    };
    uint8_t message[DX_DHCP_MAX_BYTES];
    const uint32_t size = dx_dhcp_build(message, &request);
    const struct dx_ip_header header = {
        .from = request.client,
        .to = dhcp->state == DHCP_RENEWING ? dhcp->server : DX_IP_BROADCAST,
        .protocol = DX_PROTOCOL_UDP,
        .ttl = 64,
    };
    (void)dx_ip_send_udp(stack, &header, DHCP_CLIENT_PORT, DHCP_SERVER_PORT, message, size);
}

/* RFC 2131, 4.4.1: seconds since it began. */
static void
say_elapsed(struct dx_net_stack *stack)
{
    const uint64_t elapsed_s = (stack->now_ns - stack->dhcp.started_ns) / S_NS;
    stack->dhcp.elapsed_s = (uint16_t)(elapsed_s < 0xffff ? elapsed_s : 0xffff);
}

static void
discover(struct dx_net_stack *stack)
{
    say_elapsed(stack);
    send_message(stack, DX_DHCP_DISCOVER, stack->dhcp.last_address, 0);
    wait_until(stack, after(stack->now_ns, back_off(stack)));
    stack->dhcp.tries++;
}

/* RFC 2131, 3.1, 3: with the seconds of the discovery, by which relays choose servers. */
static void
request_offered(struct dx_net_stack *stack)
{
    stack->dhcp.requested_ns = stack->now_ns;
    send_message(stack, DX_DHCP_REQUEST, stack->dhcp.address, stack->dhcp.server);
    wait_until(stack, after(stack->now_ns, back_off(stack)));
    stack->dhcp.tries++;
}

/* To the server that gave the lease, then to all; the lease lasts from the request on that is answered. */
static void
renew(struct dx_net_stack *stack)
{
    struct dx_dhcp *const dhcp = &stack->dhcp;
    dhcp->requested_ns = stack->now_ns;
    say_elapsed(stack);
    send_message(stack, DX_DHCP_REQUEST, 0, 0);
    wait_until(stack, half_way(stack->now_ns, dhcp->state == DHCP_RENEWING ? dhcp->rebind_ns : dhcp->expiry_ns));
}

static void
begin_renewing(struct dx_net_stack *stack)
{
    stack->dhcp.state = DHCP_RENEWING;
    stack->dhcp.xid = (uint32_t)dx_net_random(stack, 1ull << 32);
    stack->dhcp.started_ns = stack->now_ns;
    renew(stack);
}

/* A link-local address helps out from now on, however long the server is not asked. */
static void
fall_back(struct dx_net_stack *stack)
{
    stack->dhcp.fallback_ns = stack->now_ns;
    due_at(stack, stack->now_ns);
}

static void
lose_lease(struct dx_net_stack *stack, const char *how, uint64_t delay_ns)
{
    fall_back(stack);
    begin_anew(stack, delay_ns);
    dx_address_drop(stack, how);
}

static void
look_at_time(struct dx_net_stack *stack)
{
    struct dx_dhcp *const dhcp = &stack->dhcp;
    switch (dhcp->state) {
    case DHCP_INIT:
        dhcp->state = DHCP_SELECTING;
        dhcp->xid = (uint32_t)dx_net_random(stack, 1ull << 32);
        dhcp->started_ns = stack->now_ns;
        dhcp->tries = 0;
        discover(stack);
        break;
    case DHCP_SELECTING:
        discover(stack);
        break;
    case DHCP_REQUESTING:
        if (dhcp->tries < REQUEST_TRIES)
            request_offered(stack);
        else
            begin_anew(stack, 0);
        break;
    case DHCP_BOUND:
        begin_renewing(stack);
        break;
    case DHCP_RENEWING:
        if (stack->now_ns >= dhcp->rebind_ns)
            dhcp->state = DHCP_REBINDING;
        renew(stack);
        break;
    case DHCP_REBINDING:
        renew(stack);
        break;
    case DHCP_OFF:
    case DHCP_CHECKING: // address.c will say
        dhcp->due_ns = NEVER;
        break;
    }
}

uint64_t
dx_dhcp_poll(struct dx_net_stack *stack)
{
    struct dx_dhcp *const dhcp = &stack->dhcp;
    if (dhcp->state == DHCP_OFF)
        return NEVER;
    // First: time may have jumped, and a lease that ended meanwhile is not renewed.
    if (dhcp->state >= DHCP_BOUND && stack->now_ns >= dhcp->expiry_ns)
        lose_lease(stack, "the lease has expired", 0);
    if (dhcp->due_ns <= stack->now_ns)
        look_at_time(stack);
    if (dhcp->state >= DHCP_BOUND)
        return dhcp->due_ns;
    if (dhcp->fallback_ns <= stack->now_ns) {
        dx_address_start_link_local(stack);
        dhcp->fallback_ns = NEVER;
    }
    return sooner(dhcp->due_ns, dhcp->fallback_ns);
}

void
dx_dhcp_start(struct dx_net_stack *stack)
{
    stack->dhcp.naks = 0;
    stack->dhcp.fallback_ns = after(stack->now_ns, fallback_after_ns);
    begin_anew(stack, dx_net_random(stack, first_wait_ns));
}

void
dx_dhcp_stop(struct dx_net_stack *stack)
{
    stack->dhcp.state = DHCP_OFF;
    stack->dhcp.due_ns = NEVER;
}

/* The network's part of an address, as of RFC 950 where nobody says. */
static uint32_t
netmask_of(const struct dx_dhcp_reply *reply)
{
    if (reply->netmask && dx_ip_is_netmask(reply->netmask))
        return reply->netmask;
    return reply->address >> 31 == 0 ? 0xff000000 : reply->address >> 30 == 2 ? 0xffff0000 : 0xffffff00;
}

/* An address that one host can have in its network, with a server that can be asked again. */
static bool
is_sane(const struct dx_dhcp_reply *reply)
{
    return dx_ip_is_host_of(reply->address, netmask_of(reply)) && dx_ip_is_host(reply->server) &&
           reply->server != reply->address;
}

static void
take_lease(struct dx_net_stack *stack, const struct dx_dhcp_reply *reply)
{
    struct dx_dhcp *const dhcp = &stack->dhcp;
    dhcp->server = reply->server;
    dhcp->netmask = netmask_of(reply);
    dhcp->gateway = dx_ip_is_host(reply->router) && reply->router != reply->address ? reply->router : 0;
    dhcp->renew_ns = dhcp->rebind_ns = dhcp->expiry_ns = NEVER;
    if (reply->lease_s != FOR_EVER_S) {
        const uint64_t lease_ns = reply->lease_s * S_NS;
        const uint64_t half_ns = lease_ns / 2, most_ns = lease_ns / 8 * 7;
        uint64_t renew_ns = reply->renew_s ? reply->renew_s * S_NS : half_ns;
        uint64_t rebind_ns = reply->rebind_s ? reply->rebind_s * S_NS : most_ns;
        if (renew_ns >= rebind_ns || rebind_ns >= lease_ns) {
            renew_ns = half_ns;
            rebind_ns = most_ns;
        }
        dhcp->renew_ns = after(dhcp->requested_ns, renew_ns);
        dhcp->rebind_ns = after(dhcp->requested_ns, rebind_ns);
        dhcp->expiry_ns = after(dhcp->requested_ns, lease_ns);
    }
}

static void
take_ack(struct dx_net_stack *stack, const struct dx_dhcp_reply *reply)
{
    struct dx_dhcp *const dhcp = &stack->dhcp;
    if (!is_sane(reply) || reply->address != dhcp->address || !reply->has_lease || !reply->lease_s)
        return;
    dhcp->naks = 0;
    take_lease(stack, reply);
    if (dhcp->state == DHCP_REQUESTING) {
        dhcp->state = DHCP_CHECKING;
        dhcp->due_ns = NEVER;
        dx_address_check(stack, dhcp->address);
        return;
    }
    dhcp->state = DHCP_BOUND;
    wait_until(stack, dhcp->renew_ns);
    dx_address_choose(stack, "DHCP"); // netmask and gateway may be others
}

/* A server that says no to all it offered is not asked faster and faster. */
static void
take_nak(struct dx_net_stack *stack)
{
    struct dx_dhcp *const dhcp = &stack->dhcp;
    const uint64_t delay_ns = (1ull << (dhcp->naks < 6 ? dhcp->naks : 6)) * S_NS;
    dhcp->naks++;
    dhcp->last_address = 0;
    if (dhcp->state == DHCP_REQUESTING)
        begin_anew(stack, delay_ns);
    else
        lose_lease(stack, "the server took the lease back", delay_ns);
}

void
dx_dhcp_input(struct dx_net_stack *stack, const uint8_t *data, uint32_t size)
{
    struct dx_dhcp *const dhcp = &stack->dhcp;
    struct dx_dhcp_reply reply;
    if (!dx_dhcp_parse(data, size, &reply)) {
        count(&stack->counters.bad_frames);
        return;
    }
    if (reply.xid != dhcp->xid || reply.mac != stack->mac)
        return;
    const bool is_waiting =
        dhcp->state == DHCP_REQUESTING || dhcp->state == DHCP_RENEWING || dhcp->state == DHCP_REBINDING;
    // From another server only a rebinding request is answered.
    const bool is_other_server = dhcp->state != DHCP_REBINDING && reply.server != dhcp->server;
    if (reply.type == DX_DHCP_OFFER && dhcp->state == DHCP_SELECTING && is_sane(&reply)) {
        dhcp->state = DHCP_REQUESTING;
        dhcp->address = reply.address;
        dhcp->server = reply.server;
        dhcp->tries = 0;
        request_offered(stack);
    } else if (reply.type == DX_DHCP_ACK && is_waiting && !is_other_server) {
        take_ack(stack, &reply);
    } else if (reply.type == DX_DHCP_NAK && is_waiting && !is_other_server) {
        take_nak(stack);
    }
}

void
dx_dhcp_checked(struct dx_net_stack *stack, bool is_ours)
{
    struct dx_dhcp *const dhcp = &stack->dhcp;
    if (is_ours) {
        dhcp->state = DHCP_BOUND;
        dhcp->last_address = dhcp->address;
        wait_until(stack, dhcp->renew_ns);
        return;
    }
    dhcp->last_address = 0;
    fall_back(stack);
    dhcp->state = DHCP_INIT;
    dhcp->elapsed_s = 0;
    send_message(stack, DX_DHCP_DECLINE, dhcp->address, dhcp->server);
    begin_anew(stack, dx_address_rest(stack, declined_wait_ns));
}
