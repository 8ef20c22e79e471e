// SPDX-License-Identifier: MIT
// Numbers and layouts of the public types: they cross processes and stand in drivers, so none may ever change.

#include <dextral/AudioDriverKitTypes.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

struct constant {
    const char *name;
    uint64_t value, expected;
};

static void
check(const struct constant *constants, size_t count)
{
    for (size_t i = 0; i < count; i++)
        cr_expect(eq(u64, constants[i].value, constants[i].expected), "%s", constants[i].name);
}

#define CHECK(constants) check(constants, sizeof constants / sizeof constants[0])

/* The characters of AudioDriverKit's headers as big-endian numbers, computed by another program. */
Test(types, four_character_codes_are_apples_numbers)
{
    static const struct constant constants[] = {
        {"kIOUserAudioDriverUserClientType", kIOUserAudioDriverUserClientType, 1128363364},
        {"IOUserAudioClassIDObject", IOUserAudioClassIDObject, 0x616F626A},
        {"IOUserAudioClassIDDriver", IOUserAudioClassIDDriver, 0x61706C67},
        {"IOUserAudioClassIDBox", IOUserAudioClassIDBox, 0x61626F78},
        {"IOUserAudioClassIDClock", IOUserAudioClassIDClock, 0x61636C6B},
        {"IOUserAudioClassIDDevice", IOUserAudioClassIDDevice, 0x61646576},
        {"IOUserAudioClassIDStream", IOUserAudioClassIDStream, 0x61737472},
        {"IOUserAudioClassIDControl", IOUserAudioClassIDControl, 0x6163746C},
        {"IOUserAudioClassIDSliderControl", IOUserAudioClassIDSliderControl, 0x736C6472},
        {"IOUserAudioClassIDLevelControl", IOUserAudioClassIDLevelControl, 0x6C65766C},
        {"IOUserAudioClassIDVolumeControl", IOUserAudioClassIDVolumeControl, 0x766C6D65},
        {"IOUserAudioClassIDLFEVolumeControl", IOUserAudioClassIDLFEVolumeControl, 0x73756276},
        {"IOUserAudioClassIDBooleanControl", IOUserAudioClassIDBooleanControl, 0x746F676C},
        {"IOUserAudioClassIDMuteControl", IOUserAudioClassIDMuteControl, 0x6D757465},
        {"IOUserAudioClassIDSoloControl", IOUserAudioClassIDSoloControl, 0x736F6C6F},
        {"IOUserAudioClassIDJackControl", IOUserAudioClassIDJackControl, 0x6A61636B},
        {"IOUserAudioClassIDLFEMuteControl", IOUserAudioClassIDLFEMuteControl, 0x7375626D},
        {"IOUserAudioClassIDPhantomPowerControl", IOUserAudioClassIDPhantomPowerControl, 0x7068616E},
        {"IOUserAudioClassIDPhaseInvertControl", IOUserAudioClassIDPhaseInvertControl, 0x70687369},
        {"IOUserAudioClassIDClipLightControl", IOUserAudioClassIDClipLightControl, 0x636C6970},
        {"IOUserAudioClassIDTalkbackControl", IOUserAudioClassIDTalkbackControl, 0x74616C62},
        {"IOUserAudioClassIDListenbackControl", IOUserAudioClassIDListenbackControl, 0x6C736E62},
        {"IOUserAudioClassIDSelectorControl", IOUserAudioClassIDSelectorControl, 0x736C6374},
        {"IOUserAudioClassIDDataSourceControl", IOUserAudioClassIDDataSourceControl, 0x64737263},
        {"IOUserAudioClassIDDataDestinationControl", IOUserAudioClassIDDataDestinationControl, 0x64657374},
        {"IOUserAudioClassIDClockSourceControl", IOUserAudioClassIDClockSourceControl, 0x636C636B},
        {"IOUserAudioClassIDLineLevelControl", IOUserAudioClassIDLineLevelControl, 0x6E6C766C},
        {"IOUserAudioClassIDHighPassFilterControl", IOUserAudioClassIDHighPassFilterControl, 0x68697066},
        {"IOUserAudioClassIDStereoPanControl", IOUserAudioClassIDStereoPanControl, 0x7370616E},
        {"IOUserAudioObjectPropertyScopeGlobal", IOUserAudioObjectPropertyScopeGlobal, 0x676C6F62},
        {"IOUserAudioObjectPropertyScopeInput", IOUserAudioObjectPropertyScopeInput, 0x696E7074},
        {"IOUserAudioObjectPropertyScopeOutput", IOUserAudioObjectPropertyScopeOutput, 0x6F757470},
        {"IOUserAudioObjectPropertyScopePlayThrough", IOUserAudioObjectPropertyScopePlayThrough, 0x70747275},
        {"IOUserAudioCustomPropertyDataTypeString", IOUserAudioCustomPropertyDataTypeString, 0x63667374},
        {"IOUserAudioCustomPropertyDataTypeDictionary", IOUserAudioCustomPropertyDataTypeDictionary, 0x706C7374},
        {"kIOUserAudioPropertyBaseClass", kIOUserAudioPropertyBaseClass, 0x62636C73},
        {"kIOUserAudioPropertyClass", kIOUserAudioPropertyClass, 0x636C6173},
        {"kIOUserAudioPropertyOwner", kIOUserAudioPropertyOwner, 0x73746476},
        {"kIOUserAudioPropertyName", kIOUserAudioPropertyName, 0x6C6E616D},
        {"kIOUserAudioPropertyManufacturer", kIOUserAudioPropertyManufacturer, 0x6C6D616B},
        {"kIOUserAudioPropertyElementName", kIOUserAudioPropertyElementName, 0x6C63686E},
        {"kIOUserAudioPropertyElementCategoryName", kIOUserAudioPropertyElementCategoryName, 0x6C63636E},
        {"kIOUserAudioPropertyElementNumberName", kIOUserAudioPropertyElementNumberName, 0x6C636E6E},
        {"kIOUserAudioPropertyOwnedObjects", kIOUserAudioPropertyOwnedObjects, 0x6F776E64},
        {"kIOUserAudioPropertyCustomPropertyInfoList", kIOUserAudioPropertyCustomPropertyInfoList, 0x63757374},
        {"kIOUserAudioPropertyDeviceList", kIOUserAudioPropertyDeviceList, 0x64657623},
        {"kIOUserAudioPropertyBoxList", kIOUserAudioPropertyBoxList, 0x626F7823},
        {"kIOUserAudioPropertyClockDeviceList", kIOUserAudioPropertyClockDeviceList, 0x636C6B23},
        {"kIOUserAudioPropertyDeviceUID", kIOUserAudioPropertyDeviceUID, 0x75696420},
        {"kIOUserAudioPropertyModelUID", kIOUserAudioPropertyModelUID, 0x6D756964},
        {"kIOUserAudioPropertyTransportType", kIOUserAudioPropertyTransportType, 0x7472616E},
        {"kIOUserAudioPropertyClockDomain", kIOUserAudioPropertyClockDomain, 0x636C6B64},
        {"kIOUserAudioPropertyDeviceIsAlive", kIOUserAudioPropertyDeviceIsAlive, 0x6C69766E},
        {"kIOUserAudioPropertyDeviceIsRunning", kIOUserAudioPropertyDeviceIsRunning, 0x676F696E},
        {"kIOUserAudioPropertyDeviceCanBeDefaultDevice", kIOUserAudioPropertyDeviceCanBeDefaultDevice, 0x64666C74},
        {"kIOUserAudioPropertyDeviceCanBeDefaultSystemDevice", kIOUserAudioPropertyDeviceCanBeDefaultSystemDevice,
         0x73666C74},
        {"kIOUserAudioPropertyLatency", kIOUserAudioPropertyLatency, 0x6C746E63},
        {"kIOUserAudioPropertyStreams", kIOUserAudioPropertyStreams, 0x73746D23},
        {"kIOUserAudioPropertyControlList", kIOUserAudioPropertyControlList, 0x6374726C},
        {"kIOUserAudioPropertySafetyOffset", kIOUserAudioPropertySafetyOffset, 0x73616674},
        {"kIOUserAudioPropertyNominalSampleRate", kIOUserAudioPropertyNominalSampleRate, 0x6E737274},
        {"kIOUserAudioPropertyAvailableNominalSampleRates", kIOUserAudioPropertyAvailableNominalSampleRates,
         0x6E737223},
        {"kIOUserAudioPropertyIsHidden", kIOUserAudioPropertyIsHidden, 0x6869646E},
        {"kIOUserAudioPropertyPreferredChannelsForStereo", kIOUserAudioPropertyPreferredChannelsForStereo,
         0x64636832},
        {"kIOUserAudioPropertyPreferredChannelLayout", kIOUserAudioPropertyPreferredChannelLayout, 0x73726E64},
        {"kIOUserAudioPropertyZeroTimestampPeriod", kIOUserAudioPropertyZeroTimestampPeriod, 0x72696E67},
        {"kIOUserAudioPropertyClockAlgorithm", kIOUserAudioPropertyClockAlgorithm, 0x636C6F6B},
        {"kIOUserAudioPropertyClockIsStable", kIOUserAudioPropertyClockIsStable, 0x63737462},
        {"kIOUserAudioPropertyWantsControlsRestored", kIOUserAudioPropertyWantsControlsRestored, 0x72657363},
        {"kIOUserAudioPropertyWantsStreamFormatsRestored", kIOUserAudioPropertyWantsStreamFormatsRestored,
         0x72657366},
        {"kIOUserAudioPropertyBufferFrameSize", kIOUserAudioPropertyBufferFrameSize, 0x6673697A},
        {"kIOUserAudioPropertyBufferFrameSizeRange", kIOUserAudioPropertyBufferFrameSizeRange, 0x66737A23},
        {"kIOUserAudioPropertyActualSampleRate", kIOUserAudioPropertyActualSampleRate, 0x61737274},
        {"kIOUserAudioPropertyDeviceIsRunningSomewhere", kIOUserAudioPropertyDeviceIsRunningSomewhere, 0x676F6E65},
        {"kIOUserAudioPropertyProcessorOverload", kIOUserAudioPropertyProcessorOverload, 0x6F766572},
        {"kIOUserAudioPropertyHogMode", kIOUserAudioPropertyHogMode, 0x6F696E6B},
        {"kIOUserAudioPropertyStreamIsActive", kIOUserAudioPropertyStreamIsActive, 0x73616374},
        {"kIOUserAudioPropertyStreamDirection", kIOUserAudioPropertyStreamDirection, 0x73646972},
        {"kIOUserAudioPropertyStreamTerminalType", kIOUserAudioPropertyStreamTerminalType, 0x7465726D},
        {"kIOUserAudioPropertyStreamStartingChannel", kIOUserAudioPropertyStreamStartingChannel, 0x7363686E},
        {"kIOUserAudioPropertyStreamVirtualFormat", kIOUserAudioPropertyStreamVirtualFormat, 0x73666D74},
        {"kIOUserAudioPropertyStreamAvailableVirtualFormats", kIOUserAudioPropertyStreamAvailableVirtualFormats,
         0x73666D61},
        {"kIOUserAudioPropertyStreamPhysicalFormat", kIOUserAudioPropertyStreamPhysicalFormat, 0x70667420},
        {"kIOUserAudioPropertyStreamAvailablePhysicalFormats", kIOUserAudioPropertyStreamAvailablePhysicalFormats,
         0x70667461},
        {"kIOUserAudioPropertyControlScope", kIOUserAudioPropertyControlScope, 0x63736370},
        {"kIOUserAudioPropertyControlElement", kIOUserAudioPropertyControlElement, 0x63656C6D},
        {"kIOUserAudioPropertySliderControlValue", kIOUserAudioPropertySliderControlValue, 0x73647276},
        {"kIOUserAudioPropertySliderControlRange", kIOUserAudioPropertySliderControlRange, 0x73647272},
        {"kIOUserAudioPropertyLevelControlScalarValue", kIOUserAudioPropertyLevelControlScalarValue, 0x6C637376},
        {"kIOUserAudioPropertyLevelControlDecibelValue", kIOUserAudioPropertyLevelControlDecibelValue, 0x6C636476},
        {"kIOUserAudioPropertyLevelControlDecibelRange", kIOUserAudioPropertyLevelControlDecibelRange, 0x6C636472},
        {"kIOUserAudioPropertyLevelControlConvertScalarToDecibels",
         kIOUserAudioPropertyLevelControlConvertScalarToDecibels, 0x6C637364},
        {"kIOUserAudioPropertyLevelControlConvertDecibelsToScalar",
         kIOUserAudioPropertyLevelControlConvertDecibelsToScalar, 0x6C636473},
        {"kIOUserAudioPropertyBooleanControlValue", kIOUserAudioPropertyBooleanControlValue, 0x6263766C},
        {"kIOUserAudioPropertySelectorControlCurrentItem", kIOUserAudioPropertySelectorControlCurrentItem,
         0x73636369},
        {"kIOUserAudioPropertySelectorControlAvailableItems", kIOUserAudioPropertySelectorControlAvailableItems,
         0x73636169},
        {"kIOUserAudioPropertySelectorControlItemName", kIOUserAudioPropertySelectorControlItemName, 0x7363696E},
        {"kIOUserAudioPropertySelectorControlItemKind", kIOUserAudioPropertySelectorControlItemKind, 0x636C6B6B},
        {"kIOUserAudioPropertyStereoPanControlValue", kIOUserAudioPropertyStereoPanControlValue, 0x73706376},
        {"kIOUserAudioPropertyStereoPanControlPanningChannels",
         kIOUserAudioPropertyStereoPanControlPanningChannels, 0x73706363},
        {"kIOUserAudioPropertyBoxUID", kIOUserAudioPropertyBoxUID, 0x62756964},
        {"kIOUserAudioPropertyBoxHasAudio", kIOUserAudioPropertyBoxHasAudio, 0x62686175},
        {"kIOUserAudioPropertyBoxHasVideo", kIOUserAudioPropertyBoxHasVideo, 0x62687669},
        {"kIOUserAudioPropertyBoxHasMIDI", kIOUserAudioPropertyBoxHasMIDI, 0x62686D69},
        {"kIOUserAudioPropertyBoxIsProtected", kIOUserAudioPropertyBoxIsProtected, 0x6270726F},
        {"kIOUserAudioPropertyBoxAcquired", kIOUserAudioPropertyBoxAcquired, 0x62786F6E},
        {"kIOUserAudioPropertyBoxAcquisitionFailed", kIOUserAudioPropertyBoxAcquisitionFailed, 0x62786F66},
        {"kIOUserAudioPropertyBoxDeviceList", kIOUserAudioPropertyBoxDeviceList, 0x62647623},
        {"kIOUserAudioPropertyBoxClockDeviceList", kIOUserAudioPropertyBoxClockDeviceList, 0x62636C23},
        {"IOUserAudioTransportTypeBuiltIn", IOUserAudioTransportTypeBuiltIn, 0x626C746E},
        {"IOUserAudioTransportTypePCI", IOUserAudioTransportTypePCI, 0x70636920},
        {"IOUserAudioTransportTypeUSB", IOUserAudioTransportTypeUSB, 0x75736220},
        {"IOUserAudioTransportTypeFireWire", IOUserAudioTransportTypeFireWire, 0x31333934},
        {"IOUserAudioTransportTypeBluetooth", IOUserAudioTransportTypeBluetooth, 0x626C7565},
        {"IOUserAudioTransportTypeBluetoothLE", IOUserAudioTransportTypeBluetoothLE, 0x626C6561},
        {"IOUserAudioTransportTypeHDMI", IOUserAudioTransportTypeHDMI, 0x68646D69},
        {"IOUserAudioTransportTypeDisplayPort", IOUserAudioTransportTypeDisplayPort, 0x64707274},
        {"IOUserAudioTransportTypeAirPlay", IOUserAudioTransportTypeAirPlay, 0x61697270},
        {"IOUserAudioTransportTypeAVB", IOUserAudioTransportTypeAVB, 0x65617662},
        {"IOUserAudioTransportTypeThunderbolt", IOUserAudioTransportTypeThunderbolt, 0x7468756E},
        {"IOUserAudioClockAlgorithmRaw", IOUserAudioClockAlgorithmRaw, 0x72617777},
        {"IOUserAudioClockAlgorithmSimpleIIR", IOUserAudioClockAlgorithmSimpleIIR, 0x69697266},
        {"IOUserAudioClockAlgorithmTwelvePtMovingWindowAverage",
         IOUserAudioClockAlgorithmTwelvePtMovingWindowAverage, 0x6D617667},
        {"IOUserAudioStreamTerminalTypeLine", IOUserAudioStreamTerminalTypeLine, 0x6C696E65},
        {"IOUserAudioStreamTerminalTypeDigitalAudioInterface", IOUserAudioStreamTerminalTypeDigitalAudioInterface,
         0x73706466},
        {"IOUserAudioStreamTerminalTypeSpeaker", IOUserAudioStreamTerminalTypeSpeaker, 0x73706B72},
        {"IOUserAudioStreamTerminalTypeHeadphones", IOUserAudioStreamTerminalTypeHeadphones, 0x68647068},
        {"IOUserAudioStreamTerminalTypeLFESpeaker", IOUserAudioStreamTerminalTypeLFESpeaker, 0x6C666573},
        {"IOUserAudioStreamTerminalTypeReceiverSpeaker", IOUserAudioStreamTerminalTypeReceiverSpeaker, 0x7273706B},
        {"IOUserAudioStreamTerminalTypeMicrophone", IOUserAudioStreamTerminalTypeMicrophone, 0x6D696372},
        {"IOUserAudioStreamTerminalTypeHeadsetMicrophone", IOUserAudioStreamTerminalTypeHeadsetMicrophone,
         0x686D6963},
        {"IOUserAudioStreamTerminalTypeReceiverMicrophone", IOUserAudioStreamTerminalTypeReceiverMicrophone,
         0x726D6963},
        {"IOUserAudioStreamTerminalTypeTTY", IOUserAudioStreamTerminalTypeTTY, 0x7474795F},
        {"IOUserAudioStreamTerminalTypeHDMI", IOUserAudioStreamTerminalTypeHDMI, 0x68646D69},
        {"IOUserAudioStreamTerminalTypeDisplayPort", IOUserAudioStreamTerminalTypeDisplayPort, 0x64707274},
        {"IOUserAudioFormatIDLinearPCM", IOUserAudioFormatIDLinearPCM, 0x6C70636D},
        {"IOUserAudioFormatIDAC3", IOUserAudioFormatIDAC3, 0x61632D33},
        {"IOUserAudioFormatIDAC360958", IOUserAudioFormatIDAC360958, 0x63616333},
        {"IOUserAudioFormatIDAppleIMA4", IOUserAudioFormatIDAppleIMA4, 0x696D6134},
        {"IOUserAudioFormatIDMPEG4AAC", IOUserAudioFormatIDMPEG4AAC, 0x61616320},
        {"IOUserAudioFormatIDMPEG4CELP", IOUserAudioFormatIDMPEG4CELP, 0x63656C70},
        {"IOUserAudioFormatIDMPEG4HVXC", IOUserAudioFormatIDMPEG4HVXC, 0x68767863},
        {"IOUserAudioFormatIDMPEG4TwinVQ", IOUserAudioFormatIDMPEG4TwinVQ, 0x74777671},
        {"IOUserAudioFormatIDMACE3", IOUserAudioFormatIDMACE3, 0x4D414333},
        {"IOUserAudioFormatIDMACE6", IOUserAudioFormatIDMACE6, 0x4D414336},
        {"IOUserAudioFormatIDULaw", IOUserAudioFormatIDULaw, 0x756C6177},
        {"IOUserAudioFormatIDALaw", IOUserAudioFormatIDALaw, 0x616C6177},
        {"IOUserAudioFormatIDQDesign", IOUserAudioFormatIDQDesign, 0x51444D43},
        {"IOUserAudioFormatIDQDesign2", IOUserAudioFormatIDQDesign2, 0x51444D32},
        {"IOUserAudioFormatIDQUALCOMM", IOUserAudioFormatIDQUALCOMM, 0x51636C70},
        {"IOUserAudioFormatIDMPEGLayer1", IOUserAudioFormatIDMPEGLayer1, 0x2E6D7031},
        {"IOUserAudioFormatIDMPEGLayer2", IOUserAudioFormatIDMPEGLayer2, 0x2E6D7032},
        {"IOUserAudioFormatIDMPEGLayer3", IOUserAudioFormatIDMPEGLayer3, 0x2E6D7033},
        {"IOUserAudioFormatIDTimeCode", IOUserAudioFormatIDTimeCode, 0x74696D65},
        {"IOUserAudioFormatIDMIDIStream", IOUserAudioFormatIDMIDIStream, 0x6D696469},
        {"IOUserAudioFormatIDParameterValueStream", IOUserAudioFormatIDParameterValueStream, 0x61707673},
        {"IOUserAudioFormatIDAppleLossless", IOUserAudioFormatIDAppleLossless, 0x616C6163},
        {"IOUserAudioFormatIDMPEG4AAC_HE", IOUserAudioFormatIDMPEG4AAC_HE, 0x61616368},
        {"IOUserAudioFormatIDMPEG4AAC_LD", IOUserAudioFormatIDMPEG4AAC_LD, 0x6161636C},
        {"IOUserAudioFormatIDMPEG4AAC_ELD", IOUserAudioFormatIDMPEG4AAC_ELD, 0x61616365},
        {"IOUserAudioFormatIDMPEG4AAC_ELD_SBR", IOUserAudioFormatIDMPEG4AAC_ELD_SBR, 0x61616366},
        {"IOUserAudioFormatIDMPEG4AAC_ELD_V2", IOUserAudioFormatIDMPEG4AAC_ELD_V2, 0x61616367},
        {"IOUserAudioFormatIDMPEG4AAC_HE_V2", IOUserAudioFormatIDMPEG4AAC_HE_V2, 0x61616370},
        {"IOUserAudioFormatIDMPEG4AAC_Spatial", IOUserAudioFormatIDMPEG4AAC_Spatial, 0x61616373},
        {"IOUserAudioFormatIDMPEGD_USAC", IOUserAudioFormatIDMPEGD_USAC, 0x75736163},
        {"IOUserAudioFormatIDAMR", IOUserAudioFormatIDAMR, 0x73616D72},
        {"IOUserAudioFormatIDAMR_WB", IOUserAudioFormatIDAMR_WB, 0x73617762},
        {"IOUserAudioFormatIDAudible", IOUserAudioFormatIDAudible, 0x41554442},
        {"IOUserAudioFormatIDiLBC", IOUserAudioFormatIDiLBC, 0x696C6263},
        {"IOUserAudioFormatIDAES3", IOUserAudioFormatIDAES3, 0x61657333},
        {"IOUserAudioFormatIDEnhancedAC3", IOUserAudioFormatIDEnhancedAC3, 0x65632D33},
        {"IOUserAudioFormatIDFLAC", IOUserAudioFormatIDFLAC, 0x666C6163},
        {"IOUserAudioFormatIDOpus", IOUserAudioFormatIDOpus, 0x6F707573},
    };
    CHECK(constants);
}

