// SPDX-License-Identifier: MIT
// Descriptions: what they say of a device, what is read from them, and what is not believed.

#include "host/describe.h"
#include "host/wire.h"
#include "tests/audio/test_driver.h"

#include <dextral/IOUserAudioBooleanControl.h>
#include <dextral/IOUserAudioSliderControl.h>
#include <dextral/IOUserAudioStereoPanControl.h>

#include <math.h>

#define MAIN IOUserAudioObjectPropertyElementMain
#define OUTPUT IOUserAudioObjectPropertyScopeOutput
#define INPUT IOUserAudioObjectPropertyScopeInput
#define TEXT DX_FOURCC('t', 'e', 'x', 't')

static struct test_rig rig;

static OSString *
string(const char *text)
{
    OSString *const made = OSStringCreate(text);
    CHECK(made);
    return made;
}

static void
name(IOUserAudioObjectPtr object, const char *text)
{
    OSString *const made = string(text);
    CHECK_OK(IOUserAudioObjectSetName(object, made));
    OSObjectRelease(made);
}

static void
add(IOUserAudioControlPtr control, const char *text)
{
    CHECK(control);
    name(control, text);
    CHECK_OK(IOUserAudioDeviceAddControl(rig.object, control));
    OSObjectRelease(control);
}

static void
add_selector(void)
{
    const IOUserAudioSelectorValueDescription items[] = {{10, string("Tone")}, {20, string("Loopback")}};
    IOUserAudioSelectorControl *const selector = IOUserAudioSelectorControlCreate(
        rig.driver.driver, true, MAIN, INPUT, IOUserAudioClassIDDataSourceControl);
    CHECK_OK(IOUserAudioSelectorControlAddControlValueDescriptions(selector, items, 2));
    CHECK_OK(IOUserAudioSelectorControlSetCurrentSelectedValues(selector, &items[1].m_value, 1));
    OSObjectRelease(items[0].m_name);
    OSObjectRelease(items[1].m_name);
    add(selector, "Source");
}

/* A device with something of everything. */
static void
begin(void)
{
    const struct test_config config = {
        .input_safety = 7, .output_safety = 9, .output_latency = 30, .stream_latency = 4, .late_tolerance = 2000};
    test_rig_start(&rig, &config, &(dx_host_config){.size = sizeof(dx_host_config), .io_frames = 480});
    IOUserAudioDriver *const driver = rig.driver.driver;
    name(rig.object, "Gerät");
    name(rig.driver.outputs[0], "Line out");
    add(IOUserAudioBooleanControlCreate(driver, true, true, MAIN, OUTPUT, IOUserAudioClassIDMuteControl), "Mute");
    add(IOUserAudioSliderControlCreate(driver, false, 5, (IOUserAudioSliderRange){3, 9}, 2,
                                       IOUserAudioObjectPropertyScopeGlobal, IOUserAudioClassIDSliderControl),
        "Depth");
    add(IOUserAudioLevelControlCreate(driver, true, -10.0f, (IOUserAudioLevelControlRange){-40.0f, 0.0f}, MAIN,
                                      INPUT, IOUserAudioClassIDVolumeControl),
        "Volume");
    add(IOUserAudioStereoPanControlCreate(driver, true, 0.25f, 1, 2, MAIN, OUTPUT,
                                          IOUserAudioClassIDStereoPanControl),
        "Pan");
    add_selector();
    IOUserAudioCustomProperty *const property = IOUserAudioCustomPropertyCreate(
        driver, (IOUserAudioObjectPropertyAddress){TEXT, OUTPUT, 3}, true, IOUserAudioCustomPropertyDataTypeNone,
        IOUserAudioCustomPropertyDataTypeString);
    CHECK_OK(IOUserAudioObjectAddCustomProperty(rig.object, property));
    OSObjectRelease(property);
    dx_host_settle(rig.host.host);
}

/* What comes out of a message that a description went into; +1. */
static OSDictionary *
send(OSDictionary *description)
{
    OSData *const bytes = OSSerializationCreateFromObject(description);
    CHECK(bytes);
    CHECK(OSDataGetLength(bytes) < DX_WIRE_MAX_BYTES);
    OSObjectPtr const received = OSSerializationCopyObject(OSDataGetBytesNoCopy(bytes), OSDataGetLength(bytes));
    CHECK(OSDynamicCast(OSDictionary, received));
    OSObjectRelease(bytes);
    return received;
}

