// SPDX-License-Identifier: MIT
// Properties of the driver's own.

#include "audio/custom_property.h"

#include "audio/object.h"
#include "audio/overrides.h"

struct IOUserAudioCustomProperty {
    struct IOUserAudioObject object;

    /* Fixed by init. */
    IOUserAudioCustomPropertyOverrides overrides;
    IOUserAudioObjectPropertyAddress address;
    IOUserAudioCustomPropertyInfo info;
    bool is_settable;

    /* Written on the work queue, under the object's lock. */
    OSObjectPtr qualifier; // retained; NULL: none
    OSObjectPtr data;      // retained; NULL: no value
};

static void
free_custom_property(OSObjectPtr object)
{
    struct IOUserAudioCustomProperty *const self = object;
    if (self->overrides.free)
        self->overrides.free(self);
    else
        IOUserAudioCustomPropertyFree_super(self);
}

static const OSMetaClass custom_property_class = {
    .name = "IOUserAudioCustomProperty",
    .super = &dx_audio_object_class,
    .instance_bytes = sizeof(struct IOUserAudioCustomProperty),
    .free = free_custom_property,
};
const OSMetaClass *const gIOUserAudioCustomPropertyMetaClass = &custom_property_class;

void
IOUserAudioCustomPropertyFree_super(IOUserAudioCustomProperty *property)
{
    if (!property)
        return;
    OSObjectRelease(property->qualifier);
    OSObjectRelease(property->data);
    dx_audio_object_free(property);
}

IOUserAudioCustomProperty *
IOUserAudioCustomPropertyAlloc(void)
{
    return dx_audio_object_alloc(&custom_property_class);
}

kern_return_t
IOUserAudioCustomPropertySetOverrides(IOUserAudioCustomProperty *property,
                                      const IOUserAudioCustomPropertyOverrides *overrides)
{
    return dx_overrides_set(property, &custom_property_class, property ? &property->overrides : NULL,
                            sizeof property->overrides, overrides);
}

static bool
is_type(IOUserAudioCustomPropertyDataType type)
{
    return type == IOUserAudioCustomPropertyDataTypeNone || type == IOUserAudioCustomPropertyDataTypeString ||
           type == IOUserAudioCustomPropertyDataTypeDictionary;
}

static bool
is_scope(IOUserAudioObjectPropertyScope scope)
{
    return scope == IOUserAudioObjectPropertyScopeGlobal || scope == IOUserAudioObjectPropertyScopeInput ||
           scope == IOUserAudioObjectPropertyScopeOutput || scope == IOUserAudioObjectPropertyScopePlayThrough;
}

bool
IOUserAudioCustomPropertyInit_super(IOUserAudioCustomProperty *property, IOUserAudioDriver *driver,
                                    IOUserAudioObjectPropertyAddress address, bool is_settable,
                                    IOUserAudioCustomPropertyDataType qualifier_type,
                                    IOUserAudioCustomPropertyDataType data_type)
{
    if (!dx_overrides_may_set(property, &custom_property_class) || address.mSelector == 0 ||
        !is_scope(address.mScope) || !is_type(qualifier_type) || !is_type(data_type))
        return false;
    property->address = address;
    property->info = (IOUserAudioCustomPropertyInfo){
        .mSelector = address.mSelector,
        .mPropertyDataType = data_type,
        .mQualifierDataType = qualifier_type,
    };
    property->is_settable = is_settable;
    property->object.refuses_custom_properties = true;
    return dx_audio_object_init(&property->object, driver, IOUserAudioClassIDObject, IOUserAudioClassIDObject);
}

bool
IOUserAudioCustomPropertyInit(IOUserAudioCustomProperty *property, IOUserAudioDriver *driver,
                              IOUserAudioObjectPropertyAddress address, bool is_settable,
                              IOUserAudioCustomPropertyDataType qualifier_type,
                              IOUserAudioCustomPropertyDataType data_type)
{
    if (!dx_overrides_may_set(property, &custom_property_class))
        return false;
    if (property->overrides.init)
        return property->overrides.init(property, driver, address, is_settable, qualifier_type, data_type);
    return IOUserAudioCustomPropertyInit_super(property, driver, address, is_settable, qualifier_type,
                                               data_type);
}

IOUserAudioCustomProperty *
IOUserAudioCustomPropertyCreate(IOUserAudioDriver *driver, IOUserAudioObjectPropertyAddress address,
                                bool is_settable, IOUserAudioCustomPropertyDataType qualifier_type,
                                IOUserAudioCustomPropertyDataType data_type)
{
    IOUserAudioCustomProperty *property = IOUserAudioCustomPropertyAlloc();
    if (property &&
        !IOUserAudioCustomPropertyInit(property, driver, address, is_settable, qualifier_type, data_type))
        OSSafeReleaseNULL(property);
    return property;
}

