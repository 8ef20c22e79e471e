// SPDX-License-Identifier: MIT
// Closing a driver's process: limits, capabilities, Landlock.

#include "host/sandbox.h"

#include "host/sandbox_calls.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- limits ---- */

/*
 * Of CPU time that a real-time thread takes without once going to sleep.  A cycle is over within its own length,
 * 43 ms for 2048 frames at 48 kHz, and one that makes up for a gap of 100 ms takes a part of those.  A thread that
 * runs for five times as long is caught in a loop; on a machine with one CPU nothing else would ever run again.
 * SIGXCPU ends the process and tells the supervisor why; SIGKILL comes where the driver has had SIGXCPU ignored.
 */
#define REALTIME_US 200000u
#define REALTIME_HARD_US 1000000u

/* 1024 sessions at most, each with a lane; the rest are a driver's own. */
#define DESCRIPTORS 4096u

/* Private memory: a leak ends in the driver's own ENOMEM before the machine has none left.  Shared memory does not
 * count: lanes belong to their programs.  RLIMIT_NPROC is not for this: it counts all that the user runs. */
#define PRIVATE_BYTES ((rlim_t)4 << 30)

/* Never above what is there. */
static bool
limit(int resource, rlim_t soft, rlim_t hard)
{
    struct rlimit found;
    if (getrlimit(resource, &found) != 0)
        return false;
    const struct rlimit wanted = {
        .rlim_cur = soft < found.rlim_max ? soft : found.rlim_max,
        .rlim_max = hard < found.rlim_max ? hard : found.rlim_max,
    };
    return setrlimit(resource, &wanted) == 0;
}

uint32_t
dx_sandbox_limit(void)
{
    bool holds = limit(RLIMIT_RTTIME, REALTIME_US, REALTIME_HARD_US);
    holds &= limit(RLIMIT_NOFILE, DESCRIPTORS, DESCRIPTORS);
    holds &= limit(RLIMIT_CORE, 0, 0);
    if (!DX_SANDBOX_SANITIZED) // whose shadow is private memory
        holds &= limit(RLIMIT_DATA, PRIVATE_BYTES, PRIVATE_BYTES);
    return holds ? 1u << DX_SANDBOX_LIMITS : 0;
}

/* ---- privileges ---- */

/* For root alone there is something to give up.  Locked memory stays: without it the IO thread faults. */
static bool
drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {{0}};
    if (syscall(SYS_capget, &head, sets) != 0)
        return false;
    const uint32_t kept =
        DX_SANDBOX_SANITIZED ? CAP_TO_MASK(CAP_IPC_LOCK) | CAP_TO_MASK(CAP_SYS_PTRACE) : CAP_TO_MASK(CAP_IPC_LOCK);
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        sets[i].permitted &= i == 0 ? kept : 0;
        sets[i].effective = sets[i].permitted;
        sets[i].inheritable = 0;
    }
    return syscall(SYS_capset, &head, sets) == 0;
}

/* ---- files and what else Landlock knows ---- */

/* Newer than the headers of the oldest system that this is built on; the numbers are the kernel's for good. */
#ifndef SYS_landlock_create_ruleset
#    define SYS_landlock_create_ruleset 444
#    define SYS_landlock_add_rule 445
#    define SYS_landlock_restrict_self 446
#endif
#define RULESET_VERSION (1u << 0)
#define RULE_PATH_BENEATH 1

enum {
    FS_EXECUTE = 1u << 0,
    FS_WRITE_FILE = 1u << 1,
    FS_READ_FILE = 1u << 2,
    FS_READ_DIR = 1u << 3,
    FS_MAKE_REG = 1u << 8,
    FS_TRUNCATE = 1u << 14,
    FS_RESOLVE_UNIX = 1u << 16,
};

struct ruleset {
    uint64_t files;
    uint64_t network;
    uint64_t scopes;
};

struct path_beneath {
    uint64_t rights;
    int32_t parent;
} __attribute__((packed));

/* What each version of Landlock can close, all of what those before it can besides. */
static const struct {
    int version;
    struct ruleset adds;
} abilities[] = {
    {1, {.files = (1u << 13) - 1u}},
    {2, {.files = 1u << 13}},            // linking and renaming across folders
    {3, {.files = FS_TRUNCATE}},         // cutting files
    {4, {.network = 1u << 0 | 1u << 1}}, // binding and connecting TCP sockets
    {5, {.files = 1u << 15}},            // ioctl() of devices
    {6, {.scopes = 1u << 0 | 1u << 1}},  // abstract sockets, signals
    {9, {.files = FS_RESOLVE_UNIX}},     // connecting to sockets by their path
};

static const char *const readable[] = {
    /* libraries and what belongs to them */
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/localtime",
    /* about the process and the machine, as C libraries ask */
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/dev/null",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
};

static const char *const readable_with_network[] = {
    /* folders, where what resolv.conf leads to is replaced while the driver runs */
    "/etc/gai.conf", "/etc/host.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/protocols", "/etc/resolv.conf",
    "/etc/services", "/etc/ssl/certs", "/etc/ca-certificates", "/run/NetworkManager", "/run/resolvconf",
    "/run/systemd/resolve", "/sys/class/net",
};

