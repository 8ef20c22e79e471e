// SPDX-License-Identifier: MIT
// A program's connections to drivers, and a supervisor that answers and tells what makes no sense.

#include "host/protocol.h"
#include "host/user_client_wire.h"
#include "tests/host/descriptors.h"
#include "tests/host/fake_supervisor.h"

#include <dextral/user_client.h>

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTION 4711u
#define MOST_NEWS 4096u // completions that wait

static struct fake_supervisor fake;
static dx_directory *directory;

static void
replace_answer(OSDictionary *answer)
{
    OSObjectRelease(fake.answer);
    fake.answer = answer;
}

static dx_driver_connection *
begin(uint64_t timeout_ns)
{
    const dx_directory_config config = {.size = sizeof config, .socket_path = fake.path, .timeout_ns = timeout_ns};
    fake_prepare(&fake);
    fake_start(&fake);
    replace_answer(OSDictionaryCreate(4));
    CHECK(OSDictionarySetUInt64Value(fake.answer, "connection", CONNECTION));
    CHECK_OK(dx_directory_open(&config, &directory, NULL));
    dx_driver_connection *connection = NULL;
    CHECK_OK(dx_driver_connection_open(directory, "some.bundle", NULL, 7, &connection, NULL));
    OSDictionary *const request = fake_wait_for(&fake, DX_OP_USER_CLIENT_OPEN, 1);
    CHECK_TEXT(dx_wire_get_string(request, "bundle"), "some.bundle");
    CHECK_EQ(dx_wire_get_number(request, "type", 0), 7);
    OSObjectRelease(request);
    return connection;
}

static void
end(dx_driver_connection *connection)
{
    dx_driver_connection_close(connection);
    dx_directory_close(directory);
    fake_stop(&fake);
    replace_answer(NULL);
    fake_finish(&fake);
}

/* ---- answers ---- */

static OSDictionary *
answer_with(const char *key, OSObjectPtr value)
{
    OSDictionary *const answer = OSDictionaryCreate(4);
    CHECK(dx_wire_take(answer, key, value));
    return answer;
}

static void
expect_call(dx_driver_connection *connection, OSDictionary *answer, kern_return_t status)
{
    uint64_t numbers[3] = {1, 2, 3};
    uint8_t bytes[6] = {1, 2, 3, 4, 5, 6};
    dx_driver_call call = {.scalar_output = numbers,
                           .scalar_output_count = 2,
                           .structure_output = bytes,
                           .structure_output_bytes = 5};
    replace_answer(answer);
    CHECK_STATUS(dx_driver_connection_call(connection, 0, &call, NULL), status);
    CHECK_EQ(numbers[2], 3);
    CHECK_EQ(bytes[5], 6);
    if (status == kIOReturnSuccess)
        return;
    CHECK_EQ(numbers[0], 1); // nothing was written
    CHECK_EQ(bytes[0], 1);
    CHECK_EQ(call.scalar_output_count, 2);
    CHECK_EQ(call.structure_output_bytes, 5);
}

