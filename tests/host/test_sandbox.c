// SPDX-License-Identifier: MIT
// The sandbox: each thing is tried twice, in a process that is open and in one that is closed.

#include "host/sandbox.h"
#include "host/sandbox_calls.h"
#include "tests/core/check.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/uinput.h>
#include <linux/usbdevice_fs.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the attempts are made on: made by the parent, which no attempt is allowed to touch. */
static char root[] = "/tmp/dextral-sandbox-XXXXXX";
static char bundle[64], bundle_file[80], private_file[64], runtime[64];
static struct sockaddr_un seqpacket, stream, abstract;
static struct sockaddr_in tcp;
static int listeners[4];
static pid_t parent;

/* Attempts return 0 or an errno, and change nothing but their own process. */

static int
open_and_close(const char *path, int flags)
{
    const int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static int
read_bundle(void)
{
    return open_and_close(bundle_file, O_RDONLY);
}

static int
read_private(void)
{
    return open_and_close(private_file, O_RDONLY);
}

static int
read_passwd(void)
{
    return open_and_close("/etc/passwd", O_RDONLY);
}

static int
read_another_process(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)parent);
    return open_and_close(path, O_RDONLY);
}

static int
read_own_maps(void)
{
    return open_and_close("/proc/self/maps", O_RDONLY);
}

static int
write_private(void)
{
    return open_and_close(private_file, O_WRONLY);
}

static int
write_bundle(void)
{
    return open_and_close(bundle_file, O_RDWR);
}

static int
make_file(void)
{
    char path[96];
    snprintf(path, sizeof path, "%s/new-%d", root, (int)getpid());
    return open_and_close(path, O_WRONLY | O_CREAT);
}

static int
remove_file(void)
{
    char path[96];
    snprintf(path, sizeof path, "%s/new-%d", root, (int)getpid());
    return unlink(path) == 0 || errno == ENOENT ? 0 : errno;
}

static int
load_library(void)
{
    void *const handle = dlopen("libresolv.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return EACCES;
    dlclose(handle);
    return 0;
}

static void *
do_nothing(void *argument)
{
    return argument;
}

static int
start_thread(void)
{
    pthread_t thread;
    const int error = pthread_create(&thread, NULL, do_nothing, NULL);
    if (!error)
        pthread_join(thread, NULL);
    return error;
}

static int
share_memory(void)
{
    const int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, 4096) != 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) != 0)
        return errno;
    void *const address = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return address != MAP_FAILED && mlock(address, 4096) == 0 ? 0 : errno;
}

static int
copy_process(void)
{
    const pid_t pid = fork();
    if (pid < 0)
        return errno;
    if (pid == 0)
        _exit(0);
    return waitpid(pid, NULL, 0) == pid ? 0 : errno;
}

static int
copy_process_by_clone3(void)
{
    struct {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    } arguments = {.exit_signal = SIGCHLD};
    const long pid = syscall(435, &arguments, sizeof arguments);
    if (pid < 0)
        return errno;
    if (pid == 0)
        _exit(0);
    return waitpid((pid_t)pid, NULL, 0) == pid ? 0 : errno;
}

static int
run_program(void)
{
    char program[] = "/bin/true";
    char *arguments[] = {program, NULL};
    execv(program, arguments);
    return errno;
}

static int
make_socket(int domain, int type)
{
    return socket(domain, type | SOCK_CLOEXEC, 0) < 0 ? errno : 0;
}

static int
make_inet_socket(void)
{
    return make_socket(AF_INET, SOCK_STREAM);
}

static int
make_datagram_socket(void)
{
    return make_socket(AF_INET, SOCK_DGRAM);
}

static int
make_unix_stream(void)
{
    return make_socket(AF_UNIX, SOCK_STREAM);
}

static int
make_unix_datagram(void)
{
    return make_socket(AF_UNIX, SOCK_DGRAM);
}

static int
make_datagram_pair(void)
{
    int pair[2];
    return socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0 ? 0 : errno;
}

static int
make_stream_pair(void)
{
    int pair[2];
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0 ? 0 : errno;
}

static int
connect_to(int type, const void *address, socklen_t length)
{
    const int fd = socket(((const struct sockaddr *)address)->sa_family, type | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, address, length) == 0 ? 0 : errno;
}

static int
connect_to_supervisor(void)
{
    return connect_to(SOCK_SEQPACKET, &seqpacket, sizeof seqpacket);
}

static int
connect_to_stream(void)
{
    return connect_to(SOCK_STREAM, &stream, sizeof stream);
}

static int
connect_to_abstract(void)
{
    return connect_to(SOCK_SEQPACKET, &abstract, sizeof abstract);
}

