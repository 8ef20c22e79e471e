// SPDX-License-Identifier: MIT
// A program's connection to the supervisor.

#include "host/connection.h"

#include "core/clock.h"
#include "host/error.h"
#include "host/paths.h"
#include "host/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SHORTEST_PAUSE_NS 50000000u  // before the second attempt to connect again
#define LONGEST_PAUSE_NS 1000000000u // sessions that nobody claims end after 3 s
#define LONGEST_SEND_PAUSE_MS 100    // the connection may end while there is no room

/* Somebody waits for an answer. */
struct waiter {
    struct waiter *next;
    uint64_t id;
    const struct dx_request *request;
    bool is_done;
    bool is_lost; // the connection has ended
    kern_return_t status;
    struct dx_message answer;
};

struct dx_connection {
    const struct dx_connection_hooks *hooks;
    void *context;
    char *path;
    char *name;
    uint64_t timeout_ns;
    _Atomic uint32_t *mark; // 1; wiped in a child after fork()
    int wake_fd;
    dx_task *task;

    pthread_mutex_t lock; // guards what follows
    pthread_cond_t changed;
    const void *self; // dx_task_self() of the one that receives
    int socket;       // -1: none; closed by its thread alone
    bool is_broken;   // the socket is of no more use
    bool is_ready;    // the hello was said, and greet() was successful
    bool is_ending;
    bool is_wanted;    // somebody waits for an attempt to connect that has not yet begun
    uint32_t attempts; // that have begun
    uint32_t attempts_ended;
    kern_return_t failure; // of the last attempt
    dx_error failure_text;
    uint64_t pause_ns;
    uint64_t next_attempt_ns;
    uint64_t last_id;
    struct waiter *waiters;
};

const _Atomic uint32_t *
dx_connection_mark(const struct dx_connection *connection)
{
    return connection->mark;
}

bool
dx_connection_is_forked(const struct dx_connection *connection)
{
    /* relaxed: written before there were others, and by the kernel. */
    return atomic_load_explicit(connection->mark, memory_order_relaxed) == 0;
}

void
dx_connection_lock(struct dx_connection *connection)
{
    (void)pthread_mutex_lock(&connection->lock); // fails for a mutex that is none
}

void
dx_connection_unlock(struct dx_connection *connection)
{
    (void)pthread_mutex_unlock(&connection->lock); // the same
}

static uint64_t
now_ns(void)
{
    return dx_clock_now_ns(dx_clock_host());
}

static uint64_t
find_deadline(const struct dx_connection *connection)
{
    const uint64_t now = now_ns();
    return connection->timeout_ns < DX_NEVER - now ? now + connection->timeout_ns : DX_NEVER;
}

/* For poll(): rounded up, at least 0; -1: no limit. */
static int
milliseconds_until(uint64_t deadline_ns)
{
    if (deadline_ns == DX_NEVER)
        return -1;
    const uint64_t now = now_ns();
    const uint64_t left = deadline_ns > now ? (deadline_ns - now + 999999u) / 1000000u : 0;
    return left < INT32_MAX ? (int)left : INT32_MAX;
}

static void
wake_thread(const struct dx_connection *connection)
{
    const uint64_t one = 1;
    (void)!write(connection->wake_fd, &one, sizeof one); // fails when it is full, and that wakes as well
}

/* ---- receiving ---- */

