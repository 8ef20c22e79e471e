// SPDX-License-Identifier: MIT
// One direction of an open ALSA device: where its frames are in device time, and when its program is to be woken.

#ifndef DX_BACKENDS_ALSA_STREAM_H
#define DX_BACKENDS_ALSA_STREAM_H

#include "audio/convert.h"

#include <dextral/host.h>

/*
 * Knows nothing of alsa-lib's types, but counts as alsa-lib does: frames from dx_alsa_stream_prepare() on, modulo a
 * boundary.  `application` is up to where the program has written or read, the position up to where the device has taken
 * or given.  Functions return 0 or more, or a negative errno; none but open and close waits for anybody.  They may be
 * called from any thread: each takes the stream's lock for a moment.
 */
struct dx_alsa_stream;

/* What a program and alsa-lib agreed upon. */
struct dx_alsa_setup {
    const char *name;            // of the program
    bool is_capture;
    uint32_t stream;             // index of the device's stream, in this direction
    uint32_t channels;
    uint32_t rate_hz;
    enum dx_sample_format format; // of the program's frames; counts for mixable streams
    uint32_t bytes_per_frame;    // of the program's frames
    uint32_t period_frames;
    uint32_t buffer_frames;
};

#define DX_ALSA_NEVER_STOP INT64_MAX

/* When it is an error, and when a program is to be woken; in force before the first prepare. */
struct dx_alsa_thresholds {
    uint64_t boundary;      // at which counts begin at 0 again
    uint64_t stop;          // frames available at which it is an xrun; DX_ALSA_NEVER_STOP: never
    uint64_t available_min; // frames available at which the program is to be woken
};

/**
 * Joins the device.
 *
 * @param timer_fd  borrowed until dx_alsa_stream_close(): a timerfd, readable from then on whenever there is something to do.
 * @return 0; -EBUSY (a non-mixable stream has a program), -EINVAL (no such stream), -ENODEV, -ENOMEM, -EIO.
 */
int dx_alsa_stream_open(dx_device *device, const struct dx_alsa_setup *setup, int timer_fd,
                        struct dx_alsa_stream **ret_stream);

/** Leaves the device; NULL is fine.  In a child after fork() it only frees. */
void dx_alsa_stream_close(struct dx_alsa_stream *stream);

/** What a device is told of. */
enum dx_alsa_news {
    DX_ALSA_NEWS_BEGIN, // it is going to become another one, perhaps
    DX_ALSA_NEWS_END,   // it has done so, or not
    DX_ALSA_NEWS_OTHER,
};

/** Something is told of the device.  Thread: the directory's. */
void dx_alsa_stream_tell(struct dx_alsa_stream *stream, enum dx_alsa_news news);

void dx_alsa_stream_set_thresholds(struct dx_alsa_stream *stream, const struct dx_alsa_thresholds *thresholds);

/** Makes everything 0, and lets the device's IO start in the background.  0; -ENODEV. */
int dx_alsa_stream_prepare(struct dx_alsa_stream *stream);

/**
 * Frame 0 is heard, or recorded, from now on.  Where the device's clock does not run yet, that is once it does, and the
 * position stays 0 until then.
 *
 * @return 0; -ENODEV; what starting the device's IO gave.
 */
int dx_alsa_stream_start(struct dx_alsa_stream *stream, uint64_t application);

/** What is not heard yet never will be. */
void dx_alsa_stream_stop(struct dx_alsa_stream *stream);

/** Frames from the position on wait until dx_alsa_stream_resume(). */
void dx_alsa_stream_pause(struct dx_alsa_stream *stream, uint64_t application);
void dx_alsa_stream_resume(struct dx_alsa_stream *stream, uint64_t application);

/**
 * The position; never goes back.
 *
 * @param last      what this said last, or 0 where the program has set both counts to 0 by itself since.
 * @param draining  nothing more will be written: the position is that of `application` only when all of it was heard.
 * @return frames; -EPIPE (frames were lost: it is stopped), -ENODEV (the device is no longer what it was opened as).
 */
int64_t dx_alsa_stream_get_position(struct dx_alsa_stream *stream, uint64_t application, uint64_t last, bool draining);

/** Frames until one written now is heard, or since one read now was; before a start what is written.  -EPIPE, -ENODEV. */
int dx_alsa_stream_get_delay(struct dx_alsa_stream *stream, uint64_t application, int64_t *ret_frames);

/** Puts frames at `application`; what was there, and everything after, is forgotten. */
void dx_alsa_stream_write(struct dx_alsa_stream *stream, uint64_t application, const void *data, uint32_t frames);

/** Gives the frames at `application`; silence where there are none.  `taken`: the program will not ask for them again. */
void dx_alsa_stream_read(struct dx_alsa_stream *stream, uint64_t application, void *data, uint32_t frames, bool taken);

/** What a program that was woken has to do. */
enum {
    DX_ALSA_READY = 1u << 0,   // at least available_min frames are available, or what was drained was heard
    DX_ALSA_STOPPED = 1u << 1, // it is in no state in which frames will move
    DX_ALSA_XRUN = 1u << 2,    // because frames were lost
    DX_ALSA_GONE = 1u << 3,    // because the device is no longer what it was opened as
};

/** DX_ALSA_... bits; where there is nothing to do, the timer is set to when there will be. */
unsigned dx_alsa_stream_get_events(struct dx_alsa_stream *stream, uint64_t application);

#endif /* DX_BACKENDS_ALSA_STREAM_H */
