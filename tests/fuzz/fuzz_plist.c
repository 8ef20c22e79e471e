// SPDX-License-Identifier: MIT
// Bytes of an Info.plist: the property list, its conversion, and the checks of a bundle.

#include "host/bundle_info.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *const copy = malloc(size ? size : 1); // exact size: one byte too far is seen
    if (!copy)
        return 0;
    memcpy(copy, data, size);

    struct dx_bundle_info info = {0};
    dx_error error = {""};
    const kern_return_t status = dx_bundle_info_parse(copy, size, &info, &error);
    free(copy); // before the use of the info: nothing may point into it
    if (status == kIOReturnSuccess) {
        if (!info.identifier || !info.version || info.personality_count == 0)
            abort();
        for (size_t i = 0; i < info.personality_count; i++) {
            if (!info.personalities[i].name || !info.personalities[i].user_class)
                abort();
        }
    } else if (!memchr(error.message, '\0', sizeof error.message) || error.message[0] == '\0') {
        abort(); // an error says what it is
    }
    dx_bundle_info_finish(&info);
    return 0;
}
