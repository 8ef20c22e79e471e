// SPDX-License-Identifier: MIT
// Switching between stacks on one OS thread, announced to the sanitizers.

#ifndef DX_CORE_FIBER_H
#define DX_CORE_FIBER_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#    define DX_FIBER_ASAN 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define DX_FIBER_ASAN 1
#    endif
#endif
#ifndef DX_FIBER_ASAN
#    define DX_FIBER_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#    define DX_FIBER_TSAN 1
#elif defined(__has_feature)
#    if __has_feature(thread_sanitizer)
#        define DX_FIBER_TSAN 1
#    endif
#endif
#ifndef DX_FIBER_TSAN
#    define DX_FIBER_TSAN 0
#endif

/* Instrumented frames are larger, and ThreadSanitizer keeps 0.9 MiB of its own on each thread's stack. */
#if DX_FIBER_TSAN
#    define DX_FIBER_STACK_FACTOR 16u
#elif DX_FIBER_ASAN
#    define DX_FIBER_STACK_FACTOR 2u
#else
#    define DX_FIBER_STACK_FACTOR 1u
#endif

/* Assembly where we have it: swapcontext() makes a system call to save the signal mask, many times the cost. */
#if defined(__x86_64__) && defined(__LP64__)
#    define DX_FIBER_X86_64 1
#    define DX_FIBER_AARCH64 0
#elif defined(__aarch64__) && defined(__LP64__) && !defined(__AARCH64EB__)
#    define DX_FIBER_X86_64 0
#    define DX_FIBER_AARCH64 1
#else
#    define DX_FIBER_X86_64 0
#    define DX_FIBER_AARCH64 0
#endif
#define DX_FIBER_UCONTEXT (!DX_FIBER_X86_64 && !DX_FIBER_AARCH64)

#if DX_FIBER_UCONTEXT
#    include <ucontext.h>
#endif

/** A stack and where it stands.  All-zero is none. */
struct dx_fiber {
#if DX_FIBER_UCONTEXT
    ucontext_t context;
#else
    void *stack_pointer; // while it does not run
#endif
    const void *stack_base;
    size_t stack_bytes;
    struct dx_fiber *entered_from; // who switched here last
    void *fake_stack;              // AddressSanitizer's
    void *tsan_fiber;              // ThreadSanitizer's
};

/** Makes a fiber of the calling thread's own stack: the one to come back to. */
void dx_fiber_adopt(struct dx_fiber *fiber);

/**
 * Makes a fiber that will run `entry` when switched to for the first time.  `entry` calls
 * dx_fiber_started() first and dx_fiber_leave() last; it never returns.
 */
void dx_fiber_prepare(struct dx_fiber *fiber, void *stack_base, size_t stack_bytes, void (*entry)(void));

/** Goes from the running fiber to another of the same OS thread; returns when somebody comes back. */
void dx_fiber_switch(struct dx_fiber *from, struct dx_fiber *to);

/** To be called first on a new fiber. */
void dx_fiber_started(struct dx_fiber *self);

/** Goes from the running fiber to another, for ever. */
_Noreturn void dx_fiber_leave(struct dx_fiber *from, struct dx_fiber *to);

/** Gives back what a fiber that does not run takes; not its stack.  Safe twice. */
void dx_fiber_finish(struct dx_fiber *fiber);

/** Tells AddressSanitizer that nothing on a stack is in use any more. */
void dx_fiber_forget_stack(void *stack_base, size_t stack_bytes);

#endif /* DX_CORE_FIBER_H */
