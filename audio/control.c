// SPDX-License-Identifier: MIT
// What all controls have in common.

#include "audio/control.h"

const OSMetaClass dx_control_class = {
    .name = "IOUserAudioControl",
    .super = &dx_audio_object_class,
    .instance_bytes = sizeof(struct IOUserAudioControl),
};
const OSMetaClass *const gIOUserAudioControlMetaClass = &dx_control_class;

/* Which class ids each kind of control has; the first of a kind is the base class of the others. */
static const struct {
    enum dx_control_kind kind;
    IOUserAudioClassID class_id;
} class_ids[] = {
    {DX_CONTROL_BOOLEAN, IOUserAudioClassIDBooleanControl},
    {DX_CONTROL_BOOLEAN, IOUserAudioClassIDMuteControl},
    {DX_CONTROL_BOOLEAN, IOUserAudioClassIDSoloControl},
    {DX_CONTROL_BOOLEAN, IOUserAudioClassIDJackControl},
    {DX_CONTROL_BOOLEAN, IOUserAudioClassIDLFEMuteControl},
    {DX_CONTROL_BOOLEAN, IOUserAudioClassIDPhantomPowerControl},
    {DX_CONTROL_BOOLEAN, IOUserAudioClassIDPhaseInvertControl},
    {DX_CONTROL_BOOLEAN, IOUserAudioClassIDClipLightControl},
    {DX_CONTROL_BOOLEAN, IOUserAudioClassIDTalkbackControl},
    {DX_CONTROL_BOOLEAN, IOUserAudioClassIDListenbackControl},
    {DX_CONTROL_SLIDER, IOUserAudioClassIDSliderControl},
    {DX_CONTROL_LEVEL, IOUserAudioClassIDLevelControl},
    {DX_CONTROL_LEVEL, IOUserAudioClassIDVolumeControl},
    {DX_CONTROL_LEVEL, IOUserAudioClassIDLFEVolumeControl},
    {DX_CONTROL_SELECTOR, IOUserAudioClassIDSelectorControl},
    {DX_CONTROL_SELECTOR, IOUserAudioClassIDDataSourceControl},
    {DX_CONTROL_SELECTOR, IOUserAudioClassIDDataDestinationControl},
    {DX_CONTROL_SELECTOR, IOUserAudioClassIDClockSourceControl},
    {DX_CONTROL_SELECTOR, IOUserAudioClassIDLineLevelControl},
    {DX_CONTROL_SELECTOR, IOUserAudioClassIDHighPassFilterControl},
    {DX_CONTROL_STEREO_PAN, IOUserAudioClassIDStereoPanControl},
};

/* The class above a class id: 'actl' for the first of its kind, that first one for the others, 0 for none. */
static IOUserAudioClassID
base_of(enum dx_control_kind kind, IOUserAudioClassID class_id)
{
    IOUserAudioClassID first = 0;
    for (size_t i = 0; i < sizeof class_ids / sizeof class_ids[0]; i++) {
        if (class_ids[i].kind != kind)
            continue;
        if (class_ids[i].class_id == class_id)
            return first ? first : IOUserAudioClassIDControl;
        if (!first)
            first = class_ids[i].class_id;
    }
    return 0;
}

static bool
is_scope(IOUserAudioObjectPropertyScope scope)
{
    return scope == IOUserAudioObjectPropertyScopeGlobal || scope == IOUserAudioObjectPropertyScopeInput ||
           scope == IOUserAudioObjectPropertyScopeOutput || scope == IOUserAudioObjectPropertyScopePlayThrough;
}

bool
dx_control_init(IOUserAudioControlPtr control, IOUserAudioDriver *driver, enum dx_control_kind kind,
                bool is_settable, IOUserAudioObjectPropertyElement element,
                IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id)
{
    const IOUserAudioClassID base_class_id = base_of(kind, class_id);
    if (!base_class_id || !is_scope(scope))
        return false;
    struct IOUserAudioControl *const self = control;
    self->kind = kind;
    self->is_settable = is_settable;
    self->element = element;
    self->scope = scope;
    return dx_audio_object_init(control, driver, class_id, base_class_id);
}

bool
IOUserAudioControlGetIsSettable(IOUserAudioControlPtr control)
{
    const struct IOUserAudioControl *const self = control;
    return dx_audio_object_is(control, &dx_control_class) && self->is_settable;
}

IOUserAudioObjectPropertyElement
IOUserAudioControlGetControlElement(IOUserAudioControlPtr control)
{
    const struct IOUserAudioControl *const self = control;
    return dx_audio_object_is(control, &dx_control_class) ? self->element
                                                          : IOUserAudioObjectPropertyElementMain;
}

IOUserAudioObjectPropertyScope
IOUserAudioControlGetControlScope(IOUserAudioControlPtr control)
{
    const struct IOUserAudioControl *const self = control;
    return dx_audio_object_is(control, &dx_control_class) ? self->scope : 0;
}
