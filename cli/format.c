// SPDX-License-Identifier: MIT
// Formats of streams, and four-character codes, as texts.

#include "cli/format.h"

#include "cli/cli.h"
#include "cli/values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SEPARATORS "/, "

const char *
cli_code_text(uint32_t code, char text[CLI_CODE_BYTES])
{
    const char characters[] = {(char)(code >> 24), (char)(code >> 16), (char)(code >> 8), (char)code, '\0'};
    for (size_t i = 0; i < 4; i++) {
        if (characters[i] <= ' ' || characters[i] > '~') {
            (void)snprintf(text, CLI_CODE_BYTES, "0x%08X", (unsigned)code);
            return text;
        }
    }
    (void)snprintf(text, CLI_CODE_BYTES, "%s", characters);
    return text;
}

bool
cli_parse_code(const char *text, uint32_t *ret_code)
{
    if (strlen(text) == 4) {
        *ret_code = 0;
        for (size_t i = 0; i < 4; i++)
            *ret_code = *ret_code << 8 | (unsigned char)text[i];
        return true;
    }
    char *end = NULL;
    if (strncmp(text, "0x", 2) != 0 || strlen(text) > 10 || !text[2])
        return false;
    *ret_code = (uint32_t)strtoul(text, &end, 16);
    return *end == '\0';
}

static uint32_t
get_number(const OSDictionary *format, const char *key)
{
    const uint64_t value = cli_get_number(format, key);
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

static void
encoding_text(const OSDictionary *format, char *text, size_t size)
{
    const uint32_t flags = get_number(format, "flags");
    const uint32_t bits = get_number(format, "bits");
    const uint32_t channels = get_number(format, "channels");
    const uint32_t bytes = channels > 0 ? get_number(format, "bytes-per-frame") / channels : 0;
    char container[32] = "";
    if (get_number(format, "id") != IOUserAudioFormatIDLinearPCM) {
        (void)cli_code_text(get_number(format, "id"), text);
        return;
    }
    if (bytes * 8 != bits)
        (void)snprintf(container, sizeof container, "in%u%s", bytes * 8,
                       flags & FormatFlagIsAlignedHigh ? "high" : "");
    (void)snprintf(text, size, "%s%u%s%s",
                   flags & FormatFlagIsFloat           ? "f"
                   : flags & FormatFlagIsSignedInteger ? "s"
                                                       : "u",
                   bits, container, flags & FormatFlagIsBigEndian ? "be" : "");
}

const char *
cli_format_text(const OSDictionary *format, char text[CLI_FORMAT_BYTES])
{
    char encoding[64];
    if (!format)
        return "";
    encoding_text(format, encoding, sizeof encoding);
    (void)snprintf(text, CLI_FORMAT_BYTES, "%s/%uch/%.10g%s", encoding, get_number(format, "channels"),
                   cli_get_real(format, "rate-f64"),
                   get_number(format, "flags") & FormatFlagIsNonMixable ? "/non-mixable" : "");
    return text;
}

#define PARTS 4u // encoding, channels, rate, mixability

/* The different values of one part, in the order in which they come. */
struct part_values {
    struct cli_list list;
    size_t count;
};

/* The part of a place of "a/b/c"; its length is 0 where there is none. */
static const char *
find_part(const char *text, size_t place, size_t *ret_length)
{
    for (; place > 0 && *text; place--) {
        text += strcspn(text, "/");
        text += *text == '/';
    }
    *ret_length = strcspn(text, "/");
    return text;
}

/* Whether an earlier format has that part too. */
static bool
is_repeated(const OSArray *formats, size_t index, size_t place, const char *part, size_t length)
{
    for (size_t i = 0; i < index; i++) {
        char text[CLI_FORMAT_BYTES] = "";
        size_t its_length;
        const char *const its_part = find_part(cli_format_text(cli_at(formats, i), text), place, &its_length);
        if (its_length == length && memcmp(its_part, part, length) == 0)
            return true;
    }
    return false;
}

static void
collect_values(const OSArray *formats, size_t place, struct part_values *values)
{
    for (size_t i = 0; i < cli_count(formats); i++) {
        char text[CLI_FORMAT_BYTES] = "";
        char value[CLI_FORMAT_BYTES];
        size_t length;
        const char *const part = find_part(cli_format_text(cli_at(formats, i), text), place, &length);
        if (is_repeated(formats, i, place, part, length))
            continue;
        (void)snprintf(value, sizeof value, "%.*s", (int)length, length > 0 ? part : "mixable");
        cli_list_append(&values->list, length > 0 ? value : "mixable", "");
        values->count++;
    }
}

const char *
cli_formats_text(const OSArray *formats, char text[CLI_FORMATS_BYTES])
{
    struct part_values values[PARTS] = {{{"", 0}, 0}};
    size_t combinations = 1;
    for (size_t i = 0; i < PARTS; i++) {
        collect_values(formats, i, &values[i]);
        combinations *= values[i].count;
    }
    const bool is_mixable = strcmp(values[PARTS - 1].list.text, "mixable") == 0; // as it is where nothing is said
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; combinations == cli_count(formats) && i < PARTS - is_mixable && length < CLI_FORMATS_BYTES;
         i++)
        length += (size_t)snprintf(text + length, CLI_FORMATS_BYTES - length, "%s%s", i > 0 ? " / " : "",
                                   values[i].list.text);
    if (length > 0)
        return text; // formats differ, so each combination is there
    struct cli_list all = {"", 0};
    for (size_t i = 0; i < cli_count(formats); i++) {
        char format[CLI_FORMAT_BYTES] = "";
        cli_list_append(&all, cli_format_text(cli_at(formats, i), format), "");
    }
    (void)snprintf(text, CLI_FORMATS_BYTES, "%s", all.text);
    return text;
}

