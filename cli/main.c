// SPDX-License-Identifier: MIT
// dextral: one program, sub-commands.

#include "cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct cli_command *const commands[] = {
    &cli_serve,     &cli_list,    &cli_info,    &cli_get,    &cli_set,   &cli_create,
    &cli_remove,    &cli_play,    &cli_record,  &cli_top,    &cli_incidents,
    &cli_drivers,   &cli_approve, &cli_revoke,  &cli_grant,  &cli_restart, &cli_process,
    &cli_usb,
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static const char *
command_name(const void *table, size_t index)
{
    const struct cli_command *const *const list = table;
    return index < COMMANDS ? list[index]->name : "help";
}

static const struct cli_command *
find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    }
    return strcmp(name, cli_complete.name) == 0 ? &cli_complete : NULL; // of the shells: not listed
}

static int
unknown_command(const char *name)
{
    const char *const closest = cli_closest(name, command_name, commands, COMMANDS + 1);
    return cli_fail(CLI_USAGE, "there is no command '%s'%s%s%s; 'dextral help' lists them", name,
                    closest ? " (did you mean '" : "", closest ? closest : "", closest ? "'?)" : "");
}

static int
print_commands(void)
{
    (void)printf("usage: dextral COMMAND [ARGUMENTS]\n"
                 "       dextral --help | --version\n"
                 "\n"
                 "AudioDriverKit-style audio drivers in user space, and the devices that they make.\n"
                 "\n"
                 "Commands:\n");
    for (size_t i = 0; i < COMMANDS; i++)
        (void)printf("  %-14s%s\n", commands[i]->name, commands[i]->summary);
    (void)printf("  %-14s%s\n", "help COMMAND", "shows what a command does and its options");
    return cli_finish_output();
}

static int
run_help(int argc, char **argv)
{
    if (argc == 0)
        return print_commands();
    if (argc > 1)
        return cli_fail(CLI_USAGE, "help: one command at a time: dextral help COMMAND");
    if (strcmp(argv[0], "help") == 0)
        return print_commands();
    const struct cli_command *const command = find_command(argv[0]);
    return command && command->summary ? cli_print_help(command) : unknown_command(argv[0]);
}

int
main(int argc, char **argv)
{
    // a write to a closed pipe or past a size limit is an error to report, not the end
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);

    if (argc < 2)
        return cli_fail(CLI_USAGE, "which command? 'dextral help' lists them");
    const char *const name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return print_commands();
    if (strcmp(name, "--version") == 0) {
        (void)printf("dextral %s\n", DX_VERSION);
        return cli_finish_output();
    }
    if (strcmp(name, "help") == 0)
        return run_help(argc - 2, argv + 2);
    if (name[0] == '-')
        return cli_fail(CLI_USAGE, "there is no option %s here; the command comes first: dextral COMMAND %s ...",
                        name, name);
    const struct cli_command *const command = find_command(name);
    return command ? command->run(command, argc - 2, argv + 2) : unknown_command(name);
}
