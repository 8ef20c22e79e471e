// SPDX-License-Identifier: MIT
// Configuration descriptors that are right, and that lie; expected values are the specifications' layouts.

#include "backends/usb/descriptors.h"

#include "backends/usb/nic.h"
#include "tests/usb/cdc_descriptors.h"
#include "tests/usb/scripted.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct scripted scripted; // each test runs in a process of its own
static struct dx_nic_info info;
static char why[256];

static const uint8_t ncm[] = {NCM_CONFIGURATION(1, 0x11)};
static const uint8_t ecm[] = {ECM_CONFIGURATION(2, 0)};
static const uint8_t rndis[] = {RNDIS_CONFIGURATION(1)};

/* ---- the walk ---- */

static struct dx_usb_configuration
configuration_of(const void *bytes, size_t size)
{
    scripted_begin(&scripted, 0);
    scripted_add_configuration(&scripted, bytes, (uint32_t)size);
    return scripted.device.configurations[0];
}

static unsigned
count_descriptors(const void *bytes, size_t size)
{
    const struct dx_usb_configuration configuration = configuration_of(bytes, size);
    struct dx_usb_walk walk = dx_usb_walk_begin(&configuration);
    unsigned count = 0;
    const uint8_t *descriptor;
    while ((descriptor = dx_usb_walk_next(&walk))) {
        cr_assert(ge(int, descriptor[0], 2));
        cr_assert(descriptor >= configuration.bytes &&
                  descriptor + descriptor[0] <= configuration.bytes + configuration.size);
        count++;
    }
    cr_assert(dx_usb_walk_next(&walk) == NULL, "it ends for good");
    scripted_end(&scripted);
    return count;
}

static void
check_endpoint(const struct dx_usb_endpoint *endpoint, int address, int packet)
{
    cr_assert(eq(int, endpoint->address, address));
    cr_assert(eq(int, endpoint->packet, packet));
}

Test(descriptors, all_of_a_configuration_are_walked_over)
{
    cr_assert(eq(u32, sizeof ncm, NCM_TOTAL));
    cr_assert(eq(u32, sizeof ecm, ECM_TOTAL));
    cr_assert(eq(u32, sizeof rndis, RNDIS_TOTAL));
    cr_assert(eq(u32, count_descriptors(ncm, sizeof ncm), 11));
    cr_assert(eq(u32, count_descriptors(ecm, sizeof ecm), 10));
}

Test(descriptors, settings_come_with_their_endpoints_and_their_functional_descriptors)
{
    const struct dx_usb_configuration configuration = configuration_of(ncm, sizeof ncm);
    struct dx_usb_walk walk = dx_usb_walk_begin(&configuration);
    struct dx_usb_setting setting;
    cr_assert(eq(int, dx_usb_configuration_value(&configuration), 1));

    cr_assert(dx_usb_walk_setting(&walk, &setting));
    cr_assert(eq(int, setting.interface, 0));
    cr_assert(eq(int, setting.class_code, 2));
    cr_assert(eq(int, setting.subclass, 0x0d));
    check_endpoint(&setting.interrupt_in, 0x81, 16);
    cr_assert(eq(int, setting.interrupt_in.interval, 9));
    check_endpoint(&setting.bulk_in, 0, 0);
    const uint8_t *const functional = dx_usb_find_functional(&setting, 0x1a, 6);
    cr_assert(functional != NULL);
    cr_assert(eq(int, functional[5], 0x11));
    cr_assert(dx_usb_find_functional(&setting, 0x1a, 7) == NULL, "it has six bytes");
    cr_assert(dx_usb_find_functional(&setting, 0x1b, 3) == NULL);

    cr_assert(dx_usb_walk_setting(&walk, &setting));
    cr_assert(eq(int, setting.interface, 1));
    cr_assert(eq(int, setting.alternate, 0));
    check_endpoint(&setting.bulk_in, 0, 0);

    cr_assert(dx_usb_walk_setting(&walk, &setting));
    cr_assert(eq(int, setting.alternate, 1));
    cr_assert(eq(int, setting.protocol, 1));
    check_endpoint(&setting.bulk_in, 0x82, 512);
    check_endpoint(&setting.bulk_out, 0x03, 512);
    check_endpoint(&setting.interrupt_in, 0, 0);
    cr_assert(dx_usb_find_functional(&setting, 0x1a, 6) == NULL, "it is of another interface");
    cr_assert(not(dx_usb_walk_setting(&walk, &setting)));
    scripted_end(&scripted);
}

