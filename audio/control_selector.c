// SPDX-License-Identifier: MIT
// A control that chooses among named values.

#include <dextral/IOUserAudioSelectorControl.h>

#include "audio/control_value.h"

#include <stdlib.h>

/* What is selected, as readers copy it. */
struct selection {
    uint32_t count;
    IOUserAudioSelectorValue values[DX_MAX_SELECTED_VALUES];
};

struct IOUserAudioSelectorControl {
    struct IOUserAudioControl control;
    IOUserAudioSelectorControlOverrides overrides; // fixed by init

    /* Written on the work queue. */
    struct dx_slots selection; // of a struct selection, over the words below
    _Atomic uint32_t selection_words[DX_SLOTS_WORDS(sizeof(struct selection))];
    _Atomic uint64_t first; // count, first value: what a reader falls back on that was lapped in the slots
    _Atomic uint32_t item_count;

    /* Written on the work queue, under the object's lock. */
    IOUserAudioSelectorValueDescription *items; // names retained
};

/* Releases a list of descriptions and its names. */
static void
free_items(IOUserAudioSelectorValueDescription *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        OSObjectRelease(items[i].m_name);
    free(items);
}

static void
free_selector(OSObjectPtr object)
{
    struct IOUserAudioSelectorControl *const self = object;
    if (self->overrides.free)
        self->overrides.free(self);
    else
        IOUserAudioSelectorControlFree_super(self);
}

static const OSMetaClass selector_class = {
    .name = "IOUserAudioSelectorControl",
    .super = &dx_control_class,
    .instance_bytes = sizeof(struct IOUserAudioSelectorControl),
    .free = free_selector,
};
const OSMetaClass *const gIOUserAudioSelectorControlMetaClass = &selector_class;

void
IOUserAudioSelectorControlFree_super(IOUserAudioSelectorControl *control)
{
    if (!control)
        return;
    free_items(control->items, dx_object_get_u32(&control->item_count));
    dx_audio_object_free(control);
}

IOUserAudioSelectorControl *
IOUserAudioSelectorControlAlloc(void)
{
    return dx_audio_object_alloc(&selector_class);
}

kern_return_t
IOUserAudioSelectorControlSetOverrides(IOUserAudioSelectorControl *control,
                                       const IOUserAudioSelectorControlOverrides *overrides)
{
    return dx_overrides_set(control, &selector_class, control ? &control->overrides : NULL,
                            sizeof control->overrides, overrides);
}

/* Makes a selection the one that readers see.  `first` goes before it: the release in dx_slots_write() keeps a
 * reader that was lapped from finding it older than the slots. */
static void
publish(IOUserAudioSelectorControl *control, const struct selection *selection)
{
    dx_store_pair(&control->first, selection->count, selection->values[0]);
    dx_slots_write(&control->selection, selection);
}

bool
IOUserAudioSelectorControlInit_super(IOUserAudioSelectorControl *control, IOUserAudioDriver *driver,
                                     bool is_settable, IOUserAudioObjectPropertyElement element,
                                     IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id)
{
    if (!dx_overrides_may_set(control, &selector_class))
        return false;
    control->selection = (struct dx_slots){control->selection_words, sizeof(struct selection)};
    publish(control, &(struct selection){.count = 0});
    return dx_control_init(control, driver, DX_CONTROL_SELECTOR, is_settable, element, scope, class_id);
}

bool
IOUserAudioSelectorControlInit(IOUserAudioSelectorControl *control, IOUserAudioDriver *driver, bool is_settable,
                               IOUserAudioObjectPropertyElement element, IOUserAudioObjectPropertyScope scope,
                               IOUserAudioClassID class_id)
{
    if (!dx_overrides_may_set(control, &selector_class))
        return false;
    if (control->overrides.init)
        return control->overrides.init(control, driver, is_settable, element, scope, class_id);
    return IOUserAudioSelectorControlInit_super(control, driver, is_settable, element, scope, class_id);
}

IOUserAudioSelectorControl *
IOUserAudioSelectorControlCreate(IOUserAudioDriver *driver, bool is_settable,
                                 IOUserAudioObjectPropertyElement element, IOUserAudioObjectPropertyScope scope,
                                 IOUserAudioClassID class_id)
{
    IOUserAudioSelectorControl *control = IOUserAudioSelectorControlAlloc();
    if (control && !IOUserAudioSelectorControlInit(control, driver, is_settable, element, scope, class_id))
        OSSafeReleaseNULL(control);
    return control;
}

/* Whether a value is among the first `count` descriptions. */
static bool
is_described(const IOUserAudioSelectorValueDescription *items, size_t count, IOUserAudioSelectorValue value)
{
    for (size_t i = 0; i < count; i++)
        if (items[i].m_value == value)
            return true;
    return false;
}

static bool
has_duplicate(const IOUserAudioSelectorValue *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = i + 1; j < count; j++)
            if (values[i] == values[j])
                return true;
    return false;
}

