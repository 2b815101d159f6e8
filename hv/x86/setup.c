/* SPDX-License-Identifier: MIT */
/*
 * From the boot loader's information to the first guest instruction, in order: console, options, processor, memory, time,
 * scheduler, domains. Reads multiboot 1, multiboot 2 and PVH start information into one form first; nothing later knows
 * which it was.
 *
 * Sources: Multiboot Specification 0.6.96 §3.3, Multiboot2 §3.6, xen/arch-x86/hvm/start_info.h.
 */
#include "cpu.h"
#include "mm.h"
#include "smp.h"
#include "hvm/hvm.h"
#include "pv/build.h"
#include "pv/io_rights.h"
#include "core/hypercall.h"
#include "core/launch.h"
#include "core/options.h"
#include "core/timer.h"
#include "sched/sched.h"
#include "../../bench/mark.h"
#include <trace/trace.h>
#include <xen/arch-x86/hvm/start_info.h>

#define MB1_LOADER_MAGIC 0x2badb002
#define MB2_LOADER_MAGIC 0x36d76289
#define MAX_MODULES      64

extern char __image_end[], __image_start[];
extern const struct { u32 namesz, descsz, type; char name[4]; u8 desc[20]; } __build_id_note;
void setup_start(u32 magic, u32 info);
void enter_guest(struct cpu_info *c) __attribute__((noreturn));

/** The functions of the hypercall table, where entry.S finds them: unknown numbers lead to one that refuses. */
hypercall_fn *hypercall_entry[NR_HYPERCALLS];

static char command_line[1024];
static struct boot_module modules[MAX_MODULES];
static char module_string[MAX_MODULES][LAUNCH_CMDLINE_MAX];
static unsigned int nr_modules;
static u64 rsdp;         /* physical address of ACPI's root pointer; 0: to be searched for */
static u8 rsdp_copy[36]; /* of the one that multiboot 2 passes by value */
static struct hv_options options;

static void *phys(u64 paddr)
{
    return (void *)(DIRECTMAP + paddr);
}

static void add_range(u64 start, u64 size, u32 type)
{
    if (nr_mem_ranges < MAX_MEM_RANGES && size)
        mem_map[nr_mem_ranges++] = (struct mem_range){start, size, type};
}

static void add_module(u64 start, u64 end, const char *string)
{
    struct boot_module *m = &modules[nr_modules];

    if (nr_modules == MAX_MODULES || end <= start)
        return;
    snprintf(module_string[nr_modules], sizeof(module_string[0]), "%s", string);
    *m = (struct boot_module){module_string[nr_modules], phys(start), end - start, start};
    mm_reserve(start, end);
    nr_modules++;
}

struct mb1_info {
    u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
};
struct mb1_module {
    u32 start, end, string, reserved;
};
struct mb1_mmap {
    u32 size;
    u64 addr, len;
    u32 type;
} __packed_;

static void read_multiboot1(u32 info)
{
    const struct mb1_info *mb = phys(info);

    if (mb->flags & 4)
        snprintf(command_line, sizeof(command_line), "%s", (const char *)phys(mb->cmdline));
    if (mb->flags & 64)
        for (u32 at = 0; at < mb->mmap_length;) {
            const struct mb1_mmap *e = phys((u64)mb->mmap_addr + at);

            add_range(e->addr, e->len, e->type);
            at += e->size + 4;
        }
    if (mb->flags & 8)
        for (u32 i = 0; i < mb->mods_count; i++) {
            const struct mb1_module *m = (const struct mb1_module *)phys(mb->mods_addr) + i;

            add_module(m->start, m->end, m->string ? phys(m->string) : "");
        }
}

struct mb2_tag {
    u32 type, size;
};

static void read_multiboot2(u32 info)
{
    const u8 *p = phys(info), *end = p + *(const u32 *)p;

    for (p += 8; p < end;) {
        const struct mb2_tag *t = (const struct mb2_tag *)p;
        const u32 *w = (const u32 *)p;

        if (t->type == 0 || t->size < 8)
            break;
        if (t->type == 1) {
            snprintf(command_line, sizeof(command_line), "%s", (const char *)p + 8);
        } else if (t->type == 3) {
            add_module(w[2], w[3], (const char *)p + 16);
        } else if (t->type == 6) {
            for (u32 at = 16; at + w[2] <= t->size; at += w[2])
                add_range(*(const u64 *)(p + at), *(const u64 *)(p + at + 8), *(const u32 *)(p + at + 16));
        } else if (t->type == 14 || t->type == 15) {
            memcpy(rsdp_copy, p + 8, min_of((u64)t->size - 8, sizeof(rsdp_copy)));
            rsdp = (u64)rsdp_copy - IMAGE_VIRT + IMAGE_PADDR;
        }
        p += round_up(t->size, 8);
    }
}

