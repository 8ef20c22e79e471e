// SPDX-License-Identifier: MIT
// Types and constants of the emulated audio classes.
//
// Spelled like AudioDriverKit's; a scoped enumerator `IOUserAudioClassID::Device` is IOUserAudioClassIDDevice.
// The types are integers of Apple's widths, not enums, so that values cross a border with a fixed size and
// an unknown one is only a number.

#ifndef DEXTRAL_AUDIODRIVERKITTYPES_H
#define DEXTRAL_AUDIODRIVERKITTYPES_H

#include <dextral/OSObject.h>

DX_BEGIN_DECLS

/** Four characters as one number, the first in the highest byte: 'l', 'p', 'c', 'm' is 0x6C70636D. */
#define DX_FOURCC(a, b, c, d)                                                            \
    ((uint32_t)(uint8_t)(a) << 24 | (uint32_t)(uint8_t)(b) << 16 | (uint32_t)(uint8_t)(c) << 8 | \
     (uint32_t)(uint8_t)(d))

/** The user client type that the host opens a driver with: 'CAud'. */
#define kIOUserAudioDriverUserClientType DX_FOURCC('C', 'A', 'u', 'd')

/* Identity of objects. */

/** Number of an object within its driver. */
typedef uint32_t IOUserAudioObjectID;


enum {
    kIOUserAudioObjectIDUnknown = 0, ///< no object
    kIOUserAudioObjectIDDriver = 1,  ///< the driver itself, always
};

/** What an object is: one of IOUserAudioClassID... */
typedef uint32_t IOUserAudioClassID;

enum {
    IOUserAudioClassIDObject = DX_FOURCC('a', 'o', 'b', 'j'),                 ///< base class of all but the driver
    IOUserAudioClassIDDriver = DX_FOURCC('a', 'p', 'l', 'g'),                 ///< driver
    IOUserAudioClassIDBox = DX_FOURCC('a', 'b', 'o', 'x'),                    ///< box: devices that come and go together
    IOUserAudioClassIDClock = DX_FOURCC('a', 'c', 'l', 'k'),                  ///< clock device: a time base without streams
    IOUserAudioClassIDDevice = DX_FOURCC('a', 'd', 'e', 'v'),                 ///< device
    IOUserAudioClassIDStream = DX_FOURCC('a', 's', 't', 'r'),                 ///< stream
    IOUserAudioClassIDControl = DX_FOURCC('a', 'c', 't', 'l'),                ///< base class of controls
    IOUserAudioClassIDSliderControl = DX_FOURCC('s', 'l', 'd', 'r'),          ///< slider: an integer in a range
    IOUserAudioClassIDLevelControl = DX_FOURCC('l', 'e', 'v', 'l'),           ///< level: decibels in a range
    IOUserAudioClassIDVolumeControl = DX_FOURCC('v', 'l', 'm', 'e'),          ///< level that is the volume
    IOUserAudioClassIDLFEVolumeControl = DX_FOURCC('s', 'u', 'b', 'v'),       ///< level that is the volume of the low-frequency channel
    IOUserAudioClassIDBooleanControl = DX_FOURCC('t', 'o', 'g', 'l'),         ///< switch
    IOUserAudioClassIDMuteControl = DX_FOURCC('m', 'u', 't', 'e'),            ///< switch: true is silent
    IOUserAudioClassIDSoloControl = DX_FOURCC('s', 'o', 'l', 'o'),            ///< switch: true lets only this element be heard
    IOUserAudioClassIDJackControl = DX_FOURCC('j', 'a', 'c', 'k'),            ///< switch: true while something is plugged in
    IOUserAudioClassIDLFEMuteControl = DX_FOURCC('s', 'u', 'b', 'm'),         ///< switch: true silences the low-frequency channel
    IOUserAudioClassIDPhantomPowerControl = DX_FOURCC('p', 'h', 'a', 'n'),    ///< switch: phantom power
    IOUserAudioClassIDPhaseInvertControl = DX_FOURCC('p', 'h', 's', 'i'),     ///< switch: inverted polarity
    IOUserAudioClassIDClipLightControl = DX_FOURCC('c', 'l', 'i', 'p'),       ///< switch: true after the signal clipped, until reset
    IOUserAudioClassIDTalkbackControl = DX_FOURCC('t', 'a', 'l', 'b'),        ///< switch: talkback
    IOUserAudioClassIDListenbackControl = DX_FOURCC('l', 's', 'n', 'b'),      ///< switch: listenback
    IOUserAudioClassIDSelectorControl = DX_FOURCC('s', 'l', 'c', 't'),        ///< choice among items
    IOUserAudioClassIDDataSourceControl = DX_FOURCC('d', 's', 'r', 'c'),      ///< selector: where input comes from
    IOUserAudioClassIDDataDestinationControl = DX_FOURCC('d', 'e', 's', 't'), ///< selector: where output goes
    IOUserAudioClassIDClockSourceControl = DX_FOURCC('c', 'l', 'c', 'k'),     ///< selector: where the clock comes from
    IOUserAudioClassIDLineLevelControl = DX_FOURCC('n', 'l', 'v', 'l'),       ///< selector: nominal line level
    IOUserAudioClassIDHighPassFilterControl = DX_FOURCC('h', 'i', 'p', 'f'),  ///< selector: high-pass filter
    IOUserAudioClassIDStereoPanControl = DX_FOURCC('s', 'p', 'a', 'n'),       ///< position between two channels
};

/* Properties. */

/** Which property: a four-character code, one of kIOUserAudioProperty... or of the driver's own. */
typedef uint32_t IOUserAudioObjectPropertySelector;

/** The side of an object that a property is of: one of IOUserAudioObjectPropertyScope... */
typedef uint32_t IOUserAudioObjectPropertyScope;

