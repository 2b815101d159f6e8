/* SPDX-License-Identifier: MIT */
/*
 * Several physical processors: which there are, bringing them up, and what one asks of the others.
 *
 * Pcpu 0 is the one that booted; the others follow the order of ACPI's MADT. Their number is fixed at boot (arch_nr_cpus());
 * which of them run changes (arch_online_mask()).
 */
#ifndef PARANGON_SMP_H
#define PARANGON_SMP_H

#include "core/domain.h"

/** More than one pcpu is in this machine: fixed before the first guest runs. */
extern bool several_pcpus;

/** Find the machine's processors in the MADT (NULL: none), at most `max` of them. Pcpu 0 calls it once, before smp_boot(). */
void smp_detect(const void *madt, unsigned int max);
/** Bring up all that were found, pcpu 0's scheduler and idle vCPU being there; one line in the log with the topology. */
void smp_boot(void);
/** Where each processor is, from CPUID leaf 0xB or the option topology=THREADS,CORES[,SOCKETS of a node]; `stated` may be empty. */
void smp_topology(const char *stated);

/**
 * Run fn(arg) on these pcpus, as far as they are online (this one too), and wait until all have. A pcpu serves such calls from
 * the interrupt and from each loop in which it waits for another (arch_relax()), so locks may be held, of either. fn takes no
 * lock, allocates nothing and writes no log.
 */
void on_each_cpu(u64 mask, void (*fn)(void *arg), void *arg);
/** Serve a call that waits for this pcpu. */
void smp_serve(void);

/** Flush guests' mappings on these pcpus. */
void tlb_flush_cpus(u64 mask);
/** The pcpus that have loaded a vCPU of d that is in the mask (bit: vcpu id); and this one. */
u64 vcpus_cpus(const struct domain *d, u64 vcpus);
/** Flush guests' mappings on this pcpu and on those that have loaded a vCPU of d that is in the mask (bit: vcpu id). */
void tlb_flush_domain(const struct domain *d, u64 vcpus);
/** From the idle loop, interrupts off: if this pcpu is to be unplugged (arch_cpu_down()) and through, stay here until it comes back. */
void smp_leave_if_asked(void);
/** Stop the other pcpus for good: the machine ends. Those that do not answer are stopped by NMI. */
void smp_stop_others(void);
/** From the NMI handler: another pcpu ends the machine, and this one goes no further. */
void smp_stop_if_asked(void);

#endif
