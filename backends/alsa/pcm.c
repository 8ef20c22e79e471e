// SPDX-License-Identifier: MIT
// The PCM plug-in: `dextral` and `dextral:UID` for every program that plays or records through alsa-lib.

#include "audio/handle.h"
#include "backends/alsa/chmap.h"
#include "backends/alsa/device.h"
#include "backends/alsa/errors.h"
#include "backends/alsa/format.h"
#include "backends/alsa/stream.h"

#include <alsa/pcm_external.h>

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define SMALLEST_PERIOD_FRAMES 16u
#define MOST_PERIODS 1024u
/* The largest buffer: so much time, and so much memory. */
#define LARGEST_BUFFER_SECONDS 4u
#define LARGEST_BUFFER_BYTES (1u << 28)

struct pcm {
    snd_pcm_ioplug_t io;
    struct dx_alsa_device device;
    unsigned stream_index;
    uint32_t channels;             // those of the stream when it was opened
    pthread_mutex_t lock;          // the directory's thread looks at the following
    struct dx_alsa_stream *stream; // from hw_params to hw_free
};

/* After fork() the memory and the timer are shared with the parent: the child may only close. */
static bool
is_ours(const struct pcm *pcm)
{
    return !pcm->device.device || !dx_device_is_forked(pcm->device.device);
}

/* The stream, where there is one and this process may use it. */
static struct dx_alsa_stream *
find_stream(const snd_pcm_ioplug_t *io)
{
    const struct pcm *const pcm = io->private_data;
    return is_ours(pcm) ? pcm->stream : NULL; // set by the program's own threads
}

/* An error as a state, where alsa-lib knows no other way to hear of it. */
static void
set_gone(snd_pcm_ioplug_t *io)
{
    (void)snd_pcm_ioplug_set_state(io, SND_PCM_STATE_DISCONNECTED); // cannot fail
}

/* ---- moving frames ---- */

static int
start(snd_pcm_ioplug_t *io)
{
    struct dx_alsa_stream *const stream = find_stream(io);
    return stream ? dx_alsa_stream_start(stream, io->appl_ptr) : -EBADFD;
}

static int
stop(snd_pcm_ioplug_t *io)
{
    struct dx_alsa_stream *const stream = find_stream(io);
    if (!stream)
        return -EBADFD;
    dx_alsa_stream_stop(stream);
    return 0;
}

static snd_pcm_sframes_t
get_pointer(snd_pcm_ioplug_t *io)
{
    struct dx_alsa_stream *const stream = find_stream(io);
    if (!stream) {
        if (!is_ours(io->private_data))
            set_gone(io);
        return (snd_pcm_sframes_t)io->hw_ptr; // before hw_params nothing moves
    }
    const bool draining = io->state == SND_PCM_STATE_DRAINING;
    const int64_t position = dx_alsa_stream_get_position(stream, io->appl_ptr, io->hw_ptr, draining);
    if (position == -ENODEV && !draining) {
        set_gone(io);
        return (snd_pcm_sframes_t)io->hw_ptr;
    }
    return (snd_pcm_sframes_t)position;
}

static snd_pcm_sframes_t
transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas, snd_pcm_uframes_t offset, snd_pcm_uframes_t size)
{
    struct dx_alsa_stream *const stream = find_stream(io);
    if (!stream)
        return -EBADFD;
    /* Access is interleaved: the first channel's area is everybody's. */
    uint8_t *const data = (uint8_t *)areas->addr + (areas->first + offset * areas->step) / 8u;
    const uint32_t frames = size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
    if (io->stream == SND_PCM_STREAM_PLAYBACK)
        dx_alsa_stream_write(stream, io->appl_ptr, data, frames);
    else
        dx_alsa_stream_read(stream, io->appl_ptr, data, frames, io->access == SND_PCM_ACCESS_RW_INTERLEAVED);
    return (snd_pcm_sframes_t)frames;
}

static int
set_paused(snd_pcm_ioplug_t *io, int enable)
{
    struct dx_alsa_stream *const stream = find_stream(io);
    if (!stream)
        return -EBADFD;
    if (enable)
        dx_alsa_stream_pause(stream, io->appl_ptr);
    else
        dx_alsa_stream_resume(stream, io->appl_ptr);
    return 0;
}

static int
get_delay(snd_pcm_ioplug_t *io, snd_pcm_sframes_t *ret_frames)
{
    struct dx_alsa_stream *const stream = find_stream(io);
    int64_t frames = 0;
    const int r = stream ? dx_alsa_stream_get_delay(stream, io->appl_ptr, &frames) : -EBADFD;
    if (r == 0)
        *ret_frames = (snd_pcm_sframes_t)frames;
    return r;
}

