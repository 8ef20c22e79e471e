// SPDX-License-Identifier: MIT
// For what a test does on the IO thread on purpose and a program must not: sleep there, check, print.

#ifndef DX_TESTS_BREAK_RULES_H
#define DX_TESTS_BREAK_RULES_H

#include "core/realtime.h"

/* RealtimeSanitizer's, where it is; they nest.  What a fiber that sleeps here disabled, the others go without. */
void __rtsan_disable(void) __attribute__((weak));
void __rtsan_enable(void) __attribute__((weak));

/*
 * Neither the compiler nor RealtimeSanitizer looks at what stands between the two.  No return may stand there:
 *
 *     BREAK_RULES_BEGIN("a slow handler is what is tested")
 *     IODelay(1000);
 *     BREAK_RULES_END
 */
#define BREAK_RULES_BEGIN(reason)     \
    DX_REALTIME_TRUSTED_BEGIN(reason) \
    if (__rtsan_disable)              \
        __rtsan_disable();
#define BREAK_RULES_END      \
    if (__rtsan_enable)      \
        __rtsan_enable();    \
    DX_REALTIME_TRUSTED_END

#endif /* DX_TESTS_BREAK_RULES_H */