static struct waiter **
find_waiter(struct dx_connection *connection, uint64_t id)
{
    struct waiter **at = &connection->waiters;
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

static kern_return_t
read_status(const OSDictionary *body)
{
    return (kern_return_t)(uint32_t)dx_wire_get_number(body, DX_KEY_STATUS, (uint32_t)kIOReturnInternalError);
}

static void
take_answer(struct dx_connection *connection, struct dx_message *message)
{
    struct waiter **const at = find_waiter(connection, dx_wire_get_number(message->body, DX_KEY_ANSWER, 0));
    struct waiter *const waiter = *at;
    if (!waiter) // it has given up
        return;
    *at = waiter->next;
    waiter->status = read_status(message->body);
    if (waiter->request->answered)
        waiter->request->answered(waiter->request->context, waiter->status, message);
    waiter->answer = *message;
    *message = (struct dx_message){0};
    waiter->is_done = true;
    (void)pthread_cond_broadcast(&connection->changed);
}

/* Takes in everything that has come.  On the thread, without the lock. */
static void
receive_all(struct dx_connection *connection)
{
    struct dx_message message = {0};
    int r;
    while ((r = dx_wire_receive(connection->socket, &message)) == 1) {
        dx_connection_lock(connection);
        if (OSDictionaryGetObject(message.body, DX_KEY_ANSWER))
            take_answer(connection, &message);
        else if (dx_wire_get_string(message.body, DX_KEY_EVENT))
            connection->hooks->event(connection->context, &message);
        dx_connection_unlock(connection);
        dx_message_finish(&message);
    }
    if (r == -EAGAIN)
        return;
    dx_connection_lock(connection);
    connection->is_broken = true;
    dx_connection_unlock(connection);
}

/* Waits for the socket, if there is one, and for being woken.  On the thread, without the lock. */
static void
wait_for_more(struct dx_connection *connection, uint64_t deadline_ns)
{
    struct pollfd fds[] = {
        {.fd = connection->wake_fd, .events = POLLIN},
        {.fd = connection->socket, .events = POLLIN},
    };
    if (poll(fds, 2, milliseconds_until(deadline_ns)) <= 0)
        return;
    uint64_t count;
    if (fds[0].revents)
        (void)!read(connection->wake_fd, &count, sizeof count); // why, is said by what it guards
    if (fds[1].revents)
        receive_all(connection);
}

/* ---- asking ---- */

static bool
is_connected(const struct dx_connection *connection)
{
    return connection->socket >= 0 && !connection->is_broken;
}

static bool
may_ask(const struct dx_connection *connection)
{
    return is_connected(connection) && (connection->is_ready || dx_task_self() == connection->self);
}

/* With the lock, which is given up meanwhile.  @return false at the deadline. */
static bool
wait_for_change(struct dx_connection *connection, uint64_t deadline_ns)
{
    const uint64_t seconds = deadline_ns / 1000000000u < INT32_MAX ? deadline_ns / 1000000000u : INT32_MAX;
    const struct timespec deadline = {.tv_sec = (time_t)seconds, .tv_nsec = (long)(deadline_ns % 1000000000u)};
    return pthread_cond_timedwait(&connection->changed, &connection->lock, &deadline) != ETIMEDOUT;
}

/* Waits for an attempt to connect that begins now: one that is under way may have found nobody.  With the lock. */
static kern_return_t
ask_for_connection(struct dx_connection *connection, uint64_t deadline_ns, dx_error *error)
{
    const uint32_t attempt = connection->attempts + 1u;
    connection->is_wanted = true;
    wake_thread(connection);
    while (!may_ask(connection) && (int32_t)(connection->attempts_ended - attempt) < 0) {
        if (!wait_for_change(connection, deadline_ns))
            return dx_error_set(error, kIOReturnTimeout, "the supervisor does not answer");
    }
    if (may_ask(connection))
        return kIOReturnSuccess;
    /* What was wrong with the socket or the one behind it comes to the same for who asks. */
    (void)dx_error_set(error, kIOReturnNotReady, "%s", connection->failure_text.message);
    return connection->failure == kIOReturnUnsupported ? kIOReturnUnsupported : kIOReturnNotReady;
}

/* With the lock, which is given up while there is no room. */
static kern_return_t
send_request(struct dx_connection *connection, const struct waiter *waiter, uint64_t deadline_ns)
{
    const struct dx_request *const request = waiter->request;
    for (;;) {
        if (waiter->is_lost)
            return kIOReturnNotReady;
        const int r = dx_wire_send(connection->socket, request->body, request->fds, request->fd_count);
        if (r == 0)
            return kIOReturnSuccess;
        if (r == -ENOMEM)
            return kIOReturnNoMemory;
        if (r == -EMSGSIZE)
            return kIOReturnNoSpace;
        if (r != -EAGAIN) { // its end, which the thread may not have seen yet
            connection->is_broken = true;
            wake_thread(connection);
            return kIOReturnNotReady;
        }
        if (now_ns() >= deadline_ns)
            return kIOReturnTimeout;
        /* The number may mean something else by then: a moment later it is looked at again. */
        struct pollfd room = {.fd = connection->socket, .events = POLLOUT};
        dx_connection_unlock(connection);
        (void)poll(&room, 1, LONGEST_SEND_PAUSE_MS);
        dx_connection_lock(connection);
    }
}

/* With the lock, which is given up meanwhile. */
static void
wait_for_answer(struct dx_connection *connection, const struct waiter *waiter, uint64_t deadline_ns)
{
    const bool is_thread = dx_task_self() == connection->self;
    while (!waiter->is_done && !waiter->is_lost && now_ns() < deadline_ns &&
           !(is_thread && (connection->is_ending || connection->is_broken))) {
        if (is_thread) { // nobody else would receive it
            dx_connection_unlock(connection);
            wait_for_more(connection, deadline_ns);
            dx_connection_lock(connection);
        } else {
            (void)wait_for_change(connection, deadline_ns); // the loop looks at the clock
        }
    }
}

static void
delist(struct dx_connection *connection, const struct waiter *waiter)
{
    struct waiter **const at = find_waiter(connection, waiter->id);
    if (*at)
        *at = waiter->next;
}

/* Gives it a number and sends it.  With the lock. */
static kern_return_t
send_once(struct dx_connection *connection, struct waiter *waiter, uint64_t deadline_ns)
{
    const struct dx_request *const request = waiter->request;
    waiter->id = ++connection->last_id;
    waiter->is_lost = false;
    if (!OSDictionarySetStringValue(request->body, DX_KEY_OPERATION, request->operation) ||
        !OSDictionarySetUInt64Value(request->body, DX_KEY_ID, waiter->id))
        return kIOReturnNoMemory;
    waiter->next = connection->waiters;
    connection->waiters = waiter;
    const kern_return_t status = send_request(connection, waiter, deadline_ns);
    if (status != kIOReturnSuccess)
        delist(connection, waiter);
    return status;
}

/* With the lock.  What could not be sent is sent to the next supervisor, if there is one. */
static kern_return_t
send_to_somebody(struct dx_connection *connection, struct waiter *waiter, uint64_t deadline_ns, dx_error *error)
{
    const bool is_thread = dx_task_self() == connection->self;
    for (;;) {
        kern_return_t status = kIOReturnSuccess;
        if (!may_ask(connection))
            status = is_thread ? dx_error_set(error, kIOReturnNotReady, "the supervisor is gone")
                               : ask_for_connection(connection, deadline_ns, error);
        if (status != kIOReturnSuccess)
            return status;
        status = send_once(connection, waiter, deadline_ns);
        if (status == kIOReturnSuccess)
            return status;
        if (status != kIOReturnNotReady || is_thread)
            return dx_error_set(error, status, "%s: %s", waiter->request->operation, dx_return_string(status));
    }
}

/* With the lock. */
static kern_return_t
ask(struct dx_connection *connection, struct waiter *waiter, dx_error *error)
{
    const uint64_t deadline_ns = find_deadline(connection);
    const kern_return_t sent = send_to_somebody(connection, waiter, deadline_ns, error);
    if (sent != kIOReturnSuccess)
        return sent;
    wait_for_answer(connection, waiter, deadline_ns);
    if (waiter->is_done) {
        const char *const why = waiter->answer.body ? dx_wire_get_string(waiter->answer.body, DX_KEY_ERROR) : NULL;
        return dx_error_set(error, waiter->status, "%s", why ? why : dx_return_string(waiter->status));
    }
    delist(connection, waiter);
    if (waiter->is_lost || !is_connected(connection))
        return dx_error_set(error, kIOReturnNotReady, "%s: the supervisor is gone", waiter->request->operation);
    return dx_error_set(error, kIOReturnTimeout, "%s: the supervisor does not answer", waiter->request->operation);
}

kern_return_t
dx_connection_request(struct dx_connection *connection, const struct dx_request *request,
                      struct dx_message *ret_answer, dx_error *error)
{
    struct waiter waiter = {.request = request};
    if (ret_answer)
        *ret_answer = waiter.answer;
    if (dx_connection_is_forked(connection))
        return dx_error_set(error, kIOReturnNotAttached, "the connection belongs to the parent process");
    if (!request->body)
        return dx_error_set(error, kIOReturnNoMemory, "no memory");
    dx_connection_lock(connection);
    const kern_return_t status = ask(connection, &waiter, error);
    dx_connection_unlock(connection);
    if (ret_answer)
        *ret_answer = waiter.answer;
    else
        dx_message_finish(&waiter.answer);
    return status;
}

/* ---- connecting ---- */

static kern_return_t
describe_refusal(const char *path, int error_number, dx_error *error)
{
    switch (error_number) {
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
        return dx_error_set(error, kIOReturnNotFound, "%s: no supervisor runs there; `dextral serve` starts one",
                            path);
    case EACCES:
    case EPERM:
        return dx_error_set(error, kIOReturnNotPermitted, "%s: %s", path, strerror(error_number));
    case EAGAIN:
        return dx_error_set(error, kIOReturnTimeout, "%s: the supervisor does not answer", path);
    case EPROTOTYPE:
    case ENOTSOCK:
        return dx_error_set(error, kIOReturnUnsupported, "%s: no socket of a supervisor", path);
    default:
        return dx_error_set(error, kIOReturnNoResources, "%s: %s", path, strerror(error_number));
    }
}

/* Whoever serves there could read and change what is played: it must be this user or root; root trusts whom he
 * asks. */
static kern_return_t
check_peer(int fd, const char *path, dx_error *error)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return describe_refusal(path, errno, error);
    if (peer.uid == geteuid() || peer.uid == 0 || geteuid() == 0)
        return kIOReturnSuccess;
    return dx_error_set(error, kIOReturnNotPermitted, "%s: the supervisor is of user %u", path,
                        (unsigned)peer.uid);
}

