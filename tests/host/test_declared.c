// SPDX-License-Identifier: MIT
// Declared devices: options and their ranges, files, and that an idle device is described as its driver describes it.

#include "host/declared.h"

#include "folder.h"
#include "host/catalogue.h"
#include "host/describe.h"
#include "host/store.h"

#include <dextral/host.h>

extern const dx_driver_class dx_driver_class_CableAudioDriver;
extern const dx_driver_class dx_driver_class_NullAudioDriver;

TestSuite(declared, .init = enter_folder, .fini = leave_folder, .timeout = 60);

static char complaint[1024];
static unsigned complaints;

static void
keep_complaint(void *context, const char *sentence)
{
    (void)context;
    complaints++;
    (void)snprintf(complaint, sizeof complaint, "%s", sentence);
}

static bool
is_taken(void *context, const char *uid)
{
    (void)context;
    return strcmp(uid, "taken") == 0;
}

static struct dx_declarations *
open_declarations(void)
{
    const struct dx_declarations_config config = {
        .config_folder = folder, .complain = keep_complaint, .is_taken = is_taken};
    struct dx_declarations *declarations = NULL;
    dx_error error = {""};
    complaints = 0;
    cr_assert(eq(int, dx_declarations_open(&config, &declarations, &error), kIOReturnSuccess), "%s",
              error.message);
    return declarations;
}

/* "name=Stream mix;channels=8" as options, +1. */
static OSDictionary *
make_options(const char *text)
{
    OSDictionary *const options = OSDictionaryCreate(0);
    char copy[1024];
    char *rest = NULL;
    (void)snprintf(copy, sizeof copy, "%s", text);
    for (char *option = strtok_r(copy, ";", &rest); option; option = strtok_r(NULL, ";", &rest)) {
        char *const equals = strchr(option, '=');
        *equals = '\0';
        cr_assert(OSDictionarySetStringValue(options, option, equals + 1));
    }
    return options;
}

static kern_return_t
try_create(struct dx_declarations *declarations, const char *kind, const char *text,
           const struct dx_declared **ret_declared, dx_error *error)
{
    OSDictionary *const options = make_options(text);
    const kern_return_t status = dx_declarations_create(declarations, kind, options, ret_declared, error);
    OSObjectRelease(options);
    return status;
}

static const struct dx_declared *
create(struct dx_declarations *declarations, const char *kind, const char *text)
{
    const struct dx_declared *declared = NULL;
    dx_error error = {""};
    cr_assert(eq(int, try_create(declarations, kind, text, &declared, &error), kIOReturnSuccess), "%s",
              error.message);
    return declared;
}

static void
expect_refused(struct dx_declarations *declarations, const char *kind, const char *text, const char *message)
{
    const struct dx_declared *declared = NULL;
    dx_error error = {""};
    cr_expect(eq(int, try_create(declarations, kind, text, &declared, &error), kIOReturnBadArgument), "%s", text);
    expect_message(&error, message);
    cr_expect(eq(ptr, TEXT(dx_declarations_at(declarations, 0)), NULL));
}

static void
expect_option(const struct dx_declared *declared, const char *name, const char *expected)
{
    OSDictionary *const options = dx_declared_copy_options(declared);
    const char *const value = OSDictionaryGetStringValue(options, name);
    cr_assert(ne(ptr, TEXT(value), NULL), "%s", name);
    cr_expect(eq(str, TEXT(value), TEXT(expected)), "%s", name);
    OSObjectRelease(options);
}

static kern_return_t
set(struct dx_declarations *declarations, const char *uid, const char *option, const char *text, bool *ret_live,
    dx_error *error)
{
    OSString *const value = text ? OSStringCreate(text) : NULL;
    const kern_return_t status = dx_declarations_set_option(declarations, uid, option, value, ret_live, error);
    OSObjectRelease(value);
    return status;
}

/* ---- options ---- */

