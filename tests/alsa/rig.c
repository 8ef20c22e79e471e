// SPDX-License-Identifier: MIT
// A cable in this process, behind the directory that the plug-ins ask.

#include "tests/alsa/rig.h"

#include "audio/handle.h"

#include <alsa/pcm_external.h>
#include <alsa/control_external.h>

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

extern const dx_driver_class dx_driver_class_CableAudioDriver;
extern const dx_driver_class dx_driver_class_SimpleAudioDriver;

SND_PCM_PLUGIN_DEFINE_FUNC(dextral);
SND_CTL_PLUGIN_DEFINE_FUNC(dextral);

#define MOST_DIRECTORIES 16u

static struct {
    dx_host *host;
    IOUserAudioDriver *driver;
    IOUserAudioDriver *simple;
    OSDictionary *properties;
    dx_device *device;
    _Atomic uint32_t *mark; // of the device, as one of the machine has it
} rig;

/* ---- the directory: what the plug-ins know of the machine ---- */

struct dx_directory {
    void (*listener)(void *context, const dx_host_event *event);
    void *listener_context;
};

static _Atomic(dx_directory *) directories[MOST_DIRECTORIES];

kern_return_t
dx_directory_open(const dx_directory_config *config, dx_directory **ret_directory, dx_error *error)
{
    if (!rig.host) {
        (void)snprintf(error->message, sizeof error->message, "no supervisor");
        return kIOReturnNotFound;
    }
    dx_directory *const directory = calloc(1, sizeof *directory);
    if (!directory)
        return kIOReturnNoMemory;
    directory->listener = config->listener;
    directory->listener_context = config->listener_context;
    for (size_t i = 0; i < MOST_DIRECTORIES; i++) {
        dx_directory *none = NULL;
        if (atomic_compare_exchange_strong(&directories[i], &none, directory))
            break;
    }
    *ret_directory = directory;
    return kIOReturnSuccess;
}

void
dx_directory_close(dx_directory *directory)
{
    for (size_t i = 0; i < MOST_DIRECTORIES; i++) {
        dx_directory *found = directory;
        if (directory && atomic_compare_exchange_strong(&directories[i], &found, NULL))
            break;
    }
    if (rig.host)
        dx_host_settle(rig.host); // nobody is being told of anything any more
    free(directory);
}

dx_device *
dx_directory_copy_device(dx_directory *directory, const char *uid_or_name)
{
    (void)directory;
    return dx_host_copy_device(rig.host, uid_or_name);
}

dx_device *
dx_directory_copy_default_device(dx_directory *directory, IOUserAudioStreamDirection direction)
{
    (void)directory;
    return dx_host_copy_default_device(rig.host, direction);
}

static void
tell(void *context, const dx_host_event *event)
{
    (void)context;
    for (size_t i = 0; i < MOST_DIRECTORIES; i++) {
        dx_directory *const directory = atomic_load(&directories[i]);
        if (directory && directory->listener)
            directory->listener(directory->listener_context, event);
    }
}

/* ---- the cable ---- */

dx_device *
rig_device(void)
{
    return rig.device;
}

static void
set(const char *key, uint64_t value)
{
    CHECK(OSDictionarySetUInt64Value(rig.properties, key, value));
}

void
rig_set_channels(uint64_t channels)
{
    set("Channels", channels);
}

void
rig_start_driver(void)
{
    rig.driver = dx_driver_class_CableAudioDriver.alloc();
    CHECK(rig.driver);
    CHECK_EQ(dx_host_start_driver(rig.host, rig.driver, rig.properties), kIOReturnSuccess);
    dx_host_settle(rig.host);
}

void
rig_stop_driver(void)
{
    CHECK_EQ(dx_host_stop_driver(rig.host, rig.driver), kIOReturnSuccess);
    OSObjectRelease(rig.driver);
    rig.driver = NULL;
}

