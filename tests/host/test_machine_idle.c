// SPDX-License-Identifier: MIT
// What is idle costs nothing: not one context switch in the supervisor, in a driver's process that is loaded and has a
// client that does not play, and in the threads of a program that has both open.
//
// usage: test_machine_idle [SECONDS]

#include "tests/host/supervisor_rig.h"

#include <dextral/dextral.h>
#include <dextral/directory.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define SETTLE_MS 3000u // what is told and written together has been, and what ends by itself has ended

static struct machine machine;

/* Of all threads of a process but one. */
static unsigned long long
count_switches(pid_t process, pid_t without, unsigned *ret_threads)
{
    char path[512];
    char line[256];
    unsigned long long sum = 0;
    (void)snprintf(path, sizeof path, "/proc/%ld/task", (long)process);
    DIR *const tasks = opendir(path);
    CHECK(tasks);
    *ret_threads = 0;
    for (const struct dirent *entry; (entry = readdir(tasks));) {
        if (entry->d_name[0] == '.' || strtol(entry->d_name, NULL, 10) == (long)without)
            continue;
        (void)snprintf(path, sizeof path, "/proc/%ld/task/%s/status", (long)process, entry->d_name);
        FILE *const file = fopen(path, "re");
        CHECK(file);
        while (fgets(line, sizeof line, file)) {
            unsigned long long count = 0;
            if (sscanf(line, "voluntary_ctxt_switches: %llu", &count) == 1 ||
                sscanf(line, "nonvoluntary_ctxt_switches: %llu", &count) == 1)
                sum += count;
        }
        (void)fclose(file);
        ++*ret_threads;
    }
    (void)closedir(tasks);
    return sum;
}

static void
listen_to(void *context, const dx_host_event *event)
{
    (void)context;
    (void)event;
}

static void
write_silence(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    (void)context;
    (void)cycle;
    (void)input;
    (void)output;
}

int
main(int argc, char **argv)
{
    const unsigned seconds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 5;
    const dx_directory_config config = {.listener = listen_to};
    struct caller caller;
    dx_directory *directory = NULL;
    dx_client *client = NULL;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "setup");
    create_cable(&caller, "wire");
    create_cable(&caller, "never-used");
    CHECK_EQ(dx_directory_open(&config, &directory, NULL), kIOReturnSuccess);
    dx_device *const device = dx_directory_copy_device(directory, "wire");
    const dx_client_config playing = {.size = sizeof playing, .callback = write_silence};
    CHECK_EQ(dx_client_open(device, &playing, &client), kIOReturnSuccess);
    wait_state(&caller, "wire", "running");
    CHECK_EQ(dx_client_start(client), kIOReturnSuccess); // its IO has run, and stopped
    sleep_ms(300);
    dx_client_stop(client);

    const pid_t processes[] = {machine.supervisor, (pid_t)describe_number(&caller, "wire", "pid"), getpid()};
    static const char *const names[] = {"the supervisor", "the driver's process", "the program"};
    caller_close(&caller);
    sleep_ms(SETTLE_MS);
    unsigned long long before[3];
    unsigned threads[3];
    for (size_t i = 0; i < 3; i++)
        before[i] = count_switches(processes[i], i == 2 ? getpid() : 0, &threads[i]);
    sleep_ms(seconds * 1000);
    bool is_idle = true;
    for (size_t i = 0; i < 3; i++) {
        unsigned now;
        const unsigned long long switches = count_switches(processes[i], i == 2 ? getpid() : 0, &now) - before[i];
        (void)fprintf(stderr, "%s: %llu context switches of %u threads in %u s\n", names[i], switches, now, seconds);
        CHECK_EQ(now, threads[i]);
        is_idle &= switches == 0;
    }
    CHECK(threads[0] >= 1 && threads[1] >= 4 && threads[2] >= 1);
    CHECK(is_idle);
    dx_client_close(client);
    dx_device_release(device);
    dx_directory_close(directory);
    machine_destroy(&machine);
    return 0;
}