static int
get_poll_events(snd_pcm_ioplug_t *io, struct pollfd *fds, unsigned int count, unsigned short *ret_events)
{
    (void)fds;
    if (count != 1)
        return -EINVAL;
    struct dx_alsa_stream *const stream = find_stream(io);
    unsigned events = DX_ALSA_READY | DX_ALSA_STOPPED;
    if (stream)
        events = dx_alsa_stream_get_events(stream, io->appl_ptr);
    else if (!is_ours(io->private_data))
        events |= DX_ALSA_GONE;
    /* alsa-lib tells by the state what the error was. */
    if (events & DX_ALSA_GONE)
        set_gone(io);
    else if (events & DX_ALSA_XRUN)
        (void)snd_pcm_ioplug_set_state(io, SND_PCM_STATE_XRUN); // cannot fail
    *ret_events = 0;
    if (events & DX_ALSA_READY)
        *ret_events |= io->stream == SND_PCM_STREAM_PLAYBACK ? POLLOUT : POLLIN;
    if (events & DX_ALSA_STOPPED)
        *ret_events |= POLLERR;
    return 0;
}

/* ---- what channels are for ---- */

static IOUserAudioStreamDirection
direction_of(snd_pcm_stream_t stream)
{
    return stream == SND_PCM_STREAM_CAPTURE ? IOUserAudioStreamDirectionInput : IOUserAudioStreamDirectionOutput;
}

/* The map is the driver's, and no program's to set: without that callback alsa-lib says -ENXIO for any other one. */

static snd_pcm_chmap_query_t **
query_chmaps(snd_pcm_ioplug_t *io)
{
    const struct pcm *const pcm = io->private_data;
    return dx_alsa_chmap_create_list(pcm->device.device, direction_of(io->stream), pcm->stream_index, pcm->channels);
}

static snd_pcm_chmap_t *
get_chmap(snd_pcm_ioplug_t *io)
{
    const struct pcm *const pcm = io->private_data;
    if (io->state == SND_PCM_STATE_OPEN) // as with a sound card
        return NULL;
    return dx_alsa_chmap_create(pcm->device.device, direction_of(io->stream), pcm->stream_index, pcm->channels);
}

/* ---- agreeing upon sizes ---- */

static struct dx_alsa_stream *
exchange_stream(struct pcm *pcm, struct dx_alsa_stream *stream)
{
    if (!is_ours(pcm)) { // there is no other thread, and the lock may be held for ever
        struct dx_alsa_stream *const parents = pcm->stream;
        pcm->stream = stream;
        return parents;
    }
    pthread_mutex_lock(&pcm->lock);
    struct dx_alsa_stream *const before = pcm->stream;
    pcm->stream = stream;
    pthread_mutex_unlock(&pcm->lock);
    return before;
}

/* On the directory's thread. */
static void
hear(void *context, const dx_host_event *event)
{
    struct pcm *const pcm = context;
    const enum dx_alsa_news news = event->kind == DX_EVENT_CONFIGURATION_BEGIN ? DX_ALSA_NEWS_BEGIN
                                   : event->kind == DX_EVENT_CONFIGURATION_END ? DX_ALSA_NEWS_END
                                                                               : DX_ALSA_NEWS_OTHER;
    pthread_mutex_lock(&pcm->lock);
    if (pcm->stream && event->device == pcm->device.device)
        dx_alsa_stream_tell(pcm->stream, news);
    pthread_mutex_unlock(&pcm->lock);
}

static int
hw_params(snd_pcm_ioplug_t *io, snd_pcm_hw_params_t *params)
{
    (void)params;
    struct pcm *const pcm = io->private_data;
    if (!is_ours(pcm))
        return -EBADFD;
    struct dx_alsa_setup setup = {
        .name = program_invocation_short_name,
        .is_capture = io->stream == SND_PCM_STREAM_CAPTURE,
        .stream = pcm->stream_index,
        .channels = io->channels,
        .rate_hz = io->rate,
        .bytes_per_frame = (uint32_t)snd_pcm_format_physical_width(io->format) / 8u * io->channels,
        .period_frames = (uint32_t)io->period_size,
        .buffer_frames = (uint32_t)io->buffer_size,
    };
    if (!dx_alsa_find_format(io->format, &setup.format))
        return -EINVAL;
    /* alsa-lib counts periods in bytes: who sets sizes before the format may be offered less than two. */
    if (io->buffer_size / io->period_size < 2) {
        SNDERR("dextral: a buffer of %lu frames is less than two periods of %lu; set the format before the sizes",
               io->buffer_size, io->period_size);
        return -EINVAL;
    }
    struct dx_alsa_stream *stream = NULL;
    const int r = dx_alsa_stream_open(pcm->device.device, &setup, io->poll_fd, &stream);
    if (r == -EBUSY)
        SNDERR("dextral: %s is for one program at a time, and another one has it", dx_device_uid(pcm->device.device));
    (void)exchange_stream(pcm, stream);
    return r;
}