Test(descriptors, a_length_of_0_or_1_ends_the_walk)
{
    uint8_t bytes[sizeof ncm];
    for (uint8_t length = 0; length < 2; length++) {
        memcpy(bytes, ncm, sizeof bytes);
        bytes[9 + 9] = length; // of the third one
        cr_assert(eq(u32, count_descriptors(bytes, sizeof bytes), 2));
    }
}

Test(descriptors, a_descriptor_that_is_cut_off_ends_the_walk)
{
    cr_assert(eq(u32, count_descriptors(ncm, sizeof ncm - 1), 10));
    cr_assert(eq(u32, count_descriptors(ncm, 9 + 9 + 1), 2));
    uint8_t bytes[sizeof ncm];
    memcpy(bytes, ncm, sizeof bytes);
    bytes[9] = 255;
    cr_assert(eq(u32, count_descriptors(bytes, sizeof bytes), 1));
}

Test(descriptors, a_total_length_beyond_what_came_is_not_believed)
{
    uint8_t bytes[sizeof ncm];
    memcpy(bytes, ncm, sizeof bytes);
    bytes[2] = bytes[3] = 0xff;
    cr_assert(eq(u32, count_descriptors(bytes, sizeof bytes), 11));
}

Test(descriptors, nothing_beyond_the_total_length_is_read)
{
    uint8_t bytes[sizeof ncm];
    memcpy(bytes, ncm, sizeof bytes);
    bytes[2] = 9 + 9;
    cr_assert(eq(u32, count_descriptors(bytes, sizeof bytes), 2));
    bytes[2] = 8;
    cr_assert(eq(u32, count_descriptors(bytes, sizeof bytes), 0));
    bytes[2] = 0;
    cr_assert(eq(u32, count_descriptors(bytes, sizeof bytes), 0));
}

Test(descriptors, a_configuration_without_a_head_has_nothing)
{
    uint8_t bytes[sizeof ncm];
    memcpy(bytes, ncm, sizeof bytes);
    cr_assert(eq(u32, count_descriptors(bytes, 0), 0));
    cr_assert(eq(u32, count_descriptors(bytes, 8), 0));
    bytes[0] = 8;
    cr_assert(eq(u32, count_descriptors(bytes, sizeof bytes), 0));
    bytes[0] = 9;
    bytes[1] = 4;
    cr_assert(eq(u32, count_descriptors(bytes, sizeof bytes), 0));
    const struct dx_usb_configuration none = {0};
    cr_assert(eq(int, dx_usb_configuration_value(&none), 0));
}

static struct dx_usb_setting
first_setting(const void *bytes, size_t size)
{
    const struct dx_usb_configuration configuration = configuration_of(bytes, size);
    struct dx_usb_walk walk = dx_usb_walk_begin(&configuration);
    struct dx_usb_setting setting;
    cr_assert(dx_usb_walk_setting(&walk, &setting));
    scripted_end(&scripted);
    setting.body = (struct dx_usb_walk){0};
    return setting;
}

