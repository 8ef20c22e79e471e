// SPDX-License-Identifier: MIT
// Info.plist: what is wrong with it is said with the personality, the key, and what was expected.

#include "host/bundle_info.h"
#include "host/plist.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\"><dict>"
#define TAIL "</dict></plist>\n"
#define ID "<key>CFBundleIdentifier</key><string>org.dextral.test</string>"
#define CLASS "<key>IOUserClass</key><string>TestDriver</string>"
#define PROVIDER "<key>IOProviderClass</key><string>IOUserResources</string>"
#define CLIENT                                                                                        \
    "<key>IOUserAudioDriverUserClientProperties</key><dict><key>IOClass</key><string>IOUserUserClient</string>" \
    "<key>IOUserClass</key><string>IOUserAudioDriverUserClient</string></dict>"
#define GOOD CLASS PROVIDER CLIENT
#define USB CLASS CLIENT "<key>IOProviderClass</key><string>IOUSBHostDevice</string>"
#define VENDOR "<key>idVendor</key><integer>2965</integer>"
#define PERSONALITIES(all) "<key>IOKitPersonalities</key><dict>" all "</dict>"
#define ONE(content) PERSONALITIES("<key>P</key><dict>" content "</dict>")

static bool
has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static kern_return_t
parse(const void *bytes, size_t length, struct dx_bundle_info *info, dx_error *error)
{
    void *const copy = malloc(length ? length : 1); // exact size: one byte too far is seen
    memcpy(copy, bytes, length);
    const kern_return_t status = dx_bundle_info_parse(copy, length, info, error);
    free(copy);
    return status;
}

static void
expect_refused(const void *bytes, size_t length, const char *message)
{
    struct dx_bundle_info info = {0};
    dx_error error = {""};
    cr_expect(eq(int, parse(bytes, length, &info, &error), kIOReturnBadArgument), "%s", message);
    cr_expect(has(error.message, message), "\"%s\" in \"%s\"", message, error.message);
    cr_expect(not(has(error.message, "\n")));
    dx_bundle_info_finish(&info);
}

Test(info, a_good_one_is_read)
{
    static const char text[] = HEAD ID "<key>CFBundleVersion</key><string>7</string>"
        "<key>CFBundleExecutable</key><string>Test</string><key>CFBundlePackageType</key><string>DEXT</string>"
        PERSONALITIES("<key>B</key><dict>" GOOD "<key>Ports</key><integer>3</integer></dict>"
                      "<key>A</key><dict>" GOOD "<key>CFBundleIdentifier</key><string>org.dextral.test</string></dict>")
        TAIL;
    struct dx_bundle_info info = {0};
    dx_error error = {""};
    cr_assert(eq(int, parse(text, strlen(text), &info, &error), kIOReturnSuccess), "%s", error.message);
    cr_expect(eq(int, strcmp(info.identifier, "org.dextral.test"), 0));
    cr_expect(eq(int, strcmp(info.version, "7"), 0));
    cr_expect(eq(int, strcmp(info.executable, "Test"), 0));
    cr_assert(eq(sz, info.personality_count, 2));
    cr_expect(eq(int, strcmp(info.personalities[0].name, "A"), 0), "in the order of their names");
    cr_expect(eq(int, strcmp(info.personalities[1].user_class, "TestDriver"), 0));
    cr_expect(eq(u64, OSDictionaryGetUInt64Value(info.personalities[1].properties, "Ports"), 3));
    dx_bundle_info_finish(&info);
}

struct refused_case {
    char text[1200];
    char message[100];
};

