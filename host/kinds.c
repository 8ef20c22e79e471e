// SPDX-License-Identifier: MIT
// The kinds of devices that can be declared, and their options.

#include "host/kinds.h"

#include "host/error.h"
#include "host/store.h"
#include "host/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the tables ---- */

#define MOST_HZ 1000000

static const char *const formats[] = {"float32", "s16", "s24", "s32", NULL};

/* What every kind has. */
#define OPTION_NAME                                                                                               \
    {                                                                                                             \
        .name = "name", .type = DX_OPTION_TEXT, .maximum = 127, .initial = "", .help = "for people"               \
    }
#define OPTION_UID                                                                                                \
    {                                                                                                             \
        .name = "uid", .type = DX_OPTION_TEXT, .maximum = DX_KIND_MAX_UID_BYTES, .initial = "",                   \
        .help = "for programs, fixed for ever; by default made from the name"                                     \
    }
#define OPTION_CHANNELS(initial_value)                                                                            \
    {                                                                                                             \
        .name = "channels", .type = DX_OPTION_NUMBER, .minimum = 1, .maximum = 1024, .initial = (initial_value),  \
        .unit = "channels", .help = "in each direction"                                                           \
    }
#define OPTION_RATE                                                                                               \
    {                                                                                                             \
        .name = "rate", .type = DX_OPTION_NUMBER, .minimum = 1000, .maximum = MOST_HZ, .initial = "",             \
        .unit = "Hz", .help = "the one at first; by default the first of the rates"                               \
    }
#define OPTION_RATES(initial_value)                                                                               \
    {                                                                                                             \
        .name = "rates", .type = DX_OPTION_RATES, .minimum = 1000, .maximum = MOST_HZ,                            \
        .initial = (initial_value), .unit = "Hz", .help = "that can be set, with commas between them"             \
    }
#define OPTION_RING                                                                                               \
    {                                                                                                             \
        .name = "ring", .type = DX_OPTION_NUMBER, .minimum = 512, .maximum = 65536, .initial = "",                \
        .unit = "frames", .help = "length of the rings; by default 16384, less with more than 128 channels"       \
    }
#define OPTION_PPM                                                                                                \
    {                                                                                                             \
        .name = "ppm", .type = DX_OPTION_NUMBER, .minimum = -1000, .maximum = 1000, .decimals = 3,                \
        .initial = "0", .unit = "ppm", .help = "how much faster its clock runs", .is_live = true                  \
    }
#define OPTION_FOLLOW                                                                                             \
    {                                                                                                             \
        .name = "follow", .type = DX_OPTION_UID, .maximum = 255, .initial = "",                                   \
        .help = "UID of the device whose clock it follows; empty: none", .is_live = true                          \
    }

static const struct dx_kind_option cable_options[] = {
    OPTION_NAME,
    OPTION_UID,
    OPTION_CHANNELS("2"),
    OPTION_RATE,
    OPTION_RATES("48000,44100,88200,96000,176400,192000,32000,16000,8000"),
    {.name = "format",
     .type = DX_OPTION_CHOICE,
     .choices = formats,
     .initial = "float32",
     .help = "of a sample, the one at first"},
    {.name = "mixable",
     .type = DX_OPTION_BOOLEAN,
     .initial = "yes",
     .help = "no: one program at a time, and every bit as it wrote it"},
    OPTION_RING,
    {.name = "latency",
     .type = DX_OPTION_NUMBER,
     .maximum = 65536,
     .initial = "0",
     .unit = "frames",
     .help = "that what comes after the cable adds: told to players, to keep pictures with sound"},
    OPTION_PPM,
    OPTION_FOLLOW,
};

static const struct dx_kind_option null_options[] = {
    OPTION_NAME, OPTION_UID, OPTION_CHANNELS("8"), OPTION_RATE, OPTION_RATES("48000,44100,96000,192000"),
    OPTION_RING, OPTION_PPM, OPTION_FOLLOW,
};

