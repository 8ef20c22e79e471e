// SPDX-License-Identifier: MIT
// Processes that a bench starts.

#include "child.h"

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHARED_FD 3 // in a child
#define CHILD_OPTION "--child"
#define MOST_ARGUMENTS 12u

static struct bench_shared *shared;
static int shared_fd = -1;
static pid_t pids[BENCH_MOST_CHILDREN];
static unsigned started;

static void
map_shared(int fd)
{
    void *const address = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED)
        bench_die("no shared memory");
    shared = address;
}

struct bench_shared *
bench_shared(void)
{
    if (shared)
        return shared;
    shared_fd = memfd_create("bench", MFD_CLOEXEC);
    if (shared_fd < 0 || ftruncate(shared_fd, sizeof *shared) != 0)
        bench_die("no shared memory");
    map_shared(shared_fd);
    return shared;
}

void
bench_run_child(int argc, char **argv, const struct bench_role *roles, size_t count)
{
    if (argc < 4 || strcmp(argv[1], CHILD_OPTION) != 0)
        return;
    map_shared(SHARED_FD);
    for (size_t i = 0; i < count; i++)
        if (strcmp(roles[i].name, argv[2]) == 0)
            exit(roles[i].run(shared, &shared->reports[atoi(argv[3]) % (int)BENCH_MOST_CHILDREN], argv + 4));
    bench_die("no such role");
}

static void
become(unsigned index, const char *role, const char *const *arguments)
{
    char number[16];
    snprintf(number, sizeof number, "%u", index);
    char *all[MOST_ARGUMENTS + 5] = {strdup("bench"), strdup(CHILD_OPTION), strdup(role), number};
    for (size_t i = 0; i < MOST_ARGUMENTS && arguments[i]; i++)
        all[4 + i] = strdup(arguments[i]);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (shared_fd == SHARED_FD)
        (void)fcntl(SHARED_FD, F_SETFD, 0);
    else
        (void)dup2(shared_fd, SHARED_FD);
    (void)execv("/proc/self/exe", all);
    _exit(127);
}

void
bench_child_start(unsigned index, const char *role, const char *const *arguments)
{
    (void)bench_shared();
    const pid_t pid = fork();
    if (pid == 0)
        become(index, role, arguments);
    if (pid < 0)
        bench_die("no process");
    pids[index] = pid;
    started = index + 1;
}

void
bench_children_wait(unsigned count)
{
    const uint64_t end_ns = bench_now_ns() + 20000000000u;
    for (unsigned i = 0; i < count; i++)
        while (!atomic_load_explicit(&shared->reports[i].is_ready, memory_order_acquire)) {
            if (waitpid(pids[i], NULL, WNOHANG) == pids[i])
                bench_die("a process that is measured has ended");
            if (bench_now_ns() > end_ns)
                bench_die("a process that is measured does not begin");
            usleep(5000);
        }
}

void
bench_children_end(void)
{
    if (!shared)
        return;
    atomic_store_explicit(&shared->is_over, 1, memory_order_release);
    const uint64_t end_ns = bench_now_ns() + 10000000000u;
    for (unsigned i = 0; i < started; i++)
        while (waitpid(pids[i], NULL, WNOHANG) == 0) {
            if (bench_now_ns() > end_ns)
                kill(pids[i], SIGKILL);
            usleep(2000);
        }
    started = 0;
    memset((void *)shared, 0, sizeof *shared);
}

const pid_t *
bench_children_pids(void)
{
    return pids;
}
