/* SPDX-License-Identifier: MIT */
/* `parangon trace` alone, without the harness: the program that the trace tests run. */
#include <stddef.h>

#include "trace/command.h"

int main(int argc, char **argv)
{
    return trace_command(argc, argv, NULL);
}