/* Whether an object is of a declared type; NULL is what None stands for. */
static bool
is_of_type(OSObjectPtr object, IOUserAudioCustomPropertyDataType type)
{
    switch (type) {
    case IOUserAudioCustomPropertyDataTypeString:
        return OSDynamicCast(OSString, object) != NULL;
    case IOUserAudioCustomPropertyDataTypeDictionary:
        return OSDynamicCast(OSDictionary, object) != NULL;
    default:
        return object == NULL;
    }
}

/* A qualifier and a value on their way to the work queue. */
struct pair {
    OSObjectPtr qualifier;
    OSObjectPtr data;
};

static kern_return_t
store(IOUserAudioObject *object, void *argument)
{
    IOUserAudioCustomProperty *const property = (IOUserAudioCustomProperty *)object;
    const struct pair *const new = argument;
    OSObjectRetain(new->qualifier);
    OSObjectRetain(new->data);
    dx_mutex_lock(&object->lock);
    const struct pair old = {property->qualifier, property->data};
    property->qualifier = new->qualifier;
    property->data = new->data;
    dx_mutex_unlock(&object->lock);
    OSObjectRelease(old.qualifier);
    OSObjectRelease(old.data);
    return kIOReturnSuccess;
}

kern_return_t
IOUserAudioCustomPropertySetQualifierAndDataValue(IOUserAudioCustomProperty *property, OSObjectPtr qualifier,
                                                  OSObjectPtr data)
{
    if (!dx_audio_object_is(property, &custom_property_class) ||
        (qualifier && !is_of_type(qualifier, property->info.mQualifierDataType)) ||
        (data && !is_of_type(data, property->info.mPropertyDataType)))
        return kIOReturnBadArgument;
    return dx_object_run(&property->object, store, &(struct pair){qualifier, data});
}

kern_return_t
IOUserAudioCustomPropertyGetCustomPropertyValueWithQualifier_super(IOUserAudioCustomProperty *property,
                                                                   OSObjectPtr qualifier,
                                                                   OSObjectPtr *ret_value)
{
    (void)qualifier; // one value, whatever is asked for
    if (!dx_audio_object_is(property, &custom_property_class) || !ret_value)
        return kIOReturnBadArgument;
    dx_mutex_lock(&property->object.lock);
    const OSObjectPtr data = OSObjectRetain(property->data);
    dx_mutex_unlock(&property->object.lock);
    if (!data)
        return kIOReturnNotFound;
    *ret_value = data;
    return kIOReturnSuccess;
}

kern_return_t
IOUserAudioCustomPropertyGetCustomPropertyValueWithQualifier(IOUserAudioCustomProperty *property,
                                                             OSObjectPtr qualifier, OSObjectPtr *ret_value)
{
    if (!dx_audio_object_is(property, &custom_property_class) || !ret_value)
        return kIOReturnBadArgument;
    if (property->overrides.GetCustomPropertyValueWithQualifier)
        return property->overrides.GetCustomPropertyValueWithQualifier(property, qualifier, ret_value);
    return IOUserAudioCustomPropertyGetCustomPropertyValueWithQualifier_super(property, qualifier, ret_value);
}

kern_return_t
IOUserAudioCustomPropertyHandleChangeCustomPropertyDataValueWithQualifier_super(
    IOUserAudioCustomProperty *property, OSObjectPtr qualifier, OSObjectPtr data)
{
    if (!dx_audio_object_is(property, &custom_property_class))
        return kIOReturnBadArgument;
    return dx_object_run(&property->object, store, &(struct pair){qualifier, data});
}

kern_return_t
IOUserAudioCustomPropertyHandleChangeCustomPropertyDataValueWithQualifier(IOUserAudioCustomProperty *property,
                                                                          OSObjectPtr qualifier,
                                                                          OSObjectPtr data)
{
    if (!dx_audio_object_is(property, &custom_property_class))
        return kIOReturnBadArgument;
    if (property->overrides.HandleChangeCustomPropertyDataValueWithQualifier)
        return property->overrides.HandleChangeCustomPropertyDataValueWithQualifier(property, qualifier, data);
    return IOUserAudioCustomPropertyHandleChangeCustomPropertyDataValueWithQualifier_super(property, qualifier,
                                                                                           data);
}