static const struct dx_kind kinds[] = {
    {
        .name = "cable",
        .summary = "what programs play to it, other programs record from it, bit for bit",
        .title = "Dextral Cable",
        .bundle = "Cable.dext",
        .identifier = "org.dextral.driver.cable",
        .user_class = "CableAudioDriver",
        .options = cable_options,
        .option_count = sizeof cable_options / sizeof cable_options[0],
    },
    {
        .name = "null",
        .summary = "hears nothing and says nothing, and keeps time",
        .title = "Dextral Null",
        .bundle = "Null.dext",
        .identifier = "org.dextral.driver.null",
        .user_class = "NullAudioDriver",
        .options = null_options,
        .option_count = sizeof null_options / sizeof null_options[0],
    },
};
#define KINDS (sizeof kinds / sizeof kinds[0])

_Static_assert(sizeof cable_options / sizeof cable_options[0] <= DX_KIND_MAX_OPTIONS, "values have no room");

const struct dx_kind *
dx_kind_at(size_t index)
{
    return index < KINDS ? &kinds[index] : NULL;
}

const struct dx_kind *
dx_kind_find(const char *name)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    return NULL;
}

size_t
dx_kind_find_option(const struct dx_kind *kind, const char *name)
{
    for (size_t i = 0; i < kind->option_count; i++) {
        if (strcmp(kind->options[i].name, name) == 0)
            return i;
    }
    return SIZE_MAX;
}

/* ---- values ---- */

static kern_return_t
refuse(const struct dx_kind_option *option, const char *text, dx_error *error, const char *allowed)
{
    return dx_error_set(error, kIOReturnBadArgument, "%s \"%.100s\" is not possible: %s", option->name, text,
                        allowed);
}

static kern_return_t
refuse_number(const struct dx_kind_option *option, const char *text, dx_error *error)
{
    char allowed[128];
    char decimals[48] = "";
    if (option->decimals)
        (void)snprintf(decimals, sizeof decimals, ", with up to %u decimals", option->decimals);
    (void)snprintf(allowed, sizeof allowed, "it must be %s%lld to %lld %s%s",
                   option->type == DX_OPTION_RATES ? "one or more of " : "", (long long)option->minimum,
                   (long long)option->maximum, option->unit ? option->unit : "", decimals);
    return refuse(option, text, error, allowed);
}

static kern_return_t
keep(char *text, char **ret_text)
{
    *ret_text = text;
    return text ? kIOReturnSuccess : kIOReturnNoMemory;
}

/*
 * Reads a number exactly, whatever the locale: -12.5 with 3 decimals is -12500.  `*text` goes on behind it.
 *
 * @return false: there is none, or it has more decimals, or far more digits than any range allows.
 */
static bool
read_scaled(const char **text, uint32_t decimals, int64_t *ret_scaled)
{
    const char *c = *text;
    const bool is_negative = *c == '-';
    c += is_negative || *c == '+';
    int64_t scaled = 0;
    size_t digits = 0;
    for (; *c >= '0' && *c <= '9' && scaled < 1000000000; c++, digits++)
        scaled = scaled * 10 + (*c - '0');
    if (digits == 0 || (*c >= '0' && *c <= '9'))
        return false;

    uint32_t left = decimals;
    if (*c == '.') {
        for (c++; *c >= '0' && *c <= '9'; c++) {
            if (left == 0 && *c != '0')
                return false;
            scaled = left ? scaled * 10 + (*c - '0') : scaled;
            left -= left > 0;
        }
    }
    for (; left > 0; left--)
        scaled *= 10;
    *ret_scaled = is_negative ? -scaled : scaled;
    *text = c;
    return true;
}

static int64_t
power_of_ten(uint32_t exponent)
{
    int64_t power = 1;
    for (; exponent > 0; exponent--)
        power *= 10;
    return power;
}

static kern_return_t
check_number(const struct dx_kind_option *option, const char *text, char **ret_text, dx_error *error)
{
    const int64_t unit = power_of_ten(option->decimals);
    const char *end = text;
    int64_t scaled = 0;
    if (!read_scaled(&end, option->decimals, &scaled) || *end != '\0' || scaled < option->minimum * unit ||
        scaled > option->maximum * unit)
        return refuse_number(option, text, error);

    const int64_t magnitude = scaled < 0 ? -scaled : scaled;
    char number[48];
    int length = snprintf(number, sizeof number, "%s%lld", scaled < 0 ? "-" : "", (long long)(magnitude / unit));
    if (magnitude % unit != 0) {
        length += snprintf(number + length, sizeof number - (size_t)length, ".%0*lld", (int)option->decimals,
                           (long long)(magnitude % unit));
        while (number[length - 1] == '0')
            number[--length] = '\0';
    }
    return keep(strdup(number), ret_text);
}

