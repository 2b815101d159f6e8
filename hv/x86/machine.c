/* SPDX-License-Identifier: MIT */
/*
 * The machine around the processor: power-off and reboot by ACPI, the trace ring on PCI.
 *
 * Sources: ACPI 6.4 §5.2.5 (RSDP), §5.2.9 (FADT), §4.8.3.2 (PM1 control), §7.4.2 (_S5); PCI local bus 3.0 §6.2; QEMU
 * docs/specs/ivshmem-spec. Does not: interpret AML. The sleep type of S5 is found as the package that follows the name _S5_.
 */
#include "cpu.h"
#include "mm.h"
#include "smp.h"
#include "pv/io_rights.h"
#include <trace/trace.h>

const void *acpi_madt;
static u16 pm1a_cnt;
static u8 s5_type;
static void *trace_base;
static u32 trace_mask;

/* Tables may lie above or below the end of memory, all below 4 GiB: the mapping of all memory covers that. */
static void *phys(u64 paddr)
{
    return paddr && paddr < GB(4) ? (void *)(DIRECTMAP + paddr) : NULL;
}

static const u8 *find_rsdp(void)
{
    u16 ebda = *(u16 *)phys(0x40e);
    struct { u64 from, to; } area[] = {{(u64)ebda << 4, ((u64)ebda << 4) + 1024}, {0xe0000, 0x100000}};

    for (unsigned int i = 0; i < 2; i++)
        for (u64 at = area[i].from & ~15ull; at && at < area[i].to; at += 16)
            if (!memcmp(phys(at), "RSD PTR ", 8))
                return phys(at);
    return NULL;
}

static void find_s5(const struct acpi_header *dsdt)
{
    const u8 *p = (const u8 *)(dsdt + 1), *end = (const u8 *)dsdt + dsdt->length;

    for (; p + 12 < end; p++) {
        const u8 *q = p + 4;

        if (memcmp(p, "_S5_", 4) || *q++ != 0x12) /* PackageOp */
            continue;
        q += 1 + (*q >> 6); /* PkgLength */
        q++;                /* NumElements */
        if (*q == 0x0a)     /* BytePrefix */
            q++;
        s5_type = *q & 7;
        return;
    }
}

/** Find the power-off registers and the table of processors. rsdp: physical address from the loader, or 0. Without them power-off is a halt. */
void acpi_init(u64 rsdp)
{
    const u8 *r = rsdp ? phys(rsdp) : find_rsdp();
    const struct acpi_header *rsdt, *t;
    u32 a;

    if (!r)
        return;
    memcpy(&a, r + 16, 4);
    rsdt = phys(a);
    if (!rsdt || rsdt->length < sizeof(*rsdt) || rsdt->length > MB(1))
        return;
    for (u32 off = sizeof(*rsdt); off + 4 <= rsdt->length; off += 4) {
        memcpy(&a, (const u8 *)rsdt + off, 4);
        t = phys(a);
        if (t && !memcmp(t->signature, "APIC", 4))
            acpi_madt = t;
        if (!t || memcmp(t->signature, "FACP", 4))
            continue;
        memcpy(&a, (const u8 *)t + 64, 4);
        pm1a_cnt = a;
        memcpy(&a, (const u8 *)t + 40, 4);
        if (phys(a))
            find_s5(phys(a));
    }
}

void arch_machine_end(enum machine_end how)
{
    smp_stop_others();
    entries_report();
    if (trace_base)
        trace_region_finish(trace_base);
    if (list_empty(&domain_list))
        mm_report(0);
    if (how == MACHINE_POWEROFF && pm1a_cnt) {
        outw(pm1a_cnt, (u16)(1 << 13 | s5_type << 10));
        for (cycles_t end = rdtsc() + 2 * tsc_hz; rdtsc() < end;) /* an emulator may take its time */
            ;
        printk("the machine did not power off\n");
    }
    if (how == MACHINE_REBOOT) {
        outb(0xcf9, 2);
        outb(0xcf9, 6);
        outb(0x64, 0xfe);
    }
    for (;;)
        __asm__ volatile("cli; hlt");
}

static u32 pci_read(u32 bdf, u8 reg)
{
    outl(0xcf8, 0x80000000u | bdf << 8 | (reg & 0xfc));
    return inl(0xcfc);
}
static void pci_write(u32 bdf, u8 reg, u32 v)
{
    outl(0xcf8, 0x80000000u | bdf << 8 | (reg & 0xfc));
    outl(0xcfc, v);
}

void trace_attach_cpu(unsigned int cpu)
{
    struct cpu_info *c = cpu_info_of(cpu);

    if (!trace_base || trace_ring_attach(&c->trace, trace_base, cpu, TRACE_RING_NORMAL, trace_mask) ||
        trace_ring_attach(&c->trace_nmi, trace_base, cpu, TRACE_RING_NMI, trace_mask))
        return;
    if (trace_mask & (TRACE_CLASS_HYPERCALL | TRACE_CLASS_EXIT))
        cpu_trace_entries(cpu);
}

bool trace_device_init(u32 mask, bool hold)
{
    for (u32 bdf = 0; bdf < 256; bdf++) {
        u64 base, size;
        u32 lo;
        size_t id_len = 0;
        const void *id = arch_build_id(&id_len);
        struct trace_config config = {
            .nr_cpus = arch_nr_cpus(), .mode = hold ? TRACE_HELD : TRACE_RECORD, .mask = mask, .classes = TRACE_CLASSES,
            .tsc_hz = tsc_hz, .tsc_source = TRACE_TSC_PIT,
            .clock_mode = tsc_hz == 1000000000 ? TRACE_CLOCK_INSTRUCTIONS : TRACE_CLOCK_CYCLES,
            .build_id = id, .build_id_size = id_len,
        };

        if (pci_read(bdf, 0) != 0x11101af4)
            continue;
        lo = pci_read(bdf, 0x18);
        base = (lo & ~15u) | (u64)pci_read(bdf, 0x1c) << 32;
        pci_write(bdf, 0x18, ~0u);
        size = (u32)~(pci_read(bdf, 0x18) & ~15u) + 1ull;
        pci_write(bdf, 0x18, lo);
        pci_write(bdf, 4, pci_read(bdf, 4) | 2);
        if (!base || size < MB(1))
            return false;
        trace_base = mm_map_device(base, size, true);
        pci_hidden_bdf = bdf;
        io_hide_mem(base >> PAGE_SHIFT, (base + size - 1) >> PAGE_SHIFT);
        trace_region_init(trace_base, size, &config);
        trace_mask = mask;
        trace_attach_cpu(0);
        printk("trace ring of %llu MiB on PCI %02x:%02x.%u\n", (unsigned long long)size >> 20, bdf >> 8, (bdf >> 3) & 31, bdf & 7);
        return true;
    }
    return false;
}
