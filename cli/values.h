// SPDX-License-Identifier: MIT
// What dictionaries from the supervisor hold: whatever is missing or of another type is as if it were not there.

#ifndef DX_CLI_VALUES_H
#define DX_CLI_VALUES_H

#include <dextral/OSObject.h>

/** "" where there is none. */
const char *cli_get_text(const OSDictionary *dictionary, const char *key);
/** Whether it has the key, whatever its value is. */
bool cli_has(const OSDictionary *dictionary, const char *key);
bool cli_get_switch(const OSDictionary *dictionary, const char *key);
/** Borrowed; NULL where there is none. */
OSArray *cli_get_array(const OSDictionary *dictionary, const char *key);
OSDictionary *cli_get_dictionary(const OSDictionary *dictionary, const char *key);
/** 0 where there is none. */
unsigned long long cli_get_number(const OSDictionary *dictionary, const char *key);
/** A double is kept as its 64 bits, under a key that ends in "-f64": 0 where there is none, or what is no number.
 * */
double cli_get_real(const OSDictionary *dictionary, const char *key);

/** How many an array has; 0 for NULL. */
size_t cli_count(const OSArray *array);
/** A member that is a dictionary, borrowed; NULL for another or none. */
OSDictionary *cli_at(const OSArray *array, size_t index);

/** Sets a double, under a key that ends in "-f64". */
bool cli_set_real(OSDictionary *dictionary, const char *key, double value);
bool cli_set_switch(OSDictionary *dictionary, const char *key, bool is_on);
/** Sets an object and gives up the caller's reference; false for NULL. */
bool cli_take(OSDictionary *dictionary, const char *key, OSObjectPtr object);
bool cli_take_member(OSArray *array, OSObjectPtr object);

/** Doubles as they are sent: 8 bytes each, the lowest first.  How many there are; `capacity` at most are written.
 * */
size_t cli_get_reals(const OSDictionary *dictionary, const char *key, double *values, size_t capacity);

#endif /* DX_CLI_VALUES_H */
