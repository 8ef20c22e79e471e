// SPDX-License-Identifier: MIT
// Small files of key=value lines, and their values as options of declared devices.

#include "host/kinds.h"
#include "host/store.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read is written as a text that says the same. */
static void
check_round_trip(const struct dx_store *store)
{
    struct dx_store *again = NULL;
    size_t length = 0;
    char *const text = dx_store_copy_text(store, &length);
    if (!text || strlen(text) != length || length > DX_STORE_MAX_BYTES ||
        dx_store_parse(text, length, "again", &again, NULL) != kIOReturnSuccess)
        abort();
    const char *key = NULL;
    const char *value = NULL;
    size_t count = 0;
    for (; dx_store_get_at(store, count, &key, &value); count++) {
        const char *const other = dx_store_get(again, key);
        if (!other || strcmp(other, value) != 0)
            abort();
    }
    if (dx_store_get_at(again, count, &key, &value))
        abort();
    dx_store_destroy(again);
    free(text);
}

/* A value that is accepted is kept in a form that is accepted as itself. */
static void
check_option(const struct dx_kind_option *option, const char *value)
{
    char *kept = NULL;
    char *again = NULL;
    dx_error error = {""};
    if (dx_kind_check_option(option, value, &kept, &error) != kIOReturnSuccess) {
        if (!error.message[0])
            abort(); // an error says what it is
        return;
    }
    if (dx_kind_check_option(option, kept, &again, NULL) != kIOReturnSuccess || strcmp(kept, again) != 0)
        abort();
    free(kept);
    free(again);
}

static void
check_values(const struct dx_store *store)
{
    const char *key = NULL;
    const char *value = NULL;
    for (size_t i = 0; dx_store_get_at(store, i, &key, &value); i++) {
        char *const name = dx_file_name_from_text(value);
        if (!name || name[0] == '.' || strchr(name, '/'))
            abort();
        free(name);
        const struct dx_kind *kind;
        for (size_t k = 0; (kind = dx_kind_at(k)); k++) {
            const size_t place = dx_kind_find_option(kind, key);
            if (place != SIZE_MAX)
                check_option(&kind->options[place], value);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *const copy = malloc(size ? size : 1); // exact size: one byte too far is seen
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    struct dx_store *store = NULL;
    dx_error error = {""};
    const kern_return_t status = dx_store_parse(copy, size, "file", &store, &error);
    free(copy); // before the use of the store: nothing may point into it
    if (status == kIOReturnSuccess) {
        check_round_trip(store);
        check_values(store);
        dx_store_destroy(store);
    } else if (!error.message[0]) {
        abort();
    }
    return 0;
}
