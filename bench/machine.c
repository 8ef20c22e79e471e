// SPDX-License-Identifier: MIT
// A machine to measure.

#include "machine.h"

#include "bench.h"
#include "host/wire.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RATE_HZ 48000u

static struct {
    char folder[64]; // runtime, config, state and drivers are in it
    pid_t supervisor; // 0: none
    dx_directory *directory;
} machine;

void
bench_sleep(double seconds)
{
    dx_clock_sleep_until(dx_clock_host(), bench_now_ns() + (uint64_t)(seconds * 1e9));
}

char *
bench_build_path(const char *name)
{
    char self[4096];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0)
        bench_die("no /proc");
    self[length] = '\0';
    for (int up = 0; up < 2; up++) { // BUILD/bench/bench_...
        char *const slash = strrchr(self, '/');
        if (slash)
            *slash = '\0';
    }
    char *path = NULL;
    if (asprintf(&path, "%s/%s", self, name) < 0)
        bench_die("out of memory");
    return path;
}

/* ---- begin and end ---- */

static void
make_folders(void)
{
    static const char *const folders[][2] = {
        {"DEXTRAL_RUNTIME_DIR", "run"},
        {"DEXTRAL_CONFIG_DIR", "config"},
        {"DEXTRAL_STATE_DIR", "state"},
        {"DEXTRAL_DRIVER_PATH", "drivers"},
    };
    /* On a memory file system, as the runtime folder of a user is: recordings are there. */
    snprintf(machine.folder, sizeof machine.folder, "/dev/shm/dextral-bench-XXXXXX");
    if (!mkdtemp(machine.folder)) {
        snprintf(machine.folder, sizeof machine.folder, "/tmp/dextral-bench-XXXXXX");
        if (!mkdtemp(machine.folder))
            bench_die("no temporary folder");
    }
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", machine.folder, folders[i][1]);
        if (mkdir(path, 0700) != 0)
            bench_die("no temporary folder");
        setenv(folders[i][0], path, 1);
    }
    char *const driver = bench_build_path("host/driver/dextral-driver");
    char *const kinds = bench_build_path("examples");
    setenv("DEXTRAL_DRIVER_PROGRAM", driver, 1);
    setenv("DEXTRAL_KINDS_DIR", kinds, 1);
    free(driver);
    free(kinds);
}

/* What it says is seen where something goes wrong with it. */
static void
run_supervisor(void)
{
    char *const program = bench_build_path("host/supervisor/dextrald");
    char log[128];
    snprintf(log, sizeof log, "%s/log", machine.folder);
    const int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    (void)dup2(fd, STDERR_FILENO);
    (void)dup2(fd, STDOUT_FILENO);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    (void)execl(program, "dextrald", (char *)NULL);
    _exit(127);
}

static void
show_log(void)
{
    char log[128], line[512];
    snprintf(log, sizeof log, "%s/log", machine.folder);
    FILE *const file = fopen(log, "re");
    while (file && fgets(line, sizeof line, file))
        fputs(line, stderr);
    if (file)
        fclose(file);
}

void
bench_machine_start(void)
{
    static bool ends_with_program;
    if (!ends_with_program)
        atexit(bench_machine_stop);
    ends_with_program = true;
    make_folders();
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    machine.supervisor = fork();
    if (machine.supervisor == 0)
        run_supervisor();
    if (machine.supervisor < 0)
        bench_die("no process for the supervisor");
    const uint64_t end_ns = bench_now_ns() + 10000000000u;
    dx_error error;
    while (dx_directory_open(NULL, &machine.directory, &error) != kIOReturnSuccess) {
        if (bench_now_ns() > end_ns) {
            show_log();
            fprintf(stderr, "%s\n", error.message);
            bench_die("the supervisor does not answer");
        }
        bench_sleep(0.02);
    }
}

void
bench_machine_stop(void)
{
    if (!machine.folder[0])
        return;
    dx_directory_close(machine.directory);
    machine.directory = NULL;
    pid_t drivers[BENCH_MOST_PIDS];
    const size_t count = bench_machine_pids(drivers);
    if (machine.supervisor > 0) {
        kill(machine.supervisor, SIGTERM);
        waitpid(machine.supervisor, NULL, 0);
    }
    machine.supervisor = 0;
    /* Its drivers would go on for a while: they are this program's children now. */
    for (size_t i = 1; i < count; i++)
        if (waitpid(drivers[i], NULL, WNOHANG) == 0) {
            kill(drivers[i], SIGKILL);
            waitpid(drivers[i], NULL, 0);
        }
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", machine.folder);
    if (system(command) != 0)
        fprintf(stderr, "bench: %s is left\n", machine.folder);
    machine.folder[0] = '\0';
}

