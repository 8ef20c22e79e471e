// SPDX-License-Identifier: MIT
// Stands in for plist.c where libplist is not there.

#include "host/plist.h"

#include "host/error.h"

kern_return_t
dx_plist_parse(const void *bytes, size_t length, const char *name, OSDictionary **ret_dictionary, dx_error *error)
{
    (void)bytes;
    (void)length;
    (void)ret_dictionary;
    return dx_error_set(error, kIOReturnUnsupported,
                        "this build of Dextral reads no %s: install libplist (Debian: libplist-dev) and build "
                        "again with -Dplist=enabled",
                        name);
}