static kern_return_t
connect_socket(const struct dx_connection *connection, int *ret_fd, dx_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(connection->path) >= sizeof address.sun_path)
        return dx_error_set(error, kIOReturnBadArgument, "%s: the path is too long for a socket",
                            connection->path);
    strcpy(address.sun_path, connection->path);
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return describe_refusal(connection->path, errno, error);

    /* A supervisor that accepts nobody makes connect() wait. */
    const struct timeval limit = {.tv_sec = (time_t)(connection->timeout_ns / 1000000000u),
                                  .tv_usec = (suseconds_t)(connection->timeout_ns / 1000u % 1000000u)};
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit); // then it waits for longer
    int r;
    do
        r = connect(fd, (const struct sockaddr *)&address, sizeof address);
    while (r < 0 && errno == EINTR);
    kern_return_t status =
        r < 0 ? describe_refusal(connection->path, errno, error) : check_peer(fd, connection->path, error);
    if (status == kIOReturnSuccess && fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        status = describe_refusal(connection->path, errno, error);
    if (status != kIOReturnSuccess) {
        close(fd);
        return status;
    }
    *ret_fd = fd;
    return kIOReturnSuccess;
}

static OSDictionary *
create_hello(const struct dx_connection *connection)
{
    OSDictionary *hello = OSDictionaryCreate(8);
    if (hello && !(OSDictionarySetStringValue(hello, DX_KEY_ROLE, "client") &&
                   OSDictionarySetUInt64Value(hello, DX_KEY_MAJOR, DX_PROTOCOL_MAJOR) &&
                   OSDictionarySetUInt64Value(hello, DX_KEY_MINOR, DX_PROTOCOL_MINOR) &&
                   OSDictionarySetStringValue(hello, DX_KEY_NAME, connection->name) &&
                   dx_wire_set_bool(hello, "events", true)))
        OSSafeReleaseNULL(hello);
    return hello;
}

