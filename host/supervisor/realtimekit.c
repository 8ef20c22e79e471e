// SPDX-License-Identifier: MIT
// RealtimeKit, over the system's D-Bus: a connection for each question, so that none is open without one.

#include "host/supervisor/realtimekit.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <systemd/sd-bus.h>

#define NAME "org.freedesktop.RealtimeKit1"
#define PATH "/org/freedesktop/RealtimeKit1"
#define ANSWER_TIMEOUT_NS (3 * DX_NS_PER_S) // the daemon may have to be started
#define MAX_QUESTIONS 16u                   // of a driver at a time: each takes a descriptor

struct dx_realtimekit_question {
    struct dx_realtimekit_question *next;
    struct dx_supervisor *supervisor;
    uint64_t unit;
    uint64_t request;
    sd_bus *bus;
    struct dx_watch *watch;
    struct dx_loop_timer *timer;
    bool is_answered;
    kern_return_t status;
    dx_error error;
};

static void
free_question(struct dx_realtimekit_question *question)
{
    for (struct dx_realtimekit_question **at = &question->supervisor->questions; *at; at = &(*at)->next) {
        if (*at == question) {
            *at = question->next;
            break;
        }
    }
    dx_watch_remove(question->watch);
    dx_loop_timer_destroy(question->timer);
    sd_bus_close(question->bus); // without a flush: it would wait
    sd_bus_unref(question->bus);
    free(question);
}

static void
end_question(struct dx_realtimekit_question *question, kern_return_t status, const char *sentence)
{
    struct dx_unit *const unit = dx_unit_find_number(question->supervisor, question->unit);
    if (unit)
        dx_unit_answer_realtime(unit, question->request, status, status == kIOReturnSuccess ? "RealtimeKit" : NULL,
                                sentence);
    free_question(question);
}

/* Called from within sd_bus_process(): the bus must stay. */
static int
answer_came(sd_bus_message *message, void *context, sd_bus_error *ret_error)
{
    (void)ret_error;
    struct dx_realtimekit_question *const question = context;
    const sd_bus_error *const error = sd_bus_message_get_error(message);
    question->is_answered = true;
    question->status = error ? kIOReturnNotPermitted : kIOReturnSuccess;
    if (error)
        (void)snprintf(question->error.message, sizeof question->error.message,
                       "the supervisor may not give real-time priorities, and RealtimeKit says: %s",
                       error->message ? error->message : error->name);
    return 1;
}

static void
bus_is_ready(void *context, int fd, uint32_t events)
{
    (void)fd;
    (void)events;
    struct dx_realtimekit_question *const question = context;
    int r;
    do
        r = sd_bus_process(question->bus, NULL);
    while (r > 0 && !question->is_answered);
    if (question->is_answered) {
        end_question(question, question->status, question->error.message);
        return;
    }
    const int wanted = r < 0 ? r : sd_bus_get_events(question->bus);
    if (wanted < 0)
        end_question(question, kIOReturnNotPermitted,
                     "the supervisor may not give real-time priorities, and the system's D-Bus is not there");
    else
        dx_watch_set_events(question->watch,
                            (wanted & POLLIN ? EPOLLIN : 0u) | (wanted & POLLOUT ? EPOLLOUT : 0u));
}

static void
answer_is_late(void *context)
{
    end_question(context, kIOReturnTimeout,
                 "the supervisor may not give real-time priorities, and RealtimeKit did not answer within 3 s");
}

static uint32_t
count_questions(const struct dx_unit *unit)
{
    uint32_t count = 0;
    for (const struct dx_realtimekit_question *question = unit->supervisor->questions; question;
         question = question->next)
        count += question->unit == unit->number;
    return count;
}

bool
dx_realtimekit_ask(struct dx_unit *unit, uint64_t request, uint64_t thread, uint64_t priority)
{
    struct dx_supervisor *const supervisor = unit->supervisor;
    struct dx_realtimekit_question *const question =
        count_questions(unit) < MAX_QUESTIONS ? calloc(1, sizeof *question) : NULL;
    if (!question)
        return false;
    question->supervisor = supervisor;
    question->unit = unit->number;
    question->request = request;
    const uint32_t most = (uint32_t)(priority < DX_REALTIMEKIT_MOST ? priority : DX_REALTIMEKIT_MOST);
    bool done = sd_bus_open_system(&question->bus) >= 0 &&
                sd_bus_call_method_async(question->bus, NULL, NAME, PATH, NAME, "MakeThreadRealtimeWithPID",
                                         answer_came, question, "ttu", (uint64_t)unit->pid, thread, most) >= 0;
    if (done) {
        question->timer = dx_loop_timer_create(supervisor->loop, answer_is_late, question);
        question->watch = dx_loop_watch(supervisor->loop, sd_bus_get_fd(question->bus), EPOLLIN | EPOLLOUT,
                                        bus_is_ready, question);
        done = question->timer && question->watch;
    }
    if (!done) {
        free_question(question);
        return false;
    }
    question->next = supervisor->questions;
    supervisor->questions = question;
    dx_loop_timer_set(question->timer, ANSWER_TIMEOUT_NS);
    return true;
}

void
dx_realtimekit_close(struct dx_supervisor *supervisor)
{
    while (supervisor->questions)
        free_question(supervisor->questions);
}
