// SPDX-License-Identifier: MIT
// A supervisor, a real one, in folders of a test's own, and programs that talk to it by hand.

#ifndef DX_TESTS_HOST_SUPERVISOR_RIG_H
#define DX_TESTS_HOST_SUPERVISOR_RIG_H

#include "audio/lane.h"
#include "audio/page.h"
#include "host/protocol.h"
#include "host/wire.h"
#include "tests/core/check.h"

#include <string.h>
#include <sys/types.h>

#define RIG_KEPT 512u

struct machine {
    char folder[64]; // runtime, config, state and drivers are in it
    char socket_path[96];
    char log_path[96]; // what the supervisor says
    pid_t supervisor;  // 0: none
    /* How it is started; all-zero is usual. */
    bool is_without_descriptors; // 0, 1 and 2 are closed
    int log_fd;                  // 0: what it says goes to log_path
    unsigned most_descriptors;   // 0: as many as this process may have
};

/* A program; its messages are kept until somebody asks for them. */
struct caller {
    int socket;
    uint64_t last_id;
    uint32_t kept_count;
    struct dx_message kept[RIG_KEPT];
};

/** Makes folders and sets the environment for what is started from now on; this process gets what others leave. */
void machine_create(struct machine *machine);
/** Starts the supervisor with further arguments, NULL at the end, and waits until it says that it is ready. */
void machine_start(struct machine *machine, const char *const *arguments);
/** Sends a signal, waits for the end, 10 s at most, and gives what waitpid() tells. */
int machine_end(struct machine *machine, int signal_number);
/** Ends everything in good order, checks that no process is left, and removes the folders. */
void machine_destroy(struct machine *machine);
/** Whether the supervisor has said this. */
bool machine_has_said(const struct machine *machine, const char *text);
/** Waits until it is so, 10 s at most. */
void machine_wait_said(const struct machine *machine, const char *text);

/** A copy of the bundle that goes wrong, in the driver folder: org.dextral.test.NAME, device UID NAME. */
void machine_add_bundle(const struct machine *machine, const char *name, const char *fault);

/** Connects without a hello; false when nobody listens. */
bool caller_connect(struct caller *caller, const struct machine *machine);
/** Connects and says hello as `name`, with events. */
void caller_open(struct caller *caller, const struct machine *machine, const char *name);
void caller_close(struct caller *caller);

/** A request with its name; +1. */
OSDictionary *request(const char *operation);
OSDictionary *request_about(const char *operation, const char *uid);
OSDictionary *request_of(const char *operation, uint64_t session);
void set_number(OSDictionary *body, const char *key, uint64_t value);
void set_text(OSDictionary *body, const char *key, const char *value);

/** Sends, and waits for the answer, 40 s at most: the status.  The body is taken; `ret_answer` may be NULL. */
kern_return_t ask(struct caller *caller, OSDictionary *body, const int *fds, uint32_t fd_count,
                  struct dx_message *ret_answer);
/** As above, and the sentence must hold a text. */
void ask_refused(struct caller *caller, OSDictionary *body, const int *fds, uint32_t fd_count,
                 kern_return_t wanted, const char *text);
/** Sends only.  @return its number. */
uint64_t send_request(struct caller *caller, OSDictionary *body, const int *fds, uint32_t fd_count);
kern_return_t wait_answer(struct caller *caller, uint64_t id, struct dx_message *ret_answer);
/** Waits for an event of that name, 15 s at most. */
void wait_event(struct caller *caller, const char *event, struct dx_message *ret_event);
/** Whether an event of that name comes in time; it is dropped. */
bool has_event(struct caller *caller, const char *event, int timeout_ms);

/** Declares a cable of that name, which is its UID too. */
void create_cable(struct caller *caller, const char *uid);
/** +1 */
OSDictionary *describe(struct caller *caller, const char *uid);
/** Waits until a device is in a state, 15 s at most. */
void wait_state(struct caller *caller, const char *uid, const char *state);
uint64_t describe_number(struct caller *caller, const char *uid, const char *key);

/** About a bundle of the test's, "org.dextral.test.NAME"; +1. */
OSDictionary *request_bundle(const char *operation, const char *name);
void approve(struct caller *caller, const char *name);
/** A key of a bundle in the list of drivers; of a list of texts all, with "; " behind each; "": it has none. */
void read_driver(struct caller *caller, const char *name, const char *key, char *text, size_t size);
/** Whether a text is in that. */
void expect_driver(struct caller *caller, const char *name, const char *key, const char *wanted);
/** By the list: a device of a bundle is not there before its driver has run. */
bool is_listed(struct caller *caller, const char *uid);
/** 15 s at most. */
void wait_listed(struct caller *caller, const char *uid, bool wanted);

/** A lane as a program makes it, for a stereo stream of float. */
void make_lane(struct dx_lane *lane);
/** Opens streams 0 for playing and recording. */
kern_return_t open_session(struct caller *caller, const char *uid, uint64_t session, const struct dx_lane *lane,
                           struct dx_message *ret_answer);
/** Takes the page of an answer or event, checked and mapped. */
const struct dx_device_page *map_page(struct dx_message *message);

int64_t now_ms(void);
void sleep_ms(unsigned ms);

#endif /* DX_TESTS_HOST_SUPERVISOR_RIG_H */
