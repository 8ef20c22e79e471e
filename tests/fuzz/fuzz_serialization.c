// SPDX-License-Identifier: MIT
// Bytes of serialised values: what is accepted has one encoding, and it is those bytes.

#include <dextral/OSObject.h>

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
    OSObjectPtr const object = OSSerializationCopyObject(copy, size);
    free(copy); // before the use of the object: nothing may point into it
    if (!object)
        return 0;

    OSData *const bytes = OSSerializationCreateFromObject(object);
    if (!bytes || OSDataGetLength(bytes) != size || memcmp(OSDataGetBytesNoCopy(bytes), data, size) != 0)
        abort();
    OSObjectPtr const again = OSSerializationCopyObject(OSDataGetBytesNoCopy(bytes), size);
    if (!again || !OSObjectIsEqualTo(object, again))
        abort();
    OSObjectRelease(again);
    OSObjectRelease(bytes);
    OSObjectRelease(object);
    return 0;
}