ParameterizedTestParameters(info, what_is_wrong_is_named)
{
    static struct refused_case cases[] = {
        {"", "is empty"},
        {"hello", "cut short"},
        {HEAD ID ONE(GOOD), "cut short"},
        {"<plist><dict><key>a</key></plist>", "not a well-formed"},
        {"<plist version=\"1.0\"><array/></plist>", "root is not a dictionary"},
        {HEAD TAIL, "CFBundleIdentifier is missing"},
        {HEAD "<key>CFBundleIdentifier</key><integer>3</integer>" TAIL, "CFBundleIdentifier must be a string"},
        {HEAD "<key>CFBundleIdentifier</key><string></string>" TAIL, "must have 1 to 255 bytes"},
        {HEAD "<key>CFBundleIdentifier</key><string>a b</string>" TAIL, "\"a b\", but may have"},
        {HEAD "<key>CFBundleIdentifier</key><string>../up</string>" TAIL, "but may have"},
        {HEAD ID ID TAIL, "\"CFBundleIdentifier\" stands twice"},
        {HEAD ID "<key>CFBundlePackageType</key><string>APPL</string>" ONE(GOOD) TAIL,
         "CFBundlePackageType is \"APPL\", expected \"DEXT\""},
        {HEAD ID "<key>CFBundleExecutable</key><string>../../lib/x</string>" ONE(GOOD) TAIL, "own folder"},
        {HEAD ID "<key>CFBundleExecutable</key><string>..</string>" ONE(GOOD) TAIL, "own folder"},
        {HEAD ID "<key>CFBundleExecutable</key><string>/lib/x.so</string>" ONE(GOOD) TAIL, "own folder"},
        {HEAD ID TAIL, "IOKitPersonalities is missing"},
        {HEAD ID "<key>IOKitPersonalities</key><array/>" TAIL, "IOKitPersonalities must be a dictionary"},
        {HEAD ID PERSONALITIES("") TAIL, "IOKitPersonalities is empty"},
        {HEAD ID PERSONALITIES("<key>P</key><string>x</string>") TAIL, "personality \"P\" must be a dictionary"},
        {HEAD ID ONE("") TAIL, "personality \"P\": IOUserClass is missing"},
        {HEAD ID ONE("<key>IOUserClass</key><string>a-b</string>") TAIL, "IOUserClass is \"a-b\""},
        {HEAD ID ONE(CLASS) TAIL, "IOProviderClass is missing"},
        {HEAD ID ONE(CLASS PROVIDER) TAIL, "IOUserAudioDriverUserClientProperties is missing"},
        {HEAD ID ONE(CLASS PROVIDER "<key>IOUserAudioDriverUserClientProperties</key><true/>") TAIL,
         "must be a dictionary"},
        {HEAD ID ONE(CLASS PROVIDER "<key>IOUserAudioDriverUserClientProperties</key><dict/>") TAIL,
         "IOUserAudioDriverUserClientProperties: IOClass is missing"},
        {HEAD ID ONE(GOOD "<key>IOClass</key><string>IOService</string>") TAIL,
         "IOClass is \"IOService\", expected \"IOUserService\""},
        {HEAD ID ONE(GOOD "<key>CFBundleIdentifier</key><string>org.other</string>") TAIL,
         "\"org.other\", which contradicts the bundle's CFBundleIdentifier \"org.dextral.test\""},
        {HEAD ID ONE(GOOD "<key>IOUserServerName</key><string>org.other</string>") TAIL,
         "IOUserServerName is \"org.other\", which contradicts"},
        {HEAD ID ONE(GOOD "<key>idVendor</key><integer>1</integer>") TAIL,
         "idVendor contradicts IOProviderClass \"IOUserResources\""},
        {HEAD ID ONE(GOOD "<key>idVendor</key><integer>65536</integer>") TAIL, "idVendor must be 0 to 65535"},
        {HEAD ID ONE(GOOD "<key>idVendor</key><string>1</string>") TAIL, "idVendor must be an integer"},
        {HEAD ID ONE(USB VENDOR "<key>idProduct</key><integer>65536</integer>") TAIL, "idProduct must be 0 to 65535"},
        {HEAD ID ONE(USB "<key>idProduct</key><integer>1</integer>") TAIL, "idProduct says nothing without idVendor"},
        {HEAD ID ONE(USB VENDOR "<key>idProductMask</key><integer>1</integer>") TAIL,
         "personality \"P\": idProductMask says nothing without idProduct"},
        {HEAD ID ONE(USB VENDOR "<key>idProduct</key><integer>1</integer><key>idProductArray</key><array/>") TAIL,
         "idProduct and idProductArray contradict each other"},
        {HEAD ID ONE(USB VENDOR "<key>idProductArray</key><array/>") TAIL, "idProductArray must have 1 to 256 numbers"},
        {HEAD ID ONE(USB VENDOR "<key>idProductArray</key><array><string>1</string></array>") TAIL,
         "idProductArray: each must be an integer"},
        {HEAD ID ONE(USB VENDOR "<key>bInterfaceClass</key><integer>2</integer>") TAIL,
         "bInterfaceClass is of an interface"},
        {HEAD ID ONE(USB VENDOR "<key>bDeviceSubClass</key><integer>2</integer>") TAIL,
         "bDeviceSubClass says nothing without bDeviceClass"},
        {HEAD ID ONE(USB VENDOR "<key>IOResourceMatch</key><string>IOKit</string>") TAIL, "IOResourceMatch contradicts"},
        {HEAD ID ONE(USB VENDOR "<key>IOPropertyMatch</key><dict><key>a</key><array/></dict>") TAIL,
         "IOPropertyMatch: a USB device's properties are"},
        {HEAD ID ONE(USB) TAIL, "it would be for every USB device"},
        {HEAD ID ONE(GOOD "<key>IOUserServerOneProcess</key><integer>1</integer>") TAIL,
         "IOUserServerOneProcess must be true or false"},
        {HEAD ID ONE(GOOD "<key>Gain</key><real>0.5</real>") TAIL, "IOKitPersonalities/P/Gain is a real number"},
        {HEAD ID ONE(GOOD "<key>When</key><date>2026-01-01T00:00:00Z</date>") TAIL, "IOKitPersonalities/P/When is a date"},
    };
    return cr_make_param_array(struct refused_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct refused_case *c, info, what_is_wrong_is_named)
{
    expect_refused(c->text, strlen(c->text), c->message);
}

Test(info, nul_characters_are_refused)
{
    static const char raw[] = HEAD "<key>a\0b</key><true/>" TAIL;
    expect_refused(raw, sizeof raw - 1, "NUL");
    static const char entity[] = HEAD "<key>a&#0;b</key><true/>" TAIL;
    expect_refused(entity, sizeof entity - 1, "NUL");
    static const char hexadecimal[] = HEAD "<key>a&#x000;b</key><true/>" TAIL;
    expect_refused(hexadecimal, sizeof hexadecimal - 1, "NUL");
}

Test(info, sizes_are_bounded)
{
    char *const large = malloc(DX_PLIST_MAX_BYTES + 1);
    memset(large, ' ', DX_PLIST_MAX_BYTES + 1);
    expect_refused(large, DX_PLIST_MAX_BYTES + 1, "larger than");

    // 100000 nested arrays: libplist would free them by recursion
    size_t length = 0;
    for (unsigned i = 0; i < 100000; i++)
        length += (size_t)sprintf(large + length, "<array>");
    length += (size_t)sprintf(large + length, "</plist>");
    expect_refused(large, length, "dictionaries and arrays");

    length = (size_t)sprintf(large, "<plist><dict><key>a</key>");
    for (unsigned i = 0; i < 40; i++)
        length += (size_t)sprintf(large + length, "<array>");
    for (unsigned i = 0; i < 40; i++)
        length += (size_t)sprintf(large + length, "</array>");
    length += (size_t)sprintf(large + length, "</dict></plist>");
    expect_refused(large, length, "nested deeper");
    free(large);
}

/* A binary list whose arrays each hold the next one twice: 2^n nodes when each reference is followed. */
Test(info, a_binary_list_that_explodes_is_refused)
{
    uint8_t bytes[256] = "bplist00";
    size_t length = 8;
    uint8_t offsets[32];
    for (uint8_t i = 0; i < 30; i++) {
        offsets[i] = (uint8_t)length;
        bytes[length++] = 0xA2; // array of two
        bytes[length++] = (uint8_t)(i + 1);
        bytes[length++] = (uint8_t)(i + 1);
    }
    offsets[30] = (uint8_t)length;
    bytes[length++] = 0x09; // true
    const uint8_t table = (uint8_t)length;
    memcpy(bytes + length, offsets, 31);
    length += 31;
    const uint8_t trailer[32] = {[6] = 1, [7] = 1, [15] = 31, [31] = table};
    memcpy(bytes + length, trailer, 32);
    expect_refused(bytes, length + 32, "more than 8192 values");
}

Test(info, a_binary_list_that_holds_itself_is_refused)
{
    const uint8_t bytes[] = {'b', 'p', 'l', 'i', 's', 't', '0', '0', 0xA1, 0, 8,
                             0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1,
                             0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10};
    expect_refused(bytes, sizeof bytes, "nested deeper");
    for (size_t length = 8; length < sizeof bytes; length++) {
        struct dx_bundle_info info = {0};
        cr_expect(ne(int, parse(bytes, length, &info, NULL), kIOReturnSuccess));
    }
}

Test(info, foreign_text_cannot_drive_a_terminal)
{
    static const char text[] = HEAD "<key>CFBundleIdentifier</key><string>a\033[31m\nb</string>" TAIL;
    struct dx_bundle_info info = {0};
    dx_error error = {""};
    cr_expect(eq(int, parse(text, strlen(text), &info, &error), kIOReturnBadArgument));
    cr_expect(has(error.message, "a?[31m?b"), "%s", error.message);
}