Test(descriptors, an_endpoint_without_bytes_is_none)
{
    static const uint8_t bytes[] = {
        CONFIGURATION(39, 1, 1), INTERFACE(0, 0, 3, 0xff, 0xff, 0), ENDPOINT(0x81, 2, 0, 0),
        ENDPOINT(0x82, 2, 64, 0), ENDPOINT(0x03, 2, 0, 0),
    };
    const struct dx_usb_setting setting = first_setting(bytes, sizeof bytes);
    check_endpoint(&setting.bulk_in, 0x82, 64);
    check_endpoint(&setting.bulk_out, 0, 0);
}

Test(descriptors, an_endpoint_counts_by_its_kind_and_direction_and_the_first_one_does)
{
    static const uint8_t bytes[] = {
        CONFIGURATION(81, 1, 1), INTERFACE(0, 0, 9, 0xff, 0xff, 0), ENDPOINT(0x81, 1, 512, 1),
        ENDPOINT(0x02, 3, 8, 1), ENDPOINT(0x80, 2, 64, 0), ENDPOINT(0x83, 2, 512, 0), ENDPOINT(0x84, 2, 64, 0),
        ENDPOINT(0x05, 2, 1024, 0), ENDPOINT(0x06, 2, 64, 0), ENDPOINT(0x87, 3, 0x1808, 4),
        ENDPOINT(0x88, 3, 16, 4),
    };
    const struct dx_usb_setting setting = first_setting(bytes, sizeof bytes);
    check_endpoint(&setting.bulk_in, 0x83, 512);
    check_endpoint(&setting.bulk_out, 0x05, 1024);
    check_endpoint(&setting.interrupt_in, 0x87, 8); // the bits above are packets of a microframe
}

Test(descriptors, an_address_that_comes_twice_is_the_first_one)
{
    static const uint8_t bytes[] = {CONFIGURATION(39, 1, 1), INTERFACE(0, 0, 3, 0xff, 0xff, 0),
                                    ENDPOINT(0x81, 3, 8, 4), ENDPOINT(0x81, 2, 512, 0), ENDPOINT(0x02, 2, 512, 0)};
    const struct dx_usb_setting setting = first_setting(bytes, sizeof bytes);
    check_endpoint(&setting.interrupt_in, 0x81, 8);
    check_endpoint(&setting.bulk_in, 0, 0);
}

Test(descriptors, an_endpoint_that_is_too_short_is_none)
{
    static const uint8_t bytes[] = {
        CONFIGURATION(24, 1, 1), INTERFACE(0, 0, 1, 0xff, 0xff, 0), 6, 5, 0x81, 2, 0, 2,
    };
    const struct dx_usb_setting setting = first_setting(bytes, sizeof bytes);
    check_endpoint(&setting.bulk_in, 0, 0);
}

Test(descriptors, an_interface_that_is_too_short_owns_nothing)
{
    static const uint8_t bytes[] = {
        CONFIGURATION(40, 2, 1), INTERFACE(0, 0, 1, 0xff, 0xff, 0), ENDPOINT(0x81, 2, 64, 0), 8, 4, 1, 0, 1, 0xff,
        0xff, 0, ENDPOINT(0x02, 2, 64, 0),
    };
    const struct dx_usb_setting setting = first_setting(bytes, sizeof bytes);
    check_endpoint(&setting.bulk_in, 0x81, 64);
    check_endpoint(&setting.bulk_out, 0, 0);
    const struct dx_usb_configuration configuration = configuration_of(bytes, sizeof bytes);
    struct dx_usb_walk walk = dx_usb_walk_begin(&configuration);
    struct dx_usb_setting other;
    cr_assert(dx_usb_walk_setting(&walk, &other));
    cr_assert(not(dx_usb_walk_setting(&walk, &other)));
    scripted_end(&scripted);
}

/* ---- what the drivers make of them ---- */

static int
probe(const struct dx_nic_ops *ops)
{
    void *const nic = calloc(1, ops->bytes);
    cr_assert(nic != NULL);
    info = (struct dx_nic_info){0};
    strcpy(why, "?");
    const int result = ops->probe(nic, &scripted.device, &info, why);
    free(nic);
    return result;
}

