// SPDX-License-Identifier: MIT
// A mutex over dx_clock_wait(): control threads and fibers only, never the IO thread.

#ifndef DX_CORE_SYNC_H
#define DX_CORE_SYNC_H

#include "core/clock.h"

struct dx_mutex {
    _Atomic uint32_t state;                // 0 free, 1 held, 2 held and somebody waits
    const struct dx_task *_Atomic holder;  // for deadlock reports
    const char *name;                      // a literal
    dx_clock *clock;                       // whose tasks use it
};

void dx_mutex_init(struct dx_mutex *mutex, const char *name);
void dx_mutex_lock(struct dx_mutex *mutex);
void dx_mutex_unlock(struct dx_mutex *mutex);

#endif /* DX_CORE_SYNC_H */
