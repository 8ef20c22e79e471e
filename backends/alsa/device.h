// SPDX-License-Identifier: MIT
// Finding the device that an ALSA name means.

#ifndef DX_BACKENDS_ALSA_DEVICE_H
#define DX_BACKENDS_ALSA_DEVICE_H

#include <alsa/asoundlib.h>

#include <dextral/directory.h>

/* What a configuration says: `pcm.NAME { type dextral  uid UID  stream INDEX }`. */
struct dx_alsa_name {
    const char *uid;      // borrowed from the configuration; "": the default device
    unsigned stream;      // of the device, in the direction asked for
};

/** Reads a configuration; says what is wrong with it through alsa-lib's error handler.  0 or -EINVAL. */
int dx_alsa_read_name(snd_config_t *conf, struct dx_alsa_name *ret_name);

/* A device, and the connection that it came through.  Zeroed is none. */
struct dx_alsa_device {
    dx_directory *directory;
    dx_device *device;
};

/**
 * Connects to the supervisor and finds a device, by its UID or its name; says why not through alsa-lib's error handler.
 *
 * @param config      of the directory; borrowed for the call.
 * @param direction   of which default device, where the name is empty.
 * @param ret_device  written on success only.
 * @return 0; -EHOSTDOWN (no supervisor), -ENODEV (no such device), -EPERM, -ENOMEM, -EIO.
 */
int dx_alsa_device_open(const struct dx_alsa_name *name, const dx_directory_config *config,
                        IOUserAudioStreamDirection direction, struct dx_alsa_device *ret_device);

/** Zeroed is fine. */
void dx_alsa_device_close(struct dx_alsa_device *device);

#endif /* DX_BACKENDS_ALSA_DEVICE_H */
