// SPDX-License-Identifier: MIT
// Sessions: clients in other programs, by the lanes that they bring.

#include "host/driver/state.h"
#include "host/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

/* ---- the list ---- */

static struct dx_process_session *
find_number(const struct dx_driver_process *process, uint64_t number)
{
    struct dx_process_session *session = process->sessions;
    while (session && session->number != number)
        session = session->next;
    return session;
}

/* The session of a request; NULL: it has failed. */
static struct dx_process_session *
find_session(struct dx_process_job *job)
{
    const uint64_t number = dx_wire_get_number(job->arguments, DX_KEY_SESSION, 0);
    struct dx_process_session *const session = find_number(job->process, number);
    if (!session)
        (void)dx_process_job_fail(job, kIOReturnNotFound, "there is no session %016llx",
                                  (unsigned long long)number);
    return session;
}

static void
unlink_session(struct dx_driver_process *process, struct dx_process_session *session)
{
    for (struct dx_process_session **link = &process->sessions; *link; link = &(*link)->next)
        if (*link == session) {
            *link = session->next;
            break;
        }
    session->next = NULL;
    session->has_left = true;
    process->session_count--;
}

void
dx_process_check_session(struct dx_driver_process *process, struct dx_process_session *session)
{
    if (session->jobs || session->has_joined)
        return;
    if (!session->has_left)
        unlink_session(process, session);
    session->device->sessions--;
    free(session);
}

static struct dx_process_session *
add_session(struct dx_driver_process *process, struct dx_process_device *device, uint64_t number)
{
    struct dx_process_session *const session = calloc(1, sizeof *session);
    if (!session)
        return NULL;
    dx_histogram_reset(&session->ahead); // so that its memory is there, as well
    session->device = device;
    session->number = number;
    session->next = process->sessions;
    process->sessions = session;
    process->session_count++;
    device->sessions++;
    return session;
}

/* ---- on the device's queue ---- */

static void
leave(struct dx_driver_process *process, struct dx_process_session *session)
{
    if (session->is_running)
        dx_process_watchdog_rest(process);
    session->is_running = false;
    dx_member_leave(session->member);
    session->member = NULL;
    dx_lane_finish(&session->lane);
}

#define MAX_GAIN 16.0 // where samples stop anyway

/* 1 where none is given.  false: the job has failed. */
static bool
read_gain(struct dx_process_job *job, float *ret_gain)
{
    double gain = 1.0;
    if (OSDictionaryGetObject(job->arguments, "gain-f64") &&
        !(dx_wire_get_double(job->arguments, "gain-f64", &gain) && gain >= 0.0 && gain <= MAX_GAIN)) {
        (void)dx_process_job_fail(job, kIOReturnBadArgument, "a gain is 0 ... %g", MAX_GAIN);
        return false;
    }
    *ret_gain = dx_wire_get_bool(job->arguments, "mute") ? 0.0f : (float)gain;
    return true;
}

/* A stream's index, or DX_NO_STREAM where there is none; what is no index is of no stream that exists. */
static uint32_t
read_stream(const OSDictionary *arguments, const char *key)
{
    const uint64_t index = dx_wire_get_number(arguments, key, DX_NO_STREAM);
    return index <= DX_NO_STREAM ? (uint32_t)index : DX_MAX_STREAMS;
}

static void
open_lane(struct dx_process_job *job)
{
    const int r = dx_lane_open(job->fd, NULL, &job->session->lane);
    if (r == 0)
        return;
    const kern_return_t status = r == -ENOMEM   ? kIOReturnNoMemory
                                 : r == -EPROTO ? kIOReturnUnsupported
                                                : kIOReturnBadArgument;
    (void)dx_process_job_fail(job, status, "the lane: %s",
                              r == -EINVAL   ? "this descriptor is no lane, or one that contradicts itself"
                              : r == -EPERM  ? "its memory is not sealed: it could shrink under the driver"
                              : r == -EPROTO ? "it is of a version that this driver process does not know"
                              : r == -ENOMEM ? "no memory to map it"
                                             : "there is no such descriptor");
}

#define MAX_IO_FRAMES (1u << 20)