static int
connect_to_tcp(void)
{
    return connect_to(SOCK_STREAM, &tcp, sizeof tcp);
}

static int
signal_parent(void)
{
    return kill(parent, 0) == 0 ? 0 : errno;
}

static int
signal_self(void)
{
    return raise(SIGCHLD) == 0 ? 0 : errno; // ignored by default
}

static int
be_traced(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : errno;
}

static int
read_memory(void)
{
    int from = 1, to = 0;
    const struct iovec local = {&to, sizeof to}, remote = {&from, sizeof from};
    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == sizeof to ? 0 : errno;
}

static int
pin_process(void) // by a number that could be another's
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return errno;
    return sched_setaffinity(getpid(), sizeof set, &set) == 0 ? 0 : errno;
}

static int
pin_self(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return errno;
    return sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : errno;
}

static int
change_limit(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && setrlimit(RLIMIT_NOFILE, &limit) == 0 ? 0 : errno;
}

static int
read_limit(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? 0 : errno;
}

static int
become_dumpable(void)
{
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0 ? 0 : errno;
}

static int
be_dumpable(void)
{
    return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1 ? 0 : EPERM;
}

static int
gain_privileges(void)
{
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 ? 0 : EPERM;
}

static int
own_signals(void) // has O_ASYNC signals sent to another process
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return errno;
    return fcntl(ends[0], F_SETOWN, parent) == 0 ? 0 : errno;
}

/* What of usbfs's requests and of others gets through to a file, which knows none: ENOTTY is 0 here. */
static int
ask_file(unsigned long wanted)
{
    const int fd = open(bundle_file, O_RDONLY | O_CLOEXEC);
    const int error = fd >= 0 && ioctl(fd, wanted, NULL) != 0 ? errno : EIO;
    return error == ENOTTY ? 0 : error;
}

static int
claim_interface(void)
{
    return ask_file(USBDEVFS_CLAIMINTERFACE);
}

static int
submit_transfer(void)
{
    return ask_file(USBDEVFS_SUBMITURB);
}

static int
forge_typing(void)
{
    return ask_file(TIOCSTI);
}

static int
create_input_device(void) // of the same letter as usbfs's
{
    return ask_file(UI_DEV_CREATE);
}

#define PART(name) (1u << DX_SANDBOX_##name)
#define OPEN_TO_SANITIZERS (1u << 31)
#define OPEN_TO_USB (1u << 30) // where a device was handed in
#define ALLOWED 0u

static const struct attempt {
    const char *name;
    int (*try)(void);
    uint32_t closed_by;    // refused where one of these holds; ALLOWED: by none
    uint32_t with_network; // the same where the network was granted
} attempts[] = {
#define SAME(parts) (parts), (parts)
    {"reading the bundle", read_bundle, SAME(ALLOWED)},
    {"loading a system library", load_library, SAME(ALLOWED)},
    {"reading its own /proc/self/maps", read_own_maps, SAME(ALLOWED)},
    {"starting a thread", start_thread, SAME(ALLOWED)},
    {"sharing memory", share_memory, SAME(ALLOWED)},
    {"connecting to the supervisor", connect_to_supervisor, SAME(ALLOWED)},
    {"a pair of streams", make_stream_pair, SAME(ALLOWED)},
    {"a signal to itself", signal_self, SAME(ALLOWED)},
    {"pinning itself", pin_self, SAME(ALLOWED)},
    {"reading a limit", read_limit, SAME(ALLOWED)},
    {"reading a file of the user's", read_private, SAME(PART(FILES))},
    {"reading /etc/passwd", read_passwd, SAME(PART(FILES))},
    {"reading another process's environment", read_another_process, SAME(PART(FILES))},
    {"writing a file of the user's", write_private, SAME(PART(FILES) | PART(CALLS))},
    {"writing into the bundle", write_bundle, SAME(PART(FILES) | PART(CALLS))},
    {"making a file", make_file, SAME(PART(FILES) | PART(CALLS))},
    {"removing a file", remove_file, SAME(PART(CALLS) | OPEN_TO_SANITIZERS)},
    {"a copy of the process", copy_process, SAME(PART(CALLS) | OPEN_TO_SANITIZERS)},
    {"a copy of the process by clone3()", copy_process_by_clone3, SAME(PART(CALLS))},
    {"running a program", run_program, SAME(PART(FILES) | PART(CALLS) | OPEN_TO_SANITIZERS)},
    {"a stream socket", make_unix_stream, SAME(PART(CALLS))},
    {"a datagram socket", make_unix_datagram, SAME(PART(CALLS))},
    {"a pair of datagram sockets", make_datagram_pair, SAME(PART(CALLS))},
    {"connecting to another service", connect_to_stream, SAME(PART(CALLS))},
    {"connecting to an abstract socket", connect_to_abstract, SAME(PART(PROCESSES))},
    {"a TCP socket", make_inet_socket, PART(CALLS), ALLOWED},
    {"a UDP socket", make_datagram_socket, PART(CALLS), ALLOWED},
    {"connecting by TCP", connect_to_tcp, PART(CALLS) | PART(NETWORK), ALLOWED},
    {"a signal to another process", signal_parent, SAME(PART(CALLS) | PART(PROCESSES))},
    {"being traced", be_traced, SAME(PART(CALLS) | OPEN_TO_SANITIZERS)},
    {"reading memory of a process", read_memory, SAME(PART(CALLS) | OPEN_TO_SANITIZERS)},
    {"pinning a process by its number", pin_process, SAME(PART(CALLS) | OPEN_TO_SANITIZERS)},
    {"changing a limit", change_limit, SAME(PART(CALLS) | OPEN_TO_SANITIZERS)},
    {"becoming dumpable", become_dumpable, SAME(PART(CALLS) | OPEN_TO_SANITIZERS)},
    {"being dumpable", be_dumpable, SAME(PART(TRACING) | OPEN_TO_SANITIZERS)},
    {"gaining privileges", gain_privileges, SAME(PART(PRIVILEGES))},
    {"signals to another process by a descriptor", own_signals, SAME(PART(CALLS))},
    {"claiming a USB interface", claim_interface, SAME(PART(CALLS) | OPEN_TO_USB)},
    {"a USB transfer", submit_transfer, SAME(PART(CALLS) | OPEN_TO_USB)},
    {"typing on a terminal", forge_typing, SAME(PART(CALLS))},
    {"making an input device", create_input_device, SAME(PART(CALLS))},
};

