// SPDX-License-Identifier: MIT
// A program's connections to a driver, through a real supervisor to a real driver process.

#include "tests/host/Methods.dext/methods.h"
#include "tests/host/descriptors.h"
#include "tests/host/supervisor_rig.h"

#include <dextral/dextral.h>
#include <dextral/user_client.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_MS 20000
#define ANY_PROGRAM "com.apple.developer.driverkit.allow-any-userclient-access"

static struct machine machine;
static dx_directory *directory;

/* ---- helpers ---- */

#define EXPECT_STATUS(call, wanted)                                                                               \
    do {                                                                                                          \
        const kern_return_t status_ = (call), wanted_ = (kern_return_t)(wanted);                                  \
        if (status_ != wanted_)                                                                                   \
            (void)fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, dx_return_string(status_));       \
        CHECK(status_ == wanted_);                                                                                \
    } while (0)

static void
run_command(const char *format, const char *one, const char *other)
{
    char command[512];
    CHECK(snprintf(command, sizeof command, format, one, other) < (int)sizeof command);
    CHECK_EQ(system(command), 0);
}

static void
write_entitlement(const char *folder)
{
    char path[192];
    (void)snprintf(path, sizeof path, "%s/Methods.entitlements", folder);
    FILE *const file = fopen(path, "w");
    CHECK(file);
    (void)fprintf(file, "<plist version=\"1.0\"><dict><key>%s</key><true/></dict></plist>\n", ANY_PROGRAM);
    CHECK_EQ(fclose(file), 0);
    CHECK_EQ(chmod(path, 0600), 0);
}

static void
add_bundle(bool is_for_everybody)
{
    char folder[128];
    (void)snprintf(folder, sizeof folder, "%s/drivers/Methods.dext", machine.folder);
    CHECK_EQ(mkdir(folder, 0700), 0);
    run_command("cp '%s/Methods.dext/Methods.so' '%s'", BUNDLES, folder);
    run_command("cp '%s/Methods.dext/Info.plist' '%s'", BUNDLES, folder);
    run_command("chmod 0700 '%s/%s'", folder, "Methods.so");
    run_command("chmod 0600 '%s/%s'", folder, "Info.plist");
    if (is_for_everybody)
        write_entitlement(folder);
}

static kern_return_t
ask_directory(const char *operation, const char *program, bool revoke)
{
    OSDictionary *const arguments = OSDictionaryCreate(4);
    CHECK(OSDictionarySetStringValue(arguments, "bundle", METHODS_IDENTIFIER));
    if (program)
        CHECK(OSDictionarySetStringValue(arguments, "program", program));
    CHECK(dx_wire_set_bool(arguments, "revoke", revoke));
    const kern_return_t status = dx_directory_request(directory, operation, arguments, NULL, NULL);
    OSObjectRelease(arguments);
    return status;
}

static void
begin(bool is_for_everybody)
{
    machine_create(&machine);
    add_bundle(is_for_everybody);
    machine_start(&machine, NULL);
    EXPECT_STATUS(dx_directory_open(NULL, &directory, NULL), kIOReturnSuccess);
    if (is_for_everybody)
        EXPECT_STATUS(ask_directory(DX_OP_APPROVE, NULL, false), kIOReturnSuccess);
}

static void
end(void)
{
    dx_directory_close(directory);
    machine_destroy(&machine);
}

static kern_return_t
try_to_open(uint32_t type, dx_driver_connection **ret_connection, dx_error *error)
{
    return dx_driver_connection_open(directory, METHODS_IDENTIFIER, NULL, type, ret_connection, error);
}

static dx_driver_connection *
open_connection(void)
{
    dx_driver_connection *connection = NULL;
    dx_error error = {""};
    const kern_return_t status = try_to_open(TYPE_METHODS, &connection, &error);
    if (status != kIOReturnSuccess)
        (void)fprintf(stderr, "%s: %s\n", dx_return_string(status), error.message);
    CHECK_EQ(status, kIOReturnSuccess);
    return connection;
}

