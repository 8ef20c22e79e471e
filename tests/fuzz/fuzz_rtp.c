// SPDX-License-Identifier: MIT
// RTP packets of anybody on the network, one after the other, each at a time of its own.

#include "backends/usb/bundle/packets.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each packet: its size and when it comes, two bytes each, then as much of it as there is. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct packets *const packets = calloc(1, sizeof *packets);
    if (!packets || size < 1) {
        free(packets);
        return 0;
    }
    packets_init(packets, 1u + data[0] % PACKETS_MAX_CHANNELS, 1);
    packets_start(packets, 1);
    uint64_t now_ns = 1;
    uint64_t count = 0;
    for (size_t at = 1; at + 4 <= size;) {
        const size_t wanted = (size_t)data[at] << 8 | data[at + 1];
        now_ns += ((uint64_t)data[at + 2] << 8 | data[at + 3]) * UINT64_C(100000);
        at += 4;
        const size_t length = wanted < size - at ? wanted : size - at;
        uint8_t *const copy = malloc(length ? length : 1); // exact size: one byte too far is seen
        if (!copy)
            break;
        memcpy(copy, data + at, length);
        packets_take(packets, copy, (uint32_t)length, now_ns);
        free(copy);
        at += length;
        count++;
    }
    /* What is read is a sample of 24 bits or silence, and is read once; the next run has none of it. */
    float samples[48 * PACKETS_MAX_CHANNELS];
    const uint64_t frame = now_ns / 1000000 * 48;
    for (unsigned round = 0; round < 3; round++) {
        if (round == 2)
            packets_start(packets, now_ns + 1);
        packets_read(packets, frame, samples, 48);
        for (uint32_t i = 0; i < 48 * packets->channels; i++)
            if (samples[i] < -1.0f || samples[i] >= 1.0f || (round && samples[i] != 0.0f))
                abort();
    }
    /* Each was either taken or refused, and has changed nothing of what is sent. */
    uint8_t bytes[PACKETS_MAX_BYTES];
    uint64_t due_ns = 0;
    if (atomic_load(&packets->received) + atomic_load(&packets->refused) != count)
        abort();
    if (packets_make(packets, now_ns + 10000000, bytes, &due_ns) > PACKETS_MAX_BYTES)
        abort();
    free(packets);
    return 0;
}
