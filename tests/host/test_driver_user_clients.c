// SPDX-License-Identifier: MIT
// User clients in a real driver process: the test is the supervisor, and says what no program of ours would.

#include "host/protocol.h"
#include "host/user_client_wire.h"
#include "tests/core/check.h"
#include "tests/host/Methods.dext/methods.h"
#include "tests/host/descriptors.h"
#include "tests/host/driver_rig.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUNDLE BUNDLES "/Methods.dext"
#define MOST_USER_CLIENTS 64u // of a driver process

/* ---- what is asked ---- */

static void
start(struct rig *rig)
{
    rig_start(rig);
    char *const uid = rig_load(rig, BUNDLE, NULL, NULL);
    CHECK(strcmp(uid, METHODS_UID) == 0);
    free(uid);
}

static OSDictionary *
open_request(const char *uid, uint64_t type)
{
    OSDictionary *const body = rig_request(DX_OP_USER_CLIENT_OPEN, uid, 0);
    CHECK(OSDictionarySetUInt64Value(body, "type", type));
    return body;
}

static uint64_t
open_client(struct rig *rig)
{
    struct dx_message answer;
    CHECK_EQ(rig_ask(rig, open_request(NULL, TYPE_METHODS), NULL, 0, &answer), kIOReturnSuccess);
    const uint64_t number = dx_wire_get_number(answer.body, "connection", 0);
    CHECK(number != 0);
    dx_message_finish(&answer);
    return number;
}

static kern_return_t
refused_open(struct rig *rig, const char *uid, uint64_t type)
{
    return rig_ask(rig, open_request(uid, type), NULL, 0, NULL);
}

static OSDictionary *
about(const char *operation, uint64_t connection)
{
    OSDictionary *const body = rig_request(operation, NULL, 0);
    CHECK(OSDictionarySetUInt64Value(body, "connection", connection));
    return body;
}

static kern_return_t
close_client(struct rig *rig, uint64_t connection)
{
    return rig_ask(rig, about(DX_OP_USER_CLIENT_CLOSE, connection), NULL, 0, NULL);
}

static OSDictionary *
call_request(const struct dx_user_client_call *call)
{
    OSDictionary *const body = rig_request(DX_OP_USER_CLIENT_CALL, NULL, 0);
    CHECK(dx_user_client_call_write(call, body));
    return body;
}

/* A call with numbers alone: the first number of the answer. */
static kern_return_t
call(struct rig *rig, uint64_t connection, uint64_t selector, const uint64_t *numbers, uint32_t count,
     uint32_t room, uint64_t *ret_first)
{
    struct dx_user_client_call out = {
        .connection = connection, .selector = selector, .scalar_room = room, .in.scalar_count = count};
    if (count)
        memcpy(out.in.scalars, numbers, count * sizeof numbers[0]);
    struct dx_message answer;
    const kern_return_t status = rig_ask(rig, call_request(&out), NULL, 0, &answer);
    struct dx_user_client_values in;
    CHECK_EQ(dx_user_client_values_read(answer.body, answer.fd_count, &in, NULL), kIOReturnSuccess);
    CHECK(status == kIOReturnSuccess || in.scalar_count == 0);
    if (ret_first) {
        CHECK(in.scalar_count > 0);
        *ret_first = in.scalars[0];
    }
    dx_message_finish(&answer);
    return status;
}

static uint64_t
count_clients(struct rig *rig, uint64_t connection)
{
    uint64_t count;
    CHECK_EQ(call(rig, connection, METHOD_COUNT_CLIENTS, NULL, 0, 1, &count), kIOReturnSuccess);
    return count;
}

/* Entries of a folder of the process, once it is through with all that it has answered. */
static uint32_t
count_entries(struct rig *rig, const char *name)
{
    char folder[64];
    CHECK_EQ(close_client(rig, 4711), kIOReturnNotOpen);
    (void)snprintf(folder, sizeof folder, "/proc/%d/%s", (int)rig->pid, name);
    return rig_count_files(folder);
}

static uint32_t
count_files(struct rig *rig)
{
    return count_entries(rig, "fd");
}

/* ---- opening ---- */