static void read_pvh(u32 info)
{
    const struct hvm_start_info *si = phys(info);

    if (si->cmdline_paddr)
        snprintf(command_line, sizeof(command_line), "%s", (const char *)phys(si->cmdline_paddr));
    rsdp = si->rsdp_paddr;
    if (si->version >= 1)
        for (u32 i = 0; i < si->memmap_entries; i++) {
            const struct hvm_memmap_table_entry *e = (const struct hvm_memmap_table_entry *)phys(si->memmap_paddr) + i;

            add_range(e->addr, e->size, e->type);
        }
    for (u32 i = 0; i < si->nr_modules; i++) {
        const struct hvm_modlist_entry *m = (const struct hvm_modlist_entry *)phys(si->modlist_paddr) + i;

        add_module(m->paddr, m->paddr + m->size, m->cmdline_paddr ? phys(m->cmdline_paddr) : "");
    }
}

/* QEMU's PVH loader passes one module, as one file: nothing separates several. */

const void *arch_build_id(size_t *len)
{
    *len = 20;
    return __build_id_note.desc;
}

const char *arch_command_line(void)
{
    return command_line;
}

void arch_get_physinfo(struct arch_physinfo *p)
{
    *p = (struct arch_physinfo){.nr_cpus = arch_nr_cpus(), .cpu_khz = (u32)(tsc_hz / 1000), .total_pages = nr_total_frames,
                                .free_pages = nr_free_frames, .max_mfn = max_mfn - 1};
}

u32 arch_features(const struct domain *d, unsigned int submap)
{
    if (submap)
        return 0;
    if (is_hvm_domain(d)) /* it has no page tables or machine addresses of the hypervisor's to mind */
        return 1u << XENFEAT_writable_page_tables | 1u << XENFEAT_auto_translated_physmap |
               1u << XENFEAT_supervisor_mode_kernel | 1u << XENFEAT_highmem_assist | 1u << XENFEAT_hvm_callback_vector | 1u << XENFEAT_hvm_safe_pvclock | (d->privileged ? 1u << XENFEAT_dom0 : 0);
    return 1u << XENFEAT_mmu_pt_update_preserve_ad | 1u << XENFEAT_highmem_assist | 1u << XENFEAT_gnttab_map_avail_bits |
           (d->privileged ? 1u << XENFEAT_dom0 : 0);
}

void arch_set_iopl(struct vcpu *v, unsigned int iopl)
{
    v->arch.iopl = iopl;
}