/* Rates in their order, without blanks. */
static kern_return_t
check_rates(const struct dx_kind_option *option, const char *text, char **ret_text, dx_error *error)
{
    int64_t rates[DX_KIND_MAX_RATES];
    size_t count = 0;
    const char *c = text;
    for (bool more = true; more; count++) {
        c += strspn(c, " ");
        if (count == DX_KIND_MAX_RATES)
            return refuse(option, text, error, "there must be no more than 10");
        if (!read_scaled(&c, 0, &rates[count]) || rates[count] < option->minimum || rates[count] > option->maximum)
            return refuse_number(option, text, error);
        for (size_t i = 0; i < count; i++) {
            if (rates[i] == rates[count])
                return refuse(option, text, error, "one of them is there twice");
        }
        c += strspn(c, " ");
        more = *c == ',';
        c += more;
    }
    if (*c != '\0')
        return refuse_number(option, text, error);

    char list[DX_KIND_MAX_RATES * 12];
    int length = 0;
    for (size_t i = 0; i < count; i++)
        length +=
            snprintf(list + length, sizeof list - (size_t)length, "%s%lld", i ? "," : "", (long long)rates[i]);
    return keep(strdup(list), ret_text);
}

static kern_return_t
check_choice(const struct dx_kind_option *option, const char *text, char **ret_text, dx_error *error)
{
    char allowed[128] = "it must be one of";
    for (size_t i = 0; option->choices[i]; i++) {
        if (strcmp(option->choices[i], text) == 0)
            return keep(strdup(text), ret_text);
        const size_t length = strlen(allowed);
        (void)snprintf(allowed + length, sizeof allowed - length, " %s", option->choices[i]);
    }
    return refuse(option, text, error, allowed);
}

static kern_return_t
check_boolean(const struct dx_kind_option *option, const char *text, char **ret_text, dx_error *error)
{
    static const char *const words[] = {"no", "false", "off", "0", "yes", "true", "on", "1"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i], text) == 0)
            return keep(strdup(i < 4 ? "no" : "yes"), ret_text);
    }
    return refuse(option, text, error, "it must be yes or no");
}

static kern_return_t
check_text(const struct dx_kind_option *option, const char *text, char **ret_text, dx_error *error)
{
    const size_t length = strlen(text);
    char allowed[64];
    (void)snprintf(allowed, sizeof allowed, "it may have %lld bytes at most", (long long)option->maximum);
    if (length > (size_t)option->maximum)
        return refuse(option, text, error, allowed);
    if (!dx_text_is_utf8(text, length))
        return refuse(option, text, error, "it must be UTF-8");
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            return refuse(option, text, error, "it must have no control characters");
    }
    return keep(strdup(text), ret_text);
}

kern_return_t
dx_kind_check_option(const struct dx_kind_option *option, const char *text, char **ret_text, dx_error *error)
{
    if (!*text && !*option->initial)
        return keep(strdup(""), ret_text); // as if it were not given
    switch (option->type) {
    case DX_OPTION_TEXT:
    case DX_OPTION_UID:
        return check_text(option, text, ret_text, error);
    case DX_OPTION_NUMBER:
        return check_number(option, text, ret_text, error);
    case DX_OPTION_RATES:
        return check_rates(option, text, ret_text, error);
    case DX_OPTION_CHOICE:
        return check_choice(option, text, ret_text, error);
    case DX_OPTION_BOOLEAN:
        return check_boolean(option, text, ret_text, error);
    }
    return kIOReturnInternalError;
}

/* ---- for others ---- */

/* Appends a value and gives up the reference to it. */
static bool
append(OSArray *to, OSObjectPtr value)
{
    const bool done = value && OSArraySetObject(to, value);
    OSObjectRelease(value);
    return done;
}

static bool
set_number(OSDictionary *to, const char *key, int64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)number);
    return OSDictionarySetStringValue(to, key, text);
}

