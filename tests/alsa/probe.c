// SPDX-License-Identifier: MIT
// What a program sees of the plug-ins that knows nothing but alsa-lib.
//
// usage: probe fork DEVICE       a child after fork() fails cleanly, and its parent does not
//        probe unload DEVICE     playing, recording and mixing leave nothing when alsa-lib lets go of the plug-ins
//        probe until-gone DEVICE plays silence until the device is gone, and says how that is told
//        probe threads DEVICE    what the plug-in's threads do with signals
//        probe map DEVICE        says what its channels are for, and tries to say so itself
//        probe hold DEVICE       has it open until it is interrupted

#include <alsa/asoundlib.h>

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PERIOD_FRAMES 1024u
#define BUFFER_FRAMES 16384u

#define CHECK(condition)                                                                  \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                      \
        }                                                                                 \
    } while (0)

static int16_t silence[2u * BUFFER_FRAMES];

static snd_pcm_t *
open_pcm(const char *device, snd_pcm_stream_t direction)
{
    snd_pcm_t *pcm;
    CHECK(snd_pcm_open(&pcm, device, direction, 0) == 0);
    snd_pcm_hw_params_t *hw;
    snd_pcm_hw_params_alloca(&hw);
    CHECK(snd_pcm_hw_params_any(pcm, hw) >= 0);
    CHECK(snd_pcm_hw_params_set_access(pcm, hw, SND_PCM_ACCESS_RW_INTERLEAVED) == 0);
    CHECK(snd_pcm_hw_params_set_format(pcm, hw, SND_PCM_FORMAT_S16) == 0);
    CHECK(snd_pcm_hw_params_set_period_size(pcm, hw, PERIOD_FRAMES, 0) == 0);
    CHECK(snd_pcm_hw_params_set_buffer_size(pcm, hw, BUFFER_FRAMES) == 0);
    CHECK(snd_pcm_hw_params(pcm, hw) == 0);
    return pcm;
}

static size_t
count_entries(const char *folder)
{
    DIR *const directory = opendir(folder);
    CHECK(directory);
    size_t count = 0;
    while (readdir(directory))
        count++;
    (void)closedir(directory);
    return count;
}

static bool
is_in_file(const char *path, const char *text)
{
    char line[4096];
    FILE *const file = fopen(path, "r");
    CHECK(file);
    bool is_in = false;
    while (fgets(line, sizeof line, file))
        is_in |= strstr(line, text) != NULL;
    (void)fclose(file);
    return is_in;
}

static int
test_fork(const char *device)
{
    snd_pcm_t *const pcm = open_pcm(device, SND_PCM_STREAM_PLAYBACK);
    snd_ctl_t *ctl;
    CHECK(snd_ctl_open(&ctl, device, 0) == 0);
    CHECK(snd_pcm_writei(pcm, silence, BUFFER_FRAMES) == BUFFER_FRAMES);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(snd_pcm_writei(pcm, silence, PERIOD_FRAMES) < 0);
        CHECK(snd_pcm_prepare(pcm) < 0);
        CHECK(snd_pcm_close(pcm) == 0);
        CHECK(snd_ctl_close(ctl) == 0);
        snd_pcm_t *const own = open_pcm(device, SND_PCM_STREAM_PLAYBACK); // what it opens by itself works
        CHECK(snd_pcm_writei(own, silence, BUFFER_FRAMES) == BUFFER_FRAMES);
        CHECK(snd_pcm_close(own) == 0);
        _exit(0);
    }
    for (unsigned i = 0; i < 20; i++)
        CHECK(snd_pcm_writei(pcm, silence, PERIOD_FRAMES) == PERIOD_FRAMES);
    CHECK(snd_pcm_drain(pcm) == 0);
    CHECK(snd_pcm_close(pcm) == 0);
    CHECK(snd_ctl_close(ctl) == 0);
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return 0;
}

static void
use(const char *device)
{
    int16_t frames[2u * PERIOD_FRAMES];
    snd_pcm_t *const player = open_pcm(device, SND_PCM_STREAM_PLAYBACK);
    snd_pcm_t *const recorder = open_pcm(device, SND_PCM_STREAM_CAPTURE);
    snd_ctl_t *ctl;
    CHECK(snd_ctl_open(&ctl, device, 0) == 0);
    CHECK(snd_pcm_writei(player, silence, BUFFER_FRAMES) == BUFFER_FRAMES);
    for (unsigned i = 0; i < 10; i++) {
        CHECK(snd_pcm_writei(player, silence, PERIOD_FRAMES) == PERIOD_FRAMES);
        CHECK(snd_pcm_readi(recorder, frames, PERIOD_FRAMES) == PERIOD_FRAMES);
    }
    CHECK(snd_ctl_close(ctl) == 0);
    CHECK(snd_pcm_close(recorder) == 0);
    CHECK(snd_pcm_close(player) == 0);
    (void)snd_config_update_free_global();
}

