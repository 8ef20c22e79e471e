// SPDX-License-Identifier: MIT
// The structures that a description is made of: one table says how each is written and read.

#ifndef DX_HOST_FIELDS_H
#define DX_HOST_FIELDS_H

#include "host/describe.h"

struct dx_field;

/* The members of a structure, as they are in a dictionary. */
struct dx_fields {
    const struct dx_field *list;
    size_t count;
};

extern const struct dx_fields dx_format_fields;       // IOUserAudioStreamBasicDescription
extern const struct dx_fields dx_stream_fields;       // dx_stream_info, but for its formats
extern const struct dx_fields dx_device_fields;       // dx_device_info, but for rates and streams
extern const struct dx_fields dx_control_fields;      // dx_control_info: what every kind has
extern const struct dx_fields dx_item_fields;         // dx_control_item
extern const struct dx_fields dx_property_fields;     // dx_custom_property_info
extern const struct dx_fields dx_statistics_fields;   // dx_device_statistics, but for causes and distributions
extern const struct dx_fields dx_distribution_fields; // dx_distribution

/* Kinds of controls, by dx_control_kind. */
#define DX_CONTROL_KINDS 5u
extern const struct dx_control_kind_fields {
    const char *name;
    struct dx_fields fields; // dx_control_info: what this kind has; of a selector, `items` and `selected` besides
} dx_control_kind_fields[DX_CONTROL_KINDS];

/** A structure as a dictionary; +1, NULL without memory. */
OSDictionary *dx_fields_describe(const struct dx_fields *fields, const void *structure);

/** Adds the members of a structure; false without memory. */
bool dx_fields_write(OSDictionary *to, const struct dx_fields *fields, const void *structure);

/** Fills a zeroed structure.  @return false where a number is out of its member's range, or not finite. */
bool dx_fields_read(const OSDictionary *from, const struct dx_fields *fields, void *structure);

#endif /* DX_HOST_FIELDS_H */