static OSDictionary *
describe(void)
{
    OSDictionary *const description = dx_describe_device(rig.device);
    CHECK(description);
    OSDictionary *const received = send(description);
    OSObjectRelease(description);
    return received;
}

static double
get_double(const OSDictionary *from, const char *key)
{
    double value = -1.0;
    CHECK(dx_wire_get_double(from, key, &value));
    return value;
}

static const OSDictionary *
get_member(const OSDictionary *from, const char *key, size_t index)
{
    OSArray *const array = dx_wire_get_array(from, key);
    CHECK(array);
    const OSDictionary *const member = OSDynamicCast(OSDictionary, OSArrayGetObject(array, index));
    CHECK(member);
    return member;
}

/* ---- what is said ---- */

static void
the_keys_are_those_of_the_protocol(void)
{
    begin();
    OSDictionary *const d = describe();
    CHECK_TEXT(dx_wire_get_string(d, "uid"), TEST_UID);
    CHECK_TEXT(dx_wire_get_string(d, "name"), "Gerät");
    CHECK(get_double(d, "rate-f64") == 48000.0);
    CHECK_EQ(dx_wire_get_number(d, "ring-frames", 0), 16384);
    CHECK_EQ(dx_wire_get_number(d, "io-frames", 0), 480);
    CHECK_EQ(dx_wire_get_number(d, "default-io-frames", 0), 480);
    CHECK_EQ(dx_wire_get_number(d, "wanted-io-frames", 1), 0);
    CHECK_EQ(dx_wire_get_number(d, "input-safety", 0), 7);
    CHECK_EQ(dx_wire_get_number(d, "output-safety", 0), 9);
    CHECK_EQ(dx_wire_get_number(d, "late-tolerance", 0), 2000);
    CHECK_EQ(dx_wire_get_number(d, "left-out", 1), 0);
    CHECK(OSDictionaryGetObject(d, "hidden") == kOSBooleanFalse);
    CHECK(OSDictionaryGetObject(d, "io-running") == kOSBooleanFalse);
    /* The first rate, as the bits of a double: 48000 is 0x40E7700000000000. */
    const uint8_t first[8] = {0, 0, 0, 0, 0, 0x70, 0xE7, 0x40};
    OSData *const rates = dx_wire_get_data(d, "rates");
    CHECK(rates && OSDataGetLength(rates) >= 8 && memcmp(OSDataGetBytesNoCopy(rates), first, 8) == 0);

    const OSDictionary *const output = get_member(d, "outputs", 0);
    CHECK_TEXT(dx_wire_get_string(output, "name"), "Line out");
    CHECK_EQ(dx_wire_get_number(output, "latency", 0), 34);
    CHECK(OSDictionaryGetObject(output, "mixable") == kOSBooleanTrue);
    CHECK_EQ(OSArrayGetCount(dx_wire_get_array(output, "formats")), 3);
    const OSDictionary *const client = dx_wire_get_dictionary(output, "client");
    CHECK(get_double(client, "rate-f64") == 48000.0);
    CHECK_EQ(dx_wire_get_number(client, "id", 0), DX_FOURCC('l', 'p', 'c', 'm'));
    CHECK_EQ(dx_wire_get_number(client, "channels", 0), 2);
    CHECK_EQ(dx_wire_get_number(client, "bytes-per-frame", 0), 8);
    CHECK_EQ(dx_wire_get_number(client, "bits", 0), 32);
    OSObjectRelease(d);
    test_rig_finish(&rig);
}

