// SPDX-License-Identifier: MIT
// A user's first program: public headers and the shared library, as pkg-config gives them; C and C++.

#include <dextral/dextral.h>

#include <stdio.h>
#include <string.h>

int
main(void)
{
    const char *const name = dx_return_name(kIOReturnBadArgument);
    if (!name || strcmp(name, "kIOReturnBadArgument") != 0) {
        (void)fprintf(stderr, "dx_return_name() says %s\n", name ? name : "nothing");
        return 1;
    }
    (void)printf("%s: %s\n", name, dx_return_string(kIOReturnBadArgument));
    return 0;
}