/* What a setter hands over to the work queue. */
struct values {
    const IOUserAudioSelectorValue *values;
    size_t count;
};

struct descriptions {
    const IOUserAudioSelectorValueDescription *descriptions;
    size_t count;
};

/* Whether values may be selected; `described` asks that each is among the descriptions. */
static kern_return_t
check_values(const IOUserAudioSelectorControl *control, const IOUserAudioSelectorValue *values, size_t count,
             bool described)
{
    if (!values && count > 0)
        return kIOReturnBadArgument;
    if (count > DX_MAX_SELECTED_VALUES)
        return kIOReturnNoSpace;
    if (has_duplicate(values, count))
        return kIOReturnBadArgument;
    for (size_t i = 0; described && i < count; i++)
        if (!is_described(control->items, dx_object_get_u32(&control->item_count), values[i]))
            return kIOReturnBadArgument;
    return kIOReturnSuccess;
}

kern_return_t
dx_selector_check_from_host(const IOUserAudioSelectorControl *control, const IOUserAudioSelectorValue *values,
                            size_t count)
{
    return check_values(control, values, count, true);
}

static DX_REALTIME void
load_selection(const IOUserAudioSelectorControl *control, struct selection *selection)
{
    if (dx_slots_read(&control->selection, selection))
        return;
    const struct dx_pair first = dx_load_pair(&control->first);
    selection->count = first.first > 0;
    selection->values[0] = first.second;
}

static kern_return_t
set_selected(IOUserAudioObject *object, void *argument)
{
    IOUserAudioSelectorControl *const control = (IOUserAudioSelectorControl *)object;
    const struct values *const wanted = argument;
    const bool has_items = dx_object_get_u32(&control->item_count) > 0;
    const kern_return_t status = check_values(control, wanted->values, wanted->count, has_items);
    if (status != kIOReturnSuccess)
        return status;

    struct selection before, after = {.count = (uint32_t)wanted->count};
    load_selection(control, &before); // the queue is the one writer: nobody laps it
    if (wanted->count > 0)
        memcpy(after.values, wanted->values, wanted->count * sizeof after.values[0]);
    if (after.count != before.count ||
        memcmp(after.values, before.values, after.count * sizeof after.values[0]) != 0) {
        publish(control, &after);
        dx_object_notify_one(object, kIOUserAudioPropertySelectorControlCurrentItem);
    }
    return kIOReturnSuccess;
}

kern_return_t
IOUserAudioSelectorControlSetCurrentSelectedValues(IOUserAudioSelectorControl *control,
                                                   const IOUserAudioSelectorValue *values, size_t count)
{
    if (!dx_audio_object_is(control, &selector_class))
        return kIOReturnBadArgument;
    struct values wanted = {values, count};
    return dx_object_run(&control->control.object, set_selected, &wanted);
}

size_t
IOUserAudioSelectorControlGetCurrentSelectedValues(IOUserAudioSelectorControl *control,
                                                   IOUserAudioSelectorValue *ret_values, size_t capacity)
{
    if (!dx_audio_object_is(control, &selector_class) || !ret_values)
        return 0;
    struct selection selection;
    load_selection(control, &selection);
    const size_t count = selection.count < capacity ? selection.count : capacity;
    for (size_t i = 0; i < count; i++)
        ret_values[i] = selection.values[i];
    return count;
}

/* Puts a list in the place of the old one, and gives the old one back. */
static IOUserAudioSelectorValueDescription *
exchange_items(IOUserAudioSelectorControl *control, IOUserAudioSelectorValueDescription *items, size_t count)
{
    struct dx_mutex *const lock = &control->control.object.lock;
    dx_mutex_lock(lock);
    IOUserAudioSelectorValueDescription *const before = control->items;
    control->items = items;
    /* relaxed: those who read the list hold the lock; for the others it is a value of its own. */
    atomic_store_explicit(&control->item_count, (uint32_t)count, memory_order_relaxed);
    dx_mutex_unlock(lock);
    return before;
}

static kern_return_t
add_items(IOUserAudioObject *object, void *argument)
{
    IOUserAudioSelectorControl *const control = (IOUserAudioSelectorControl *)object;
    const struct descriptions *const added = argument;
    const size_t old_count = dx_object_get_u32(&control->item_count);

    if (added->count > DX_MAX_SELECTOR_ITEMS - old_count)
        return kIOReturnNoSpace;
    for (size_t i = 0; i < added->count; i++) {
        const IOUserAudioSelectorValueDescription *const item = &added->descriptions[i];
        if (!OSDynamicCast(OSString, item->m_name) || is_described(control->items, old_count, item->m_value) ||
            is_described(added->descriptions, i, item->m_value))
            return kIOReturnBadArgument;
    }

    const size_t count = old_count + added->count;
    IOUserAudioSelectorValueDescription *const items = calloc(count, sizeof *items);
    if (!items)
        return kIOReturnNoMemory;
    if (old_count > 0)
        memcpy(items, control->items, old_count * sizeof *items);
    memcpy(items + old_count, added->descriptions, added->count * sizeof *items);
    for (size_t i = old_count; i < count; i++)
        OSObjectRetain(items[i].m_name);
    free(exchange_items(control, items, count)); // its names are the new list's now

    dx_object_notify_one(object, kIOUserAudioPropertySelectorControlAvailableItems);
    return kIOReturnSuccess;
}