enum {
    IOUserAudioObjectPropertyScopeGlobal = DX_FOURCC('g', 'l', 'o', 'b'),      ///< the object as a whole
    IOUserAudioObjectPropertyScopeInput = DX_FOURCC('i', 'n', 'p', 't'),       ///< its input side
    IOUserAudioObjectPropertyScopeOutput = DX_FOURCC('o', 'u', 't', 'p'),      ///< its output side
    IOUserAudioObjectPropertyScopePlayThrough = DX_FOURCC('p', 't', 'r', 'u'), ///< input heard directly at the output
};

/** The channel that a property is of: 1 ... n, or IOUserAudioObjectPropertyElementMain. */
typedef uint32_t IOUserAudioObjectPropertyElement;

enum {
    IOUserAudioObjectPropertyElementMain = 0, ///< all of the scope
};

/** Where a property is found. */
typedef struct IOUserAudioObjectPropertyAddress {
    IOUserAudioObjectPropertySelector mSelector; ///< which property
    IOUserAudioObjectPropertyScope mScope;       ///< of which side
    IOUserAudioObjectPropertyElement mElement;   ///< of which channel
} IOUserAudioObjectPropertyAddress;

/** Type of a custom property's value: one of IOUserAudioCustomPropertyDataType... */
typedef uint32_t IOUserAudioCustomPropertyDataType;

enum {
    IOUserAudioCustomPropertyDataTypeNone = 0,                                   ///< no value
    IOUserAudioCustomPropertyDataTypeString = DX_FOURCC('c', 'f', 's', 't'),     ///< OSString
    IOUserAudioCustomPropertyDataTypeDictionary = DX_FOURCC('p', 'l', 's', 't'), ///< OSDictionary
};

/** What a custom property holds. */
typedef struct IOUserAudioCustomPropertyInfo {
    IOUserAudioObjectPropertySelector mSelector;          ///< which property
    IOUserAudioCustomPropertyDataType mPropertyDataType;  ///< type of the value
    IOUserAudioCustomPropertyDataType mQualifierDataType; ///< type of the qualifier; None: it takes none
} IOUserAudioCustomPropertyInfo;

/** Properties of any object. */
enum {
    kIOUserAudioPropertyBaseClass = DX_FOURCC('b', 'c', 'l', 's'),              ///< class ID of its base class
    kIOUserAudioPropertyClass = DX_FOURCC('c', 'l', 'a', 's'),                  ///< class ID
    kIOUserAudioPropertyOwner = DX_FOURCC('s', 't', 'd', 'v'),                  ///< object ID of its owner
    kIOUserAudioPropertyName = DX_FOURCC('l', 'n', 'a', 'm'),                   ///< name to show
    kIOUserAudioPropertyManufacturer = DX_FOURCC('l', 'm', 'a', 'k'),           ///< maker to show
    kIOUserAudioPropertyElementName = DX_FOURCC('l', 'c', 'h', 'n'),            ///< name of an element
    kIOUserAudioPropertyElementCategoryName = DX_FOURCC('l', 'c', 'c', 'n'),    ///< category of an element
    kIOUserAudioPropertyElementNumberName = DX_FOURCC('l', 'c', 'n', 'n'),      ///< number of an element, as text
    kIOUserAudioPropertyOwnedObjects = DX_FOURCC('o', 'w', 'n', 'd'),           ///< object IDs owned
    kIOUserAudioPropertyCustomPropertyInfoList = DX_FOURCC('c', 'u', 's', 't'), ///< IOUserAudioCustomPropertyInfo of each custom property
};

/** Properties of the driver. */
enum {
    kIOUserAudioPropertyDeviceList = DX_FOURCC('d', 'e', 'v', '#'),      ///< object IDs of its devices
    kIOUserAudioPropertyBoxList = DX_FOURCC('b', 'o', 'x', '#'),         ///< object IDs of its boxes
    kIOUserAudioPropertyClockDeviceList = DX_FOURCC('c', 'l', 'k', '#'), ///< object IDs of its clock devices
};

/** Properties of devices and clock devices. */
enum {
    kIOUserAudioPropertyDeviceUID = DX_FOURCC('u', 'i', 'd', ' '),                      ///< identifier that stays the same over restarts
    kIOUserAudioPropertyModelUID = DX_FOURCC('m', 'u', 'i', 'd'),                       ///< identifier that all devices of a model share
    kIOUserAudioPropertyTransportType = DX_FOURCC('t', 'r', 'a', 'n'),                  ///< IOUserAudioTransportType
    kIOUserAudioPropertyClockDomain = DX_FOURCC('c', 'l', 'k', 'd'),                    ///< same number, same clock; 0 matches none
    kIOUserAudioPropertyDeviceIsAlive = DX_FOURCC('l', 'i', 'v', 'n'),                  ///< 1 unless it is broken or gone
    kIOUserAudioPropertyDeviceIsRunning = DX_FOURCC('g', 'o', 'i', 'n'),                ///< 1 while IO runs
    kIOUserAudioPropertyDeviceCanBeDefaultDevice = DX_FOURCC('d', 'f', 'l', 't'),       ///< 1 if it may become the default of its scope
    kIOUserAudioPropertyDeviceCanBeDefaultSystemDevice = DX_FOURCC('s', 'f', 'l', 't'), ///< 1 if it may play system sounds
    kIOUserAudioPropertyLatency = DX_FOURCC('l', 't', 'n', 'c'),                        ///< frames from ring to converter; of a stream: added to that
    kIOUserAudioPropertyStreams = DX_FOURCC('s', 't', 'm', '#'),                        ///< object IDs of its streams
    kIOUserAudioPropertyControlList = DX_FOURCC('c', 't', 'r', 'l'),                    ///< object IDs of its controls
    kIOUserAudioPropertySafetyOffset = DX_FOURCC('s', 'a', 'f', 't'),                   ///< frames that IO keeps clear of the position
    kIOUserAudioPropertyNominalSampleRate = DX_FOURCC('n', 's', 'r', 't'),              ///< rate set, in Hz
    kIOUserAudioPropertyAvailableNominalSampleRates = DX_FOURCC('n', 's', 'r', '#'),    ///< rates that can be set
    kIOUserAudioPropertyIsHidden = DX_FOURCC('h', 'i', 'd', 'n'),                       ///< 1: found by its UID only
    kIOUserAudioPropertyPreferredChannelsForStereo = DX_FOURCC('d', 'c', 'h', '2'),     ///< left and right channel, counted from 1
    kIOUserAudioPropertyPreferredChannelLayout = DX_FOURCC('s', 'r', 'n', 'd'),         ///< channel labels
    kIOUserAudioPropertyZeroTimestampPeriod = DX_FOURCC('r', 'i', 'n', 'g'),            ///< frames between zero timestamps
    kIOUserAudioPropertyClockAlgorithm = DX_FOURCC('c', 'l', 'o', 'k'),                 ///< IOUserAudioClockAlgorithm
    kIOUserAudioPropertyClockIsStable = DX_FOURCC('c', 's', 't', 'b'),                  ///< 1 if rate and stamps do not wander
    kIOUserAudioPropertyWantsControlsRestored = DX_FOURCC('r', 'e', 's', 'c'),          ///< 1: the host restores control values
    kIOUserAudioPropertyWantsStreamFormatsRestored = DX_FOURCC('r', 'e', 's', 'f'),     ///< 1: the host restores stream formats
};