static kern_return_t
call_numbers(dx_driver_connection *connection, uint64_t selector, const uint64_t *numbers, uint32_t count,
             uint64_t *results, uint32_t *result_count)
{
    dx_driver_call call = {
        .size = sizeof call,
        .scalar_input = numbers,
        .scalar_input_count = count,
        .scalar_output = results,
        .scalar_output_count = result_count ? *result_count : 0,
    };
    const kern_return_t status = dx_driver_connection_call(connection, selector, &call, NULL);
    if (result_count && status == kIOReturnSuccess)
        *result_count = call.scalar_output_count;
    return status;
}

static uint64_t
count_clients(dx_driver_connection *connection)
{
    uint64_t count = 0;
    uint32_t room = 1;
    EXPECT_STATUS(call_numbers(connection, METHOD_COUNT_CLIENTS, NULL, 0, &count, &room), kIOReturnSuccess);
    CHECK_EQ(room, 1);
    return count;
}

/* What ends by itself, in another process, is waited for. */
static void
wait_for_clients(dx_driver_connection *connection, uint64_t count)
{
    const int64_t end_ms = now_ms() + TIMEOUT_MS;
    while (count_clients(connection) != count) {
        CHECK(now_ms() < end_ms);
        sleep_ms(5);
    }
}

/* ---- completions, as they come ---- */

enum { MOST_COMPLETIONS = 64 };

struct completions {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned count;
    struct {
        kern_return_t status;
        uint32_t count;
        uint64_t arguments[16];
    } came[MOST_COMPLETIONS];
};

#define NO_COMPLETIONS                                                                                            \
    {                                                                                                             \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                                    \
    }

static void
note(void *context, kern_return_t status, const uint64_t *arguments, uint32_t count)
{
    struct completions *const all = context;
    (void)pthread_mutex_lock(&all->lock);
    CHECK(all->count < MOST_COMPLETIONS);
    all->came[all->count].status = status;
    all->came[all->count].count = count;
    if (count)
        memcpy(all->came[all->count].arguments, arguments, count * sizeof arguments[0]);
    all->count++;
    (void)pthread_cond_broadcast(&all->changed);
    (void)pthread_mutex_unlock(&all->lock);
}

static void
wait_for_completions(struct completions *all, unsigned count)
{
    struct timespec limit;
    CHECK_EQ(clock_gettime(CLOCK_REALTIME, &limit), 0);
    limit.tv_sec += TIMEOUT_MS / 1000;
    (void)pthread_mutex_lock(&all->lock);
    while (all->count < count)
        CHECK_EQ(pthread_cond_timedwait(&all->changed, &all->lock, &limit), 0);
    CHECK_EQ(all->count, count);
    (void)pthread_mutex_unlock(&all->lock);
}

static kern_return_t
call_async(dx_driver_connection *connection, uint64_t selector, const uint64_t *numbers, uint32_t count,
           dx_driver_completion completion, void *context)
{
    dx_driver_call call = {
        .scalar_input = numbers,
        .scalar_input_count = count,
        .completion = completion,
        .completion_context = context,
    };
    return dx_driver_connection_call(connection, selector, &call, NULL);
}

/* ---- who may ---- */

static void
expect_refusal(const char *text)
{
    dx_driver_connection *connection = NULL;
    dx_error error = {""};
    EXPECT_STATUS(try_to_open(TYPE_METHODS, &connection, &error), kIOReturnNotPermitted);
    if (!strstr(error.message, text))
        (void)fprintf(stderr, "%s\n", error.message);
    CHECK(strstr(error.message, text));
    CHECK(!connection);
}

/* The same program under another name, as a user sees it: another one.  Its exit status. */
static int
run_copy(const char *path)
{
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        (void)execl(path, path, "open", (char *)NULL);
        _exit(126);
    }
    int status = 0;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

enum { COPY_OPENED = 10, COPY_REFUSED = 11, COPY_ELSE = 12 };

static int
open_as_copy(void)
{
    dx_driver_connection *connection = NULL;
    EXPECT_STATUS(dx_directory_open(NULL, &directory, NULL), kIOReturnSuccess);
    const kern_return_t status = try_to_open(TYPE_METHODS, &connection, NULL);
    dx_driver_connection_close(connection);
    dx_directory_close(directory);
    return status == kIOReturnSuccess ? COPY_OPENED : status == kIOReturnNotPermitted ? COPY_REFUSED : COPY_ELSE;
}

