/* SPDX-License-Identifier: MIT */
/*
 * Several physical processors: INIT and SIPI, calls between pcpus, and the end of the others when the machine ends.
 *
 * Bring-up: one after the other, so that each boot is the same; a processor starts in real mode at a page below 1 MiB
 * (trampoline, boot.S) and comes to ap_start() on its own stack. Sources: SDM vol. 3 §8.4.4 (MP initialization), §10.6 (ICR),
 * APM vol. 2 §16.5, ACPI 6.4 §5.2.12 (MADT), SDM vol. 2 CPUID leaf 0xB.
 * Calls: one at a time in the machine; the caller waits with its own calls being served, so two that call each other both finish.
 * Does not: hold sockets' clocks together (the TSCs have to run alike), nor read the nodes of memory (SRAT): a node is as stated, and
 * only the scheduler knows it.
 */
#include "smp.h"
#include "cpu.h"
#include "mm.h"
#include "hvm/hvm.h"
#include "pv/pv.h"
#include "core/timer.h"
#include "sched/sched.h"
#include <trace/trace.h>

extern u8 trampoline[], trampoline_end[];
extern u64 ap_l4[512], boot_l3[512];
extern u64 ap_stack;
void ap_start(void);
void enter_guest(struct cpu_info *c) __attribute__((noreturn));

bool several_pcpus;

static struct {
    u32 apic_id, acpi_id;
    u16 thread, core, socket, node;
} pcpu[NR_PCPUS];
static unsigned int nr_pcpus = 1;
static u64 online_mask = 1;
static unsigned int starting; /* the pcpu that smp_boot() waits for */

static struct {
    u32 taken;
    u64 pending;              /* pcpus that have not done it yet */
    void (*fn)(void *arg);
    void *arg;
} call;
static bool stopping;

/* ---- which there are ---- */

struct madt {
    u8 head[36];
    u32 lapic, flags;
    u8 entries[];
} __packed_;

static void add_pcpu(u32 apic_id, u32 acpi_id, u32 flags, unsigned int max)
{
    if (!(flags & 1))
        return;
    if (apic_id == pcpu[0].apic_id)
        pcpu[0].acpi_id = acpi_id;
    else if (nr_pcpus < max && (apic_id < 0xff || cpu_features.x2apic))
        pcpu[nr_pcpus++] = (__typeof__(*pcpu)){.apic_id = apic_id, .acpi_id = acpi_id};
}

void smp_detect(const void *table, unsigned int max)
{
    const struct madt *m = table;
    u32 length = 0, w[4];

    pcpu[0].apic_id = apic_id();
    if (m)
        memcpy(&length, m->head + 4, 4);
    for (const u8 *e = m ? m->entries : NULL; e && e + 2 <= (const u8 *)m + length && e[1] >= 2; e += e[1]) {
        memcpy(w, e, min_of(e[1], sizeof(w)));
        if (e[0] == 0 && e[1] >= 8) /* a local APIC */
            add_pcpu(e[3], e[2], w[1], max);
        else if (e[0] == 9 && e[1] >= 16) /* an x2APIC */
            add_pcpu(w[1], w[3], w[2], max);
    }
    several_pcpus = nr_pcpus > 1;
}

unsigned int arch_nr_cpus(void)
{
    return nr_pcpus;
}

u32 arch_cpu_apic_id(unsigned int cpu)
{
    return cpu < nr_pcpus ? pcpu[cpu].apic_id : 0;
}

u64 arch_online_mask(void)
{
    return READ_ONCE(online_mask);
}

/* ---- topology ---- */

/* Widths of the thread's and the core's number within an APIC id, as CPUID leaf 0xB of this processor says; else 0. */
static void id_widths(unsigned int *thread, unsigned int *core)
{
    u32 a, b, c, d;

    *thread = *core = 0;
    if (cpu_features.cpuid_max < 0xb)
        return;
    for (u32 level = 0; level < 8; level++) {
        cpuid(0xb, level, &a, &b, &c, &d);
        if (!((c >> 8) & 0xff))
            break;
        if (((c >> 8) & 0xff) == 1)
            *thread = a & 31;
        else if (((c >> 8) & 0xff) == 2)
            *core = a & 31;
    }
    if (*core < *thread)
        *core = *thread;
}

