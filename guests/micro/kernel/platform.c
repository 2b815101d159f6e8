/* SPDX-License-Identifier: MIT */
/*
 * The platforms: start, console, clock, power.
 *
 * A domain prints by console_io where it may, else into its console ring (xen/io/console.h); a PVH
 * domain without a ring, by port 0xe9.
 * Native prints to COM1 and powers off by ACPI (PIIX4, as QEMU's `pc` places it) or isa-debug-exit
 * at 0xf4.
 */
#include "hypercall.h"
#include "micro.h"
#include <xen/arch-x86/cpuid.h>
#include <xen/arch-x86/hvm/start_info.h>
#include <xen/io/console.h>

#define COM1              0x3f8
#define PORT_E9           0xe9
#define PIIX4_PM1A_CNT    0x604
#define PM1_SLP_EN        0x2000
#define FADT_PM1A_CNT     64
#define ISA_DEBUG_EXIT    0xf4
#define MULTIBOOT_MAGIC   0x2badb002
#define MULTIBOOT_CMDLINE 4
#define LINUX_MAGIC       0x53726448 /* "HdrS", as the zero page has it */

enum micro_platform platform;
struct start_info *start_info;
const struct hvm_start_info *pvh_info;
uint32_t xen_leaf, start_flags;
uint64_t start_pages;
struct vcpu_info *vcpu_info;
struct shared_info *shared_info;
bool end_by_reboot, has_pc;

/* The zero page of Linux's boot protocol (Documentation/arch/x86/zero-page.rst), NULL: not started so. */
static const uint8_t *zero_page;
#define ZP_RSDP         0x070
#define ZP_E820_ENTRIES 0x1e8
#define ZP_CMDLINE      0x228
#define ZP_E820         0x2d0

/* The domain's console ring; NULL for the privileged domain, which uses console_io. */
static struct xencons_interface *console_ring;
static evtchn_port_t console_port;

extern char VIRT_BASE[], gate_vmmcall[], gate_vmcall[];
extern void *hypercall_gate;
uint64_t hypercall_page_paddr(void);

/* A page of address space for shared_info: this page's own frame is given up for it. */
static uint8_t shared_info_page[PAGE_SIZE] __attribute__((aligned(4096)));

static void ring_write(const char *s, size_t len)
{
    struct evtchn_send send = {.port = console_port};

    while (len) {
        uint32_t prod = console_ring->out_prod;

        while (len && prod - *(volatile XENCONS_RING_IDX *)&console_ring->out_cons <
                          sizeof(console_ring->out)) {
            console_ring->out[MASK_XENCONS_IDX(prod, console_ring->out)] = *s++;
            prod++;
            len--;
        }
        barrier();
        console_ring->out_prod = prod;
        hc_evtchn(EVTCHNOP_send, &send);
        if (len)
            hc_sched_op(SCHEDOP_yield, NULL);
    }
}

void console_write(const char *s, size_t len)
{
    if (console_ring) {
        ring_write(s, len);
    } else if (platform == PLATFORM_PV || privileged()) {
        hc_console_io(CONSOLEIO_write, (unsigned)len, (void *)s);
    } else if (platform == PLATFORM_PVH) {
        for (; len; len--)
            outb(PORT_E9, (uint8_t)*s++);
    } else {
        for (; len; len--) {
            while (!(inb(COM1 + 5) & 0x20))
                ;
            outb(COM1, (uint8_t)*s++);
        }
    }
}

uint64_t now_ns(void)
{
    volatile struct vcpu_time_info *t;
    uint32_t version;
    uint64_t ns;

    if (platform == PLATFORM_NATIVE)
        return rdtsc();
    t = &vcpu_info->time;
    do {
        uint64_t delta;

        version = t->version;
        barrier();
        delta = rdtsc() - t->tsc_timestamp;
        delta = t->tsc_shift < 0 ? delta >> -t->tsc_shift : delta << t->tsc_shift;
        ns = t->system_time + (uint64_t)(((unsigned __int128)delta * t->tsc_to_system_mul) >> 32);
        barrier();
    } while ((version & 1) || version != t->version);
    return ns;
}

/* ACPI 6.5 §5.2.5 (RSDP), §5.2.8 (XSDT). */
const uint8_t *acpi_table(const char *signature)
{
    const uint8_t *rsdp = zero_page ? phys_ptr(*(const uint64_t *)(zero_page + ZP_RSDP)) : NULL, *xsdt;

    if (!rsdp || memcmp(rsdp, "RSD PTR ", 8))
        return NULL;
    xsdt = phys_ptr(*(const uint64_t *)(rsdp + 24));
    for (uint32_t at = 36; at < *(const uint32_t *)(xsdt + 4); at += 8) {
        const uint8_t *table;
        uint64_t paddr;

        memcpy(&paddr, xsdt + at, sizeof(paddr));
        table = phys_ptr(paddr);
        if (!memcmp(table, signature, 4))
            return table;
    }
    return NULL;
}

void platform_poweroff(void)
{
    const uint8_t *fadt = acpi_table("FACP");
    struct sched_shutdown s = {.reason = end_by_reboot ? SHUTDOWN_reboot : SHUTDOWN_poweroff};

    if (platform & PLATFORM_XEN) {
        hc_sched_op(SCHEDOP_shutdown, &s);
    } else if (fadt) {
        outw(*(const uint16_t *)(fadt + FADT_PM1A_CNT), PM1_SLP_EN | 5 << 10);
    } else {
        outw(PIIX4_PM1A_CNT, PM1_SLP_EN);
        outb(ISA_DEBUG_EXIT, 0);
    }
    for (;;)
        __asm__ volatile("hlt");
}

