// SPDX-License-Identifier: MIT
// Entitlements of a bundle: a property list, as texts that are compared.

#include "host/entitlements.h"

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
    struct dx_entitlements entitlements = {0};
    dx_error error = {""};
    const kern_return_t status = dx_entitlements_parse(copy, size, "file", &entitlements, &error);
    free(copy); // before the use of the texts: nothing may point into it
    if (status != kIOReturnSuccess && (!error.message[0] || entitlements.count > 0))
        abort();
    if (entitlements.count > DX_ENTITLEMENTS_MAX)
        abort();
    for (size_t i = 0; i < entitlements.count; i++) {
        const char *const text = entitlements.texts[i];
        if (strlen(text) > DX_ENTITLEMENT_MAX_BYTES || !dx_entitlements_have(&entitlements, text))
            abort();
        for (size_t other = 0; other < i; other++) {
            if (strcmp(entitlements.texts[other], text) == 0)
                abort();
        }
    }
    dx_entitlements_finish(&entitlements);
    return 0;
}
