// SPDX-License-Identifier: MIT
// A box: what it carries, whether it is acquired, and which devices are in it.

#include "audio/box.h"

#include "audio/overrides.h"

#include <stdlib.h>
#include <string.h>

#define DEVICES_AT_MOST 1024u

static void free_box(OSObjectPtr object);

static const OSMetaClass box_class = {
    .name = "IOUserAudioBox",
    .super = &dx_audio_object_class,
    .instance_bytes = sizeof(struct IOUserAudioBox),
    .free = free_box,
};
const OSMetaClass *const gIOUserAudioBoxMetaClass = &box_class;

static DX_REALTIME IOUserAudioBox *
check(IOUserAudioBox *box)
{
    return dx_audio_object_is(box, &box_class) ? box : NULL;
}

/* Life. */

IOUserAudioBox *
IOUserAudioBoxAlloc(void)
{
    IOUserAudioBox *const box = dx_audio_object_alloc(&box_class);
    if (box)
        atomic_init(&box->has_audio, true);
    return box;
}

kern_return_t
IOUserAudioBoxSetOverrides(IOUserAudioBox *box, const IOUserAudioBoxOverrides *overrides)
{
    return dx_overrides_set(box, &box_class, box ? &box->overrides : NULL, sizeof box->overrides, overrides);
}

bool
IOUserAudioBoxInit_super(IOUserAudioBox *box, IOUserAudioDriver *driver, bool is_acquirable, OSString *box_uid)
{
    if (!dx_overrides_may_set(box, &box_class) || box->uid || !dx_is_identifier(box_uid))
        return false;
    box->uid = OSObjectRetain(box_uid);
    atomic_init(&box->is_acquirable, is_acquirable);
    atomic_init(&box->is_acquired, !is_acquirable);
    return dx_audio_object_init(&box->object, driver, IOUserAudioClassIDBox, IOUserAudioClassIDObject);
}

bool
IOUserAudioBoxInit(IOUserAudioBox *box, IOUserAudioDriver *driver, bool is_acquirable, OSString *box_uid)
{
    if (!OSObjectIsKindOf(box, &box_class))
        return false;
    if (!box->overrides.init)
        return IOUserAudioBoxInit_super(box, driver, is_acquirable, box_uid);
    return box->overrides.init(box, driver, is_acquirable, box_uid) && check(box);
}

IOUserAudioBox *
IOUserAudioBoxCreate(IOUserAudioDriver *driver, bool is_acquirable, OSString *box_uid)
{
    IOUserAudioBox *const box = IOUserAudioBoxAlloc();
    if (box && IOUserAudioBoxInit(box, driver, is_acquirable, box_uid))
        return box;
    OSObjectRelease(box);
    return NULL;
}

void
IOUserAudioBoxFree_super(IOUserAudioBox *box)
{
    if (!OSObjectIsKindOf(box, &box_class))
        return;
    free(box->devices.ids);
    free(box->clock_devices.ids);
    OSObjectRelease(box->uid);
    dx_audio_object_free(box);
}

static void
free_box(OSObjectPtr object)
{
    IOUserAudioBox *const box = object;
    if (box->overrides.free)
        box->overrides.free(box);
    else
        IOUserAudioBoxFree_super(box);
}

kern_return_t
IOUserAudioBoxHandleChangeAcquireBox_super(IOUserAudioBox *box, bool is_acquired)
{
    if (!check(box))
        return kIOReturnBadArgument;
    return IOUserAudioBoxIsAcquirable(box) ? IOUserAudioBoxSetIsAcquired(box, is_acquired) : kIOReturnUnsupported;
}

kern_return_t
IOUserAudioBoxHandleChangeAcquireBox(IOUserAudioBox *box, bool is_acquired)
{
    if (!check(box))
        return kIOReturnBadArgument;
    return box->overrides.HandleChangeAcquireBox ? box->overrides.HandleChangeAcquireBox(box, is_acquired)
                                                 : IOUserAudioBoxHandleChangeAcquireBox_super(box, is_acquired);
}

/* Devices. */

/* Where an id is, or the count. */
static uint32_t
find_id(const struct dx_id_list *list, IOUserAudioObjectID id)
{
    uint32_t i = 0;
    while (i < list->count && list->ids[i] != id)
        i++;
    return i;
}