static int
hw_free(snd_pcm_ioplug_t *io)
{
    dx_alsa_stream_close(exchange_stream(io->private_data, NULL));
    return 0;
}

static int
sw_params(snd_pcm_ioplug_t *io, snd_pcm_sw_params_t *params)
{
    struct dx_alsa_stream *const stream = find_stream(io);
    if (!stream)
        return -EBADFD;
    snd_pcm_uframes_t boundary, stop_threshold, available_min;
    int r = snd_pcm_sw_params_get_boundary(params, &boundary);
    if (r == 0)
        r = snd_pcm_sw_params_get_stop_threshold(params, &stop_threshold);
    if (r == 0)
        r = snd_pcm_sw_params_get_avail_min(params, &available_min);
    if (r < 0)
        return r;
    const struct dx_alsa_thresholds thresholds = {
        .boundary = boundary,
        .stop = stop_threshold < boundary ? stop_threshold : DX_ALSA_NEVER_STOP,
        .available_min = available_min,
    };
    dx_alsa_stream_set_thresholds(stream, &thresholds);
    return 0;
}

static int
prepare(snd_pcm_ioplug_t *io)
{
    struct dx_alsa_stream *const stream = find_stream(io);
    return stream ? dx_alsa_stream_prepare(stream) : -EBADFD;
}

/* Sizes are constrained in bytes: those of the narrowest format, so that none is shut out. */
static int
constrain_sizes(snd_pcm_ioplug_t *io, uint32_t channels, uint32_t rate_hz, uint32_t least_bytes, uint32_t most_bytes)
{
    uint64_t frames = (uint64_t)LARGEST_BUFFER_SECONDS * rate_hz;
    if (frames * most_bytes * channels > LARGEST_BUFFER_BYTES)
        frames = LARGEST_BUFFER_BYTES / (most_bytes * channels);
    const unsigned least = SMALLEST_PERIOD_FRAMES * least_bytes * channels;
    const unsigned most = (unsigned)(frames * most_bytes * channels);
    int r = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIOD_BYTES, least, most / 2u);
    if (r == 0)
        r = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_BUFFER_BYTES, 2u * least, most);
    return r == 0 ? snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIODS, 2, MOST_PERIODS) : r;
}

static int
constrain(snd_pcm_ioplug_t *io, const dx_stream_info *stream, double rate_hz)
{
    static const unsigned accesses[] = {SND_PCM_ACCESS_RW_INTERLEAVED, SND_PCM_ACCESS_MMAP_INTERLEAVED};
    snd_pcm_format_t formats[DX_ALSA_MAX_FORMATS];
    const unsigned count = dx_alsa_list_formats(stream, formats);
    if (!count) {
        SNDERR("dextral: ALSA has no name for the samples of this stream");
        return -EINVAL;
    }
    unsigned list[DX_ALSA_MAX_FORMATS];
    uint32_t least = UINT32_MAX, most = 0;
    for (unsigned i = 0; i < count; i++) {
        const uint32_t bytes = (uint32_t)snd_pcm_format_physical_width(formats[i]) / 8u;
        list[i] = (unsigned)formats[i];
        least = bytes < least ? bytes : least;
        most = bytes > most ? bytes : most;
    }
    const unsigned channels = stream->client.mChannelsPerFrame;
    const unsigned rate = (unsigned)lround(rate_hz);
    int r = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, 2, accesses);
    if (r == 0)
        r = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, count, list);
    if (r == 0)
        r = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_CHANNELS, channels, channels);
    if (r == 0)
        r = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_RATE, rate, rate);
    return r == 0 ? constrain_sizes(io, channels, rate, least, most) : r;
}

/* ---- opening and closing ---- */

static void
free_pcm(struct pcm *pcm)
{
    dx_alsa_stream_close(exchange_stream(pcm, NULL));
    const bool has_lock = is_ours(pcm);
    dx_alsa_device_close(&pcm->device);
    if (pcm->io.poll_fd >= 0)
        (void)close(pcm->io.poll_fd); // nothing was written
    if (has_lock)
        (void)pthread_mutex_destroy(&pcm->lock);
    free(pcm);
}

