// SPDX-License-Identifier: MIT
// Messages between processes: dictionaries and descriptors over a SOCK_SEQPACKET socket.

#ifndef DX_HOST_WIRE_H
#define DX_HOST_WIRE_H

#include <dextral/OSObject.h>

/*
 * One packet is one message: a head of 8 bytes (magic, length of what follows; little-endian), and a dictionary as
 * OSSerialization writes it.  Descriptors ride along; a message names them by their place, from 0.  All widths are
 * fixed: a program of 32 bits and one of 64 bits understand each other.
 */
#define DX_WIRE_MAGIC 0x57584431u // "1DXW", little-endian
#define DX_WIRE_MAX_BYTES (128u * 1024u) // of a packet, head included
#define DX_WIRE_MAX_FDS 40u

/* A message that came.  Zeroed is none. */
struct dx_message {
    OSDictionary *body; // +1
    size_t bytes;       // of the packet
    uint32_t fd_count;
    int fds[DX_WIRE_MAX_FDS]; // -1 where it was taken
};

/** Releases the body and closes the descriptors that were not taken; zeroed is fine. */
void dx_message_finish(struct dx_message *message);

/** Takes over a descriptor; -1 where there is none. */
int dx_message_take_fd(struct dx_message *message, uint32_t index);

/**
 * Sends a message; all of it or nothing.
 *
 * @param fds  borrowed; they may be closed as soon as this returns.
 * @return 0; -EAGAIN (no room now, on a non-blocking socket), -EPIPE or -ECONNRESET (the other side is gone),
 *         -EMSGSIZE (too long, or too many descriptors), -ENOMEM (also for what cannot be written: another class,
 *         over 32 levels deep), -ETOOMANYREFS (more descriptors on their way than the user may have), -EBADF...
 *
 * Thread: any, one at a time for a socket.  Real-time: no.  Raises no SIGPIPE.
 */
int dx_wire_send(int socket, const OSDictionary *body, const int *fds, uint32_t fd_count);

/** A message's body as bytes, for dx_wire_send_serialized(): for one that waits, or goes to many.  +1, or NULL. */
OSData *dx_wire_serialize(const OSDictionary *body);
bool dx_wire_fits(const OSData *body, uint32_t fd_count); // else sending it is -EMSGSIZE
int dx_wire_send_serialized(int socket, const OSData *body, const int *fds, uint32_t fd_count);

/**
 * Receives a message.
 *
 * @param ret_message  filled when 1 is returned; descriptors are close-on-exec.
 * @return 1; 0 (the other side has closed, and all that it had sent was received); -EAGAIN (nothing now, on a
 *         non-blocking socket); -EBADMSG (it was no message: truncated, oversized, not well-formed, or with more
 *         descriptors than fit, or than this process has left; all of them are closed; or there was no memory for its
 *         values); -ENOMEM (nothing was received); another negative errno of recvmsg().
 *
 * Thread: any, one at a time for a socket.  Real-time: no.
 */
int dx_wire_receive(int socket, struct dx_message *ret_message);

/** Reads the bytes of one packet, without its descriptors: what is fuzzed.  +1, or NULL. */
OSDictionary *dx_wire_parse(const void *bytes, size_t length);

/* What a message holds.  Getters tell a wrong type from a value; they never crash. */

bool dx_wire_set_double(OSDictionary *body, const char *key, double value); // the 64 bits of it, as a number
/** false: it is not there, or no number.  The value may be anything a double can be. */
bool dx_wire_get_double(const OSDictionary *body, const char *key, double *ret_value);
bool dx_wire_set_int64(OSDictionary *body, const char *key, int64_t value);
bool dx_wire_set_bool(OSDictionary *body, const char *key, bool value);
/** false where there is none. */
bool dx_wire_get_bool(const OSDictionary *body, const char *key);
/** `fallback` where there is no number. */
uint64_t dx_wire_get_number(const OSDictionary *body, const char *key, uint64_t fallback);
/** Borrowed; NULL where there is none of that class. */
const char *dx_wire_get_string(const OSDictionary *body, const char *key);
OSDictionary *dx_wire_get_dictionary(const OSDictionary *body, const char *key);
OSArray *dx_wire_get_array(const OSDictionary *body, const char *key);
OSData *dx_wire_get_data(const OSDictionary *body, const char *key);

/** Sets a value and gives up the caller's reference to it: true when it is there.  NULL gives false. */
bool dx_wire_take(OSDictionary *body, const char *key, OSObjectPtr value);

#endif /* DX_HOST_WIRE_H */