enum mode { OPEN, CLOSED, CLOSED_WITH_NETWORK, CLOSED_WITH_USB };

static uint32_t
close_sandbox(enum mode mode)
{
    if (mode == OPEN)
        return 0;
    const struct dx_sandbox_config config = {
        .bundle = bundle,
        .socket_folder = runtime,
        .usb = mode == CLOSED_WITH_USB,
        .network = mode == CLOSED_WITH_NETWORK,
    };
    return dx_sandbox_limit() | dx_sandbox_close(&config);
}

/* What becomes of an attempt in a process of its own; `ret_holds` is what is said to be closed there. */
static int
run_attempt(const struct attempt *attempt, enum mode mode, uint32_t *ret_holds)
{
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    const pid_t pid = fork();
    if (pid == 0) {
        const uint32_t holds = close_sandbox(mode);
        _exit(write(ends[1], &holds, sizeof holds) == sizeof holds ? attempt->try() : 255);
    }
    close(ends[1]);
    CHECK(pid > 0);
    CHECK_EQ(read(ends[0], ret_holds, sizeof *ret_holds), (ssize_t)sizeof *ret_holds);
    close(ends[0]);
    int status = 0;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status))
        fprintf(stderr, "%s: ended by signal %d\n", attempt->name, WTERMSIG(status));
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool
is_refusal(int error)
{
    return error == EPERM || error == EACCES || error == ENOSYS;
}

static void
check_attempt(const struct attempt *attempt, enum mode mode)
{
    uint32_t closed_by = mode == CLOSED_WITH_NETWORK ? attempt->with_network : attempt->closed_by;
    if (mode == OPEN || (mode == CLOSED_WITH_USB && (closed_by & OPEN_TO_USB)) || (DX_SANDBOX_SANITIZED && (closed_by & OPEN_TO_SANITIZERS)))
        closed_by = ALLOWED;
    uint32_t holds = 0;
    const int error = run_attempt(attempt, mode, &holds);
    const bool is_as_said = closed_by & holds ? is_refusal(error) : error == 0;
    if (!is_as_said)
        fprintf(stderr, "%s, in mode %d where 0x%x holds: %s\n", attempt->name, (int)mode, (unsigned)holds,
                strerror(error));
    CHECK(is_as_said);
}

static void
what_is_closed_is_refused_and_the_rest_works(void)
{
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        check_attempt(&attempts[i], OPEN);
        check_attempt(&attempts[i], CLOSED);
        check_attempt(&attempts[i], CLOSED_WITH_NETWORK);
        check_attempt(&attempts[i], CLOSED_WITH_USB);
    }
}

/* By the kernel's own list of what is there, and the build's. */
static void
what_the_kernel_can_close_is_closed(void)
{
    uint32_t expected = PART(LIMITS) | PART(PRIVILEGES) | PART(TRACING);
    const long landlock = syscall(444, NULL, (size_t)0, 1u);
    if (landlock >= 1)
        expected |= PART(FILES);
    if (landlock >= 4)
        expected |= PART(NETWORK);
    if (landlock >= 6)
        expected |= PART(PROCESSES);
#ifdef HAS_SECCOMP
    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0)
        expected |= PART(CALLS) | PART(NETWORK);
