// SPDX-License-Identifier: MIT
// Identity, names, ownership and custom properties of audio objects.

#include "audio/object.h"

#include <dextral/IOUserAudioCustomProperty.h>

#include <errno.h>
#include <stdlib.h>

#define ELEMENT_NAMES_AT_MOST 4096u
#define CUSTOM_PROPERTIES_AT_MOST 1024u
#define IDENTIFIER_BYTES_AT_MOST 255u

const OSMetaClass dx_audio_object_class = {
    .name = "IOUserAudioObject",
    .super = &dx_object_class,
    .instance_bytes = sizeof(struct IOUserAudioObject),
    .free = dx_audio_object_free,
};
const OSMetaClass *const gIOUserAudioObjectMetaClass = &dx_audio_object_class;

OSObjectPtr
dx_audio_object_alloc(const OSMetaClass *meta)
{
    IOUserAudioObject *const object = dx_object_alloc(meta);
    if (object)
        dx_mutex_init(&object->lock, "audio object");
    return object;
}

bool
dx_audio_object_init(IOUserAudioObject *object, IOUserAudioDriver *driver, IOUserAudioClassID class_id,
                     IOUserAudioClassID base_class_id)
{
    struct dx_driver_link *const link = dx_driver_get_link(driver);
    if (object->link || !link)
        return false;
    object->class_id = class_id;
    object->base_class_id = base_class_id;
    if (!dx_driver_link_register(link, object))
        return false;
    object->link = OSObjectRetain(link);
    /* release: pairs with the acquire in dx_audio_object_is(). */
    atomic_store_explicit(&object->initialised, true, memory_order_release);
    return true;
}

void
dx_audio_object_free(OSObjectPtr object)
{
    IOUserAudioObject *const o = object;
    if (o->link) {
        dx_driver_link_unregister(o->link, o);
        OSObjectRelease(o->link);
    }
    dx_owned_finish(&o->custom_properties);
    for (uint32_t i = 0; i < o->element_name_count; i++)
        OSObjectRelease(o->element_names[i].text);
    free(o->element_names);
    OSObjectRelease(o->name);
    dx_object_free_super(o);
}

static IOUserAudioObject *
check(IOUserAudioObjectPtr object)
{
    return dx_audio_object_is(object, &dx_audio_object_class) ? object : NULL;
}

/* What the work queue needs to run a piece of work and hand its answer back. */
struct job {
    IOUserAudioObject *object;
    dx_object_work work;
    void *argument;
    kern_return_t status;
};

static void
run_job(void *context)
{
    struct job *const job = context;
    job->status = job->work(job->object, job->argument);
}

kern_return_t
dx_object_run(IOUserAudioObject *object, dx_object_work work, void *argument)
{
    struct job job = {.object = object, .work = work, .argument = argument, .status = kIOReturnSuccess};
    const kern_return_t status = dx_driver_link_run(object->link, run_job, &job);
    return status == kIOReturnSuccess ? job.status : status;
}

void
dx_object_notify(IOUserAudioObject *object, const IOUserAudioObjectPropertySelector *selectors, uint32_t count)
{
    dx_driver_link_notify(object->link, object->id, selectors, count);
}

void
dx_object_notify_one(IOUserAudioObject *object, IOUserAudioObjectPropertySelector selector)
{
    dx_object_notify(object, &selector, 1);
}

struct u32_set {
    _Atomic uint32_t *field;
    uint32_t value;
    IOUserAudioObjectPropertySelector selector;
};

static kern_return_t
set_u32(IOUserAudioObject *object, void *argument)
{
    const struct u32_set *const set = argument;
    /* relaxed: a value of its own; see dx_object_get_u32(). */
    if (atomic_exchange_explicit(set->field, set->value, memory_order_relaxed) != set->value)
        dx_object_notify_one(object, set->selector);
    return kIOReturnSuccess;
}

kern_return_t
dx_object_set_u32(IOUserAudioObject *object, _Atomic uint32_t *field, uint32_t value,
                  IOUserAudioObjectPropertySelector selector)
{
    return dx_object_run(object, set_u32, &(struct u32_set){.field = field, .value = value, .selector = selector});
}

