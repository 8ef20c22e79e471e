// SPDX-License-Identifier: MIT
// dextral-driver: started by the supervisor, with its end of a socket pair as descriptor 3.

#include "host/driver/process.h"

int
main(void)
{
    static const struct dx_driver_process_config config = {
        .socket = 3,
        .limit = dx_sandbox_limit,
        .close = dx_sandbox_close,
        .part_name = dx_sandbox_part_name,
    };
    return dx_driver_process_run(&config);
}