static void
controls_say_what_their_kind_has(void)
{
    begin();
    OSDictionary *const d = describe();
    CHECK_EQ(OSArrayGetCount(dx_wire_get_array(d, "controls")), 5);
    const OSDictionary *const mute = get_member(d, "controls", 0);
    CHECK_TEXT(dx_wire_get_string(mute, "key"), "mute/outp/0");
    CHECK_TEXT(dx_wire_get_string(mute, "kind"), "boolean");
    CHECK(OSDictionaryGetObject(mute, "on") == kOSBooleanTrue);
    CHECK(OSDictionaryGetObject(mute, "settable") == kOSBooleanTrue);
    const OSDictionary *const slider = get_member(d, "controls", 1);
    CHECK_TEXT(dx_wire_get_string(slider, "kind"), "slider");
    CHECK_EQ(dx_wire_get_number(slider, "number", 0), 5);
    CHECK_EQ(dx_wire_get_number(slider, "number-min", 0), 3);
    CHECK_EQ(dx_wire_get_number(slider, "number-max", 0), 9);
    CHECK(OSDictionaryGetObject(slider, "settable") == kOSBooleanFalse);
    const OSDictionary *const volume = get_member(d, "controls", 2);
    CHECK_TEXT(dx_wire_get_string(volume, "kind"), "level");
    CHECK(get_double(volume, "decibels-f64") == -10.0 && get_double(volume, "decibels-min-f64") == -40.0);
    CHECK(get_double(volume, "scalar-f64") == 0.75);
    const OSDictionary *const pan = get_member(d, "controls", 3);
    CHECK_TEXT(dx_wire_get_string(pan, "kind"), "stereo pan");
    CHECK(get_double(pan, "position-f64") == 0.25);
    CHECK_EQ(dx_wire_get_number(pan, "right-element", 0), 2);
    const OSDictionary *const selector = get_member(d, "controls", 4);
    CHECK_TEXT(dx_wire_get_string(selector, "kind"), "selector");
    CHECK_TEXT(dx_wire_get_string(get_member(selector, "items", 1), "name"), "Loopback");
    CHECK_EQ(dx_wire_get_number(get_member(selector, "items", 1), "value", 0), 20);
    CHECK_EQ(OSNumberGetUInt64Value(OSArrayGetObject(dx_wire_get_array(selector, "selected"), 0)), 20);
    const OSDictionary *const property = get_member(d, "properties", 0);
    CHECK_EQ(dx_wire_get_number(property, "selector", 0), TEXT);
    CHECK_EQ(dx_wire_get_number(property, "element", 0), 3);
    CHECK_EQ(dx_wire_get_number(property, "data-type", 0), DX_FOURCC('c', 'f', 's', 't'));
    OSObjectRelease(d);
    test_rig_finish(&rig);
}

/* ---- what is read ---- */

#define SAME(member) CHECK(memcmp(&a->member, &b->member, sizeof a->member) == 0)

static void
check_same_stream(const dx_stream_info *a, const dx_stream_info *b)
{
    SAME(object);
    SAME(is_active);
    SAME(is_mixable);
    SAME(physical);
    SAME(client);
    SAME(latency_frames);
}

static void
check_same_info(const dx_device_info *a, const dx_device_info *b)
{
    SAME(name);
    SAME(manufacturer);
    SAME(transport);
    SAME(is_hidden);
    SAME(can_be_default_input);
    SAME(can_be_default_output);
    SAME(is_running);
    SAME(sample_rate_hz);
    SAME(actual_rate_hz);
    SAME(rate_count);
    SAME(rates_hz);
    SAME(io_frames);
    SAME(wanted_io_frames);
    SAME(default_io_frames);
    SAME(ring_frames);
    SAME(input_safety_frames);
    SAME(output_safety_frames);
    SAME(late_tolerance_frames);
    SAME(input_streams);
    SAME(output_streams);
    check_same_stream(&a->inputs[0], &b->inputs[0]);
    check_same_stream(&a->outputs[0], &b->outputs[0]);
}

static void
check_same_control(const dx_control_info *a, const dx_control_info *b)
{
    SAME(kind);
    SAME(object);
    SAME(class_id);
    SAME(scope);
    SAME(element);
    SAME(is_settable);
    SAME(key);
    SAME(name);
    SAME(is_on);
    SAME(number);
    SAME(number_min);
    SAME(number_max);
    SAME(decibels);
    SAME(decibels_min);
    SAME(decibels_max);
    SAME(scalar);
    SAME(position);
    SAME(left_element);
    SAME(right_element);
    SAME(item_count);
    SAME(selected_count);
    SAME(selected);
}

static void
check_same_property(const dx_custom_property_info *a, const dx_custom_property_info *b)
{
    SAME(address);
    SAME(qualifier_type);
    SAME(data_type);
    SAME(is_settable);
}

