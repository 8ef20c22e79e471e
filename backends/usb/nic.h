// SPDX-License-Identifier: MIT
// What a USB network adapter's driver is: framing without any thread or transfer, and a sequence of requests.

#ifndef DX_USB_NIC_H
#define DX_USB_NIC_H

#include "backends/usb/transfer.h"

#include <dextral/base.h>

#define DX_FRAME_MIN 14u   // destination, source, type
#define DX_FRAME_MAX 1518u // without FCS; with a VLAN tag

/*
 * What was counted. One writer: the wire thread. Relaxed: others want a recent value. The first four, and `dropped`, are the
 * adapter's; the others are receive()'s.
 */
struct dx_nic_counters {
    _Atomic uint64_t received;      // frames
    _Atomic uint64_t received_bytes;
    _Atomic uint64_t sent;
    _Atomic uint64_t sent_bytes;
    _Atomic uint64_t bad_headers;   // of a transfer, a block or a frame: what followed was dropped
    _Atomic uint64_t bad_lengths;   // frames that were too short, too long, or outside of what came
    _Atomic uint64_t lost_sync;     // how often reading began anew
    _Atomic uint64_t bad_sequences; // of blocks: gaps and repetitions; nothing is dropped for them
    _Atomic uint64_t dropped;       // frames that had nowhere to go
};

/* Called for each whole frame of a transfer, in order. The frame is the transfer's memory, or the driver's: copy it. */
typedef void (*dx_frame_sink)(void *context, const uint8_t *frame, uint32_t size);

struct dx_nic_link {
    bool is_up;
    bool is_full_duplex;
    uint32_t megabits; // 0: not known
};

/* What a driver found out about its adapter. */
struct dx_nic_info {
    const char *driver; // "ax88772", "cdc-ncm", "cdc-ecm"
    char chip[32];      // "AX88772C", "NCM 1.0"
    uint8_t mac[6];
    bool is_mac_made_up;   // the adapter has no valid one: this one is made from its path, and stays the same there
    uint8_t interfaces[2]; // claimed
    uint8_t interface_count;
    uint8_t in_endpoint, out_endpoint, notify_endpoint; // notify: 0 where there is none
    uint16_t in_packet, out_packet, notify_packet;      // bytes
    uint32_t in_transfer;  // bytes of one bulk IN transfer
    uint32_t out_transfer; // the most that frame() writes
    uint32_t in_count;     // transfers to keep in flight
    uint32_t max_frame;    // bytes, without FCS
    uint32_t filter_count; // how many groups it can be told; for more, all are let through
};

/*
 * A driver. `nic` is its own memory of `bytes` bytes, zeroed before probe().
 *
 * Requests (open, close, set_filter, poll_link, recover) run on the adapter's control thread; the wire thread pumps
 * meanwhile. receive(), frame(), reset_framing() and notified() run on the wire thread: no request, allocation, lock or
 * system call. The compiler checks that of all but receive(), because a sink is free to wake somebody: what takes frames
 * apart is marked where it is (dx_ax88772_next(), for one), and receive() is the loop around it and the sink.
 */
struct dx_nic_ops {
    const char *name;
    size_t bytes;

    /** Whether it takes this device, by descriptors alone. @return 0, -ENOTSUP, -EINVAL (it does, but they lie: `why`). */
    int (*probe)(void *nic, const struct dx_usb_device *device, struct dx_nic_info *info, char why[256]);

    /** Claims, initialises, starts receiving. @return 0, or an error with `why`; then as if it had not been called. */
    int (*open)(void *nic, struct dx_usb_device *device, struct dx_nic_info *info, char why[256]);

    /** Stops, and releases the interfaces. The device may be gone. */
    void (*close)(void *nic, struct dx_usb_device *device);

    /** Multicast groups to let through; is_all: every one. */
    int (*set_filter)(void *nic, struct dx_usb_device *device, const uint8_t (*groups)[6], uint32_t count, bool is_all);

    /** Asks the PHY, and makes the MAC match. NULL: the link is only told. */
    int (*poll_link)(void *nic, struct dx_usb_device *device, struct dx_nic_link *link);

    /** One packet of the interrupt endpoint; the wire thread's. @return whether `link` has news, or poll_link() should be called. */
    bool (*notified)(void *nic, const uint8_t *data, uint32_t size, struct dx_nic_link *link) DX_REALTIME;

    /** After a stall or a lost transfer of an endpoint: what else there is to do once its halt has been cleared. NULL: nothing. */
    int (*recover)(void *nic, struct dx_usb_device *device, uint8_t endpoint);

    /** The frames of one bulk IN transfer. @return how many it delivered. */
    uint32_t (*receive)(void *nic, const uint8_t *data, uint32_t size, dx_frame_sink sink, void *context,
                        struct dx_nic_counters *counters);

    /** Drops what is left of earlier transfers: after each IN transfer that did not end well, and after a halt. */
    void (*reset_framing)(void *nic) DX_REALTIME;

    /**
     * Makes one bulk OUT transfer of frames.
     *
     * @param frames  `count` of them, with `sizes`; as many as fit are taken, at least one.
     * @param buffer  info->out_transfer bytes.
     * @param ret_size  of the transfer.
     * @param ret_ends_short  whether an empty packet must follow where it is a multiple of the packet size.
     * @return how many frames were taken; 0: the first one can never be sent (too long, too short).
     */
    uint32_t (*frame)(void *nic, const uint8_t *const *frames, const uint32_t *sizes, uint32_t count, uint8_t *buffer,
                      uint32_t *ret_size, bool *ret_ends_short) DX_REALTIME;
};

extern const struct dx_nic_ops dx_nic_ax88772;
extern const struct dx_nic_ops dx_nic_ncm;
extern const struct dx_nic_ops dx_nic_ecm;

/** All of them, in the order in which they are asked; NULL at the end. */
extern const struct dx_nic_ops *const dx_nic_drivers[];

/**
 * Finds the driver of a device by its descriptors: the first one that takes it.
 *
 * @param ret_ops  the driver; of -EINVAL the first one that would take it.
 * @param ret_nic  its memory, probed: to be freed with free().
 * @param why      a sentence on failure.
 * @return 0; -EINVAL (one would, but the descriptors lie), -ENOTSUP (none does), -ENOMEM.
 */
int dx_nic_find(const struct dx_usb_device *device, const struct dx_nic_ops **ret_ops, void **ret_nic,
                struct dx_nic_info *ret_info, char why[256]);

/** Whether an address is one of a station: neither a group's nor nothing. */
bool dx_nic_mac_is_valid(const uint8_t mac[6]);

/** One that nobody sold, locally administered: the same for the same kind of adapter in the same place. */
void dx_nic_make_mac(const struct dx_usb_device *device, uint8_t ret_mac[6]);

#endif /* DX_USB_NIC_H */