/** Properties of devices that the host keeps. */
enum {
    kIOUserAudioPropertyBufferFrameSize = DX_FOURCC('f', 's', 'i', 'z'),          ///< frames per IO cycle
    kIOUserAudioPropertyBufferFrameSizeRange = DX_FOURCC('f', 's', 'z', '#'),     ///< least and most frames per IO cycle
    kIOUserAudioPropertyActualSampleRate = DX_FOURCC('a', 's', 'r', 't'),         ///< rate measured from the stamps, in Hz
    kIOUserAudioPropertyDeviceIsRunningSomewhere = DX_FOURCC('g', 'o', 'n', 'e'), ///< 1 while any client runs it
    kIOUserAudioPropertyProcessorOverload = DX_FOURCC('o', 'v', 'e', 'r'),        ///< told when a cycle came too late
    kIOUserAudioPropertyHogMode = DX_FOURCC('o', 'i', 'n', 'k'),                  ///< process that has the device for itself, or -1
};

/** Properties of streams. */
enum {
    kIOUserAudioPropertyStreamIsActive = DX_FOURCC('s', 'a', 'c', 't'),                 ///< 1 if it takes part in IO
    kIOUserAudioPropertyStreamDirection = DX_FOURCC('s', 'd', 'i', 'r'),                ///< IOUserAudioStreamDirection
    kIOUserAudioPropertyStreamTerminalType = DX_FOURCC('t', 'e', 'r', 'm'),             ///< IOUserAudioStreamTerminalType
    kIOUserAudioPropertyStreamStartingChannel = DX_FOURCC('s', 'c', 'h', 'n'),          ///< channel of the device that is its first
    kIOUserAudioPropertyStreamVirtualFormat = DX_FOURCC('s', 'f', 'm', 't'),            ///< format that clients see
    kIOUserAudioPropertyStreamAvailableVirtualFormats = DX_FOURCC('s', 'f', 'm', 'a'),  ///< formats that clients may choose
    kIOUserAudioPropertyStreamPhysicalFormat = DX_FOURCC('p', 'f', 't', ' '),           ///< format in the ring
    kIOUserAudioPropertyStreamAvailablePhysicalFormats = DX_FOURCC('p', 'f', 't', 'a'), ///< formats that the ring may have
};

/** Properties of controls. */
enum {
    kIOUserAudioPropertyControlScope = DX_FOURCC('c', 's', 'c', 'p'),                        ///< scope it acts on
    kIOUserAudioPropertyControlElement = DX_FOURCC('c', 'e', 'l', 'm'),                      ///< element it acts on
    kIOUserAudioPropertySliderControlValue = DX_FOURCC('s', 'd', 'r', 'v'),                  ///< value of a slider
    kIOUserAudioPropertySliderControlRange = DX_FOURCC('s', 'd', 'r', 'r'),                  ///< range of a slider
    kIOUserAudioPropertyLevelControlScalarValue = DX_FOURCC('l', 'c', 's', 'v'),             ///< level, 0 ... 1
    kIOUserAudioPropertyLevelControlDecibelValue = DX_FOURCC('l', 'c', 'd', 'v'),            ///< level in decibels
    kIOUserAudioPropertyLevelControlDecibelRange = DX_FOURCC('l', 'c', 'd', 'r'),            ///< range in decibels
    kIOUserAudioPropertyLevelControlConvertScalarToDecibels = DX_FOURCC('l', 'c', 's', 'd'), ///< asks for the decibels of a scalar
    kIOUserAudioPropertyLevelControlConvertDecibelsToScalar = DX_FOURCC('l', 'c', 'd', 's'), ///< asks for the scalar of decibels
    kIOUserAudioPropertyBooleanControlValue = DX_FOURCC('b', 'c', 'v', 'l'),                 ///< 1 if on
    kIOUserAudioPropertySelectorControlCurrentItem = DX_FOURCC('s', 'c', 'c', 'i'),          ///< values chosen
    kIOUserAudioPropertySelectorControlAvailableItems = DX_FOURCC('s', 'c', 'a', 'i'),       ///< values to choose from
    kIOUserAudioPropertySelectorControlItemName = DX_FOURCC('s', 'c', 'i', 'n'),             ///< name of a value
    kIOUserAudioPropertySelectorControlItemKind = DX_FOURCC('c', 'l', 'k', 'k'),             ///< kind of a value
    kIOUserAudioPropertyStereoPanControlValue = DX_FOURCC('s', 'p', 'c', 'v'),               ///< 0 left ... 1 right
    kIOUserAudioPropertyStereoPanControlPanningChannels = DX_FOURCC('s', 'p', 'c', 'c'),     ///< the two channels it moves between
};

