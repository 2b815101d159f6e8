/* SPDX-License-Identifier: MIT */
/*
 * What tests may ask of the simulated paravirtual domains: see pv_host.c.
 */
#ifndef PARANGON_TESTS_PV_HOST_H
#define PARANGON_TESTS_PV_HOST_H

#include "core/domain.h"

/** What the hypervisor's slots of an L4 hold here. */
#define HOST_HV_SLOT(i) (0xdead000000000000ull | (i))

/** Frame number of v's L4 as guest kernel. */
static inline u64 host_cr3(const struct vcpu *v)
{
    return v->arch.cr3_kernel >> PAGE_SHIFT;
}

/** Frame that is mapped in a page of v's descriptor tables (0-15: GDT, 16-31: LDT); 0: none. */
u64 host_desc_page(const struct vcpu *v, unsigned int i);

#endif
