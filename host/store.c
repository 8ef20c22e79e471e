// SPDX-License-Identifier: MIT
// Small files: texts of `key=value` lines.

#include "host/store.h"

#include "host/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct line {
    char *key;
    char *value;
};

struct dx_store {
    struct line *lines;
    size_t count;
    size_t capacity;
    size_t text_bytes; // of all of it as a text
};

struct dx_store *
dx_store_create(void)
{
    return calloc(1, sizeof(struct dx_store));
}

static void
finish_line(struct line *line)
{
    free(line->key);
    free(line->value);
    *line = (struct line){0};
}

void
dx_store_destroy(struct dx_store *store)
{
    if (!store)
        return;
    for (size_t i = 0; i < store->count; i++)
        finish_line(&store->lines[i]);
    free(store->lines);
    free(store);
}

/* ---- texts ---- */

/* Bytes of the character at `text`, of which `length` are there; 0 for what is none. */
static size_t
character_bytes(const unsigned char *text, size_t length)
{
    if (text[0] < 0x80)
        return text[0] != 0;
    const size_t bytes = text[0] >= 0xF0 ? 4 : text[0] >= 0xE0 ? 3 : 2;
    if (text[0] < 0xC2 || text[0] > 0xF4 || bytes > length) // 0x80 ... 0xC1: continuations and overlong forms
        return 0;
    for (size_t i = 1; i < bytes; i++) {
        if ((text[i] & 0xC0u) != 0x80u)
            return 0;
    }
    const unsigned second = text[1];
    if ((text[0] == 0xE0 && second < 0xA0) || (text[0] == 0xF0 && second < 0x90)) // overlong
        return 0;
    if ((text[0] == 0xED && second > 0x9F) || (text[0] == 0xF4 && second > 0x8F)) // surrogates, above U+10FFFF
        return 0;
    return bytes;
}

bool
dx_text_is_utf8(const char *text, size_t length)
{
    for (size_t i = 0, bytes; i < length; i += bytes) {
        bytes = character_bytes((const unsigned char *)text + i, length - i);
        if (bytes == 0)
            return false;
    }
    return true;
}

static bool
is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7F;
}

static bool
is_key_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
}

static bool
is_key(const char *text, size_t length)
{
    if (length == 0 || length > DX_STORE_MAX_KEY_BYTES)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!is_key_byte(text[i]))
            return false;
    }
    return true;
}

/* The letters that stand for a control character, after '\'. */
static const struct {
    char letter;
    char meaning;
} escapes[] = {{'n', '\n'}, {'r', '\r'}, {'t', '\t'}, {'\\', '\\'}};
#define ESCAPES (sizeof escapes / sizeof escapes[0])

/* Appends a character as a file has it; `to` has room for 5 bytes.  @return how many it takes. */
static size_t
escape(char c, char *to)
{
    for (size_t i = 0; i < ESCAPES; i++) {
        if (escapes[i].meaning == c) {
            to[0] = '\\';
            to[1] = escapes[i].letter;
            return 2;
        }
    }
    if (is_control(c))
        return (size_t)snprintf(to, 5, "\\x%02X", (unsigned)(unsigned char)c);
    to[0] = c;
    return 1;
}

static int
hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* Reads what follows a '\' in the bytes up to `end`.  @return its bytes, 0 for what means nothing. */
static size_t
unescape(const char *text, const char *end, char *ret_character)
{
    const size_t length = (size_t)(end - text);
    for (size_t i = 0; length > 0 && i < ESCAPES; i++) {
        if (escapes[i].letter == text[0]) {
            *ret_character = escapes[i].meaning;
            return 1;
        }
    }
    if (length < 3 || text[0] != 'x' || hex_digit(text[1]) < 0 || hex_digit(text[2]) < 0)
        return 0;
    *ret_character = (char)(hex_digit(text[1]) * 16 + hex_digit(text[2]));
    return is_control(*ret_character) && *ret_character != '\0' ? 3 : 0;
}