#endif
    uint32_t holds = 0;
    CHECK_EQ(run_attempt(&attempts[0], CLOSED, &holds), 0);
    CHECK_EQ(holds, expected);
    CHECK_EQ(run_attempt(&attempts[0], CLOSED_WITH_NETWORK, &holds), 0);
    CHECK_EQ(holds, expected & ~PART(NETWORK));
}

static int
count_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &head, sets) != 0)
        return 255;
    const uint32_t harmless = 1u << CAP_IPC_LOCK | (DX_SANDBOX_SANITIZED ? 1u << CAP_SYS_PTRACE : 0);
    return __builtin_popcount(sets[0].permitted & ~harmless) + __builtin_popcount(sets[1].permitted);
}

static void
no_capability_is_left_but_locking_memory(void)
{
    const struct attempt count = {"counting capabilities", count_capabilities, 0, 0};
    uint32_t holds = 0;
    CHECK_EQ(run_attempt(&count, CLOSED, &holds), 0);
}

static int
check_limits(void)
{
    static const struct {
        int resource;
        rlim_t most;
    } limits[] = {{RLIMIT_CORE, 0}, {RLIMIT_NOFILE, 4096}, {RLIMIT_RTTIME, 1000000}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit found;
        if (getrlimit(limits[i].resource, &found) != 0 || found.rlim_max > limits[i].most ||
            found.rlim_cur > found.rlim_max)
            return (int)i + 1;
    }
    return 0;
}

static void
limits_cannot_be_raised_again(void)
{
    const struct attempt check = {"limits", check_limits, 0, 0};
    uint32_t holds = 0;
    CHECK_EQ(run_attempt(&check, CLOSED, &holds), 0);
}

static void
a_real_time_thread_in_a_loop_ends_its_process(void)
{
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        const struct sched_param parameters = {.sched_priority = 1};
        if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &parameters) != 0)
            _exit(77);
        if (dx_sandbox_limit() == 0)
            _exit(1);
        for (volatile unsigned turn = 0;; turn++)
            ;
    }
    int status = 0;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        fprintf(stderr, "no real-time thread was granted: the limit was not met\n");
        return;
    }
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGXCPU);
}

static struct sockaddr_un
unix_address(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", runtime, name);
    return address;
}

static int
listen_at(int type, const void *address, socklen_t length)
{
    const int fd = socket(((const struct sockaddr *)address)->sa_family, type | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_EQ(bind(fd, address, length), 0);
    CHECK_EQ(listen(fd, 100), 0);
    return fd;
}

static void
set_up(void)
{
    parent = getpid();
    CHECK(mkdtemp(root));
    snprintf(bundle, sizeof bundle, "%s/Test.dext", root);
    snprintf(bundle_file, sizeof bundle_file, "%s/file", bundle);
    snprintf(private_file, sizeof private_file, "%s/private", root);
    snprintf(runtime, sizeof runtime, "%s/runtime", root);
    CHECK_EQ(mkdir(bundle, 0700), 0);
    CHECK_EQ(mkdir(runtime, 0700), 0);
    CHECK_EQ(open_and_close(bundle_file, O_WRONLY | O_CREAT), 0);
    CHECK_EQ(open_and_close(private_file, O_WRONLY | O_CREAT), 0);

    seqpacket = unix_address("socket");
    stream = unix_address("stream");
    abstract = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(abstract.sun_path + 1, sizeof abstract.sun_path - 1, "dextral-test-%d", (int)parent);
    tcp = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    listeners[0] = listen_at(SOCK_SEQPACKET, &seqpacket, sizeof seqpacket);
    listeners[1] = listen_at(SOCK_STREAM, &stream, sizeof stream);
    listeners[2] = listen_at(SOCK_SEQPACKET, &abstract, sizeof abstract);
    listeners[3] = listen_at(SOCK_STREAM, &tcp, sizeof tcp);
    socklen_t length = sizeof tcp;
    CHECK_EQ(getsockname(listeners[3], (struct sockaddr *)&tcp, &length), 0);
}

static void
tear_down(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf -- '%s'", root);
    CHECK_EQ(system(command), 0);
}

int
main(void)
{
    set_up();
    RUN(what_is_closed_is_refused_and_the_rest_works);
    RUN(what_the_kernel_can_close_is_closed);
    RUN(no_capability_is_left_but_locking_memory);
    RUN(limits_cannot_be_raised_again);
    RUN(a_real_time_thread_in_a_loop_ends_its_process);
    tear_down();
    return 0;
}