Test(declared, options_have_initial_values)
{
    struct dx_declarations *const declarations = open_declarations();
    const struct dx_declared *const cable = create(declarations, "cable", "");
    cr_expect(eq(str, TEXT(cable->uid), TEXT("dextral-cable")));
    expect_option(cable, "name", "Dextral Cable");
    expect_option(cable, "channels", "2");
    expect_option(cable, "rate", "48000");
    expect_option(cable, "rates", "48000,44100,88200,96000,176400,192000,32000,16000,8000");
    expect_option(cable, "format", "float32");
    expect_option(cable, "mixable", "yes");
    expect_option(cable, "ring", "16384");
    expect_option(cable, "latency", "0");
    expect_option(cable, "ppm", "0");
    expect_option(cable, "follow", "");
    const struct dx_declared *const null = create(declarations, "null", "");
    cr_expect(eq(str, TEXT(null->uid), TEXT("dextral-null")));
    expect_option(null, "channels", "8");
    dx_declarations_close(declarations);
    dx_declarations_close(NULL);
}

Test(declared, values_are_kept_in_one_form)
{
    static const struct {
        const char *option;
        const char *value;
        const char *kept;
    } cases[] = {
        {"channels", "0008", "8"},  {"channels", "+8", "8"},
        {"channels", "8.000", "8"}, {"ppm", "-0.500", "-0.5"},
        {"ppm", "-0", "0"},         {"ppm", "12.345", "12.345"},
        {"ppm", "1000", "1000"},    {"ppm", "-1000.000", "-1000"},
        {"mixable", "false", "no"}, {"mixable", "1", "yes"},
        {"mixable", "off", "no"},   {"rates", "96000, 44100", "96000,44100"},
        {"rate", "44100", "44100"}, {"name", " a=b\\n ", " a=b\\n "},
        {"follow", "x", "x"},       {"latency", "65536", "65536"},
    };
    struct dx_declarations *const declarations = open_declarations();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dx_error error = {""};
        (void)create(declarations, "cable", "uid=one");
        cr_assert(
            eq(int, set(declarations, "one", cases[i].option, cases[i].value, NULL, &error), kIOReturnSuccess),
            "%s", error.message);
        expect_option(dx_declarations_find(declarations, "one"), cases[i].option, cases[i].kept);
        cr_assert(eq(int, dx_declarations_remove(declarations, "one", NULL), kIOReturnSuccess));
    }
    dx_declarations_close(declarations);
}

Test(declared, what_is_not_possible_is_refused_with_the_range)
{
    static const struct {
        const char *options;
        const char *message;
    } cases[] = {
        {"channels=0", "channels \"0\" is not possible: it must be 1 to 1024 channels"},
        {"channels=1025", "channels \"1025\" is not possible"},
        {"channels=-1", "channels \"-1\" is not possible"},
        {"channels=two", "channels \"two\" is not possible"},
        {"channels=2 ", "channels \"2 \" is not possible"},
        {"channels=2.5", "channels \"2.5\" is not possible"},
        {"channels=0x2", "channels \"0x2\" is not possible"},
        {"channels=1e1", "channels \"1e1\" is not possible"},
        {"channels=99999999999999999999", "channels \"99999999999999999999\" is not possible"},
        {"channels=", "channels \"\" is not possible"},
        {"rate=999", "rate \"999\" is not possible: it must be 1000 to 1000000 Hz"},
        {"rate=44100.5", "rate \"44100.5\" is not possible"},
        {"rates=48000,", "rates \"48000,\" is not possible: it must be one or more of 1000 to 1000000 Hz"},
        {"rates=", "rates \"\" is not possible"},
        {"rates=48000 44100", "rates \"48000 44100\" is not possible"},
        {"rates=48000,48000", "one of them is there twice"},
        {"rates=1000,1001,1002,1003,1004,1005,1006,1007,1008,1009,1010", "there must be no more than 10"},
        {"format=s8", "format \"s8\" is not possible: it must be one of float32 s16 s24 s32"},
        {"mixable=perhaps", "mixable \"perhaps\" is not possible: it must be yes or no"},
        {"ring=511", "ring \"511\" is not possible: it must be 512 to 65536 frames"},
        {"ring=65536;channels=257",
         "ring \"65536\" is not possible with 257 channels: it must be 65280 frames at most"},
        {"latency=65537", "latency \"65537\" is not possible"},
        {"ppm=1000.001", "ppm \"1000.001\" is not possible: it must be -1000 to 1000 ppm, with up to 3 decimals"},
        {"ppm=0.0001", "ppm \"0.0001\" is not possible"},
        {"ppm=.5", "ppm \".5\" is not possible"},
        {"ppm=nan", "ppm \"nan\" is not possible"},
        {"name=a\nb", "it must have no control characters"},
        {"name=\xFF", "it must be UTF-8"},
        {"uid=a\x7F", "it must have no control characters"},
        {"uid=123456789012345678901234567890123456789012345678901234567890123456789012345678901",
         "80 bytes at most"},
        {"uid=a;follow=a", "that device's clock follows this one's, \"a\""},
        {"volume=1",
         "a cable has no option \"volume\": it has name, uid, channels, rate, rates, format, mixable, ring, "
         "latency, ppm, follow"},
    };
    struct dx_declarations *const declarations = open_declarations();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_refused(declarations, "cable", cases[i].options, cases[i].message);
    expect_refused(declarations, "null", "format=s16", "a null has no option \"format\": it has name");
    expect_refused(declarations, "tape", "", "there is no kind \"tape\": there are cable, null");
    char command[200];
    (void)snprintf(command, sizeof command, "test -z \"$(ls -A %s/devices)\"", folder);
    cr_expect(eq(int, system(command), 0)); // nothing was left
    dx_declarations_close(declarations);
}