static void
a_program_needs_the_users_consent(void)
{
    begin(false);
    char self[512], copy[128];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    CHECK(length > 0);
    self[length] = 0;
    (void)snprintf(copy, sizeof copy, "%s/copy", machine.folder);
    run_command("cp '%s' '%s'", self, copy);

    expect_refusal("dextral approve"); // the bundle itself
    EXPECT_STATUS(ask_directory(DX_OP_APPROVE, NULL, false), kIOReturnSuccess);
    expect_refusal("dextral grant");
    EXPECT_STATUS(ask_directory(DX_OP_GRANT, self, false), kIOReturnSuccess);
    dx_driver_connection_close(open_connection());
    CHECK_EQ(run_copy(copy), COPY_REFUSED);
    EXPECT_STATUS(ask_directory(DX_OP_GRANT, copy, false), kIOReturnSuccess);
    CHECK_EQ(run_copy(copy), COPY_OPENED);
    EXPECT_STATUS(ask_directory(DX_OP_GRANT, copy, true), kIOReturnSuccess);
    CHECK_EQ(run_copy(copy), COPY_REFUSED);
    dx_driver_connection_close(open_connection());
    end();
}

/* A bundle's devices are learned when it runs for the first time. */
static void
wait_for_device(const char *uid)
{
    const int64_t end_ms = now_ms() + TIMEOUT_MS;
    dx_device *device;
    while (!(device = dx_directory_copy_device(directory, uid))) {
        CHECK(now_ms() < end_ms);
        sleep_ms(5);
    }
    dx_device_release(device);
}

