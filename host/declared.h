// SPDX-License-Identifier: MIT
// Declared devices: kept as texts in the config folder, known without a driver.

#ifndef DX_HOST_DECLARED_H
#define DX_HOST_DECLARED_H

#include "host/kinds.h"

/*
 * One text for each (host/store.h), `UID.device` in the folder `devices` of the config folder: `kind`, and the
 * options that were given.  What was not given has its initial value.
 *
 * Thread: control, all of it.  Real-time: no.
 */
#define DX_DECLARED_MAX 4096u

struct dx_declarations;

/* A declared device; alive until it is removed. */
struct dx_declared {
    const struct dx_kind *kind;
    const char *uid;
    const char *values[DX_KIND_MAX_OPTIONS]; // of each option of the kind, checked; never NULL
};

struct dx_declarations_config {
    const char *config_folder; // made by dx_paths_make(); borrowed for the call
    /** Told of files that could not be understood: they are left alone.  May be NULL. */
    void (*complain)(void *context, const char *sentence);
    /** Whether a UID belongs to another device, one that is not declared.  May be NULL. */
    bool (*is_taken)(void *context, const char *uid);
    void *context;
};

/** Loads all.  kIOReturnSuccess; kIOReturnNotPermitted, kIOReturnNotWritable (as dx_paths_make());
 * kIOReturnNoMemory. */
kern_return_t dx_declarations_open(const struct dx_declarations_config *config,
                                   struct dx_declarations **ret_declarations, dx_error *error);
void dx_declarations_close(struct dx_declarations *declarations); // NULL is fine

/** By place, in the order of their UIDs; NULL when there are no more. */
const struct dx_declared *dx_declarations_at(const struct dx_declarations *declarations, size_t index);
/** By UID; NULL where there is none. */
const struct dx_declared *dx_declarations_find(const struct dx_declarations *declarations, const char *uid);

/**
 * Declares a device.
 *
 * @param options       names to values: strings, numbers, booleans, or an array of those where a list is wanted;
 * may be NULL. `uid` is made from `name` where it is not given, `name` from the kind.
 * @param ret_declared  borrowed.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no such kind or option, or a value that is not allowed: the
 * error names option, value and range); kIOReturnPortExists (the UID is taken); kIOReturnNoSpace (too many, or a
 * full disk); other errors of dx_file_replace().  On failure nothing is left.
 */
kern_return_t dx_declarations_create(struct dx_declarations *declarations, const char *kind,
                                     const OSDictionary *options, const struct dx_declared **ret_declared,
                                     dx_error *error);

/** Removes it, file and all.  kIOReturnNotFound; kIOReturnNotWritable (it stays). */
kern_return_t dx_declarations_remove(struct dx_declarations *declarations, const char *uid, dx_error *error);

/**
 * Changes an option.
 *
 * @param value     as in dx_declarations_create(); NULL: back to the initial value.
 * @param ret_live  whether a running device takes it at once, as DX_OPTION_SELECTOR says; the value to send is in
 * `values`. Else it counts from the driver's next start.  May be NULL.
 * @return as dx_declarations_create(); kIOReturnNotFound (no such device); kIOReturnNotPermitted (`uid`: a
 * device's own for ever).  On failure all is as before.
 */
kern_return_t dx_declarations_set_option(struct dx_declarations *declarations, const char *uid, const char *option,
                                         OSObjectPtr value, bool *ret_live, dx_error *error);

/** The options as a description's `options`: names to texts.  +1; NULL without memory. */
OSDictionary *dx_declared_copy_options(const struct dx_declared *declared);

/** What its driver finds in its personality, to be merged over the bundle's.  +1; NULL without memory. */
OSDictionary *dx_declared_copy_properties(const struct dx_declared *declared);

/**
 * What is known of it without a driver: the description (docs/design/machine.md) that its driver would give right
 * after its start, with `kind` and `options`; without what only the supervisor knows (`state`, `sessions`,
 * `default-...`, `pid`...). +1; NULL without memory.
 */
OSDictionary *dx_declared_describe(const struct dx_declared *declared);

#endif /* DX_HOST_DECLARED_H */
