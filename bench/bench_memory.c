// SPDX-License-Identifier: MIT
// Measures memory: what a declared stereo device costs while nobody uses it, what a stereo client costs that plays and
// records, and how large a driver process is while its IO runs.
//
// Shared memory is counted by file: each memfd, and each file in memory, that a process of ours has mapped or open, once,
// however many processes have it.  A device is told from nothing as the difference that eight more of them make, each
// of which was used once, so that all it ever gets is there; a client likewise, by four more.  Nothing here depends on
// time: there is no control.
//
// Limits: 256 KiB, 256 KiB, 8 MB.

#include "bench.h"
#include "machine.h"
#include "roles.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { DEVICES = 8, CLIENTS = 4, MOST_FILES = 4096 };

#define DEVICE_LIMIT (256u * 1024u)
#define CLIENT_LIMIT (256u * 1024u)
#define PROCESS_LIMIT (8u * 1024u * 1024u)

/* A file in memory. */
struct file {
    dev_t device;
    ino_t number;
    uint64_t bytes;
};

static struct file files[MOST_FILES];
static size_t file_count;

static void
add_file(dev_t device, ino_t number, uint64_t bytes)
{
    for (size_t i = 0; i < file_count; i++)
        if (files[i].device == device && files[i].number == number) {
            files[i].bytes = bytes > files[i].bytes ? bytes : files[i].bytes;
            return;
        }
    if (file_count == MOST_FILES)
        bench_die("too many files");
    files[file_count++] = (struct file){device, number, bytes};
}

static void
add_open_files(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *const folder = opendir(path);
    const struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        char name[400];
        struct stat status;
        struct statfs fs;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (stat(name, &status) == 0 && S_ISREG(status.st_mode) && statfs(name, &fs) == 0 && fs.f_type == TMPFS_MAGIC)
            add_file(status.st_dev, status.st_ino, (uint64_t)status.st_blocks * 512u);
    }
    if (folder)
        closedir(folder);
}

/* What is mapped has all of its pages: it is touched before it is used. */
static void
add_mapped_files(pid_t pid)
{
    char path[64], line[4600];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *const file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        unsigned long long begin, end, offset, number;
        unsigned major, minor;
        int name = 0;
        if (sscanf(line, "%llx-%llx %*s %llx %x:%x %llu %n", &begin, &end, &offset, &major, &minor, &number, &name) < 6)
            continue;
        if (strncmp(line + name, "/memfd:", 7) != 0 && strncmp(line + name, "/dev/shm/dextral", 16) != 0)
            continue;
        add_file(makedev(major, minor), (ino_t)number, offset + end - begin);
    }
    if (file)
        fclose(file);
}

/* Of the supervisor, its drivers, and the first `children` programs. */
static uint64_t
count_shared_bytes(unsigned children)
{
    static pid_t pids[BENCH_MOST_PIDS];
    const size_t count = bench_machine_pids(pids);
    file_count = 0;
    for (size_t i = 0; i < count + children; i++) {
        const pid_t pid = i < count ? pids[i] : bench_children_pids()[i - count];
        add_open_files(pid);
        add_mapped_files(pid);
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < file_count; i++)
        sum += files[i].bytes;
    return sum;
}

static uint64_t
read_resident_bytes(pid_t pid)
{
    char path[64], line[256];
    unsigned long long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *const file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file) && sscanf(line, "VmRSS: %llu", &kib) != 1)
        ;
    if (file)
        fclose(file);
    return kib * 1024u;
}

/* ---- the machine ---- */

static void
wait_for_drivers(size_t wanted)
{
    static pid_t pids[BENCH_MOST_PIDS];
    const uint64_t end_ns = bench_now_ns() + 30000000000u;
    while (bench_machine_pids(pids) != 1u + wanted) {
        if (bench_now_ns() > end_ns)
            bench_die("the drivers do not end");
        bench_sleep(0.1);
    }
}

