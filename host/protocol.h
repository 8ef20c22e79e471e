// SPDX-License-Identifier: MIT
// What the supervisor, driver processes and programs say to each other.  docs/design/machine.md has the whole of it.

#ifndef DX_HOST_PROTOCOL_H
#define DX_HOST_PROTOCOL_H

/*
 * The first message of each side is a hello with both numbers.  Another major version is refused with a sentence;
 * another minor one works: unknown keys are ignored, unknown operations are answered kIOReturnUnsupported.
 */
#define DX_PROTOCOL_MAJOR 1u
#define DX_PROTOCOL_MINOR 0u

/* A request has DX_KEY_OPERATION and DX_KEY_ID; its answer has DX_KEY_ANSWER with that id and DX_KEY_STATUS, and
 * DX_KEY_ERROR, a sentence, where it failed.  What has neither is an event: DX_KEY_EVENT. */
#define DX_KEY_OPERATION "op"
#define DX_KEY_ID "id"
#define DX_KEY_ANSWER "re"
#define DX_KEY_STATUS "status"
#define DX_KEY_ERROR "error"
#define DX_KEY_EVENT "event"

#define DX_KEY_MAJOR "major"
#define DX_KEY_MINOR "minor"
#define DX_KEY_ROLE "role" // of a hello: "client" or "driver"
#define DX_KEY_NAME "name"
#define DX_KEY_TOKEN "token" // a driver process proves by it which one it is: 32 hex digits

#define DX_KEY_UID "uid"
#define DX_KEY_SESSION "session" // a client of a device: 64 random bits of its own
#define DX_KEY_DESCRIPTION "description"
#define DX_KEY_INCARNATION "incarnation"

/*
 * A hello is the first message of whoever connects: role, major, minor; of a program also name and events (bool: it wants
 * to be told of every device), of a driver process that connects again also its token.  The answer: major, minor,
 * version (string), pid.
 *
 * Keys that stand for a descriptor (fd) hold its place in the message.  uid is a device's; session and incarnation are
 * numbers.
 */

/* Program to supervisor. */
#define DX_OP_HELLO "hello"
#define DX_OP_LIST "list"               // from -> devices: [description], next (0: the end), default-input, default-output
                                        //   descriptions here and in events are without `formats`
#define DX_OP_DESCRIBE "describe"       // uid, fresh -> description; fresh: a driver is started if need be
#define DX_OP_OPEN "open"               // session, uid, output, input, io-frames, running, lane (fd)
                                        //   -> incarnation, page (fd), ring (fd), member: its place among the page's
                                        //   counters, where a driver runs
#define DX_OP_START "start"             // session -> when the clock is established
#define DX_OP_STOP "stop"               // session
#define DX_OP_CLOSE "close"             // session
#define DX_OP_SET "set"                 // uid, what, ... -> see machine.md
#define DX_OP_GET_PROPERTY "get-property" // uid, selector, scope, element, qualifier -> value
#define DX_OP_VOLUMES "volumes"         // uid -> volumes: [{name, gain-f64, mute}], of programs that are there or not
#define DX_OP_STATISTICS "statistics"   // uid -> of the device and of its clients
#define DX_OP_KINDS "kinds"             // -> kinds: as dx_kinds_describe() (host/kinds.h)
#define DX_OP_CREATE "create"           // kind, options -> uid
#define DX_OP_REMOVE "remove"           // uid
#define DX_OP_SET_DEFAULT "set-default" // uid, direction (0: both, 1: input, 2: output); no uid: none
#define DX_OP_DRIVERS "drivers"         // from -> next (0: the end), drivers: [{bundle, path, version, running-version,
                                        //   state (of machine.md, or "refused"), why, restarts, entitlements, network, programs (granted),
                                        //   open (parts of the sandbox that do not hold), hardware: [text]: what it
                                        //   runs on, or waits for}]
#define DX_OP_APPROVE "approve"         // bundle: identifier or path
#define DX_OP_REVOKE "revoke"           // bundle
#define DX_OP_RESTART "restart"         // bundle or uid: the new version takes over
#define DX_OP_GRANT "grant"             // bundle, program (path), revoke (bool): it may open its user clients
#define DX_OP_INCIDENTS "incidents"     // uid (none: all), since (host ns) -> incidents: [{uid, host-ns, device-time,
                                        //   cause (string), frames, count, client-name, client-pid, text,
                                        //   intervals: {cause: ns}}], oldest first; left-out: how many did not fit