static void
join(struct dx_process_job *job)
{
    struct dx_process_session *const session = job->session;
    const char *const name = dx_wire_get_string(job->arguments, DX_KEY_NAME);
    const uint64_t io_frames = dx_wire_get_number(job->arguments, "io-frames", 0);
    struct dx_member_config config = {
        .name = name ? name : "client",
        .session = session->number,
        .output_stream = read_stream(job->arguments, "output"),
        .input_stream = read_stream(job->arguments, "input"),
        .io_frames = (uint32_t)io_frames,
        .ahead = &session->ahead,
        .lane = &session->lane,
    };
    if (io_frames > MAX_IO_FRAMES)
        (void)dx_process_job_fail(job, kIOReturnBadArgument, "an IO size is at most %u frames", MAX_IO_FRAMES);
    else if (read_gain(job, &config.gain) && config.output_stream != DX_NO_STREAM)
        open_lane(job);
    if (job->status != kIOReturnSuccess)
        return;
    job->status = dx_member_join(job->device->device, &config, &session->member);
    if (job->status == kIOReturnUnsupportedMode)
        (void)dx_process_job_fail(job, job->status, "the lane does not fit the stream's format");
    else if (job->status == kIOReturnBadArgument)
        (void)dx_process_job_fail(job, job->status, "the device has no such stream");
    if (job->status != kIOReturnSuccess)
        dx_lane_finish(&session->lane);
}

/* false: no memory, or no descriptor. */
static bool
describe_member(struct dx_process_job *job)
{
    const struct dx_member *const member = job->session->member;
    const struct dx_lane *const ring = dx_member_ring(member);
    job->answer = OSDictionaryCreate(6);
    if (!job->answer || !OSDictionarySetUInt64Value(job->answer, "member", dx_member_index(member)))
        return false;
    if (!ring)
        return true;
    /* A descriptor of its own: the member may have left when the answer is sent. */
    job->answer_fd = fcntl(ring->pages.fd, F_DUPFD_CLOEXEC, 0);
    return job->answer_fd >= 0 && OSDictionarySetUInt64Value(job->answer, "ring", 0);
}

/* The first one, or one that is repeated: it changes nothing. */
static void
run_join(struct dx_process_job *job)
{
    const bool is_new = !job->session->member;
    if (is_new)
        join(job);
    if (job->status != kIOReturnSuccess || describe_member(job))
        return;
    (void)dx_process_job_fail(job, kIOReturnNoResources, "no memory, or no descriptor, for the answer");
    if (is_new)
        leave(job->process, job->session);
}

static void
finish_join(struct dx_process_job *job)
{
    if (job->status != kIOReturnSuccess)
        return;
    job->session->member_index = (uint32_t)dx_wire_get_number(job->answer, "member", 0);
    job->session->has_joined = !job->session->has_left;
}

static void
run_start(struct dx_process_job *job)
{
    struct dx_process_session *const session = job->session;
    if (!session->member || session->is_running)
        return;
    dx_process_watchdog_wake(job->process);
    job->status = dx_member_start(session->member);
    session->is_running = job->status == kIOReturnSuccess;
    if (!session->is_running)
        dx_process_watchdog_rest(job->process);
    if (job->status == kIOReturnTimeout)
        (void)dx_process_job_fail(job, job->status, "the driver gave no zero timestamp in time");
}

static void
run_stop(struct dx_process_job *job)
{
    struct dx_process_session *const session = job->session;
    if (!session->is_running)
        return;
    dx_member_stop(session->member);
    session->is_running = false;
    dx_process_watchdog_rest(job->process);
}

static void
run_tune(struct dx_process_job *job)
{
    float gain;
    if (read_gain(job, &gain) && job->session->member)
        dx_member_set_gain(job->session->member, gain);
}

static void
run_leave(struct dx_process_job *job)
{
    leave(job->process, job->session);
}

/* ---- requests ---- */