static void
what_cannot_be_opened_is_refused(void)
{
    struct rig rig;
    rig_start(&rig);
    CHECK_EQ(refused_open(&rig, NULL, TYPE_METHODS), kIOReturnNotReady); // nothing is loaded
    char *const uid = rig_load(&rig, BUNDLE, NULL, NULL);
    free(uid);
    const uint32_t files = count_files(&rig);
    CHECK_EQ(refused_open(&rig, NULL, 99), kIOReturnUnsupported);
    CHECK_EQ(refused_open(&rig, NULL, UINT64_C(1) << 32), kIOReturnBadArgument);
    CHECK_EQ(refused_open(&rig, NULL, kIOUserAudioDriverUserClientType), kIOReturnNotPermitted);
    CHECK_EQ(refused_open(&rig, NULL, TYPE_LIE), kIOReturnInternalError);
    CHECK_EQ(refused_open(&rig, NULL, TYPE_REFUSED), kIOReturnNotPermitted);
    CHECK_EQ(refused_open(&rig, "no such device", TYPE_METHODS), kIOReturnNoDevice);
    CHECK_EQ(close_client(&rig, 1), kIOReturnNotOpen);
    CHECK_EQ(call(&rig, 7, METHOD_SUM, NULL, 0, 2, NULL), kIOReturnNotOpen);
    CHECK_EQ(rig_ask(&rig, about(DX_OP_USER_CLIENT_MAP, 7), NULL, 0, NULL), kIOReturnNotOpen);
    CHECK_EQ(count_files(&rig), files);

    struct dx_message answer;
    CHECK_EQ(rig_ask(&rig, open_request(METHODS_UID, TYPE_METHODS), NULL, 0, &answer), kIOReturnSuccess);
    const uint64_t connection = dx_wire_get_number(answer.body, "connection", 0);
    dx_message_finish(&answer);
    CHECK_EQ(count_clients(&rig, connection), 1);
    rig_quit(&rig); // the driver aborts where its user clients were not stopped before
}

static void
sixty_four_are_enough(void)
{
    struct rig rig;
    start(&rig);
    uint64_t connections[MOST_USER_CLIENTS];
    for (uint32_t i = 0; i < MOST_USER_CLIENTS; i++)
        connections[i] = open_client(&rig);
    CHECK_EQ(count_clients(&rig, connections[5]), MOST_USER_CLIENTS);
    CHECK_EQ(refused_open(&rig, NULL, TYPE_METHODS), kIOReturnNoResources);
    CHECK_EQ(close_client(&rig, connections[10]), kIOReturnSuccess);
    CHECK_EQ(count_clients(&rig, connections[5]), MOST_USER_CLIENTS - 1);
    CHECK_EQ(call(&rig, connections[10], METHOD_SUM, NULL, 0, 2, NULL), kIOReturnNotOpen);
    connections[10] = open_client(&rig);
    CHECK_EQ(count_clients(&rig, connections[10]), MOST_USER_CLIENTS);
    rig_quit(&rig);
}

static void
a_thousand_of_them_leave_nothing_behind(void)
{
    struct rig rig;
    start(&rig);
    const uint64_t first = open_client(&rig);
    (void)close_client(&rig, open_client(&rig));
    const uint32_t files = count_files(&rig);
    const uint32_t threads = count_entries(&rig, "task");
    for (int i = 0; i < 1000; i++) {
        const uint64_t connection = open_client(&rig);
        CHECK_EQ(count_clients(&rig, connection), 2);
        CHECK_EQ(close_client(&rig, connection), kIOReturnSuccess);
    }
    CHECK_EQ(count_clients(&rig, first), 1);
    CHECK_EQ(count_files(&rig), files);
    for (int i = 0; count_entries(&rig, "task") > threads; i++) { // the last thread may be on its way out
        CHECK(i < 1000);
        usleep(10000);
    }
    rig_quit(&rig);
}

/* ---- calls ---- */

static kern_return_t
ask_with(struct rig *rig, OSDictionary *body, const char *key, OSObjectPtr value, const int *fds,
         uint32_t fd_count)
{
    CHECK(dx_wire_take(body, key, value));
    return rig_ask(rig, body, fds, fd_count, NULL);
}