/** Properties of boxes. */
enum {
    kIOUserAudioPropertyBoxUID = DX_FOURCC('b', 'u', 'i', 'd'),               ///< identifier that stays the same over restarts
    kIOUserAudioPropertyBoxHasAudio = DX_FOURCC('b', 'h', 'a', 'u'),          ///< 1 if it carries audio
    kIOUserAudioPropertyBoxHasVideo = DX_FOURCC('b', 'h', 'v', 'i'),          ///< 1 if it carries video
    kIOUserAudioPropertyBoxHasMIDI = DX_FOURCC('b', 'h', 'm', 'i'),           ///< 1 if it carries MIDI
    kIOUserAudioPropertyBoxIsProtected = DX_FOURCC('b', 'p', 'r', 'o'),       ///< 1 if acquiring it takes a password
    kIOUserAudioPropertyBoxAcquired = DX_FOURCC('b', 'x', 'o', 'n'),          ///< 1 while acquired
    kIOUserAudioPropertyBoxAcquisitionFailed = DX_FOURCC('b', 'x', 'o', 'f'), ///< told when it could not be acquired
    kIOUserAudioPropertyBoxDeviceList = DX_FOURCC('b', 'd', 'v', '#'),        ///< object IDs of its devices
    kIOUserAudioPropertyBoxClockDeviceList = DX_FOURCC('b', 'c', 'l', '#'),   ///< object IDs of its clock devices
};

/* Life of a device. */

/** What a configuration change is about: one of the reserved ones, or any other number of the driver's own. */
typedef uint64_t IOUserAudioReservedConfigChangeAction;

enum {
    IOUserAudioReservedConfigChangeActionSampleRate = 1,          ///< new sample rate
    IOUserAudioReservedConfigChangeActionRingBufferFrameSize = 2, ///< new length of the ring
    IOUserAudioReservedConfigChangeActionStreamFormat = 3,        ///< new stream format
};

/** How IO starts or stops: IOUserAudioStartStopFlags... */
typedef uint64_t IOUserAudioStartStopFlags;

enum {
    IOUserAudioStartStopFlagsNone = 0,    ///< run, or stop for good
    IOUserAudioStartStopFlagsPrewarm = 1, ///< only prepare, or keep prepared
};

/** How far a device has started: one of IOUserAudioDeviceTransportState... */
typedef uint64_t IOUserAudioDeviceTransportState;

enum {
    IOUserAudioDeviceTransportStateStopped = 0,   ///< no IO
    IOUserAudioDeviceTransportStatePrewarmed = 1, ///< prepared, clock not running
    IOUserAudioDeviceTransportStateRunning = 2,   ///< IO runs
};

/** How a device is attached: one of IOUserAudioTransportType... */
typedef uint32_t IOUserAudioTransportType;

enum {
    IOUserAudioTransportTypeUnknown = 0,                                 ///< not said; virtual devices use it too
    IOUserAudioTransportTypeBuiltIn = DX_FOURCC('b', 'l', 't', 'n'),     ///< part of the machine
    IOUserAudioTransportTypePCI = DX_FOURCC('p', 'c', 'i', ' '),         ///< PCI
    IOUserAudioTransportTypeUSB = DX_FOURCC('u', 's', 'b', ' '),         ///< USB
    IOUserAudioTransportTypeFireWire = DX_FOURCC('1', '3', '9', '4'),    ///< FireWire
    IOUserAudioTransportTypeBluetooth = DX_FOURCC('b', 'l', 'u', 'e'),   ///< Bluetooth
    IOUserAudioTransportTypeBluetoothLE = DX_FOURCC('b', 'l', 'e', 'a'), ///< Bluetooth Low Energy
    IOUserAudioTransportTypeHDMI = DX_FOURCC('h', 'd', 'm', 'i'),        ///< HDMI
    IOUserAudioTransportTypeDisplayPort = DX_FOURCC('d', 'p', 'r', 't'), ///< DisplayPort
    IOUserAudioTransportTypeAirPlay = DX_FOURCC('a', 'i', 'r', 'p'),     ///< AirPlay
    IOUserAudioTransportTypeAVB = DX_FOURCC('e', 'a', 'v', 'b'),         ///< AVB
    IOUserAudioTransportTypeThunderbolt = DX_FOURCC('t', 'h', 'u', 'n'), ///< Thunderbolt
};

/** How zero timestamps are filtered: one of IOUserAudioClockAlgorithm... */
typedef uint32_t IOUserAudioClockAlgorithm;

enum {
    IOUserAudioClockAlgorithmRaw = DX_FOURCC('r', 'a', 'w', 'w'),                         ///< not at all
    IOUserAudioClockAlgorithmSimpleIIR = DX_FOURCC('i', 'i', 'r', 'f'),                   ///< first-order recursive filter; the default
    IOUserAudioClockAlgorithmTwelvePtMovingWindowAverage = DX_FOURCC('m', 'a', 'v', 'g'), ///< mean over twelve stamps
};

/* Streams. */

/** Which way a stream goes: one of IOUserAudioStreamDirection... */
typedef uint32_t IOUserAudioStreamDirection;

enum {
    IOUserAudioStreamDirectionOutput = 0, ///< from clients to the device
    IOUserAudioStreamDirectionInput = 1,  ///< from the device to clients
};

/** What a stream ends in: one of IOUserAudioStreamTerminalType... */
typedef uint32_t IOUserAudioStreamTerminalType;

