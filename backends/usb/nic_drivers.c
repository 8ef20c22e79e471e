// SPDX-License-Identifier: MIT
// Which drivers there are.

#include "backends/usb/nic.h"

const struct dx_nic_ops *const dx_nic_drivers[] = {
    &dx_nic_ax88772,
    &dx_nic_ncm, // before ECM: a device that has both prefers it
    &dx_nic_ecm,
    NULL,
};
