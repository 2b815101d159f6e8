/* SPDX-License-Identifier: MIT */
/*
 * Parameters of suite macro-1: how much of each program an interval is. Frozen
 * (guests/linux/macro-1.json): chosen so that one interval is 150 to 600 million instructions on
 * native Linux.
 */
#ifndef PARANGON_MACRO1_H
#define PARANGON_MACRO1_H

#define MACRO1_STR2(x) #x
#define MACRO1_STR(x)  MACRO1_STR2(x)

#define MACRO1_XZ_LEVEL             0
#define MACRO1_GCC_OPTION           "-O0"
#define MACRO1_SQL_ROWS             1500
#define MACRO1_SQL_STATEMENTS       800
#define MACRO1_DBENCH_LINES         7000
#define MACRO1_DBENCH_SECONDS       1
#define MACRO1_PGBENCH_TRANSACTIONS 150
#define MACRO1_WEB_REQUESTS         2200
#define MACRO1_WEB_PER_CONNECTION   10
#define MACRO1_REDIS_REQUESTS       500

#endif