Test(declared, values_may_be_numbers_booleans_and_lists)
{
    struct dx_declarations *const declarations = open_declarations();
    OSDictionary *const options = OSDictionaryCreate(0);
    OSArray *const rates = OSArrayCreate(0);
    OSNumber *const first = OSNumberCreate(96000, 32);
    OSString *const second = OSStringCreate("44100");
    OSNumber *const ppm = OSNumberCreate((uint64_t)-20, 64);
    const struct dx_declared *cable = NULL;
    dx_error error = {""};
    cr_assert(OSArraySetObject(rates, first) && OSArraySetObject(rates, second));
    cr_assert(OSDictionarySetUInt64Value(options, "channels", 6) &&
              OSDictionarySetObject(options, "rates", rates) && OSDictionarySetObject(options, "ppm", ppm) &&
              OSDictionarySetObject(options, "mixable", kOSBooleanFalse));
    cr_assert(eq(int, dx_declarations_create(declarations, "cable", options, &cable, &error), kIOReturnSuccess),
              "%s", error.message);
    expect_option(cable, "channels", "6");
    expect_option(cable, "rates", "96000,44100");
    expect_option(cable, "ppm", "-20");
    expect_option(cable, "mixable", "no");

    cr_expect(eq(int, dx_declarations_set_option(declarations, cable->uid, "name", options, NULL, &error),
                 kIOReturnBadArgument));
    expect_message(&error, "name must be a text, a number, yes or no, or a list of these");
    OSObjectRelease(ppm);
    OSObjectRelease(second);
    OSObjectRelease(first);
    OSObjectRelease(rates);
    OSObjectRelease(options);
    dx_declarations_close(declarations);
}

/* ---- names ---- */

