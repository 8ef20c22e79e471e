// SPDX-License-Identifier: MIT
// Looks for leaks after each Criterion test; linked with --wrap=criterion_internal_test_main under AddressSanitizer.

#include <sanitizer/lsan_interface.h>
#include <stdlib.h>

/* Takes the parameter of a parameterized test; the others are called with it as well and ignore it. */
typedef void test_function(void *parameter);

void __real_criterion_internal_test_main(test_function *function);
void __wrap_criterion_internal_test_main(test_function *function);

static test_function *current_test; // one test per process

static void
run_and_check(void *parameter)
{
    current_test(parameter);
    if (__lsan_do_recoverable_leak_check())
        abort();
}

/* Criterion runs each test through this function, then `.fini`, then _exit().  The check comes before `.fini`, which can
 * free only what something still points at. */
void
__wrap_criterion_internal_test_main(test_function *function)
{
    current_test = function;
    __real_criterion_internal_test_main(run_and_check);
}
