/* SPDX-License-Identifier: MIT */
/*
 * The processor's part of vCPUs, domains and physical CPUs in the simulated machine of the host
 * library: what hv/x86/arch_types.h is on the real one. machine.h has what tests do with it.
 */
#ifndef PARANGON_ARCH_TYPES_H
#define PARANGON_ARCH_TYPES_H

#include "types.h"

struct vcpu;

struct arch_vcpu {
    u64 switches_in, switches_out;   /* context switches */
    u64 events;                      /* arch_event_pending() calls */
    u64 continued[7];                /* last arch_hypercall_continue(): op, then arguments */
    bool has_continued;
    u64 cr3;                         /* frame number of its L4; 0: none (pv_host.c) */
};

struct arch_domain {
    u64 nr_shared_pages;
    u64 nr_guest_frames_taken;
    u64 relinquish_pos;
};

extern struct vcpu *host_current;
extern unsigned int host_cpu;
extern ns_t host_now;

static inline struct vcpu *current_vcpu(void)
{
    return host_current;
}

static inline unsigned int this_cpu(void)
{
    return host_cpu;
}

static inline ns_t now_ns(void)
{
    return host_now;
}

#endif
