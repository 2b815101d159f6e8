/* SPDX-License-Identifier: MIT */
/* `parangon inputs`: fetch what inputs.lock names, and show what is in use. */
#include <stdio.h>

#include "analysis/results.h"
#include "bench/command.h"
#include "bench/inputs.h"
#include "bench/paths.h"

static const char doc[] =
    "Fetch the kernel, Xen and QEMU that inputs.lock pins (with apt, from the mirror of the "
    "system's own sources), "
    "check their SHA-256 and unpack them into cache/. Other commands do this by themselves "
    "when it is needed.";

int cmd_inputs(int argc, char **argv)
{
    struct inputs inputs;

    command_parse_none(doc, argc, argv);
    if (inputs_get(&inputs, INPUTS_FETCH) < 0)
        return STATUS_INCOMPLETE;
    for (size_t i = 0; i < inputs.nr; i++)
        printf("%-10s %-30s %-34s %.12s%s\n", inputs.item[i].role, inputs.item[i].package,
               inputs.item[i].version, inputs.item[i].sha256,
               inputs.item[i].as_locked ? "" : "  not as inputs.lock");
    return STATUS_DONE;
}