static int
close_pcm(snd_pcm_ioplug_t *io)
{
    free_pcm(io->private_data);
    return 0;
}

static void
dump(snd_pcm_ioplug_t *io, snd_output_t *out)
{
    const struct pcm *const pcm = io->private_data;
    (void)snd_output_printf(out, "Dextral device %s, stream %u\n", dx_device_uid(pcm->device.device),
                            pcm->stream_index); // what cannot be printed is not
    if (io->state != SND_PCM_STATE_OPEN) {
        (void)snd_output_puts(out, "Its setup is:\n");
        (void)snd_pcm_dump_setup(io->pcm, out);
    }
}

static const snd_pcm_ioplug_callback_t callbacks = {
    .start = start,
    .stop = stop,
    .pointer = get_pointer,
    .transfer = transfer,
    .close = close_pcm,
    .hw_params = hw_params,
    .hw_free = hw_free,
    .sw_params = sw_params,
    .prepare = prepare,
    .pause = set_paused,
    .poll_revents = get_poll_events,
    .dump = dump,
    .delay = get_delay,
    .query_chmaps = query_chmaps,
    .get_chmap = get_chmap,
};

/* What the stream is like at this moment. */
static int
find_stream_info(const struct pcm *pcm, snd_pcm_stream_t direction, dx_stream_info *ret_stream, double *ret_rate_hz)
{
    dx_device_info info = {.size = sizeof info};
    const kern_return_t status = dx_device_get_info(pcm->device.device, &info);
    if (status != kIOReturnSuccess)
        return dx_alsa_errno(status);
    const bool is_capture = direction == SND_PCM_STREAM_CAPTURE;
    const uint32_t count = is_capture ? info.input_streams : info.output_streams;
    if (pcm->stream_index >= count) {
        SNDERR("dextral: %s has %u %s streams", dx_device_uid(pcm->device.device), count,
               is_capture ? "input" : "output");
        return -ENODEV;
    }
    *ret_stream = is_capture ? info.inputs[pcm->stream_index] : info.outputs[pcm->stream_index];
    *ret_rate_hz = info.sample_rate_hz;
    return 0;
}

/* Everything that is needed before alsa-lib hears of it. */
static int
connect_pcm(struct pcm *pcm, const struct dx_alsa_name *name, snd_pcm_stream_t direction, dx_stream_info *ret_stream,
            double *ret_rate_hz)
{
    const dx_directory_config config = {.size = sizeof config, .listener = hear, .listener_context = pcm};
    pcm->stream_index = name->stream;
    int r = dx_alsa_device_open(name, &config, direction_of(direction), &pcm->device);
    if (r == 0)
        r = find_stream_info(pcm, direction, ret_stream, ret_rate_hz);
    if (r < 0)
        return r;
    pcm->channels = ret_stream->client.mChannelsPerFrame;
    pcm->io.poll_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    return pcm->io.poll_fd < 0 ? -errno : 0;
}

SND_PCM_PLUGIN_DEFINE_FUNC(dextral);

SND_PCM_PLUGIN_DEFINE_FUNC(dextral)
{
    (void)root;
    struct dx_alsa_name device;
    int r = dx_alsa_read_name(conf, &device);
    if (r < 0)
        return r;
    struct pcm *const pcm = calloc(1, sizeof *pcm);
    if (!pcm)
        return -ENOMEM;
    (void)pthread_mutex_init(&pcm->lock, NULL); // cannot fail on Linux
    pcm->io = (snd_pcm_ioplug_t){
        .version = SND_PCM_IOPLUG_VERSION,
        .name = "Dextral",
        .flags = SND_PCM_IOPLUG_FLAG_LISTED | SND_PCM_IOPLUG_FLAG_MONOTONIC | SND_PCM_IOPLUG_FLAG_BOUNDARY_WA,
        .poll_fd = -1,
        .poll_events = POLLIN,
        .callback = &callbacks,
        .private_data = pcm,
        .nonblock = mode & SND_PCM_NONBLOCK, // alsa-lib sets it only where the program changes its mind
    };
    dx_stream_info info;
    double rate_hz;
    r = connect_pcm(pcm, &device, stream, &info, &rate_hz);
    if (r == 0)
        r = snd_pcm_ioplug_create(&pcm->io, name, stream, mode);
    if (r < 0) {
        free_pcm(pcm);
        return r;
    }
    r = constrain(&pcm->io, &info, rate_hz);
    if (r < 0) {
        (void)snd_pcm_ioplug_delete(&pcm->io); // calls close_pcm()
        return r;
    }
    *pcmp = pcm->io.pcm;
    return 0;
}
SND_PCM_PLUGIN_SYMBOL(dextral)
