// SPDX-License-Identifier: MIT
// USB devices that are plugged in, and the units of the drivers that they have.

#ifndef DX_HOST_SUPERVISOR_USB_H
#define DX_HOST_SUPERVISOR_USB_H

#include "host/supervisor/unit.h"
#include "host/usb_devices.h"

#define DX_USB_MAX_NEEDS 32u // personalities of one bundle that fit one device
#define DX_USB_WHOLE_DEVICE (-1)

/* A personality that a unit is to start. */
struct dx_usb_need {
    char *personality;
    char *category;  // IOMatchCategory
    int interface;   // its number, or DX_USB_WHOLE_DEVICE
    bool is_current; // found again when bundles and devices were looked at last
};

/* What a unit of hardware is for. */
struct dx_usb_target {
    struct dx_usb_plugged device; // as it was when it was plugged in last
    bool is_plugged;
    bool is_shared;    // all of the bundle's personalities that fit the device run in it
    bool lacks_access; // its node may not be opened: tried again when that changes
    bool is_kept_out;  // another unit has it: tried again when that one has ended
    bool is_unlisted;  // another unit has a UID of its: started again when a device has left
    uint32_t need_count;
    struct dx_usb_need needs[DX_USB_MAX_NEEDS];
    uint32_t taken; // bits, by number, of interfaces that the kernel does not have; they are given back
    int node;       // open for the process that starts; -1
    bool is_ready;  // the kernel's drivers have given way
};

/* usb.c */

/** Looks at what is plugged in, and begins to listen.  Where that fails it is said, and there is no USB. */
void dx_usb_open(struct dx_supervisor *supervisor);
/** From here on units are started: at the start what runs from before has been found. */
void dx_usb_start(struct dx_supervisor *supervisor);
/** What was taken from the kernel has been given back when this returns. */
void dx_usb_close(struct dx_supervisor *supervisor);

/** Makes units for all that is plugged in, as bundles and approvals are now. */
void dx_usb_match(struct dx_supervisor *supervisor);

/** What a bundle's drivers run on, would run on, or wait for: texts; +1, NULL without memory. */
OSArray *dx_usb_describe_bundle(const struct dx_supervisor *supervisor, const struct dx_bundle_entry *entry);

/** Tries again, when the rights to a node change, to start the unit that lacks them. */
void dx_usb_wait_for_access(struct dx_unit *unit, const char *node);

/** Where sysfs and the nodes are. */
const char *dx_usb_devices_folder(void);
const char *dx_usb_nodes_folder(void);

/* usb_unit.c */

/** Makes a target of a unit that has none.  false without memory. */
bool dx_usb_unit_create(struct dx_unit *unit, const struct dx_usb_plugged *device);
void dx_usb_unit_free(struct dx_unit *unit); // one without a target is fine
/** Adds a personality, unless it is there.  false without memory or room. */
bool dx_usb_unit_add_need(struct dx_unit *unit, const struct dx_personality *personality, int interface);
/** Before it is looked at which personalities fit, and after: those that were not added again are dropped. */
void dx_usb_unit_doubt_needs(struct dx_unit *unit);
void dx_usb_unit_drop_doubted(struct dx_unit *unit);

/** Whether the bundle, as it is now, is still for this device, and no other unit has it. */
kern_return_t dx_usb_unit_check(struct dx_unit *unit, const struct dx_bundle_entry *entry, dx_error *error);

/** Opens the device's node, and has the kernel's drivers give way; dx_usb_unit_ready() follows. */
kern_return_t dx_usb_unit_prepare(struct dx_unit *unit, dx_error *error);

/** Adds to `load` what it is started for, and its node to the descriptors that go with it. */
bool dx_usb_unit_add_providers(const struct dx_unit *unit, OSDictionary *load, int *fds, uint32_t *fd_count);

/** The node has been sent, or is no longer wanted: a copy here would keep alive what the driver had claimed. */
void dx_usb_unit_close_node(struct dx_unit *unit);

/** Its state has changed: where nothing will run any more the kernel gets back what was its own. */
void dx_usb_unit_settle(struct dx_unit *unit);

/** Its process has ended: whoever that one has kept out is started, unless it comes back. */
void dx_usb_unit_ended(struct dx_unit *unit);

/** The device has left. */
void dx_usb_unit_leave(struct dx_unit *unit);
/** And its process has ended. */
void dx_usb_unit_left(struct dx_unit *unit);
/** Forgets units that have left and that nobody has open. */
void dx_usb_units_collect(struct dx_supervisor *supervisor);

/** "USB 0b95:772b AX88772B at 1-2", or that it waits for it. */
void dx_usb_unit_describe(const struct dx_unit *unit, char text[DX_USB_SUMMARY_BYTES]);

/** For the registry: what was taken from the kernel by all units; +1, NULL without memory. */
OSArray *dx_usb_describe_taken(const struct dx_supervisor *supervisor);
/** What an earlier supervisor had taken: its units', or given back.  A process whose device has left is ended. */
void dx_usb_recover_taken(struct dx_supervisor *supervisor, const OSArray *taken);

/* usb_node.c: what waits for the kernel's drivers, in a thread of its own */

struct dx_usb_jobs;
struct dx_usb_jobs *dx_usb_jobs_create(struct dx_supervisor *supervisor); // NULL without memory
/** Waits for all of them. */
void dx_usb_jobs_destroy(struct dx_usb_jobs *jobs); // NULL is fine
/** Takes interfaces from the kernel's drivers; then the unit is told by dx_usb_unit_ready().  false without memory. */
bool dx_usb_jobs_take(struct dx_usb_jobs *jobs, const struct dx_unit *unit, int node, uint32_t interfaces);
/** Gives them back, once no program has them. */
void dx_usb_jobs_give(struct dx_usb_jobs *jobs, const struct dx_usb_plugged *device, uint32_t interfaces);

/* driver_link.c */

/** The kernel's drivers have given way: the process may be told. */
void dx_usb_unit_ready(struct dx_unit *unit);

#endif /* DX_HOST_SUPERVISOR_USB_H */
