// SPDX-License-Identifier: MIT
// An array of retained objects: what an owner owns.

#ifndef DX_AUDIO_OBJECT_LIST_H
#define DX_AUDIO_OBJECT_LIST_H

#include <dextral/OSObject.h>

/* All-zero is an empty list.  Not synchronised: the owner's lock guards it. */
struct dx_object_list {
    OSObjectPtr *items;
    uint32_t count;
    uint32_t capacity;
};

/** Appends and retains.  0; -ENOMEM; -ENOSPC (`limit` are there). */
int dx_object_list_add(struct dx_object_list *list, OSObjectPtr object, uint32_t limit);

/** Takes an object out without releasing it: the caller has its reference now.  false: not there. */
bool dx_object_list_take(struct dx_object_list *list, OSObjectPtr object);

/** Copies up to `capacity` members, +1 each, into an array of pointers.  @return how many are in the list. */
uint32_t dx_object_list_copy(const struct dx_object_list *list, void *ret_pointers, uint32_t capacity);

/** Releases all members and the array. */
void dx_object_list_finish(struct dx_object_list *list);

#endif /* DX_AUDIO_OBJECT_LIST_H */