static int
probe_one(const struct dx_nic_ops *ops, const void *bytes, size_t size)
{
    scripted_begin(&scripted, 1);
    scripted_add_configuration(&scripted, bytes, (uint32_t)size);
    const int result = probe(ops);
    scripted_end(&scripted);
    return result;
}

static void
check_ordinary(const char *driver, int control, int data)
{
    cr_assert(strcmp(info.driver, driver) == 0);
    cr_assert(eq(int, info.interface_count, control == data ? 1 : 2));
    cr_assert(eq(int, info.interfaces[0], control));
    cr_assert(eq(int, info.interfaces[1], data));
    cr_assert(eq(int, info.in_endpoint, 0x82));
    cr_assert(eq(int, info.in_packet, 512));
    cr_assert(eq(int, info.out_endpoint, 0x03));
    cr_assert(eq(int, info.out_packet, 512));
    cr_assert(eq(u32, info.max_frame, 1514));
}

Test(cdc_descriptors, an_NCM_function_is_taken_by_the_NCM_driver_alone)
{
    cr_assert(eq(int, probe_one(&dx_nic_ecm, ncm, sizeof ncm), -ENOTSUP));
    cr_assert(eq(int, probe_one(&dx_nic_ncm, ncm, sizeof ncm), 0), "%s", why);
    check_ordinary("cdc-ncm", 0, 1);
    cr_assert(strcmp(info.chip, "NCM 1.0") == 0);
    cr_assert(eq(int, info.notify_endpoint, 0x81));
    cr_assert(eq(int, info.notify_packet, 16));
    cr_assert(eq(u32, info.in_transfer, 16384));
    cr_assert(eq(u32, info.in_count, 4));
}

Test(cdc_descriptors, an_ECM_function_is_taken_by_the_ECM_driver_alone)
{
    cr_assert(eq(int, probe_one(&dx_nic_ncm, ecm, sizeof ecm), -ENOTSUP));
    cr_assert(eq(int, probe_one(&dx_nic_ecm, ecm, sizeof ecm), 0), "%s", why);
    check_ordinary("cdc-ecm", 0, 1);
    cr_assert(eq(u32, info.in_transfer, 2048));
    cr_assert(eq(u32, info.in_count, 8));
}

Test(cdc_descriptors, a_function_in_a_later_configuration_is_found_behind_RNDIS)
{
    scripted_begin(&scripted, 1);
    scripted_add_configuration(&scripted, rndis, sizeof rndis);
    scripted_add_configuration(&scripted, ecm, sizeof ecm);
    cr_assert(eq(int, probe(&dx_nic_ecm), 0), "%s", why);
    check_ordinary("cdc-ecm", 0, 1);
    cr_assert(eq(int, probe(&dx_nic_ncm), -ENOTSUP));
    scripted_end(&scripted);
}

Test(cdc_descriptors, NCM_is_asked_before_ECM)
{
    static const uint8_t second[] = {NCM_CONFIGURATION(2, 0x11)}, first[] = {ECM_CONFIGURATION(1, 0)};
    scripted_begin(&scripted, 1);
    scripted_add_configuration(&scripted, first, sizeof first);
    scripted_add_configuration(&scripted, second, sizeof second);
    const char *taker = NULL;
    for (const struct dx_nic_ops *const *ops = dx_nic_drivers; *ops && !taker; ops++)
        taker = probe(*ops) == 0 ? (*ops)->name : NULL;
    cr_assert(taker != NULL);
    cr_assert(strcmp(taker, "cdc-ncm") == 0);
    scripted_end(&scripted);
}

/* As an adapter and the list find it. */
static int
find(void)
{
    const struct dx_nic_ops *ops = NULL;
    void *memory = NULL;
    const int error = dx_nic_find(&scripted.device, &ops, &memory, &info, why);
    cr_assert(eq(int, memory == NULL, error != 0));
    cr_assert(error == -ENOTSUP || strcmp(ops->name, error ? "cdc-ncm" : info.driver) == 0);
    free(memory);
    return error;
}