Test(declared, uids_are_made_from_names)
{
    static const struct {
        const char *options;
        const char *uid;
        const char *name;
    } cases[] = {
        {"name=Stream mix", "stream-mix", "Stream mix"},
        {"name=Stream mix", "stream-mix-2", "Stream mix"}, // the name is the user's own
        {"name=stream/MIX!", "stream-mix-3", "stream/MIX!"},
        {"name=\xE9\x9F\xB3", "cable", "\xE9\x9F\xB3"}, // nothing of it can stand anywhere
        {"name=...", "cable-2", "..."},
        {"", "dextral-cable", "Dextral Cable"},
        {"", "dextral-cable-2", "Dextral Cable 2"},
        {"name=Taken", "taken-2", "Taken"}, // a bundle's device has the first
        {"uid=My UID/../x,y=\xC3\xB6", "My UID/../x,y=\xC3\xB6", "Dextral Cable"},
        {"uid=.hidden;name=x", ".hidden", "x"},
    };
    struct dx_declarations *declarations = open_declarations();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct dx_declared *const cable = create(declarations, "cable", cases[i].options);
        cr_expect(eq(str, TEXT(cable->uid), TEXT(cases[i].uid)));
        expect_option(cable, "name", cases[i].name);
    }
    dx_declarations_close(declarations);

    declarations = open_declarations(); // after a restart, they are all there
    cr_expect(eq(u32, complaints, 0), "%s", complaint);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct dx_declared *const cable = dx_declarations_find(declarations, cases[i].uid);
        cr_assert(ne(ptr, TEXT(cable), NULL), "%s", cases[i].uid);
        expect_option(cable, "name", cases[i].name);
    }
    cr_expect(exists("devices/My%20UID%2F..%2Fx%2Cy%3D%C3%B6.device"));
    cr_expect(exists("devices/%2Ehidden.device"));
    dx_declarations_close(declarations);
}

Test(declared, a_uid_is_given_once)
{
    struct dx_declarations *const declarations = open_declarations();
    const struct dx_declared *declared = NULL;
    dx_error error = {""};
    (void)create(declarations, "cable", "uid=one");
    cr_expect(eq(int, try_create(declarations, "null", "uid=one", &declared, &error), kIOReturnPortExists));
    expect_message(&error, "uid \"one\" is not possible: there is such a device");
    cr_expect(eq(int, try_create(declarations, "null", "uid=taken", &declared, &error), kIOReturnPortExists));
    cr_expect(eq(str, TEXT(dx_declarations_find(declarations, "one")->kind->name), TEXT("cable")));
    cr_expect(eq(ptr, TEXT(dx_declarations_at(declarations, 1)), NULL));
    dx_declarations_close(declarations);
}

Test(declared, the_longest_uid_has_a_file)
{
    char options[100] = "uid=";
    memset(options + 4, '/', DX_KIND_MAX_UID_BYTES);
    struct dx_declarations *declarations = open_declarations();
    (void)create(declarations, "cable", options);
    dx_declarations_close(declarations);
    declarations = open_declarations();
    cr_expect(ne(ptr, TEXT(dx_declarations_find(declarations, options + 4)), NULL));
    dx_declarations_close(declarations);
}

/* ---- changes ---- */

Test(declared, an_option_is_changed_and_kept)
{
    struct dx_declarations *declarations = open_declarations();
    const struct dx_declared *const cable = create(declarations, "cable", "uid=one;channels=4");
    bool is_live = true;
    dx_error error = {""};
    cr_assert(eq(int, set(declarations, "one", "channels", "8", &is_live, &error), kIOReturnSuccess));
    cr_expect(not(is_live));
    cr_assert(eq(int, set(declarations, "one", "ppm", "-12.5", &is_live, &error), kIOReturnSuccess));
    cr_expect(is_live);
    is_live = false;
    cr_assert(eq(int, set(declarations, "one", "follow", "two", &is_live, &error), kIOReturnSuccess));
    cr_expect(is_live);
    cr_expect(
        eq(str, TEXT(cable->values[dx_kind_find_option(cable->kind, "ppm")]), TEXT("-12.5"))); // the same object
    dx_declarations_close(declarations);

    declarations = open_declarations();
    const struct dx_declared *const again = dx_declarations_find(declarations, "one");
    expect_option(again, "channels", "8");
    expect_option(again, "ppm", "-12.5");
    expect_option(again, "follow", "two");
    cr_assert(eq(int, set(declarations, "one", "channels", NULL, NULL, &error), kIOReturnSuccess)); // as at first
    expect_option(again, "channels", "2");
    cr_assert(eq(int, set(declarations, "one", "rate", "44100", NULL, &error), kIOReturnSuccess));
    cr_assert(eq(int, set(declarations, "one", "rate", "", NULL, &error), kIOReturnSuccess));
    expect_option(again, "rate", "48000");
    dx_declarations_close(declarations);
}