static size_t
line_bytes(const char *key, const char *value)
{
    char escaped[5];
    size_t bytes = strlen(key) + 2; // '=' and the end of the line
    for (const char *c = value; *c; c++)
        bytes += escape(*c, escaped);
    return bytes;
}

/* ---- values ---- */

/* The place of a key, or `count`. */
static size_t
find_line(const struct dx_store *store, const char *key)
{
    size_t i = 0;
    while (i < store->count && strcmp(store->lines[i].key, key) != 0)
        i++;
    return i;
}

const char *
dx_store_get(const struct dx_store *store, const char *key)
{
    const size_t i = find_line(store, key);
    return i < store->count ? store->lines[i].value : NULL;
}

bool
dx_store_get_at(const struct dx_store *store, size_t index, const char **ret_key, const char **ret_value)
{
    if (index >= store->count)
        return false;
    *ret_key = store->lines[index].key;
    *ret_value = store->lines[index].value;
    return true;
}

static void
remove_line(struct dx_store *store, size_t index)
{
    struct line *const line = &store->lines[index];
    store->text_bytes -= line_bytes(line->key, line->value);
    finish_line(line);
    memmove(line, line + 1, (store->count - index - 1) * sizeof *line);
    store->count--;
}

static bool
reserve_line(struct dx_store *store)
{
    if (store->count < store->capacity)
        return true;
    const size_t capacity = store->capacity ? store->capacity * 2 : 16;
    struct line *const lines = realloc(store->lines, capacity * sizeof *lines);
    if (!lines)
        return false;
    store->lines = lines;
    store->capacity = capacity;
    return true;
}

kern_return_t
dx_store_set(struct dx_store *store, const char *key, const char *value)
{
    if (!is_key(key, strlen(key)) || (value && !dx_text_is_utf8(value, strlen(value))))
        return kIOReturnBadArgument;
    const size_t place = find_line(store, key);
    const bool is_new = place == store->count;
    if (!value) {
        if (!is_new)
            remove_line(store, place);
        return kIOReturnSuccess;
    }

    const size_t before = is_new ? 0 : line_bytes(key, store->lines[place].value);
    const size_t after = line_bytes(key, value);
    if ((is_new && store->count == DX_STORE_MAX_KEYS) || store->text_bytes - before + after > DX_STORE_MAX_BYTES)
        return kIOReturnNoSpace;
    struct line line = {is_new ? strdup(key) : NULL, strdup(value)};
    if ((is_new && !line.key) || !line.value || (is_new && !reserve_line(store))) {
        finish_line(&line);
        return kIOReturnNoMemory;
    }
    if (is_new) {
        store->lines[store->count++] = line;
    } else {
        free(store->lines[place].value);
        store->lines[place].value = line.value;
    }
    store->text_bytes += after - before;
    return kIOReturnSuccess;
}

/* ---- reading ---- */

/* Where the reader is, for its messages. */
struct reading {
    const char *name;
    unsigned line;
    dx_error *error;
};

static kern_return_t
refuse(const struct reading *reading, const char *what)
{
    return dx_error_set(reading->error, kIOReturnBadArgument, "%.200s, line %u: %s", reading->name, reading->line,
                        what);
}

/* The value of a line, unescaped into `to`, which has room for as many bytes and a NUL. */
static kern_return_t
read_value(const struct reading *reading, const char *text, const char *end, char *to)
{
    while (text < end) {
        char c = *text++;
        if (is_control(c) && c != '\t')
            return refuse(reading, "a control character, which must be written as \\n, \\r, \\t or \\xHH");
        if (c == '\\') {
            const size_t bytes = unescape(text, end, &c);
            if (bytes == 0)
                return refuse(reading, "'\\' must be followed by n, r, t, '\\', or xHH for a control character");
            text += bytes;
        }
        *to++ = c;
    }
    *to = '\0';
    return kIOReturnSuccess;
}