dx_directory *
bench_machine_directory(void)
{
    return machine.directory;
}

/* ---- devices ---- */

static void
set_text(OSDictionary *body, const char *key, const char *text)
{
    OSString *const string = OSStringCreate(text);
    if (!dx_wire_take(body, key, string))
        bench_die("out of memory");
}

void
bench_machine_create_cable(const char *uid, uint32_t channels, uint32_t ring_frames)
{
    OSDictionary *const arguments = OSDictionaryCreate(2);
    OSDictionary *const options = OSDictionaryCreate(5);
    if (!arguments || !options)
        bench_die("out of memory");
    set_text(arguments, "kind", "cable");
    set_text(options, "name", uid);
    set_text(options, "uid", uid);
    OSDictionarySetUInt64Value(options, "channels", channels);
    OSDictionarySetUInt64Value(options, "rate", RATE_HZ);
    if (ring_frames)
        OSDictionarySetUInt64Value(options, "ring", ring_frames);
    if (!dx_wire_take(arguments, "options", options))
        bench_die("out of memory");
    dx_error error = {{0}};
    if (dx_directory_request(machine.directory, "create", arguments, NULL, &error) != kIOReturnSuccess) {
        fprintf(stderr, "%s\n", error.message);
        bench_die("the cable was not made");
    }
    OSObjectRelease(arguments);
}

dx_device *
bench_machine_device(const char *uid)
{
    const uint64_t end_ns = bench_now_ns() + 10000000000u;
    for (;;) {
        dx_device *const device = dx_directory_copy_device(machine.directory, uid);
        if (device)
            return device;
        if (bench_now_ns() > end_ns)
            bench_die("the device is not there");
        bench_sleep(0.002); // it is being told of
    }
}

/* Without it, what is known of devices is what it told last. */
static void
check_supervisor(void)
{
    if (machine.supervisor <= 0 || waitpid(machine.supervisor, NULL, WNOHANG) == 0)
        return;
    machine.supervisor = 0;
    show_log();
    bench_die("the supervisor has ended");
}

uint64_t
bench_machine_number(dx_device *device, const char *key)
{
    check_supervisor();
    OSDictionary *const description = dx_directory_copy_description(machine.directory, device);
    const uint64_t number = description ? dx_wire_get_number(description, key, 0) : 0;
    OSObjectRelease(description);
    return number;
}

/* ---- processes ---- */

/* The parent of a process; 0 where it has gone. */
static pid_t
find_parent(const char *pid)
{
    char path[64], line[512] = "";
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    FILE *const file = fopen(path, "re");
    if (!file)
        return 0;
    const bool has_line = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    const char *const after = has_line ? strrchr(line, ')') : NULL; // its name may hold anything
    int parent = 0;
    return after && sscanf(after, ") %*c %d", &parent) == 1 ? parent : 0;
}

size_t
bench_machine_pids(pid_t pids[BENCH_MOST_PIDS])
{
    size_t count = 0;
    if (machine.supervisor <= 0)
        return 0;
    pids[count++] = machine.supervisor;
    DIR *const folder = opendir("/proc");
    const struct dirent *entry;
    while (folder && (entry = readdir(folder)) && count < BENCH_MOST_PIDS)
        if (isdigit((unsigned char)entry->d_name[0]) && find_parent(entry->d_name) == machine.supervisor)
            pids[count++] = (pid_t)atoi(entry->d_name);
    if (folder)
        closedir(folder);
    return count;
}

uint64_t
bench_cpu_ns(const pid_t *pids, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        clockid_t clock;
        struct timespec time;
        if (clock_getcpuclockid(pids[i], &clock) != 0 || clock_gettime(clock, &time) != 0)
            bench_die("a process that is measured has gone");
        sum += (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
    }
    return sum;
}

uint64_t
bench_busy_ns(void)
{
    unsigned long long user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0;
    FILE *const file = fopen("/proc/stat", "re");
    if (!file || fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &wait, &irq,
                        &softirq) != 7)
        bench_die("no /proc/stat");
    fclose(file);
    return (user + nice + system + irq + softirq) * (1000000000u / (unsigned long long)sysconf(_SC_CLK_TCK));
}
