// SPDX-License-Identifier: MIT
// The default devices.

#ifndef DX_HOST_SUPERVISOR_DEFAULT_H
#define DX_HOST_SUPERVISOR_DEFAULT_H

#include "host/supervisor/program.h"

/** Reads what the user chose before, and what was the default without a choice. */
void dx_defaults_read(struct dx_supervisor *supervisor);

/**
 * The UID of the default device, borrowed; NULL where there is none: what the user chose, where it is there, else
 * what it was before, else the first device that may be it.
 */
const char *dx_default_find(const struct dx_supervisor *supervisor, bool is_input);

/** Adds `KEY: UID` for both directions. */
bool dx_defaults_describe(const struct dx_supervisor *supervisor, OSDictionary *to, const char *input_key,
                          const char *output_key);

/** Keeps what is the default without a choice: it stays that after a restart, when devices come in another order. */
void dx_defaults_keep(struct dx_supervisor *supervisor);

/** Devices have come or gone: programs are told when another one is the default now. */
void dx_defaults_changed(struct dx_supervisor *supervisor);

void dx_defaults_free(struct dx_supervisor *supervisor);

void dx_request_set_default(struct dx_supervisor *supervisor, const struct dx_request *request);

#endif /* DX_HOST_SUPERVISOR_DEFAULT_H */