void
rig_start(const struct rig_config *config)
{
    const dx_host_config host_config = {.size = sizeof host_config, .listener = tell};
    CHECK_EQ(dx_host_create(&host_config, &rig.host), kIOReturnSuccess);
    rig.properties = OSDictionaryCreate(0);
    CHECK(rig.properties);
    CHECK(OSDictionarySetStringValue(rig.properties, "DeviceUID", "cable"));
    set("PeriodFrames", config->period_frames ? config->period_frames : 65536);
    set("LateToleranceFrames", config->late_tolerance_frames ? config->late_tolerance_frames : 65536);
    rig_set_channels(config->channels ? config->channels : 2);
    set("OutputSafetyOffset", config->output_safety_frames);
    set("InputSafetyOffset", config->input_safety_frames);
    rig_start_driver();
    rig.device = dx_host_copy_device(rig.host, "cable");
    CHECK(rig.device);
    rig.mark = mmap(NULL, dx_page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(rig.mark != MAP_FAILED && madvise(rig.mark, dx_page_bytes(), MADV_WIPEONFORK) == 0);
    *rig.mark = 1;
    rig.device->mark = rig.mark;
}

void
rig_finish(void)
{
    dx_device_release(rig.device);
    rig_stop_driver();
    dx_host_destroy(rig.host);
    OSObjectRelease(rig.properties);
    CHECK_EQ(munmap(rig.mark, dx_page_bytes()), 0);
    memset(&rig, 0, sizeof rig);
}

void
rig_start_simple(void)
{
    rig.simple = dx_driver_class_SimpleAudioDriver.alloc();
    CHECK(rig.simple);
    CHECK_EQ(dx_host_start_driver(rig.host, rig.simple, NULL), kIOReturnSuccess);
    dx_host_settle(rig.host);
}

void
rig_stop_simple(void)
{
    CHECK_EQ(dx_host_stop_driver(rig.host, rig.simple), kIOReturnSuccess);
    OSObjectRelease(rig.simple);
    rig.simple = NULL;
}

void
rig_set_veto(dx_configuration_veto veto)
{
    dx_host_set_configuration_veto(rig.host, veto, NULL);
}

dx_device *
rig_find_device(const char *uid)
{
    dx_device *const device = dx_host_copy_device(rig.host, uid);
    CHECK(device);
    return device;
}

static void
sleep_on_queue(void *context)
{
    const uint64_t *const until_ns = context;
    dx_clock_sleep_until(dx_clock_host(), *until_ns);
}

void
rig_occupy_driver(uint64_t duration_ns)
{
    static uint64_t until_ns;
    until_ns = rig_now_ns() + duration_ns;
    IODispatchQueue *const queue = IOUserAudioDriverGetWorkQueue(rig.driver);
    CHECK_EQ(IODispatchQueueDispatchAsync_f(queue, &until_ns, sleep_on_queue), kIOReturnSuccess);
    OSObjectRelease(queue);
}

/* ---- the plug-ins ---- */

static snd_config_t *
make_configuration(const char *uid)
{
    snd_config_t *top = NULL;
    char text[256];
    (void)snprintf(text, sizeof text, "type dextral uid '%s'", uid);
    CHECK_ALSA(snd_config_load_string(&top, text, 0));
    return top;
}

int
rig_open_pcm(snd_pcm_t **ret_pcm, const char *uid, snd_pcm_stream_t direction, int mode)
{
    snd_config_t *const conf = make_configuration(uid);
    const int r = SND_PCM_PLUGIN_ENTRY(dextral)(ret_pcm, "dextral", conf, conf, direction, mode);
    snd_config_delete(conf);
    return r;
}

int
rig_open_ctl(snd_ctl_t **ret_ctl, const char *uid)
{
    snd_config_t *const conf = make_configuration(uid);
    const int r = SND_CTL_PLUGIN_ENTRY(dextral)(ret_ctl, "dextral", conf, conf, 0);
    snd_config_delete(conf);
    return r;
}

uint64_t
rig_now_ns(void)
{
    return dx_clock_now_ns(dx_clock_host());
}