void smp_topology(const char *stated)
{
    unsigned int thread, core;
    const char *end = stated;
    u64 threads = parse_u64(stated, &end), cores = *end == ',' ? parse_u64(end + 1, &end) : 0;
    u64 sockets = *end == ',' ? parse_u64(end + 1, &end) : NR_PCPUS;
    bool told = threads - 1 < NR_PCPUS && cores - 1 < NR_PCPUS && sockets - 1 < NR_PCPUS && !*end;

    id_widths(&thread, &core);
    if (*stated && !told)
        printk("option topology: \"%s\" is not THREADS,CORES[,SOCKETS]; the processors' own holds\n", stated);
    for (unsigned int i = 0; i < nr_pcpus; i++) {
        u32 id = pcpu[i].apic_id;

        if (told) {
            pcpu[i].thread = i % threads;
            pcpu[i].core = i / threads % cores;
            pcpu[i].socket = i / (threads * cores);
            pcpu[i].node = i / (threads * cores * sockets);
        } else {
            pcpu[i].thread = id & ((1u << thread) - 1);
            pcpu[i].core = (id & ((1u << core) - 1)) >> thread;
            pcpu[i].socket = core ? id >> core : i;
        }
    }
}

void arch_cpu_place(unsigned int cpu, struct arch_cpu_place *p)
{
    *p = (struct arch_cpu_place){pcpu[cpu].thread, pcpu[cpu].core, pcpu[cpu].socket, pcpu[cpu].node};
}

/* ---- bring-up ---- */

/* Wait without reading a device or the clock more often than need be: under an emulator that counts, each read costs. */
static void delay(ns_t ns)
{
    for (ns_t end = now_ns() + ns; now_ns() < end;)
        for (unsigned int i = 0; i < 1000; i++)
            barrier();
}

/** A processor's first C: on its stack, interrupts off, the tables of boot in force. */
void ap_start(void)
{
    struct cpu_info *c = get_cpu_info();
    unsigned int cpu = starting;

    memset(c, 0, sizeof(*c));
    c->cpu = cpu;
    c->flush_clock = TLB_TICK | cpu;
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NX | EFER_SCE);
    write_cr3(hv_cr3);
    cpu_init(cpu);
    apic_init();
    timer_init_cpu(cpu);
    trace_attach_cpu(cpu);
    c->current = c->idle = idle_vcpu_create(cpu);
    if (!c->current)
        panic("no memory for the idle vCPU of pcpu %u", cpu);
    if (hvm_ops && hvm_ops->cpu_init(cpu))
        panic("pcpu %u has not the virtualization that pcpu 0 has", cpu);
    work_raise(c, WORK_SCHED | WORK_TIMER);
    __atomic_fetch_or(&online_mask, 1ull << cpu, __ATOMIC_SEQ_CST);
    enter_guest(c);
}

static bool start(unsigned int cpu)
{
    starting = cpu;
    ap_stack = (u64)cpu_info_of(cpu);
    barrier();
    /* More than one where the first got lost. A pcpu that is a thread of a busy host comes late, and must not be stopped while it comes. */
    for (unsigned int tries = 0; tries < 50; tries++) {
        apic_command(pcpu[cpu].apic_id, APIC_STARTUP | TRAMPOLINE >> PAGE_SHIFT);
        for (ns_t end = now_ns() + MILLISECS(200); now_ns() < end; __builtin_ia32_pause())
            if (arch_online_mask() & (1ull << cpu))
                return true;
    }
    return false;
}

void smp_boot(void)
{
    if (several_pcpus) {
        memcpy((void *)(DIRECTMAP + TRAMPOLINE), trampoline, trampoline_end - trampoline);
        memcpy(ap_l4, map_mfn(MFN(hv_cr3 >> PAGE_SHIFT)), PAGE_SIZE);
        ap_l4[0] = ((u64)boot_l3 - IMAGE_VIRT + IMAGE_PADDR) | PTE_P | PTE_RW; /* the first 4 GiB where they are */
        for (unsigned int cpu = 1; cpu < nr_pcpus; cpu++)
            apic_command(pcpu[cpu].apic_id, APIC_INIT);
        delay(MILLISECS(10));
    }
    for (unsigned int cpu = 1; cpu < nr_pcpus; cpu++)
        if (!start(cpu)) { /* what it does from here on nobody knows */
            printk("processor with APIC id %u does not start; none behind it is used\n", pcpu[cpu].apic_id);
            apic_command(pcpu[cpu].apic_id, APIC_INIT);
            nr_pcpus = cpu;
        }
    ap_l4[0] = 0;
    printk("%u pcpu%s (thread.core.socket.node):", nr_pcpus, nr_pcpus > 1 ? "s" : "");
    for (unsigned int cpu = 0; cpu < nr_pcpus; cpu++)
        printk(" %u.%u.%u.%u", pcpu[cpu].thread, pcpu[cpu].core, pcpu[cpu].socket, pcpu[cpu].node);
    printk("\n");
}

