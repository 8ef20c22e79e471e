// SPDX-License-Identifier: MIT
// Interfaces taken from the kernel's drivers, and given back: calls that wait until a driver has come or gone, half a
// second for a network adapter, and so are made in a thread of their own.

#include "host/supervisor/usb.h"

#include <dextral/IODispatchQueue.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define LOOK_AGAIN_NS (20 * (long)DX_NS_PER_MS)
#define LOOKS_AT_MOST 150u // 3 s

struct job {
    struct job *next;
    struct dx_usb_jobs *jobs;
    int node;             // to take: the driver's; -1: to give back
    char *path;           // to give back
    uint32_t interfaces;  // bits, by number
    uint64_t unit;        // to take: whose
    uint32_t incarnation; // of its process
};

struct dx_usb_jobs {
    struct dx_supervisor *supervisor;
    IODispatchQueue *queue;
    struct job *list; // the loop's
};

/* ---- in the thread ---- */

/* "": no driver has it. */
static int
read_driver(int node, unsigned interface, char driver[USBDEVFS_MAXDRIVERNAME + 1])
{
    struct usbdevfs_getdriver request = {.interface = interface};
    const int r = ioctl(node, USBDEVFS_GETDRIVER, &request) == 0 ? 0 : -errno;
    memcpy(driver, request.driver, USBDEVFS_MAXDRIVERNAME);
    driver[r == 0 ? USBDEVFS_MAXDRIVERNAME : 0] = '\0';
    return r == -ENODATA ? 0 : r;
}

static bool
call_driver(int node, unsigned interface, unsigned long code)
{
    struct usbdevfs_ioctl request = {.ifno = (int)interface, .ioctl_code = (int)code};
    return ioctl(node, USBDEVFS_IOCTL, &request) >= 0;
}

/* Of a program's interface that is claimed, the kernel will tell the driver. */
static void
take_interface(int node, unsigned interface)
{
    char driver[USBDEVFS_MAXDRIVERNAME + 1];
    if (read_driver(node, interface, driver) == 0 && driver[0] && strcmp(driver, "usbfs") != 0 &&
        !call_driver(node, interface, USBDEVFS_DISCONNECT) && errno != ENODATA && errno != ENODEV)
        dx_log("interface %u: the kernel's driver %s does not give way: %s", interface, driver, strerror(errno));
}

/* A process that was killed has it until it is gone altogether. */
static void
give_interface(int node, unsigned interface)
{
    char driver[USBDEVFS_MAXDRIVERNAME + 1];
    const struct timespec moment = {.tv_nsec = LOOK_AGAIN_NS};
    for (unsigned i = 0; i < LOOKS_AT_MOST; i++) {
        if (read_driver(node, interface, driver) != 0)
            return; // it has left, or has no such interface now
        if (!driver[0])
            break;
        if (strcmp(driver, "usbfs") != 0)
            return; // the kernel has it again
        (void)nanosleep(&moment, NULL);
    }
    (void)call_driver(node, interface, USBDEVFS_CONNECT); // where no driver wants it, nobody has it, as before
}

static void
end_job(void *context)
{
    struct job *const job = context;
    struct dx_usb_jobs *const jobs = job->jobs;
    struct dx_unit *const unit = job->node >= 0 ? dx_unit_find_number(jobs->supervisor, job->unit) : NULL;
    for (struct job **at = &jobs->list; *at; at = &(*at)->next) {
        if (*at == job) {
            *at = job->next;
            break;
        }
    }
    if (job->node >= 0)
        close(job->node); // before the driver is told: it is the same open file
    if (unit && unit->usb && unit->incarnation == job->incarnation)
        dx_usb_unit_ready(unit);
    free(job->path);
    free(job);
}

static void
run_job(void *context)
{
    struct job *const job = context;
    const int node = job->node >= 0 ? job->node : open(job->path, O_RDWR | O_CLOEXEC);
    if (node < 0 && errno != ENOENT && errno != ENODEV)
        dx_log("%s cannot be given back to the kernel: %s: plug it out and in again", job->path, strerror(errno));
    for (unsigned i = 0; node >= 0 && i < DX_USB_MAX_INTERFACES; i++) {
        if (!(job->interfaces & 1u << i))
            continue;
        if (job->node >= 0)
            take_interface(node, i);
        else
            give_interface(node, i);
    }
    if (node >= 0 && job->node < 0)
        close(node);
    const struct timespec moment = {.tv_nsec = LOOK_AGAIN_NS};
    while (!dx_loop_post(job->jobs->supervisor->loop, end_job, job))
        (void)nanosleep(&moment, NULL); // what was done has to be told: there may be memory soon
}

/* ---- on the loop ---- */

static bool
start_job(struct dx_usb_jobs *jobs, const struct job *from)
{
    struct job *const job = malloc(sizeof *job);
    if (!job)
        return false;
    *job = *from;
    job->jobs = jobs;
    if (IODispatchQueueDispatchAsync_f(jobs->queue, job, run_job) != kIOReturnSuccess) {
        free(job);
        return false;
    }
    job->next = jobs->list;
    jobs->list = job;
    return true;
}

bool
dx_usb_jobs_take(struct dx_usb_jobs *jobs, const struct dx_unit *unit, int node, uint32_t interfaces)
{
    const int copy = fcntl(node, F_DUPFD_CLOEXEC, 0);
    const struct job job = {
        .node = copy,
        .interfaces = interfaces,
        .unit = unit->number,
        .incarnation = unit->incarnation,
    };
    const bool done = copy >= 0 && start_job(jobs, &job);
    if (copy >= 0 && !done)
        close(copy);
    return done;
}

void
dx_usb_jobs_give(struct dx_usb_jobs *jobs, const struct dx_usb_plugged *device, uint32_t interfaces)
{
    char *const path = dx_usb_node_path(dx_usb_nodes_folder(), device);
    const struct job job = {.node = -1, .path = path, .interfaces = interfaces};
    if (!path || !start_job(jobs, &job)) {
        dx_log("no memory to give %s back to the kernel: plug it out and in again", device->port);
        free(path);
    }
}

struct dx_usb_jobs *
dx_usb_jobs_create(struct dx_supervisor *supervisor)
{
    struct dx_usb_jobs *const jobs = calloc(1, sizeof *jobs);
    if (!jobs)
        return NULL;
    jobs->supervisor = supervisor;
    if (IODispatchQueueCreate("dextral-usb", 0, 0, &jobs->queue) == kIOReturnSuccess)
        return jobs;
    free(jobs);
    return NULL;
}

static void
do_nothing(void *context)
{
    (void)context;
}

void
dx_usb_jobs_destroy(struct dx_usb_jobs *jobs)
{
    if (!jobs)
        return;
    (void)IODispatchQueueDispatchSync_f(jobs->queue, NULL, do_nothing); // the last one has been done
    OSObjectRelease(jobs->queue);
    for (struct job *job = jobs->list, *next; job; job = next) { // posted, and the loop does not run any more
        next = job->next;
        if (job->node >= 0)
            close(job->node);
        free(job->path);
        free(job);
    }
    free(jobs);
}
