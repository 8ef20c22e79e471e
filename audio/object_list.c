// SPDX-License-Identifier: MIT

#include "audio/object_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
dx_object_list_add(struct dx_object_list *list, OSObjectPtr object, uint32_t limit)
{
    if (list->count >= limit)
        return -ENOSPC;
    if (list->count == list->capacity) {
        const uint32_t capacity = list->capacity ? 2 * list->capacity : 4;
        OSObjectPtr *const items = realloc(list->items, capacity * sizeof *items);
        if (!items)
            return -ENOMEM;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = OSObjectRetain(object);
    return 0;
}

bool
dx_object_list_take(struct dx_object_list *list, OSObjectPtr object)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->items[i] == object) {
            list->count--;
            memmove(&list->items[i], &list->items[i + 1], (list->count - i) * sizeof *list->items);
            return true;
        }
    }
    return false;
}

uint32_t
dx_object_list_copy(const struct dx_object_list *list, void *ret_pointers, uint32_t capacity)
{
    const uint32_t n = list->count < capacity ? list->count : capacity;
    for (uint32_t i = 0; i < n; i++)
        OSObjectRetain(list->items[i]);
    /* Bytes: the array is of pointers to some class, which is no array of void *. */
    if (n > 0)
        memcpy(ret_pointers, list->items, n * sizeof *list->items);
    return list->count;
}

void
dx_object_list_finish(struct dx_object_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        OSObjectRelease(list->items[i]);
    free(list->items);
    *list = (struct dx_object_list){0};
}
