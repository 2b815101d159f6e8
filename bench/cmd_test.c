/* SPDX-License-Identifier: MIT */
/* `parangon test`: hands over to tests/run, which knows the tiers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/results.h"
#include "bench/command.h"
#include "bench/paths.h"

int cmd_test(int argc, char **argv)
{
    char *script = format("%s/tests/run", paths_get()->root);

    setenv("PARANGON_ROOT", paths_get()->root, 1);
    setenv("PARANGON_BUILD", paths_get()->build, 1);
    argv[0] = script;
    (void)argc;
    execv(script, argv);
    fprintf(stderr, "parangon: cannot run %s: %s\n", script, strerror(errno));
    return STATUS_INCOMPLETE;
}
