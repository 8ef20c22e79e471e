// SPDX-License-Identifier: MIT
// User clients: connections of programs to the drivers of this process.

#ifndef DX_HOST_DRIVER_USER_CLIENTS_H
#define DX_HOST_DRIVER_USER_CLIENTS_H

#include "host/driver/state.h"

/** `user-client-open`, `-call`, `-map` and `-close`, once the drivers are loaded. */
void dx_user_clients_open(struct dx_process_job *job, struct dx_message *message);
void dx_user_clients_call(struct dx_process_job *job, struct dx_message *message);
void dx_user_clients_map(struct dx_process_job *job, struct dx_message *message);
void dx_user_clients_close(struct dx_process_job *job, struct dx_message *message);

/** All end, each when its calls under way have: who knew of them is gone, or the process ends. */
void dx_user_clients_leave_all(struct dx_driver_process *process);

#endif /* DX_HOST_DRIVER_USER_CLIENTS_H */