static void
what_is_read_is_what_the_device_told(void)
{
    begin();
    OSDictionary *const d = describe();
    static dx_device_info told, read;
    told = test_info(rig.device);
    CHECK_OK(dx_description_get_info(d, &read));
    CHECK(!read.has_driver); // that is for the supervisor to say
    check_same_info(&told, &read);

    for (uint32_t i = 0; i <= 5; i++) {
        dx_control_info its = {.size = sizeof its}, same = {.size = sizeof same};
        const kern_return_t status = dx_device_get_control_at(rig.device, i, &its);
        CHECK_STATUS(dx_description_get_control_at(d, i, &same), status);
        CHECK_STATUS(status, i < 5 ? kIOReturnSuccess : kIOReturnNotFound);
        if (i == 5)
            break;
        check_same_control(&its, &same);
        CHECK_OK(dx_description_get_control(d, its.key, &same));
        check_same_control(&its, &same);
    }
    dx_control_item items[3] = {{0}};
    uint32_t count = 0;
    CHECK_OK(dx_description_get_control_items(d, "dsrc/inpt/0", items, 1, &count));
    CHECK_EQ(count, 2);
    CHECK_TEXT(items[0].name, "Tone");
    CHECK_EQ(items[1].value, 0); // there was room for one
    CHECK_STATUS(dx_description_get_control_items(d, "mute/outp/0", items, 3, &count), kIOReturnUnsupported);
    CHECK_STATUS(dx_description_get_control(d, "mute/outp/7", &(dx_control_info){0}), kIOReturnNotFound);

    dx_custom_property_info property = {.size = sizeof property}, its = {.size = sizeof its};
    CHECK_OK(dx_device_get_custom_property_at(rig.device, 0, &its));
    CHECK_OK(dx_description_get_custom_property_at(d, 0, &property));
    check_same_property(&property, &its);
    CHECK_STATUS(dx_description_get_custom_property_at(d, 1, &property), kIOReturnNotFound);
    OSObjectRelease(d);
    test_rig_finish(&rig);
}

static void
check_labels(const OSDictionary *stream, const uint64_t *labels, uint32_t count)
{
    OSArray *const layout = dx_wire_get_array(stream, "layout");
    CHECK(layout);
    CHECK_EQ(OSArrayGetCount(layout), count);
    for (uint32_t i = 0; i < count; i++)
        CHECK_EQ(OSNumberGetUInt64Value(OSArrayGetObject(layout, i)), labels[i]);
}

/* The numbers are Core Audio's: left, right, centre, low frequencies, left and right surround, discrete 0, unknown. */
static void
each_stream_has_its_part_of_the_layout(void)
{
    const struct test_config config = {
        .output_streams = 2, .input_streams = 1, .format_count = 1, .formats = {test_format(48000.0, 6)}};
    test_rig_start(&rig, &config, NULL);
    OSDictionary *d = describe();
    CHECK(!OSDictionaryGetObject(get_member(d, "outputs", 0), "layout")); // nothing was said
    uint32_t count = 7;
    CHECK_OK(dx_description_get_channel_layout(d, IOUserAudioStreamDirectionOutput, 0, NULL, 0, &count));
    CHECK_EQ(count, 0);
    OSObjectRelease(d);

    static const IOUserAudioChannelLabel labels[] = {1, 2, 3, 4, 5, 6, 65536, 33, 34};
    static const uint64_t first[] = {1, 2, 3, 4, 5, 6};
    static const uint64_t second[] = {65536, 33, 34, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF};
    CHECK_OK(IOUserAudioDeviceSetPreferredOutputChannelLayout(rig.object, labels, 9));
    CHECK_OK(IOUserAudioStreamSetStartingChannel(rig.driver.outputs[1], 7));
    d = describe();
    check_labels(get_member(d, "outputs", 0), first, 6);
    check_labels(get_member(d, "outputs", 1), second, 6);
    CHECK(!OSDictionaryGetObject(get_member(d, "inputs", 0), "layout"));

    for (uint32_t i = 0; i < 3; i++) {
        IOUserAudioChannelLabel told[8] = {0}, read[8] = {0};
        uint32_t told_count = 0;
        const kern_return_t status =
            dx_device_get_channel_layout(rig.device, IOUserAudioStreamDirectionOutput, i, told, 4, &told_count);
        CHECK_STATUS(dx_description_get_channel_layout(d, IOUserAudioStreamDirectionOutput, i, read, 4, &count),
                     status);
        CHECK_STATUS(status, i < 2 ? kIOReturnSuccess : kIOReturnNotFound);
        CHECK(i == 2 || (count == 6 && told_count == 6));
        CHECK(memcmp(told, read, sizeof told) == 0);
        CHECK_EQ(read[4], 0); // there was room for four
    }
    OSObjectRelease(d);

    /* A layout that ends before a stream begins says nothing of it. */
    CHECK_OK(IOUserAudioStreamSetStartingChannel(rig.driver.outputs[1], 10));
    CHECK_OK(dx_device_get_channel_layout(rig.device, IOUserAudioStreamDirectionOutput, 1, NULL, 0, &count));
    CHECK_EQ(count, 0);
    CHECK_STATUS(dx_device_get_channel_layout(rig.device, 2, 0, NULL, 0, &count), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_get_channel_layout(rig.device, IOUserAudioStreamDirectionOutput, 0, NULL, 1, &count),
                 kIOReturnBadArgument);
    test_rig_finish(&rig);
}

