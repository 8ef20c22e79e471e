// SPDX-License-Identifier: MIT
// A NIC driver over a scripted device: what the tests of the CDC drivers share.

#ifndef DX_TESTS_CDC_RIG_H
#define DX_TESTS_CDC_RIG_H

#include "backends/usb/nic.h"
#include "tests/usb/cdc_descriptors.h"
#include "tests/usb/scripted.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct scripted scripted; // each test runs in a process of its own
static const struct dx_nic_ops *ops;
static void *nic;
static struct dx_nic_info info;
static char why[256];

/* A device with one configuration, which is set, and its driver; probed. */
static void
rig_begin(const struct dx_nic_ops *driver, const void *configuration, size_t size)
{
    scripted_begin(&scripted, 1);
    scripted_add_configuration(&scripted, configuration, (uint32_t)size);
    scripted.strings[3] = "0200000000aa";
    ops = driver;
    nic = calloc(1, ops->bytes);
    cr_assert(nic != NULL);
    info = (struct dx_nic_info){0};
    cr_assert(eq(int, ops->probe(nic, &scripted.device, &info, why), 0), "%s", why);
}

static int
rig_open(void)
{
    scripted.log[0] = '\0';
    scripted.steps = 0;
    why[0] = '\0';
    return ops->open(nic, &scripted.device, &info, why);
}

static void
rig_close(void)
{
    scripted.log[0] = '\0';
    ops->close(nic, &scripted.device);
    cr_assert(eq(u32, scripted.claims, 0));
}

static void
rig_end(void)
{
    scripted_end(&scripted);
    free(nic);
    nic = NULL;
}

static void
check_log(const char *expected)
{
    cr_assert(strcmp(scripted.log, expected) == 0, "it made the requests\n%sand not\n%s", scripted.log, expected);
}

/* Whatever goes wrong at whichever step: where opening fails nothing stays claimed, and it can be opened then. */
static inline void
check_failures_at_every_step(const struct dx_nic_ops *driver, const void *configuration, size_t size,
                             void (*prepare)(void))
{
    static const int errors[] = {-ENODEV, -EPIPE, -ETIMEDOUT, -EPROTO, -EBUSY, -EACCES, -EOVERFLOW};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        for (uint32_t step = 1;; step++) {
            rig_begin(driver, configuration, size);
            if (prepare)
                prepare();
            scripted.fail_at = step;
            scripted.fail_with = errors[i];
            const int result = rig_open();
            const bool is_over = scripted.steps < step;
            if (is_over)
                cr_assert(eq(int, result, 0), "%s", why);
            if (result) {
                cr_assert(eq(u32, scripted.claims, 0), "step %u: %d", step, errors[i]);
                cr_assert(eq(int, result, errors[i]), "step %u", step);
                cr_assert(ne(int, why[0], '\0'), "step %u: %d", step, errors[i]);
                scripted.fail_at = 0;
                cr_assert(eq(int, rig_open(), 0), "%s", why);
            } else {
                cr_assert(is_over || errors[i] != -ENODEV, "step %u: it has gone", step);
            }
            scripted.fail_at = 1;
            rig_close();
            rig_end();
            if (is_over)
                break;
        }
    }
}

#endif /* DX_TESTS_CDC_RIG_H */