kern_return_t
IOUserAudioSelectorControlAddControlValueDescriptions(IOUserAudioSelectorControl *control,
                                                      const IOUserAudioSelectorValueDescription *descriptions,
                                                      size_t count)
{
    if (!dx_audio_object_is(control, &selector_class) || (!descriptions && count > 0))
        return kIOReturnBadArgument;
    if (count == 0)
        return kIOReturnSuccess;
    struct descriptions added = {descriptions, count};
    return dx_object_run(&control->control.object, add_items, &added);
}

static kern_return_t
remove_items(IOUserAudioObject *object, void *argument)
{
    IOUserAudioSelectorControl *const control = (IOUserAudioSelectorControl *)object;
    const struct descriptions *const removed = argument;
    const size_t old_count = dx_object_get_u32(&control->item_count);

    for (size_t i = 0; i < removed->count; i++)
        if (!is_described(control->items, old_count, removed->descriptions[i].m_value) ||
            is_described(removed->descriptions, i, removed->descriptions[i].m_value))
            return kIOReturnNotFound;

    /* In place, so that removing needs no memory; names are released outside the lock, for theirs may be the last
     * reference to an object with a peer. */
    OSString *names[DX_MAX_SELECTOR_ITEMS];
    size_t name_count = 0, count = 0;
    dx_mutex_lock(&object->lock);
    for (size_t i = 0; i < old_count; i++) {
        if (is_described(removed->descriptions, removed->count, control->items[i].m_value))
            names[name_count++] = control->items[i].m_name;
        else
            control->items[count++] = control->items[i];
    }
    /* relaxed: as in exchange_items(). */
    atomic_store_explicit(&control->item_count, (uint32_t)count, memory_order_relaxed);
    dx_mutex_unlock(&object->lock);
    while (name_count > 0)
        OSObjectRelease(names[--name_count]);

    dx_object_notify_one(object, kIOUserAudioPropertySelectorControlAvailableItems);
    return kIOReturnSuccess;
}

kern_return_t
IOUserAudioSelectorControlRemoveControlValueDescriptions(
    IOUserAudioSelectorControl *control, const IOUserAudioSelectorValueDescription *descriptions, size_t count)
{
    if (!dx_audio_object_is(control, &selector_class) || (!descriptions && count > 0))
        return kIOReturnBadArgument;
    if (count == 0)
        return kIOReturnSuccess;
    struct descriptions removed = {descriptions, count};
    return dx_object_run(&control->control.object, remove_items, &removed);
}

size_t
IOUserAudioSelectorControlGetControlValuesCount(IOUserAudioSelectorControl *control)
{
    return dx_audio_object_is(control, &selector_class) ? dx_object_get_u32(&control->item_count) : 0;
}

size_t
IOUserAudioSelectorControlGetControlValueDescriptions(IOUserAudioSelectorControl *control,
                                                      IOUserAudioSelectorValueDescription *ret_descriptions,
                                                      size_t capacity)
{
    if (!dx_audio_object_is(control, &selector_class) || !ret_descriptions)
        return 0;
    dx_mutex_lock(&control->control.object.lock);
    const size_t item_count = dx_object_get_u32(&control->item_count);
    const size_t count = item_count < capacity ? item_count : capacity;
    for (size_t i = 0; i < count; i++) {
        ret_descriptions[i] = control->items[i];
        OSObjectRetain(ret_descriptions[i].m_name);
    }
    dx_mutex_unlock(&control->control.object.lock);
    return count;
}

kern_return_t
IOUserAudioSelectorControlHandleChangeSelectedValues_super(IOUserAudioSelectorControl *control,
                                                           const IOUserAudioSelectorValue *values, size_t count)
{
    return IOUserAudioSelectorControlSetCurrentSelectedValues(control, values, count);
}

kern_return_t
IOUserAudioSelectorControlHandleChangeSelectedValues(IOUserAudioSelectorControl *control,
                                                     const IOUserAudioSelectorValue *values, size_t count)
{
    if (!dx_audio_object_is(control, &selector_class))
        return kIOReturnBadArgument;
    if (control->overrides.HandleChangeSelectedValues)
        return control->overrides.HandleChangeSelectedValues(control, values, count);
    return IOUserAudioSelectorControlHandleChangeSelectedValues_super(control, values, count);
}