Test(cdc_descriptors, an_NCM_function_that_lies_does_not_hide_a_good_ECM_one)
{
    uint8_t bad[sizeof ncm];
    memcpy(bad, ncm, sizeof bad);
    bad[9 + 9 + 5 + 4] = 7; // the union's slave
    scripted_begin(&scripted, 1);
    cr_assert(eq(int, find(), -ENOTSUP));
    cr_assert(strstr(why, "no driver takes 0000:0000") != NULL);
    scripted_add_configuration(&scripted, bad, sizeof bad);
    cr_assert(eq(int, find(), -EINVAL));
    cr_assert(strstr(why, "data interface 7") != NULL, "%s", why);
    scripted_add_configuration(&scripted, ecm, sizeof ecm);
    cr_assert(eq(int, find(), 0), "%s", why);
    check_ordinary("cdc-ecm", 0, 1);
    scripted_end(&scripted);
}

Test(cdc_descriptors, a_driver_for_one_interface_takes_that_function_alone)
{
    static const uint8_t both[] = {
        CONFIGURATION(NCM_TOTAL + ECM_TOTAL - 9, 4, 1), INTERFACE(0, 0, 1, 2, 0x0d, 0), CDC_HEADER, CDC_UNION(0, 1),
        CDC_ETHERNET(3, 1514, 0), CDC_NCM(0x11), ENDPOINT(0x81, 3, 16, 9), DATA_SETTINGS(1, 1),
        INTERFACE(2, 0, 1, 2, 6, 0), CDC_HEADER, CDC_UNION(2, 3), CDC_ETHERNET(3, 1514, 0), ENDPOINT(0x81, 3, 16, 9),
        DATA_SETTINGS(3, 0)};
    scripted_begin(&scripted, 1);
    scripted_add_configuration(&scripted, both, sizeof both);
    scripted_add_configuration(&scripted, ecm, sizeof ecm);
    cr_assert(eq(int, find(), 0), "%s", why);
    check_ordinary("cdc-ncm", 0, 1);
    scripted.device.is_for_interface = true;
    scripted.device.interface = 2;
    cr_assert(eq(int, find(), 0), "%s", why);
    check_ordinary("cdc-ecm", 2, 3);
    scripted.device.interface = 0;
    cr_assert(eq(int, find(), 0), "%s", why);
    check_ordinary("cdc-ncm", 0, 1);
    scripted.device.interface = 1; // data belong to the other one
    cr_assert(eq(int, find(), -ENOTSUP));
    scripted.device.configuration = 3; // the numbers are that one's
    scripted.device.interface = 0;
    cr_assert(eq(int, find(), -ENOTSUP));
    scripted_end(&scripted);
}

Test(cdc_descriptors, the_configuration_that_is_set_comes_first)
{
    static const uint8_t first[] = {
        CONFIGURATION(80, 2, 1), INTERFACE(4, 0, 1, 2, 6, 0), CDC_HEADER, CDC_UNION(4, 5),
        CDC_ETHERNET(3, 1514, 0), ENDPOINT(0x81, 3, 16, 9), DATA_SETTINGS(5, 0),
    };
    scripted_begin(&scripted, 2);
    scripted_add_configuration(&scripted, first, sizeof first);
    scripted_add_configuration(&scripted, ecm, sizeof ecm);
    cr_assert(eq(int, probe(&dx_nic_ecm), 0), "%s", why);
    check_ordinary("cdc-ecm", 0, 1);
    scripted.device.configuration = 0;
    cr_assert(eq(int, probe(&dx_nic_ecm), 0), "%s", why);
    check_ordinary("cdc-ecm", 4, 5);
    scripted_end(&scripted);
}

