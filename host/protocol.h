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

/* Program to supervisor. */
#define DX_OP_HELLO "hello"
#define DX_OP_LIST "list"               // from -> devices: [description], next (0: the end), default-input, default-output
#define DX_OP_DESCRIBE "describe"       // uid, fresh -> description
#define DX_OP_OPEN "open"               // session, uid, output, input, io-frames, running, lane (fd) -> page (fd), ring (fd)
#define DX_OP_START "start"             // session -> when the clock is established
#define DX_OP_STOP "stop"               // session
#define DX_OP_CLOSE "close"             // session
#define DX_OP_SET "set"                 // uid, what, ... -> see machine.md
#define DX_OP_GET_PROPERTY "get-property" // uid, selector, scope, element, qualifier -> value
#define DX_OP_STATISTICS "statistics"   // uid -> of the device and of its clients
#define DX_OP_CREATE "create"           // kind, options -> uid
#define DX_OP_REMOVE "remove"           // uid
#define DX_OP_SET_DEFAULT "set-default" // uid, direction (0: both)
#define DX_OP_DRIVERS "drivers"         // -> drivers: [{bundle, path, version, state, why, restarts, entitlements}]
#define DX_OP_APPROVE "approve"         // bundle
#define DX_OP_REVOKE "revoke"           // bundle
#define DX_OP_RESTART "restart"         // bundle or uid: the new version takes over
#define DX_OP_GRANT "grant"             // bundle, program: it may open its user clients
#define DX_OP_INCIDENTS "incidents"     // uid (none: all), since -> incidents: [...]
#define DX_OP_RECORDING "recording"     // uid -> recording (fd), read-only
#define DX_OP_USER_CLIENT_OPEN "user-client-open"   // bundle or uid, type -> connection
#define DX_OP_USER_CLIENT_CALL "user-client-call"   // connection, selector, scalars, structure, ...
#define DX_OP_USER_CLIENT_MAP "user-client-map"     // connection, type -> memory (fd), options
#define DX_OP_USER_CLIENT_CLOSE "user-client-close" // connection

/* Supervisor to program. */
#define DX_EVENT_DESCRIPTION "description"   // uid, description: it is new, or has changed
#define DX_EVENT_GONE "gone"                 // uid: it is no longer in the directory
#define DX_EVENT_NEW_DRIVER "new-driver"     // session, incarnation, page (fd), ring (fd): swap them in
#define DX_EVENT_CONFIGURATION "configuration" // uid, begin (bool), status, epoch
#define DX_EVENT_DEFAULT "default"           // input, output: UIDs
#define DX_EVENT_COMPLETION "completion"     // of an asynchronous user-client call: connection, call, status, arguments

/* Supervisor to driver process; those about sessions have the same names and keys as a program's. */
#define DX_OP_LOAD "load"   // path, personality (name), properties, saved-state, before: [{uid, line}]
#define DX_OP_JOIN "join"   // as open, with gain and mute, name
#define DX_OP_TUNE "tune"   // session, gain, mute
#define DX_OP_LEAVE "leave" // session
#define DX_OP_QUIT "quit"   // stop the driver and exit
#define DX_EVENT_FOLLOWED "followed" // uid, page (fd): of a device that it follows; again for each new page

/* Driver process to supervisor. */
#define DX_OP_REALTIME "realtime"           // thread, priority -> whether it has it, and by what way
#define DX_EVENT_DEVICE "device"            // description, incarnation, sessions, page (fd), rings: indexes; the fds
#define DX_EVENT_DEVICE_GONE "device-gone"  // uid
#define DX_EVENT_SAVED_STATE "saved-state"  // state
#define DX_EVENT_LOADED "loaded"            // status, error: how the load ended
#define DX_EVENT_INCIDENT "incident"        // of the driver's own watchdog
#define DX_EVENT_FOLLOW "follow"            // uid, on (bool): it wants the device's page, running or not, or no longer

#endif /* DX_HOST_PROTOCOL_H */
