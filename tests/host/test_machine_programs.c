// SPDX-License-Identifier: MIT
// Programs of other builds at the machine's devices, and what each process may write.

#include "tests/host/supervisor_rig.h"

#include <dextral/dextral.h>

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static struct machine machine;
static struct caller caller;

static void
begin(void)
{
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "test");
    create_cable(&caller, "cable");
}

static void
end(void)
{
    caller_close(&caller);
    machine_destroy(&machine);
}

/* Runs a program on the cable. */
static void
run(const char *path)
{
    begin();
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        (void)execl(path, path, "cable", NULL);
        _exit(127);
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    end();
}

static void
the_clients_part_of_the_library_is_enough_for_a_program(void)
{
    run(CLIENT_PROGRAM);
}

static void
a_program_as_a_user_would_write_it_plays(void)
{
    run(TONE);
}

#ifdef CLIENT_PROGRAM_32
static void
a_32_bit_program_plays_to_a_64_bit_machine(void)
{
    run(CLIENT_PROGRAM_32);
}
#endif

/* How a process has memory of a name mapped: "rw", "r-", or "" where it has not; NULL: only root may look. */
static const char *
find_rights(pid_t pid, const char *name)
{
    static char rights[3];
    char path[64];
    char line[512];
    rights[0] = '\0';
    (void)snprintf(path, sizeof path, "/proc/%ld/maps", (long)pid);
    FILE *const maps = fopen(path, "re");
    if (!maps) {
        CHECK(errno == EACCES && pid != getpid() && geteuid() != 0);
        return NULL;
    }
    while (fgets(line, sizeof line, maps)) {
        const char *const its = strchr(line, ' ');
        if (!its || !strstr(line, name) || rights[0])
            continue;
        memcpy(rights, its + 1, 2);
        rights[2] = '\0';
    }
    (void)fclose(maps);
    return rights;
}

static void
expect_right(pid_t pid, const char *name, const char *wanted)
{
    const char *const rights = find_rights(pid, name);
    CHECK(!rights || strcmp(rights, wanted) == 0);
}

static void
expect_rights(pid_t pid, const char *lane, const char *page, const char *ring)
{
    expect_right(pid, "memfd:dextral-lane", lane);
    expect_right(pid, "memfd:dextral-device", page);
    expect_right(pid, "memfd:dextral-input", ring);
}

static void
each_process_writes_its_own_memory_alone(void)
{
    begin();
    dx_directory *directory = NULL;
    CHECK(dx_directory_open(NULL, &directory, NULL) == kIOReturnSuccess);
    dx_device *const device = dx_directory_copy_device(directory, "cable");
    const dx_client_config config = {.size = sizeof config};
    dx_client *client = NULL;
    CHECK(dx_client_open(device, &config, &client) == kIOReturnSuccess);
    CHECK(dx_client_start(client) == kIOReturnSuccess);
    expect_rights(getpid(), "rw", "r-", "r-");
    expect_rights((pid_t)describe_number(&caller, "cable", "pid"), "r-", "rw", "rw");
    dx_client_close(client);
    expect_rights(getpid(), "", "", ""); // and nothing stays
    dx_device_release(device);
    dx_directory_close(directory);
    end();
}

int
main(void)
{
    RUN(the_clients_part_of_the_library_is_enough_for_a_program);
    RUN(a_program_as_a_user_would_write_it_plays);
#ifdef CLIENT_PROGRAM_32
    RUN(a_32_bit_program_plays_to_a_64_bit_machine);
#endif
    RUN(each_process_writes_its_own_memory_alone);
    return 0;
}
