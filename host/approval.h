// SPDX-License-Identifier: MIT
// What the user has allowed: which bundles run, what they may do, and which programs may talk to them.

#ifndef DX_HOST_APPROVAL_H
#define DX_HOST_APPROVAL_H

#include "host/catalogue.h"

/*
 * One text for each approved bundle identifier, in the folder `approvals` of the config folder (host/store.h).
 * Kinds are part of the program: approved, and in no file.
 *
 * An approval is of an identifier, an owner and a folder, and of the entitlements that were asked for then.  It
 * holds for a new version that has the same three and asks for no entitlement more; dx_bundle_entry_read() has
 * made sure that nobody else may write there.
 *
 * Thread: control, all of it.  Real-time: no.
 */
struct dx_approvals;

/**
 * Reads what was approved.
 *
 * @param config_folder  made by dx_paths_make().
 * @param complain       told of files that could not be understood: they approve nothing; may be NULL.
 * @return kIOReturnSuccess; kIOReturnNotPermitted, kIOReturnNotWritable (as dx_paths_make()); kIOReturnNoMemory.
 */
kern_return_t dx_approvals_open(const char *config_folder, void (*complain)(void *context, const char *sentence),
                                void *context, struct dx_approvals **ret_approvals, dx_error *error);

void dx_approvals_close(struct dx_approvals *approvals); // NULL is fine

/**
 * Whether a bundle may be run.
 *
 * @param why  filled when not: a sentence with the reason, and with the command that helps where there is one; may
 * be NULL.
 */
bool dx_approvals_allow(const struct dx_approvals *approvals, const struct dx_bundle_entry *entry, dx_error *why);

/** Whether it may use the network: it asks for it, and the user said so at its approval. */
bool dx_approvals_allow_network(const struct dx_approvals *approvals, const struct dx_bundle_entry *entry);

/**
 * The user allows a bundle, as it is now.  What was granted to programs before stays.
 *
 * @param network  whether it gets the network that it asks for.
 * @return kIOReturnSuccess; kIOReturnNotPermitted (it may not be run, for entry->why); kIOReturnBadArgument
 * (`network`, and it does not ask for it); errors of dx_file_replace(), with everything as before.
 */
kern_return_t dx_approvals_approve(struct dx_approvals *approvals, const struct dx_bundle_entry *entry,
                                   bool network, dx_error *error);

/** Whether there is one of an identifier, in force or not. */
bool dx_approvals_have(const struct dx_approvals *approvals, const char *identifier);

/** The user takes it back, with what was granted to programs.  kIOReturnNotFound: it was not approved. */
kern_return_t dx_approvals_revoke(struct dx_approvals *approvals, const char *identifier, dx_error *error);

/**
 * The user lets a program open a bundle's user clients.
 *
 * @param program  absolute path of its file, as /proc/PID/exe says; made canonical.
 * @return kIOReturnSuccess; kIOReturnNotPermitted (the bundle is not approved); kIOReturnNotFound (no such
 * program); kIOReturnBadArgument (no absolute path of a regular file); errors of dx_file_replace().
 */
kern_return_t dx_approvals_grant(struct dx_approvals *approvals, const struct dx_bundle_entry *entry,
                                 const char *program, dx_error *error);

/** The user takes that back.  kIOReturnNotFound: it was not granted; errors of dx_file_replace(). */
kern_return_t dx_approvals_ungrant(struct dx_approvals *approvals, const struct dx_bundle_entry *entry,
                                   const char *program, dx_error *error);

/**
 * Whether a program may open a bundle's user clients: it was granted, or the bundle has
 * DX_ENTITLEMENT_ANY_USER_CLIENT.
 *
 * @param program  as /proc/PID/exe says.
 * @param why      filled when not; may be NULL.
 */
bool dx_approvals_allow_user_client(const struct dx_approvals *approvals, const struct dx_bundle_entry *entry,
                                    const char *program, dx_error *why);

/** The programs that were granted, +1, an array of strings; NULL without memory. */
OSArray *dx_approvals_copy_programs(const struct dx_approvals *approvals, const char *identifier);

#endif /* DX_HOST_APPROVAL_H */