static void
statistics_are_read_as_they_were_told(void)
{
    begin();
    dx_client *const client = test_open(rig.device, true, true, 128);
    CHECK_OK(dx_client_start(client));
    test_sleep(TEST_S);
    dx_client_stop(client);
    OSDictionary *const told = dx_describe_statistics(rig.device);
    OSDictionary *const received = send(told);
    dx_device_statistics read;
    CHECK_OK(dx_description_get_statistics(received, &read));
    const dx_device_statistics its = test_statistics(rig.device);
    CHECK(its.cycles > 300);
    CHECK_EQ(dx_wire_get_number(told, "cycles", 0), its.cycles);
    CHECK(memcmp(&read, &its, sizeof its) == 0); // it has no holes
    OSObjectRelease(received);
    OSObjectRelease(told);
    dx_client_close(client);
    test_rig_finish(&rig);
}

static void
a_device_without_a_driver_is_described_by_its_uid(void)
{
    begin();
    CHECK_OK(dx_host_stop_driver(rig.host.host, rig.driver.driver));
    OSDictionary *const d = describe();
    CHECK_TEXT(dx_wire_get_string(d, "uid"), TEST_UID);
    CHECK_EQ(OSArrayGetCount(dx_wire_get_array(d, "outputs")), 0);
    CHECK_EQ(OSArrayGetCount(dx_wire_get_array(d, "controls")), 0);
    static dx_device_info info;
    CHECK_OK(dx_description_get_info(d, &info));
    CHECK_EQ(info.output_streams, 0);
    OSObjectRelease(d);
    test_rig_finish(&rig);
}

static void
what_does_not_fit_is_left_out_and_counted(void)
{
    begin();
    /* 119 and more bytes of name for each, and no more than 1024 controls. */
    for (uint32_t i = 0; i < 900; i++) {
        char text[128];
        (void)snprintf(text, sizeof text, "%0120u", i);
        add(IOUserAudioBooleanControlCreate(rig.driver.driver, true, true, i + 1, OUTPUT,
                                            IOUserAudioClassIDMuteControl),
            text);
    }
    OSDictionary *const d = describe(); // which checks that it can be sent
    const uint64_t left_out = dx_wire_get_number(d, "left-out", 0);
    const size_t there = OSArrayGetCount(dx_wire_get_array(d, "controls"));
    CHECK(left_out > 0);
    CHECK_EQ(there + left_out, 905 + 1); // and the property
    dx_control_info info;
    CHECK_OK(dx_description_get_control(d, "mute/outp/1", &info));
    CHECK_STATUS(dx_description_get_control(d, "mute/outp/900", &info), kIOReturnNotFound);
    OSObjectRelease(d);
    test_rig_finish(&rig);
}

/* ---- what is not believed ---- */

static void
set_number(OSDictionary *to, const char *key, uint64_t value)
{
    CHECK(OSDictionarySetUInt64Value(to, key, value));
}

/* A description with one list, of one dictionary; both +1. */
static OSDictionary *
listed(const char *list, OSDictionary *member)
{
    OSDictionary *const description = OSDictionaryCreate(1);
    OSArray *const array = OSArrayCreate(1);
    CHECK(OSArraySetObject(array, member));
    CHECK(dx_wire_take(description, list, array));
    return description;
}