Test(cdc_descriptors, a_configuration_that_lies_does_not_hide_a_good_one)
{
    uint8_t bad[sizeof ecm];
    memcpy(bad, ecm, sizeof bad);
    bad[5] = 1;
    bad[9 + 9 + 5 + 4] = 7; // the union's slave
    scripted_begin(&scripted, 1);
    scripted_add_configuration(&scripted, bad, sizeof bad);
    cr_assert(eq(int, probe(&dx_nic_ecm), -EINVAL));
    scripted_add_configuration(&scripted, ecm, sizeof ecm);
    cr_assert(eq(int, probe(&dx_nic_ecm), 0), "%s", why);
    scripted_end(&scripted);
}

Test(cdc_descriptors, without_a_union_the_next_interface_has_the_data)
{
    static const uint8_t bytes[] = {CONFIGURATION(75, 2, 1), INTERFACE(2, 0, 1, 2, 6, 0), CDC_HEADER,
                                    CDC_ETHERNET(3, 1514, 0), ENDPOINT(0x81, 3, 16, 9), DATA_SETTINGS(3, 0)};
    cr_assert(eq(int, probe_one(&dx_nic_ecm, bytes, sizeof bytes), 0), "%s", why);
    check_ordinary("cdc-ecm", 2, 3);
}

Test(cdc_descriptors, an_association_before_the_interfaces_does_not_matter)
{
    static const uint8_t bytes[] = {
        CONFIGURATION(88, 2, 1), 8, 0x0b, 0, 2, 2, 6, 0, 0, INTERFACE(0, 0, 1, 2, 6, 0), CDC_HEADER,
        CDC_UNION(0, 1), CDC_ETHERNET(3, 1514, 0), ENDPOINT(0x81, 3, 16, 9), DATA_SETTINGS(1, 0),
    };
    cr_assert(eq(int, probe_one(&dx_nic_ecm, bytes, sizeof bytes), 0), "%s", why);
    check_ordinary("cdc-ecm", 0, 1);
}

Test(cdc_descriptors, a_union_with_the_roles_exchanged_is_understood)
{
    static const uint8_t bytes[] = {
        CONFIGURATION(80, 2, 1), INTERFACE(0, 0, 1, 2, 6, 0), CDC_HEADER, CDC_UNION(1, 0),
        CDC_ETHERNET(3, 1514, 0), ENDPOINT(0x81, 3, 16, 9), DATA_SETTINGS(1, 0),
    };
    cr_assert(eq(int, probe_one(&dx_nic_ecm, bytes, sizeof bytes), 0), "%s", why);
    check_ordinary("cdc-ecm", 0, 1);
}

Test(cdc_descriptors, a_union_of_one_interface_is_a_function_in_one)
{
    static const uint8_t bytes[] = {
        CONFIGURATION(62, 1, 1), INTERFACE(0, 0, 3, 2, 6, 0), CDC_HEADER, CDC_UNION(0, 0),
        CDC_ETHERNET(3, 1514, 0), ENDPOINT(0x81, 3, 16, 9), ENDPOINT(0x82, 2, 512, 0), ENDPOINT(0x03, 2, 512, 0),
    };
    cr_assert(eq(int, probe_one(&dx_nic_ecm, bytes, sizeof bytes), 0), "%s", why);
    check_ordinary("cdc-ecm", 0, 0);
}

Test(cdc_descriptors, a_data_interface_with_a_single_setting_is_taken)
{
    static const uint8_t bytes[] = {
        CONFIGURATION(71, 2, 1), INTERFACE(0, 0, 1, 2, 6, 0), CDC_HEADER, CDC_UNION(0, 1),
        CDC_ETHERNET(3, 1514, 0), ENDPOINT(0x81, 3, 16, 9), INTERFACE(1, 0, 2, 0x0a, 0, 0),
        ENDPOINT(0x82, 2, 512, 0), ENDPOINT(0x03, 2, 512, 0),
    };
    cr_assert(eq(int, probe_one(&dx_nic_ecm, bytes, sizeof bytes), 0), "%s", why);
    check_ordinary("cdc-ecm", 0, 1);
}