Test(types, plain_numbers_are_apples)
{
    static const struct constant constants[] = {
        {"kIOUserAudioObjectIDUnknown", kIOUserAudioObjectIDUnknown, 0},
        {"kIOUserAudioObjectIDDriver", kIOUserAudioObjectIDDriver, 1},
        {"IOUserAudioObjectPropertyElementMain", IOUserAudioObjectPropertyElementMain, 0},
        {"IOUserAudioCustomPropertyDataTypeNone", IOUserAudioCustomPropertyDataTypeNone, 0},
        {"IOUserAudioReservedConfigChangeActionSampleRate", IOUserAudioReservedConfigChangeActionSampleRate, 1},
        {"IOUserAudioReservedConfigChangeActionRingBufferFrameSize",
         IOUserAudioReservedConfigChangeActionRingBufferFrameSize, 2},
        {"IOUserAudioReservedConfigChangeActionStreamFormat", IOUserAudioReservedConfigChangeActionStreamFormat,
         3},
        {"IOUserAudioStartStopFlagsNone", IOUserAudioStartStopFlagsNone, 0},
        {"IOUserAudioStartStopFlagsPrewarm", IOUserAudioStartStopFlagsPrewarm, 1},
        {"IOUserAudioDeviceTransportStateStopped", IOUserAudioDeviceTransportStateStopped, 0},
        {"IOUserAudioDeviceTransportStatePrewarmed", IOUserAudioDeviceTransportStatePrewarmed, 1},
        {"IOUserAudioDeviceTransportStateRunning", IOUserAudioDeviceTransportStateRunning, 2},
        {"IOUserAudioTransportTypeUnknown", IOUserAudioTransportTypeUnknown, 0},
        {"IOUserAudioStreamDirectionOutput", IOUserAudioStreamDirectionOutput, 0},
        {"IOUserAudioStreamDirectionInput", IOUserAudioStreamDirectionInput, 1},
        {"IOUserAudioStreamTerminalTypeUnknown", IOUserAudioStreamTerminalTypeUnknown, 0},
        {"IOUserAudioFormatIDDVIIntelIMA", IOUserAudioFormatIDDVIIntelIMA, 0x6D730011},
        {"IOUserAudioFormatIDMicrosoftGSM", IOUserAudioFormatIDMicrosoftGSM, 0x6D730031},
        {"FormatFlagIsFloat", FormatFlagIsFloat, 1},
        {"FormatFlagIsBigEndian", FormatFlagIsBigEndian, 2},
        {"FormatFlagIsSignedInteger", FormatFlagIsSignedInteger, 4},
        {"FormatFlagIsPacked", FormatFlagIsPacked, 8},
        {"FormatFlagIsAlignedHigh", FormatFlagIsAlignedHigh, 16},
        {"FormatFlagIsNonInterleaved", FormatFlagIsNonInterleaved, 32},
        {"FormatFlagIsNonMixable", FormatFlagIsNonMixable, 64},
        {"LinearPCMFormatFlagIsFloat", LinearPCMFormatFlagIsFloat, 1},
        {"LinearPCMFormatFlagIsBigEndian", LinearPCMFormatFlagIsBigEndian, 2},
        {"LinearPCMFormatFlagIsSignedInteger", LinearPCMFormatFlagIsSignedInteger, 4},
        {"LinearPCMFormatFlagIsPacked", LinearPCMFormatFlagIsPacked, 8},
        {"LinearPCMFormatFlagIsAlignedHigh", LinearPCMFormatFlagIsAlignedHigh, 16},
        {"LinearPCMFormatFlagIsNonInterleaved", LinearPCMFormatFlagIsNonInterleaved, 32},
        {"LinearPCMFormatFlagIsNonMixable", LinearPCMFormatFlagIsNonMixable, 64},
        {"LinearPCMFormatFlagsSampleFractionShift", LinearPCMFormatFlagsSampleFractionShift, 7},
        {"LinearPCMFormatFlagsSampleFractionMask", LinearPCMFormatFlagsSampleFractionMask, 0x1F80},
        {"AppleLosslessFormatFlag_16BitSourceData", AppleLosslessFormatFlag_16BitSourceData, 1},
        {"AppleLosslessFormatFlag_20BitSourceData", AppleLosslessFormatFlag_20BitSourceData, 2},
        {"AppleLosslessFormatFlag_24BitSourceData", AppleLosslessFormatFlag_24BitSourceData, 3},
        {"AppleLosslessFormatFlag_32BitSourceData", AppleLosslessFormatFlag_32BitSourceData, 4},
        {"IOUserAudioChannelLabelUnused", IOUserAudioChannelLabelUnused, 0},
        {"IOUserAudioChannelLabelLeft", IOUserAudioChannelLabelLeft, 1},
        {"IOUserAudioChannelLabelRight", IOUserAudioChannelLabelRight, 2},
        {"IOUserAudioChannelLabelCenter", IOUserAudioChannelLabelCenter, 3},
        {"IOUserAudioChannelLabelLFEScreen", IOUserAudioChannelLabelLFEScreen, 4},
        {"IOUserAudioChannelLabelLeftSurround", IOUserAudioChannelLabelLeftSurround, 5},
        {"IOUserAudioChannelLabelRightSurround", IOUserAudioChannelLabelRightSurround, 6},
        {"IOUserAudioChannelLabelLeftCenter", IOUserAudioChannelLabelLeftCenter, 7},
        {"IOUserAudioChannelLabelRightCenter", IOUserAudioChannelLabelRightCenter, 8},
        {"IOUserAudioChannelLabelCenterSurround", IOUserAudioChannelLabelCenterSurround, 9},
        {"IOUserAudioChannelLabelLeftSurroundDirect", IOUserAudioChannelLabelLeftSurroundDirect, 10},
        {"IOUserAudioChannelLabelRightSurroundDirect", IOUserAudioChannelLabelRightSurroundDirect, 11},
        {"IOUserAudioChannelLabelTopCenterSurround", IOUserAudioChannelLabelTopCenterSurround, 12},
        {"IOUserAudioChannelLabelVerticalHeightLeft", IOUserAudioChannelLabelVerticalHeightLeft, 13},
        {"IOUserAudioChannelLabelVerticalHeightCenter", IOUserAudioChannelLabelVerticalHeightCenter, 14},
        {"IOUserAudioChannelLabelVerticalHeightRight", IOUserAudioChannelLabelVerticalHeightRight, 15},
        {"IOUserAudioChannelLabelTopBackLeft", IOUserAudioChannelLabelTopBackLeft, 16},
        {"IOUserAudioChannelLabelTopBackCenter", IOUserAudioChannelLabelTopBackCenter, 17},
        {"IOUserAudioChannelLabelTopBackRight", IOUserAudioChannelLabelTopBackRight, 18},
        {"IOUserAudioChannelLabelRearSurroundLeft", IOUserAudioChannelLabelRearSurroundLeft, 33},
        {"IOUserAudioChannelLabelRearSurroundRight", IOUserAudioChannelLabelRearSurroundRight, 34},
        {"IOUserAudioChannelLabelLeftWide", IOUserAudioChannelLabelLeftWide, 35},
        {"IOUserAudioChannelLabelRightWide", IOUserAudioChannelLabelRightWide, 36},
        {"IOUserAudioChannelLabelLFE2", IOUserAudioChannelLabelLFE2, 37},
        {"IOUserAudioChannelLabelLeftTotal", IOUserAudioChannelLabelLeftTotal, 38},
        {"IOUserAudioChannelLabelRightTotal", IOUserAudioChannelLabelRightTotal, 39},
        {"IOUserAudioChannelLabelHearingImpaired", IOUserAudioChannelLabelHearingImpaired, 40},
        {"IOUserAudioChannelLabelNarration", IOUserAudioChannelLabelNarration, 41},
        {"IOUserAudioChannelLabelMono", IOUserAudioChannelLabelMono, 42},
        {"IOUserAudioChannelLabelDialogCentricMix", IOUserAudioChannelLabelDialogCentricMix, 43},
        {"IOUserAudioChannelLabelCenterSurroundDirect", IOUserAudioChannelLabelCenterSurroundDirect, 44},
        {"IOUserAudioChannelLabelHaptic", IOUserAudioChannelLabelHaptic, 45},
        {"IOUserAudioChannelLabelLeftTopFront", IOUserAudioChannelLabelLeftTopFront, 13},
        {"IOUserAudioChannelLabelCenterTopFront", IOUserAudioChannelLabelCenterTopFront, 14},
        {"IOUserAudioChannelLabelRightTopFront", IOUserAudioChannelLabelRightTopFront, 15},
        {"IOUserAudioChannelLabelLeftTopMiddle", IOUserAudioChannelLabelLeftTopMiddle, 49},
        {"IOUserAudioChannelLabelCenterTopMiddle", IOUserAudioChannelLabelCenterTopMiddle, 12},
        {"IOUserAudioChannelLabelRightTopMiddle", IOUserAudioChannelLabelRightTopMiddle, 51},
        {"IOUserAudioChannelLabelLeftTopRear", IOUserAudioChannelLabelLeftTopRear, 52},
        {"IOUserAudioChannelLabelCenterTopRear", IOUserAudioChannelLabelCenterTopRear, 53},
        {"IOUserAudioChannelLabelRightTopRear", IOUserAudioChannelLabelRightTopRear, 54},
        {"IOUserAudioChannelLabelUseCoordinates", IOUserAudioChannelLabelUseCoordinates, 100},
        {"IOUserAudioChannelLabelAmbisonic_W", IOUserAudioChannelLabelAmbisonic_W, 200},
        {"IOUserAudioChannelLabelAmbisonic_X", IOUserAudioChannelLabelAmbisonic_X, 201},
        {"IOUserAudioChannelLabelAmbisonic_Y", IOUserAudioChannelLabelAmbisonic_Y, 202},
        {"IOUserAudioChannelLabelAmbisonic_Z", IOUserAudioChannelLabelAmbisonic_Z, 203},
        {"IOUserAudioChannelLabelMS_Mid", IOUserAudioChannelLabelMS_Mid, 204},
        {"IOUserAudioChannelLabelMS_Side", IOUserAudioChannelLabelMS_Side, 205},
        {"IOUserAudioChannelLabelXY_X", IOUserAudioChannelLabelXY_X, 206},
        {"IOUserAudioChannelLabelXY_Y", IOUserAudioChannelLabelXY_Y, 207},
        {"IOUserAudioChannelLabelBinauralLeft", IOUserAudioChannelLabelBinauralLeft, 208},
        {"IOUserAudioChannelLabelBinauralRight", IOUserAudioChannelLabelBinauralRight, 209},
        {"IOUserAudioChannelLabelHeadphonesLeft", IOUserAudioChannelLabelHeadphonesLeft, 301},
        {"IOUserAudioChannelLabelHeadphonesRight", IOUserAudioChannelLabelHeadphonesRight, 302},
        {"IOUserAudioChannelLabelClickTrack", IOUserAudioChannelLabelClickTrack, 304},
        {"IOUserAudioChannelLabelForeignLanguage", IOUserAudioChannelLabelForeignLanguage, 305},
        {"IOUserAudioChannelLabelDiscrete", IOUserAudioChannelLabelDiscrete, 400},
        {"IOUserAudioChannelLabelHOA_ACN", IOUserAudioChannelLabelHOA_ACN, 500},
        {"IOUserAudioChannelLabelDiscrete_0", IOUserAudioChannelLabelDiscrete_0, 0x10000},
        {"IOUserAudioChannelLabelDiscrete_1", IOUserAudioChannelLabelDiscrete_1, 0x10001},
        {"IOUserAudioChannelLabelDiscrete_2", IOUserAudioChannelLabelDiscrete_2, 0x10002},
        {"IOUserAudioChannelLabelDiscrete_3", IOUserAudioChannelLabelDiscrete_3, 0x10003},
        {"IOUserAudioChannelLabelDiscrete_4", IOUserAudioChannelLabelDiscrete_4, 0x10004},
        {"IOUserAudioChannelLabelDiscrete_5", IOUserAudioChannelLabelDiscrete_5, 0x10005},
        {"IOUserAudioChannelLabelDiscrete_6", IOUserAudioChannelLabelDiscrete_6, 0x10006},
        {"IOUserAudioChannelLabelDiscrete_7", IOUserAudioChannelLabelDiscrete_7, 0x10007},
        {"IOUserAudioChannelLabelDiscrete_8", IOUserAudioChannelLabelDiscrete_8, 0x10008},
        {"IOUserAudioChannelLabelDiscrete_9", IOUserAudioChannelLabelDiscrete_9, 0x10009},
        {"IOUserAudioChannelLabelDiscrete_10", IOUserAudioChannelLabelDiscrete_10, 0x1000A},
        {"IOUserAudioChannelLabelDiscrete_11", IOUserAudioChannelLabelDiscrete_11, 0x1000B},
        {"IOUserAudioChannelLabelDiscrete_12", IOUserAudioChannelLabelDiscrete_12, 0x1000C},
        {"IOUserAudioChannelLabelDiscrete_13", IOUserAudioChannelLabelDiscrete_13, 0x1000D},
        {"IOUserAudioChannelLabelDiscrete_14", IOUserAudioChannelLabelDiscrete_14, 0x1000E},
        {"IOUserAudioChannelLabelDiscrete_15", IOUserAudioChannelLabelDiscrete_15, 0x1000F},
        {"IOUserAudioChannelLabelDiscrete_65535", IOUserAudioChannelLabelDiscrete_65535, 0x1FFFF},
        {"IOUserAudioChannelLabelHOA_ACN_0", IOUserAudioChannelLabelHOA_ACN_0, 0x20000},
        {"IOUserAudioChannelLabelHOA_ACN_1", IOUserAudioChannelLabelHOA_ACN_1, 0x20001},
        {"IOUserAudioChannelLabelHOA_ACN_2", IOUserAudioChannelLabelHOA_ACN_2, 0x20002},
        {"IOUserAudioChannelLabelHOA_ACN_3", IOUserAudioChannelLabelHOA_ACN_3, 0x20003},
        {"IOUserAudioChannelLabelHOA_ACN_4", IOUserAudioChannelLabelHOA_ACN_4, 0x20004},
        {"IOUserAudioChannelLabelHOA_ACN_5", IOUserAudioChannelLabelHOA_ACN_5, 0x20005},
        {"IOUserAudioChannelLabelHOA_ACN_6", IOUserAudioChannelLabelHOA_ACN_6, 0x20006},
        {"IOUserAudioChannelLabelHOA_ACN_7", IOUserAudioChannelLabelHOA_ACN_7, 0x20007},
        {"IOUserAudioChannelLabelHOA_ACN_8", IOUserAudioChannelLabelHOA_ACN_8, 0x20008},
        {"IOUserAudioChannelLabelHOA_ACN_9", IOUserAudioChannelLabelHOA_ACN_9, 0x20009},
        {"IOUserAudioChannelLabelHOA_ACN_10", IOUserAudioChannelLabelHOA_ACN_10, 0x2000A},
        {"IOUserAudioChannelLabelHOA_ACN_11", IOUserAudioChannelLabelHOA_ACN_11, 0x2000B},
        {"IOUserAudioChannelLabelHOA_ACN_12", IOUserAudioChannelLabelHOA_ACN_12, 0x2000C},
        {"IOUserAudioChannelLabelHOA_ACN_13", IOUserAudioChannelLabelHOA_ACN_13, 0x2000D},
        {"IOUserAudioChannelLabelHOA_ACN_14", IOUserAudioChannelLabelHOA_ACN_14, 0x2000E},
        {"IOUserAudioChannelLabelHOA_ACN_15", IOUserAudioChannelLabelHOA_ACN_15, 0x2000F},
        {"IOUserAudioChannelLabelHOA_ACN_65024", IOUserAudioChannelLabelHOA_ACN_65024, 0x2FE00},
        {"IOUserAudioIOOperationBeginRead", IOUserAudioIOOperationBeginRead, 0},
        {"IOUserAudioIOOperationWriteEnd", IOUserAudioIOOperationWriteEnd, 1},
        {"FormatFlagsAreAllClear", FormatFlagsAreAllClear, 0x80000000},
        {"LinearPCMFormatFlagsAreAllClear", LinearPCMFormatFlagsAreAllClear, 0x80000000},
        {"IOUserAudioChannelLabelUnknown", IOUserAudioChannelLabelUnknown, 0xFFFFFFFF},
        {"IOUserAudioChannelLabelBeginReserved", IOUserAudioChannelLabelBeginReserved, 0xF0000000},
        {"IOUserAudioChannelLabelEndReserved", IOUserAudioChannelLabelEndReserved, 0xFFFFFFFE},
    };
    CHECK(constants);
}

