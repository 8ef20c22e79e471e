// SPDX-License-Identifier: MIT
// The system calls that are left to a driver's process, as a seccomp filter.

#include "host/sandbox_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <linux/usbdevice_fs.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#    define PR_SET_VMA 0x53564d41
#endif

/*
 * A list of what may be called, because nobody knows what the next kernel brings.  What is not on it is EPERM, as
 * for somebody without the right, so that a library that tries something goes on without it; nothing is killed.
 * Where an argument lies in memory, which a filter does not see, the call is ENOSYS: C libraries then take the one
 * before.
 *
 * Arguments are compared with what is allowed, never with what is not: a value that the kernel would read in
 * another way than the filter is refused.
 */

static const char *const allowed[] = {
    /* memory */
    "brk", "madvise", "membarrier", "memfd_create", "mincore", "mlock", "mlock2", "mlockall", "mmap", "mmap2",
    "mprotect", "mremap", "msync", "munlock", "munlockall", "munmap", "pkey_alloc", "pkey_free", "pkey_mprotect",
    /* descriptors; what can be opened is further below, and in the files' part */
    "close", "close_range", "dup", "dup2", "dup3", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait",
    "epoll_pwait2", "epoll_wait", "eventfd", "eventfd2", "fadvise64", "fadvise64_64", "fallocate", "fdatasync",
    "fstat", "fstat64", "fstatfs", "fstatfs64", "fsync", "ftruncate", "ftruncate64", "getdents", "getdents64",
    "lseek", "_llseek", "pipe", "pipe2", "poll", "ppoll", "ppoll_time64", "pread64", "preadv", "preadv2",
    "pselect6", "pselect6_time64", "pwrite64", "pwritev", "pwritev2", "read", "readv", "select", "_newselect",
    "sendfile", "sendfile64", "signalfd", "signalfd4", "timerfd_create", "timerfd_gettime", "timerfd_gettime64",
    "timerfd_settime", "timerfd_settime64", "write", "writev",
    /* names */
    "access", "faccessat", "faccessat2", "fstatat64", "getcwd", "lstat", "lstat64", "newfstatat", "readlink",
    "readlinkat", "stat", "stat64", "statfs", "statfs64", "statx",
    /* sockets that are there; how one comes by them is further below */
    "connect", "getpeername", "getsockname", "getsockopt", "recv", "recvfrom", "recvmmsg", "recvmmsg_time64",
    "recvmsg", "send", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown",
    /* threads and time */
    "alarm", "clock_getres", "clock_getres_time64", "clock_gettime", "clock_gettime64", "clock_nanosleep",
    "clock_nanosleep_time64", "exit", "exit_group", "futex", "futex_time64", "futex_waitv", "get_robust_list",
    "getcpu", "getitimer", "getpriority", "gettimeofday", "nanosleep", "pause", "restart_syscall", "rseq",
    "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam",
    "sched_getscheduler", "sched_rr_get_interval", "sched_rr_get_interval_time64", "sched_yield",
    "set_robust_list", "set_tid_address", "setitimer", "time", "timer_create", "timer_delete",
    "timer_getoverrun", "timer_gettime", "timer_gettime64", "timer_settime", "timer_settime64", "times",
    /* signals within the process */
    "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait",
    "rt_sigtimedwait_time64", "sigaction", "sigaltstack", "sigpending", "sigprocmask", "sigreturn", "sigsuspend",
    /* facts */
    "capget", "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32", "getgroups", "getgroups32",
    "getpgrp", "getpid", "getppid", "getrandom", "getresgid", "getresgid32", "getresuid", "getresuid32",
    "getrlimit", "getrusage", "gettid", "getuid", "getuid32", "sysinfo", "ugetrlimit", "umask", "uname",
    /* of one machine */
    "arch_prctl", "arm_fadvise64_64", "cacheflush", "get_thread_area", "get_tls", "riscv_flush_icache",
    "riscv_hwprobe", "set_thread_area", "set_tls",
};

static const char *const of_the_network[] = {"accept", "accept4", "bind", "listen"};

/* Their arguments lie in memory; each has one before it. */
static const char *const not_there[] = {"clone3", "openat2"};

static const char *const of_sanitizers[] = {
    "clone", "execve", "fork", "kill", "mkdir", "mkdirat", "open", "openat", "personality", "prctl", "prlimit64",
    "process_vm_readv", "ptrace", "sched_setaffinity", "setrlimit", "tgkill", "tkill", "unlink", "unlinkat",
    "vfork", "wait4",
};

/* Calls that came after the libraries of today were written. */
#define FIRST_UNKNOWN_CALL 451
#define LAST_UNKNOWN_CALL 600

struct filter {
    scmp_filter_ctx context;
    bool failed;
};

/* An argument, by its place, is a value. */
static struct scmp_arg_cmp
equals(unsigned argument, uint64_t value)
{
    return (struct scmp_arg_cmp){.arg = argument, .op = SCMP_CMP_EQ, .datum_a = value};
}

