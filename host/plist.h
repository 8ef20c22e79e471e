// SPDX-License-Identifier: MIT
// Property lists: bytes from a file nobody vouches for, to the collections of the object model.

#ifndef DX_HOST_PLIST_H
#define DX_HOST_PLIST_H

#include <dextral/bundle.h>

#define DX_PLIST_MAX_BYTES (1u << 20) ///< of the file
#define DX_PLIST_MAX_NODES 8192u      ///< values and keys, shared ones counted each time
#define DX_PLIST_MAX_CONTAINERS 1024u ///< dictionaries and arrays of an XML list
#define DX_PLIST_MAX_DEPTH 32u        ///< of nesting

/**
 * Reads an XML or binary property list whose root is a dictionary.
 *
 * Integers become 64-bit numbers; dates, reals and UIDs have no counterpart and are refused, as is a key that
 * stands twice in one dictionary.
 *
 * @param name            of the file, for messages: "Info.plist".
 * @param ret_dictionary  +1; written on success only.
 * @param error           filled on failure; may be NULL.
 * @return kIOReturnSuccess; kIOReturnBadArgument (malformed, too large, or a value that has no counterpart);
 *         kIOReturnUnsupported (built without libplist); kIOReturnNoMemory.
 *
 * Thread: any.  Real-time: no.
 */
kern_return_t dx_plist_parse(const void *bytes, size_t length, const char *name, OSDictionary **ret_dictionary,
                             dx_error *error);

#endif /* DX_HOST_PLIST_H */
