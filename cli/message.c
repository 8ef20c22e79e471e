// SPDX-License-Identifier: MIT
// Messages, numbers and near misses.

#include "cli/cli.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