/* Whether a text has a part; "mixable" is the lack of another. */
static bool
has_part(const char *text, const char *part, size_t length)
{
    for (const char *next = text; *next;) {
        const size_t its_length = strcspn(next, SEPARATORS);
        if (its_length == length && strncasecmp(next, part, length) == 0)
            return true;
        next += its_length + strspn(next + its_length, SEPARATORS);
    }
    return length == 7 && strncasecmp(part, "mixable", 7) == 0 && !strstr(text, "non-mixable");
}

/* How many parts of one text the other one has; `ret_all` says whether that is all of them. */
static unsigned
count_parts(const char *parts, const char *text, bool *ret_all)
{
    unsigned found = 0;
    *ret_all = true;
    for (const char *next = parts + strspn(parts, SEPARATORS); *next;) {
        const size_t length = strcspn(next, SEPARATORS);
        if (has_part(text, next, length))
            found++;
        else
            *ret_all = false;
        next += length + strspn(next + length, SEPARATORS);
    }
    return found;
}

static void
read_format(const OSDictionary *format, IOUserAudioStreamBasicDescription *ret_format)
{
    *ret_format = (IOUserAudioStreamBasicDescription){
        .mSampleRate = cli_get_real(format, "rate-f64"),
        .mFormatID = get_number(format, "id"),
        .mFormatFlags = get_number(format, "flags"),
        .mBytesPerPacket = get_number(format, "bytes-per-packet"),
        .mFramesPerPacket = get_number(format, "frames-per-packet"),
        .mBytesPerFrame = get_number(format, "bytes-per-frame"),
        .mChannelsPerFrame = get_number(format, "channels"),
        .mBitsPerChannel = get_number(format, "bits"),
    };
}

int
cli_choose_format(const char *what, const OSDictionary *stream, const char *text,
                  IOUserAudioStreamBasicDescription *ret_format)
{
    const OSArray *const formats = cli_get_array(stream, "formats");
    char current[CLI_FORMAT_BYTES] = "";
    (void)cli_format_text(cli_get_dictionary(stream, "physical"), current);
    const OSDictionary *best = NULL;
    unsigned best_score = 0;
    bool is_tie = false;
    for (size_t i = 0; i < cli_count(formats); i++) {
        const OSDictionary *const format = cli_at(formats, i);
        char candidate[CLI_FORMAT_BYTES] = "";
        bool is_meant;
        bool is_current;
        (void)cli_format_text(format, candidate);
        (void)count_parts(text, candidate, &is_meant);
        // as much as now, and then nothing that was not asked for: mixable rather than not
        const unsigned score =
            2 * count_parts(current, candidate, &is_current) + !strstr(candidate, "non-mixable");
        if (!format || !is_meant || (best && score < best_score))
            continue;
        is_tie = best && score == best_score;
        best = format;
        best_score = score;
    }
    char choices[CLI_FORMATS_BYTES];
    if (!best)
        return cli_fail(CLI_USAGE, "%s: the stream has no such format; it has: %s", what,
                        cli_count(formats) > 0 ? cli_formats_text(formats, choices) : "none that can be chosen");
    if (is_tie)
        return cli_fail(CLI_USAGE, "%s: several formats are like that; name one of: %s", what,
                        cli_formats_text(formats, choices));
    read_format(best, ret_format);
    return CLI_OK;
}