Test(declared, a_change_that_is_not_possible_changes_nothing)
{
    struct dx_declarations *const declarations = open_declarations();
    (void)create(declarations, "cable", "uid=one;channels=4;ring=65536");
    dx_error error = {""};
    cr_expect(eq(int, set(declarations, "one", "channels", "5000", NULL, &error), kIOReturnBadArgument));
    cr_expect(eq(int, set(declarations, "one", "channels", "1024", NULL, &error), kIOReturnBadArgument));
    expect_message(&error, "ring \"65536\" is not possible with 1024 channels: it must be 16384 frames at most");
    cr_expect(eq(int, set(declarations, "one", "uid", "two", NULL, &error), kIOReturnNotPermitted));
    expect_message(&error, "the uid of a device stays");
    cr_expect(eq(int, set(declarations, "one", "nothing", "1", NULL, &error), kIOReturnBadArgument));
    expect_message(&error, "has no option \"nothing\"");
    cr_expect(eq(int, set(declarations, "none", "channels", "1", NULL, &error), kIOReturnNotFound));
    expect_message(&error, "there is no declared device \"none\"");
    cr_assert(eq(int, rename("devices", "gone"), 0));
    cr_expect(eq(int, set(declarations, "one", "channels", "8", NULL, &error), kIOReturnNotWritable));
    expect_option(dx_declarations_find(declarations, "one"), "channels", "4");
    const struct dx_declared *declared = NULL;
    cr_expect(eq(int, try_create(declarations, "cable", "uid=two", &declared, &error), kIOReturnNotWritable));
    cr_expect(eq(ptr, TEXT(dx_declarations_find(declarations, "two")), NULL));
    dx_declarations_close(declarations);
}

Test(declared, a_removed_device_does_not_come_back)
{
    struct dx_declarations *declarations = open_declarations();
    (void)create(declarations, "cable", "uid=one");
    (void)create(declarations, "cable", "uid=two");
    (void)create(declarations, "cable", "uid=three");
    dx_error error = {""};
    cr_assert(eq(int, dx_declarations_remove(declarations, "two", &error), kIOReturnSuccess));
    cr_expect(eq(int, dx_declarations_remove(declarations, "two", &error), kIOReturnNotFound));
    expect_message(&error, "there is no declared device \"two\"");
    for (int round = 0; round < 2; round++) {
        cr_expect(eq(str, TEXT(dx_declarations_at(declarations, 0)->uid), TEXT("one")));
        cr_expect(eq(str, TEXT(dx_declarations_at(declarations, 1)->uid), TEXT("three")));
        cr_expect(eq(ptr, TEXT(dx_declarations_at(declarations, 2)), NULL));
        dx_declarations_close(declarations);
        declarations = open_declarations();
    }
    dx_declarations_close(declarations);
}

Test(declared, clocks_do_not_follow_each_other)
{
    struct dx_declarations *const declarations = open_declarations();
    dx_error error = {""};
    (void)create(declarations, "cable", "uid=a;follow=b"); // b is not there yet
    const struct dx_declared *declared = NULL;
    cr_expect(
        eq(int, try_create(declarations, "null", "uid=b;follow=a", &declared, &error), kIOReturnBadArgument));
    expect_message(&error, "follow \"a\" is not possible: that device's clock follows this one's, \"b\"");
    (void)create(declarations, "null", "uid=b;follow=c");
    (void)create(declarations, "null", "uid=c;follow=other");
    cr_expect(eq(int, set(declarations, "c", "follow", "a", NULL, &error), kIOReturnBadArgument));
    expect_option(dx_declarations_find(declarations, "c"), "follow", "other");
    cr_expect(eq(int, set(declarations, "c", "follow", "", NULL, &error), kIOReturnSuccess));
    dx_declarations_close(declarations);
}

/* ---- files ---- */