IOUserAudioCustomPropertyInfo
IOUserAudioCustomPropertyGetCustomPropertyInfo(IOUserAudioCustomProperty *property)
{
    if (!dx_audio_object_is(property, &custom_property_class))
        return (IOUserAudioCustomPropertyInfo){0, 0, 0};
    return property->info;
}

IOUserAudioObjectPropertyAddress
dx_custom_property_address(IOUserAudioCustomProperty *property)
{
    if (!dx_audio_object_is(property, &custom_property_class))
        return (IOUserAudioObjectPropertyAddress){0, 0, 0};
    return property->address;
}

bool
dx_custom_property_is_settable(IOUserAudioCustomProperty *property)
{
    return dx_audio_object_is(property, &custom_property_class) && property->is_settable;
}

/* A deep copy, through bytes as it would cross to another process; NULL for NULL. */
static kern_return_t
copy_across(OSObjectPtr object, OSObjectPtr *ret_copy)
{
    OSObjectPtr copy = NULL;
    if (object) {
        OSData *const bytes = OSSerializationCreateFromObject(object);
        if (bytes)
            copy = OSSerializationCopyObject(OSDataGetBytesNoCopy(bytes), OSDataGetLength(bytes));
        OSObjectRelease(bytes);
        if (!copy)
            return kIOReturnNoMemory;
    }
    *ret_copy = copy;
    return kIOReturnSuccess;
}

/* On the work queue, where the driver changes what it stored: the copy is of one moment. */
static kern_return_t
copy_value(IOUserAudioObject *object, void *argument)
{
    IOUserAudioCustomProperty *const property = (IOUserAudioCustomProperty *)object;
    struct pair *const asked = argument;
    OSObjectPtr value = NULL;
    kern_return_t status =
        IOUserAudioCustomPropertyGetCustomPropertyValueWithQualifier(property, asked->qualifier, &value);
    if (status != kIOReturnSuccess)
        return status;
    if (is_of_type(value, property->info.mPropertyDataType))
        status = copy_across(value, &asked->data);
    else
        status = kIOReturnInternalError;
    OSObjectRelease(value);
    return status;
}

kern_return_t
dx_custom_property_copy_value(IOUserAudioCustomProperty *property, OSObjectPtr qualifier,
                              OSObjectPtr *ret_value)
{
    if (!dx_audio_object_is(property, &custom_property_class) || !ret_value ||
        !is_of_type(qualifier, property->info.mQualifierDataType))
        return kIOReturnBadArgument;
    if (property->info.mPropertyDataType == IOUserAudioCustomPropertyDataTypeNone)
        return kIOReturnUnsupported;
    struct pair asked = {NULL, NULL};
    kern_return_t status = copy_across(qualifier, &asked.qualifier);
    if (status != kIOReturnSuccess)
        return status;
    status = dx_object_run(&property->object, copy_value, &asked);
    OSObjectRelease(asked.qualifier);
    if (status == kIOReturnSuccess)
        *ret_value = asked.data;
    return status;
}

static kern_return_t
set_value(IOUserAudioObject *object, void *argument)
{
    IOUserAudioCustomProperty *const property = (IOUserAudioCustomProperty *)object;
    const struct pair *const wanted = argument;
    const kern_return_t status = IOUserAudioCustomPropertyHandleChangeCustomPropertyDataValueWithQualifier(
        property, wanted->qualifier, wanted->data);
    const IOUserAudioObjectID owner = IOUserAudioObjectGetOwnerObjectID(property);
    if (status == kIOReturnSuccess && owner != kIOUserAudioObjectIDUnknown)
        dx_driver_link_notify(object->link, owner, &property->address.mSelector, 1);
    return status;
}

kern_return_t
dx_custom_property_set_value(IOUserAudioCustomProperty *property, OSObjectPtr qualifier, OSObjectPtr data)
{
    if (!dx_audio_object_is(property, &custom_property_class))
        return kIOReturnBadArgument;
    if (!property->is_settable)
        return kIOReturnNotPermitted;
    if (!is_of_type(qualifier, property->info.mQualifierDataType) ||
        !is_of_type(data, property->info.mPropertyDataType))
        return kIOReturnBadArgument;
    struct pair wanted = {NULL, NULL};
    kern_return_t status = copy_across(qualifier, &wanted.qualifier);
    if (status == kIOReturnSuccess)
        status = copy_across(data, &wanted.data);
    if (status == kIOReturnSuccess)
        status = dx_object_run(&property->object, set_value, &wanted);
    OSObjectRelease(wanted.qualifier);
    OSObjectRelease(wanted.data);
    return status;
}
