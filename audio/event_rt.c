// SPDX-License-Identifier: MIT
// Incidents in the making.

#include "audio/event.h"

#include <string.h>

bool
dx_events_add(struct dx_events *events, struct dx_event *event, const struct dx_incident *incident,
              uint64_t delay_ns) DX_REALTIME
{
    struct dx_incident *const sum = &event->incident;
    const bool is_new = !sum->count;
    if (is_new) {
        *sum = *incident;
        sum->count = 1;
        event->delay_ns = delay_ns;
        event->next = events->pending;
        events->pending = event;
    } else {
        sum->frames = incident->frames < UINT32_MAX - sum->frames ? sum->frames + incident->frames : UINT32_MAX;
        sum->count += event->turn != events->turn;
        const uint64_t missing_ns = sum->intervals_ns[DX_CAUSE_LANE] + incident->intervals_ns[DX_CAUSE_LANE];
        if (delay_ns > event->delay_ns) {
            event->delay_ns = delay_ns;
            memcpy(sum->intervals_ns, incident->intervals_ns, sizeof sum->intervals_ns);
        }
        sum->intervals_ns[DX_CAUSE_LANE] = missing_ns;
    }
    event->turn = events->turn;
    return is_new;
}

static void
tell(struct dx_events *events, struct dx_event *event) DX_REALTIME
{
    dx_recorder_incident(&events->recorder, &event->incident);
    event->incident.count = 0;
}

/* Whether it is time to tell it, and leave to. */
static bool
is_due(const struct dx_events *events, struct dx_event *event, uint64_t now_ns) DX_REALTIME
{
    const bool is_over = event->turn != events->turn;
    if (!is_over && now_ns - event->incident.host_time_ns < DX_EVENT_LONG_NS)
        return false;
    const uint64_t busy_ns = event->busy_until_ns > now_ns ? event->busy_until_ns - now_ns : 0;
    if (busy_ns > (DX_EVENT_BURST - 1u) * (uint64_t)DX_EVENT_PAUSE_NS)
        return false;
    event->busy_until_ns = now_ns + busy_ns + DX_EVENT_PAUSE_NS;
    return true;
}

void
dx_events_settle(struct dx_events *events, uint64_t now_ns) DX_REALTIME
{
    for (struct dx_event **link = &events->pending; *link;) {
        struct dx_event *const event = *link;
        if (is_due(events, event, now_ns)) {
            *link = event->next;
            tell(events, event);
        } else {
            link = &event->next;
        }
    }
}

void
dx_events_flush(struct dx_events *events, bool (*stays)(const void *context, const struct dx_event *event) DX_REALTIME,
                const void *context) DX_REALTIME
{
    for (struct dx_event **link = &events->pending; *link;) {
        struct dx_event *const event = *link;
        if (stays && stays(context, event)) {
            link = &event->next;
        } else {
            *link = event->next;
            tell(events, event);
        }
    }
}