Test(declared, a_file_that_cannot_be_understood_is_left_alone_and_told_of)
{
    static const struct {
        const char *name;
        const char *text;
        const char *message;
    } cases[] = {
        {"x.device", "kind=cable\nuid=x\nchannels", "x.device, line 3: no '='"},
        {"x.device", "uid=x\n", "x.device: `kind` is \"\", which is no kind"},
        {"x.device", "kind=tape\nuid=x\n", "x.device: `kind` is \"tape\""},
        {"x.device", "kind=cable\nuid=x\nchannels=0\n", "x.device: channels \"0\" is not possible"},
        {"x.device", "kind=cable\n", "x.device: `uid` is missing"},
        {"x.device", "kind=cable\nuid=y\n", "x.device: it is of another device than its name says: \"y\""},
        {"%78.device", "kind=cable\nuid=x\n", "%78.device: it is of another device"},
        {"x.device", "kind=cable\nuid=x\nring=65536\nchannels=1024\n", "ring \"65536\" is not possible"},
        {"x.device", "kind=cable\nuid=x\nfollow=x\n", "follow \"x\" is not possible"},
    };
    make_folder("devices", 0700);
    write_file("devices/good.device", "kind=cable\nuid=good\nchannels=3\nfrom-a-later-version=1\n");
    write_file("devices/.x.device.new", "left by a crash");
    write_file("devices/notes.txt", "of the user's own");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "devices/%s", cases[i].name);
        write_file(path, cases[i].text);
        struct dx_declarations *const declarations = open_declarations();
        cr_expect(eq(u32, complaints, 1));
        cr_expect(strstr(complaint, cases[i].message) != NULL, "\"%s\" in \"%s\"", cases[i].message, complaint);
        cr_expect(eq(str, TEXT(dx_declarations_at(declarations, 0)->uid), TEXT("good")));
        cr_expect(eq(ptr, TEXT(dx_declarations_at(declarations, 1)), NULL));
        expect_option(dx_declarations_at(declarations, 0), "channels", "3");
        cr_expect(exists(path));
        dx_declarations_close(declarations);
        cr_assert(eq(int, unlink(path), 0));
    }
}

Test(declared, a_folder_that_others_may_write_is_refused)
{
    const struct dx_declarations_config config = {.config_folder = folder};
    struct dx_declarations *declarations = NULL;
    dx_error error = {""};
    make_folder("devices", 0770);
    cr_expect(eq(int, dx_declarations_open(&config, &declarations, &error), kIOReturnNotPermitted));
    expect_message(&error, "devices can be written by others");
}

Test(declared, devices_are_in_the_order_of_their_uids)
{
    struct dx_declarations *declarations = open_declarations();
    for (unsigned i = 0; i < 256; i++) {
        char options[64];
        (void)snprintf(options, sizeof options, "uid=%u", i * 7919 % 256);
        (void)create(declarations, "cable", options);
    }
    for (int round = 0; round < 2; round++) {
        for (size_t i = 1; i < 256; i++)
            cr_assert(
                lt(int,
                   strcmp(dx_declarations_at(declarations, i - 1)->uid, dx_declarations_at(declarations, i)->uid),
                   0));
        cr_expect(eq(ptr, TEXT(dx_declarations_at(declarations, 256)), NULL));
        dx_declarations_close(declarations);
        declarations = open_declarations();
    }
    dx_declarations_close(declarations);
}

/* ---- what its driver says ---- */

/* Object numbers exist with the driver alone. */
static void
drop_objects(OSDictionary *description, const char *streams)
{
    const OSArray *const array = OSDictionaryGetObject(description, streams);
    for (size_t i = 0; i < OSArrayGetCount(array); i++)
        OSDictionaryRemoveObject(OSArrayGetObject(array, i), "object");
}

struct comparison {
    const OSDictionary *other;
    const char *what;
};

static bool
compare_member(void *context, OSString *key, OSObjectPtr value)
{
    const struct comparison *const comparison = context;
    const char *const name = OSStringGetCStringNoCopy(key);
    OSObjectPtr const other = OSDictionaryGetObject(comparison->other, name);
    cr_expect(OSObjectIsEqualTo(value, other), "%s: %s", comparison->what, name);
    if (OSDynamicCast(OSNumber, value) && OSDynamicCast(OSNumber, other))
        cr_expect(eq(u64, OSNumberGetUInt64Value(value), OSNumberGetUInt64Value(other)), "%s", name);
    return false;
}