static OSArray *
describe_choices(const char *const *choices)
{
    OSArray *array = OSArrayCreate(4);
    for (; array && *choices; choices++) {
        if (!append(array, OSStringCreate(*choices)))
            OSSafeReleaseNULL(array);
    }
    return array;
}

static OSDictionary *
describe_option(const struct dx_kind_option *option)
{
    static const char *const types[] = {
        [DX_OPTION_TEXT] = "text",     [DX_OPTION_NUMBER] = "number",   [DX_OPTION_RATES] = "rates",
        [DX_OPTION_CHOICE] = "choice", [DX_OPTION_BOOLEAN] = "boolean", [DX_OPTION_UID] = "uid",
    };
    const bool is_number = option->type == DX_OPTION_NUMBER || option->type == DX_OPTION_RATES;
    OSDictionary *to = OSDictionaryCreate(8);
    const bool done = to && OSDictionarySetStringValue(to, "name", option->name) &&
                      OSDictionarySetStringValue(to, "type", types[option->type]) &&
                      OSDictionarySetStringValue(to, "unit", option->unit ? option->unit : "") &&
                      OSDictionarySetStringValue(to, "help", option->help) &&
                      OSDictionarySetStringValue(to, "initial", option->initial) &&
                      (!is_number || set_number(to, "minimum", option->minimum)) &&
                      (!is_number || set_number(to, "maximum", option->maximum)) &&
                      (!option->choices || dx_wire_take(to, "choices", describe_choices(option->choices))) &&
                      OSDictionarySetObject(to, "live", option->is_live ? kOSBooleanTrue : kOSBooleanFalse);
    if (!done)
        OSSafeReleaseNULL(to);
    return to;
}

static OSArray *
describe_options(const struct dx_kind *kind)
{
    OSArray *array = OSArrayCreate(kind->option_count);
    for (size_t i = 0; array && i < kind->option_count; i++) {
        if (!append(array, describe_option(&kind->options[i])))
            OSSafeReleaseNULL(array);
    }
    return array;
}

static OSDictionary *
describe_kind(const struct dx_kind *kind)
{
    OSDictionary *to = OSDictionaryCreate(4);
    if (to && !(OSDictionarySetStringValue(to, "name", kind->name) &&
                OSDictionarySetStringValue(to, "summary", kind->summary) &&
                dx_wire_take(to, "options", describe_options(kind))))
        OSSafeReleaseNULL(to);
    return to;
}

OSArray *
dx_kinds_describe(void)
{
    OSArray *array = OSArrayCreate(KINDS);
    for (size_t i = 0; array && i < KINDS; i++) {
        if (!append(array, describe_kind(&kinds[i])))
            OSSafeReleaseNULL(array);
    }
    return array;
}

static OSDictionary *
make_client_properties(void)
{
    OSDictionary *to = OSDictionaryCreate(2);
    if (to && !(OSDictionarySetStringValue(to, "IOClass", "IOUserUserClient") &&
                OSDictionarySetStringValue(to, "IOUserClass", "IOUserAudioDriverUserClient")))
        OSSafeReleaseNULL(to);
    return to;
}

static OSDictionary *
make_personality(const struct dx_kind *kind)
{
    OSDictionary *to = OSDictionaryCreate(4);
    if (to && !(OSDictionarySetStringValue(to, "IOUserClass", kind->user_class) &&
                OSDictionarySetStringValue(to, "IOProviderClass", "IOUserResources") &&
                dx_wire_take(to, "IOUserAudioDriverUserClientProperties", make_client_properties())))
        OSSafeReleaseNULL(to);
    return to;
}

static OSDictionary *
make_info(const struct dx_kind *kind)
{
    OSDictionary *to = OSDictionaryCreate(4);
    OSDictionary *personalities = OSDictionaryCreate(1);
    if (!to || !personalities || !dx_wire_take(personalities, kind->user_class, make_personality(kind)) ||
        !OSDictionarySetStringValue(to, "CFBundleIdentifier", kind->identifier) ||
        !OSDictionarySetObject(to, "IOKitPersonalities", personalities))
        OSSafeReleaseNULL(to);
    OSObjectRelease(personalities);
    return to;
}

OSDictionary *
dx_kind_copy_info(const char *bundle_name)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (strcmp(kinds[i].bundle, bundle_name) == 0)
            return make_info(&kinds[i]);
    }
    return NULL;
}