/* ---- calls ---- */

void smp_serve(void)
{
    u64 bit = 1ull << this_cpu();

    if (__atomic_load_n(&call.pending, __ATOMIC_ACQUIRE) & bit) {
        call.fn(call.arg);
        __atomic_fetch_and(&call.pending, ~bit, __ATOMIC_RELEASE);
    }
}

void arch_relax(void)
{
    __builtin_ia32_pause();
    smp_serve();
}

static void for_each_in(u64 mask, void (*fn)(unsigned int cpu))
{
    for (; mask; mask &= mask - 1)
        fn(__builtin_ctzll(mask));
}

/* One call, or change of who is online, at a time. */
static void take_call(void)
{
    while (__atomic_exchange_n(&call.taken, 1, __ATOMIC_ACQUIRE))
        arch_relax();
}

static void ask(unsigned int cpu)
{
    apic_command(pcpu[cpu].apic_id, VEC_CALL);
}

void on_each_cpu(u64 mask, void (*fn)(void *arg), void *arg)
{
    u64 self = 1ull << this_cpu(), others = mask & arch_online_mask() & ~self;

    if (others) {
        take_call();
        others &= arch_online_mask(); /* which does not change now */
        call.fn = fn;
        call.arg = arg;
        __atomic_store_n(&call.pending, others, __ATOMIC_SEQ_CST);
        for_each_in(others, ask);
    }
    if (mask & self)
        fn(arg);
    if (others) {
        while (__atomic_load_n(&call.pending, __ATOMIC_ACQUIRE))
            __builtin_ia32_pause();
        __atomic_store_n(&call.taken, 0, __ATOMIC_RELEASE);
    }
}

/* ---- work for other pcpus ---- */

static void raise(unsigned int cpu, u32 work)
{
    work_raise(cpu_info_of(cpu), work);
    if (cpu != this_cpu())
        apic_command(pcpu[cpu].apic_id, VEC_KICK);
}

void arch_raise_schedule(unsigned int cpu)
{
    raise(cpu, WORK_SCHED);
}

void arch_kick_cpu(unsigned int cpu)
{
    if (cpu != this_cpu())
        raise(cpu, WORK_TIMER);
}

void arch_kick_vcpu(const struct vcpu *v)
{
    u32 on = READ_ONCE(v->arch.loaded_on);

    if (unlikely(on != this_cpu() + 1) && on != VCPU_NOWHERE && cpu_info_of(on - 1)->current == v)
        apic_command(pcpu[on - 1].apic_id, VEC_KICK);
}

/* ---- guests' TLBs ---- */

static void flush(void *unused)
{
    tlb_tick(get_cpu_info());
    write_cr3(read_cr3());
}

void tlb_flush_cpus(u64 mask)
{
    on_each_cpu(mask, flush, NULL);
}

u64 vcpus_cpus(const struct domain *d, u64 vcpus)
{
    u64 mask = 1ull << this_cpu();

    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        u32 on = d->vcpu[i] && (vcpus >> i & 1) ? READ_ONCE(d->vcpu[i]->arch.loaded_on) : VCPU_NOWHERE;

        if (on != VCPU_NOWHERE)
            mask |= 1ull << (on - 1);
    }
    return mask;
}

void tlb_flush_domain(const struct domain *d, u64 vcpus)
{
    on_each_cpu(vcpus_cpus(d, vcpus), flush, NULL);
}

/* ---- a vCPU's state, wherever it is ---- */

static void leave_if_resident(void *v)
{
    if (get_cpu_info()->resident == v)
        pv_leave_resident();
}

