/* SPDX-License-Identifier: MIT */
/*
 * Replays a trace by the policies that it is linked with: hypervisor.sh compiles it beside altered ones, to see that a replay finds what was
 * altered. replay_altered FILE POLICY: "every record" or the first that differs; status 1 then, 2 for no replay.
 */
#include <stdio.h>
#include <string.h>

#include "sim/replay.h"

int main(int argc, char **argv)
{
    struct sim_setup setup;
    struct sim_replay_result r;

    memset(&setup, 0, sizeof setup);
    if (argc != 3)
        return 2;
    setup.config.threads = 1;
    setup.config.length = 1; /* of a machine that runs; any */
    snprintf(setup.config.policy, sizeof setup.config.policy, "%s", argv[2]);
    if (sim_replay(argv[1], &setup, NULL, 0, &r) < 0)
        return 2;
    if (!r.differs)
        printf("every record of %llu as recorded\n", (unsigned long long)r.records);
    else
        printf("decision %llu differs, after %llu records: recorded %s, replayed %s\n", (unsigned long long)r.decisions,
               (unsigned long long)r.records, r.recorded, r.replayed);
    return r.differs;
}