static void
answers_that_make_no_sense_are_errors(void)
{
    static const uint8_t zeros[5000];
    dx_driver_connection *const connection = begin(0);
    const unsigned descriptors = count_descriptors();
    expect_call(connection, NULL, kIOReturnSuccess); // an answer without anything
    expect_call(connection, answer_with("scalars", OSDataCreate(zeros, 16)), kIOReturnSuccess);
    expect_call(connection, answer_with("scalars", OSDataCreate(zeros, 24)), kIOReturnInternalError);
    expect_call(connection, answer_with("scalars", OSDataCreate(zeros, 9)), kIOReturnInternalError);
    expect_call(connection, answer_with("scalars", OSDataCreate(zeros, 17 * 8)), kIOReturnInternalError);
    expect_call(connection, answer_with("scalars", OSStringCreate("")), kIOReturnInternalError);
    expect_call(connection, answer_with("structure", OSDataCreate(zeros, 5)), kIOReturnSuccess);
    expect_call(connection, answer_with("structure", OSDataCreate(zeros, 6)), kIOReturnInternalError);
    expect_call(connection, answer_with("structure", OSDataCreate(zeros, 5000)), kIOReturnInternalError);
    OSDictionary *answer = answer_with("structure-memory", OSNumberCreateWithUInt64Value(0));
    CHECK(OSDictionarySetUInt64Value(answer, "structure-bytes", 5));
    expect_call(connection, answer, kIOReturnInternalError); // there is no such descriptor

    IOMemoryMap *map = NULL;
    replace_answer(NULL);
    CHECK_STATUS(dx_driver_connection_map(connection, 0, NULL, &map, NULL), kIOReturnInternalError);
    replace_answer(answer_with("memory", OSNumberCreateWithUInt64Value(0)));
    CHECK_STATUS(dx_driver_connection_map(connection, 0, NULL, &map, NULL), kIOReturnInternalError);
    CHECK(!map);
    CHECK_EQ(count_descriptors(), descriptors);
    fake.refuse = DX_OP_USER_CLIENT_CALL;
    fake.refusal = kIOReturnNotOpen;
    expect_call(connection, NULL, kIOReturnNotOpen);
    end(connection);
}

/* ---- events ---- */

struct told {
    pthread_mutex_t lock; // held: completions wait
    pthread_cond_t changed;
    unsigned count;
    unsigned aborted;
};

static void
count(void *context, kern_return_t status, const uint64_t *arguments, uint32_t argument_count)
{
    (void)arguments, (void)argument_count;
    struct told *const told = context;
    CHECK_EQ(pthread_mutex_lock(&told->lock), 0);
    told->count++;
    told->aborted += status == kIOReturnAborted;
    CHECK_EQ(pthread_cond_broadcast(&told->changed), 0);
    CHECK_EQ(pthread_mutex_unlock(&told->lock), 0);
}

static kern_return_t
call_async(dx_driver_connection *connection, struct told *told)
{
    dx_driver_call call = {.completion = count, .completion_context = told};
    return dx_driver_connection_call(connection, 0, &call, NULL);
}

/* The number that the program gave the call that it made last. */
static uint64_t
last_call(uint32_t calls)
{
    OSDictionary *const request = fake_wait_for(&fake, DX_OP_USER_CLIENT_CALL, calls);
    const uint64_t number = dx_wire_get_number(request, "call", 0);
    CHECK(number);
    OSObjectRelease(request);
    return number;
}

static void
send_completion(uint64_t connection, uint64_t call, bool is_given_up)
{
    const struct dx_user_client_completion completion = {
        .connection = connection, .call = call, .is_given_up = is_given_up};
    OSDictionary *const event = fake_event(DX_EVENT_COMPLETION, NULL);
    CHECK(dx_user_client_completion_write(&completion, event));
    int result;
    do { // as fast as the program takes them
        CHECK_EQ(pthread_mutex_lock(&fake.lock), 0);
        result = dx_wire_send(fake.client, event, NULL, 0);
        CHECK_EQ(pthread_mutex_unlock(&fake.lock), 0);
    } while (result == -EAGAIN && sched_yield() == 0);
    CHECK_EQ(result, 0);
    OSObjectRelease(event);
}

static void
wait_for(struct told *told, unsigned wanted)
{
    CHECK_EQ(pthread_mutex_lock(&told->lock), 0);
    while (told->count < wanted)
        CHECK_EQ(pthread_cond_wait(&told->changed, &told->lock), 0);
    CHECK_EQ(told->count, wanted);
    CHECK_EQ(pthread_mutex_unlock(&told->lock), 0);
}

#define NOTHING_TOLD                                                                                              \
    {                                                                                                             \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                                    \
    }

