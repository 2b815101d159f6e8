/* SPDX-License-Identifier: MIT */
/*
 * One physical CPU: what it can do, its descriptor tables, its interrupt controller and clock.
 */
#ifndef PARANGON_CPU_H
#define PARANGON_CPU_H

#include "x86.h"
#include "core/domain.h"

/** Features of the processor that the hypervisor uses where present. */
struct cpu_features {
    bool smep, smap, umip, fsgsbase, xsave, nx, pge, rdtscp, x2apic, amd, invtsc, pat;
    u64 xcr0;            /* components enabled in XCR0 */
    u32 xsave_size;      /* bytes of the area for them; 512 without XSAVE */
    u32 cpuid_max, cpuid_max_ext, phys_bits;
    u64 cr4;             /* what the hypervisor runs with */
};
extern struct cpu_features cpu_features;

/** Speculation mitigations in force (spec-ctrl=); the default is safe for the processor found. */
struct spec_ctrl {
    bool rsb_overwrite;  /* overwrite the return stack buffer at entries from guests */
};
extern struct spec_ctrl spec_ctrl;

void cpu_detect(void);
/** GDT, TSS, IDT, system-call MSRs, control registers of this pcpu. */
void cpu_init(unsigned int cpu);
/** From now on this pcpu's hot entries make trace records (entry.S). */
void cpu_trace_entries(unsigned int cpu);
/** The machine page of the hypervisor's part of a pcpu's GDT, mapped behind the 14 of each vCPU that it runs. */
u64 cpu_gdt_page(unsigned int cpu);
/** Load the GDT with that page alone, for the idle vCPU and HVM, on this pcpu. */
void cpu_load_own_gdt(void);

/* time.c */
extern u64 tsc_hz;
void time_init(void);
ns_t tsc_to_ns(cycles_t tsc);
/** Fill v's vcpu_time_info with the current scale. */
void time_publish(struct vcpu *v);
void apic_init(void);
void apic_eoi(void);
/** This pcpu's APIC id. */
u32 apic_id(void);
/** Send to a processor: a vector, or one of these (SDM vol. 3 §10.6.1). */
#define APIC_NMI     0x4400
#define APIC_INIT    0x4500
#define APIC_STARTUP 0x4600 /* with the number of the page to start at */
void apic_command(u32 apic_id, u32 command);
void pic_init(void);
void pic_unmask(unsigned int irq);
void pic_eoi(unsigned int irq);
/** True when an interrupt waits that this pcpu would take if interrupts were on. */
bool irq_window(void);

/* serial.c */
void serial_init(void);
void serial_irq(void);
/** Neither write nor read from here on (console=none). */
void serial_close(void);

/* traps.c */
/** Say on the console how often guests were left and why, by the numbers of trace/events.def; when the machine ends. */
void entries_report(void);

/* machine.c */
void acpi_init(u64 rsdp);
/** Find the trace ring (ivshmem, 1af4:1110) and attach this pcpu's rings to it, `hold`: of mode TRACE_HELD. False where there is none. */
bool trace_device_init(u32 mask, bool hold);
/** Attach a pcpu's rings where the machine has such a ring; by that pcpu, or before it runs. */
void trace_attach_cpu(unsigned int cpu);
/** ACPI's table of interrupt controllers, or NULL. */
extern const void *acpi_madt;

/* panic.c */
void dump_regs(const struct regs *r, struct vcpu *v);

#endif
