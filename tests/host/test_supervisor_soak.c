// SPDX-License-Identifier: MIT
// A thousand rounds of programs that come, play, vanish, send nonsense, and of drivers that are killed: nothing is
// left of them, neither memory nor descriptors nor processes.

#include "tests/host/supervisor_rig.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROUNDS 1000u
#define WARM_UP 200u
#define MOST_GROWTH_KIB 1024u

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define MEMORY_TELLS false // freed memory is kept for a while; LeakSanitizer looks at the end
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#        define MEMORY_TELLS false
#    endif
#endif
#ifndef MEMORY_TELLS
#    define MEMORY_TELLS true
#endif

static struct machine machine;
static uint64_t random_state = 1;

static uint32_t
random_below(uint32_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % limit;
}

static unsigned
count_fds(void)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%ld/fd", (long)machine.supervisor);
    DIR *const folder = opendir(path);
    unsigned count = 0;
    while (folder && readdir(folder))
        count++;
    if (folder)
        (void)closedir(folder);
    return count;
}

static unsigned long
read_resident_kib(void)
{
    char path[64];
    char line[128];
    unsigned long kib = 0;
    (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)machine.supervisor);
    FILE *const file = fopen(path, "r");
    CHECK(file);
    while (fgets(line, sizeof line, file))
        (void)sscanf(line, "VmRSS: %lu", &kib);
    (void)fclose(file);
    return kib;
}

/* ---- what a round may do ---- */

static void
play(struct caller *caller)
{
    struct dx_lane lane;
    const uint64_t session = 1 + random_below(1000000);
    make_lane(&lane);
    CHECK_EQ(open_session(caller, "wire", session, &lane, NULL), kIOReturnSuccess);
    if (random_below(2))
        CHECK_EQ(ask(caller, request_of(DX_OP_START, session), NULL, 0, NULL), kIOReturnSuccess);
    if (random_below(2)) // else it vanishes with its program
        CHECK_EQ(ask(caller, request_of(DX_OP_CLOSE, session), NULL, 0, NULL), kIOReturnSuccess);
    dx_lane_finish(&lane);
}

static void
declare(struct caller *caller)
{
    create_cable(caller, "short-lived");
    if (random_below(2)) {
        struct dx_lane lane;
        make_lane(&lane);
        CHECK_EQ(open_session(caller, "short-lived", 4242, &lane, NULL), kIOReturnSuccess);
        dx_lane_finish(&lane);
    }
    CHECK_EQ(ask(caller, request_about(DX_OP_REMOVE, "short-lived"), NULL, 0, NULL), kIOReturnSuccess);
}

static void
ask_around(struct caller *caller)
{
    static const char *const operations[] = {DX_OP_LIST, DX_OP_KINDS, DX_OP_DRIVERS, DX_OP_INCIDENTS};
    CHECK_EQ(ask(caller, request(operations[random_below(4)]), NULL, 0, NULL), kIOReturnSuccess);
    OSObjectRelease(describe(caller, "wire"));
    (void)ask(caller, request_about(DX_OP_STATISTICS, "wire"), NULL, 0, NULL); // it may have no driver now
}

static void
send_nonsense(struct caller *caller)
{
    uint8_t bytes[512];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)random_below(256);
    if (random_below(2))
        memcpy(bytes, "1DXW", 4);
    (void)send(caller->socket, bytes, 1 + random_below(sizeof bytes), MSG_NOSIGNAL);
}

static void
kill_driver(struct caller *caller)
{
    const pid_t pid = (pid_t)describe_number(caller, "wire", "pid");
    if (pid > 0)
        (void)kill(pid, SIGKILL); // it may have ended as idle since
}

static void
run_round(unsigned round)
{
    struct caller caller;
    if (random_below(8) == 0) { // one that says nothing
        CHECK(caller_connect(&caller, &machine));
        caller_close(&caller);
        return;
    }
    caller_open(&caller, &machine, "soak");
    switch (random_below(5)) {
    case 0:
        declare(&caller);
        break;
    case 1:
        ask_around(&caller);
        break;
    case 2:
        send_nonsense(&caller);
        break;
    default:
        play(&caller);
        if (round % 25 == 0)
            kill_driver(&caller);
        break;
    }
    caller_close(&caller);
}

int
main(void)
{
    struct caller caller;
    unsigned long before_kib = 0;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "setup");
    create_cable(&caller, "wire");
    play(&caller);
    caller_close(&caller);
    caller_open(&caller, &machine, "watcher");
    wait_state(&caller, "wire", "idle");
    const unsigned before_fds = count_fds();
    for (unsigned round = 0; round < ROUNDS; round++) {
        run_round(round);
        if (round == WARM_UP)
            before_kib = read_resident_kib();
        while (has_event(&caller, DX_EVENT_DESCRIPTION, 0))
            ;
    }
    wait_state(&caller, "wire", "idle");
    const int64_t end_ms = now_ms() + 5000;
    while (count_fds() > before_fds && now_ms() < end_ms)
        sleep_ms(10);
    CHECK_EQ(count_fds(), before_fds);
    const unsigned long after_kib = read_resident_kib();
    (void)fprintf(stderr, "resident: %lu KiB, %lu KiB after %u rounds\n", before_kib, after_kib, ROUNDS);
    if (MEMORY_TELLS)
        CHECK(after_kib <= before_kib + MOST_GROWTH_KIB);
    caller_close(&caller);
    machine_destroy(&machine); // no process is left
    return 0;
}
