// SPDX-License-Identifier: MIT
// Stands in for json.c and process_json.c where jansson is not there.

#include "cli/cli.h"
#include "cli/json.h"
#include "cli/process.h"

const bool cli_has_json = false;

static int
refuse(const char *what, const char *does)
{
    return cli_fail(CLI_FAILED,
                    "%s: this build of Dextral %s no JSON: install jansson (Debian: libjansson-dev) and build "
                    "again with -Djson=enabled",
                    what, does);
}

int
cli_check_json(const char *name)
{
    return refuse(name, "prints");
}

int
cli_print_json(OSObjectPtr object, bool is_line)
{
    (void)object;
    (void)is_line;
    return CLI_FAILED; // refused by cli_check_json()
}

OSDictionary *
cli_parse_json(const char *what, const char *text)
{
    (void)text;
    (void)refuse(what, "reads");
    return NULL;
}

int
process_print_json(const struct process_session *session)
{
    (void)session;
    return CLI_FAILED; // refused by cli_check_json()
}
