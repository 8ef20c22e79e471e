// SPDX-License-Identifier: MIT
// All of the emulated interface: what a driver includes.

#ifndef DEXTRAL_AUDIODRIVERKIT_H
#define DEXTRAL_AUDIODRIVERKIT_H

#include <dextral/AudioDriverKitTypes.h>
#include <dextral/IODispatchQueue.h>
#include <dextral/IOMemoryDescriptor.h>
#include <dextral/IOService.h>
#include <dextral/IOTimerDispatchSource.h>
#include <dextral/IOUserAudioBooleanControl.h>
#include <dextral/IOUserAudioBox.h>
#include <dextral/IOUserAudioClockDevice.h>
#include <dextral/IOUserAudioControl.h>
#include <dextral/IOUserAudioCustomProperty.h>
#include <dextral/IOUserAudioDevice.h>
#include <dextral/IOUserAudioDriver.h>
#include <dextral/IOUserAudioLevelControl.h>
#include <dextral/IOUserAudioObject.h>
#include <dextral/IOUserAudioSelectorControl.h>
#include <dextral/IOUserAudioSliderControl.h>
#include <dextral/IOUserAudioStereoPanControl.h>
#include <dextral/IOUserAudioStream.h>
#include <dextral/IOUserClient.h>
#include <dextral/OSAction.h>
#include <dextral/OSObject.h>
#include <dextral/base.h>

#endif /* DEXTRAL_AUDIODRIVERKIT_H */