static void
a_driver_may_let_every_program_in(void)
{
    begin(true);
    dx_driver_connection *connection = open_connection();
    CHECK_EQ(count_clients(connection), 1);
    dx_driver_connection_close(connection);

    wait_for_device(METHODS_UID);
    EXPECT_STATUS(dx_driver_connection_open(directory, NULL, METHODS_UID, TYPE_METHODS, &connection, NULL),
                  kIOReturnSuccess);
    wait_for_clients(connection, 1);
    dx_driver_connection_close(connection);
    EXPECT_STATUS(dx_driver_connection_open(directory, NULL, "no such device", 1, &connection, NULL),
                  kIOReturnNotFound);
    EXPECT_STATUS(dx_driver_connection_open(directory, "no.such.bundle", NULL, 1, &connection, NULL),
                  kIOReturnNotFound);
    EXPECT_STATUS(dx_driver_connection_open(directory, NULL, NULL, 1, &connection, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(dx_driver_connection_open(directory, "a", "b", 1, &connection, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(try_to_open(99, &connection, NULL), kIOReturnUnsupported);
    EXPECT_STATUS(try_to_open(TYPE_LIE, &connection, NULL), kIOReturnInternalError);
    EXPECT_STATUS(try_to_open(kIOUserAudioDriverUserClientType, &connection, NULL), kIOReturnNotPermitted);
    dx_driver_connection_close(NULL);
    end();
}

/* ---- calls ---- */

static void
numbers_go_in_and_out(dx_driver_connection *connection)
{
    uint64_t numbers[16];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 16; i++) {
        numbers[i] = UINT64_MAX / (i + 1);
        sum += numbers[i];
    }
    uint64_t results[16] = {0};
    uint32_t count = 2;
    EXPECT_STATUS(call_numbers(connection, METHOD_SUM, numbers, 16, results, &count), kIOReturnSuccess);
    CHECK_EQ(results[0], sum);
    CHECK_EQ(results[1], 16);
    EXPECT_STATUS(call_numbers(connection, METHOD_SUM, numbers, 0, results, &count), kIOReturnSuccess);
    CHECK_EQ(results[0], 0);
    CHECK_EQ(results[1], 0);

    const uint64_t status = (uint32_t)kIOReturnOverrun;
    EXPECT_STATUS(call_numbers(connection, METHOD_FAIL, &status, 1, NULL, NULL), kIOReturnOverrun);
    EXPECT_STATUS(call_numbers(connection, METHODS, NULL, 0, NULL, NULL), kIOReturnUnsupported);
    count = 3;
    EXPECT_STATUS(call_numbers(connection, METHOD_SUM, numbers, 1, results, &count), kIOReturnBadArgument);
    EXPECT_STATUS(call_numbers(connection, METHOD_SUM, numbers, 17, results, &count), kIOReturnBadArgument);
    EXPECT_STATUS(call_numbers(connection, METHOD_SUM, NULL, 1, results, &count), kIOReturnBadArgument);
    dx_driver_call call = {.size = 8};
    EXPECT_STATUS(dx_driver_connection_call(connection, METHOD_SUM, &call, NULL), kIOReturnBadArgument);
    call = (dx_driver_call){.structure_input_bytes = 1};
    EXPECT_STATUS(dx_driver_connection_call(connection, METHOD_SUM, &call, NULL), kIOReturnBadArgument);
    call = (dx_driver_call){.structure_output_bytes = (64u << 20) + 1, .structure_output = numbers};
    EXPECT_STATUS(dx_driver_connection_call(connection, METHOD_SUM, &call, NULL), kIOReturnBadArgument);
}

static void
structures_go_in_and_out(dx_driver_connection *connection)
{
    static const size_t lengths[] = {1, 4096, 4097, 200000, 64u << 20};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        const size_t length = lengths[i];
        uint8_t *const in = malloc(length), *const out = malloc(length + 1);
        CHECK(in && out);
        for (size_t k = 0; k < length; k++)
            in[k] = (uint8_t)(k ^ k >> 8);
        out[length] = 77;
        dx_driver_call call = {
            .structure_input = in,
            .structure_input_bytes = length,
            .structure_output = out,
            .structure_output_bytes = length,
        };
        EXPECT_STATUS(dx_driver_connection_call(connection, METHOD_REVERSE, &call, NULL), kIOReturnSuccess);
        CHECK_EQ(call.structure_output_bytes, length);
        for (size_t k = 0; k < length; k++)
            if (out[k] != in[length - 1 - k])
                CHECK_EQ(out[k], in[length - 1 - k]);
        CHECK_EQ(out[length], 77);
        free(in);
        free(out);
    }
}

/* A method that makes more or less than there is room for. */
static void
answers_have_their_own_length(dx_driver_connection *connection)
{
    static const struct {
        uint64_t made;
        size_t room;
        kern_return_t status;
    } cases[] = {
        {0, 100, kIOReturnSuccess},
        {100, 100, kIOReturnSuccess},
        {100, 50, kIOReturnMessageTooLarge},
        {100, 10000, kIOReturnSuccess},
        {4097, 9000, kIOReturnSuccess},
        {9000, 9000, kIOReturnSuccess},
        {9001, 9000, kIOReturnMessageTooLarge},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t out[10001];
        memset(out, 77, sizeof out);
        dx_driver_call call = {
            .scalar_input = &cases[i].made,
            .scalar_input_count = 1,
            .structure_output = out,
            .structure_output_bytes = cases[i].room,
        };
        EXPECT_STATUS(dx_driver_connection_call(connection, METHOD_MAKE, &call, NULL), cases[i].status);
        const size_t came = cases[i].status == kIOReturnSuccess ? (size_t)cases[i].made : 0;
        CHECK(cases[i].status != kIOReturnSuccess || call.structure_output_bytes == came);
        for (size_t k = 0; k < sizeof out; k++)
            CHECK_EQ(out[k], k < came ? (uint8_t)k : 77);
    }
}

static void
methods_take_and_give_numbers_and_structures(void)
{
    begin(true);
    dx_driver_connection *const connection = open_connection();
    numbers_go_in_and_out(connection);
    structures_go_in_and_out(connection);
    answers_have_their_own_length(connection);
    dx_driver_connection_close(connection);
    end();
}

static void *
call_often(void *argument)
{
    (void)argument;
    dx_driver_connection *const connection = open_connection();
    for (uint64_t i = 0; i < 200; i++) {
        const uint64_t numbers[2] = {i, 1000};
        uint64_t results[2];
        uint32_t count = 2;
        EXPECT_STATUS(call_numbers(connection, METHOD_SUM, numbers, 2, results, &count), kIOReturnSuccess);
        CHECK_EQ(results[0], i + 1000);
    }
    dx_driver_connection_close(connection);
    return NULL;
}

static void
threads_have_connections_of_their_own(void)
{
    begin(true);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, call_often, NULL), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    end();
}

/* ---- completions ---- */

static void
a_call_is_completed_as_often_as_the_driver_wants(void)
{
    begin(true);
    dx_driver_connection *const connection = open_connection();
    struct completions at_once = NO_COMPLETIONS, kept = NO_COMPLETIONS, failed = NO_COMPLETIONS;
    uint64_t numbers[16];
    for (uint64_t i = 0; i < 16; i++)
        numbers[i] = UINT64_MAX - i;
    EXPECT_STATUS(call_async(connection, METHOD_COMPLETE, numbers, 16, note, &at_once), kIOReturnSuccess);
    wait_for_completions(&at_once, 1);
    CHECK_EQ(at_once.came[0].status, kIOReturnSuccess);
    CHECK_EQ(at_once.came[0].count, 16);
    CHECK(memcmp(at_once.came[0].arguments, numbers, sizeof numbers) == 0);

    EXPECT_STATUS(call_async(connection, METHOD_KEEP, NULL, 0, note, &kept), kIOReturnSuccess);
    for (uint64_t i = 0; i < 5; i++) {
        const uint64_t told[2] = {(uint32_t)kIOReturnBusy, i};
        EXPECT_STATUS(call_numbers(connection, METHOD_COMPLETE_KEPT, told, 2, NULL, NULL), kIOReturnSuccess);
    }
    wait_for_completions(&kept, 5);
    for (uint64_t i = 0; i < 5; i++) {
        CHECK_EQ(kept.came[i].status, kIOReturnBusy);
        CHECK_EQ(kept.came[i].count, 1);
        CHECK_EQ(kept.came[i].arguments[0], i);
    }

    /* A call that fails is not completed, whatever the driver says; one that is given up is, once. */
    const uint64_t status = (uint32_t)kIOReturnOffline;
    EXPECT_STATUS(call_async(connection, METHOD_FAIL, &status, 1, note, &failed), kIOReturnOffline);
    EXPECT_STATUS(call_async(connection, METHOD_KEEP, NULL, 0, note, &failed), kIOReturnSuccess);
    EXPECT_STATUS(call_numbers(connection, METHOD_LET_GO, NULL, 0, NULL, NULL), kIOReturnSuccess);
    wait_for_completions(&failed, 1);
    CHECK_EQ(failed.came[0].status, kIOReturnAborted);
    CHECK_EQ(failed.came[0].count, 0);
    wait_for_completions(&kept, 5); // given up as well, but it was completed
    wait_for_completions(&at_once, 1);
    dx_driver_connection_close(connection);
    end();
}

struct chain {
    dx_driver_connection *connection;
    struct completions completions;
    unsigned left;
};

/* Calls again from within, and closes at the end. */
static void
go_on(void *context, kern_return_t status, const uint64_t *arguments, uint32_t count)
{
    struct chain *const chain = context;
    CHECK_EQ(status, kIOReturnSuccess);
    CHECK_EQ(count, 1);
    CHECK_EQ(arguments[0], chain->left);
    const uint64_t next = --chain->left;
    if (next)
        EXPECT_STATUS(call_async(chain->connection, METHOD_COMPLETE, &next, 1, go_on, chain), kIOReturnSuccess);
    else
        dx_driver_connection_close(chain->connection);
    note(&chain->completions, status, arguments, count);
}

static void
a_completion_may_call_and_close(void)
{
    begin(true);
    struct chain chain = {.connection = open_connection(), .completions = NO_COMPLETIONS, .left = 10};
    const uint64_t first = 10;
    EXPECT_STATUS(call_async(chain.connection, METHOD_COMPLETE, &first, 1, go_on, &chain), kIOReturnSuccess);
    wait_for_completions(&chain.completions, 10);
    dx_driver_connection *const connection = open_connection();
    wait_for_clients(connection, 1);
    dx_driver_connection_close(connection);
    end();
}

static _Atomic int in_slow; // 0: not yet, 1: inside, 2: through

static void
be_slow(void *context, kern_return_t status, const uint64_t *arguments, uint32_t count)
{
    (void)context, (void)status, (void)arguments, (void)count;
    /* acquire, release: the test's thread looks at nothing else before it. */
    atomic_store_explicit(&in_slow, 1, memory_order_release);
    sleep_ms(300);
    atomic_store_explicit(&in_slow, 2, memory_order_release);
}

static void
closing_waits_for_a_completion_that_runs(void)
{
    begin(true);
    dx_driver_connection *const connection = open_connection();
    atomic_store_explicit(&in_slow, 0, memory_order_release);
    EXPECT_STATUS(call_async(connection, METHOD_COMPLETE, NULL, 0, be_slow, NULL), kIOReturnSuccess);
    while (atomic_load_explicit(&in_slow, memory_order_acquire) == 0)
        sleep_ms(1);
    dx_driver_connection_close(connection);
    CHECK_EQ(atomic_load_explicit(&in_slow, memory_order_acquire), 2);
    end();
}

/* ---- memory ---- */

static volatile uint8_t *
bytes_of(const IOMemoryMap *map)
{
    CHECK_EQ(IOMemoryMapGetLength(map), MEMORY_BYTES);
    return (volatile uint8_t *)(uintptr_t)(IOMemoryMapGetAddress(map) + IOMemoryMapGetOffset(map));
}

static uint64_t
peek(dx_driver_connection *connection, uint64_t memory, uint64_t at)
{
    const uint64_t place[2] = {memory, at};
    uint64_t byte = 0;
    uint32_t room = 1;
    EXPECT_STATUS(call_numbers(connection, METHOD_PEEK, place, 2, &byte, &room), kIOReturnSuccess);
    return byte;
}

static void
poke(dx_driver_connection *connection, uint64_t memory, uint64_t at, uint64_t byte)
{
    const uint64_t what[3] = {memory, at, byte};
    EXPECT_STATUS(call_numbers(connection, METHOD_POKE, what, 3, NULL, NULL), kIOReturnSuccess);
}

static void
memory_is_the_same_on_both_sides(void)
{
    begin(true);
    dx_driver_connection *const connection = open_connection();
    IOMemoryMap *shared = NULL, *read_only = NULL, *none = NULL;
    uint64_t options = 7;
    EXPECT_STATUS(dx_driver_connection_map(connection, MEMORY_SHARED, &options, &shared, NULL), kIOReturnSuccess);
    CHECK_EQ(options, 0);
    EXPECT_STATUS(dx_driver_connection_map(connection, MEMORY_READ_ONLY, &options, &read_only, NULL),
                  kIOReturnSuccess);
    CHECK_EQ(options, kIOUserClientMemoryReadOnly);
    bytes_of(shared)[MEMORY_BYTES - 1] = 123;
    CHECK_EQ(peek(connection, MEMORY_SHARED, MEMORY_BYTES - 1), 123);
    poke(connection, MEMORY_SHARED, 0, 45);
    poke(connection, MEMORY_READ_ONLY, 4711, 67); // after it was given away too
    CHECK_EQ(bytes_of(shared)[0], 45);
    CHECK_EQ(bytes_of(read_only)[4711], 67);
    EXPECT_STATUS(dx_driver_connection_map(connection, MEMORY_READ_ONLY, NULL, &none, NULL), kIOReturnSuccess);
    OSSafeReleaseNULL(none); // a second time works as well
    EXPECT_STATUS(dx_driver_connection_map(connection, MEMORY_FIRST, NULL, &none, NULL), kIOReturnUnsupported);
    EXPECT_STATUS(dx_driver_connection_map(connection, MEMORY_LIE, NULL, &none, NULL), kIOReturnInternalError);
    EXPECT_STATUS(dx_driver_connection_map(connection, 99, NULL, &none, NULL), kIOReturnUnsupported);
    CHECK(!none);

    void *const page = (void *)(uintptr_t)IOMemoryMapGetAddress(read_only);
    CHECK(mprotect(page, 4096, PROT_READ | PROT_WRITE) != 0);
    dx_driver_connection_close(connection);
    CHECK_EQ(bytes_of(read_only)[4711], 67); // it outlives the connection
    bytes_of(shared)[1] = 1;
    OSObjectRelease(shared);
    OSObjectRelease(read_only);
    end();
}

/* By hand, with the descriptor itself. */
static void
memory_to_be_read_cannot_be_written_in_any_way(void)
{
    begin(true);
    dx_driver_connection *const connection = open_connection();
    struct caller caller;
    struct dx_message answer;
    caller_open(&caller, &machine, "villain");
    OSDictionary *body = request(DX_OP_USER_CLIENT_OPEN);
    set_text(body, "bundle", METHODS_IDENTIFIER);
    set_number(body, "type", TYPE_METHODS);
    CHECK_EQ(ask(&caller, body, NULL, 0, &answer), kIOReturnSuccess);
    const uint64_t number = dx_wire_get_number(answer.body, "connection", 0);
    dx_message_finish(&answer);

    body = request(DX_OP_USER_CLIENT_MAP);
    set_number(body, "connection", number);
    set_number(body, "type", MEMORY_READ_ONLY);
    CHECK_EQ(ask(&caller, body, NULL, 0, &answer), kIOReturnSuccess);
    CHECK_EQ(answer.fd_count, 1);
    const int fd = answer.fds[0];
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    CHECK(pwrite(fd, "x", 1, 0) < 0);
    CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) != 0);
    CHECK(ftruncate(fd, 0) != 0);
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const int again = open(path, O_RDWR | O_CLOEXEC);
    if (again >= 0) {
        CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0) == MAP_FAILED);
        CHECK(pwrite(again, "x", 1, 0) < 0);
        CHECK(fallocate(again, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) != 0);
        close(again);
    }
    dx_message_finish(&answer);

    /* A number is of no use to another program. */
    body = request(DX_OP_USER_CLIENT_CALL);
    set_number(body, "connection", number);
    struct caller other;
    caller_open(&other, &machine, "other");
    ask_refused(&other, body, NULL, 0, kIOReturnNotOpen, "no such connection");
    caller_close(&other);
    CHECK_EQ(count_clients(connection), 2);
    caller_close(&caller);
    wait_for_clients(connection, 1);
    dx_driver_connection_close(connection);
    end();
}