void pv_main(struct start_info *si)
{
    platform = PLATFORM_PV;
    start_info = si;
    start_flags = si->flags;
    start_pages = si->nr_pages;
    console_port = si->console.domU.evtchn;
    if (!(si->flags & SIF_PRIVILEGED) && si->console.domU.mfn)
        console_ring = (struct xencons_interface *)va_of_mfn(si->console.domU.mfn);
    shared_info = (struct shared_info *)shared_info_page;
    if (hc_update_va_mapping(PTR(shared_info_page), si->shared_info | PTE_RW, UVMF_INVLPG) != 0)
        print("MICRO cannot map shared_info\n");
    vcpu_info = &shared_info->vcpu_info[0];
    events_mask();
    trap_init_pv();
    memory_init();
    user_init();
    micro_main((const char *)si->cmd_line);
}

/* The hypercall interface, by what CPUID says (xen/arch-x86/cpuid.h). False: no such hypervisor. */
static bool find_xen(void)
{
    static const uint32_t amd[] = {0x68747541, 0x69746e65, 0x444d4163}; /* AuthenticAMD */
    struct cpuid_regs r;

    for (uint32_t leaf = 0x40000000; leaf < 0x40010000; leaf += 0x100) {
        r = cpuid_bare(leaf, 0);
        if (r.b != XEN_CPUID_SIGNATURE_EBX || r.c != XEN_CPUID_SIGNATURE_ECX ||
            r.d != XEN_CPUID_SIGNATURE_EDX)
            continue;
        xen_leaf = leaf;
        r = cpuid_bare(0, 0);
        hypercall_gate = r.b == amd[0] && r.d == amd[1] && r.c == amd[2] ? gate_vmmcall : gate_vmcall;
        if (hypercall_page_paddr())
            wrmsr(cpuid_bare(leaf + 2, 0).b, hypercall_page_paddr());
        return true;
    }
    return false;
}

/* Console ring, shared_info and event upcalls of a PVH domain. */
static void pvh_init(void)
{
    uint64_t gfn = 0, port = 0;

    start_flags = pvh_info ? pvh_info->flags : 0;
    if (!privileged() && !hc_hvm_get_param(HVM_PARAM_CONSOLE_PFN, &gfn) && gfn &&
        !hc_hvm_get_param(HVM_PARAM_CONSOLE_EVTCHN, &port) && port) {
        console_port = (evtchn_port_t)port;
        console_ring = phys_ptr(gfn << PAGE_SHIFT);
    }
    for (uint32_t i = 0; zero_page && i < zero_page[ZP_E820_ENTRIES]; i++) {
        struct {
            uint64_t addr, size;
            uint32_t type;
        } __attribute__((packed)) e;

        memcpy(&e, zero_page + ZP_E820 + i * sizeof(e), sizeof(e));
        if (e.type == XEN_HVM_MEMMAP_TYPE_RAM)
            start_pages += e.size >> PAGE_SHIFT;
    }
    for (uint32_t i = 0; pvh_info && i < pvh_info->memmap_entries; i++) {
        const struct hvm_memmap_table_entry *e = phys_ptr(pvh_info->memmap_paddr);

        if (e[i].type == XEN_HVM_MEMMAP_TYPE_RAM)
            start_pages += e[i].size >> PAGE_SHIFT;
    }
    if (hc_add_to_physmap(XENMAPSPACE_shared_info, 0, mfn_of(shared_info_page)))
        print("MICRO cannot map shared_info\n");
    shared_info = (struct shared_info *)shared_info_page;
    vcpu_info = &shared_info->vcpu_info[0];
    if (hc_hvm_set_param(HVM_PARAM_CALLBACK_IRQ,
                         (uint64_t)HVM_PARAM_CALLBACK_TYPE_VECTOR << 56 | EVENT_VECTOR))
        print("MICRO cannot have upcalls by vector\n");
}

void native_main(uint32_t magic, uint32_t info)
{
    const uint32_t *multiboot = (const uint32_t *)(PTR(VIRT_BASE) + info);
    const char *cmdline = "";

    platform = PLATFORM_NATIVE;
    if (magic == MULTIBOOT_MAGIC && (multiboot[0] & MULTIBOOT_CMDLINE)) {
        cmdline = (const char *)(PTR(VIRT_BASE) + multiboot[4]);
    } else if (magic == XEN_HVM_START_MAGIC_VALUE) {
        pvh_info = (const struct hvm_start_info *)(PTR(VIRT_BASE) + info);
        if (pvh_info->cmdline_paddr)
            cmdline = (const char *)(PTR(VIRT_BASE) + pvh_info->cmdline_paddr);
        if (find_xen())
            platform = PLATFORM_PVH;
    } else if (magic == LINUX_MAGIC) {
        zero_page = (const uint8_t *)(PTR(VIRT_BASE) + info);
        cmdline = (const char *)(PTR(VIRT_BASE) + *(const uint32_t *)(zero_page + ZP_CMDLINE));
        if (find_xen())
            platform = PLATFORM_PVH;
    }
    has_pc = platform == PLATFORM_NATIVE || zero_page;
    trap_init_native();
    memory_init();
    if (platform == PLATFORM_PVH)
        pvh_init();
    user_init();
    micro_main(cmdline);
}
