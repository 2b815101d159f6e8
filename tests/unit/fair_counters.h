/* SPDX-License-Identifier: MIT */
/* Are the counters and sets of credit and smt what one gets by counting? For tests that look after each event. */
#ifndef PARANGON_TEST_FAIR_COUNTERS_H
#define PARANGON_TEST_FAIR_COUNTERS_H

/** Of pool 0, whose policy is credit or smt; no lock is held. @return what is wrong, or NULL */
const char *fair_counters_wrong(void);

#endif