static void
completions_of_nothing_are_passed_over(void)
{
    dx_driver_connection *const connection = begin(0);
    struct told told = NOTHING_TOLD;
    CHECK_OK(call_async(connection, &told));
    const uint64_t call = last_call(1);
    OSDictionary *event = fake_event(DX_EVENT_COMPLETION, NULL);
    CHECK(OSDictionarySetStringValue(event, "connection", "4711"));
    fake_send(&fake, event, NULL, 0);
    event = fake_event(DX_EVENT_COMPLETION, NULL);
    CHECK(OSDictionarySetUInt64Value(event, "connection", CONNECTION));
    CHECK(OSDictionarySetUInt64Value(event, "call", call));
    CHECK(OSDictionarySetUInt64Value(event, "status", 0));
    CHECK(dx_wire_take(event, "arguments", OSDataCreate("1234567", 7)));
    fake_send(&fake, event, NULL, 0);
    send_completion(CONNECTION + 1, call, false);
    send_completion(CONNECTION + 1, 0, false);
    send_completion(CONNECTION, call + 1, false);
    send_completion(CONNECTION, call + 1, true);

    send_completion(CONNECTION, call, false);
    wait_for(&told, 1);
    send_completion(CONNECTION, call, true);
    send_completion(CONNECTION, call, true);  // again
    send_completion(CONNECTION, call, false); // after the end
    CHECK_OK(call_async(connection, &told));
    send_completion(CONNECTION, last_call(2), false);
    wait_for(&told, 2);
    send_completion(CONNECTION, 0, false); // the end of all, twice
    send_completion(CONNECTION, 0, false);
    wait_for(&told, 3);
    CHECK_EQ(told.aborted, 1);
    CHECK_STATUS(call_async(connection, &told), kIOReturnNotAttached);
    end(connection);
    CHECK_EQ(told.count, 3);
}

static void
a_call_that_was_not_answered_is_not_completed(void)
{
    dx_driver_connection *const connection = begin(500000000);
    struct told told = NOTHING_TOLD;
    fake.mute = DX_OP_USER_CLIENT_CALL;
    CHECK_STATUS(call_async(connection, &told), kIOReturnTimeout);
    send_completion(CONNECTION, last_call(1), false);
    fake.mute = NULL;
    CHECK_OK(call_async(connection, &told));
    send_completion(CONNECTION, last_call(2), false);
    wait_for(&told, 1);
    end(connection);
    CHECK_EQ(told.count, 1);
}

/* The first one asks for something that is not answered: what comes meanwhile has to wait. */
static dx_driver_connection *asking;

static void
count_and_ask(void *context, kern_return_t status, const uint64_t *arguments, uint32_t argument_count)
{
    count(context, status, arguments, argument_count);
    dx_driver_connection *const connection = asking;
    asking = NULL;
    dx_driver_call call = {0};
    if (connection)
        CHECK_STATUS(dx_driver_connection_call(connection, 1, &call, NULL), kIOReturnTimeout);
}

static void
a_flood_of_completions_ends_the_connection(void)
{
    dx_driver_connection *const connection = begin(3000000000);
    struct told told = NOTHING_TOLD;
    dx_driver_call call = {.completion = count_and_ask, .completion_context = &told};
    CHECK_OK(dx_driver_connection_call(connection, 0, &call, NULL));
    const uint64_t number = last_call(1);
    asking = connection;
    fake.mute = DX_OP_USER_CLIENT_CALL;
    send_completion(CONNECTION, number, false);
    OSObjectRelease(fake_wait_for(&fake, DX_OP_USER_CLIENT_CALL, 2));
    for (unsigned i = 0; i < 3 * MOST_NEWS; i++)
        send_completion(CONNECTION, number, false);
    wait_for(&told, 1 + MOST_NEWS + 1);
    CHECK_EQ(told.aborted, 1);
    CHECK_STATUS(call_async(connection, &told), kIOReturnNotAttached);
    end(connection);
}

int
main(void)
{
    RUN(answers_that_make_no_sense_are_errors);
    RUN(completions_of_nothing_are_passed_over);
    RUN(a_call_that_was_not_answered_is_not_completed);
    RUN(a_flood_of_completions_ends_the_connection);
    return 0;
}
