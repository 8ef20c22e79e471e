// SPDX-License-Identifier: MIT
// Stacks for threads and fibers: mapped, with a guard page below.

#include "core/stack.h"

#include "core/fiber.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

enum { DEFAULT_BYTES = 256 * 1024, SMALLEST_BYTES = 64 * 1024 };

static size_t
page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

size_t
dx_stack_round(size_t bytes)
{
    const size_t page = page_bytes();
    if (!bytes)
        bytes = DEFAULT_BYTES;
    if (bytes < SMALLEST_BYTES)
        bytes = SMALLEST_BYTES;
    if (bytes > SIZE_MAX / 64)
        return SIZE_MAX / 64 / page * page; // mapping it fails
    bytes *= DX_FIBER_STACK_FACTOR;
    return (bytes + page - 1) / page * page;
}

int
dx_stack_map(size_t bytes, struct dx_stack *ret_stack)
{
    const size_t page = page_bytes();
    const size_t usable = dx_stack_round(bytes);
    void *const mapping = mmap(NULL, usable + page, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (mapping == MAP_FAILED)
        return -ENOMEM;
    if (mprotect(mapping, page, PROT_NONE) != 0) {
        (void)munmap(mapping, usable + page); // cannot fail for a mapping just made
        return -ENOMEM;
    }
    *ret_stack = (struct dx_stack){
        .mapping = mapping,
        .mapping_bytes = usable + page,
        .base = (char *)mapping + page,
        .bytes = usable,
    };
    return 0;
}

bool
dx_stack_lock(const struct dx_stack *stack)
{
    const bool locked = mlock(stack->base, stack->bytes) == 0;
    const size_t page = page_bytes();
    for (size_t offset = 0; offset < stack->bytes; offset += page)
        ((volatile char *)stack->base)[offset] = 0; // volatile: the store is the purpose
    return locked;
}

void
dx_stack_unmap(struct dx_stack *stack)
{
    if (!stack->mapping)
        return;
    dx_fiber_forget_stack(stack->base, stack->bytes);
    (void)munmap(stack->mapping, stack->mapping_bytes); // cannot fail for a whole mapping
    *stack = (struct dx_stack){0};
}
