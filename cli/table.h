// SPDX-License-Identifier: MIT
// Columns of text on a terminal or in a pipe.

#ifndef DX_CLI_TABLE_H
#define DX_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define CLI_TABLE_COLUMNS 20u

/** A column. */
struct cli_column {
    const char *title;
    bool is_number; ///< flush right
};

/** Fields are the table's own. */
struct cli_table {
    const struct cli_column *columns;
    size_t column_count;
    char **cells; // row by row
    size_t cell_count;
    size_t capacity;
    bool is_broken; // without memory
};

/** An empty one; the columns are borrowed.  At most CLI_TABLE_COLUMNS. */
void cli_table_init(struct cli_table *table, const struct cli_column *columns, size_t column_count);

/** The next cell, row by row.  Control characters are shown as '?'; an empty text as "-". */
void cli_table_add(struct cli_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/**
 * Prints titles, where a column has one, and rows.
 *
 * @param width  of a line, in characters; what is beyond is cut.  0: as long as it is.
 * @return CLI_OK, or CLI_FAILED after a message (no memory).
 */
int cli_table_print(const struct cli_table *table, FILE *stream, size_t width);

/** Frees it; zeroed is fine. */
void cli_table_finish(struct cli_table *table);

/** Makes control characters of UTF-8 harmless, in place. */
void cli_clean(char *text);

#endif /* DX_CLI_TABLE_H */