Test(cdc_descriptors, a_function_without_an_interrupt_endpoint_is_taken)
{
    static const uint8_t bytes[] = {
        CONFIGURATION(73, 2, 1), INTERFACE(0, 0, 0, 2, 6, 0), CDC_HEADER, CDC_UNION(0, 1),
        CDC_ETHERNET(3, 1514, 0), DATA_SETTINGS(1, 0),
    };
    cr_assert(eq(int, probe_one(&dx_nic_ecm, bytes, sizeof bytes), 0), "%s", why);
    check_ordinary("cdc-ecm", 0, 1);
    cr_assert(eq(int, info.notify_endpoint, 0));
}

static void
check_refused(const struct dx_nic_ops *ops, const void *bytes, size_t size, const char *reason)
{
    cr_assert(eq(int, probe_one(ops, bytes, size), -EINVAL));
    cr_assert(strstr(why, reason) != NULL, "'%s' does not say '%s'", why, reason);
}

Test(cdc_descriptors, a_union_that_names_an_interface_which_does_not_exist_is_refused)
{
    static const uint8_t bytes[] = {
        CONFIGURATION(80, 2, 1), INTERFACE(0, 0, 1, 2, 6, 0), CDC_HEADER, CDC_UNION(0, 7),
        CDC_ETHERNET(3, 1514, 0), ENDPOINT(0x81, 3, 16, 9), DATA_SETTINGS(1, 0),
    };
    check_refused(&dx_nic_ecm, bytes, sizeof bytes, "data interface 7 of interface 0 does not exist");
}

Test(cdc_descriptors, a_union_of_other_interfaces_is_refused)
{
    static const uint8_t bytes[] = {
        CONFIGURATION(80, 2, 1), INTERFACE(0, 0, 1, 2, 6, 0), CDC_HEADER, CDC_UNION(4, 5),
        CDC_ETHERNET(3, 1514, 0), ENDPOINT(0x81, 3, 16, 9), DATA_SETTINGS(1, 0),
    };
    check_refused(&dx_nic_ecm, bytes, sizeof bytes, "union of others, 4 and 5");
}

Test(cdc_descriptors, a_function_without_union_and_next_interface_is_refused)
{
    static const uint8_t bytes[] = {CONFIGURATION(43, 2, 1), INTERFACE(255, 0, 1, 2, 6, 0), CDC_HEADER,
                                    CDC_ETHERNET(3, 1514, 0), ENDPOINT(0x81, 3, 16, 9)};
    check_refused(&dx_nic_ecm, bytes, sizeof bytes, "data interface 0 of interface 255 does not exist");
}

Test(cdc_descriptors, a_data_interface_of_another_class_is_refused)
{
    static const uint8_t bytes[] = {
        CONFIGURATION(66, 2, 1), INTERFACE(0, 0, 1, 2, 6, 0), CDC_HEADER, CDC_ETHERNET(3, 1514, 0),
        ENDPOINT(0x81, 3, 16, 9), INTERFACE(1, 0, 2, 8, 6, 0x50), ENDPOINT(0x82, 2, 512, 0),
        ENDPOINT(0x03, 2, 512, 0),
    }; // a disk
    check_refused(&dx_nic_ecm, bytes, sizeof bytes, "interface 1 is of class 0x08");
}

Test(cdc_descriptors, a_data_interface_without_endpoints_in_any_setting_is_refused)
{
    static const uint8_t bytes[] = {
        CONFIGURATION(73, 2, 1), INTERFACE(0, 0, 1, 2, 6, 0), CDC_HEADER, CDC_UNION(0, 1),
        CDC_ETHERNET(3, 1514, 0), ENDPOINT(0x81, 3, 16, 9), INTERFACE(1, 0, 0, 0x0a, 0, 0),
        INTERFACE(1, 1, 0, 0x0a, 0, 0), ENDPOINT(0x82, 2, 512, 0),
    };
    check_refused(&dx_nic_ecm, bytes, sizeof bytes, "no bulk endpoints in any setting");
}

