// SPDX-License-Identifier: MIT
// The stack against programs: ping, arping, dnsmasq, udhcpd; and against a kernel that has its address.

#include "tests/net/namespaces.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];

static void
restart(enum dx_net_addressing addressing)
{
    if (rig.net)
        rig_stop();
    rig_start(addressing);
}

static void
skip(const char *why)
{
    (void)fprintf(stderr, "skipped: %s\n", why);
    run("rm -r %s", folder);
    exit(SKIPPED);
}

static void
need(const char *program)
{
    if (!has_program(program))
        skip(program);
}

static void
a_kernel_pings_us_with_every_length(void)
{
    need("ping");
    restart(DX_NET_STATIC);
    CHECK_EQ(rig_run_command(
                 "for s in 0 1 8 17 56 255 256 1000 1471 1472; do "
                 "ping -q -n -c 5 -i 0.02 -W 2 -M do -s $s 192.0.2.1 | grep -q ' 0% packet loss' || exit 1; done"),
             0);
    CHECK_EQ(
        rig_run_command("ping -q -n -c 2 -i 0.1 -W 1 -s 56 -b 192.0.2.255 2>&1 | grep -q ' 100% packet loss'"), 0);
}

static void
a_kernel_knows_our_mac(void)
{
    restart(DX_NET_STATIC);
    run("ip neigh flush dev vk");
    const int fd = peer_socket(PEER_IP, 4000);
    peer_send(fd, OUR_IP, 4000, "a", 1);
    (void)close(fd);
    (void)rig_run(S / 5, NULL);
    CHECK_EQ(rig_run_command("ip neigh show 192.0.2.1 dev vk | grep -q 02:00:00:00:00:01"), 0);
}

static void
arping_finds_us_and_finds_the_address_taken(void)
{
    need("arping");
    restart(DX_NET_STATIC);
    CHECK_EQ(rig_run_command("arping -q -f -c 3 -w 3 -I vk 192.0.2.1"), 0);
    CHECK_EQ(rig_run_command("arping -q -D -c 2 -w 3 -I vk 192.0.2.1"), 1);
    CHECK_EQ(rig_run_command("arping -q -D -c 1 -w 1 -I vk 192.0.2.77"), 0);
}

static bool
has_address(void)
{
    return dx_net_address(rig.net) != 0;
}

/* The kernel's duplicate is there before us: its ARP says no to the first choice. */
static void
a_link_local_address_that_a_kernel_has_is_not_taken(void)
{
    need("ping");
    need("arping");
    restart(DX_NET_LINK_LOCAL);
    CHECK(rig_run(15 * S, has_address));
    const struct in_addr first = {htonl(dx_net_address(rig.net))};
    CHECK_EQ(dx_net_address(rig.net) >> 16, 0xa9fe);
    run("ip addr add %s/16 dev vk", inet_ntoa(first));
    restart(DX_NET_LINK_LOCAL); // the same MAC, hence the same first choice
    CHECK(rig_run(20 * S, has_address));
    CHECK(dx_net_address(rig.net) != ntohl(first.s_addr));
    CHECK_EQ(dx_net_address(rig.net) >> 16, 0xa9fe);
    const struct in_addr second = {htonl(dx_net_address(rig.net))};
    char command[128];
    (void)snprintf(command, sizeof command, "ping -q -n -c 3 -i 0.1 -W 2 %s | grep -q ' 0%% packet loss'",
                   inet_ntoa(second));
    CHECK_EQ(rig_run_command(command), 0);
    // It comes to the kernel while we have it, and says so more than once: we defend, and then go.
    (void)snprintf(command, sizeof command, "ip addr add %s/16 dev vk; arping -q -U -c 3 -I vk %s",
                   inet_ntoa(second), inet_ntoa(second));
    (void)rig_run_command(command);
    CHECK(rig_run(20 * S, has_address));
    CHECK(dx_net_address(rig.net) != ntohl(second.s_addr));
}

static bool
has_lease(void)
{
    return dx_net_address(rig.net) >> 24 == 0xc0;
}

static bool
has_other_lease(void)
{
    return dx_net_address(rig.net) >= 0xc000023c && dx_net_address(rig.net) <= 0xc0000246;
}

static bool
has_link_local(void)
{
    return dx_net_address(rig.net) >> 16 == 0xa9fe;
}

