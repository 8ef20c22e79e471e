// SPDX-License-Identifier: MIT
// Messages, numbers and near misses.

#include "cli/cli.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_quiet; // set once, before the run

__attribute__((format(printf, 1, 0))) static void
print_message(const char *format, va_list arguments)
{
    char text[1024];
    (void)vsnprintf(text, sizeof text, format, arguments); // cut where it is too long
    for (char *c = text; *c; c++) {
        if (((unsigned char)*c < 0x20 && *c != '\n') || *c == 0x7F)
            *c = '?'; // a file's name or a library's message must not drive the terminal
    }
    (void)fprintf(stderr, "dextral: %s\n", text);
}

int
cli_fail(int exit_code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_message(format, arguments);
    va_end(arguments);
    return exit_code;
}

/* Whether a message names a path, as it was given or as the end of a longer one. */
static bool
is_named(const char *message, const char *path)
{
    const size_t length = strlen(path);
    for (const char *found = message; *path && (found = strstr(found, path)); found++) {
        const bool is_start = found == message || strchr(" \"'/", found[-1]);
        if (is_start && strchr(" \"',:;/", found[length]))
            return true; // the end of the message counts as well
    }
    return false;
}

int
cli_fail_about(int exit_code, const char *subject, const char *message)
{
    return is_named(message, subject) ? cli_fail(exit_code, "%s", message)
                                      : cli_fail(exit_code, "%s: %s", subject, message);
}

const char *
cli_status_text(kern_return_t status, char text[CLI_STATUS_BYTES])
{
    const char *const name = dx_return_name(status);
    if (name)
        (void)snprintf(text, CLI_STATUS_BYTES, "%s: %s", name, dx_return_string(status));
    else
        (void)snprintf(text, CLI_STATUS_BYTES, "error 0x%08X", (unsigned)status);
    return text;
}

void
cli_list_append(struct cli_list *list, const char *item, const char *detail)
{
    const int added =
        snprintf(list->text + list->length, sizeof list->text - list->length, "%s%s%s%s%s",
                 list->length > 0 ? ", " : "", item, *detail ? " (" : "", detail, *detail ? ")" : "");
    if (added > 0)
        list->length += (size_t)added;
    if (list->length >= sizeof list->text) {
        list->length = sizeof list->text - 1; // cut; further items change nothing
        memcpy(list->text + list->length - 3, "...", 3);
    }
}

void
cli_note(const char *format, ...)
{
    if (is_quiet)
        return;
    va_list arguments;
    va_start(arguments, format);
    print_message(format, arguments);
    va_end(arguments);
}

void
cli_set_quiet(bool quiet)
{
    is_quiet = quiet;
}

int
cli_finish_output(void)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        return cli_fail(CLI_FAILED, "standard output: %s", strerror(errno));
    return CLI_OK;
}

bool
cli_parse_unsigned(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *ret_value)
{
    if (!*text || strspn(text, "0123456789") != strlen(text))
        return false;
    errno = 0;
    const unsigned long long value = strtoull(text, NULL, 10);
    if (errno != 0 || value < minimum || value > maximum)
        return false;
    *ret_value = value;
    return true;
}

bool
cli_parse_real(const char *text, double minimum, double maximum, double *ret_value)
{
    if (!*text || strspn(text, "0123456789+-.eE") != strlen(text))
        return false;
    char *end = NULL;
    const double value = strtod(text, &end); // the locale is "C": nobody sets another
    if (*end || !isfinite(value) || value < minimum || value > maximum)
        return false;
    *ret_value = value;
    return true;
}

bool
cli_parse_with_unit(const char *text, const char *unit, double *ret_value)
{
    char number[64];
    const size_t length = strlen(text);
    const size_t unit_length = strlen(unit);
    if (length < unit_length || length - unit_length >= sizeof number ||
        strcasecmp(text + length - unit_length, unit) != 0)
        return false;
    memcpy(number, text, length - unit_length);
    number[length - unit_length] = '\0';
    return cli_parse_real(number, -1e30, 1e30, ret_value);
}

bool
cli_parse_switch(const char *text, bool *ret_is_on)
{
    static const char *const words[] = {"off", "on", "false", "true", "no", "yes", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *ret_is_on = i % 2 == 1;
            return true;
        }
    }
    return false;
}

#define MAX_COMPARED 32u

static unsigned
min_unsigned(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Insertions, deletions and replacements that make one of the other (Levenshtein), for short names. */
static unsigned
distance(const char *a, const char *b)
{
    const size_t length = strlen(b);
    unsigned row[MAX_COMPARED + 1];
    for (unsigned i = 0; i <= length; i++)
        row[i] = i;
    for (; *a; a++) {
        unsigned diagonal = row[0]++;
        for (size_t i = 0; i < length; i++) {
            const unsigned replaced = diagonal + (*a != b[i]);
            diagonal = row[i + 1];
            row[i + 1] = min_unsigned(replaced, min_unsigned(diagonal, row[i]) + 1);
        }
    }
    return row[length];
}

const char *
cli_closest(const char *text, const char *(*name)(const void *table, size_t index), const void *table,
            size_t count)
{
    const char *best = NULL;
    unsigned best_distance = 0;
    if (strlen(text) > MAX_COMPARED)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const char *const candidate = name(table, i);
        const unsigned wrong = distance(text, candidate);
        if (wrong * 2 <= strlen(candidate) && (!best || wrong < best_distance)) {
            best = candidate;
            best_distance = wrong;
        }
    }
    return best;
}