Test(cdc_descriptors, a_function_without_an_Ethernet_descriptor_is_refused)
{
    static const uint8_t bytes[] = {
        CONFIGURATION(67, 2, 1), INTERFACE(0, 0, 1, 2, 6, 0), CDC_HEADER, CDC_UNION(0, 1),
        ENDPOINT(0x81, 3, 16, 9), DATA_SETTINGS(1, 0),
    };
    check_refused(&dx_nic_ecm, bytes, sizeof bytes, "no Ethernet descriptor");
    uint8_t cut[sizeof ecm];
    memcpy(cut, ecm, sizeof cut);
    cut[9 + 9 + 5 + 5] = 12; // one byte less than it has: what follows is out of step
    check_refused(&dx_nic_ecm, cut, sizeof cut, "no Ethernet descriptor");
}

Test(cdc_descriptors, an_NCM_function_without_its_own_descriptor_is_refused)
{
    static const uint8_t bytes[] = {
        CONFIGURATION(80, 2, 1), INTERFACE(0, 0, 1, 2, 0x0d, 0), CDC_HEADER, CDC_UNION(0, 1),
        CDC_ETHERNET(3, 1514, 0), ENDPOINT(0x81, 3, 16, 9), DATA_SETTINGS(1, 1),
    };
    check_refused(&dx_nic_ncm, bytes, sizeof bytes, "no NCM descriptor");
}

Test(cdc_descriptors, a_functional_descriptor_of_length_0_does_not_hang)
{
    uint8_t bytes[sizeof ncm];
    memcpy(bytes, ncm, sizeof bytes);
    bytes[9 + 9] = 0;
    cr_assert(eq(int, probe_one(&dx_nic_ncm, bytes, sizeof bytes), -EINVAL));
}

Test(cdc_descriptors, a_segment_size_that_cannot_be_is_replaced)
{
    static const unsigned sizes[][2] = {
        {0, 1514}, {1513, 1514}, {1514, 1514}, {1516, 1516}, {1518, 1518}, {9014, 1518},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t bytes[sizeof ecm];
        memcpy(bytes, ecm, sizeof bytes);
        bytes[9 + 9 + 5 + 5 + 8] = (uint8_t)sizes[i][0];
        bytes[9 + 9 + 5 + 5 + 9] = (uint8_t)(sizes[i][0] >> 8);
        cr_assert(eq(int, probe_one(&dx_nic_ecm, bytes, sizeof bytes), 0), "%s", why);
        cr_assert(eq(u32, info.max_frame, sizes[i][1]));
    }
}

/* The memory is of the exact size: AddressSanitizer sees one byte too far. */
Test(cdc_descriptors, no_end_and_no_byte_of_a_configuration_leads_astray)
{
    for (uint32_t size = 0; size <= sizeof ncm; size++) {
        const int result = probe_one(&dx_nic_ncm, ncm, size);
        cr_assert(eq(int, result == 0, size == sizeof ncm), "%u bytes", size);
    }
    uint8_t bytes[sizeof ncm];
    for (uint32_t at = 0; at < sizeof ncm; at++) {
        for (int value = 0; value < 256; value++) {
            memcpy(bytes, ncm, sizeof bytes);
            bytes[at] = (uint8_t)value;
            const int result = probe_one(&dx_nic_ncm, bytes, sizeof bytes);
            cr_assert(result == 0 || result == -EINVAL || result == -ENOTSUP);
            cr_assert(result != 0 || (info.in_packet && info.out_packet && info.in_transfer >= 16384));
        }
    }
}