/* Some of its bits are. */
static struct scmp_arg_cmp
masked(unsigned argument, uint64_t mask, uint64_t value)
{
    return (struct scmp_arg_cmp){.arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}

static void
add(struct filter *filter, uint32_t action, const char *name, const struct scmp_arg_cmp *arguments, unsigned count)
{
    const int number = seccomp_syscall_resolve_name(name);
    /* A name that this version of the library does not know is not called either. */
    if (number != __NR_SCMP_ERROR)
        filter->failed |= seccomp_rule_add_array(filter->context, action, number, count, arguments) < 0;
}

static void
allow(struct filter *filter, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add(filter, SCMP_ACT_ALLOW, names[i], NULL, 0);
}

static void
allow_value(struct filter *filter, const char *name, unsigned argument, uint64_t value)
{
    const struct scmp_arg_cmp comparison = equals(argument, value);
    add(filter, SCMP_ACT_ALLOW, name, &comparison, 1);
}

static void
allow_values(struct filter *filter, const char *name, unsigned argument, const uint64_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        allow_value(filter, name, argument, values[i]);
}

static void
allow_bits(struct filter *filter, const char *name, unsigned argument, uint64_t mask, uint64_t value)
{
    const struct scmp_arg_cmp comparison = masked(argument, mask, value);
    add(filter, SCMP_ACT_ALLOW, name, &comparison, 1);
}

/* Threads, and no processes: neither a copy nor a name space of its own. */
static void
allow_threads(struct filter *filter)
{
    const uint64_t spaces =
        CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
    allow_bits(filter, "clone", 0, CLONE_THREAD | spaces, CLONE_THREAD);
}

/* Reading.  Where there is no Landlock it is still only that. */
static void
allow_opening(struct filter *filter)
{
    const uint64_t writing = O_ACCMODE | O_CREAT | O_TRUNC;
    allow_bits(filter, "open", 1, writing, O_RDONLY);
    allow_bits(filter, "openat", 2, writing, O_RDONLY);
}

/* Signals to itself, as abort() sends them; not O_ASYNC either, whose signals go where F_SETOWN says. */
static void
allow_signals(struct filter *filter)
{
    const uint64_t self = (uint64_t)getpid();
    allow_value(filter, "kill", 0, self);
    allow_value(filter, "tgkill", 0, self);
    allow_value(filter, "rt_sigqueueinfo", 0, self);
    allow_value(filter, "rt_tgsigqueueinfo", 0, self);
}

static void
allow_descriptor_commands(struct filter *filter)
{
    static const uint64_t commands[] = {F_DUPFD,         F_GETFD,     F_SETFD,     F_GETFL,
                                        F_DUPFD_CLOEXEC, F_ADD_SEALS, F_GET_SEALS, F_GETPIPE_SZ};
    const size_t count = sizeof commands / sizeof *commands;
    allow_values(filter, "fcntl", 1, commands, count);
    allow_values(filter, "fcntl64", 1, commands, count);
    const struct scmp_arg_cmp flags[] = {equals(1, F_SETFL), masked(2, O_ASYNC, 0)};
    add(filter, SCMP_ACT_ALLOW, "fcntl", flags, 2);
    add(filter, SCMP_ACT_ALLOW, "fcntl64", flags, 2);

    static const uint64_t requests[] = {FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, TCGETS, TIOCGWINSZ};
    allow_values(filter, "ioctl", 1, requests, sizeof requests / sizeof *requests);
}

/* About the calling thread alone: 0, or in so many words. */
static void
allow_thread_settings(struct filter *filter)
{
    allow_value(filter, "sched_setscheduler", 0, 0);
    allow_value(filter, "sched_setparam", 0, 0);
    allow_value(filter, "sched_setattr", 0, 0);
    allow_value(filter, "sched_setaffinity", 0, 0);
    const struct scmp_arg_cmp own[] = {equals(0, 0), equals(1, 0)};
    add(filter, SCMP_ACT_ALLOW, "setpriority", own, 2); // PRIO_PROCESS

    static const uint64_t options[] = {PR_SET_NAME,       PR_GET_NAME,     PR_SET_TIMERSLACK,
                                       PR_GET_TIMERSLACK, PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS,
                                       PR_GET_SECCOMP,    PR_CAPBSET_READ, PR_SET_VMA};
    allow_values(filter, "prctl", 0, options, sizeof options / sizeof *options);
    const struct scmp_arg_cmp reading[] = {equals(0, 0), equals(2, 0)};
    add(filter, SCMP_ACT_ALLOW, "prlimit64", reading, 2);
}

static void
allow_socket(struct filter *filter, int domain, uint64_t type)
{
    /* The rest of the type is SOCK_CLOEXEC and SOCK_NONBLOCK. */
    const struct scmp_arg_cmp arguments[] = {equals(0, (uint64_t)domain), masked(1, 0xf, type)};
    add(filter, SCMP_ACT_ALLOW, "socket", arguments, 2);
}

/*
 * The supervisor's socket is SOCK_SEQPACKET; those of the desktop's services, by which one could leave the
 * sandbox, are streams or datagrams, and connect() refuses another type (EPROTOTYPE).  A pair of datagram sockets
 * could be connected elsewhere.
 */
static void
allow_sockets(struct filter *filter, bool network)
{
    allow_socket(filter, AF_UNIX, SOCK_SEQPACKET);
    static const uint64_t pairs[] = {SOCK_STREAM, SOCK_SEQPACKET};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const struct scmp_arg_cmp arguments[] = {equals(0, AF_UNIX), masked(1, 0xf, pairs[i])};
        add(filter, SCMP_ACT_ALLOW, "socketpair", arguments, 2);
    }
    if (!network)
        return;
    static const int domains[] = {AF_INET, AF_INET6};
    for (size_t i = 0; i < sizeof domains / sizeof *domains; i++) {
        allow_socket(filter, domains[i], SOCK_STREAM);
        allow_socket(filter, domains[i], SOCK_DGRAM);
    }
    /* Which interfaces and addresses there are. */
    const struct scmp_arg_cmp route[] = {equals(0, AF_NETLINK), equals(2, NETLINK_ROUTE)};
    add(filter, SCMP_ACT_ALLOW, "socket", route, 2);
    static const uint64_t requests[] = {SIOCGIFNAME, SIOCGIFCONF,   SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFBRDADDR,
                                        SIOCGIFMTU,  SIOCGIFHWADDR, SIOCGIFINDEX, SIOCETHTOOL, SIOCGSTAMP};
    allow_values(filter, "ioctl", 1, requests, sizeof requests / sizeof *requests);
    allow(filter, of_the_network, sizeof of_the_network / sizeof *of_the_network);
}