static long hypercall_none(u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
{
    return refuse(current_vcpu()->domain, (u32)get_cpu_info()->regs.rax, 0, -XEN_ENOSYS);
}

/* What the user gave cannot run: say so and end the machine, so that nobody waits for it. */
static void __attribute__((noreturn, format(printf, 1, 2))) give_up(const char *fmt, ...)
{
    char text[256];
    __builtin_va_list ap;

    __builtin_va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    __builtin_va_end(ap);
    printk("%s; the machine ends\n", text);
    arch_machine_end(machine_noreboot ? MACHINE_HALT : MACHINE_POWEROFF);
}

/* Build a domain and say to the scheduler what the plan wants; it does not run yet. */
static int build(const struct launch_domain *plan, domid_t id, struct domain **out)
{
    int rc = plan->kind == DOMAIN_PV ? pv_build(plan, id, out) : hvm_build(plan, id, out);
    struct domain *d = *out;

    if (rc)
        return rc;
    (void)sched_set_params(d, plan->weight, plan->cap);
    rc = sched_set_pool(d, plan->pool);
    for (unsigned int i = 0; i < plan->vcpus && !rc; i++) {
        rc = sched_set_affinity(d->vcpu[i], plan->affinity);
        time_publish(d->vcpu[i]);
    }
    if (rc)
        printk("domain %s: its pool %u has no processor%s\n", plan->name, plan->pool, plan->affinity == ~0ull ? "" : " of its affinity");
    return rc;
}

/* Build what the plan says and let it run. */
static void launch(void)
{
    struct launch_plan *plan;
    struct launch_machine machine = {.memory = nr_free_frames << PAGE_SHIFT, .pcpus = arch_nr_cpus(), .dom0_mem = options.dom0_mem,
                                     .dom0_pvh = options.dom0 == DOM0_PVH,
                                     .dom0_vcpus = options.dom0_max_vcpus ? options.dom0_max_vcpus : 1};
    u64 module_frames = 0, promised = 0;
    domid_t next_id = 1;

    while (sched_pool(machine.pools))
        machine.pools++;
    for (unsigned int i = 0; i < nr_modules; i++) /* a ramdisk becomes the domain's memory in place */
        module_frames += round_up(modules[i].size, PAGE_SIZE) >> PAGE_SHIFT;
    machine.memory += module_frames << PAGE_SHIFT;
    mm_report(module_frames);
    plan = arch_alloc(sizeof(*plan));
    if (!plan || launch_plan(modules, nr_modules, &machine, plan))
        give_up("nothing to run");
    for (unsigned int i = 0; i < plan->nr; i++) {
        struct domain *d;

        /* All or none: a plan that runs in part would be another experiment. */
        if (build(&plan->domain[i], plan->domain[i].privileged ? 0 : next_id, &d))
            give_up("domain %s could not be built: none is started", plan->domain[i].name);
        if (!plan->domain[i].privileged)
            next_id++;
    }
    arch_free(plan);
    for (unsigned int i = 0; i < nr_modules; i++)
        mm_release(modules[i].paddr, modules[i].paddr + modules[i].size);
    list_for_each(pos, &domain_list) {
        struct domain *d = list_entry(pos, struct domain, node);

        /* Memory that it was promised and has not touched stays there for it. */
        if (d->p2m.nr_paged && domain_claim(d, d->tot_pages + d->p2m.nr_paged))
            give_up("domain %s: its memory is more than there is: none is started", d->name);
        promised += d->p2m.nr_paged;
    }
    frames_clean(promised); /* as that of PV domains is when they are built */
    list_for_each(pos, &domain_list) {
        struct domain *d = list_entry(pos, struct domain, node);

        TRACE_domain_start(d->id, d->vcpu[0]->arch.regs.rip);
        vcpu_unpause(d->vcpu[0], VPF_DOWN);
    }
}

void setup_start(u32 magic, u32 info)
{
    struct cpu_info *c = get_cpu_info();
    u32 mask = 0;

    memset(c, 0, sizeof(*c));
    c->flush_clock = TLB_TICK;
    serial_init();
    if (magic == MB1_LOADER_MAGIC)
        read_multiboot1(info);
    else if (magic == MB2_LOADER_MAGIC)
        read_multiboot2(info);
    else if (magic == XEN_HVM_START_MAGIC_VALUE)
        read_pvh(info);
    printk("Parangon %s, Xen %u.%u ABI\n", "0.1", XEN_VERSION_MAJOR, XEN_VERSION_MINOR);
    if (!nr_mem_ranges)
        panic("the boot loader (magic %#x) gave no memory map", magic);
    options_init(&options);
    options_parse(command_line, &options);
    machine_noreboot = options.noreboot;
    if (options.console == CONSOLE_NONE)
        serial_close();

    cpu_detect();
    if (!cpu_features.nx)
        panic("this processor cannot forbid execution (NX); it is needed");
    cpu_features.smep &= options.smep;
    cpu_features.smap &= options.smap;
    cpu_features.fsgsbase &= options.fsgsbase;
    cpu_features.xsave &= options.xsave;
    cpu_features.x2apic &= options.x2apic;
    hvm_rsb_overwrite = options.spec_ctrl != SPEC_CTRL_OFF;
    spec_ctrl.rsb_overwrite = options.spec_ctrl != SPEC_CTRL_OFF && !cpu_features.smep;
    printk("processor features in use: nx%s%s%s%s%s%s\n", cpu_features.smep ? " smep" : "", cpu_features.smap ? " smap" : "",
           cpu_features.fsgsbase ? " fsgsbase" : "", cpu_features.xsave ? " xsave" : "",
           cpu_features.x2apic ? " x2apic" : "", spec_ctrl.rsb_overwrite ? "; return stack overwritten at each entry" : "");
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NX | EFER_SCE);
    mm_init();
    cpu_init(0);
    mm_protect_image();
    pic_init();
    apic_init();
    timer_init_cpu(0);
    time_init();
    acpi_init(rsdp);
    smp_detect(acpi_madt, options.maxcpus);
    smp_topology(options.topology);

    hvm_test_device = options.hvm_test_device;
    if (options.hvm)
        hvm_init();

    io_hide_ports(0x20, 0x21);
    io_hide_ports(0x40, 0x43);
    io_hide_ports(0xa0, 0xa1);
    io_hide_ports(0x3f8, 0x3ff);
    io_hide_mem(0xfee00, 0xfee00);
    if (options.trace)
        mask = options.trace_classes;
    (void)trace_device_init(mask, options.trace_hold);

    if (!several_pcpus)
        one_pcpu();
    for (unsigned int i = 0; i < NR_HYPERCALLS; i++)
        hypercall_entry[i] = hypercall_table[i].fn ? hypercall_table[i].fn : hypercall_none;
    if (sched_init(options.sched) || (options.pools[0] && sched_make_pools(options.pools)))
        give_up("nothing can run");
    for (unsigned int i = 0; sched_pool(i); i++)
        (void)sched_tune(sched_pool(i), &(struct sched_tunables){MICROSECS(options.sched_slice), MICROSECS(options.sched_ratelimit),
                                                                 options.sched_gran, options.sched_exclusive});
    TRACE_sched_start(now_ns(), *(const u64 *)options.sched);
    c->current = c->idle = idle_vcpu_create(0);
    if (!c->current)
        panic("no memory for the idle vCPU");
    smp_boot();
    printk("%llu MiB of memory, %llu MiB free, hypervisor %llu KiB\n", (unsigned long long)nr_total_frames >> 8,
           (unsigned long long)nr_free_frames >> 8, (unsigned long long)(__image_end - __image_start) >> 10);
    launch();
    pic_unmask(4);
    MARK_DOMAIN();
    work_raise(c, WORK_SCHED | WORK_TIMER);
    enter_guest(c);
}