static kern_return_t
say_hello(struct dx_connection *connection, dx_error *error)
{
    OSDictionary *const body = create_hello(connection);
    struct dx_message answer;
    kern_return_t status = dx_connection_request(
        connection, &(struct dx_request){.operation = DX_OP_HELLO, .body = body}, &answer, error);
    if (status == kIOReturnSuccess) {
        const uint64_t major = dx_wire_get_number(answer.body, DX_KEY_MAJOR, 0);
        if (major != DX_PROTOCOL_MAJOR)
            status =
                dx_error_set(error, kIOReturnUnsupported,
                             "the supervisor speaks version %llu of the protocol, this program %u: restart the "
                             "older of the two",
                             (unsigned long long)major, DX_PROTOCOL_MAJOR);
    }
    dx_message_finish(&answer);
    OSObjectRelease(body);
    return status;
}

/* The connection has ended.  On the thread, without the lock. */
static void
lose(struct dx_connection *connection)
{
    dx_connection_lock(connection);
    close(connection->socket);
    connection->socket = -1;
    connection->is_broken = false;
    const bool was_ready = connection->is_ready;
    connection->is_ready = false;
    for (struct waiter *waiter = connection->waiters; waiter; waiter = waiter->next)
        waiter->is_lost = true;
    connection->waiters = NULL;
    if (was_ready)
        connection->hooks->lost(connection->context);
    (void)pthread_cond_broadcast(&connection->changed);
    dx_connection_unlock(connection);
}

