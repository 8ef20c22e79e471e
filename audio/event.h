// SPDX-License-Identifier: MIT
// Incidents in the making: what goes wrong in cycle after cycle for one reason is one incident, not one for each cycle.

#ifndef DX_AUDIO_EVENT_H
#define DX_AUDIO_EVENT_H

#include "audio/recorder.h"

/*
 * An event collects what goes wrong for one reason: one cause, or one client's lane.  It is over with the first cycle
 * without it, and then it is one incident; one that goes on tells what it is so far each second.  More than
 * DX_EVENT_BURST incidents of one event are told DX_EVENT_PAUSE_NS apart, so that one bad client leaves room in the
 * recording for others; what came in between is told together.
 */
#define DX_EVENT_LONG_NS 1000000000u
#define DX_EVENT_PAUSE_NS 10000000000u
#define DX_EVENT_BURST 8u

/* Zeroed: nothing has happened.  IO thread only. */
struct dx_event {
    struct dx_event *next;       // that has something to tell
    struct dx_incident incident; // so far; its count is 0 when there is nothing
    uint64_t delay_ns;           // the longest
    uint64_t turn;               // in which it was noticed last
    uint64_t busy_until_ns;      // + DX_EVENT_PAUSE_NS with each incident told
};

/* Those of one engine.  IO thread only. */
struct dx_events {
    struct dx_recorder recorder;
    struct dx_event *pending; // that have something to tell
    uint64_t turn;            // the cycle at hand, run or skipped
};

/**
 * Adds to an event.
 *
 * @param incident  one cycle's part: its frames are added up, and what is missing of a lane; the other intervals stand when
 *                  its delay is the longest so far.
 * @return whether it begins with this.
 *
 * Thread: IO.  Real-time: yes, wait-free.
 */
bool dx_events_add(struct dx_events *events, struct dx_event *event, const struct dx_incident *incident,
                   uint64_t delay_ns) DX_REALTIME;

/** Tells those that are over, or have gone on for long.  At the end of a cycle, and between.  As above. */
void dx_events_settle(struct dx_events *events, uint64_t now_ns) DX_REALTIME;

/**
 * Tells those that will not be seen again.
 *
 * @param stays    which ones are to be kept; NULL: none.
 *
 * As above.
 */
void dx_events_flush(struct dx_events *events, bool (*stays)(const void *context, const struct dx_event *event) DX_REALTIME,
                     const void *context) DX_REALTIME;

#endif /* DX_AUDIO_EVENT_H */