#define DX_OP_RECORDING "recording"     // uid -> recording (fd), read-only: to be read, not mapped, as its writer may cut it
#define DX_OP_USER_CLIENT_OPEN "user-client-open"   // bundle or uid, type -> connection
#define DX_OP_USER_CLIENT_CALL "user-client-call"   // connection, selector... as host/user_client_wire.h has it
#define DX_OP_USER_CLIENT_MAP "user-client-map"     // connection, type -> memory (fd), bytes, options
#define DX_OP_USER_CLIENT_CLOSE "user-client-close" // connection

/* Supervisor to program. */
#define DX_EVENT_DESCRIPTION "description"   // uid, description: it is new, or has changed
#define DX_EVENT_GONE "gone"                 // uid: it is no longer in the directory
#define DX_EVENT_PROPERTIES "properties"     // uid, object, selectors: [number]: they changed; after the description, where
                                             //   that changed too
#define DX_EVENT_NEW_DRIVER "new-driver"     // session, incarnation, page (fd), ring (fd), member: swap them in; or status,
                                             //   error: the new driver does not take the session
#define DX_EVENT_CONFIGURATION "configuration" // uid, begin (bool), status, epoch
#define DX_EVENT_DEFAULT "default"           // input, output: UIDs
#define DX_EVENT_COMPLETION "completion"     // of an asynchronous user-client call: connection, call, status, arguments; the
                                             //   end of a call or a connection: see host/user_client_wire.h

/*
 * Supervisor to driver process, which has its end of a socket pair as descriptor 3.  It says hello there, and is then
 * told what to load.  With the token and the socket's path from `load` it connects again, to this or to another
 * supervisor: hello with the token, then `device` for each device that it has; nothing is loaded again.
 *
 * Requests about sessions and user clients have the same names and keys as a program's, and those about a device
 * (`set`, `get-property`, `statistics`, `describe`) too.  A join of a session that it has already changes nothing, and
 * is answered as the first one.
 */
#define DX_OP_LOAD "load" // token, socket, path (of the bundle), personality (name; none: all of them), properties,
                          //   sandbox ("off": none), incarnation, saved-state, network (bool), before: [{uid,
                          //   recorder (fd), frame, host-ns, ns-per-frame-f64}], providers: [{personality,
                          //   properties, node (fd)}], hardware, for which these personalities alone are started;
                          //   answered at once, `loaded` tells how it ended
#define DX_OP_JOIN "join"   // as open, with uid, gain-f64, mute, name, pid -> ring (fd), member
#define DX_OP_TUNE "tune"   // session, gain-f64, mute
#define DX_OP_LEAVE "leave" // session
#define DX_OP_RECORD "record" // uid, recorder (fd): of a device that was not among `before`
#define DX_OP_QUIT "quit"   // stop the driver and exit
#define DX_EVENT_LEAVING "leaving" // the supervisor ends in good order
#define DX_EVENT_FOLLOWED "followed" // uid, page (fd): of a device that was asked for with `follow`; again for each new page

/* Driver process to supervisor. */
#define DX_OP_REALTIME "realtime"           // thread, priority -> way (string): how it got it
#define DX_EVENT_DEVICE "device"            // uid, description, incarnation, sessions: [number], page (fd): it is there, or
                                            //   was before the connection; a change is `description`, as to a program
#define DX_EVENT_DEVICE_GONE "device-gone"  // uid
#define DX_EVENT_CUT_OFF "cut-off"          // session: its device has other memory now; it has left, and is to be joined again
#define DX_EVENT_SAVED_STATE "saved-state"  // state
#define DX_EVENT_LOADED "loaded"            // status, error: how the load ended
#define DX_EVENT_FOLLOW "follow"            // uid, on (bool): one of its devices follows this device's timeline (audio/follow.h):
                                            //   `followed` is to come, whether or not that device runs; or no longer
#define DX_EVENT_INCIDENT "incident"        // of the driver's own watchdog: uid, cause (string), text; what `incidents` tells
                                            // `configuration`, `properties` and `completion` come from here too

#endif /* DX_HOST_PROTOCOL_H */
