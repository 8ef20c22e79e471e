// SPDX-License-Identifier: MIT
// Watches a device's transfers and writes them down for Wireshark: pcapng with the records of Linux's usbmon.

#ifndef DX_USB_CAPTURE_H
#define DX_USB_CAPTURE_H

#include "backends/usb/transfer.h"

/*
 * Whoever submits or completes puts a record into a ring of memory, without a lock or a system call; a thread of the tap's own
 * writes the file. What does not fit is counted.
 */
struct dx_usb_tap;

struct dx_usb_tap_config {
    int fd;               // of the file; borrowed
    const char *name;     // of the interface: "1-2"; NULL: "usb"
    uint8_t bus;          // as records have them; 0: 1
    uint8_t address;
    bool has_frames;      // Ethernet frames as well, as a second interface
    uint32_t ring_bytes;  // a power of two, 4096 at least; 0: 8 MiB
};

struct dx_usb_tap_counts {
    uint64_t transfers; // records of them that were written: one of the submission, one of the completion
    uint64_t frames;
    uint64_t dropped; // records that did not fit
    int error;        // of writing: 0 or a negative errno value; nothing was written after it
};

/**
 * Begins a capture.
 *
 * @return 0; -EINVAL, -ENOMEM, -EAGAIN (no thread), or what writing said.
 */
int dx_usb_tap_open(const struct dx_usb_tap_config *config, struct dx_usb_tap **ret_tap);

/**
 * Watches a device from now on. Its descriptors are written as if they had just been asked for: without them Wireshark knows
 * nothing of classes.
 *
 * Thread: before anything is submitted.
 */
void dx_usb_tap_attach(struct dx_usb_tap *tap, struct dx_usb_device *device);

/** Ends it. The device has been closed. @param ret_counts may be NULL. NULL is fine. */
void dx_usb_tap_close(struct dx_usb_tap *tap, struct dx_usb_tap_counts *ret_counts);

/** So far. Any thread. */
void dx_usb_tap_get_counts(const struct dx_usb_tap *tap, struct dx_usb_tap_counts *ret_counts);

/* ---- for those who make what is watched: any thread, real-time ---- */

/** Submits, and watches until it has completed. As dx_usb_submit(). */
int dx_usb_tap_submit(struct dx_usb_tap *tap, struct dx_usb_device *device, struct dx_usb_transfer *transfer);

/** A request without data that was made by other means than a transfer. */
void dx_usb_tap_request(struct dx_usb_tap *tap, const struct dx_usb_setup *setup, int status);

/** An Ethernet frame, without FCS. Nothing where no frames are wanted. */
void dx_usb_tap_frame(struct dx_usb_tap *tap, bool is_sent, const uint8_t *frame, uint32_t size);

#endif /* DX_USB_CAPTURE_H */
