// SPDX-License-Identifier: MIT
// Checks for test programs with threads: Criterion's runner does not start under ThreadSanitizer.

#ifndef DX_TESTS_CORE_CHECK_H
#define DX_TESTS_CORE_CHECK_H

#ifdef NDEBUG
#    error "tests need assertions"
#endif

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                     \
        }                                                                                \
    } while (0)

#define CHECK_EQ(a, b)                                                                                \
    do {                                                                                              \
        const unsigned long long check_a_ = (unsigned long long)(a), check_b_ = (unsigned long long)(b); \
        if (check_a_ != check_b_) {                                                                   \
            (void)fprintf(stderr, "%s:%d: %s is %llu, %s is %llu\n", __FILE__, __LINE__, #a, check_a_, \
                          #b, check_b_);                                                              \
            abort();                                                                                  \
        }                                                                                             \
    } while (0)

#define RUN(test)                               \
    do {                                        \
        (void)fprintf(stderr, "- %s\n", #test); \
        test();                                 \
    } while (0)

#endif /* DX_TESTS_CORE_CHECK_H */
