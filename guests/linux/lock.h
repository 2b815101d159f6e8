/* SPDX-License-Identifier: MIT */
/*
 * packages.lock, as mkimage and mksuite read it: `package version sha256` a line, '#' begins a
 * comment. What fetch-packages says is in use has the same form.
 */
#ifndef PARANGON_LOCK_H
#define PARANGON_LOCK_H

#include <stdio.h>

struct lock_package {
    char name[128], version[128], sha256[128];
};

/** Read the next package of an open lock. @return 1, or 0 at its end */
static inline int lock_next(FILE *lock, struct lock_package *package)
{
    char line[512];

    while (fgets(line, sizeof(line), lock))
        if (line[0] != '#' && sscanf(line, "%127s %127s %127s", package->name, package->version,
                                     package->sha256) == 3)
            return 1;
    return 0;
}

#endif
