// SPDX-License-Identifier: MIT
// Where Dextral keeps its things: docs/design/machine.md has the table.

#ifndef DX_HOST_PATHS_H
#define DX_HOST_PATHS_H

#include <dextral/bundle.h>

/*
 * Depends on libc and host/error.c alone: programs that only want the socket link it too.  Reads the environment
 * and /proc/self/exe each time; keeps nothing.  Paths are absolute, without a slash at the end, and the caller's
 * to free().
 *
 * Errors of all: kIOReturnNoMemory, and kIOReturnBadArgument (a DEXTRAL_... variable that is no absolute path; no
 * folder of the user's own is known).  Thread: any, while nobody changes the environment.  Real-time: no.
 */

enum dx_folder {
    DX_FOLDER_RUNTIME, ///< the socket, recordings; gone after a restart of the machine
    DX_FOLDER_CONFIG,  ///< what the user has decided
    DX_FOLDER_STATE,   ///< what is remembered by itself
};

/** Where a folder is; looks at nothing but the environment and, for the runtime folder, whether its parent is
 * there. */
kern_return_t dx_paths_find(enum dx_folder folder, char **ret_path, dx_error *error);

/**
 * Makes a folder, and what is missing above it, with mode 0700, and checks it: it must be a folder and no symbolic
 * link, belong to this process's user, and be writable by nobody else; above it there must be no folder that
 * everybody may write, unless it is sticky as /tmp is.
 *
 * @return kIOReturnSuccess; kIOReturnNotPermitted (it breaks one of these rules: the error says which);
 *         kIOReturnNotWritable (it cannot be made).
 */
kern_return_t dx_paths_make(enum dx_folder folder, char **ret_path, dx_error *error);

/** As dx_paths_make(), for a folder inside one: `name` is one component. */
kern_return_t dx_paths_make_inside(const char *parent, const char *name, char **ret_path, dx_error *error);

/**
 * The supervisor's socket, for who wants to connect to it.
 *
 * @return kIOReturnSuccess, also where there is no such folder or socket; kIOReturnNotPermitted (the folder is
 * there, and belongs to neither this user nor root, or others may write it: whoever listens there may be anybody;
 * for root any owner is fine); kIOReturnBadArgument also for a path that does not fit a socket's address.
 */
kern_return_t dx_paths_socket(char **ret_path, dx_error *error);

/* A list of paths. */
struct dx_path_list {
    char **paths; // with a NULL at the end
    size_t count;
};

/** Frees the paths; zeroed is fine. */
void dx_path_list_finish(struct dx_path_list *list);

/** The folders in which drivers are looked for, the first first: not all of them need be there. */
kern_return_t dx_paths_driver_folders(struct dx_path_list *ret_list, dx_error *error);

/** The folder of the kinds of `dextral create`: it need not be there. */
kern_return_t dx_paths_kinds_folder(char **ret_path, dx_error *error);

/** A program of ours: beside the running one, in the build folder, or installed.  kIOReturnNotFound: nowhere. */
kern_return_t dx_paths_driver_program(char **ret_path, dx_error *error);

#endif /* DX_HOST_PATHS_H */
