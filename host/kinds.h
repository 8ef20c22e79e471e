// SPDX-License-Identifier: MIT
// The kinds of devices that can be declared, and their options.

#ifndef DX_HOST_KINDS_H
#define DX_HOST_KINDS_H

#include <dextral/bundle.h>

enum dx_option_type {
    DX_OPTION_TEXT,    ///< UTF-8 without control characters, `maximum` bytes at most
    DX_OPTION_NUMBER,  ///< minimum ... maximum, with `decimals` digits after the point at most
    DX_OPTION_RATES,   ///< numbers in Hz, comma between them, each minimum ... maximum, DX_KIND_MAX_RATES at most
    DX_OPTION_CHOICE,  ///< one of `choices`
    DX_OPTION_BOOLEAN, ///< yes or no
    DX_OPTION_UID,     ///< of a device, or empty
};

#define DX_KIND_MAX_RATES 10u
#define DX_KIND_MAX_OPTIONS 16u
#define DX_KIND_MAX_UID_BYTES 80u // escaped, a UID is the name of a file

struct dx_kind_option {
    const char *name; // as on a command line: "channels"
    enum dx_option_type type;
    int64_t minimum;
    int64_t maximum;
    uint32_t decimals;
    const char *const *choices; // with a NULL at the end; of a choice
    const char *initial;        // value where none is given, as text; "" where one is made up
    const char *unit;           // "Hz", "frames"; "" for none
    const char *help;           // one line
    bool is_live;               // a running device takes a change at once: see DX_OPTION_SELECTOR
};

struct dx_kind {
    const char *name;       // "cable"
    const char *summary;    // one line
    const char *title;      // of a device that was given no name: "Dextral Cable"
    const char *bundle;     // its folder's name in the kinds folder: "Cable.dext"
    const char *identifier; // of the bundle
    const char *user_class; // of the one personality that is started, which has the same name
    const struct dx_kind_option *options;
    size_t option_count;
};

/** A kind by place, from 0; NULL when there are no more.  All of it is constant. */
const struct dx_kind *dx_kind_at(size_t index);
/** A kind by name; NULL where there is none. */
const struct dx_kind *dx_kind_find(const char *name);
/** An option's place, or SIZE_MAX. */
size_t dx_kind_find_option(const struct dx_kind *kind, const char *name);

/**
 * Checks a value and brings it into the one form that it is kept in ("048000.0" to "48000", "true" to "yes").
 *
 * @param ret_text  the caller's to free().
 * @param error     names the option, the value and what is allowed.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNoMemory.
 */
kern_return_t dx_kind_check_option(const struct dx_kind_option *option, const char *text, char **ret_text,
                                   dx_error *error);

/** The kinds for people and programs: [{name, summary, options: [{name, type, unit, help, initial, minimum,
 * maximum, choices, live}]}], numbers as text.  +1; NULL without memory. */
OSArray *dx_kinds_describe(void);

/**
 * The Info.plist of a kind's bundle as far as starting it needs it, for a build that cannot read property lists:
 * +1; NULL where the folder's name is no kind's, or without memory.
 */
OSDictionary *dx_kind_copy_info(const char *bundle_name);

#endif /* DX_HOST_KINDS_H */