enum {
    IOUserAudioStreamTerminalTypeUnknown = 0,                                           ///< not said
    IOUserAudioStreamTerminalTypeLine = DX_FOURCC('l', 'i', 'n', 'e'),                  ///< line level
    IOUserAudioStreamTerminalTypeDigitalAudioInterface = DX_FOURCC('s', 'p', 'd', 'f'), ///< S/PDIF, AES and the like
    IOUserAudioStreamTerminalTypeSpeaker = DX_FOURCC('s', 'p', 'k', 'r'),               ///< loudspeaker
    IOUserAudioStreamTerminalTypeHeadphones = DX_FOURCC('h', 'd', 'p', 'h'),            ///< headphones
    IOUserAudioStreamTerminalTypeLFESpeaker = DX_FOURCC('l', 'f', 'e', 's'),            ///< low-frequency loudspeaker
    IOUserAudioStreamTerminalTypeReceiverSpeaker = DX_FOURCC('r', 's', 'p', 'k'),       ///< earpiece of a telephone handset
    IOUserAudioStreamTerminalTypeMicrophone = DX_FOURCC('m', 'i', 'c', 'r'),            ///< microphone
    IOUserAudioStreamTerminalTypeHeadsetMicrophone = DX_FOURCC('h', 'm', 'i', 'c'),     ///< microphone of a headset
    IOUserAudioStreamTerminalTypeReceiverMicrophone = DX_FOURCC('r', 'm', 'i', 'c'),    ///< microphone of a telephone handset
    IOUserAudioStreamTerminalTypeTTY = DX_FOURCC('t', 't', 'y', '_'),                   ///< teletypewriter
    IOUserAudioStreamTerminalTypeHDMI = DX_FOURCC('h', 'd', 'm', 'i'),                  ///< HDMI
    IOUserAudioStreamTerminalTypeDisplayPort = DX_FOURCC('d', 'p', 'r', 't'),           ///< DisplayPort
};

/** How samples are coded: one of IOUserAudioFormatID...; streams here carry IOUserAudioFormatIDLinearPCM. */
typedef uint32_t IOUserAudioFormatID;

enum {
    IOUserAudioFormatIDLinearPCM = DX_FOURCC('l', 'p', 'c', 'm'),            ///< linear PCM; see IOUserAudioFormatFlags
    IOUserAudioFormatIDAC3 = DX_FOURCC('a', 'c', '-', '3'),                  ///< AC-3
    IOUserAudioFormatIDAC360958 = DX_FOURCC('c', 'a', 'c', '3'),             ///< AC-3 in IEC 60958 packets
    IOUserAudioFormatIDAppleIMA4 = DX_FOURCC('i', 'm', 'a', '4'),            ///< Apple IMA 4:1 ADPCM
    IOUserAudioFormatIDMPEG4AAC = DX_FOURCC('a', 'a', 'c', ' '),             ///< MPEG-4 AAC Low Complexity
    IOUserAudioFormatIDMPEG4CELP = DX_FOURCC('c', 'e', 'l', 'p'),            ///< MPEG-4 CELP
    IOUserAudioFormatIDMPEG4HVXC = DX_FOURCC('h', 'v', 'x', 'c'),            ///< MPEG-4 HVXC
    IOUserAudioFormatIDMPEG4TwinVQ = DX_FOURCC('t', 'w', 'v', 'q'),          ///< MPEG-4 TwinVQ
    IOUserAudioFormatIDMACE3 = DX_FOURCC('M', 'A', 'C', '3'),                ///< MACE 3:1
    IOUserAudioFormatIDMACE6 = DX_FOURCC('M', 'A', 'C', '6'),                ///< MACE 6:1
    IOUserAudioFormatIDULaw = DX_FOURCC('u', 'l', 'a', 'w'),                 ///< u-law
    IOUserAudioFormatIDALaw = DX_FOURCC('a', 'l', 'a', 'w'),                 ///< A-law
    IOUserAudioFormatIDQDesign = DX_FOURCC('Q', 'D', 'M', 'C'),              ///< QDesign music
    IOUserAudioFormatIDQDesign2 = DX_FOURCC('Q', 'D', 'M', '2'),             ///< QDesign 2 music
    IOUserAudioFormatIDQUALCOMM = DX_FOURCC('Q', 'c', 'l', 'p'),             ///< QUALCOMM PureVoice
    IOUserAudioFormatIDMPEGLayer1 = DX_FOURCC('.', 'm', 'p', '1'),           ///< MPEG layer 1
    IOUserAudioFormatIDMPEGLayer2 = DX_FOURCC('.', 'm', 'p', '2'),           ///< MPEG layer 2
    IOUserAudioFormatIDMPEGLayer3 = DX_FOURCC('.', 'm', 'p', '3'),           ///< MPEG layer 3
    IOUserAudioFormatIDTimeCode = DX_FOURCC('t', 'i', 'm', 'e'),             ///< stream of time stamps
    IOUserAudioFormatIDMIDIStream = DX_FOURCC('m', 'i', 'd', 'i'),           ///< stream of MIDI packets
    IOUserAudioFormatIDParameterValueStream = DX_FOURCC('a', 'p', 'v', 's'), ///< stream of parameter values
    IOUserAudioFormatIDAppleLossless = DX_FOURCC('a', 'l', 'a', 'c'),        ///< Apple Lossless
    IOUserAudioFormatIDMPEG4AAC_HE = DX_FOURCC('a', 'a', 'c', 'h'),          ///< MPEG-4 High Efficiency AAC
    IOUserAudioFormatIDMPEG4AAC_LD = DX_FOURCC('a', 'a', 'c', 'l'),          ///< MPEG-4 AAC Low Delay
    IOUserAudioFormatIDMPEG4AAC_ELD = DX_FOURCC('a', 'a', 'c', 'e'),         ///< MPEG-4 AAC Enhanced Low Delay
    IOUserAudioFormatIDMPEG4AAC_ELD_SBR = DX_FOURCC('a', 'a', 'c', 'f'),     ///< the same with band replication
    IOUserAudioFormatIDMPEG4AAC_ELD_V2 = DX_FOURCC('a', 'a', 'c', 'g'),      ///< the same, version 2
    IOUserAudioFormatIDMPEG4AAC_HE_V2 = DX_FOURCC('a', 'a', 'c', 'p'),       ///< MPEG-4 High Efficiency AAC, version 2
    IOUserAudioFormatIDMPEG4AAC_Spatial = DX_FOURCC('a', 'a', 'c', 's'),     ///< MPEG-4 Spatial Audio
    IOUserAudioFormatIDMPEGD_USAC = DX_FOURCC('u', 's', 'a', 'c'),           ///< MPEG-D unified speech and audio
    IOUserAudioFormatIDAMR = DX_FOURCC('s', 'a', 'm', 'r'),                  ///< AMR narrow band
    IOUserAudioFormatIDAMR_WB = DX_FOURCC('s', 'a', 'w', 'b'),               ///< AMR wide band
    IOUserAudioFormatIDAudible = DX_FOURCC('A', 'U', 'D', 'B'),              ///< Audible books
    IOUserAudioFormatIDiLBC = DX_FOURCC('i', 'l', 'b', 'c'),                 ///< iLBC
    IOUserAudioFormatIDDVIIntelIMA = 0x6D730011,                             ///< DVI/Intel IMA ADPCM
    IOUserAudioFormatIDMicrosoftGSM = 0x6D730031,                            ///< Microsoft GSM 6.10
    IOUserAudioFormatIDAES3 = DX_FOURCC('a', 'e', 's', '3'),                 ///< AES3-2003 frames
    IOUserAudioFormatIDEnhancedAC3 = DX_FOURCC('e', 'c', '-', '3'),          ///< Enhanced AC-3
    IOUserAudioFormatIDFLAC = DX_FOURCC('f', 'l', 'a', 'c'),                 ///< FLAC
    IOUserAudioFormatIDOpus = DX_FOURCC('o', 'p', 'u', 's'),                 ///< Opus
};