static void
make_uid(char uid[32], unsigned device)
{
    snprintf(uid, 32, "memory-%u", device);
}

/* Plays to and records from each of a run of devices for a moment. */
static void
use_devices(unsigned first, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char uid[32];
        make_uid(uid, first + i);
        const char *const arguments[] = {uid, "512", "0", "2", "1", NULL};
        bench_machine_create_cable(uid, 2, 0);
        dx_device_release(bench_machine_device(uid));
        bench_child_start(i, "clients", arguments);
    }
    bench_children_wait(count);
    bench_sleep(0.5);
}

static uint64_t
measure_idle(void)
{
    use_devices(0, 1); // what there is once for all of them
    bench_children_end();
    wait_for_drivers(0);
    const uint64_t before = count_shared_bytes(0);
    use_devices(1, DEVICES);
    bench_children_end();
    wait_for_drivers(0);
    return (count_shared_bytes(0) - before) / DEVICES;
}

struct sizes {
    uint64_t idle;     // of a device that nobody uses
    uint64_t used;     // of one whose IO runs, its clients' lanes apart
    uint64_t client;
    uint64_t resident; // of a driver process
};

static void
measure_use(struct sizes *sizes)
{
    static const char *const one[] = {"memory-0", "512", "0", "2", "1", NULL};
    const uint64_t idle = count_shared_bytes(0);
    uint64_t first = 0; // with one client
    for (unsigned i = 0; i < 1 + CLIENTS; i++) {
        if (i == 1)
            first = count_shared_bytes(1);
        bench_child_start(i, "clients", one);
        bench_children_wait(i + 1);
    }
    bench_sleep(0.5);
    sizes->client = (count_shared_bytes(1 + CLIENTS) - first) / CLIENTS;
    sizes->used = first - idle - sizes->client + sizes->idle;

    static pid_t pids[BENCH_MOST_PIDS];
    const size_t count = bench_machine_pids(pids);
    for (size_t i = 1; i < count; i++) {
        const uint64_t resident = read_resident_bytes(pids[i]);
        sizes->resident = resident > sizes->resident ? resident : sizes->resident;
    }
    bench_children_end();
}

static void
judge(const struct bench_options *options, const char *separator, const char *limit, uint64_t bytes, uint64_t most)
{
    char figure[64];
    snprintf(figure, sizeof figure, "%.0f KiB", (double)bytes / 1024.0);
    bench_print_verdict(options, separator, limit, figure, bench_judge(bytes && bytes <= most, false));
}

int
main(int argc, char **argv)
{
    static const struct bench_role roles[] = {BENCH_ROLES};
    bench_run_child(argc, argv, roles, sizeof roles / sizeof roles[0]);
    const struct bench_options options = bench_options(argc, argv, 20.0); // which it takes, whatever is asked for
    bench_print_machine(&options, "memory");
    bench_machine_start();
    struct sizes sizes = {.idle = measure_idle()};
    measure_use(&sizes);
    bench_machine_stop();
    printf(options.json ? ", \"idle_device_bytes\": %llu, \"used_device_bytes\": %llu, \"client_bytes\": %llu, "
                          "\"resident_bytes\": %llu, \"verdicts\": ["
                        : "\nshared: idle device %llu bytes, in use %llu, client %llu; driver process %llu resident\n\n",
           (unsigned long long)sizes.idle, (unsigned long long)sizes.used, (unsigned long long)sizes.client,
           (unsigned long long)sizes.resident);
    judge(&options, "", "shared memory of an idle stereo device is at most 256 KiB", sizes.idle, DEVICE_LIMIT);
    judge(&options, ",", "shared memory of a stereo client is at most 256 KiB", sizes.client, CLIENT_LIMIT);
    judge(&options, ",", "a driver process whose IO runs has at most 8 MB resident", sizes.resident, PROCESS_LIMIT);
    if (options.json)
        printf("\n]}\n");
    return bench_exit_status();
}
