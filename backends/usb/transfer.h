// SPDX-License-Identifier: MIT
// USB transfers, whatever they run on: libusb, USB/IP over a socket, a model in this process.

#ifndef DX_USB_TRANSFER_H
#define DX_USB_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A device belongs to two threads. The wire thread pumps: completions are called there, and nowhere else. Any other thread may
 * submit, cancel, and make blocking requests, which the wire thread completes; the wire thread itself makes none.
 *
 * Errors are negative errno values: -ENODEV (gone, and stays so), -EPIPE (stall), -ETIMEDOUT, -EOVERFLOW (more came than
 * fits: babble), -ECANCELED, -EPROTO (the bus), -EBUSY (somebody else has the interface), -EACCES (no right to open it).
 */
struct dx_usb_device;

enum dx_usb_kind { DX_USB_CONTROL, DX_USB_BULK, DX_USB_INTERRUPT };

enum dx_usb_speed { DX_USB_SPEED_UNKNOWN, DX_USB_LOW, DX_USB_FULL, DX_USB_HIGH, DX_USB_SUPER };

#define DX_USB_IN 0x80u // of an endpoint's address, and of a request's type

/* As in the eight bytes on the wire; host byte order here. */
struct dx_usb_setup {
    uint8_t request_type;
    uint8_t request;
    uint16_t value;
    uint16_t index;
    uint16_t length;
};

/*
 * One transfer. Whoever owns it fills the first part, prepares it once, and may then submit it again and again, each time
 * after it has completed. Each submit that returned 0 completes exactly once.
 */
struct dx_usb_transfer {
    enum dx_usb_kind kind;
    uint8_t endpoint;          // with DX_USB_IN; 0 of control transfers
    bool ends_short;           // bulk out: a multiple of the packet size is followed by an empty packet
    struct dx_usb_setup setup; // of control transfers; its length is `size`
    uint8_t *data;
    uint32_t capacity;   // of `data`: what prepare() is told, and the most that `size` may be
    uint32_t size;       // to send, or room to receive
    uint32_t timeout_ms; // 0: none
    void (*completed)(struct dx_usb_transfer *transfer);
    void *context;

    /* Set when it has completed. */
    int status;      // 0 or a negative errno value
    uint32_t actual; // bytes; also where the status is not 0

    /* The backend's. */
    void *backend;
};

struct dx_usb_ops {
    int (*prepare)(struct dx_usb_device *device, struct dx_usb_transfer *transfer);
    void (*unprepare)(struct dx_usb_device *device, struct dx_usb_transfer *transfer);
    int (*submit)(struct dx_usb_device *device, struct dx_usb_transfer *transfer);
    int (*cancel)(struct dx_usb_device *device, struct dx_usb_transfer *transfer);
    int (*pump)(struct dx_usb_device *device, uint64_t deadline_ns);
    void (*wake)(struct dx_usb_device *device);
    int (*set_configuration)(struct dx_usb_device *device, uint8_t value);
    int (*claim)(struct dx_usb_device *device, uint8_t interface);
    int (*release)(struct dx_usb_device *device, uint8_t interface);
    int (*set_interface)(struct dx_usb_device *device, uint8_t interface, uint8_t alternate);
    int (*clear_halt)(struct dx_usb_device *device, uint8_t endpoint);
    int (*reset)(struct dx_usb_device *device);
    void (*close)(struct dx_usb_device *device);
};

#define DX_USB_MAX_CONFIGURATIONS 8u

/* What a backend fills when it opens a device. Raw descriptors, as they came: nothing in them has been checked. */
struct dx_usb_device {
    const struct dx_usb_ops *ops;
    enum dx_usb_speed speed;
    uint8_t device_descriptor[18];
    struct dx_usb_configuration {
        uint8_t *bytes; // all of it: wTotalLength, or what came of it
        uint32_t size;
    } configurations[DX_USB_MAX_CONFIGURATIONS];
    uint32_t configuration_count;
    uint8_t configuration; // the value of the one that is set; 0: none
    bool is_for_interface; // of that one a single interface is meant, and what belongs to it; else the whole device
    uint8_t interface;     // its number
    char path[64];         // for people and for matching: "1-2.3", "model"
    struct dx_usb_tap *tap; // whoever watches the transfers, or NULL: backends/usb/capture.h
};

/**
 * Allocates what a transfer needs. Not on the wire thread.
 *
 * @return 0, -ENOMEM, -EINVAL.
 */
int dx_usb_prepare(struct dx_usb_device *device, struct dx_usb_transfer *transfer);

/** Frees that; the transfer is not under way. One that was not prepared is fine. */
void dx_usb_unprepare(struct dx_usb_device *device, struct dx_usb_transfer *transfer);

/**
 * Starts a transfer. Any thread; on the wire thread also from `completed`. Allocates nothing, but for what docs/design/usb.md
 * names.
 *
 * @return 0: it will complete; else it will not: -ENODEV, -EINVAL (size, endpoint), -ENOMEM.
 */
int dx_usb_submit(struct dx_usb_device *device, struct dx_usb_transfer *transfer);

/** Asks for an end: it completes with -ECANCELED, or as it did meanwhile. Any thread. One not under way: nothing. */
void dx_usb_cancel(struct dx_usb_device *device, struct dx_usb_transfer *transfer);

/**
 * Waits for completions and calls them, until one was called, dx_usb_wake(), or a time.
 *
 * @param deadline_ns  CLOCK_MONOTONIC; UINT64_MAX: none.
 * @return 0; -ENODEV once the device is gone and every transfer has completed.
 *
 * Thread: the wire thread.
 */
int dx_usb_pump(struct dx_usb_device *device, uint64_t deadline_ns);

/** Ends dx_usb_pump(), now or the next one. Any thread; async-signal-safe. */
void dx_usb_wake(struct dx_usb_device *device);

/* ---- blocking requests: any thread but the wire thread, which must be pumping ---- */

#define DX_USB_CONTROL_TIMEOUT_MS 1000u

/**
 * A control transfer.
 *
 * @param data  setup->length bytes, sent or filled; may be NULL where that is 0.
 * @return how many bytes went, or an error.
 */
int dx_usb_control(struct dx_usb_device *device, const struct dx_usb_setup *setup, void *data, uint32_t timeout_ms);

/** Detaches a kernel driver where there is one; it is attached again by release, close, and the end of the process where
 * docs/design/usb.md says so. */
int dx_usb_claim(struct dx_usb_device *device, uint8_t interface);
int dx_usb_release(struct dx_usb_device *device, uint8_t interface);
int dx_usb_set_configuration(struct dx_usb_device *device, uint8_t value);
int dx_usb_set_interface(struct dx_usb_device *device, uint8_t interface, uint8_t alternate);
int dx_usb_clear_halt(struct dx_usb_device *device, uint8_t endpoint);
int dx_usb_reset(struct dx_usb_device *device);

/** Reads a string descriptor as UTF-8, in the device's first language. @return its length without NUL, or an error. */
int dx_usb_read_string(struct dx_usb_device *device, uint8_t index, char *text, size_t size);

/** Closes it: no transfer is under way, and nobody pumps. NULL is fine. */
void dx_usb_close(struct dx_usb_device *device);

#endif /* DX_USB_TRANSFER_H */
