// SPDX-License-Identifier: MIT
// The allocator of a test program, failing on request and counting what is alive.

#ifndef TESTS_CORE_FAILING_ALLOCATOR_H
#define TESTS_CORE_FAILING_ALLOCATOR_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The functions named in failing_allocator_link_args (tests/core/meson.build) are wrapped at link time, in the test
 * and in the static library, not in other libraries.  What they give out on any thread is counted from the
 * process's start.  A loop over every point of failure:
 *
 *     for (uint64_t n = 1;; n++) {
 *         const uint64_t live = failing_allocator_live();
 *         failing_allocator_fail_at(n);
 *         const bool done = try_it_and_clean_up();
 *         const bool reached = failing_allocator_stop();
 *         check(failing_allocator_live() == live);
 *         if (!reached)
 *             break; // it went through without meeting the n-th call
 *     }
 */

/** Lets the n-th wrapped call from now fail, and no other; n is at least 1.  Counting starts anew. */
void failing_allocator_fail_at(uint64_t n);

/** Lets the n-th wrapped call from now and all after it fail. */
void failing_allocator_fail_from(uint64_t n);

/** Lets everything succeed again; whether a call had failed. */
bool failing_allocator_stop(void);

/** Calls that could have failed since failing_allocator_fail_at(), _fail_from() or the start. */
uint64_t failing_allocator_calls(void);

/** Blocks, file descriptors, pages mapped and threads started that were not given back. */
uint64_t failing_allocator_live(void);

#endif /* TESTS_CORE_FAILING_ALLOCATOR_H */