static void
calls_that_make_no_sense_are_refused(void)
{
    struct rig rig;
    start(&rig);
    const uint64_t connection = open_client(&rig);
    const uint32_t files = count_files(&rig);
    static const uint8_t zeros[5000];
    const struct {
        const char *key;
        OSObjectPtr value;
    } wrong[] = {
        {"scalars", OSDataCreate(zeros, 17 * 8)},
        {"scalars", OSDataCreate(zeros, 12)},
        {"scalars", OSNumberCreateWithUInt64Value(1)},
        {"scalar-room", OSNumberCreateWithUInt64Value(17)},
        {"scalar-room", OSStringCreate("2")},
        {"structure", OSDataCreate(zeros, 4097)},
        {"structure", OSArrayCreate(0)},
        {"structure-room", OSNumberCreateWithUInt64Value((64u << 20) + 1)},
        {"structure-memory", OSNumberCreateWithUInt64Value(0)}, // and no such descriptor
        {"call", OSStringCreate("")},
        {"selector", kOSBooleanTrue},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const struct dx_user_client_call out = {
            .connection = connection, .selector = METHOD_SUM, .scalar_room = 2};
        CHECK_EQ(ask_with(&rig, call_request(&out), wrong[i].key, wrong[i].value, NULL, 0), kIOReturnBadArgument);
    }
    const uint64_t numbers[3] = {1, 2, 40};
    uint64_t result;
    CHECK_EQ(call(&rig, connection, METHODS, NULL, 0, 2, NULL), kIOReturnUnsupported);
    CHECK_EQ(call(&rig, connection, METHOD_SUM, numbers, 3, 3, NULL), kIOReturnBadArgument); // by the entry: 2
    CHECK_EQ(call(&rig, connection, METHOD_TOO_MANY, NULL, 0, 4, NULL), kIOReturnMessageTooLarge);
    CHECK_EQ(call(&rig, connection, METHOD_SUM, numbers, 3, 2, &result), kIOReturnSuccess);
    CHECK_EQ(result, 43);
    CHECK_EQ(count_files(&rig), files);
    rig_quit(&rig);
}

/* Memory as a program would never send it. */
static void
structures_in_memory_that_is_none_are_refused(void)
{
    struct rig rig;
    start(&rig);
    const uint64_t connection = open_client(&rig);
    const uint32_t files = count_files(&rig);
    int pipe_fds[2];
    CHECK_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    const int unsealed = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CHECK_EQ(ftruncate(unsealed, 100000), 0);
    const int shorter = dx_user_client_memory_create("x", 1);
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const struct {
        int fd;
        kern_return_t status;
    } wrong[] = {
        {pipe_fds[0], kIOReturnBadArgument}, {unsealed, kIOReturnNotPermitted},  {shorter, kIOReturnBadArgument},
        {null, kIOReturnBadArgument},        {rig.socket, kIOReturnBadArgument},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const struct dx_user_client_call out = {.connection = connection,
                                                .selector = METHOD_REVERSE,
                                                .structure_room = 100000,
                                                .in.structure_bytes = 100000};
        CHECK_EQ(rig_ask(&rig, call_request(&out), &wrong[i].fd, 1, NULL), wrong[i].status);
    }
    CHECK_EQ(count_files(&rig), files);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    close(unsealed);
    close(shorter);
    close(null);
    rig_quit(&rig);
}

/* The expected bytes come from this loop, not from the driver. */
static void
check_reversed(const uint8_t *bytes, size_t length, size_t room)
{
    for (size_t i = 0; i < room; i++)
        CHECK_EQ(bytes[i], i < length ? (uint8_t)((length - 1 - i) * 7) : 0);
}

static void
structures_of_every_length_come_back(void)
{
    static const size_t lengths[] = {1, 4095, 4096, 4097, 65536, 1000000};
    struct rig rig;
    start(&rig);
    const uint64_t connection = open_client(&rig);
    const uint32_t files = count_files(&rig);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        const size_t length = lengths[i];
        const bool is_long = length > 4096;
        uint8_t *const bytes = malloc(length);
        for (size_t k = 0; k < length; k++)
            bytes[k] = (uint8_t)(k * 7);
        const int fd = dx_user_client_memory_create(bytes, length);
        OSData *const data = OSDataCreate(bytes, length);
        const struct dx_user_client_call out = {
            .connection = connection,
            .selector = METHOD_REVERSE,
            .structure_room = (uint32_t)length,
            .in = {.structure_bytes = (uint32_t)length, .structure = is_long ? NULL : data, .memory = 1},
        };
        const int fds[2] = {fd, fd}; // the first one means nothing
        struct dx_message answer;
        struct dx_user_client_values in;
        CHECK_EQ(rig_ask(&rig, call_request(&out), fds, 2, &answer), kIOReturnSuccess);
        CHECK_EQ(dx_user_client_values_read(answer.body, answer.fd_count, &in, NULL), kIOReturnSuccess);
        CHECK_EQ(in.structure_bytes, length);
        CHECK_EQ(in.structure == NULL, is_long);
        if (is_long)
            CHECK_EQ(dx_user_client_memory_copy(answer.fds[in.memory], bytes, length), 0);
        else
            memcpy(bytes, OSDataGetBytesNoCopy(in.structure), length);
        check_reversed(bytes, length, length);
        dx_message_finish(&answer);
        OSObjectRelease(data);
        close(fd);
        free(bytes);
    }
    CHECK_EQ(count_files(&rig), files);
    rig_quit(&rig);
}

