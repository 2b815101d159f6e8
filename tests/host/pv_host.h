/* SPDX-License-Identifier: MIT */
/*
 * What tests may ask of the simulated paravirtual domains: see pv_host.c.
 */
#ifndef PARANGON_TESTS_PV_HOST_H
#define PARANGON_TESTS_PV_HOST_H

#include "core/domain.h"

/** Frame number of v's L4, 0: none. */
u64 host_cr3(const struct vcpu *v);
/** Drop v's L4, as the end of its domain does. */
void host_drop_cr3(struct vcpu *v);

#endif
