// SPDX-License-Identifier: MIT
// Jobs: what may wait for the driver is done on a queue, and answered from the control thread.

#include "host/driver/state.h"
#include "host/protocol.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct dx_process_job *
dx_process_job_create(struct dx_driver_process *process, void (*run)(struct dx_process_job *job),
                      void (*done)(struct dx_process_job *job))
{
    struct dx_process_job *const job = calloc(1, sizeof *job);
    if (!job)
        return NULL;
    job->process = process;
    job->run = run;
    job->done = done;
    job->fd = job->answer_fd = -1;
    return job;
}

struct dx_process_job *
dx_process_job_take(struct dx_driver_process *process, const struct dx_message *message)
{
    const uint64_t id = dx_wire_get_number(message->body, DX_KEY_ID, 0);
    struct dx_process_job *const job = dx_process_job_create(process, NULL, NULL);
    if (!job) {
        dx_process_answer(process, process->connection, id, kIOReturnNoMemory, "", NULL, -1);
        return NULL;
    }
    job->is_request = true;
    job->connection = process->connection;
    job->id = id;
    job->arguments = OSObjectRetain(message->body);
    return job;
}

struct dx_process_job *
dx_process_job_fail(struct dx_process_job *job, kern_return_t status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(job->error.message, sizeof job->error.message, format, arguments); // a longer sentence is cut
    va_end(arguments);
    job->status = status;
    return job;
}

void
dx_process_job_end(struct dx_process_job *job)
{
    if (job->is_request) {
        dx_process_answer(job->process, job->connection, job->id, job->status, job->error.message, job->answer,
                          job->answer_fd);
        job->answer = NULL;
    }
    OSObjectRelease(job->answer);
    OSObjectRelease(job->arguments);
    if (job->fd >= 0)
        (void)close(job->fd);
    if (job->answer_fd >= 0)
        (void)close(job->answer_fd);
    free(job);
}

/* It is no longer under way. */
static void
leave_job(struct dx_process_job *job)
{
    struct dx_driver_process *const process = job->process;
    struct dx_process_device *const device = job->device;
    struct dx_process_session *const session = job->session;
    dx_process_job_end(job);
    process->jobs--;
    if (device)
        device->jobs--;
    if (session) {
        session->jobs--;
        dx_process_check_session(process, session);
    }
    if (device)
        dx_process_check_device(process, device);
    dx_process_check_quit(process);
}

/* Control thread. */
static void
finish_job(void *context)
{
    struct dx_process_job *const job = context;
    if (job->done)
        job->done(job);
    leave_job(job);
}

/* On the queue. */
static void
run_job(void *context)
{
    struct dx_process_job *const job = context;
    job->run(job);
    dx_process_post(job->process, finish_job, job);
}

bool
dx_process_job_start(struct dx_process_job *job, IODispatchQueue *queue)
{
    job->process->jobs++;
    if (job->device)
        job->device->jobs++;
    if (job->session)
        job->session->jobs++;
    const kern_return_t status = IODispatchQueueDispatchAsync_f(queue, job, run_job);
    if (status != kIOReturnSuccess)
        leave_job(dx_process_job_fail(job, status, "no memory, or no thread, to do it"));
    return status == kIOReturnSuccess;
}

static void
do_nothing(void *context)
{
    (void)context;
}

void
dx_process_release_queue(IODispatchQueue *queue)
{
    if (queue)
        (void)IODispatchQueueDispatchSync_f(queue, NULL,
                                            do_nothing); // the last job has been posted, and returns now
    OSObjectRelease(queue);
}