static void
a_structure_does_not_change_while_the_driver_reads_it(void)
{
    struct rig rig;
    start(&rig);
    const uint64_t connection = open_client(&rig);
    uint8_t bytes[10000] = {1};
    const int fd = dx_user_client_memory_create(bytes, sizeof bytes);
    volatile uint8_t *const mapped = mmap(NULL, sizeof bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(mapped != MAP_FAILED);
    const struct dx_user_client_call out = {
        .connection = connection,
        .selector = METHOD_LOOK_TWICE,
        .scalar_room = 1,
        .in = {.scalars = {300}, .scalar_count = 1, .structure_bytes = sizeof bytes},
    };
    const uint64_t id = rig_send(&rig, call_request(&out), &fd, 1);
    for (int i = 0; i < 150; i++) { // before, between and after its two looks
        mapped[i]++;
        usleep(2000);
    }
    struct dx_message answer;
    struct dx_user_client_values in;
    rig_wait_answer(&rig, id, &answer);
    CHECK_EQ(dx_user_client_values_read(answer.body, answer.fd_count, &in, NULL), kIOReturnSuccess);
    CHECK_EQ(in.scalar_count, 1);
    CHECK_EQ(in.scalars[0], true);
    dx_message_finish(&answer);
    close(fd);
    rig_quit(&rig);
}

static uint64_t
send_sleep(struct rig *rig, uint64_t connection, uint64_t ms)
{
    const struct dx_user_client_call out = {
        .connection = connection, .selector = METHOD_SLEEP, .in = {.scalars = {ms}, .scalar_count = 1}};
    return rig_send(rig, call_request(&out), NULL, 0);
}

static void
expect_success(struct rig *rig, uint64_t id)
{
    struct dx_message answer;
    rig_wait_answer(rig, id, &answer);
    CHECK_EQ(dx_wire_get_number(answer.body, DX_KEY_STATUS, 1), kIOReturnSuccess);
    dx_message_finish(&answer);
}

/* What comes after a method that waits is answered while it waits: its own answer is not among what came by then. */
static void
a_call_that_waits_keeps_no_other_connection_waiting(void)
{
    struct rig rig;
    start(&rig);
    struct dx_message answer;
    CHECK_EQ(rig_ask(&rig, open_request(NULL, TYPE_OWN_QUEUE), NULL, 0, &answer), kIOReturnSuccess);
    const uint64_t slow = dx_wire_get_number(answer.body, "connection", 0);
    dx_message_finish(&answer);
    const uint64_t id = send_sleep(&rig, slow, 2000);
    const uint64_t quick = open_client(&rig);
    CHECK_EQ(count_clients(&rig, quick), 2);
    CHECK_EQ(close_client(&rig, quick), kIOReturnSuccess);
    CHECK_EQ(rig.kept_count, 0);
    expect_success(&rig, id);
    rig_quit(&rig);
}

static void
what_was_asked_before_the_end_is_done_before_it(void)
{
    struct rig rig;
    start(&rig);
    const uint64_t connection = open_client(&rig), other = open_client(&rig);
    const uint64_t sleeping = send_sleep(&rig, connection, 300);
    const uint64_t closing = rig_send(&rig, about(DX_OP_USER_CLIENT_CLOSE, connection), NULL, 0);
    CHECK_EQ(call(&rig, connection, METHOD_SUM, NULL, 0, 2, NULL), kIOReturnNotOpen); // from here on
    CHECK_EQ(rig.kept_count, 0);
    expect_success(&rig, sleeping);
    expect_success(&rig, closing);
    CHECK_EQ(count_clients(&rig, other), 1);
    rig_quit(&rig);
}

/* ---- completions ---- */

static void
expect_completion(struct rig *rig, uint64_t connection, uint64_t number, kern_return_t status,
                  const uint64_t *arguments, uint32_t count)
{
    struct dx_message event;
    struct dx_user_client_completion came;
    rig_wait_event(rig, DX_EVENT_COMPLETION, &event);
    CHECK_EQ(dx_user_client_completion_read(event.body, &came, NULL), kIOReturnSuccess);
    CHECK_EQ(came.connection, connection);
    CHECK_EQ(came.call, number);
    CHECK(!came.is_given_up);
    CHECK_EQ(came.status, status);
    CHECK_EQ(came.argument_count, count);
    for (uint32_t i = 0; i < count; i++)
        CHECK_EQ(came.arguments[i], arguments[i]);
    dx_message_finish(&event);
}

static void
expect_given_up(struct rig *rig, uint64_t connection, uint64_t number)
{
    struct dx_message event;
    struct dx_user_client_completion came;
    rig_wait_event(rig, DX_EVENT_COMPLETION, &event);
    CHECK_EQ(dx_user_client_completion_read(event.body, &came, NULL), kIOReturnSuccess);
    CHECK_EQ(came.connection, connection);
    CHECK_EQ(came.call, number);
    CHECK(came.is_given_up);
    dx_message_finish(&event);
}

static kern_return_t
call_async(struct rig *rig, uint64_t connection, uint64_t selector, uint64_t number, const uint64_t *numbers,
           uint32_t count)
{
    struct dx_user_client_call out = {
        .connection = connection, .selector = selector, .call = number, .in.scalar_count = count};
    if (count)
        memcpy(out.in.scalars, numbers, count * sizeof numbers[0]);
    return rig_ask(rig, call_request(&out), NULL, 0, NULL);
}

static void
completions_come_with_their_arguments_and_then_the_end(void)
{
    struct rig rig;
    start(&rig);
    const uint64_t connection = open_client(&rig);
    uint64_t numbers[16];
    for (uint32_t i = 0; i < 16; i++)
        numbers[i] = UINT64_MAX - i;
    for (uint32_t count = 0; count <= 16; count += 8) {
        CHECK_EQ(call_async(&rig, connection, METHOD_COMPLETE, 100 + count, numbers, count), kIOReturnSuccess);
        expect_completion(&rig, connection, 100 + count, kIOReturnSuccess, numbers, count);
        expect_given_up(&rig, connection, 100 + count);
    }
    CHECK_EQ(call(&rig, connection, METHOD_COMPLETE, NULL, 0, 0, NULL), kIOReturnBadArgument); // not asynchronous

    CHECK_EQ(call_async(&rig, connection, METHOD_KEEP, UINT64_MAX, NULL, 0), kIOReturnSuccess);
    CHECK(!rig_has_event(&rig, DX_EVENT_COMPLETION, 100));
    for (uint64_t i = 0; i < 3; i++) {
        const uint64_t told[3] = {(uint32_t)kIOReturnBusy, i, 7};
        CHECK_EQ(call(&rig, connection, METHOD_COMPLETE_KEPT, told, 3, 0, NULL), kIOReturnSuccess);
        expect_completion(&rig, connection, UINT64_MAX, kIOReturnBusy, told + 1, 2);
    }
    CHECK_EQ(call(&rig, connection, METHOD_LET_GO, NULL, 0, 0, NULL), kIOReturnSuccess);
    expect_given_up(&rig, connection, UINT64_MAX);
    CHECK_EQ(call(&rig, connection, METHOD_COMPLETE_KEPT, numbers, 1, 0, NULL), kIOReturnBadArgument);

    uint64_t answered;
    CHECK_EQ(call(&rig, connection, METHOD_FORGE, NULL, 0, 1, &answered), kIOReturnSuccess);
    CHECK_EQ(answered, (uint32_t)kIOReturnBadArgument); // an action of nobody's call
    CHECK(!rig_has_event(&rig, DX_EVENT_COMPLETION, 100));
    rig_quit(&rig);
}

static void
closing_gives_up_what_is_kept(void)
{
    struct rig rig;
    start(&rig);
    const uint64_t connection = open_client(&rig);
    CHECK_EQ(call_async(&rig, connection, METHOD_KEEP, 1, NULL, 0), kIOReturnSuccess);
    CHECK_EQ(call_async(&rig, connection, METHOD_KEEP, 2, NULL, 0), kIOReturnSuccess); // in its place
    expect_given_up(&rig, connection, 1);
    CHECK_EQ(close_client(&rig, connection), kIOReturnSuccess);
    expect_given_up(&rig, connection, 2);
    rig_quit(&rig);
}

/* ---- memory ---- */

static kern_return_t
map(struct rig *rig, uint64_t connection, uint64_t type, struct dx_message *ret_answer)
{
    OSDictionary *const body = about(DX_OP_USER_CLIENT_MAP, connection);
    CHECK(OSDictionarySetUInt64Value(body, "type", type));
    return rig_ask(rig, body, NULL, 0, ret_answer);
}

static void
memory_comes_whole_or_not_at_all(void)
{
    struct rig rig;
    start(&rig);
    const uint64_t connection = open_client(&rig);
    const uint32_t files = count_files(&rig);
    for (uint64_t type = MEMORY_SHARED; type <= MEMORY_READ_ONLY; type++) {
        struct dx_message answer;
        CHECK_EQ(map(&rig, connection, type, &answer), kIOReturnSuccess);
        CHECK_EQ(dx_wire_get_number(answer.body, "memory", 7), 0);
        CHECK_EQ(dx_wire_get_number(answer.body, "bytes", 0), MEMORY_BYTES);
        CHECK_EQ(dx_wire_get_number(answer.body, "options", 7), type == MEMORY_READ_ONLY ? 1 : 0);
        CHECK_EQ(answer.fd_count, 1);
        const uint64_t poke[3] = {type, 5000, 200 + type};
        CHECK_EQ(call(&rig, connection, METHOD_POKE, poke, 3, 0, NULL), kIOReturnSuccess);
        uint8_t byte;
        CHECK_EQ(pread(answer.fds[0], &byte, 1, 5000), 1);
        CHECK_EQ(byte, 200 + type);
        const int seals = fcntl(answer.fds[0], F_GET_SEALS);
        CHECK_EQ(seals & (F_SEAL_SHRINK | F_SEAL_GROW), F_SEAL_SHRINK | F_SEAL_GROW);
        CHECK_EQ((seals & F_SEAL_SEAL) != 0, type == MEMORY_SHARED); // the other one has seals to come
        dx_message_finish(&answer);
    }
    CHECK_EQ(map(&rig, connection, MEMORY_FIRST, NULL), kIOReturnUnsupported);
    CHECK_EQ(map(&rig, connection, MEMORY_REST, NULL), kIOReturnUnsupported);
    CHECK_EQ(map(&rig, connection, MEMORY_LIE, NULL), kIOReturnInternalError);
    CHECK_EQ(map(&rig, connection, 99, NULL), kIOReturnUnsupported);
    CHECK_EQ(count_files(&rig), files);
    rig_quit(&rig);
}

/* ---- ends ---- */

static void
all_end_with_the_supervisor_and_can_be_opened_for_the_next(void)
{
    struct rig rig;
    start(&rig);
    const uint64_t before = open_client(&rig);
    (void)open_client(&rig);
    CHECK_EQ(count_clients(&rig, before), 2);
    rig_disconnect(&rig);
    rig_reconnect(&rig);
    CHECK_EQ(call(&rig, before, METHOD_SUM, NULL, 0, 2, NULL), kIOReturnNotOpen);
    const uint64_t after = open_client(&rig);
    CHECK(after != before);
    CHECK_EQ(count_clients(&rig, after), 1);
    rig_quit(&rig);
}

static void
the_end_waits_for_a_call_under_way(void)
{
    struct rig rig;
    start(&rig);
    (void)send_sleep(&rig, open_client(&rig), 500);
    rig_quit(&rig);
}

int
main(void)
{
    RUN(what_cannot_be_opened_is_refused);
    RUN(sixty_four_are_enough);
    RUN(a_thousand_of_them_leave_nothing_behind);
    RUN(calls_that_make_no_sense_are_refused);
    RUN(structures_in_memory_that_is_none_are_refused);
    RUN(structures_of_every_length_come_back);
    RUN(a_structure_does_not_change_while_the_driver_reads_it);
    RUN(a_call_that_waits_keeps_no_other_connection_waiting);
    RUN(what_was_asked_before_the_end_is_done_before_it);
    RUN(completions_come_with_their_arguments_and_then_the_end);
    RUN(closing_gives_up_what_is_kept);
    RUN(memory_comes_whole_or_not_at_all);
    RUN(all_end_with_the_supervisor_and_can_be_opened_for_the_next);
    RUN(the_end_waits_for_a_call_under_way);
    return 0;
}
