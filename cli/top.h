// SPDX-License-Identifier: MIT
// dextral top: one look at all devices, and how it is shown.

#ifndef DX_CLI_TOP_H
#define DX_CLI_TOP_H

#include "cli/machine.h"

#include <stdio.h>

/** By what devices are ordered: the first is the default. */
enum top_order {
    TOP_BY_NAME,
    TOP_BY_LOAD,
    TOP_BY_LATENESS,
    TOP_BY_XRUNS,
};

/**
 * Looks at all devices.
 *
 * @param ret_sample  +1: `time-f64`, seconds since 1970, and `devices`; see dextral-top(1).
 * @return CLI_OK, or an exit code after a message.
 */
int top_sample(dx_directory *directory, OSDictionary **ret_sample);

/**
 * Shows a sample as a table.
 *
 * @param rows, columns  of the screen; 0: no limit.
 */
int top_print(const OSDictionary *sample, enum top_order order, size_t rows, size_t columns);

#endif /* DX_CLI_TOP_H */