static kern_return_t
connect_now(struct dx_connection *connection, dx_error *error)
{
    int fd = -1;
    kern_return_t status = connect_socket(connection, &fd, error);
    if (status != kIOReturnSuccess)
        return status;
    dx_connection_lock(connection);
    connection->socket = fd;
    dx_connection_unlock(connection);
    status = say_hello(connection, error);
    if (status == kIOReturnSuccess)
        status = connection->hooks->greet(connection->context, error);
    if (status != kIOReturnSuccess) {
        lose(connection);
        return status;
    }
    dx_connection_lock(connection);
    connection->is_ready = true;
    dx_connection_unlock(connection);
    return kIOReturnSuccess;
}

/* One attempt to connect again.  On the thread, without the lock. */
static void
connect_again(struct dx_connection *connection)
{
    dx_error error = {{0}};
    dx_connection_lock(connection);
    connection->attempts++;
    connection->is_wanted = false;
    dx_connection_unlock(connection);
    const kern_return_t status = connect_now(connection, &error);
    dx_connection_lock(connection);
    connection->failure = status;
    connection->failure_text = error;
    connection->attempts_ended = connection->attempts;
    if (status == kIOReturnSuccess)
        connection->pause_ns = 0;
    else if (connection->pause_ns)
        connection->pause_ns =
            connection->pause_ns < LONGEST_PAUSE_NS / 2u ? 2u * connection->pause_ns : LONGEST_PAUSE_NS;
    else
        connection->pause_ns = SHORTEST_PAUSE_NS;
    connection->next_attempt_ns = now_ns() + connection->pause_ns;
    (void)pthread_cond_broadcast(&connection->changed);
    dx_connection_unlock(connection);
}

/* ---- the thread ---- */

enum step {
    STEP_WAIT,
    STEP_LOSE,
    STEP_CONNECT,
    STEP_END,
};

/* With the lock. */
static enum step
choose_step(struct dx_connection *connection, uint64_t *ret_deadline_ns)
{
    *ret_deadline_ns = DX_NEVER;
    if (connection->is_ending)
        return STEP_END;
    if (connection->socket >= 0)
        return connection->is_broken ? STEP_LOSE : STEP_WAIT;
    if (connection->is_wanted)
        return STEP_CONNECT;
    if (!connection->hooks->is_needed(connection->context))
        return STEP_WAIT;
    *ret_deadline_ns = connection->next_attempt_ns;
    return now_ns() >= connection->next_attempt_ns ? STEP_CONNECT : STEP_WAIT;
}