/* Of usbfs, on a descriptor that the supervisor opened: transfers, interfaces, configurations.  Nothing that needs a
 * node to be opened; the numbers are compared as a whole, as other devices have requests of the same letter. */
static void
allow_usb(struct filter *filter)
{
    static const uint64_t requests[] = {
        USBDEVFS_CONTROL,      USBDEVFS_BULK,          USBDEVFS_RESETEP,          USBDEVFS_SETINTERFACE,
        USBDEVFS_SETCONFIGURATION, USBDEVFS_GETDRIVER, USBDEVFS_SUBMITURB,        USBDEVFS_DISCARDURB,
        USBDEVFS_REAPURB,      USBDEVFS_REAPURBNDELAY, USBDEVFS_CLAIMINTERFACE,   USBDEVFS_RELEASEINTERFACE,
        USBDEVFS_CONNECTINFO,  USBDEVFS_IOCTL,         USBDEVFS_RESET,            USBDEVFS_CLEAR_HALT,
        USBDEVFS_GET_CAPABILITIES, USBDEVFS_DISCONNECT_CLAIM, USBDEVFS_DROP_PRIVILEGES, USBDEVFS_GET_SPEED,
    };
    allow_values(filter, "ioctl", 1, requests, sizeof requests / sizeof *requests);
}

static void
fill(struct filter *filter, bool network, bool usb)
{
    allow(filter, allowed, sizeof allowed / sizeof *allowed);
    if (DX_SANDBOX_SANITIZED)
        allow(filter, of_sanitizers, sizeof of_sanitizers / sizeof *of_sanitizers);
    allow_threads(filter);
    allow_opening(filter);
    allow_signals(filter);
    allow_descriptor_commands(filter);
    allow_thread_settings(filter);
    allow_sockets(filter, network);
    if (usb)
        allow_usb(filter);
    for (size_t i = 0; i < sizeof not_there / sizeof *not_there; i++)
        add(filter, SCMP_ACT_ERRNO(ENOSYS), not_there[i], NULL, 0);
    for (int number = FIRST_UNKNOWN_CALL; number <= LAST_UNKNOWN_CALL; number++)
        filter->failed |= seccomp_rule_add_array(filter->context, SCMP_ACT_ERRNO(ENOSYS), number, 0, NULL) < 0;
}

bool
dx_sandbox_close_calls(bool network, bool usb)
{
    struct filter filter = {.context = seccomp_init(SCMP_ACT_ERRNO(EPERM))};
    if (!filter.context)
        return false;
    fill(&filter, network, usb);
    /* Another machine's calls, and x32's: refused, not killed.  A tree, so that no call pays
     * for the length of the list. */
    filter.failed |= seccomp_attr_set(filter.context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS)) < 0;
    filter.failed |= seccomp_attr_set(filter.context, SCMP_FLTATR_CTL_NNP, 0) < 0; // it is set already
    filter.failed |= seccomp_attr_set(filter.context, SCMP_FLTATR_CTL_OPTIMIZE, 2) < 0;
    const bool holds = !filter.failed && seccomp_load(filter.context) == 0;
    seccomp_release(filter.context);
    return holds;
}