/* ---- ends ---- */

/* A program that never closes anything. */
static int
hold_connection(void)
{
    EXPECT_STATUS(dx_directory_open(NULL, &directory, NULL), kIOReturnSuccess);
    (void)open_connection();
    for (;;)
        (void)pause();
}

static void
the_drivers_client_ends_with_the_program(void)
{
    begin(true);
    dx_driver_connection *const connection = open_connection();
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        /* What it has of its parent is of no use to it, but does no harm. */
        uint64_t count = 0;
        uint32_t room = 1;
        const bool refused =
            call_numbers(connection, METHOD_COUNT_CLIENTS, NULL, 0, &count, &room) == kIOReturnNotAttached;
        dx_driver_connection_close(connection);
        dx_directory_close(directory);
        if (refused)
            (void)execl("/proc/self/exe", "test", "hold", (char *)NULL);
        _exit(1);
    }
    wait_for_clients(connection, 2);
    CHECK_EQ(kill(pid, SIGKILL), 0);
    wait_for_clients(connection, 1);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    dx_driver_connection_close(connection);
    end();
}

static void
the_programs_connection_ends_with_the_driver(void)
{
    begin(true);
    dx_driver_connection *const connection = open_connection(), *const other = open_connection();
    struct completions kept = NO_COMPLETIONS, told = NO_COMPLETIONS;
    EXPECT_STATUS(call_async(connection, METHOD_KEEP, NULL, 0, note, &kept), kIOReturnSuccess);
    EXPECT_STATUS(call_async(other, METHOD_KEEP, NULL, 0, note, &told), kIOReturnSuccess);
    const uint64_t success = 0;
    EXPECT_STATUS(call_numbers(other, METHOD_COMPLETE_KEPT, &success, 1, NULL, NULL), kIOReturnSuccess);
    wait_for_completions(&told, 1);
    CHECK(call_numbers(connection, METHOD_CRASH, NULL, 0, NULL, NULL) != kIOReturnSuccess);
    wait_for_completions(&kept, 1);
    wait_for_completions(&told, 2); // it could have been completed again
    CHECK_EQ(kept.came[0].status, kIOReturnAborted);
    CHECK_EQ(told.came[0].status, kIOReturnSuccess);
    CHECK_EQ(told.came[1].status, kIOReturnAborted);
    EXPECT_STATUS(call_numbers(other, METHOD_SUM, NULL, 0, NULL, NULL), kIOReturnNotAttached);
    IOMemoryMap *map = NULL;
    EXPECT_STATUS(dx_driver_connection_map(other, MEMORY_SHARED, NULL, &map, NULL), kIOReturnNotAttached);

    dx_driver_connection *const next = open_connection(); // of the next driver
    CHECK_EQ(count_clients(next), 1);
    dx_driver_connection_close(connection);
    dx_driver_connection_close(other);
    CHECK_EQ(count_clients(next), 1);
    dx_driver_connection_close(next);
    end();
}