static const char *
path_of(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *const path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static pid_t
start_dnsmasq(const char *range)
{
    char file[160], leases[160];
    (void)snprintf(leases, sizeof leases, "--dhcp-leasefile=%s", path_of("leases"));
    (void)snprintf(file, sizeof file, "--dhcp-range=%s,255.255.255.0,120", range);
    // --no-daemon: as whoever it is, without changing groups, which an ordinary user's namespace forbids
    return rig_spawn((const char *const[]){"dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0",
                                           "--interface=vk", "--bind-interfaces", "--dhcp-authoritative",
                                           "--no-ping", "--pid-file=", leases, file,
                                           "--dhcp-option=option:router,192.0.2.254", "--dhcp-option=option:T1,3",
                                           "--dhcp-option=option:T2,60", NULL});
}

static bool
is_running(pid_t pid)
{
    (void)rig_run(S / 2, NULL);
    return waitpid(pid, NULL, WNOHANG) == 0;
}

static void
dnsmasq_gives_an_address_and_renews_it(void)
{
    need("dnsmasq");
    need("ping");
    pid_t server = start_dnsmasq("192.0.2.50,192.0.2.59");
    if (!is_running(server))
        skip("dnsmasq does not run here");
    restart(DX_NET_DHCP);
    CHECK(rig_run(10 * S, has_lease));
    const uint32_t address = dx_net_address(rig.net);
    CHECK(address >= 0xc0000232 && address <= 0xc000023b);
    const struct in_addr in = {htonl(address)};
    char command[256];
    // "EXPIRY MAC ADDRESS NAME CLIENT-ID": RFC 2132, 9.14 by way of dnsmasq.
    (void)snprintf(command, sizeof command,
                   "grep -q '^[0-9]* 02:00:00:00:00:01 %s stagebox 01:02:00:00:00:00:01$' %s", inet_ntoa(in),
                   path_of("leases"));
    CHECK_EQ(rig_run_command(command), 0);
    (void)snprintf(command, sizeof command, "ping -q -n -c 2 -i 0.1 -W 2 %s | grep -q ' 0%% packet loss'",
                   inet_ntoa(in));
    CHECK_EQ(rig_run_command(command), 0);
    // T1 is 3 s: each renewal moves the expiry on.
    (void)snprintf(command, sizeof command, "e=$(cut -d' ' -f1 %s); sleep 7; test $(cut -d' ' -f1 %s) -gt $e",
                   path_of("leases"), path_of("leases"));
    CHECK_EQ(rig_run_command(command), 0);
    // Another cable, the same server: the same address.
    dx_net_stack_set_link(rig.stack, false, now_ns());
    dx_net_stack_set_link(rig.stack, true, now_ns());
    CHECK(!has_lease());
    CHECK(rig_run(10 * S, has_lease));
    CHECK_EQ(dx_net_address(rig.net), address);
    // A server that knows of no such lease says no to the next renewal, and gives another.
    rig_kill(server);
    CHECK(unlink(path_of("leases")) == 0);
    server = start_dnsmasq("192.0.2.60,192.0.2.70");
    CHECK(rig_run(30 * S, has_other_lease));
    rig_kill(server);
}

static void
without_a_server_there_is_a_link_local_address_until_one_comes(void)
{
    need("udhcpd");
    restart(DX_NET_DHCP);
    CHECK(rig_run(30 * S, has_link_local));
    FILE *const file = fopen(path_of("udhcpd.conf"), "w");
    CHECK(file != NULL);
    (void)fprintf(file,
                  "start 192.0.2.60\nend 192.0.2.70\ninterface vk\nmax_leases 5\nlease_file %s\npidfile %s\n"
                  "option subnet 255.255.255.0\noption lease 10\nmin_lease 5\n",
                  path_of("udhcpd.leases"), path_of("udhcpd.pid"));
    CHECK(fclose(file) == 0);
    CHECK(fclose(fopen(path_of("udhcpd.leases"), "w")) == 0);
    const pid_t server = rig_spawn((const char *const[]){"udhcpd", "-f", "-S", path_of("udhcpd.conf"), NULL});
    if (!is_running(server))
        skip("udhcpd does not run here");
    CHECK(rig_run(60 * S, has_lease));
    const uint32_t address = dx_net_address(rig.net);
    (void)rig_run(13 * S, NULL); // longer than the lease of 10 s: it was renewed
    CHECK_EQ(dx_net_address(rig.net), address);
    rig_kill(server);
    CHECK(rig_run(15 * S, has_link_local)); // it has expired
}

int
main(int argc, char **argv)
{
    const char *const what = argc > 1 ? argv[1] : "";
    rig_make(CABLE_PACKET);
    (void)snprintf(folder, sizeof folder, "/tmp/dextral-net-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    CHECK(chmod(folder, 0777) == 0);
    if (strcmp(what, "ping") == 0) {
        RUN(a_kernel_pings_us_with_every_length);
        RUN(a_kernel_knows_our_mac);
        RUN(arping_finds_us_and_finds_the_address_taken);
    } else if (strcmp(what, "link_local") == 0) {
        RUN(a_link_local_address_that_a_kernel_has_is_not_taken);
    } else if (strcmp(what, "dnsmasq") == 0) {
        RUN(dnsmasq_gives_an_address_and_renews_it);
    } else {
        RUN(without_a_server_there_is_a_link_local_address_until_one_comes);
    }
    if (rig.net)
        rig_stop();
    run("rm -r %s", folder);
    return 0;
}
