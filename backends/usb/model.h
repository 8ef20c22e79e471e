// SPDX-License-Identifier: MIT
// A USB device that is a program: state machines without threads, for models of adapters.

#ifndef DX_USB_MODEL_H
#define DX_USB_MODEL_H

#include "backends/usb/transfer.h"

#include <stdatomic.h>

struct dx_usb_model;

struct dx_usb_model_ops {
    /** A control request; standard ones that model.c answers from the descriptors do not come here.
     * @return how many bytes of `data` were taken or filled; -EPIPE: stalls. */
    int (*control)(struct dx_usb_model *model, const struct dx_usb_setup *setup, uint8_t *data);
    /** SET_CONFIGURATION, SET_INTERFACE, reset (value 0 of a configuration): what stood there is dropped. */
    void (*configured)(struct dx_usb_model *model, uint8_t configuration);
    int (*set_interface)(struct dx_usb_model *model, uint8_t interface, uint8_t alternate);
    /** One whole bulk OUT transfer. @return 0, -EPIPE. */
    int (*out)(struct dx_usb_model *model, uint8_t endpoint, const uint8_t *data, uint32_t size);
    /** What a bulk or interrupt IN transfer brings now. @return bytes; -EAGAIN: nothing yet; -EPIPE. */
    int (*in)(struct dx_usb_model *model, uint8_t endpoint, uint8_t *data, uint32_t size, uint64_t now_ns);
    /** When `in` of a periodic endpoint may have something though nothing else has happened; UINT64_MAX: never. */
    uint64_t (*next)(const struct dx_usb_model *model, uint64_t now_ns);
    /** Whether it asks the wire to wait, as Ethernet's flow control does; NULL: never. */
    bool (*is_full)(const struct dx_usb_model *model);
    /** A frame comes from the wire. */
    void (*receive)(struct dx_usb_model *model, const uint8_t *frame, uint32_t size);
    void (*destroy)(struct dx_usb_model *model);
};

/* What a model has seen. One writer: the thread that runs it. Relaxed: others want a recent value. */
struct dx_model_counters {
    _Atomic uint64_t received; // frames from the wire that went to the host
    _Atomic uint64_t sent;     // frames from the host that went to the wire
    _Atomic uint64_t filtered; // frames from the wire which the filter keeps out
    _Atomic uint64_t deaf;     // frames either way that were lost because the device had not been set up for them
    _Atomic uint64_t overrun;  // frames from the wire that found no room: the host does not ask
    _Atomic uint64_t bad;      // frames, blocks or headers from the host that make no sense
};

struct dx_usb_model {
    const struct dx_usb_model_ops *ops;
    enum dx_usb_speed speed;
    const uint8_t *device_descriptor; // 18 bytes
    const uint8_t *configurations[DX_USB_MAX_CONFIGURATIONS]; // each of wTotalLength bytes
    uint32_t configuration_count;
    const char *strings[16]; // UTF-8; [1] is string 1
    uint8_t configuration;
    uint32_t out_max; // a bulk OUT transfer ends here also without a short packet; 0: only with one
    /* The wire: where frames go that the host sends. Called on the thread that runs the model. */
    void (*send)(void *wire, const uint8_t *frame, uint32_t size);
    void *wire;
    /* What is done wrong on purpose, for tests; NULL: nothing. Asked once for each transfer, when it is looked at
     * first: 0; a number of bytes after which it ends, the rest being lost; or a negative errno value that it
     * completes with instead: -EPIPE (an endpoint stays halted), -ENODEV (unplugged from now on), -EINPROGRESS (it
     * never completes by itself), any other. */
    int (*fault)(void *context, const struct dx_usb_transfer *transfer);
    void *fault_context;
    /* Told of each control request: bytes that went, or the error. Data may be NULL. NULL: nobody. */
    void (*told)(void *context, const struct dx_usb_setup *setup, const uint8_t *data, int result);
    void *told_context;
    _Atomic bool has_no_cable; // dx_usb_model_set_link()
    struct dx_model_counters counters;
    const char *_Atomic complaint; // why a strict model is deaf, as of the last frame either way; NULL: it is not
};

struct dx_model_options {
    uint8_t mac[6];
    enum dx_usb_speed speed;  // full or high
    bool is_strict;           // deaf where a real chip would be: `complaint` says why; else it hears at once
    uint32_t burst;           // ax88772: bytes at which bulk IN transfers are cut, even; 0: as the driver asks
    uint16_t product;         // ax88772: 0x7720, 0x772a, 0x772b; 0: 0x772b
    uint32_t ntb_max;         // ncm: largest block either way; 0: 16384
    bool has_ntb32;           // ncm: blocks of 32 bits as well
    bool has_no_ntb16;        // ncm: these alone
    bool has_ndp_first;       // ncm: right after the header, else at the end
};

struct dx_usb_model *dx_model_ax88772(const struct dx_model_options *options);
struct dx_usb_model *dx_model_ncm(const struct dx_model_options *options);
struct dx_usb_model *dx_model_ecm(const struct dx_model_options *options);

/**
 * Opens a model as a device, in this process: reset, then set to its first configuration, as a host does.
 *
 * @param model  taken, also on failure.
 *
 * The model runs on the thread that pumps, and nowhere else: submit and receive put things into queues.
 */
int dx_usb_open_model(struct dx_usb_model *model, struct dx_usb_device **ret_device);

/** A frame for the adapter's wire side. Any thread. */
void dx_usb_model_receive(struct dx_usb_device *device, const uint8_t *frame, uint32_t size);

/** Plugs the network cable in or out. Any thread. */
void dx_usb_model_set_link(struct dx_usb_device *device, bool is_up);

/** Pulls it out. Any thread. */
void dx_usb_model_unplug(struct dx_usb_device *device);

/* ---- USB/IP (backends/usb/usbip.c): after import, so headers of 48 bytes alone ---- */

/**
 * The device at the other end of a connected stream socket.
 *
 * @param socket  taken, also on failure.
 * Descriptors are read through it; they, and all else from the socket, are checked.
 */
int dx_usb_open_usbip(int socket, uint32_t device_id, enum dx_usb_speed speed, struct dx_usb_device **ret_device,
                      char why[256]);

/**
 * Serves a model to whoever is at the other end of a socket (vhci_hcd, or dx_usb_open_usbip()), until it is
 * closed. The model runs on the calling thread, which does nothing else meanwhile.
 *
 * @param model    taken.
 * @param socket   borrowed.
 * @param wire_fd  a TAP or packet socket, one frame a read; borrowed. -1: none, and model->send is left as it is.
 * @return 0 when the other side closed it; else with `why`: -EPROTO for what is no USB/IP, -ENODEV where
 *         model->fault unplugged it, -ENOMEM.
 */
int dx_usbip_serve(struct dx_usb_model *model, int socket, int wire_fd, char why[256]);

#endif /* DX_USB_MODEL_H */
