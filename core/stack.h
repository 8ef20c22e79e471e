// SPDX-License-Identifier: MIT
// Stacks for threads and fibers: mapped, with a guard page below.

#ifndef DX_CORE_STACK_H
#define DX_CORE_STACK_H

#include <stdbool.h>
#include <stddef.h>

/** All-zero is none. */
struct dx_stack {
    void *mapping;        // guard page first
    size_t mapping_bytes;
    void *base;           // lowest usable byte
    size_t bytes;         // usable, whole pages
};

/**
 * Maps a stack.
 *
 * @param bytes  0: 256 KiB; at least 64 KiB and whole pages are given, more under sanitizers.
 * @return 0 or -ENOMEM.
 */
int dx_stack_map(size_t bytes, struct dx_stack *ret_stack);

/** What dx_stack_map() would make of a size. */
size_t dx_stack_round(size_t bytes);

/** Locks all of it into memory; touches every page in any case.  @return false: it could not be locked. */
bool dx_stack_lock(const struct dx_stack *stack);

/** Gives it back; all-zero is fine. */
void dx_stack_unmap(struct dx_stack *stack);

#endif /* DX_CORE_STACK_H */