bool arch_vcpu_settled(struct vcpu *v)
{
    u32 on = __atomic_load_n(&v->arch.loaded_on, __ATOMIC_ACQUIRE);

    if (on == VCPU_NOWHERE)
        return true;
    if (cpu_info_of(on - 1)->resident == v)
        on_each_cpu(1ull << (on - 1), leave_if_resident, v);
    return __atomic_load_n(&v->arch.loaded_on, __ATOMIC_ACQUIRE) == VCPU_NOWHERE;
}

/* ---- unplugging ---- */

static u64 leaving; /* pcpus that are to go, and are gone until somebody takes the bit away */

int arch_cpu_down(unsigned int cpu)
{
    int rc;

    if (cpu >= nr_pcpus)
        return -XEN_EINVAL;
    if (!cpu) /* the legacy devices' interrupts are its own */
        return -XEN_EOPNOTSUPP;
    if (!(arch_online_mask() & (1ull << cpu)) ||
        (__atomic_fetch_or(&leaving, 1ull << cpu, __ATOMIC_SEQ_CST) & (1ull << cpu)))
        return -XEN_EBUSY;
    rc = sched_cpu_down(cpu);
    if (rc)
        __atomic_fetch_and(&leaving, ~(1ull << cpu), __ATOMIC_SEQ_CST);
    else
        raise(cpu, WORK_SCHED);
    return rc;
}

int arch_cpu_up(unsigned int cpu)
{
    if (cpu >= nr_pcpus)
        return -XEN_EINVAL;
    if (arch_online_mask() & (1ull << cpu))
        return READ_ONCE(leaving) & (1ull << cpu) ? -XEN_EBUSY : 0;
    __atomic_fetch_and(&leaving, ~(1ull << cpu), __ATOMIC_SEQ_CST);
    apic_command(pcpu[cpu].apic_id, VEC_KICK);
    return 0;
}

static void set_online(u64 bit, bool on)
{
    take_call();
    if (on)
        __atomic_fetch_or(&online_mask, bit, __ATOMIC_SEQ_CST);
    else
        __atomic_fetch_and(&online_mask, ~bit, __ATOMIC_SEQ_CST);
    __atomic_store_n(&call.taken, 0, __ATOMIC_RELEASE);
}

void smp_leave_if_asked(void)
{
    struct cpu_info *c = get_cpu_info();
    u64 bit = 1ull << c->cpu;

    if (likely(!(READ_ONCE(leaving) & bit)) || !sched_cpu_is_idle(c->cpu))
        return;
    if (c->resident)
        pv_leave_resident();
    timer_close_cpu(c->cpu);
    flush(NULL); /* nothing of a guest's is left here, and calls do not come any more */
    set_online(bit, false);
    printk("pcpu %u is unplugged\n", c->cpu);
    while (READ_ONCE(leaving) & bit)
        __asm__ volatile("sti; hlt; cli" ::: "memory");
    timer_open_cpu(c->cpu);
    (void)sched_cpu_up(c->cpu);
    set_online(bit, true);
    work_raise(c, WORK_SCHED | WORK_TIMER);
    printk("pcpu %u is plugged in\n", c->cpu);
}

/* ---- the end ---- */

static void __attribute__((noreturn)) stop_here(void)
{
    __atomic_fetch_and(&online_mask, ~(1ull << this_cpu()), __ATOMIC_SEQ_CST);
    for (;;)
        __asm__ volatile("cli; hlt");
}

void smp_stop_if_asked(void)
{
    if (READ_ONCE(stopping))
        stop_here();
}

static void stop_by_nmi(unsigned int cpu)
{
    apic_command(pcpu[cpu].apic_id, APIC_NMI);
}

void smp_stop_others(void)
{
    u64 self = 1ull << this_cpu();

    if (!(arch_online_mask() & ~self))
        return;
    if (__atomic_exchange_n(&stopping, true, __ATOMIC_SEQ_CST)) /* two end it at once: one does */
        stop_here();
    for_each_in(arch_online_mask() & ~self, ask);
    for (ns_t end = now_ns() + MILLISECS(20); (arch_online_mask() & ~self) && now_ns() < end;)
        __builtin_ia32_pause();
    for_each_in(arch_online_mask() & ~self, stop_by_nmi);
}
