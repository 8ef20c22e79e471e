// SPDX-License-Identifier: MIT
// Controls of a device, found by key or name, and set from what the user wrote.

#ifndef DX_CLI_CONTROL_H
#define DX_CLI_CONTROL_H

#include <dextral/host_controls.h>

/** A control to be set. */
struct cli_setting {
    const char *what; ///< what messages begin with: "process: --set Volume=-6dB"
    const char *key;  ///< key or name of the control, `key_length` bytes of it
    size_t key_length;
    const char *value; ///< as the kind of the control has it: see dextral-set(1)
};

/**
 * The control that has a key, or else those of a name.
 *
 * @param ret_info  the first; untouched where there is none.
 * @return how many there are; more than one only by name.
 */
unsigned cli_find_control(dx_device *device, const char *key, size_t key_length, dx_control_info *ret_info);

/** Finds and sets a control.  CLI_OK, or an exit code after a message. */
int cli_set_control(dx_device *device, const struct cli_setting *setting);

/** The message for what cli_find_control() found none or several of; CLI_USAGE. */
int cli_no_such_control(dx_device *device, const char *what, const char *key, size_t key_length);

#endif /* DX_CLI_CONTROL_H */
