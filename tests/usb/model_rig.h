// SPDX-License-Identifier: MIT
// A model, opened in this process or behind a socket pair and USB/IP, a thread that pumps it, and its wire.

#ifndef DX_TESTS_USB_MODEL_RIG_H
#define DX_TESTS_USB_MODEL_RIG_H

#include "backends/usb/model.h"
#include "tests/core/check.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#define NS_PER_MS UINT64_C(1000000)
#define NOTHING_MS 100 // how long nothing must come before it is believed

struct model_rig {
    struct dx_usb_model *model; // the rig's device's, or the server's
    struct dx_usb_device *device;
    pthread_t pumper, server;
    bool is_served;
    _Atomic bool is_ending;
    int wire[2];       // packets: [0] is the test's; [1] the model's
    int server_socket; // the server's end
    int serve_result;
    char serve_why[256];
    struct dx_usb_model_ops ops; // the model's, but that it is kept until the test has looked at it
    const struct dx_usb_model_ops *model_ops;
    sem_t has_looked;
};

/* One transfer, and how often it has completed. */
struct watched {
    struct dx_usb_transfer usb;
    _Atomic uint32_t completions;
    uint8_t data[20000];
};

uint64_t rig_now_ns(void);

/* @param model  taken. */
void rig_open(struct model_rig *rig, struct dx_usb_model *model, bool is_served);
void rig_close(struct model_rig *rig);

/* Requests of the test's thread. */
int rig_in(struct model_rig *rig, uint8_t type, uint8_t number, uint16_t value, uint16_t index, void *data,
           uint16_t size);
int rig_out(struct model_rig *rig, uint8_t type, uint8_t number, uint16_t value, uint16_t index, const void *data,
            uint16_t size);

/* A bulk or interrupt transfer from its submission to its end. @return its status; ->actual holds the bytes. */
int rig_transfer(struct model_rig *rig, struct watched *watched, uint8_t endpoint, uint32_t size,
                 uint32_t timeout_ms);

void watched_prepare(struct model_rig *rig, struct watched *watched, enum dx_usb_kind kind, uint8_t endpoint);
void watched_wait(struct watched *watched, uint32_t completions);

/* The wire: a frame to the model; one that it sends. @return bytes; 0: none comes. */
void rig_wire_send(struct model_rig *rig, const uint8_t *frame, uint32_t size);
uint32_t rig_wire_receive(struct model_rig *rig, uint8_t *frame, uint32_t room, int timeout_ms);

/* A frame with a content that follows from its size; `to`: its destination. */
void make_frame(uint8_t *frame, uint32_t size, const uint8_t to[6]);

#endif /* DX_TESTS_USB_MODEL_RIG_H */
