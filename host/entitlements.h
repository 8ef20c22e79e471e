// SPDX-License-Identifier: MIT
// What a bundle asks for beyond running: its entitlements.

#ifndef DX_HOST_ENTITLEMENTS_H
#define DX_HOST_ENTITLEMENTS_H

#include <dextral/bundle.h>

/*
 * A property list in the bundle's folder, named as the folder with .entitlements in place of .dext, or
 * Entitlements.plist; none: nothing is asked for.
 *
 * Each thing asked for is one text that can be compared: KEY where the value is true, nothing where it is false,
 * and KEY=VALUE for any other value; an array or a dictionary is several, one for each member.  In order, none
 * twice.
 */
#define DX_ENTITLEMENTS_MAX 64u
#define DX_ENTITLEMENT_MAX_BYTES 511u

/* Those that mean something here. */
#define DX_ENTITLEMENT_NETWORK_CLIENT "com.apple.security.network.client"
#define DX_ENTITLEMENT_NETWORK_SERVER "com.apple.security.network.server"
#define DX_ENTITLEMENT_USB "com.apple.developer.driverkit.transport.usb"
#define DX_ENTITLEMENT_ANY_USER_CLIENT "com.apple.developer.driverkit.allow-any-userclient-access"

struct dx_entitlements {
    char **texts;
    size_t count;
    OSObjectPtr usb; // +1: the value of DX_ENTITLEMENT_USB, whatever it is; NULL: it is not there
};

/**
 * Reads the bytes of such a property list.
 *
 * @param name  of the file, for messages.
 * @return as dx_plist_parse(); kIOReturnBadArgument also for more or longer ones than the limits.
 */
kern_return_t dx_entitlements_parse(const void *bytes, size_t length, const char *name,
                                    struct dx_entitlements *ret_entitlements, dx_error *error);

/**
 * Reads those of a bundle.
 *
 * @param folder    canonical path of the bundle.
 * @param ret_path  of the file, the caller's to free(); NULL where there is none.
 * @return as dx_entitlements_parse() and dx_file_read(); kIOReturnBadArgument also where there are two files.
 */
kern_return_t dx_entitlements_read(const char *folder, struct dx_entitlements *ret_entitlements, char **ret_path,
                                   dx_error *error);

/** Releases them; zeroed is fine. */
void dx_entitlements_finish(struct dx_entitlements *entitlements);

/** Whether one of them is this text. */
bool dx_entitlements_have(const struct dx_entitlements *entitlements, const char *text);

#endif /* DX_HOST_ENTITLEMENTS_H */
