// SPDX-License-Identifier: MIT
// Driver processes: real ones, with real bundles, and the test as their supervisor.

#include "host/driver/process.h"
#include "host/protocol.h"
#include "tests/core/check.h"
#include "tests/host/driver_rig.h"

#include <string.h>
#include <sys/wait.h>

static void
a_driver_is_loaded_played_and_stopped(void)
{
    struct rig rig;
    struct dx_lane lane;
    rig_start(&rig);
    char *const uid = rig_load(&rig, EXAMPLES "/Cable.dext", NULL, NULL);
    rig_play(&rig, uid, 1, 2, &lane);
    CHECK_EQ(rig_ask(&rig, rig_request(DX_OP_STOP, NULL, 1), NULL, 0, NULL), kIOReturnSuccess);
    CHECK_EQ(rig_ask(&rig, rig_request(DX_OP_LEAVE, NULL, 1), NULL, 0, NULL), kIOReturnSuccess);
    CHECK_EQ(rig_ask(&rig, rig_request(DX_OP_STOP, NULL, 1), NULL, 0, NULL), kIOReturnNotFound);
    rig_quit(&rig);
    dx_lane_finish(&lane);
    free(uid);
}

int
main(void)
{
    RUN(a_driver_is_loaded_played_and_stopped);
    return 0;
}
