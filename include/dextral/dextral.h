// SPDX-License-Identifier: MIT
// Everything: the emulated interface, hosts and clients, bundles and plug-ins.

#ifndef DEXTRAL_DEXTRAL_H
#define DEXTRAL_DEXTRAL_H

#include <dextral/AudioDriverKit.h>
#include <dextral/bundle.h>
#include <dextral/clock.h>
#include <dextral/directory.h>
#include <dextral/follow.h>
#include <dextral/host.h>
#include <dextral/host_controls.h>
#include <dextral/plugin.h>
#include <dextral/usb.h>
#include <dextral/user_client.h>

#endif /* DEXTRAL_DEXTRAL_H */