void
dx_process_join(struct dx_process_job *job, struct dx_message *message)
{
    struct dx_driver_process *const process = job->process;
    const uint64_t number = dx_wire_get_number(job->arguments, DX_KEY_SESSION, 0);
    const uint64_t lane = dx_wire_get_number(job->arguments, "lane", DX_WIRE_MAX_FDS);
    struct dx_process_device *const device = dx_process_find_device(job);
    struct dx_process_session *session = device ? find_number(process, number) : NULL;
    if (device && !number)
        (void)dx_process_job_fail(job, kIOReturnBadArgument, "a session needs a number");
    else if (session && session->device != device)
        (void)dx_process_job_fail(job, kIOReturnBusy, "session %016llx is one of another device",
                                  (unsigned long long)number);
    else if (device && !session && process->session_count >= DX_PROCESS_MAX_SESSIONS)
        (void)dx_process_job_fail(job, kIOReturnNoResources, "the driver has %u sessions already",
                                  DX_PROCESS_MAX_SESSIONS);
    else if (device && !session && !(session = add_session(process, device, number)))
        (void)dx_process_job_fail(job, kIOReturnNoMemory, "no memory for the session");
    if (job->status != kIOReturnSuccess) {
        dx_process_job_end(job);
        return;
    }
    job->device = device;
    job->session = session;
    job->fd = lane < message->fd_count ? dx_message_take_fd(message, (uint32_t)lane) : -1;
    job->run = run_join;
    job->done = finish_join;
    (void)dx_process_job_start(job, device->queue);
}

/* About a session that is there. */
static bool
start_session_job(struct dx_process_job *job, void (*run)(struct dx_process_job *job))
{
    struct dx_process_session *const session = find_session(job);
    if (!session) {
        dx_process_job_end(job);
        return false;
    }
    job->device = session->device;
    job->session = session;
    job->run = run;
    return dx_process_job_start(job, session->device->queue);
}

void
dx_process_start(struct dx_process_job *job, struct dx_message *message)
{
    (void)message;
    (void)start_session_job(job, run_start);
}

void
dx_process_stop(struct dx_process_job *job, struct dx_message *message)
{
    (void)message;
    (void)start_session_job(job, run_stop);
}

void
dx_process_tune(struct dx_process_job *job, struct dx_message *message)
{
    (void)message;
    (void)start_session_job(job, run_tune);
}

/* From here on its number is free; it is gone when all that was asked for before has been done. */
static void
forget(struct dx_driver_process *process, struct dx_process_session *session)
{
    unlink_session(process, session);
    session->has_joined = false;
}

void
dx_process_leave(struct dx_process_job *job, struct dx_message *message)
{
    (void)message;
    struct dx_driver_process *const process = job->process;
    struct dx_process_session *const session =
        find_number(process, dx_wire_get_number(job->arguments, DX_KEY_SESSION, 0));
    if (start_session_job(job, run_leave))
        forget(process, session);
}

static void
run_check(struct dx_process_job *job)
{
    struct dx_process_session *const session = job->session;
    if (!session->member || !dx_member_is_cut_off(session->member))
        return;
    job->status = kIOReturnUnsupportedMode;
    leave(job->process, session);
}

static void
finish_check(struct dx_process_job *job)
{
    struct dx_process_session *const session = job->session;
    if (job->status == kIOReturnSuccess || session->has_left)
        return;
    forget(job->process, session);
    OSDictionary *event = dx_process_event(DX_EVENT_CUT_OFF);
    if (event && !OSDictionarySetUInt64Value(event, DX_KEY_SESSION, session->number))
        OSSafeReleaseNULL(event);
    (void)dx_process_send(job->process, event, NULL, 0);
}

void
dx_process_check_sessions(struct dx_driver_process *process, struct dx_process_device *device)
{
    for (struct dx_process_session *session = process->sessions, *next; session; session = next) {
        next = session->next;
        struct dx_process_job *const job =
            session->device == device ? dx_process_job_create(process, run_check, finish_check) : NULL;
        if (!job)
            continue; // of another device; or there is no memory: it stays cut off
        job->device = device;
        job->session = session;
        (void)dx_process_job_start(job, device->queue);
    }
}

void
dx_process_leave_all(struct dx_driver_process *process)
{
    while (process->sessions) {
        struct dx_process_session *const session = process->sessions;
        struct dx_process_job *const job = dx_process_job_create(process, run_leave, NULL);
        if (job) {
            job->device = session->device;
            job->session = session;
        }
        if (!job || !dx_process_job_start(job, session->device->queue))
            dx_process_log("no memory to let a session leave");
        if (process->sessions == session)
            forget(process, session);
    }
}
