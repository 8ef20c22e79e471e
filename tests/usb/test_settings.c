// SPDX-License-Identifier: MIT
// Texts of a personality of UsbEthernet.dext: which mean something, and what is said of the others.

#include "backends/usb/bundle/settings.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <string.h>

Test(settings, a_group_is_a_multicast_address)
{
    static const char *const bad[] = {"", "dhcp", "223.255.255.255", "240.0.0.0", "239.69.0", "239.69.0.1 ", "239.69.0.256"};
    uint32_t group = 7;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect(settings_read_group(bad[i], &group) != NULL, "%s", bad[i]);
    cr_expect(eq(u32, group, 7));
    cr_assert(settings_read_group("224.0.0.0", &group) == NULL);
    cr_expect(eq(u32, group, 0xe0000000));
    cr_assert(settings_read_group("239.255.255.255", &group) == NULL);
    cr_expect(eq(u32, group, 0xefffffff));
}

Test(settings, an_address_is_of_dhcp_or_static)
{
    static const struct {
        const char *address, *netmask, *gateway;
        struct settings_address means;
    } good[] = {
        {"dhcp", "", "", {DX_NET_DHCP, 0, 0, 0}},
        {"192.0.2.9", "", "", {DX_NET_STATIC, 0xc0000209, 0xffffff00, 0}},
        {"192.0.2.9", "255.255.255.0", "192.0.2.254", {DX_NET_STATIC, 0xc0000209, 0xffffff00, 0xc00002fe}},
        {"10.1.0.255", "255.0.0.0", "10.255.255.254", {DX_NET_STATIC, 0x0a0100ff, 0xff000000, 0x0afffffe}},
        {"192.0.2.0", "255.255.255.254", "192.0.2.1", {DX_NET_STATIC, 0xc0000200, 0xfffffffe, 0xc0000201}},
        {"192.0.2.255", "255.255.255.255", "", {DX_NET_STATIC, 0xc00002ff, 0xffffffff, 0}},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct settings_address read = {0};
        const char *const wrong = settings_read_address(good[i].address, good[i].netmask, good[i].gateway, &read);
        cr_assert(wrong == NULL, "case %zu: %s", i, wrong);
        cr_expect(eq(int, (int)read.addressing, (int)good[i].means.addressing), "case %zu", i);
        cr_expect(eq(u32, read.address, good[i].means.address), "case %zu", i);
        cr_expect(eq(u32, read.netmask, good[i].means.netmask), "case %zu", i);
        cr_expect(eq(u32, read.gateway, good[i].means.gateway), "case %zu", i);
    }
}

Test(settings, what_no_host_can_have_is_refused_by_its_name)
{
    static const struct {
        const char *address, *netmask, *gateway, *says;
    } bad[] = {
        {"", "", "", "Address"},
        {"DHCP", "", "", "Address"},
        {"192.0.2", "", "", "Address"},
        {"192.0.2.9/24", "", "", "Address"},
        {"0.0.0.9", "", "", "Address"},
        {"127.0.0.1", "", "", "Address"},
        {"239.69.0.1", "", "", "Address"},
        {"255.255.255.255", "", "", "Address"},
        {"192.0.2.0", "", "", "Address"},   // the network
        {"192.0.2.255", "", "", "Address"}, // all its hosts
        {"192.0.2.9", "255.0.255.0", "", "Netmask"},
        {"192.0.2.9", "0.0.0.0", "", "Netmask"},
        {"192.0.2.9", "24", "", "Netmask"},
        {"192.0.2.9", "", "192.0.3.1", "Gateway"}, // another network's
        {"192.0.2.9", "", "192.0.2.9", "Gateway"}, // itself
        {"192.0.2.9", "", "192.0.2.255", "Gateway"},
        {"192.0.2.9", "", "none", "Gateway"},
        {"192.0.2.9", "255.255.255.255", "192.0.2.1", "Gateway"},
        {"dhcp", "255.255.255.0", "", "Netmask"},
        {"dhcp", "", "192.0.2.1", "Gateway"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct settings_address read = {.address = 7};
        const char *const wrong = settings_read_address(bad[i].address, bad[i].netmask, bad[i].gateway, &read);
        cr_assert(wrong != NULL, "case %zu", i);
        cr_expect(strstr(wrong, bad[i].says) != NULL, "case %zu: %s", i, wrong);
        cr_expect(eq(u32, read.address, 7), "case %zu", i);
    }
}
