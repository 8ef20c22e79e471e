// SPDX-License-Identifier: MIT
// Switching between stacks on one OS thread, announced to the sanitizers.

#include "core/fiber.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if DX_FIBER_ASAN
#    include <sanitizer/asan_interface.h>
#    include <sanitizer/common_interface_defs.h>
#endif
#if DX_FIBER_TSAN
#    include <sanitizer/tsan_interface.h>
#endif

/*
 * dx_fiber_swap(save, load) pushes what the ABI lets a callee keep, floating-point modes included, stores
 * the stack pointer in *save, and continues where the stack `load` was left.  The signal mask is not
 * switched: all fibers of a thread share it.  Not for processes that run with x86 shadow stacks (glibc
 * turns them on only when asked).
 */
#if DX_FIBER_X86_64
void dx_fiber_swap(void **save, void *load);
__asm__(".text\n"
        ".p2align 4\n"
        ".globl dx_fiber_swap\n"
        ".hidden dx_fiber_swap\n"
        ".type dx_fiber_swap, @function\n"
        "dx_fiber_swap:\n"
        "    endbr64\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    subq $8, %rsp\n"
        "    stmxcsr (%rsp)\n"
        "    fnstcw 4(%rsp)\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    ldmxcsr (%rsp)\n"
        "    fldcw 4(%rsp)\n"
        "    addq $8, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size dx_fiber_swap, . - dx_fiber_swap\n");

static void *
first_frame(void *stack_base, size_t stack_bytes, void (*entry)(void))
{
    /* modes, r15 ... rbp, entry, and 0 as the caller of entry: unwinders stop there. */
    uint64_t *frame = (uint64_t *)(void *)((char *)stack_base + stack_bytes) - 9;
    memset(frame, 0, 9 * sizeof *frame);
    frame[0] = 0x1F80u | (uint64_t)0x037Fu << 32; // default MXCSR and x87 control word
    frame[7] = (uint64_t)(uintptr_t)entry;
    return frame;
}
#elif DX_FIBER_AARCH64
void dx_fiber_swap(void **save, void *load);
__asm__(".text\n"
        ".p2align 4\n"
        ".globl dx_fiber_swap\n"
        ".hidden dx_fiber_swap\n"
        ".type dx_fiber_swap, %function\n"
        "dx_fiber_swap:\n"
        "    hint #34\n" // bti c
        "    sub sp, sp, #176\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mrs x9, fpcr\n"
        "    str x9, [sp, #160]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldr x9, [sp, #160]\n"
        "    msr fpcr, x9\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #176\n"
        "    ret\n"
        ".size dx_fiber_swap, . - dx_fiber_swap\n");

static void *
first_frame(void *stack_base, size_t stack_bytes, void (*entry)(void))
{
    /* x19 ... x30, d8 ... d15, fpcr (0: the default), padding; x29 = 0 ends the chain of frames. */
    uint64_t *frame = (uint64_t *)(void *)((char *)stack_base + stack_bytes) - 22;
    memset(frame, 0, 22 * sizeof *frame);
    frame[11] = (uint64_t)(uintptr_t)entry;
    return frame;
}
#endif

/* This and the next are always inlined: ThreadSanitizer keeps each fiber's calls, and a call that one fiber enters and
 * another returns from takes one too many off the other's. */
__attribute__((always_inline)) static inline void
jump(struct dx_fiber *from, struct dx_fiber *to)
{
#if DX_FIBER_UCONTEXT
    if (swapcontext(&from->context, &to->context) != 0)
        abort(); // only for a context that was never made
#else
    dx_fiber_swap(&from->stack_pointer, to->stack_pointer);
#endif
}

__attribute__((always_inline)) static inline void
announce_switch(void **fake_stack, struct dx_fiber *from, struct dx_fiber *to)
{
    to->entered_from = from;
#if DX_FIBER_ASAN
    __sanitizer_start_switch_fiber(fake_stack, to->stack_base, to->stack_bytes);
#else
    (void)fake_stack;
#endif
#if DX_FIBER_TSAN
    __tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
}

static void
announce_arrival(struct dx_fiber *self)
{
#if DX_FIBER_ASAN
    /* Bounds of the stack we come from: how the adopted one's become known. */
    struct dx_fiber *const from = self->entered_from;
    __sanitizer_finish_switch_fiber(self->fake_stack, &from->stack_base, &from->stack_bytes);
#else
    (void)self;
#endif
}

void
dx_fiber_adopt(struct dx_fiber *fiber)
{
    memset(fiber, 0, sizeof *fiber);
#if DX_FIBER_TSAN
    fiber->tsan_fiber = __tsan_get_current_fiber();
#endif
}

void
dx_fiber_prepare(struct dx_fiber *fiber, void *stack_base, size_t stack_bytes, void (*entry)(void))
{
    memset(fiber, 0, sizeof *fiber);
    fiber->stack_base = stack_base;
    fiber->stack_bytes = stack_bytes;
    dx_fiber_forget_stack(stack_base, stack_bytes);
#if DX_FIBER_UCONTEXT
    if (getcontext(&fiber->context) != 0)
        abort(); // has no error of its own
    fiber->context.uc_stack.ss_sp = stack_base;
    fiber->context.uc_stack.ss_size = stack_bytes;
    makecontext(&fiber->context, entry, 0);
#else
    fiber->stack_pointer = first_frame(stack_base, stack_bytes, entry);
#endif
#if DX_FIBER_TSAN
    fiber->tsan_fiber = __tsan_create_fiber(0);
#endif
}

void
dx_fiber_switch(struct dx_fiber *from, struct dx_fiber *to)
{
    announce_switch(&from->fake_stack, from, to);
    jump(from, to);
    announce_arrival(from);
}

void
dx_fiber_started(struct dx_fiber *self)
{
    announce_arrival(self);
}

void
dx_fiber_leave(struct dx_fiber *from, struct dx_fiber *to)
{
    announce_switch(NULL, from, to); // NULL: its fake stack goes
    jump(from, to);
    abort(); // nobody comes back
}

void
dx_fiber_finish(struct dx_fiber *fiber)
{
#if DX_FIBER_TSAN
    if (fiber->tsan_fiber)
        __tsan_destroy_fiber(fiber->tsan_fiber);
#endif
    fiber->tsan_fiber = NULL;
}

void
dx_fiber_forget_stack(void *stack_base, size_t stack_bytes)
{
#if DX_FIBER_ASAN
    __asan_unpoison_memory_region(stack_base, stack_bytes);
#else
    (void)stack_base;
    (void)stack_bytes;
#endif
}