static kern_return_t
append_id(struct dx_id_list *list, IOUserAudioObjectID id)
{
    if (find_id(list, id) < list->count)
        return kIOReturnExclusiveAccess;
    if (list->count == DEVICES_AT_MOST)
        return kIOReturnNoResources;
    if (list->count == list->capacity) {
        const uint32_t capacity = list->capacity ? 2 * list->capacity : 4;
        IOUserAudioObjectID *const ids = realloc(list->ids, capacity * sizeof *ids);
        if (!ids)
            return kIOReturnNoMemory;
        list->ids = ids;
        list->capacity = capacity;
    }
    list->ids[list->count++] = id;
    return kIOReturnSuccess;
}

static kern_return_t
remove_id(struct dx_id_list *list, IOUserAudioObjectID id)
{
    const uint32_t i = find_id(list, id);
    if (i == list->count)
        return kIOReturnNotFound;
    list->count--;
    memmove(&list->ids[i], &list->ids[i + 1], (list->count - i) * sizeof *list->ids);
    return kIOReturnSuccess;
}

struct id_change {
    struct dx_id_list *list;
    IOUserAudioObjectID id;
    kern_return_t (*change)(struct dx_id_list *list, IOUserAudioObjectID id);
    IOUserAudioObjectPropertySelector selector;
};

static kern_return_t
change_ids(IOUserAudioObject *object, void *argument)
{
    const struct id_change *const change = argument;
    dx_mutex_lock(&object->lock);
    const kern_return_t status = change->change(change->list, change->id);
    dx_mutex_unlock(&object->lock);
    if (status == kIOReturnSuccess)
        dx_object_notify_one(object, change->selector);
    return status;
}

static kern_return_t
change_devices(IOUserAudioBox *box, OSObjectPtr device,
               kern_return_t (*change)(struct dx_id_list *list, IOUserAudioObjectID id))
{
    if (!check(box) || !dx_audio_object_is(device, gIOUserAudioDeviceMetaClass) ||
        ((const IOUserAudioObject *)device)->link != box->object.link)
        return kIOReturnBadArgument;
    return dx_object_run(&box->object, change_ids,
                         &(struct id_change){.list = &box->devices,
                                             .id = ((const IOUserAudioObject *)device)->id,
                                             .change = change,
                                             .selector = kIOUserAudioPropertyBoxDeviceList});
}

static kern_return_t
change_clock_devices(IOUserAudioBox *box, OSObjectPtr device,
                     kern_return_t (*change)(struct dx_id_list *list, IOUserAudioObjectID id))
{
    if (!check(box) || !dx_audio_object_is(device, gIOUserAudioClockDeviceMetaClass) ||
        OSObjectIsKindOf(device, gIOUserAudioDeviceMetaClass) ||
        ((const IOUserAudioObject *)device)->link != box->object.link)
        return kIOReturnBadArgument;
    return dx_object_run(&box->object, change_ids,
                         &(struct id_change){.list = &box->clock_devices,
                                             .id = ((const IOUserAudioObject *)device)->id,
                                             .change = change,
                                             .selector = kIOUserAudioPropertyBoxClockDeviceList});
}

kern_return_t
IOUserAudioBoxAddDevice(IOUserAudioBox *box, IOUserAudioDevice *device)
{
    return change_devices(box, device, append_id);
}

kern_return_t
IOUserAudioBoxRemoveDevice(IOUserAudioBox *box, IOUserAudioDevice *device)
{
    return change_devices(box, device, remove_id);
}

kern_return_t
IOUserAudioBoxAddClockDevice(IOUserAudioBox *box, IOUserAudioClockDevice *device)
{
    return change_clock_devices(box, device, append_id);
}

kern_return_t
IOUserAudioBoxRemoveClockDevice(IOUserAudioBox *box, IOUserAudioClockDevice *device)
{
    return change_clock_devices(box, device, remove_id);
}

static uint32_t
copy_ids(IOUserAudioBox *box, const struct dx_id_list *list, IOUserAudioObjectID *ret_ids, uint32_t capacity)
{
    dx_mutex_lock(&box->object.lock);
    const uint32_t count = list->count;
    for (uint32_t i = 0; i < count && i < capacity; i++)
        ret_ids[i] = list->ids[i];
    dx_mutex_unlock(&box->object.lock);
    return count;
}

uint32_t
dx_box_copy_device_ids(IOUserAudioBox *box, IOUserAudioObjectID *ret_ids, uint32_t capacity)
{
    return check(box) ? copy_ids(box, &box->devices, ret_ids, capacity) : 0;
}

