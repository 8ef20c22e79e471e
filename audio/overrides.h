// SPDX-License-Identifier: MIT
// Tables of overridden methods: taken between Alloc and Init.

#ifndef DX_AUDIO_OVERRIDES_H
#define DX_AUDIO_OVERRIDES_H

#include "audio/object.h"

#include <string.h>

/** Whether an object of a class is yet to be initialised: it takes overrides, and its init may run. */
static inline bool
dx_overrides_may_set(OSObjectPtr object, const OSMetaClass *meta)
{
    /* relaxed: Alloc, SetOverrides and Init are the maker's, on one thread. */
    return OSObjectIsKindOf(object, meta) &&
           !atomic_load_explicit(&((IOUserAudioObject *)object)->initialised, memory_order_relaxed);
}

/**
 * Copies the caller's table, as far as both go, into the object's.
 *
 * @param table  the object's; it and the caller's begin with the caller's uint32_t size.
 * @return kIOReturnSuccess; kIOReturnBadArgument.
 */
static inline kern_return_t
dx_overrides_copy(void *table, size_t table_bytes, const void *overrides)
{
    uint32_t size_bytes = 0;
    if (overrides)
        memcpy(&size_bytes, overrides, sizeof size_bytes);
    if (size_bytes < sizeof size_bytes)
        return kIOReturnBadArgument;
    memset(table, 0, table_bytes);
    memcpy(table, overrides, size_bytes < table_bytes ? size_bytes : table_bytes);
    return kIOReturnSuccess;
}

/**
 * The whole of a SetOverrides: copies the caller's table, as far as both go, into the object's.
 *
 * @param table      the object's; it and the caller's begin with the caller's uint32_t size.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnBusy (initialised already).
 */
static inline kern_return_t
dx_overrides_set(OSObjectPtr object, const OSMetaClass *meta, void *table, size_t table_bytes,
                 const void *overrides)
{
    if (!OSObjectIsKindOf(object, meta) || !overrides)
        return kIOReturnBadArgument;
    if (!dx_overrides_may_set(object, meta))
        return kIOReturnBusy;
    return dx_overrides_copy(table, table_bytes, overrides);
}

#endif /* DX_AUDIO_OVERRIDES_H */