/* `scratch` has room for the line. */
static kern_return_t
read_line(const struct reading *reading, const char *text, const char *end, char *scratch, struct dx_store *store)
{
    if (text == end || *text == '#')
        return kIOReturnSuccess;
    const char *const equals = memchr(text, '=', (size_t)(end - text));
    if (!equals)
        return refuse(reading, "no '=': a line is key=value, or begins with '#'");
    const size_t key_bytes = (size_t)(equals - text);
    if (!is_key(text, key_bytes))
        return refuse(reading, "a key must have 1 to 127 of the characters A-Z a-z 0-9 . _ -");
    char key[DX_STORE_MAX_KEY_BYTES + 1];
    memcpy(key, text, key_bytes);
    key[key_bytes] = '\0';
    if (dx_store_get(store, key))
        return refuse(reading, "this key stands in an earlier line already");

    kern_return_t status = read_value(reading, equals + 1, end, scratch);
    if (status != kIOReturnSuccess)
        return status;
    status = dx_store_set(store, key, scratch);
    if (status == kIOReturnBadArgument)
        return refuse(reading, "the value is not UTF-8");
    if (status == kIOReturnNoSpace)
        return refuse(reading, "there are more keys than 512, or they take more than 65536 bytes");
    return status == kIOReturnNoMemory
               ? dx_error_set(reading->error, status, "no memory to read %.200s", reading->name)
               : status;
}

kern_return_t
dx_store_parse(const void *bytes, size_t length, const char *name, struct dx_store **ret_store, dx_error *error)
{
    if (length > DX_STORE_MAX_BYTES)
        return dx_error_set(error, kIOReturnBadArgument, "%.200s is larger than %u bytes", name,
                            DX_STORE_MAX_BYTES);
    struct dx_store *const store = dx_store_create();
    char *const scratch = malloc(length + 1);
    kern_return_t status = store && scratch
                               ? kIOReturnSuccess
                               : dx_error_set(error, kIOReturnNoMemory, "no memory to read %.200s", name);

    struct reading reading = {name, 1, error};
    const char *text = bytes;
    const char *const end = text + length;
    for (; text < end && status == kIOReturnSuccess; reading.line++) {
        const char *const newline = memchr(text, '\n', (size_t)(end - text));
        const char *const line_end = newline ? newline : end;
        if (memchr(text, '\0', (size_t)(line_end - text)))
            status = refuse(&reading, "a NUL: this is no text");
        else
            status = read_line(&reading, text, line_end, scratch, store);
        text = line_end + 1;
    }
    free(scratch);
    if (status == kIOReturnSuccess)
        *ret_store = store;
    else
        dx_store_destroy(store);
    return status;
}

kern_return_t
dx_store_read(const char *path, struct dx_store **ret_store, dx_error *error)
{
    char *bytes = NULL;
    size_t length = 0;
    kern_return_t status = dx_file_read(path, DX_STORE_MAX_BYTES, &bytes, &length, error);
    if (status == kIOReturnSuccess)
        status = dx_store_parse(bytes, length, path, ret_store, error);
    free(bytes);
    return status;
}

/* ---- writing ---- */

char *
dx_store_copy_text(const struct dx_store *store, size_t *ret_length)
{
    char *const text =
        malloc(store->text_bytes + 8); // escape() writes up to 5 bytes, the last one's NUL among them
    if (!text)
        return NULL;
    char *to = text;
    for (size_t i = 0; i < store->count; i++) {
        to = stpcpy(to, store->lines[i].key);
        *to++ = '=';
        for (const char *c = store->lines[i].value; *c; c++)
            to += escape(*c, to);
        *to++ = '\n';
    }
    *to = '\0';
    *ret_length = (size_t)(to - text);
    return text;
}

kern_return_t
dx_store_write(const struct dx_store *store, const char *path, dx_error *error)
{
    size_t length = 0;
    char *const text = dx_store_copy_text(store, &length);
    if (!text)
        return dx_error_set(error, kIOReturnNoMemory, "no memory to write %s", path);
    const kern_return_t status = dx_file_replace(path, text, length, error);
    free(text);
    return status;
}
