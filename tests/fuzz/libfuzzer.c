/* SPDX-License-Identifier: MIT */
/*
 * The same targets under libFuzzer: built with clang where its runtime is installed (see CMakeLists.txt).
 */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct fuzz_input in = {.data = data, .size = size};

    fuzz_one(&in);
    return 0;
}
