/* SPDX-License-Identifier: MIT */
/*
 * The commands of this room: `parangon sim`, `parangon smt-calibrate`.
 *
 * argv[0] is the command's name. They return 0 done, 1 a check failed, 2 usage, 4 incomplete.
 */
#ifndef PARANGON_SIM_COMMAND_H
#define PARANGON_SIM_COMMAND_H

int cmd_sim(int argc, char **argv);
int cmd_smt_calibrate(int argc, char **argv);

#endif