struct string_set {
    OSString **field;
    OSString *value;
    IOUserAudioObjectPropertySelector selector;
};

static kern_return_t
set_string(IOUserAudioObject *object, void *argument)
{
    const struct string_set *const set = argument;
    dx_mutex_lock(&object->lock);
    OSString *const old = *set->field;
    *set->field = OSObjectRetain(set->value);
    dx_mutex_unlock(&object->lock);
    if (!OSObjectIsEqualTo(old, set->value))
        dx_object_notify_one(object, set->selector);
    OSObjectRelease(old);
    return kIOReturnSuccess;
}

kern_return_t
dx_object_set_string(IOUserAudioObject *object, OSString **field, OSString *value,
                     IOUserAudioObjectPropertySelector selector)
{
    return dx_object_run(object, set_string,
                         &(struct string_set){.field = field, .value = value, .selector = selector});
}

OSString *
dx_object_copy_string(IOUserAudioObject *object, OSString *const *field)
{
    dx_mutex_lock(&object->lock);
    OSString *const string = OSObjectRetain(*field);
    dx_mutex_unlock(&object->lock);
    return string;
}

void
dx_object_read_slots(const struct dx_slots *slots, void *value)
{
    /* A setter is far slower than a copy: being lapped DX_SLOT_TRIES times is rare already. */
    for (unsigned i = 0; i < 16 && !dx_slots_read(slots, value); i++)
        ;
}

IOUserAudioObject *
dx_object_copy_owner(IOUserAudioObject *object)
{
    const IOUserAudioObjectID owner = dx_object_get_u32(&object->owner_id);
    return owner == kIOUserAudioObjectIDUnknown ? NULL : dx_driver_link_copy_object(object->link, owner);
}

/* Owned objects. */

kern_return_t
dx_owned_add(struct dx_driver_link *link, struct dx_mutex *lock, struct dx_object_list *list,
             IOUserAudioObject *child, IOUserAudioObjectID owner, uint32_t limit)
{
    if (child->link != link)
        return kIOReturnBadArgument;
    IOUserAudioObjectID none = kIOUserAudioObjectIDUnknown;
    /* relaxed: the list's lock orders all but the number. */
    if (!atomic_compare_exchange_strong_explicit(&child->owner_id, &none, owner, memory_order_relaxed,
                                                 memory_order_relaxed))
        return kIOReturnExclusiveAccess;
    dx_mutex_lock(lock);
    const int r = dx_object_list_add(list, child, limit);
    dx_mutex_unlock(lock);
    if (r == 0)
        return kIOReturnSuccess;
    /* relaxed: as above. */
    atomic_store_explicit(&child->owner_id, kIOUserAudioObjectIDUnknown, memory_order_relaxed);
    return r == -ENOMEM ? kIOReturnNoMemory : kIOReturnNoResources;
}

kern_return_t
dx_owned_remove(struct dx_mutex *lock, struct dx_object_list *list, IOUserAudioObject *child)
{
    dx_mutex_lock(lock);
    const bool taken = dx_object_list_take(list, child);
    dx_mutex_unlock(lock);
    if (!taken)
        return kIOReturnNotFound;
    /* relaxed: as in dx_owned_add(). */
    atomic_store_explicit(&child->owner_id, kIOUserAudioObjectIDUnknown, memory_order_relaxed);
    OSObjectRelease(child);
    return kIOReturnSuccess;
}

void
dx_owned_finish(struct dx_object_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        IOUserAudioObject *const child = list->items[i];
        /* relaxed: as in dx_owned_add(). */
        atomic_store_explicit(&child->owner_id, kIOUserAudioObjectIDUnknown, memory_order_relaxed);
    }
    dx_object_list_finish(list);
}

static bool
is_custom_property(IOUserAudioCustomProperty *property)
{
    return dx_audio_object_is(property, gIOUserAudioCustomPropertyMetaClass);
}

