// SPDX-License-Identifier: MIT
// A cable in this process, behind the directory that the plug-ins ask: real threads, real time, no supervisor.

#ifndef DX_TESTS_ALSA_RIG_H
#define DX_TESTS_ALSA_RIG_H

#include "tests/core/check.h"

#include <alsa/asoundlib.h>

#include <dextral/dextral.h>
#include <dextral/directory.h>

#define SECOND_NS UINT64_C(1000000000)

/** Fails with alsa-lib's words where a call gives a negative number; its value otherwise. */
#define CHECK_ALSA(expression)                                                                              \
    ({                                                                                                      \
        const long check_result_ = (long)(expression);                                                      \
        if (check_result_ < 0) {                                                                            \
            (void)fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #expression,                       \
                          snd_strerror((int)check_result_));                                                \
            abort();                                                                                        \
        }                                                                                                   \
        check_result_;                                                                                      \
    })

/* What the cable is to be.  All-zero is fine. */
struct rig_config {
    uint64_t late_tolerance_frames; // 0: a second and a half, so that a machine that stands still loses nothing
    uint64_t period_frames;         // of the rings; 0: 65536
    uint64_t channels;              // 0: 2
    uint64_t output_safety_frames;
    uint64_t input_safety_frames;
};

/** Makes the device "cable", which is the default one, at 48 kHz. */
void rig_start(const struct rig_config *config);
void rig_finish(void);

dx_device *rig_device(void); // borrowed

/** Takes the driver away, and starts another one for the same device. */
void rig_stop_driver(void);
void rig_start_driver(void);

/** How many channels it has from the next driver on. */
void rig_set_channels(uint64_t channels);

/** Aborts configuration changes, or not any more. */
void rig_set_veto(dx_configuration_veto veto);

/** A second device, "org.dextral.simple", with controls. */
void rig_start_simple(void);
void rig_stop_simple(void);

dx_device *rig_find_device(const char *uid); // +1

/** Keeps the driver from answering for a time: what needs it, such as the start of its IO, takes as long. */
void rig_occupy_driver(uint64_t duration_ns);

/** Opens the plug-in as alsa-lib would for `dextral`, or `dextral:UID`. */
int rig_open_pcm(snd_pcm_t **ret_pcm, const char *uid, snd_pcm_stream_t direction, int mode);
int rig_open_ctl(snd_ctl_t **ret_ctl, const char *uid);

uint64_t rig_now_ns(void);

#endif /* DX_TESTS_ALSA_RIG_H */
