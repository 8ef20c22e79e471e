// SPDX-License-Identifier: MIT
// Small files: texts of `key=value` lines, and any file replaced as a whole.

#ifndef DX_HOST_STORE_H
#define DX_HOST_STORE_H

#include <dextral/bundle.h>

/*
 * A text is UTF-8, one `key=value` on a line; lines that are empty or begin with '#' say nothing.  A key has 1 ...
 * 127 of the bytes A-Z a-z 0-9 . _ - and stands once.  A value is everything after the first '=', in which \n, \r,
 * \t,
 * \\ and \xHH (a control character) stand for what they stand for in C.  Whoever reads looks for the keys that he
 * knows.
 */
#define DX_STORE_MAX_BYTES 65536u
#define DX_STORE_MAX_KEYS 512u
#define DX_STORE_MAX_KEY_BYTES 127u

struct dx_store;

/** An empty one; NULL without memory. */
struct dx_store *dx_store_create(void);
void dx_store_destroy(struct dx_store *store); // NULL is fine

/**
 * Reads a text.
 *
 * @param name   of the file, for messages.
 * @param error  names the file, the line and what is wrong; may be NULL.
 * @return kIOReturnSuccess; kIOReturnBadArgument (not such a text, or a larger one); kIOReturnNoMemory.
 */
kern_return_t dx_store_parse(const void *bytes, size_t length, const char *name, struct dx_store **ret_store,
                             dx_error *error);

/** As dx_store_parse(), from a file; also the errors of dx_file_read(). */
kern_return_t dx_store_read(const char *path, struct dx_store **ret_store, dx_error *error);

/** Writes all of it, in the order in which the keys came; errors of dx_file_replace(). */
kern_return_t dx_store_write(const struct dx_store *store, const char *path, dx_error *error);

/** The text of it as dx_store_write() writes it, the caller's to free(); NULL without memory. */
char *dx_store_copy_text(const struct dx_store *store, size_t *ret_length);

/** The value of a key, alive until the next change; NULL where there is none. */
const char *dx_store_get(const struct dx_store *store, const char *key);

/**
 * Sets a value.
 *
 * @param value  NULL: the key goes.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no key, or a value that is not UTF-8); kIOReturnNoSpace (over
 * one of the limits); kIOReturnNoMemory.  On failure all is as before.
 */
kern_return_t dx_store_set(struct dx_store *store, const char *key, const char *value);

/** A key and its value by place, in the order in which they came; false when there are no more. */
bool dx_store_get_at(const struct dx_store *store, size_t index, const char **ret_key, const char **ret_value);

/** Whether bytes are UTF-8 without NUL: no overlong forms, no surrogates, at most U+10FFFF. */
bool dx_text_is_utf8(const char *text, size_t length);

/**
 * A text as a file name without its suffix: letters, digits, '-', '_' and '.' (not at the start) stay, every other
 * byte is %HH.  The caller's to free(); NULL without memory.  Two texts never have the same one.
 */
char *dx_file_name_from_text(const char *text);

/** Whether a file name is that of a text, and the suffix.  Needs no memory. */
bool dx_file_name_is_of(const char *name, const char *text, const char *suffix);

/**
 * Reads a regular file; no link is followed in its last component.
 *
 * @param ret_bytes  the caller's to free(); a NUL follows them.
 * @return kIOReturnSuccess; kIOReturnNotFound; kIOReturnNotReadable; kIOReturnNoSpace (more than `max_bytes`);
 *         kIOReturnNoMemory.
 */
kern_return_t dx_file_read(const char *path, size_t max_bytes, char **ret_bytes, size_t *ret_length,
                           dx_error *error);

/**
 * Makes a file's content what is given, or leaves it as it is: written to another name in the same folder, flushed
 * to the disk, renamed.  Mode 0600.
 *
 * @return kIOReturnSuccess; kIOReturnNoSpace (the disk or quota is full); kIOReturnNotWritable; kIOReturnNoMemory.
 */
kern_return_t dx_file_replace(const char *path, const void *bytes, size_t length, dx_error *error);

/** The same without a flush to the disk, and so without waiting: for what may be lost when the machine stops. */
kern_return_t dx_file_replace_unflushed(const char *path, const void *bytes, size_t length, dx_error *error);

#endif /* DX_HOST_STORE_H */