kern_return_t
dx_custom_property_add(struct dx_driver_link *link, struct dx_mutex *lock, struct dx_object_list *list,
                       IOUserAudioObjectID owner, IOUserAudioCustomProperty *property)
{
    if (!is_custom_property(property))
        return kIOReturnBadArgument;
    const kern_return_t status =
        dx_owned_add(link, lock, list, (IOUserAudioObject *)property, owner, CUSTOM_PROPERTIES_AT_MOST);
    if (status == kIOReturnSuccess)
        dx_driver_link_notify(link, owner,
                              &(IOUserAudioObjectPropertySelector){kIOUserAudioPropertyCustomPropertyInfoList}, 1);
    return status;
}

kern_return_t
dx_custom_property_remove(struct dx_driver_link *link, struct dx_mutex *lock, struct dx_object_list *list,
                          IOUserAudioObjectID owner, IOUserAudioCustomProperty *property)
{
    if (!is_custom_property(property))
        return kIOReturnBadArgument;
    const kern_return_t status = dx_owned_remove(lock, list, (IOUserAudioObject *)property);
    if (status == kIOReturnSuccess)
        dx_driver_link_notify(link, owner,
                              &(IOUserAudioObjectPropertySelector){kIOUserAudioPropertyCustomPropertyInfoList}, 1);
    return status;
}

/* Identifiers. */

/* Bytes of the UTF-8 sequence that starts at `s`, or 0 where it is malformed; `s` ends in a NUL. */
static size_t
utf8_sequence_bytes(const unsigned char *s)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 1}, {0xE0, 0xC0, 0x80}, {0xF0, 0xE0, 0x800}, {0xF8, 0xF0, 0x10000}};

    for (size_t n = 0; n < sizeof forms / sizeof forms[0]; n++) {
        if ((s[0] & forms[n].mask) != forms[n].lead)
            continue;
        uint32_t code = s[0] & (unsigned char)~forms[n].mask;
        for (size_t i = 1; i <= n; i++) {
            if ((s[i] & 0xC0) != 0x80)
                return 0;
            code = code << 6 | (s[i] & 0x3Fu);
        }
        const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
        return code >= forms[n].least && code <= 0x10FFFF && !surrogate ? n + 1 : 0;
    }
    return 0;
}