Test(types, native_flags_follow_the_byte_order_of_the_machine)
{
    const union {
        uint16_t number;
        uint8_t first;
    } probe = {.number = 1};
    const uint32_t big = probe.first ? 0 : 2;

    cr_expect(eq(u32, FormatFlagsNativeEndian, big));
    cr_expect(eq(u32, FormatFlagsNativeFloatPacked, 9 | big));
}

Test(types, integers_have_apples_widths)
{
    cr_expect(eq(sz, sizeof(IOUserAudioObjectID), 4));
    cr_expect(eq(sz, sizeof(IOUserAudioClassID), 4));
    cr_expect(eq(sz, sizeof(IOUserAudioObjectPropertySelector), 4));
    cr_expect(eq(sz, sizeof(IOUserAudioObjectPropertyScope), 4));
    cr_expect(eq(sz, sizeof(IOUserAudioObjectPropertyElement), 4));
    cr_expect(eq(sz, sizeof(IOUserAudioCustomPropertyDataType), 4));
    cr_expect(eq(sz, sizeof(IOUserAudioTransportType), 4));
    cr_expect(eq(sz, sizeof(IOUserAudioClockAlgorithm), 4));
    cr_expect(eq(sz, sizeof(IOUserAudioStreamDirection), 4));
    cr_expect(eq(sz, sizeof(IOUserAudioStreamTerminalType), 4));
    cr_expect(eq(sz, sizeof(IOUserAudioFormatID), 4));
    cr_expect(eq(sz, sizeof(IOUserAudioFormatFlags), 4));
    cr_expect(eq(sz, sizeof(IOUserAudioChannelLabel), 4));
    cr_expect(eq(sz, sizeof(IOUserAudioSelectorValue), 4));
    cr_expect(eq(sz, sizeof(IOUserAudioIOOperation), 4));
    cr_expect(eq(sz, sizeof(IOUserAudioReservedConfigChangeAction), 8));
    cr_expect(eq(sz, sizeof(IOUserAudioStartStopFlags), 8));
    cr_expect(eq(sz, sizeof(IOUserAudioDeviceTransportState), 8));
}

