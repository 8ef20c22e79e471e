// SPDX-License-Identifier: MIT
// The hardware that a driver process is started for, as `load` brings it.

#include "host/driver/state.h"
#include "host/protocol.h"
#include "host/usb_provider.h"

#include <stdlib.h>
#include <string.h>

static bool
take_provider(struct dx_process_provider *provider, const OSDictionary *item, const struct dx_message *message)
{
    const char *const personality = item ? dx_wire_get_string(item, "personality") : NULL;
    const uint64_t node = item ? dx_wire_get_number(item, "node", DX_WIRE_MAX_FDS) : DX_WIRE_MAX_FDS;
    if (!personality || node >= message->fd_count)
        return false;
    provider->personality = strdup(personality);
    provider->service = dx_usb_provider_create(dx_wire_get_dictionary(item, "properties"), message->fds[node]);
    return provider->personality && provider->service;
}

bool
dx_process_providers_take(struct dx_process_job *job, const struct dx_message *message)
{
    struct dx_driver_process *const process = job->process;
    const OSArray *const items = dx_wire_get_array(message->body, "providers");
    const size_t count = items ? OSArrayGetCount(items) : 0;
    bool done = count <= DX_PROCESS_MAX_PROVIDERS;
    process->providers = count && done ? calloc(count, sizeof *process->providers) : NULL;
    done = done && (process->providers || !count);
    for (size_t i = 0; done && i < count; i++) {
        process->provider_count = i + 1; // what there is of it is freed
        done = take_provider(&process->providers[i], OSDynamicCast(OSDictionary, OSArrayGetObject(items, i)), message);
    }
    if (!done)
        (void)dx_process_job_fail(job, kIOReturnBadArgument,
                                  "`load` names hardware without its personality, properties or descriptor");
    return done;
}

void
dx_process_providers_finish(struct dx_driver_process *process)
{
    for (size_t i = 0; i < process->provider_count; i++) {
        OSObjectRelease(process->providers[i].service);
        free(process->providers[i].personality);
    }
    free(process->providers);
    process->providers = NULL;
    process->provider_count = 0;
}
