// SPDX-License-Identifier: MIT
// What the tests of audio objects say over and over.

#ifndef TESTS_AUDIO_EXPECT_H
#define TESTS_AUDIO_EXPECT_H

#include "fake_host.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

/** A pointer or a truth: Criterion's own take a literal `!` for a part of their language. */
#define EXPECT(condition) cr_expect(eq(int, (condition) ? 1 : 0, 1), "%s", #condition)
#define ASSERT(condition) cr_assert(eq(int, (condition) ? 1 : 0, 1), "%s", #condition)

/** What a call answers, shown by name. */
#define EXPECT_STATUS(call, status)                                                                               \
    do {                                                                                                          \
        const kern_return_t expect_status_ = (call);                                                              \
        cr_expect(eq(int, expect_status_, (status)), "%s: %s", #call, dx_return_name(expect_status_));            \
    } while (0)

/** What the fake host was told since the last time. */
#define EXPECT_TOLD(text) cr_expect_str_eq(fake_host_take(), (text))

#endif /* TESTS_AUDIO_EXPECT_H */
