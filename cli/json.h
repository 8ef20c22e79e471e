// SPDX-License-Identifier: MIT
// JSON of what the supervisor tells, where jansson is there.

#ifndef DX_CLI_JSON_H
#define DX_CLI_JSON_H

#include <dextral/OSObject.h>

/** Whether this build prints JSON. */
extern const bool cli_has_json;

/** CLI_OK, or CLI_FAILED after a message when this build prints none.  `name` is the sub-command's. */
int cli_check_json(const char *name);

/**
 * Prints an object on stdout, and a new line.
 *
 * Numbers are integers.  A key that ends in "-f64" is shown without that end, and its value is a double; `rates`
 * is an array of doubles; `session` and `client` are 16 hexadecimal digits.  What is not finite is null.
 *
 * @param is_line  all on one line, for a stream of objects.
 * @return CLI_OK, or CLI_FAILED after a message.
 */
int cli_print_json(OSObjectPtr object, bool is_line);

/** The object that a JSON text stands for, +1: a dictionary of texts, whole numbers, booleans, arrays and
 * dictionaries.
 *  NULL after a message that begins with `what`. */
OSDictionary *cli_parse_json(const char *what, const char *text);

#endif /* DX_CLI_JSON_H */
