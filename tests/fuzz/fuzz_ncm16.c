// SPDX-License-Identifier: MIT
// Blocks of CDC-NCM, NTB-16: what a fast and a slow reader make of any bytes, and of what the sender makes.

#include "tests/fuzz/ncm_blocks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_blocks(data, size, false);
    return 0;
}
