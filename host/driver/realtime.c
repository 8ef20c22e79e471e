// SPDX-License-Identifier: MIT
// Real-time priority for threads that may not take it themselves: by way of the supervisor.

#include "core/clock.h"
#include "host/driver/state.h"
#include "host/protocol.h"

#include <stdlib.h>
#include <unistd.h>

/* A device's start waits no longer than this for rights that may not come. */
#define ANSWER_NS 200000000u

enum { ASKED, ANSWERED };

/* A thread's question: held by it, and by the control thread until it is answered. */
struct question {
    struct question *next; // control thread
    _Atomic uint32_t holders;
    _Atomic uint32_t state;
    struct dx_driver_process *process;
    uint64_t id; // control thread
    pid_t thread;
    int priority;
};

struct dx_process_realtime {
    struct question *questions; // control thread
    bool has_complained;
};

static void
release_question(struct question *question)
{
    /* acq_rel: the last holder frees what the other one has written. */
    if (atomic_fetch_sub_explicit(&question->holders, 1, memory_order_acq_rel) == 1)
        free(question);
}

/* ---- control thread ---- */

/* Whether it has the priority, the thread sees for itself. */
static void
end_question(struct question *question)
{
    /* release: pairs with the acquire in ask(). */
    atomic_store_explicit(&question->state, ANSWERED, memory_order_release);
    dx_clock_wake(dx_clock_host(), &question->state, 1);
    release_question(question);
}

static bool
send_question(const struct question *question)
{
    OSDictionary *body = OSDictionaryCreate(4);
    if (body && !(OSDictionarySetStringValue(body, DX_KEY_OPERATION, DX_OP_REALTIME) &&
                  OSDictionarySetUInt64Value(body, DX_KEY_ID, question->id) &&
                  OSDictionarySetUInt64Value(body, "thread", (uint64_t)question->thread) &&
                  OSDictionarySetUInt64Value(body, "priority", (uint64_t)question->priority)))
        OSSafeReleaseNULL(body);
    return dx_process_send(question->process, body, NULL, 0);
}

static void
complain(struct dx_process_realtime *realtime, const char *sentence)
{
    if (realtime->has_complained)
        return;
    realtime->has_complained = true;
    dx_process_log("the supervisor gives no real-time priority: %.400s", sentence);
}

static void
take_question(void *context)
{
    struct question *const question = context;
    struct dx_process_realtime *const realtime = question->process->realtime;
    question->id = ++question->process->last_request;
    if (!send_question(question)) {
        complain(realtime, "it cannot be asked");
        end_question(question);
        return;
    }
    question->next = realtime->questions;
    realtime->questions = question;
}

void
dx_process_realtime_answer(struct dx_driver_process *process, const OSDictionary *body)
{
    const uint64_t id = dx_wire_get_number(body, DX_KEY_ANSWER, 0);
    const char *const sentence = dx_wire_get_string(body, DX_KEY_ERROR);
    struct question **link = process->realtime ? &process->realtime->questions : NULL;
    while (link && *link && (*link)->id != id)
        link = &(*link)->next;
    if (!link || !*link)
        return;
    if (dx_wire_get_number(body, DX_KEY_STATUS, kIOReturnSuccess) != kIOReturnSuccess)
        complain(process->realtime, sentence ? sentence : "it does not say why");
    struct question *const question = *link;
    *link = question->next;
    end_question(question);
}

void
dx_process_realtime_give_up(struct dx_driver_process *process)
{
    while (process->realtime && process->realtime->questions) {
        struct question *const question = process->realtime->questions;
        process->realtime->questions = question->next;
        end_question(question);
    }
}

/* ---- the thread that asks ---- */

static void
ask(void *context, int priority)
{
    static const struct dx_wait_reason reason = {.what = "real-time priority"};

    dx_clock *const clock = dx_clock_host();
    struct question *const question = calloc(1, sizeof *question);
    if (!question)
        return;
    question->process = context;
    question->thread = gettid();
    question->priority = priority;
    atomic_init(&question->holders, 2);
    dx_process_post(context, take_question, question);
    const uint64_t deadline_ns = dx_clock_now_ns(clock) + ANSWER_NS;
    /* acquire: pairs with the release in end_question(). */
    while (atomic_load_explicit(&question->state, memory_order_acquire) == ASKED &&
           dx_clock_now_ns(clock) < deadline_ns)
        (void)dx_clock_wait(clock, &question->state, ASKED, deadline_ns, &reason);
    release_question(question);
}

bool
dx_process_realtime_create(struct dx_driver_process *process)
{
    process->realtime = calloc(1, sizeof *process->realtime);
    if (!process->realtime)
        return false;
    dx_task_set_realtime_asker(ask, process);
    return true;
}

void
dx_process_realtime_destroy(struct dx_driver_process *process)
{
    dx_task_set_realtime_asker(NULL, NULL);
    dx_process_realtime_give_up(process);
    free(process->realtime);
    process->realtime = NULL;
}