static void
the_programs_connection_ends_with_the_supervisor(void)
{
    begin(true);
    dx_driver_connection *const connection = open_connection();
    struct completions kept = NO_COMPLETIONS;
    EXPECT_STATUS(call_async(connection, METHOD_KEEP, NULL, 0, note, &kept), kIOReturnSuccess);
    CHECK(WIFSIGNALED(machine_end(&machine, SIGKILL)));
    wait_for_completions(&kept, 1);
    CHECK_EQ(kept.came[0].status, kIOReturnAborted);
    machine_start(&machine, NULL);
    EXPECT_STATUS(call_numbers(connection, METHOD_SUM, NULL, 0, NULL, NULL), kIOReturnNotAttached);
    dx_driver_connection_close(connection);
    dx_driver_connection *const next = open_connection();
    wait_for_clients(next, 1);
    dx_driver_connection_close(next);
    end();
}

static void
five_hundred_connections_leave_nothing_open(void)
{
    begin(true);
    dx_driver_connection *const first = open_connection();
    dx_driver_connection_close(open_connection());
    const unsigned before = count_descriptors();
    for (int i = 0; i < 500; i++) {
        dx_driver_connection *const connection = open_connection();
        struct completions kept = NO_COMPLETIONS;
        IOMemoryMap *map = NULL;
        EXPECT_STATUS(call_async(connection, METHOD_KEEP, NULL, 0, note, &kept), kIOReturnSuccess);
        EXPECT_STATUS(dx_driver_connection_map(connection, MEMORY_SHARED, NULL, &map, NULL), kIOReturnSuccess);
        OSObjectRelease(map);
        dx_driver_connection_close(connection);
        CHECK_EQ(kept.count, 0); // none follows, and `kept` is gone
    }
    CHECK_EQ(count_descriptors(), before);
    wait_for_clients(first, 1);
    dx_driver_connection_close(first);
    end();
}

int
main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "open") == 0)
        return open_as_copy();
    if (argc == 2 && strcmp(argv[1], "hold") == 0)
        return hold_connection();
    RUN(a_program_needs_the_users_consent);
    RUN(a_driver_may_let_every_program_in);
    RUN(methods_take_and_give_numbers_and_structures);
    RUN(threads_have_connections_of_their_own);
    RUN(a_call_is_completed_as_often_as_the_driver_wants);
    RUN(a_completion_may_call_and_close);
    RUN(closing_waits_for_a_completion_that_runs);
    RUN(memory_is_the_same_on_both_sides);
    RUN(memory_to_be_read_cannot_be_written_in_any_way);
    RUN(the_drivers_client_ends_with_the_program);
    RUN(the_programs_connection_ends_with_the_driver);
    RUN(the_programs_connection_ends_with_the_supervisor);
    RUN(five_hundred_connections_leave_nothing_open);
    return 0;
}