static int
test_unload(const char *device)
{
    use(device); // what alsa-lib and libc keep for themselves is there from now on
    const size_t descriptors = count_entries("/proc/self/fd");
    for (unsigned i = 0; i < 5; i++) {
        use(device);
        CHECK(count_entries("/proc/self/fd") == descriptors);
        CHECK(count_entries("/proc/self/task") == 3); // ".", ".." and this one
        CHECK(!is_in_file("/proc/self/maps", "dextral"));
    }
    return 0;
}

static int
test_until_gone(const char *device)
{
    snd_pcm_t *const pcm = open_pcm(device, SND_PCM_STREAM_PLAYBACK);
    (void)puts("playing");
    (void)fflush(stdout);
    snd_pcm_sframes_t r;
    do
        r = snd_pcm_writei(pcm, silence, PERIOD_FRAMES);
    while (r > 0);
    (void)printf("%s\n", snd_strerror((int)r));
    CHECK(r == -ENODEV);
    CHECK(snd_pcm_prepare(pcm) == -ENODEV);
    CHECK(snd_pcm_close(pcm) == 0);
    return 0;
}

static int
hold(const char *device)
{
    snd_pcm_t *pcm;
    CHECK(snd_pcm_open(&pcm, device, SND_PCM_STREAM_PLAYBACK, 0) == 0);
    CHECK(snd_pcm_set_params(pcm, SND_PCM_FORMAT_S32, SND_PCM_ACCESS_RW_INTERLEAVED, 2, 48000, 0, 500000) == 0);
    (void)puts("holding");
    (void)fflush(stdout);
    (void)pause();
    return 0;
}

static int
test_map(const char *device)
{
    char text[128];
    snd_pcm_t *const pcm = open_pcm(device, SND_PCM_STREAM_PLAYBACK);
    snd_pcm_chmap_query_t **const maps = snd_pcm_query_chmaps(pcm);
    snd_pcm_chmap_t *const map = snd_pcm_get_chmap(pcm);
    CHECK(!maps == !map);
    if (map) {
        CHECK(maps[0] && !maps[1] && maps[0]->type == SND_CHMAP_TYPE_FIXED);
        CHECK(maps[0]->map.channels == map->channels);
        CHECK(memcmp(maps[0]->map.pos, map->pos, map->channels * sizeof map->pos[0]) == 0);
        CHECK(snd_pcm_chmap_print(map, sizeof text, text) > 0);
        CHECK(snd_pcm_set_chmap(pcm, map) == 0);
        map->pos[0] = SND_CHMAP_BRC;
        CHECK(snd_pcm_set_chmap(pcm, map) == -ENXIO);
    }
    (void)puts(map ? text : "none");
    free(map);
    snd_pcm_free_chmaps(maps);
    CHECK(snd_pcm_close(pcm) == 0);
    return 0;
}

/* Signals are for the program's own threads. */
static int
test_threads(const char *device)
{
    snd_pcm_t *const pcm = open_pcm(device, SND_PCM_STREAM_PLAYBACK);
    CHECK(snd_pcm_writei(pcm, silence, BUFFER_FRAMES) == BUFFER_FRAMES);
    DIR *const directory = opendir("/proc/self/task");
    CHECK(directory);
    size_t others = 0;
    for (const struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid())
            continue;
        char path[512], line[256];
        (void)snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        FILE *const file = fopen(path, "r");
        CHECK(file);
        unsigned long long blocked = 0;
        while (fgets(line, sizeof line, file))
            if (strncmp(line, "SigBlk:", 7) == 0)
                blocked = strtoull(line + 7, NULL, 16);
        (void)fclose(file);
        /* All but SIGKILL and SIGSTOP, which nobody blocks, and the two that libc keeps for itself. */
        CHECK((blocked | 1ull << 8 | 1ull << 18 | 3ull << 31) == ~0ull);
        others++;
    }
    (void)closedir(directory);
    CHECK(others > 0);
    CHECK(snd_pcm_close(pcm) == 0);
    return 0;
}

int
main(int count, char **arguments)
{
    static const struct {
        const char *name;
        int (*run)(const char *device);
    } tests[] = {
        {"fork", test_fork},
        {"unload", test_unload},
        {"until-gone", test_until_gone},
        {"threads", test_threads},
        {"map", test_map},
        {"hold", hold},
    };
    for (size_t i = 0; count == 3 && i < sizeof tests / sizeof tests[0]; i++)
        if (strcmp(arguments[1], tests[i].name) == 0)
            return tests[i].run(arguments[2]);
    (void)fprintf(stderr, "usage: probe fork|unload|until-gone|threads|map|hold DEVICE\n");
    return 2;
}
