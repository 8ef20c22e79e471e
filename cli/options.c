// SPDX-License-Identifier: MIT
// Options: parsed by, and shown from, one table.

#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#define MAX_OPTIONS 64u
#define HELP_COLUMN 24

const struct cli_option cli_common_options[] = {
    {"help", NULL, "shows this", 'h', false},
};
const size_t cli_common_option_count = sizeof cli_common_options / sizeof cli_common_options[0];

/* The option of an index: the command's own first. */
static const struct cli_option *
option_at(const struct cli_command *command, size_t index)
{
    return index < command->option_count ? &command->options[index]
                                         : &cli_common_options[index - command->option_count];
}

static size_t
count_options(const struct cli_command *command)
{
    return command->option_count + cli_common_option_count;
}

static const char *
option_name(const void *table, size_t index)
{
    return option_at(table, index)->name;
}

/* Where parsing is. */
struct parse {
    const struct cli_command *command;
    struct cli_arguments *arguments;
    char **next;
    char **end;
    bool is_given[MAX_OPTIONS];
};

static int
unknown_option(const struct cli_command *command, const char *text, const char *name)
{
    const char *const closest = name ? cli_closest(name, option_name, command, count_options(command)) : NULL;
    return cli_fail(CLI_USAGE, "%s: there is no option %s%s%s%s; 'dextral %s --help' lists them", command->name,
                    text, closest ? " (did you mean --" : "", closest ? closest : "", closest ? "?)" : "",
                    command->name);
}

/* Hands an option on; its value is `value`, or the next argument. */
static int
take(struct parse *parse, size_t index, const char *value)
{
    const struct cli_command *const command = parse->command;
    const struct cli_option *const option = option_at(command, index);
    if (parse->is_given[index] && !option->is_repeatable)
        return cli_fail(CLI_USAGE, "%s: --%s is given twice", command->name, option->name);
    parse->is_given[index] = true;
    if (!option->argument && value)
        return cli_fail(CLI_USAGE, "%s: --%s takes no value", command->name, option->name);
    if (option->argument && !value) {
        if (parse->next == parse->end)
            return cli_fail(CLI_USAGE, "%s: --%s needs a value: --%s %s", command->name, option->name,
                            option->name, option->argument);
        value = *parse->next++;
    }
    if (value && !*value)
        return cli_fail(CLI_USAGE, "%s: --%s is empty: --%s %s", command->name, option->name, option->name,
                        option->argument);
    if (index >= command->option_count) {
        parse->arguments->wants_help = true; // the only common one
        return CLI_OK;
    }
    return parse->arguments->take_option(parse->arguments->context, index, value);
}

static int
take_long(struct parse *parse, const char *text)
{
    const char *const equals = strchr(text, '=');
    const size_t length = equals ? (size_t)(equals - text) : strlen(text);
    for (size_t i = 0; i < count_options(parse->command); i++) {
        const char *const name = option_at(parse->command, i)->name;
        if (strlen(name) == length && strncmp(name, text, length) == 0)
            return take(parse, i, equals ? equals + 1 : NULL);
    }
    char name[48];
    char shown[52];
    (void)snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), text);
    (void)snprintf(shown, sizeof shown, "--%s", name);
    return unknown_option(parse->command, shown, name);
}

static int
take_letters(struct parse *parse, const char *letters)
{
    for (; *letters; letters++) {
        size_t i = 0;
        while (i < count_options(parse->command) && option_at(parse->command, i)->letter != *letters)
            i++;
        if (i == count_options(parse->command)) {
            const char shown[] = {'-', *letters, '\0'};
            return unknown_option(parse->command, shown, NULL);
        }
        const bool has_value = option_at(parse->command, i)->argument && letters[1];
        const int code = take(parse, i, has_value ? letters + 1 : NULL);
        if (code != CLI_OK || has_value)
            return code;
    }
    return CLI_OK;
}

int
cli_parse(const struct cli_command *command, struct cli_arguments *arguments, int argc, char **argv)
{
    struct parse parse = {.command = command, .arguments = arguments, .next = argv, .end = argv + argc};
    bool has_ended = false; // "--" was seen
    while (parse.next < parse.end) {
        const char *const text = *parse.next++;
        int code;
        // "-6dB" and "-" are values: no option's letter is a digit
        if (has_ended || text[0] != '-' || !text[1] || strchr(".0123456789", text[1]))
            code = arguments->take_operand(arguments->context, text);
        else if (strcmp(text, "--") == 0)
            code = (has_ended = true, CLI_OK);
        else
            code = text[1] == '-' ? take_long(&parse, text + 2) : take_letters(&parse, text + 1);
        if (code != CLI_OK || arguments->wants_help)
            return code;
    }
    return CLI_OK;
}

/* "  -q, --quiet           text", further lines of the text below it. */
static void
print_option(const struct cli_option *option)
{
    char left[64];
    const char letter[] = {'-', option->letter, ',', ' ', '\0'};
    (void)snprintf(left, sizeof left, "  %s--%s%s%s", option->letter ? letter : "    ", option->name,
                   option->argument ? " " : "", option->argument ? option->argument : "");
    (void)printf("%-*s", HELP_COLUMN, left);
    if (strlen(left) >= HELP_COLUMN)
        (void)printf("\n%*s", HELP_COLUMN, "");
    for (const char *line = option->help; line;) {
        const char *const end = strchr(line, '\n');
        (void)printf("%.*s\n", (int)(end ? (size_t)(end - line) : strlen(line)), line);
        line = end ? end + 1 : NULL;
        if (line)
            (void)printf("%*s", HELP_COLUMN, "");
    }
}

int
cli_print_help(const struct cli_command *command)
{
    (void)printf("usage: dextral %s %s\n\n%s\n\nOptions:\n", command->name, command->usage, command->text);
    for (size_t i = 0; i < count_options(command); i++)
        print_option(option_at(command, i));
    if (command->print_more)
        command->print_more();
    (void)printf("\nExit status:\n"
                 "  0  done                            5  the output file could not be written\n"
                 "  1  failed while running            6  --strict: frames lost or cycles late\n"
                 "  2  wrong option or argument        7  no supervisor is running, or it may not be used\n"
                 "  3  the input file cannot be used   128 + N  ended by signal N (130: Ctrl-C)\n"
                 "  4  the driver or a plug-in cannot be used\n"
                 "\n'man dextral-%.*s' says more.\n",
                 (int)strcspn(command->name, " "), command->name);
    return cli_finish_output();
}
