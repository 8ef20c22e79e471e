// SPDX-License-Identifier: MIT
// A CDC device that answers each request at once, on the calling thread, notes it, and fails where it is told to.

#ifndef DX_TESTS_SCRIPTED_H
#define DX_TESTS_SCRIPTED_H

#include "backends/usb/transfer.h"

struct scripted {
    struct dx_usb_device device;
    char log[8192];       // a line for each request: "claim 0", "set 1 to 0", "in 80 0 28", "string 3"
    uint32_t steps;       // how many there were
    uint32_t fail_at;     // the number of the one that fails, from 1; 0: none
    int fail_with;        // -ENODEV: and all that follow
    uint8_t stalls[256];  // requests of the class that it stalls
    const char *strings[8];
    const void *parameters; // what GetNtbParameters gives; NULL: stalls
    uint32_t parameters_bytes;
    uint16_t crc_mode, max_datagram;
    uint8_t sent[512];    // of the last request that had data
    uint32_t sent_bytes;
    uint32_t claims;      // interfaces that are claimed
    uint8_t claimed[256], alternates[256];
};

/* Copies the descriptors, each to memory of its size. */
void scripted_begin(struct scripted *scripted, uint8_t configuration);
void scripted_add_configuration(struct scripted *scripted, const void *bytes, uint32_t size);
void scripted_end(struct scripted *scripted);

#endif /* DX_TESTS_SCRIPTED_H */
