// SPDX-License-Identifier: MIT
// What a host controller does for a model: transfers that wait, standard requests, halts. No thread, lock or clock
// of its own.

#ifndef DX_USB_MODEL_HOST_H
#define DX_USB_MODEL_HOST_H

#include "backends/usb/model.h"

#define DX_MODEL_MAX_INTERFACES 4u
#define DX_MODEL_OUT_ROOM (128u * 1024u) // of one bulk OUT transfer

/* One transfer that is under way. */
struct dx_model_slot {
    struct dx_usb_transfer *transfer;
    struct dx_model_slot *next, *previous;
    uint64_t deadline_ns; // UINT64_MAX: none
    uint32_t limit;       // bytes
    bool is_known;        // the fault hook was asked
    bool is_stuck;        // and wants that it never completes
    bool is_cancelled;
};

struct dx_model_list {
    struct dx_model_slot *first, *last;
};

/* All of it belongs to one thread. */
struct dx_model_host {
    struct dx_usb_model *model;
    struct dx_model_list pending; // in the order in which they were submitted
    struct dx_model_list done;
    bool is_gone;
    uint32_t halted;              // a bit for each endpoint
    uint8_t alternates[DX_MODEL_MAX_INTERFACES];
    struct dx_model_gathered {    // packets of a bulk OUT transfer that has not ended
        uint8_t *bytes;
        uint32_t size;
    } gathered[16];
};

void dx_model_list_append(struct dx_model_list *list, struct dx_model_slot *slot);
void dx_model_list_remove(struct dx_model_list *list, struct dx_model_slot *slot);

/** @param model  taken. */
void dx_model_host_begin(struct dx_model_host *host, struct dx_usb_model *model);
/** Destroys the model. No transfer is under way. */
void dx_model_host_end(struct dx_model_host *host);

/** Starts slot->transfer; the time-out counts from `now_ns`. */
void dx_model_host_submit(struct dx_model_host *host, struct dx_model_slot *slot, uint64_t now_ns);

/** Completes what can be completed: that is in `done` then. @return when to be called again at the latest. */
uint64_t dx_model_host_run(struct dx_model_host *host, uint64_t now_ns);

/** @return one that has completed, no longer in any list; NULL: none. */
struct dx_model_slot *dx_model_host_take(struct dx_model_host *host);

/** A request, at once; DX_USB_TO_PORT resets the device and sets it up as it was. @return bytes, or an error. */
int dx_model_host_control(struct dx_model_host *host, const struct dx_usb_setup *setup, uint8_t *data);

/** Whether frames are to wait on the wire. */
bool dx_model_host_is_full(const struct dx_model_host *host);

/** The kind of an endpoint; bulk where it has none. */
enum dx_usb_kind dx_model_host_kind(const struct dx_model_host *host, uint8_t endpoint);

/* ---- for models ---- */

/** The answer to an IN request, no longer than what was asked for. @return its bytes. */
int dx_model_answer(const struct dx_usb_setup *setup, uint8_t *data, const void *answer, uint32_t size);

/** Adds one to a counter of the model's. */
void dx_model_count(_Atomic uint64_t *counter);

/** Notes why a frame was lost in a model that has not been set up; NULL: it was not. @return whether it was not. */
bool dx_model_judge(struct dx_usb_model *model, const char *complaint);

/** A frame as it is on the wire: 60 bytes at least. @return its bytes; 0: it is none. `room`: DX_MODEL_FRAME_ROOM
 * bytes. */
uint32_t dx_model_pad(const uint8_t *frame, uint32_t size, uint8_t *room);
#define DX_MODEL_FRAME_ROOM 1518u

/** CRC-32 as the kernel's ether_crc(): no final complement, bits of a byte from the lowest. */
uint32_t dx_model_ether_crc(const uint8_t *bytes, uint32_t size);

/* ---- for both ends of USB/IP ---- */

/** @return the endpoint's descriptor in a configuration, 7 bytes at least; NULL: none. `alternates`: of the
 * interfaces; NULL: any. */
const uint8_t *dx_model_find_endpoint(const uint8_t *configuration, uint32_t size, const uint8_t *alternates,
                                      uint8_t address);

uint64_t dx_model_now_ns(void);

#endif /* DX_USB_MODEL_HOST_H */