static void
an_empty_description_says_nothing_and_is_no_error(void)
{
    OSDictionary *const d = OSDictionaryCreate(0);
    static dx_device_info info;
    memset(&info, 0xAA, sizeof info);
    CHECK_OK(dx_description_get_info(d, &info));
    CHECK_TEXT(info.name, "");
    CHECK_EQ(info.output_streams + info.input_streams + info.rate_count, 0);
    CHECK(!info.has_driver);
    CHECK_STATUS(dx_description_get_control_at(d, 0, &(dx_control_info){0}), kIOReturnNotFound);
    CHECK_STATUS(dx_description_get_custom_property_at(d, 0, &(dx_custom_property_info){0}), kIOReturnNotFound);
    dx_device_statistics statistics;
    CHECK_OK(dx_description_get_statistics(d, &statistics));
    CHECK_EQ(statistics.cycles, 0);
    OSObjectRelease(d);
}

static void
a_state_says_whether_there_is_a_driver(void)
{
    OSDictionary *const d = OSDictionaryCreate(1);
    static dx_device_info info;
    static const char *const states[] = {"idle", "starting", "running", "waiting", "failed", "unapproved"};
    for (unsigned i = 0; i < 6; i++) {
        CHECK(OSDictionarySetStringValue(d, "state", states[i]));
        CHECK_OK(dx_description_get_info(d, &info));
        CHECK_EQ(info.has_driver, strcmp(states[i], "running") == 0);
    }
    OSObjectRelease(d);
}

static void
values_of_a_wrong_type_are_as_if_they_were_not_there(void)
{
    static const char *const keys[] = {"name",    "rate-f64", "rates",     "inputs",
                                       "outputs", "hidden",   "io-frames", "state"};
    OSObjectPtr const values[] = {string("text"),   OSNumberCreate(1, 8),  OSDataCreate("\1\2\3", 3),
                                  OSArrayCreate(0), OSDictionaryCreate(0), kOSBooleanTrue};
    static dx_device_info info;
    for (unsigned k = 0; k < 8; k++) {
        for (unsigned v = 0; v < 6; v++) {
            OSDictionary *const d = OSDictionaryCreate(1);
            CHECK(OSDictionarySetObject(d, keys[k], values[v]));
            CHECK_OK(dx_description_get_info(d, &info));
            CHECK_EQ(info.input_streams + info.output_streams + info.rate_count, 0);
            CHECK(k == 0 && v == 0 ? strcmp(info.name, "text") == 0 : !info.name[0]);
            CHECK_EQ(info.is_hidden, k == 5 && v == 5);
            OSObjectRelease(d);
        }
    }
    for (unsigned v = 0; v < 6; v++)
        OSObjectRelease(values[v]);
}

static void
numbers_out_of_their_range_are_refused(void)
{
    static dx_device_info info;
    static const struct {
        const char *key;
        uint64_t value;
    } bad[] = {
        {"io-frames", UINT64_C(1) << 32}, {"transport", UINT64_MAX},
        {"rate-f64", 0x7FF8000000000000},                                   // NaN
        {"rate-f64", 0x7FF0000000000000}, {"rate-f64", 0xC0E7700000000000}, // inf, -48000
    };
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        OSDictionary *const d = OSDictionaryCreate(1);
        set_number(d, bad[i].key, bad[i].value);
        CHECK_STATUS(dx_description_get_info(d, &info), kIOReturnInvalid);
        OSObjectRelease(d);
    }
    OSDictionary *const rates = OSDictionaryCreate(1);
    const double none = 0.0;
    CHECK(dx_wire_take(rates, "rates", OSDataCreate(&none, sizeof none)));
    CHECK_STATUS(dx_description_get_info(rates, &info), kIOReturnInvalid);
    OSObjectRelease(rates);
}

static void
more_than_there_is_room_for_is_refused(void)
{
    static dx_device_info info;
    OSDictionary *const stream = OSDictionaryCreate(0);
    OSDictionary *const d = listed("inputs", stream);
    for (unsigned i = 1; i <= DX_MAX_STREAMS; i++) {
        CHECK_OK(dx_description_get_info(d, &info));
        CHECK_EQ(info.input_streams, i);
        CHECK(OSArraySetObject(dx_wire_get_array(d, "inputs"), stream));
    }
    CHECK_STATUS(dx_description_get_info(d, &info), kIOReturnInvalid);
    OSObjectRelease(d);
    OSObjectRelease(stream);

    /* More rates than can be told are no error. */
    OSDictionary *const many = OSDictionaryCreate(1);
    double rates[DX_MAX_RATES + 5];
    for (unsigned i = 0; i < DX_MAX_RATES + 5; i++)
        rates[i] = 8000.0 + i;
    CHECK(dx_wire_take(many, "rates", OSDataCreate(rates, sizeof rates)));
    CHECK_OK(dx_description_get_info(many, &info));
    CHECK_EQ(info.rate_count, DX_MAX_RATES);
    CHECK(info.rates_hz[DX_MAX_RATES - 1] == 8000.0 + DX_MAX_RATES - 1);
    OSObjectRelease(many);
}