static void
run_connection(void *argument)
{
    struct dx_connection *const connection = argument;
    dx_connection_lock(connection);
    connection->self = dx_task_self();
    dx_connection_unlock(connection);
    for (;;) {
        connection->hooks->rest(connection->context);
        uint64_t deadline_ns;
        dx_connection_lock(connection);
        const enum step step = choose_step(connection, &deadline_ns);
        dx_connection_unlock(connection);
        if (step == STEP_END)
            return;
        if (step == STEP_LOSE)
            lose(connection);
        else if (step == STEP_CONNECT)
            connect_again(connection);
        else
            wait_for_more(connection, deadline_ns);
    }
}

/* ---- opening and closing ---- */

/* A page that fork() wipes. */
static _Atomic uint32_t *
map_mark(void)
{
    const size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    void *const page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return NULL;
    (void)madvise(page, bytes, MADV_WIPEONFORK); // Linux 4.14; before it a child has to know by itself
    _Atomic uint32_t *const mark = page;
    atomic_store_explicit(mark, 1, memory_order_relaxed); // nobody else has it yet
    return mark;
}

static void
unmap_mark(_Atomic uint32_t *mark)
{
    if (mark)
        (void)munmap((void *)(uintptr_t)mark, (size_t)sysconf(_SC_PAGESIZE));
}

static void
free_connection(struct dx_connection *connection)
{
    if (connection->socket >= 0)
        close(connection->socket);
    if (connection->wake_fd >= 0)
        close(connection->wake_fd);
    unmap_mark(connection->mark);
    free(connection->path);
    free(connection->name);
    free(connection);
}

static void
init_locks(struct dx_connection *connection)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);                      // none of these
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC); // can fail
    (void)pthread_cond_init(&connection->changed, &attributes);    // on Linux
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&connection->lock, NULL);
}

static kern_return_t
prepare(struct dx_connection *connection, const struct dx_connection_config *config, dx_error *error)
{
    kern_return_t status = kIOReturnSuccess;
    if (config->socket_path)
        connection->path = strdup(config->socket_path);
    else
        status = dx_paths_socket(&connection->path, error);
    if (status != kIOReturnSuccess)
        return status;
    connection->name = strdup(config->name);
    connection->mark = map_mark();
    if (!connection->path || !connection->name || !connection->mark)
        return dx_error_set(error, kIOReturnNoMemory, "no memory");
    connection->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (connection->wake_fd < 0)
        return dx_error_set(error, kIOReturnNoResources, "no descriptor: %s", strerror(errno));
    return kIOReturnSuccess;
}

kern_return_t
dx_connection_open(const struct dx_connection_config *config, struct dx_connection **ret_connection,
                   dx_error *error)
{
    struct dx_connection *const connection = calloc(1, sizeof *connection);
    if (!connection)
        return dx_error_set(error, kIOReturnNoMemory, "no memory");
    connection->hooks = config->hooks;
    connection->context = config->context;
    connection->timeout_ns = config->timeout_ns;
    connection->socket = -1;
    connection->wake_fd = -1;
    kern_return_t status = prepare(connection, config, error);
    if (status != kIOReturnSuccess) {
        free_connection(connection);
        return status;
    }
    init_locks(connection);
    *ret_connection = connection; // the hooks need it
    connection->self = dx_task_self();
    status = connect_now(connection, error);
    const dx_task_config task = {.name = "dextral"};
    if (status == kIOReturnSuccess) {
        connection->self = NULL; // the thread says who it is
        status = dx_task_spawn(dx_clock_host(), &task, run_connection, connection, &connection->task);
        if (status != kIOReturnSuccess)
            (void)dx_error_set(error, status, "no thread");
    }
    if (status != kIOReturnSuccess) {
        dx_connection_close(connection);
        *ret_connection = NULL;
    }
    return status;
}

void
dx_connection_close(struct dx_connection *connection)
{
    if (!connection)
        return;
    if (!dx_connection_is_forked(connection)) { // else there is no thread, and nobody knows who had the lock
        dx_connection_lock(connection);
        connection->is_ending = true;
        dx_connection_unlock(connection);
        wake_thread(connection);
        dx_task_join(connection->task);
        (void)pthread_mutex_destroy(&connection->lock);
        (void)pthread_cond_destroy(&connection->changed);
    }
    free_connection(connection);
}