bool
dx_is_identifier(OSString *string)
{
    if (!OSObjectIsKindOf(string, gOSStringMetaClass))
        return false;
    const size_t length = OSStringGetLength(string);
    if (length == 0 || length > IDENTIFIER_BYTES_AT_MOST)
        return false;
    const unsigned char *const bytes = (const unsigned char *)OSStringGetCStringNoCopy(string);
    for (size_t i = 0; i < length;) {
        const size_t n = utf8_sequence_bytes(bytes + i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

bool
dx_is_transport_type(IOUserAudioTransportType type)
{
    static const IOUserAudioTransportType types[] = {
        IOUserAudioTransportTypeUnknown,     IOUserAudioTransportTypeBuiltIn,  IOUserAudioTransportTypePCI,
        IOUserAudioTransportTypeUSB,         IOUserAudioTransportTypeFireWire, IOUserAudioTransportTypeBluetooth,
        IOUserAudioTransportTypeBluetoothLE, IOUserAudioTransportTypeHDMI,     IOUserAudioTransportTypeDisplayPort,
        IOUserAudioTransportTypeAirPlay,     IOUserAudioTransportTypeAVB,      IOUserAudioTransportTypeThunderbolt,
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i] == type)
            return true;
    }
    return false;
}

/* The public face. */

IOUserAudioClassID
IOUserAudioObjectGetClassID(IOUserAudioObjectPtr object)
{
    const IOUserAudioObject *const o = check(object);
    return o ? o->class_id : 0;
}

IOUserAudioClassID
IOUserAudioObjectGetBaseClassID(IOUserAudioObjectPtr object)
{
    const IOUserAudioObject *const o = check(object);
    return o ? o->base_class_id : 0;
}

IOUserAudioObjectID
IOUserAudioObjectGetObjectID(IOUserAudioObjectPtr object)
{
    const IOUserAudioObject *const o = check(object);
    return o ? o->id : kIOUserAudioObjectIDUnknown;
}

IOUserAudioObjectID
IOUserAudioObjectGetOwnerObjectID(IOUserAudioObjectPtr object)
{
    const IOUserAudioObject *const o = check(object);
    return o ? dx_object_get_u32(&o->owner_id) : kIOUserAudioObjectIDUnknown;
}

IODispatchQueue *
IOUserAudioObjectGetWorkQueue(IOUserAudioObjectPtr object)
{
    const IOUserAudioObject *const o = check(object);
    /* acquire: pairs with the release in the driver's Start. */
    return o ? OSObjectRetain(atomic_load_explicit(&o->link->queue, memory_order_acquire)) : NULL;
}

kern_return_t
IOUserAudioObjectSetName(IOUserAudioObjectPtr object, OSString *name)
{
    IOUserAudioObject *const o = check(object);
    if (!o || !OSObjectIsKindOf(name, gOSStringMetaClass))
        return kIOReturnBadArgument;
    return dx_object_set_string(o, &o->name, name, kIOUserAudioPropertyName);
}

OSString *
IOUserAudioObjectGetName(IOUserAudioObjectPtr object)
{
    IOUserAudioObject *const o = check(object);
    return o ? dx_object_copy_string(o, &o->name) : NULL;
}

/* The entry of an element, or NULL; under the lock. */
static struct dx_element_name *
find_element_name(IOUserAudioObject *object, const struct dx_element_name *key)
{
    for (uint32_t i = 0; i < object->element_name_count; i++) {
        struct dx_element_name *const entry = &object->element_names[i];
        if (entry->kind == key->kind && entry->scope == key->scope && entry->element == key->element)
            return entry;
    }
    return NULL;
}

/* A new entry without text; under the lock. */
static kern_return_t
append_element_name(IOUserAudioObject *object, const struct dx_element_name *key,
                    struct dx_element_name **ret_entry)
{
    if (object->element_name_count == ELEMENT_NAMES_AT_MOST)
        return kIOReturnNoResources;
    if (object->element_name_count == object->element_name_capacity) {
        const uint32_t capacity = object->element_name_capacity ? 2 * object->element_name_capacity : 8;
        struct dx_element_name *const names = realloc(object->element_names, capacity * sizeof *names);
        if (!names)
            return kIOReturnNoMemory;
        object->element_names = names;
        object->element_name_capacity = capacity;
    }
    *ret_entry = &object->element_names[object->element_name_count++];
    **ret_entry =
        (struct dx_element_name){.kind = key->kind, .scope = key->scope, .element = key->element, .text = NULL};
    return kIOReturnSuccess;
}

static kern_return_t
set_element_name_work(IOUserAudioObject *object, void *argument)
{
    const struct dx_element_name *const wanted = argument;
    kern_return_t status = kIOReturnSuccess;
    OSString *old = NULL;

    dx_mutex_lock(&object->lock);
    struct dx_element_name *entry = find_element_name(object, wanted);
    if (!entry)
        status = append_element_name(object, wanted, &entry);
    if (status == kIOReturnSuccess) {
        old = entry->text;
        entry->text = OSObjectRetain(wanted->text);
    }
    dx_mutex_unlock(&object->lock);

    if (status == kIOReturnSuccess && !OSObjectIsEqualTo(old, wanted->text))
        dx_object_notify_one(object, wanted->kind);
    OSObjectRelease(old);
    return status;
}

static bool
is_scope(IOUserAudioObjectPropertyScope scope)
{
    return scope == IOUserAudioObjectPropertyScopeGlobal || scope == IOUserAudioObjectPropertyScopeInput ||
           scope == IOUserAudioObjectPropertyScopeOutput || scope == IOUserAudioObjectPropertyScopePlayThrough;
}

static kern_return_t
set_element_name(IOUserAudioObjectPtr object, IOUserAudioObjectPropertySelector kind,
                 IOUserAudioObjectPropertyElement element, IOUserAudioObjectPropertyScope scope, OSString *name)
{
    IOUserAudioObject *const o = check(object);
    if (!o || !OSObjectIsKindOf(name, gOSStringMetaClass) || !is_scope(scope))
        return kIOReturnBadArgument;
    return dx_object_run(
        o, set_element_name_work,
        &(struct dx_element_name){.kind = kind, .scope = scope, .element = element, .text = name});
}

static OSString *
copy_element_name(IOUserAudioObjectPtr object, IOUserAudioObjectPropertySelector kind,
                  IOUserAudioObjectPropertyElement element, IOUserAudioObjectPropertyScope scope)
{
    IOUserAudioObject *const o = check(object);
    if (!o)
        return NULL;
    dx_mutex_lock(&o->lock);
    const struct dx_element_name *const entry = find_element_name(
        o, &(struct dx_element_name){.kind = kind, .scope = scope, .element = element, .text = NULL});
    OSString *const name = entry ? OSObjectRetain(entry->text) : NULL;
    dx_mutex_unlock(&o->lock);
    return name;
}

kern_return_t
IOUserAudioObjectSetElementName(IOUserAudioObjectPtr object, IOUserAudioObjectPropertyElement element,
                                IOUserAudioObjectPropertyScope scope, OSString *name)
{
    return set_element_name(object, kIOUserAudioPropertyElementName, element, scope, name);
}

OSString *
IOUserAudioObjectGetElementName(IOUserAudioObjectPtr object, IOUserAudioObjectPropertyElement element,
                                IOUserAudioObjectPropertyScope scope)
{
    return copy_element_name(object, kIOUserAudioPropertyElementName, element, scope);
}

kern_return_t
IOUserAudioObjectSetElementCategoryName(IOUserAudioObjectPtr object, IOUserAudioObjectPropertyElement element,
                                        IOUserAudioObjectPropertyScope scope, OSString *name)
{
    return set_element_name(object, kIOUserAudioPropertyElementCategoryName, element, scope, name);
}

OSString *
IOUserAudioObjectGetElementCategoryName(IOUserAudioObjectPtr object, IOUserAudioObjectPropertyElement element,
                                        IOUserAudioObjectPropertyScope scope)
{
    return copy_element_name(object, kIOUserAudioPropertyElementCategoryName, element, scope);
}

kern_return_t
IOUserAudioObjectSetElementNumberName(IOUserAudioObjectPtr object, IOUserAudioObjectPropertyElement element,
                                      IOUserAudioObjectPropertyScope scope, OSString *name)
{
    return set_element_name(object, kIOUserAudioPropertyElementNumberName, element, scope, name);
}

OSString *
IOUserAudioObjectGetElementNumberName(IOUserAudioObjectPtr object, IOUserAudioObjectPropertyElement element,
                                      IOUserAudioObjectPropertyScope scope)
{
    return copy_element_name(object, kIOUserAudioPropertyElementNumberName, element, scope);
}

/* An argument of the work below. */
struct property_change {
    IOUserAudioCustomProperty *property;
    bool add;
};

static kern_return_t
change_custom_property(IOUserAudioObject *object, void *argument)
{
    const struct property_change *const change = argument;
    return change->add ? dx_custom_property_add(object->link, &object->lock, &object->custom_properties,
                                                object->id, change->property)
                       : dx_custom_property_remove(object->link, &object->lock, &object->custom_properties,
                                                   object->id, change->property);
}

kern_return_t
IOUserAudioObjectAddCustomProperty(IOUserAudioObjectPtr object, IOUserAudioCustomProperty *property)
{
    IOUserAudioObject *const o = check(object);
    if (!o)
        return kIOReturnBadArgument;
    if (o->refuses_custom_properties)
        return kIOReturnError;
    return dx_object_run(o, change_custom_property, &(struct property_change){.property = property, .add = true});
}

kern_return_t
IOUserAudioObjectRemoveCustomProperty(IOUserAudioObjectPtr object, IOUserAudioCustomProperty *property)
{
    IOUserAudioObject *const o = check(object);
    if (!o)
        return kIOReturnBadArgument;
    if (o->refuses_custom_properties)
        return kIOReturnError;
    return dx_object_run(o, change_custom_property, &(struct property_change){.property = property, .add = false});
}

uint32_t
dx_object_copy_custom_properties(IOUserAudioObject *object, IOUserAudioCustomProperty **ret_properties,
                                 uint32_t capacity)
{
    dx_mutex_lock(&object->lock);
    const uint32_t count = dx_object_list_copy(&object->custom_properties, ret_properties, capacity);
    dx_mutex_unlock(&object->lock);
    return count;
}
