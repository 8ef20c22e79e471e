// SPDX-License-Identifier: MIT
// Shared objects of drivers and DSP plug-ins: found by path, loaded, and asked which ABI they speak.

#ifndef DX_HOST_PLUGIN_FILE_H
#define DX_HOST_PLUGIN_FILE_H

#include <dextral/bundle.h>

/**
 * Loads a shared object.
 *
 * @param path        of a regular file.
 * @param within      canonical folder that the file must be in once symbolic links are followed; NULL: anywhere.
 * @param ret_handle  for dlsym() and dlclose(); written on success only.
 * @return kIOReturnSuccess; kIOReturnNotFound; kIOReturnNotReadable (no regular file, or outside `within`);
 *         kIOReturnRLDError; kIOReturnNoMemory.
 *
 * Thread: control.  Real-time: no.
 */
kern_return_t dx_plugin_file_load(const char *path, const char *within, void **ret_handle, dx_error *error);

/** Whether a table of version `abi` and `size` bytes can be used; `what` names it in the message. */
kern_return_t dx_plugin_file_check_abi(const char *what, uint32_t abi, size_t size, size_t needed_size,
                                       dx_error *error);

#endif /* DX_HOST_PLUGIN_FILE_H */
