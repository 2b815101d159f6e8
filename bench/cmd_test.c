/* SPDX-License-Identifier: MIT */
/*
 * `parangon test`: makes the inputs be there, so that no boot is skipped for want of a QEMU, and
 * hands over to tests/run, which knows the tiers.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "analysis/results.h"
#include "bench/command.h"
#include "bench/inputs.h"
#include "bench/paths.h"
#include "bench/words.h"

int cmd_test(int argc, char **argv)
{
    char *script = format("%s/tests/run", paths_get()->root);
    struct words words = {0};
    struct inputs inputs;

    if (inputs_get(&inputs, INPUTS_FETCH) < 0)
        return STATUS_INCOMPLETE;
    words_add(&words, "%s", script);
    words_option(&words, "--build", "%s", paths_get()->build);
    for (int i = 1; i < argc; i++)
        words_add(&words, "%s", argv[i]);
    execv(script, words.word);
    fprintf(stderr, "parangon: cannot run %s: %s\n", script, strerror(errno));
    return STATUS_INCOMPLETE;
}
