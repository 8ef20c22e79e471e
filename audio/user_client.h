// SPDX-License-Identifier: MIT
// The host's own user client of a driver.

#ifndef DX_AUDIO_USER_CLIENT_H
#define DX_AUDIO_USER_CLIENT_H

#include <dextral/IOUserClient.h>

/** What type 'CAud' opens, initialised and started: its methods are the host's, none can be called from outside.
 *  +1.  kIOReturnNoMemory. */
kern_return_t dx_audio_user_client_create(IOService *driver, IOUserClient **ret_client);

#endif /* DX_AUDIO_USER_CLIENT_H */