static void
expect_equal(const struct dx_declared *declared, OSDictionary *running, const char *what)
{
    OSDictionary *const idle = dx_declared_describe(declared);
    cr_assert(ne(ptr, idle, NULL));
    cr_expect(OSStringIsEqualToCString(OSDictionaryGetObject(idle, "kind"), declared->kind->name));
    cr_expect(OSStringIsEqualToCString(OSDictionaryGetObject(idle, "bundle"), declared->kind->identifier));
    cr_expect(ne(ptr, OSDictionaryGetObject(idle, "options"), NULL));
    static const char *const only_idle[] = {"kind", "bundle", "options"};
    for (size_t i = 0; i < 3; i++)
        OSDictionaryRemoveObject(idle, only_idle[i]);
    static const char *const streams[] = {"inputs", "outputs"};
    for (size_t i = 0; i < 2; i++) {
        drop_objects(idle, streams[i]);
        drop_objects(running, streams[i]);
    }
    (void)OSDictionaryIterateObjects(running, compare_member, &(struct comparison){idle, what});
    (void)OSDictionaryIterateObjects(idle, compare_member, &(struct comparison){running, what});
    OSObjectRelease(idle);
}

static void
compare_with_driver(const struct dx_declared *declared, const char *what)
{
    const dx_driver_class *const class = strcmp(declared->kind->name, "cable") == 0
                                             ? &dx_driver_class_CableAudioDriver
                                             : &dx_driver_class_NullAudioDriver;
    cr_expect(eq(str, TEXT(class->name), TEXT(declared->kind->user_class)));
    dx_host *host = NULL;
    IOUserAudioDriver *const driver = class->alloc();
    OSDictionary *const properties = dx_declared_copy_properties(declared);
    cr_assert(eq(int, dx_host_create(NULL, &host), kIOReturnSuccess));
    cr_assert(eq(int, dx_host_start_driver(host, driver, properties), kIOReturnSuccess), "%s", what);
    dx_host_settle(host);
    dx_device *const device = dx_host_copy_device(host, declared->uid);
    cr_assert(ne(ptr, device, NULL), "%s", what);
    OSDictionary *const running = dx_describe_device(device);
    expect_equal(declared, running, what);
    OSObjectRelease(running);
    dx_device_release(device);
    cr_assert(eq(int, dx_host_stop_driver(host, driver), kIOReturnSuccess));
    dx_host_destroy(host);
    OSObjectRelease(properties);
    OSObjectRelease(driver);
}

