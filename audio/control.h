// SPDX-License-Identifier: MIT
// The inside of IOUserAudioControl, and what the control classes are built with.

#ifndef DX_AUDIO_CONTROL_H
#define DX_AUDIO_CONTROL_H

#include "audio/object.h"
#include "audio/overrides.h"

#include <dextral/IOUserAudioControl.h>
#include <dextral/host_controls.h>

#include <string.h>

struct IOUserAudioControl {
    struct IOUserAudioObject object;

    /* Fixed by dx_control_init(). */
    enum dx_control_kind kind;
    bool is_settable;
    IOUserAudioObjectPropertyElement element;
    IOUserAudioObjectPropertyScope scope;
};

/** IOUserAudioControl itself: the `super` of the control classes. */
extern const OSMetaClass dx_control_class;

/**
 * The last step of a control class's init: checks the class id and scope, and makes the object usable.
 *
 * Everything that a getter may read must be in place before.
 *
 * @return false: initialised already, no driver, no id left, unknown scope, or a class_id of another kind.
 */
bool dx_control_init(IOUserAudioControlPtr control, IOUserAudioDriver *driver, enum dx_control_kind kind,
                     bool is_settable, IOUserAudioObjectPropertyElement element,
                     IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id);

/** Sends what a setter collected; nothing for a count of 0. */
static inline void
dx_control_notify(void *control, const IOUserAudioObjectPropertySelector *selectors, uint32_t count)
{
    if (count > 0)
        dx_object_notify(control, selectors, count);
}

/*
 * Values as atomics.  Each is written by setters alone, which the work queue keeps apart, and read by anybody:
 * relaxed is enough, because a value is whole in itself and nothing else is read on the strength of it.
 */

static inline DX_REALTIME float
dx_float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline DX_REALTIME uint32_t
dx_bits_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/** relaxed: see above. */
static inline DX_REALTIME float
dx_load_float(const _Atomic uint32_t *bits)
{
    return dx_float_of_bits(atomic_load_explicit(bits, memory_order_relaxed));
}

/** relaxed: see above. */
static inline void
dx_store_float(_Atomic uint32_t *bits, float value)
{
    atomic_store_explicit(bits, dx_bits_of_float(value), memory_order_relaxed);
}

/** Two words that are read as of the same moment: the bounds of a range, a pair of channels. */
struct dx_pair {
    uint32_t first;
    uint32_t second;
};

/** relaxed: see above. */
static inline DX_REALTIME struct dx_pair
dx_load_pair(const _Atomic uint64_t *bits)
{
    const uint64_t both = atomic_load_explicit(bits, memory_order_relaxed);
    return (struct dx_pair){(uint32_t)(both >> 32), (uint32_t)both};
}

/** relaxed: see above. */
static inline void
dx_store_pair(_Atomic uint64_t *bits, uint32_t first, uint32_t second)
{
    atomic_store_explicit(bits, (uint64_t)first << 32 | second, memory_order_relaxed);
}

#endif /* DX_AUDIO_CONTROL_H */