uint32_t
dx_box_copy_clock_device_ids(IOUserAudioBox *box, IOUserAudioObjectID *ret_ids, uint32_t capacity)
{
    return check(box) ? copy_ids(box, &box->clock_devices, ret_ids, capacity) : 0;
}

/* Values. */

OSString *
IOUserAudioBoxGetUID(IOUserAudioBox *box)
{
    return check(box) ? OSObjectRetain(box->uid) : NULL;
}

kern_return_t
IOUserAudioBoxSetTransportType(IOUserAudioBox *box, IOUserAudioTransportType transport_type)
{
    if (!check(box) || !dx_is_transport_type(transport_type))
        return kIOReturnBadArgument;
    return dx_object_set_u32(&box->object, &box->transport_type, transport_type,
                             kIOUserAudioPropertyTransportType);
}

IOUserAudioTransportType
IOUserAudioBoxGetTransportType(IOUserAudioBox *box)
{
    return check(box) ? dx_object_get_u32(&box->transport_type) : (uint32_t)IOUserAudioTransportTypeUnknown;
}

kern_return_t
IOUserAudioBoxSetAcquisitionFailure(IOUserAudioBox *box, kern_return_t failure)
{
    return check(box) ? dx_object_set_u32(&box->object, &box->acquisition_failure, (uint32_t)failure,
                                          kIOUserAudioPropertyBoxAcquisitionFailed)
                      : kIOReturnBadArgument;
}

kern_return_t
IOUserAudioBoxGetAcquisitionFailure(IOUserAudioBox *box)
{
    return check(box) ? (kern_return_t)dx_object_get_u32(&box->acquisition_failure) : kIOReturnSuccess;
}

kern_return_t
IOUserAudioBoxSetHasAudio(IOUserAudioBox *box, bool has_audio)
{
    return check(box)
               ? dx_object_set_u32(&box->object, &box->has_audio, has_audio, kIOUserAudioPropertyBoxHasAudio)
               : kIOReturnBadArgument;
}

bool
IOUserAudioBoxHasAudio(IOUserAudioBox *box)
{
    return check(box) && dx_object_get_u32(&box->has_audio);
}

kern_return_t
IOUserAudioBoxSetHasVideo(IOUserAudioBox *box, bool has_video)
{
    return check(box)
               ? dx_object_set_u32(&box->object, &box->has_video, has_video, kIOUserAudioPropertyBoxHasVideo)
               : kIOReturnBadArgument;
}

bool
IOUserAudioBoxHasVideo(IOUserAudioBox *box)
{
    return check(box) && dx_object_get_u32(&box->has_video);
}

kern_return_t
IOUserAudioBoxSetHasMIDI(IOUserAudioBox *box, bool has_midi)
{
    return check(box) ? dx_object_set_u32(&box->object, &box->has_midi, has_midi, kIOUserAudioPropertyBoxHasMIDI)
                      : kIOReturnBadArgument;
}

bool
IOUserAudioBoxHasMIDI(IOUserAudioBox *box)
{
    return check(box) && dx_object_get_u32(&box->has_midi);
}

kern_return_t
IOUserAudioBoxSetIsProtected(IOUserAudioBox *box, bool is_protected)
{
    return check(box) ? dx_object_set_u32(&box->object, &box->is_protected, is_protected,
                                          kIOUserAudioPropertyBoxIsProtected)
                      : kIOReturnBadArgument;
}

bool
IOUserAudioBoxIsProtected(IOUserAudioBox *box)
{
    return check(box) && dx_object_get_u32(&box->is_protected);
}

kern_return_t
IOUserAudioBoxSetIsAcquired(IOUserAudioBox *box, bool is_acquired)
{
    return check(box)
               ? dx_object_set_u32(&box->object, &box->is_acquired, is_acquired, kIOUserAudioPropertyBoxAcquired)
               : kIOReturnBadArgument;
}

bool
IOUserAudioBoxIsAcquired(IOUserAudioBox *box)
{
    return check(box) && dx_object_get_u32(&box->is_acquired);
}

kern_return_t
IOUserAudioBoxSetIsAcquirable(IOUserAudioBox *box, bool is_acquirable)
{
    return check(box) ? dx_object_set_u32(&box->object, &box->is_acquirable, is_acquirable,
                                          kIOUserAudioPropertyBoxAcquired)
                      : kIOReturnBadArgument;
}

bool
IOUserAudioBoxIsAcquirable(IOUserAudioBox *box)
{
    return check(box) && dx_object_get_u32(&box->is_acquirable);
}
