// SPDX-License-Identifier: MIT
// Columns of text.

#include "cli/table.h"

#include "cli/cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define GAP 2u // blanks between columns

void
cli_clean(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++) {
        if (*c < 0x20 || *c == 0x7F)
            *c = '?'; // what a driver or a program calls itself must not drive the terminal
        else if (*c == 0xC2 && c[1] >= 0x80 && c[1] < 0xA0)
            *c = c[1] = '?'; // U+0080 ... U+009F do that as well
    }
}

/* Characters, for UTF-8 and as far as all are equally wide. */
static size_t
width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xC0u) != 0x80u;
    return width;
}

/* Bytes of the first `width` characters. */
static size_t
bytes_of(const char *text, size_t width)
{
    size_t bytes = 0;
    while (text[bytes] && (width > 0 || ((unsigned char)text[bytes] & 0xC0u) == 0x80u)) {
        width -= ((unsigned char)text[bytes] & 0xC0u) != 0x80u;
        bytes++;
    }
    return bytes;
}

void
cli_table_init(struct cli_table *table, const struct cli_column *columns, size_t column_count)
{
    *table = (struct cli_table){.columns = columns, .column_count = column_count};
}

static bool
grow(struct cli_table *table)
{
    if (table->cell_count < table->capacity)
        return true;
    const size_t capacity = table->capacity > 0 ? 2 * table->capacity : 64;
    char **const cells = realloc(table->cells, capacity * sizeof *cells);
    if (!cells)
        return false;
    table->cells = cells;
    table->capacity = capacity;
    return true;
}

void
cli_table_add(struct cli_table *table, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = NULL;
    if (table->is_broken || !grow(table) || vasprintf(&text, format, arguments) < 0) {
        table->is_broken = true;
    } else {
        cli_clean(text);
        table->cells[table->cell_count++] = text;
    }
    va_end(arguments);
}

static const char *
cell_at(const struct cli_table *table, size_t row, size_t column)
{
    const char *const text = table->cells[row * table->column_count + column];
    return *text ? text : "-";
}

/* A line's end is not filled with blanks. */
static void
print_row(const struct cli_table *table, const char *const *cells, const size_t *widths, FILE *stream,
          size_t width)
{
    size_t used = 0;
    size_t blanks = 0;
    for (size_t i = 0; i < table->column_count; i++) {
        const size_t length = width_of(cells[i]);
        const size_t fill = widths[i] - length;
        if (table->columns[i].is_number)
            blanks += fill;
        if (width > 0 && used + blanks >= width)
            break;
        (void)fprintf(stream, "%*s", (int)blanks, "");
        used += blanks;
        const size_t room = width > 0 && width - used < length ? width - used : length;
        (void)fprintf(stream, "%.*s", (int)bytes_of(cells[i], room), cells[i]);
        used += room;
        blanks = GAP + (table->columns[i].is_number ? 0 : fill);
    }
    (void)fputc('\n', stream);
}

int
cli_table_print(const struct cli_table *table, FILE *stream, size_t width)
{
    if (table->is_broken)
        return cli_fail(CLI_FAILED, "no memory for a table");
    const char *cells[CLI_TABLE_COLUMNS] = {NULL};
    size_t widths[CLI_TABLE_COLUMNS] = {0};
    const size_t rows = table->cell_count / table->column_count;
    for (size_t i = 0; i < table->column_count; i++) {
        cells[i] = table->columns[i].title;
        widths[i] = width_of(cells[i]);
        for (size_t row = 0; row < rows; row++) {
            const size_t length = width_of(cell_at(table, row, i));
            widths[i] = length > widths[i] ? length : widths[i];
        }
    }
    if (*cells[0])
        print_row(table, cells, widths, stream, width);
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = 0; i < table->column_count; i++)
            cells[i] = cell_at(table, row, i);
        print_row(table, cells, widths, stream, width);
    }
    return CLI_OK;
}

void
cli_table_finish(struct cli_table *table)
{
    for (size_t i = 0; i < table->cell_count; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct cli_table){0};
}