/** Bits that describe a sample: FormatFlag... joined by `|`. */
typedef uint32_t IOUserAudioFormatFlags;

enum {
    FormatFlagIsFloat = 0x1,           ///< floating point
    FormatFlagIsBigEndian = 0x2,       ///< highest byte first
    FormatFlagIsSignedInteger = 0x4,   ///< signed integer; neither this nor float: unsigned
    FormatFlagIsPacked = 0x8,          ///< the bits fill their container
    FormatFlagIsAlignedHigh = 0x10,    ///< the value is in the high bits of a wider container
    FormatFlagIsNonInterleaved = 0x20, ///< one buffer per channel
    FormatFlagIsNonMixable = 0x40,     ///< one client at a time, bits untouched
};

/** The same, as linear PCM names them. */
enum {
    LinearPCMFormatFlagIsFloat = FormatFlagIsFloat,                   ///< floating point
    LinearPCMFormatFlagIsBigEndian = FormatFlagIsBigEndian,           ///< highest byte first
    LinearPCMFormatFlagIsSignedInteger = FormatFlagIsSignedInteger,   ///< signed integer; neither this nor float: unsigned
    LinearPCMFormatFlagIsPacked = FormatFlagIsPacked,                 ///< the bits fill their container
    LinearPCMFormatFlagIsAlignedHigh = FormatFlagIsAlignedHigh,       ///< the value is in the high bits of a wider container
    LinearPCMFormatFlagIsNonInterleaved = FormatFlagIsNonInterleaved, ///< one buffer per channel
    LinearPCMFormatFlagIsNonMixable = FormatFlagIsNonMixable,         ///< one client at a time, bits untouched
    LinearPCMFormatFlagsSampleFractionShift = 7,                      ///< position of the number of fraction bits
    LinearPCMFormatFlagsSampleFractionMask = 0x1F80,                  ///< bits of that number
};

/** Where 0 would mean "not set": all flags are off. */
#define FormatFlagsAreAllClear ((IOUserAudioFormatFlags)0x80000000u)
#define LinearPCMFormatFlagsAreAllClear FormatFlagsAreAllClear

/** Flags of Apple Lossless: the width of what was coded. */
enum {
    AppleLosslessFormatFlag_16BitSourceData = 1, ///< 16 bits
    AppleLosslessFormatFlag_20BitSourceData = 2, ///< 20 bits
    AppleLosslessFormatFlag_24BitSourceData = 3, ///< 24 bits
    AppleLosslessFormatFlag_32BitSourceData = 4, ///< 32 bits
};

/** Flags of this machine's own samples. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#    define DX_FORMAT_FLAGS_NATIVE_ENDIAN 0x2
#else
#    define DX_FORMAT_FLAGS_NATIVE_ENDIAN 0x0
#endif
enum {
    FormatFlagsNativeEndian = DX_FORMAT_FLAGS_NATIVE_ENDIAN,            ///< byte order of this machine
    FormatFlagsNativeFloatPacked = DX_FORMAT_FLAGS_NATIVE_ENDIAN | 0x9, ///< float, packed, byte order of this machine
};

/**
 * Format of a stream.  For linear PCM, interleaved: a packet is one frame, a frame is one sample per channel,
 * and mBytesPerFrame / mChannelsPerFrame is the container of a sample.
 */
typedef struct IOUserAudioStreamBasicDescription {
    double mSampleRate;                  ///< frames per second
    IOUserAudioFormatID mFormatID;       ///< how samples are coded
    IOUserAudioFormatFlags mFormatFlags; ///< what the samples are
    uint32_t mBytesPerPacket;            ///< equals mBytesPerFrame
    uint32_t mFramesPerPacket;           ///< 1
    uint32_t mBytesPerFrame;             ///< bytes of one sample of all channels
    uint32_t mChannelsPerFrame;          ///< channels
    uint32_t mBitsPerChannel;            ///< bits of a sample that count
    uint32_t mReserved;                  ///< 0
} IOUserAudioStreamBasicDescription;

#ifdef __cplusplus
static_assert(sizeof(IOUserAudioStreamBasicDescription) == 40, "crosses processes");
#else
_Static_assert(sizeof(IOUserAudioStreamBasicDescription) == 40, "crosses processes");
#endif

/* Channels. */

/** What a channel is for: one of IOUserAudioChannelLabel... */
typedef uint32_t IOUserAudioChannelLabel;