Test(types, structures_have_apples_layout)
{
    cr_expect(eq(sz, sizeof(IOUserAudioObjectPropertyAddress), 12));
    cr_expect(eq(sz, offsetof(IOUserAudioObjectPropertyAddress, mScope), 4));
    cr_expect(eq(sz, offsetof(IOUserAudioObjectPropertyAddress, mElement), 8));

    cr_expect(eq(sz, sizeof(IOUserAudioCustomPropertyInfo), 12));
    cr_expect(eq(sz, offsetof(IOUserAudioCustomPropertyInfo, mPropertyDataType), 4));
    cr_expect(eq(sz, offsetof(IOUserAudioCustomPropertyInfo, mQualifierDataType), 8));

    cr_expect(eq(sz, sizeof(IOUserAudioStreamBasicDescription), 40));
    cr_expect(eq(sz, offsetof(IOUserAudioStreamBasicDescription, mSampleRate), 0));
    cr_expect(eq(sz, offsetof(IOUserAudioStreamBasicDescription, mFormatID), 8));
    cr_expect(eq(sz, offsetof(IOUserAudioStreamBasicDescription, mFormatFlags), 12));
    cr_expect(eq(sz, offsetof(IOUserAudioStreamBasicDescription, mBytesPerPacket), 16));
    cr_expect(eq(sz, offsetof(IOUserAudioStreamBasicDescription, mFramesPerPacket), 20));
    cr_expect(eq(sz, offsetof(IOUserAudioStreamBasicDescription, mBytesPerFrame), 24));
    cr_expect(eq(sz, offsetof(IOUserAudioStreamBasicDescription, mChannelsPerFrame), 28));
    cr_expect(eq(sz, offsetof(IOUserAudioStreamBasicDescription, mBitsPerChannel), 32));
    cr_expect(eq(sz, offsetof(IOUserAudioStreamBasicDescription, mReserved), 36));

    cr_expect(eq(sz, sizeof(IOUserAudioSliderRange), 8));
    cr_expect(eq(sz, sizeof(IOUserAudioLevelControlRange), 8));
}