static void
a_control_that_cannot_be_one_is_refused(void)
{
    dx_control_info info;
    OSDictionary *const control = OSDictionaryCreate(4);
    OSDictionary *const d = listed("controls", control);
    CHECK_STATUS(dx_description_get_control_at(d, 0, &info), kIOReturnInvalid); // no kind
    CHECK(OSDictionarySetStringValue(control, "kind", "knob"));
    CHECK_STATUS(dx_description_get_control_at(d, 0, &info), kIOReturnInvalid);
    CHECK(OSDictionarySetStringValue(control, "kind", "level"));
    CHECK_OK(dx_description_get_control_at(d, 0, &info));
    CHECK(dx_wire_set_double(control, "decibels-f64", 1e300)); // beyond a float
    CHECK_STATUS(dx_description_get_control_at(d, 0, &info), kIOReturnInvalid);
    CHECK(dx_wire_set_double(control, "decibels-f64", (double)NAN));
    CHECK_STATUS(dx_description_get_control_at(d, 0, &info), kIOReturnInvalid);

    CHECK(OSDictionarySetStringValue(control, "kind", "selector"));
    CHECK(OSDictionarySetStringValue(control, "key", "k"));
    OSArray *const selected = OSArrayCreate(0);
    CHECK(OSDictionarySetObject(control, "selected", selected));
    OSNumber *const number = OSNumberCreate(1, 32);
    for (unsigned i = 0; i < DX_MAX_SELECTED_VALUES; i++)
        CHECK(OSArraySetObject(selected, number));
    CHECK_OK(dx_description_get_control_at(d, 0, &info));
    CHECK(OSArraySetObject(selected, number));
    CHECK_STATUS(dx_description_get_control_at(d, 0, &info), kIOReturnInvalid);
    OSDictionaryRemoveObject(control, "selected");

    dx_control_item item;
    uint32_t count = 0;
    OSArray *const items = OSArrayCreate(0);
    CHECK(OSArraySetObject(items, number)); // no item
    CHECK(OSDictionarySetObject(control, "items", items));
    CHECK_STATUS(dx_description_get_control_items(d, "k", &item, 1, &count), kIOReturnInvalid);
    for (unsigned i = 0; i < DX_MAX_SELECTOR_ITEMS; i++)
        CHECK(OSArraySetObject(items, number));
    CHECK_STATUS(dx_description_get_control_items(d, "k", &item, 1, &count), kIOReturnInvalid);
    OSObjectRelease(items);
    OSObjectRelease(number);
    OSObjectRelease(selected);
    OSObjectRelease(d);
    OSObjectRelease(control);
}