enum {
    IOUserAudioChannelLabelUnused = 0,                       ///< not used
    IOUserAudioChannelLabelLeft = 1,                         ///< left
    IOUserAudioChannelLabelRight = 2,                        ///< right
    IOUserAudioChannelLabelCenter = 3,                       ///< centre
    IOUserAudioChannelLabelLFEScreen = 4,                    ///< low frequencies
    IOUserAudioChannelLabelLeftSurround = 5,                 ///< left surround
    IOUserAudioChannelLabelRightSurround = 6,                ///< right surround
    IOUserAudioChannelLabelLeftCenter = 7,                   ///< between left and centre
    IOUserAudioChannelLabelRightCenter = 8,                  ///< between right and centre
    IOUserAudioChannelLabelCenterSurround = 9,               ///< behind, centre
    IOUserAudioChannelLabelLeftSurroundDirect = 10,          ///< left surround, direct
    IOUserAudioChannelLabelRightSurroundDirect = 11,         ///< right surround, direct
    IOUserAudioChannelLabelTopCenterSurround = 12,           ///< above
    IOUserAudioChannelLabelVerticalHeightLeft = 13,          ///< above, front left
    IOUserAudioChannelLabelVerticalHeightCenter = 14,        ///< above, front centre
    IOUserAudioChannelLabelVerticalHeightRight = 15,         ///< above, front right
    IOUserAudioChannelLabelTopBackLeft = 16,                 ///< above, back left
    IOUserAudioChannelLabelTopBackCenter = 17,               ///< above, back centre
    IOUserAudioChannelLabelTopBackRight = 18,                ///< above, back right
    IOUserAudioChannelLabelRearSurroundLeft = 33,            ///< behind, left
    IOUserAudioChannelLabelRearSurroundRight = 34,           ///< behind, right
    IOUserAudioChannelLabelLeftWide = 35,                    ///< left wide
    IOUserAudioChannelLabelRightWide = 36,                   ///< right wide
    IOUserAudioChannelLabelLFE2 = 37,                        ///< second low-frequency channel
    IOUserAudioChannelLabelLeftTotal = 38,                   ///< matrix-coded left
    IOUserAudioChannelLabelRightTotal = 39,                  ///< matrix-coded right
    IOUserAudioChannelLabelHearingImpaired = 40,             ///< for the hard of hearing
    IOUserAudioChannelLabelNarration = 41,                   ///< narration
    IOUserAudioChannelLabelMono = 42,                        ///< mono
    IOUserAudioChannelLabelDialogCentricMix = 43,            ///< mix that favours speech
    IOUserAudioChannelLabelCenterSurroundDirect = 44,        ///< behind, centre, direct
    IOUserAudioChannelLabelHaptic = 45,                      ///< for touch, not for ears
    IOUserAudioChannelLabelLeftTopFront = 13,                ///< the same as VerticalHeightLeft
    IOUserAudioChannelLabelCenterTopFront = 14,              ///< the same as VerticalHeightCenter
    IOUserAudioChannelLabelRightTopFront = 15,               ///< the same as VerticalHeightRight
    IOUserAudioChannelLabelLeftTopMiddle = 49,               ///< above, left
    IOUserAudioChannelLabelCenterTopMiddle = 12,             ///< the same as TopCenterSurround
    IOUserAudioChannelLabelRightTopMiddle = 51,              ///< above, right
    IOUserAudioChannelLabelLeftTopRear = 52,                 ///< above, rear left
    IOUserAudioChannelLabelCenterTopRear = 53,               ///< above, rear centre
    IOUserAudioChannelLabelRightTopRear = 54,                ///< above, rear right
    IOUserAudioChannelLabelUseCoordinates = 100,             ///< placed by coordinates
    IOUserAudioChannelLabelAmbisonic_W = 200,                ///< first-order Ambisonics, W
    IOUserAudioChannelLabelAmbisonic_X = 201,                ///< first-order Ambisonics, X
    IOUserAudioChannelLabelAmbisonic_Y = 202,                ///< first-order Ambisonics, Y
    IOUserAudioChannelLabelAmbisonic_Z = 203,                ///< first-order Ambisonics, Z
    IOUserAudioChannelLabelMS_Mid = 204,                     ///< mid of mid/side
    IOUserAudioChannelLabelMS_Side = 205,                    ///< side of mid/side
    IOUserAudioChannelLabelXY_X = 206,                       ///< X of X/Y
    IOUserAudioChannelLabelXY_Y = 207,                       ///< Y of X/Y
    IOUserAudioChannelLabelBinauralLeft = 208,               ///< binaural left
    IOUserAudioChannelLabelBinauralRight = 209,              ///< binaural right
    IOUserAudioChannelLabelHeadphonesLeft = 301,             ///< headphones left
    IOUserAudioChannelLabelHeadphonesRight = 302,            ///< headphones right
    IOUserAudioChannelLabelClickTrack = 304,                 ///< click track
    IOUserAudioChannelLabelForeignLanguage = 305,            ///< another language
    IOUserAudioChannelLabelDiscrete = 400,                   ///< a channel without a place
    IOUserAudioChannelLabelHOA_ACN = 500,                    ///< higher-order Ambisonics, number not said
    IOUserAudioChannelLabelDiscrete_0 = 0x10000 | 0,         ///< channel 0 without a place
    IOUserAudioChannelLabelDiscrete_1 = 0x10000 | 1,         ///< channel 1 without a place
    IOUserAudioChannelLabelDiscrete_2 = 0x10000 | 2,         ///< channel 2 without a place
    IOUserAudioChannelLabelDiscrete_3 = 0x10000 | 3,         ///< channel 3 without a place
    IOUserAudioChannelLabelDiscrete_4 = 0x10000 | 4,         ///< channel 4 without a place
    IOUserAudioChannelLabelDiscrete_5 = 0x10000 | 5,         ///< channel 5 without a place
    IOUserAudioChannelLabelDiscrete_6 = 0x10000 | 6,         ///< channel 6 without a place
    IOUserAudioChannelLabelDiscrete_7 = 0x10000 | 7,         ///< channel 7 without a place
    IOUserAudioChannelLabelDiscrete_8 = 0x10000 | 8,         ///< channel 8 without a place
    IOUserAudioChannelLabelDiscrete_9 = 0x10000 | 9,         ///< channel 9 without a place
    IOUserAudioChannelLabelDiscrete_10 = 0x10000 | 10,       ///< channel 10 without a place
    IOUserAudioChannelLabelDiscrete_11 = 0x10000 | 11,       ///< channel 11 without a place
    IOUserAudioChannelLabelDiscrete_12 = 0x10000 | 12,       ///< channel 12 without a place
    IOUserAudioChannelLabelDiscrete_13 = 0x10000 | 13,       ///< channel 13 without a place
    IOUserAudioChannelLabelDiscrete_14 = 0x10000 | 14,       ///< channel 14 without a place
    IOUserAudioChannelLabelDiscrete_15 = 0x10000 | 15,       ///< channel 15 without a place
    IOUserAudioChannelLabelDiscrete_65535 = 0x10000 | 65535, ///< channel 65535 without a place
    IOUserAudioChannelLabelHOA_ACN_0 = 0x20000 | 0,          ///< higher-order Ambisonics, component 0
    IOUserAudioChannelLabelHOA_ACN_1 = 0x20000 | 1,          ///< higher-order Ambisonics, component 1
    IOUserAudioChannelLabelHOA_ACN_2 = 0x20000 | 2,          ///< higher-order Ambisonics, component 2
    IOUserAudioChannelLabelHOA_ACN_3 = 0x20000 | 3,          ///< higher-order Ambisonics, component 3
    IOUserAudioChannelLabelHOA_ACN_4 = 0x20000 | 4,          ///< higher-order Ambisonics, component 4
    IOUserAudioChannelLabelHOA_ACN_5 = 0x20000 | 5,          ///< higher-order Ambisonics, component 5
    IOUserAudioChannelLabelHOA_ACN_6 = 0x20000 | 6,          ///< higher-order Ambisonics, component 6
    IOUserAudioChannelLabelHOA_ACN_7 = 0x20000 | 7,          ///< higher-order Ambisonics, component 7
    IOUserAudioChannelLabelHOA_ACN_8 = 0x20000 | 8,          ///< higher-order Ambisonics, component 8
    IOUserAudioChannelLabelHOA_ACN_9 = 0x20000 | 9,          ///< higher-order Ambisonics, component 9
    IOUserAudioChannelLabelHOA_ACN_10 = 0x20000 | 10,        ///< higher-order Ambisonics, component 10
    IOUserAudioChannelLabelHOA_ACN_11 = 0x20000 | 11,        ///< higher-order Ambisonics, component 11
    IOUserAudioChannelLabelHOA_ACN_12 = 0x20000 | 12,        ///< higher-order Ambisonics, component 12
    IOUserAudioChannelLabelHOA_ACN_13 = 0x20000 | 13,        ///< higher-order Ambisonics, component 13
    IOUserAudioChannelLabelHOA_ACN_14 = 0x20000 | 14,        ///< higher-order Ambisonics, component 14
    IOUserAudioChannelLabelHOA_ACN_15 = 0x20000 | 15,        ///< higher-order Ambisonics, component 15
    IOUserAudioChannelLabelHOA_ACN_65024 = 0x20000 | 65024,  ///< higher-order Ambisonics, component 65024
};