Test(declared, an_idle_device_is_described_as_its_driver_describes_it)
{
    static const struct {
        const char *kind;
        const char *options;
    } cases[] = {
        {"cable", ""},
        {"cable", "name=Stream mix;uid=x/y;channels=8;rate=44100;latency=480"},
        {"cable", "format=s32;mixable=no;rates=96000,44100;ring=1024"},
        {"cable", "format=s16;rate=22050;ring=512;ppm=-3.5;follow=y"},
        {"cable", "format=s24;mixable=no;channels=1024;rates=1000000"},
        {"cable", "rates=1000,1001,1002,1003,1004,1005,1006,1007,1008,1009;rate=48000;channels=129"},
        {"null", ""},
        {"null", "channels=256;rates=8000;ring=65536"},
        {"null", "name=Nothing;channels=1;rate=96000;rates=44100,96000;ppm=1000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dx_declarations *const declarations = open_declarations();
        const struct dx_declared *const declared = create(declarations, cases[i].kind, cases[i].options);
        compare_with_driver(declared, cases[i].options);
        cr_assert(eq(int, dx_declarations_remove(declarations, declared->uid, NULL), kIOReturnSuccess));
        dx_declarations_close(declarations);
    }
}

/* ---- kinds ---- */

Test(declared, kinds_are_described_with_their_options)
{
    OSArray *const kinds = dx_kinds_describe();
    cr_assert(eq(sz, OSArrayGetCount(kinds), 2));
    for (size_t i = 0; i < 2; i++) {
        const struct dx_kind *const kind = dx_kind_at(i);
        const OSDictionary *const description = OSArrayGetObject(kinds, i);
        const OSArray *const options = OSDictionaryGetObject(description, "options");
        cr_expect(eq(str, TEXT(OSDictionaryGetStringValue(description, "name")), TEXT(kind->name)));
        cr_assert(eq(sz, OSArrayGetCount(options), kind->option_count));
        for (size_t k = 0; k < kind->option_count; k++) {
            const OSDictionary *const option = OSArrayGetObject(options, k);
            cr_expect(eq(str, TEXT(OSDictionaryGetStringValue(option, "name")), TEXT(kind->options[k].name)));
            cr_expect(gt(sz, strlen(OSDictionaryGetStringValue(option, "help")), 0));
            /* What is initial is possible. */
            char *text = NULL;
            cr_expect(eq(int, dx_kind_check_option(&kind->options[k], kind->options[k].initial, &text, NULL),
                         kIOReturnSuccess));
            cr_expect(eq(str, text, TEXT(kind->options[k].initial)));
            free(text);
        }
    }
    const OSDictionary *const channels =
        OSArrayGetObject(OSDictionaryGetObject(OSArrayGetObject(kinds, 0), "options"),
                         dx_kind_find_option(dx_kind_at(0), "channels"));
    cr_expect(eq(str, TEXT(OSDictionaryGetStringValue(channels, "type")), TEXT("number")));
    cr_expect(eq(str, TEXT(OSDictionaryGetStringValue(channels, "minimum")), TEXT("1")));
    cr_expect(eq(str, TEXT(OSDictionaryGetStringValue(channels, "maximum")), TEXT("1024")));
    cr_expect(eq(str, TEXT(OSDictionaryGetStringValue(channels, "initial")), TEXT("2")));
    OSObjectRelease(kinds);
    cr_expect(eq(ptr, TEXT(dx_kind_at(2)), NULL));
}

/* What the program knows without a reader of property lists is what the property lists say. */
Test(declared, kinds_are_known_as_their_bundles_say)
{
    static const char *const sources[] = {SOURCE "/examples/cable/Info.plist", SOURCE "/examples/null/Info.plist"};
    for (size_t i = 0; i < 2; i++) {
        char *bytes = NULL;
        size_t length = 0;
        struct dx_bundle_info told = {0};
        struct dx_bundle_info known = {0};
        dx_error error = {""};
        cr_assert(eq(int, dx_file_read(sources[i], 1 << 20, &bytes, &length, &error), kIOReturnSuccess));
        const kern_return_t status = dx_bundle_info_parse(bytes, length, &told, &error);
        cr_assert(eq(int, dx_bundle_info_take(dx_kind_copy_info(dx_kind_at(i)->bundle), &known, &error),
                     kIOReturnSuccess),
                  "%s", error.message);
        if (status != kIOReturnUnsupported) { // this build has such a reader
            cr_assert(eq(int, status, kIOReturnSuccess), "%s", error.message);
            cr_expect(eq(str, TEXT(known.identifier), TEXT(told.identifier)));
            cr_assert(eq(sz, told.personality_count, 1));
            cr_expect(eq(str, TEXT(known.personalities[0].name), TEXT(told.personalities[0].name)));
            cr_expect(eq(str, TEXT(known.personalities[0].user_class), TEXT(told.personalities[0].user_class)));
        }
        cr_expect(eq(str, TEXT(known.identifier), TEXT(dx_kind_at(i)->identifier)));
        dx_bundle_info_finish(&told);
        dx_bundle_info_finish(&known);
        free(bytes);
    }
    cr_expect(eq(ptr, dx_kind_copy_info("Other.dext"), NULL));
}

Test(declared, the_bundles_of_kinds_can_be_run_by_every_build)
{
    const struct dx_kind *kind;
    for (size_t i = 0; (kind = dx_kind_at(i)); i++) {
        struct dx_bundle_entry *entry = NULL;
        cr_assert(eq(int, dx_bundle_entry_read_kind(kind, BUILD "/examples", &entry), kIOReturnSuccess));
        cr_expect(eq(str, entry->why, TEXT("")));
        cr_expect(eq(sz, entry->info.personality_count, 1));
        dx_bundle_entry_destroy(entry);
    }
}
