// SPDX-License-Identifier: MIT
// Programs' connections to drivers: opened as the user allows, passed on.

#ifndef DX_HOST_SUPERVISOR_USER_CLIENT_H
#define DX_HOST_SUPERVISOR_USER_CLIENT_H

#include "host/supervisor/unit.h"

/** A completion of an asynchronous call goes to the program whose connection it is. */
void dx_user_client_complete(struct dx_unit *unit, struct dx_message *message);

void dx_user_clients_leave_program(struct dx_supervisor *supervisor, uint64_t program);
/** The driver has gone, and its connections with it. */
void dx_user_clients_leave_unit(struct dx_unit *unit);
bool dx_unit_has_user_clients(const struct dx_unit *unit);

void dx_request_user_client_open(struct dx_supervisor *supervisor, const struct dx_request *request);
/** Also for `map`. */
void dx_request_user_client_call(struct dx_supervisor *supervisor, const struct dx_request *request);
void dx_request_user_client_close(struct dx_supervisor *supervisor, const struct dx_request *request);

#endif /* DX_HOST_SUPERVISOR_USER_CLIENT_H */
