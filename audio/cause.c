// SPDX-License-Identifier: MIT
// Names of causes.

#include <dextral/host.h>

const char *
dx_cause_name(dx_cause cause)
{
    switch (cause) {
    case DX_CAUSE_NONE:
        return "none";
    case DX_CAUSE_LATE_WAKE:
        return "late wake";
    case DX_CAUSE_HANDLER:
        return "handler over time";
    case DX_CAUSE_DSP:
        return "DSP plug-in over time";
    case DX_CAUSE_CLIENT:
        return "synchronous client over time";
    case DX_CAUSE_ENGINE:
        return "engine";
    case DX_CAUSE_BAD_STAMP:
        return "bad zero timestamp";
    case DX_CAUSE_LANE:
        return "lane not covered";
    case DX_CAUSE_UNKNOWN:
        return "unknown";
    case DX_CAUSE_COUNT:
        break;
    }
    return "not a cause";
}
