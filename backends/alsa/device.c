// SPDX-License-Identifier: MIT
// Finding the device that an ALSA name means.

#include "backends/alsa/device.h"

#include "backends/alsa/errors.h"

#include <errno.h>
#include <string.h>

int
dx_alsa_read_name(snd_config_t *conf, struct dx_alsa_name *ret_name)
{
    struct dx_alsa_name name = {.uid = ""};
    snd_config_iterator_t i, next;
    snd_config_for_each(i, next, conf) {
        snd_config_t *const node = snd_config_iterator_entry(i);
        const char *id;
        long stream;
        if (snd_config_get_id(node, &id) < 0 || strcmp(id, "comment") == 0 || strcmp(id, "type") == 0 ||
            strcmp(id, "hint") == 0)
            continue;
        if (strcmp(id, "uid") == 0) {
            if (snd_config_get_string(node, &name.uid) < 0 || !name.uid) {
                SNDERR("dextral: uid must be a string; write it in quotes");
                return -EINVAL;
            }
        } else if (strcmp(id, "stream") == 0) {
            if (snd_config_get_integer(node, &stream) < 0 || stream < 0 || stream >= (long)DX_MAX_STREAMS) {
                SNDERR("dextral: stream must be a number from 0 to %u", DX_MAX_STREAMS - 1u);
                return -EINVAL;
            }
            name.stream = (unsigned)stream;
        } else {
            SNDERR("dextral: unknown field %s; there are uid and stream", id);
            return -EINVAL;
        }
    }
    *ret_name = name;
    return 0;
}

int
dx_alsa_device_open(const struct dx_alsa_name *name, const dx_directory_config *config,
                    IOUserAudioStreamDirection direction, struct dx_alsa_device *ret_device)
{
    struct dx_alsa_device found = {NULL, NULL};
    dx_error error = {.message = ""};
    const kern_return_t status = dx_directory_open(config, &found.directory, &error);
    if (status != kIOReturnSuccess) {
        SNDERR("dextral: %s", error.message);
        return status == kIOReturnNotFound ? -EHOSTDOWN : dx_alsa_errno(status);
    }
    found.device = *name->uid ? dx_directory_copy_device(found.directory, name->uid)
                              : dx_directory_copy_default_device(found.directory, direction);
    if (!found.device) {
        if (*name->uid)
            SNDERR("dextral: there is no device '%s'; `dextral list` shows those that there are", name->uid);
        else
            SNDERR("dextral: there is no default device; `dextral create cable` makes one");
        dx_alsa_device_close(&found);
        return -ENODEV;
    }
    *ret_device = found;
    return 0;
}

void
dx_alsa_device_close(struct dx_alsa_device *device)
{
    dx_device_release(device->device);
    dx_directory_close(device->directory);
    *device = (struct dx_alsa_device){NULL, NULL};
}
