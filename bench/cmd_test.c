/* SPDX-License-Identifier: MIT */
/* `parangon test`: hands over to tests/run, which knows the tiers. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "analysis/results.h"
#include "bench/command.h"
#include "bench/paths.h"
#include "bench/words.h"

int cmd_test(int argc, char **argv)
{
    char *script = format("%s/tests/run", paths_get()->root);
    struct words words = {0};

    words_add(&words, "%s", script);
    words_option(&words, "--build", "%s", paths_get()->build);
    for (int i = 1; i < argc; i++)
        words_add(&words, "%s", argv[i]);
    execv(script, words.word);
    fprintf(stderr, "parangon: cannot run %s: %s\n", script, strerror(errno));
    return STATUS_INCOMPLETE;
}