/* A path that is not there needs no rule.  What is no folder has no entries to be read. */
static bool
allow_beneath(int ruleset, const char *path, uint64_t rights)
{
    const int fd = path ? open(path, O_PATH | O_CLOEXEC) : -1;
    if (fd < 0)
        return true;
    struct stat info;
    if (fstat(fd, &info) == 0 && !S_ISDIR(info.st_mode))
        rights &= (uint64_t)(FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_RESOLVE_UNIX);
    const struct path_beneath rule = {.rights = rights, .parent = fd};
    const bool done = !rights || syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) == 0;
    (void)close(fd);
    return done;
}

/* Where a sanitizer was told to write what it finds. */
static bool
allow_reports(int ruleset, uint64_t handled)
{
    static const char *const variables[] = {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS",
                                            "RTSAN_OPTIONS"};
    bool done = true;
    for (size_t i = 0; DX_SANDBOX_SANITIZED && i < sizeof variables / sizeof *variables; i++) {
        const char *const options = getenv(variables[i]);
        const char *const found = options ? strstr(options, "log_path=") : NULL;
        if (!found)
            continue;
        const char *const start = found + strlen("log_path=") + (found[strlen("log_path=")] == '\'');
        char folder[4096];
        (void)snprintf(folder, sizeof folder, "%.*s", (int)strcspn(start, "':"), start);
        char *const slash = strrchr(folder, '/');
        if (slash)
            *slash = '\0';
        done &=
            allow_beneath(ruleset, folder, handled & (FS_WRITE_FILE | FS_READ_FILE | FS_MAKE_REG | FS_TRUNCATE));
    }
    return done;
}

static bool
allow_files(int ruleset, uint64_t handled, const struct dx_sandbox_config *config)
{
    /* A sanitizer runs a program that knows the names of functions. */
    const uint64_t read = FS_READ_FILE | FS_READ_DIR | (DX_SANDBOX_SANITIZED ? FS_EXECUTE : 0);
    bool done = allow_beneath(ruleset, config->bundle, read) && allow_beneath(ruleset, config->library, read) &&
                allow_beneath(ruleset, config->socket_folder, handled & FS_RESOLVE_UNIX) &&
                allow_reports(ruleset, handled);
    for (size_t i = 0; done && i < sizeof readable / sizeof *readable; i++)
        done = allow_beneath(ruleset, readable[i], read);
    for (size_t i = 0; done && config->network && i < sizeof readable_with_network / sizeof *readable_with_network;
         i++)
        done = allow_beneath(ruleset, readable_with_network[i], read);
    return done;
}

/* The bits of DX_SANDBOX_... that hold. */
static uint32_t
close_with_landlock(const struct dx_sandbox_config *config)
{
    const long version = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, RULESET_VERSION);
    struct ruleset handled = {0};
    for (size_t i = 0; i < sizeof abilities / sizeof *abilities && abilities[i].version <= version; i++) {
        handled.files |= abilities[i].adds.files;
        handled.network |= config->network ? 0 : abilities[i].adds.network;
        handled.scopes |= abilities[i].adds.scopes;
    }
    /* An older kernel takes the fields that it does not know when they are zero. */
    const int ruleset =
        handled.files ? (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0) : -1;
    if (ruleset < 0)
        return 0;
    const bool holds =
        allow_files(ruleset, handled.files, config) && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    (void)close(ruleset);
    if (!holds)
        return 0;
    return 1u << DX_SANDBOX_FILES | (handled.network ? 1u << DX_SANDBOX_NETWORK : 0) |
           (handled.scopes ? 1u << DX_SANDBOX_PROCESSES : 0);
}

/* ---- all of it ---- */

uint32_t
dx_sandbox_close(const struct dx_sandbox_config *config)
{
    uint32_t holds = 0;
    /* A sanitizer traces its own process when it looks for leaks. */
    if (DX_SANDBOX_SANITIZED || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
        holds |= 1u << DX_SANDBOX_TRACING;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && drop_capabilities())
        holds |= 1u << DX_SANDBOX_PRIVILEGES;
    holds |= close_with_landlock(config);
    /* The last one: it refuses what the others are made with.  No socket, no connection: it closes the network
     * too, and without a process to be found, and signals to itself alone, those of others. */
    if (dx_sandbox_close_calls(config->network, config->usb))
        holds |= 1u << DX_SANDBOX_CALLS | (config->network ? 0 : 1u << DX_SANDBOX_NETWORK);
    return holds;
}

const char *
dx_sandbox_part_name(enum dx_sandbox_part part)
{
    static const char *const names[DX_SANDBOX_PARTS] = {
        [DX_SANDBOX_LIMITS] = "limits",      [DX_SANDBOX_PRIVILEGES] = "privileges",
        [DX_SANDBOX_TRACING] = "tracing",    [DX_SANDBOX_FILES] = "files",
        [DX_SANDBOX_NETWORK] = "network",    [DX_SANDBOX_PROCESSES] = "processes",
        [DX_SANDBOX_CALLS] = "system calls",
    };
    return (unsigned)part < DX_SANDBOX_PARTS ? names[part] : "";
}
