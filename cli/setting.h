// SPDX-License-Identifier: MIT
// What 'dextral get' shows of a device and 'dextral set' changes.

#ifndef DX_CLI_SETTING_H
#define DX_CLI_SETTING_H

#include <dextral/directory.h>

/*
 * A setting is a dictionary:
 *
 * what      how it is named after DEVICE: "rate", "io-frames", "format output:0", "vlme/outp/0", "property abcd",
 *           "option ppm", "client aplay volume"
 * name      of a control, as the driver calls it
 * kind      "rate", "frames", "format", "boolean", "slider", "level", "selector", "stereo pan", "property",
 *           "option", "volume", "mute"
 * settable  whether 'dextral set' may change it
 * value     "value-f64" for a double; else a number, a boolean or a text
 * text      the value as 'dextral set' takes it
 * range     what it may be, for people
 */

/** All settings of a device, an array.  +1; NULL without memory.  Asks the driver for custom properties. */
OSArray *cli_collect_settings(dx_device *device, const OSDictionary *description);

/**
 * Prints them as a table on stdout.
 *
 * @param wants_rest  only what else is not told by 'dextral info': controls, properties, options.
 * @return CLI_OK, or CLI_FAILED after a message.
 */
int cli_print_settings(const OSArray *settings, bool wants_rest);

#define CLI_RATES_BYTES 700u
#define CLI_GAIN_BYTES 32u
#define CLI_PROPERTY_BYTES 40u
#define CLI_MAX_GAIN 16.0 ///< of a program: 24 dB
#define CLI_GAIN_RANGE "0% to 1600%, 0 to 16, or decibels up to 24dB"

/** "44100, 48000 Hz". */
const char *cli_rates_text(const OSDictionary *description, char text[CLI_RATES_BYTES]);
/** Whether a program of that name plays to it: then its volume is among its sessions. */
bool cli_is_playing(const OSDictionary *description, const char *program);

/** "-6dB"; "0%" for silence. */
const char *cli_gain_text(double gain, char text[CLI_GAIN_BYTES]);

/** The custom property of an address, as "SELECTOR[/SCOPE[/ELEMENT]]"; false where the device has none. */
bool cli_find_property(dx_device *device, const char *text, dx_custom_property_info *ret_info);
/** The address in that form, as short as it can be. */
const char *cli_property_text(const dx_custom_property_info *info, char text[CLI_PROPERTY_BYTES]);

/** The streams of a description that "output:1", "input" or "output:0" stands for: a member of `outputs` or
 * `inputs`. */
const OSDictionary *cli_find_stream(const OSDictionary *description, const char *text,
                                    IOUserAudioStreamDirection *ret_direction, uint32_t *ret_index);

#endif /* DX_CLI_SETTING_H */