/** Labels over INT_MAX: unknown, and what is kept for private use. */
#define IOUserAudioChannelLabelUnknown ((IOUserAudioChannelLabel)0xFFFFFFFFu)
#define IOUserAudioChannelLabelBeginReserved ((IOUserAudioChannelLabel)0xF0000000u)
#define IOUserAudioChannelLabelEndReserved ((IOUserAudioChannelLabel)0xFFFFFFFEu)

/* Controls. */

/** Bounds of a slider, both included. */
typedef struct IOUserAudioSliderRange {
    uint32_t m_min; ///< lowest value
    uint32_t m_max; ///< highest value
} IOUserAudioSliderRange;

/** Bounds of a level in decibels, both included. */
typedef struct IOUserAudioLevelControlRange {
    float m_min; ///< dB
    float m_max; ///< dB
} IOUserAudioLevelControlRange;

/** One of the values that a selector chooses from. */
typedef uint32_t IOUserAudioSelectorValue;

/** A value and the name to show for it. */
typedef struct IOUserAudioSelectorValueDescription {
    IOUserAudioSelectorValue m_value; ///< unique in its control
    OSString *m_name;                 ///< borrowed, unless the call says otherwise
} IOUserAudioSelectorValueDescription;

/* IO. */

/** What the handler is to do: one of IOUserAudioIOOperation... */
typedef uint32_t IOUserAudioIOOperation;

enum {
    IOUserAudioIOOperationBeginRead = 0, ///< the span of the input ring is read next
    IOUserAudioIOOperationWriteEnd = 1,  ///< the span of the output ring has just been written
};

/**
 * Moves one span of audio between the rings and the hardware: for the whole device, all its streams at once.
 *
 * @param device                the device's object ID.
 * @param operation             IOUserAudioIOOperationBeginRead or IOUserAudioIOOperationWriteEnd.
 * @param io_buffer_frame_size  frames of the span; may differ from call to call.
 * @param sample_time           driver time of its first frame; the ring position is its remainder by the ring length.
 * @param host_time             when that frame passes the hardware, as predicted: ticks of mach_absolute_time().
 * @param context               what was given with the handler.
 * @return kIOReturnSuccess; a failure is counted, and IO goes on.
 *
 * Thread: the device's IO thread.  Real-time: yes, or every client of the device is late.
 * Source: AudioDriverKit, IOOperationHandler.
 * Differs: a function and its context; the block is IOOperationHandler_b.
 */
typedef kern_return_t (*IOOperationHandler)(IOUserAudioObjectID device, IOUserAudioIOOperation operation,
                                            uint32_t io_buffer_frame_size, uint64_t sample_time,
                                            uint64_t host_time, void *context) DX_REALTIME;

#if DX_HAVE_BLOCKS
/** The same as a block: captures stand in for the context. */
typedef kern_return_t (^IOOperationHandler_b)(IOUserAudioObjectID device, IOUserAudioIOOperation operation,
                                              uint32_t io_buffer_frame_size, uint64_t sample_time,
                                              uint64_t host_time) DX_REALTIME;
#endif

DX_END_DECLS

#endif /* DEXTRAL_AUDIODRIVERKITTYPES_H */