/* A label for each channel, or none: and each a label. */
static void
a_layout_that_cannot_be_one_is_refused(void)
{
    static dx_device_info info;
    const IOUserAudioStreamBasicDescription format = test_format(48000.0, 2);
    OSDictionary *const stream = OSDictionaryCreate(2);
    OSArray *const layout = OSArrayCreate(0);
    OSNumber *const left = OSNumberCreate(1, 32), *const absurd = OSNumberCreate(UINT64_C(1) << 32, 64);
    OSString *const text = string("left");
    OSDictionary *const d = listed("outputs", stream);
    IOUserAudioChannelLabel labels[2] = {0};
    uint32_t count = 5;
#define READ() dx_description_get_channel_layout(d, IOUserAudioStreamDirectionOutput, 0, labels, 2, &count)
    CHECK_OK(READ()); // an older peer's
    CHECK_EQ(count, 0);
    CHECK(OSDictionarySetObject(stream, "layout", left)); // no list: as if it were not there
    CHECK_OK(READ());
    CHECK_EQ(count, 0);
    CHECK(OSDictionarySetObject(stream, "layout", layout));
    CHECK(dx_wire_take(stream, "client", dx_describe_format(&format)));
    CHECK_OK(READ());
    CHECK(OSArraySetObject(layout, left));
    CHECK_STATUS(READ(), kIOReturnInvalid); // of two channels
    CHECK(OSArraySetObject(layout, left));
    CHECK_OK(READ());
    CHECK(count == 2 && labels[0] == 1 && labels[1] == 1);
    CHECK(OSArraySetObject(layout, left));
    CHECK_STATUS(READ(), kIOReturnInvalid);      // three of two
    CHECK_OK(dx_description_get_info(d, &info)); // the rest of it is believed
    OSArrayRemoveObject(layout, 2);
    OSArrayRemoveObject(layout, 1);
    CHECK(OSArraySetObject(layout, absurd));
    CHECK_STATUS(READ(), kIOReturnInvalid);
    OSArrayRemoveObject(layout, 1);
    CHECK(OSArraySetObject(layout, text));
    CHECK_STATUS(READ(), kIOReturnInvalid);
    OSArrayRemoveObject(layout, 1);

    /* As many as it says that it has channels, and more than any has. */
    set_number(dx_wire_get_dictionary(stream, "client"), "channels", DX_MAX_CHANNELS + 1);
    while (OSArrayGetCount(layout) < DX_MAX_CHANNELS + 1)
        CHECK(OSArraySetObject(layout, left));
    CHECK_STATUS(READ(), kIOReturnInvalid);
    set_number(dx_wire_get_dictionary(stream, "client"), "channels", DX_MAX_CHANNELS);
    OSArrayRemoveObject(layout, 0);
    CHECK_OK(READ());
    CHECK_EQ(count, DX_MAX_CHANNELS);
#undef READ
    OSObjectRelease(d);
    OSObjectRelease(text);
    OSObjectRelease(absurd);
    OSObjectRelease(left);
    OSObjectRelease(layout);
    OSObjectRelease(stream);
}

static void
a_name_that_is_too_long_is_cut_between_characters(void)
{
    char text[200];
    memset(text, 'x', sizeof text);
    memcpy(text + DX_NAME_BYTES - 2, "\xc3\xa9", 3); // its second byte does not fit
    OSDictionary *const d = OSDictionaryCreate(1);
    CHECK(OSDictionarySetStringValue(d, "name", text));
    static dx_device_info info;
    CHECK_OK(dx_description_get_info(d, &info));
    CHECK_EQ(strlen(info.name), DX_NAME_BYTES - 2);
    OSObjectRelease(d);
}

static void
a_format_is_read_as_it_was_written(void)
{
    const IOUserAudioStreamBasicDescription format = test_format_s16(44100.0, 6);
    OSDictionary *const described = dx_describe_format(&format);
    IOUserAudioStreamBasicDescription read;
    CHECK(dx_description_get_format(described, &read));
    CHECK(memcmp(&format, &read, sizeof format) == 0);
    set_number(described, "channels", UINT64_C(1) << 32);
    CHECK(!dx_description_get_format(described, &read));
    CHECK(!dx_description_get_format(NULL, &read));
    OSObjectRelease(described);
}

int
main(int argc, char **argv)
{
    test_filter = argc > 1 ? argv[1] : NULL;
    RUN_SIMULATED(the_keys_are_those_of_the_protocol);
    RUN_SIMULATED(controls_say_what_their_kind_has);
    RUN_SIMULATED(what_is_read_is_what_the_device_told);
    RUN_SIMULATED(each_stream_has_its_part_of_the_layout);
    RUN_SIMULATED(statistics_are_read_as_they_were_told);
    RUN_SIMULATED(a_device_without_a_driver_is_described_by_its_uid);
    RUN_SIMULATED(what_does_not_fit_is_left_out_and_counted);
    RUN_FILTERED(an_empty_description_says_nothing_and_is_no_error);
    RUN_FILTERED(a_state_says_whether_there_is_a_driver);
    RUN_FILTERED(values_of_a_wrong_type_are_as_if_they_were_not_there);
    RUN_FILTERED(numbers_out_of_their_range_are_refused);
    RUN_FILTERED(more_than_there_is_room_for_is_refused);
    RUN_FILTERED(a_control_that_cannot_be_one_is_refused);
    RUN_FILTERED(a_layout_that_cannot_be_one_is_refused);
    RUN_FILTERED(a_name_that_is_too_long_is_cut_between_characters);
    RUN_FILTERED(a_format_is_read_as_it_was_written);
    return 0;
}
