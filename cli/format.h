// SPDX-License-Identifier: MIT
// Formats of streams, and four-character codes, as texts.

#ifndef DX_CLI_FORMAT_H
#define DX_CLI_FORMAT_H

#include <dextral/AudioDriverKitTypes.h>
#include <dextral/OSObject.h>

#define CLI_FORMAT_BYTES 128u
#define CLI_CODE_BYTES 12u

/** "vlme", or "0x0000002A" for what is not made of printable characters. */
const char *cli_code_text(uint32_t code, char text[CLI_CODE_BYTES]);
/** The other way. */
bool cli_parse_code(const char *text, uint32_t *ret_code);

/**
 * "s24/2ch/48000": encoding, channels and rate of a format's description.  "non-mixable" is the fourth part where
 * it is.  Encodings are s16, s24, s32, f32, f64, u8 and so on; "s24in32" is in the low bits of 32, "s24in32high"
 * in the high ones; "be" at the end is the other byte order.
 */
const char *cli_format_text(const OSDictionary *format, char text[CLI_FORMAT_BYTES]);

#define CLI_FORMATS_BYTES 700u

/** All formats of an array: "f32, s16 / 2ch / 44100, 48000" where each combination is there, else one by one. */
const char *cli_formats_text(const OSArray *formats, char text[CLI_FORMATS_BYTES]);

/**
 * Chooses one of a stream's formats.
 *
 * @param what    what messages begin with.
 * @param stream  its description, with `formats` and `physical`.
 * @param text    parts of what cli_format_text() gives, in any order; what is left open stays as it is, if it can.
 * @return CLI_OK, or CLI_USAGE after a message that lists what there is.
 */
int cli_choose_format(const char *what, const OSDictionary *stream, const char *text,
                      IOUserAudioStreamBasicDescription *ret_format);

#endif /* DX_CLI_FORMAT_H */
