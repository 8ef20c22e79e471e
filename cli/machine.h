// SPDX-License-Identifier: MIT
// The devices of the machine, as the sub-commands ask for them.

#ifndef DX_CLI_MACHINE_H
#define DX_CLI_MACHINE_H

#include "cli/cli.h"

#include <dextral/directory.h>

#define CLI_UID_BYTES 256u

/** What the supervisor knows of its devices, hidden ones too. */
struct cli_devices {
    OSArray *descriptions; ///< in the order of the directory
    char default_input[CLI_UID_BYTES];
    char default_output[CLI_UID_BYTES];
};

/** How a sub-command on devices goes; each function returns CLI_OK, or an exit code after a message. */
struct cli_task {
    int (*take_option)(void *context, size_t option, const char *value);
    int (*take_operand)(void *context, const char *value);
    int (*check)(void *context); ///< what was given, before anything is opened; may be NULL
    int (*run)(void *context, dx_directory *directory);
};

/** Parses arguments, connects to the supervisor and runs the task. */
int cli_run_task(const struct cli_command *command, const struct cli_task *task, void *context, int argc,
                 char **argv);

/**
 * Connects to the supervisor.
 *
 * @param name  the sub-command's.
 * @return CLI_OK; CLI_NO_SUPERVISOR, or CLI_FAILED, after a message that says how to start one.
 */
int cli_open_directory(const char *name, dx_directory **ret_directory);

/**
 * Asks the supervisor.
 *
 * @param what        what the message begins with when it refuses: "create cable".
 * @param arguments   borrowed; may be NULL.
 * @param ret_answer  +1, or NULL when it is refused; may be NULL.
 * @return CLI_OK, or the exit code of what went wrong, after a message.
 */
int cli_request(dx_directory *directory, const char *what, const char *operation, const OSDictionary *arguments,
                OSDictionary **ret_answer);

/** The same with one text as its argument. */
int cli_request_about(dx_directory *directory, const char *what, const char *operation, const char *key,
                      const char *value, OSDictionary **ret_answer);

/**
 * Asks for a list that may come in parts.
 *
 * @param key         under which the answers have it.
 * @param ret_items   +1; NULL where it fails.
 * @param ret_answer  the last answer, +1; written on success only; may be NULL.
 */
int cli_request_list(dx_directory *directory, const char *what, const char *operation, const char *key,
                     OSArray **ret_items, OSDictionary **ret_answer);

/** The exit code for what the supervisor or a driver answered. */
int cli_exit_code(kern_return_t status);

/** All devices, to be given back with cli_devices_finish().  CLI_OK, or an exit code after a message. */
int cli_list_devices(dx_directory *directory, struct cli_devices *ret_devices);
void cli_devices_finish(struct cli_devices *devices); // zeroed is fine

/**
 * The device that is meant: the one of that UID; else the only one of that name; else the only one whose UID or
 * name begins so.  Upper and lower case differ; a hidden one is found by its UID alone.
 *
 * @param name      the sub-command's.
 * @param ret_uid   of the device.
 * @return CLI_OK; CLI_USAGE after a message that tells which ones there are.
 */
int cli_find_uid(const char *name, const struct cli_devices *devices, const char *text,
                 char ret_uid[CLI_UID_BYTES]);

/** The same for who needs nothing but the device. */
int cli_find_device(const char *name, dx_directory *directory, const char *text, dx_device **ret_device);

/**
 * All that is known of a device, with `input-channels`, `output-channels`, `default-for` and `volumes` besides what
 * the supervisor tells in one answer.
 *
 * @param ret_description  +1.
 */
int cli_describe(dx_directory *directory, const char *uid, OSDictionary **ret_description);

/** Adds these keys.  false without memory. */
bool cli_complete_description(OSDictionary *description, const struct cli_devices *devices);

/** Channels of the streams of `inputs` or `outputs`. */
uint32_t cli_count_channels(const OSDictionary *description, const char *streams);

#endif /* DX_CLI_MACHINE_H */
