/* SPDX-License-Identifier: MIT */
/*
 * The simulated machine: see machine.h. Everything here stands for hv/x86; nothing of hv/core or
 * hv/sched is repeated.
 */
#include "machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "core/compat.h"
#include "core/timer.h"
#include "pv_host.h"
#include "sched/sched.h"
#include "x86/cpu.h"
#include "x86/mm.h"
#include "x86/smp.h"
#include "x86/pv/pv.h"
#include "x86/pv/typing.h"

struct cpu_info host_cpu_info[NR_PCPUS];
unsigned int host_cpu;
ns_t host_now;

struct frame *frame_table;
u8 *host_memory;
u64 *m2p;
u64 max_mfn;

u8 host_guest[HOST_GUEST_SIZE] __aligned_(4096);
size_t host_guest_fault_after = ~(size_t)0;
unsigned int host_fail_alloc, host_preempt_after;
u64 host_timer_interrupts, host_timer_programmed;
jmp_buf host_machine_end;
bool host_catch_end;
unsigned int host_threads = 1, host_cores = NR_PCPUS;
const char *host_pools;
void (*host_on_switch)(struct vcpu *prev);
void (*host_on_raise)(unsigned int cpu);

static struct {
    struct vcpu *idle, *running;
    ns_t deadline;
    bool raised;
    u64 cr0, cr3, gs_base, kernel_gs_base, fs_base;
    bool guest_access;                 /* between stac() and clac() */
    u64 flushes;                       /* full flushes of its TLB, from 1 */
    u64 *writable_since, *table_since, *page_since; /* per frame: `flushes` at the last touch; 0: never */
    domid_t *page_owner;               /* whose it was at the last touch of any kind */
} cpus[NR_PCPUS];
static unsigned int nr_cpus;
static u64 nr_frames;
static size_t guest_used;
static char console[1 << 16];
static size_t console_len;
static const char *typed = "";

/* ---- start and stop ---- */

static void *map_anonymous(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        abort();
    return p;
}

void host_machine_start(u64 frames, unsigned int n, const char *policy)
{
    nr_frames = max_mfn = frames;
    nr_cpus = n;
    several_pcpus = n > 1;
    host_memory = map_anonymous(frames << PAGE_SHIFT);
    frame_table = calloc(frames, sizeof(*frame_table));
    m2p = calloc(frames, sizeof(*m2p));
    frame_table[0].owner = DOMID_IO; /* nobody's memory */
    for (u64 i = 0; i < frames; i++)
        m2p[i] = M2P_INVALID;
    host_held_reset(frames);
    buddy_init();
    for (u64 at = 1; at < frames;) {
        unsigned int order = 0;

        while (!(at & ((2ull << order) - 1)) && at + (2ull << order) <= frames && order < BUDDY_MAX_ORDER)
            order++;
        buddy_add(MFN(at), order);
        at += 1ull << order;
    }
    host_now = SECONDS(1);
    host_on_switch = NULL;
    host_on_raise = NULL;
    host_timer_interrupts = host_timer_programmed = 0;
    host_fail_alloc = host_preempt_after = 0;
    host_guest_fault_after = ~(size_t)0;
    host_guest_reset();
    host_console_clear();
    list_init(&domain_list);
    hardware_domain = NULL;
    if (sched_init(policy) || (host_pools && sched_make_pools(host_pools)))
        abort();
    for (unsigned int cpu = 0; cpu < n; cpu++) {
        timer_init_cpu(cpu);
        cpus[cpu].deadline = NS_NEVER;
        cpus[cpu].raised = false;
        cpus[cpu].flushes = 1;
        cpus[cpu].writable_since = calloc(frames, sizeof(u64));
        cpus[cpu].table_since = calloc(frames, sizeof(u64));
        cpus[cpu].page_since = calloc(frames, sizeof(u64));
        cpus[cpu].page_owner = calloc(frames, sizeof(domid_t));
        cpus[cpu].cr3 = hv_cr3;
        memset(&host_cpu_info[cpu], 0, sizeof(host_cpu_info[cpu]));
        host_cpu_info[cpu].cpu = cpu;
        host_cpu_info[cpu].flush_clock = TLB_TICK | cpu;
        cpus[cpu].idle = cpus[cpu].running = idle_vcpu_create(cpu);
        if (!cpus[cpu].idle)
            abort();
        host_cpu_info[cpu].current = cpus[cpu].idle;
    }
    host_on_cpu(0);
}

void host_machine_stop(void)
{
    host_on_cpu(0);
    while (!list_empty(&domain_list))
        host_domain_end(list_first(&domain_list, struct domain, node));
    for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
        free(cpus[cpu].writable_since);
        free(cpus[cpu].table_since);
        free(cpus[cpu].page_since);
        free(cpus[cpu].page_owner);
        arch_vcpu_destroy(cpus[cpu].idle);
        arch_free(cpus[cpu].idle);
    }
    host_held_reset(0);
    munmap(host_memory, nr_frames << PAGE_SHIFT);
    free(frame_table);
    free(m2p);
}

/* ---- memory ---- */

static bool alloc_fails(void)
{
    return host_fail_alloc && --host_fail_alloc == 0;
}

void *arch_alloc_pages(unsigned int order)
{
    mfn_t first = alloc_fails() ? MFN_INVALID : frame_alloc(DOMID_XEN, order, 0, 0);

    return first.n == MFN_INVALID.n ? NULL : memset(map_mfn(first), 0, PAGE_SIZE << order);
}

void arch_free_pages(void *p, unsigned int order)
{
    frame_free(virt_to_mfn(p), order);
}

void *arch_alloc(size_t size)
{
    return alloc_fails() ? NULL : calloc(1, size);
}

void arch_free(void *p)
{
    free(p);
}

void *arch_map_mfn(mfn_t mfn)
{
    return map_mfn(mfn);
}

mfn_t arch_virt_to_mfn(const void *p)
{
    return virt_to_mfn(p);
}

mfn_t host_frame(struct domain *d)
{
    return domain_alloc_frame(d, 0, 0);
}

bool host_allocation_held(mfn_t mfn)
{
    return frame_of(mfn)->word & FRAME_ALLOCATED;
}

void host_drop_allocation(mfn_t mfn)
{
    if (!host_allocation_held(mfn) || host_is_shared(mfn) || (frame_of(mfn)->word & FRAME_PINNED))
        return;
    frame_of(mfn)->word &= ~FRAME_ALLOCATED; /* no new references */
    frame_put(frame_of(mfn));
}

bool host_is_shared(mfn_t mfn)
{
    return frame_of(mfn)->position == FRAME_SHARED_BY_HV;
}

u64 host_frames_taken(const struct domain *d)
{
    u64 n = 0;

    for (u64 mfn = 0; mfn < nr_frames; mfn++)
        if (frame_table[mfn].owner == d->id && !host_is_shared(MFN(mfn)) && frame_type(frame_table[mfn].word) == FT_WRITABLE)
            n += frame_tc(frame_table[mfn].word);
    return n;
}

u16 arch_frame_owner(mfn_t mfn)
{
    return mfn.n < nr_frames ? frame_table[mfn.n].owner : DOMID_IO;
}

bool arch_device_allowed(const struct domain *d, mfn_t mfn)
{
    return io_mem_allowed(d, mfn);
}

bool arch_gfn_of(const struct domain *d, mfn_t mfn, gfn_t *gfn)
{
    if (mfn.n >= nr_frames || frame_table[mfn.n].owner != d->id || m2p[mfn.n] >= P2M_LIMIT)
        return false;
    *gfn = GFN(m2p[mfn.n]);
    return true;
}

void arch_set_gfn(mfn_t mfn, gfn_t gfn)
{
    m2p[mfn.n] = gfn.n;
}

void arch_log_dirty(struct domain *d, bool on)
{
}

/* The flat guest memory is no frames: nothing to mark. */
void guest_mark_written(gva_t va, size_t n)
{
}

int arch_hold_frame(const struct domain *owner, mfn_t mfn, bool writable)
{
    if (mfn.n >= nr_frames)
        return -XEN_EINVAL;
    if (writable)
        return frame_get_type(mfn, FT_WRITABLE, owner);
    return frame_get(frame_of(mfn), owner) ? 0 : -XEN_EINVAL;
}

void arch_drop_frame(mfn_t mfn, bool writable)
{
    if (writable)
        (void)frame_put_type(mfn, false);
    else
        frame_put(frame_of(mfn));
}

/* ---- guest memory ---- */

void *host_guest_alloc(size_t n, gva_t *gva)
{
    size_t at = guest_used;

    if (at + n > HOST_GUEST_SIZE)
        abort();
    guest_used = round_up(at + n, 16);
    *gva = HOST_GUEST_BASE + at;
    return memset(host_guest + at, 0, n);
}

void host_guest_reset(void)
{
    guest_used = 0;
}

/*
 * How many of n bytes at gva can be reached before the guest memory ends or the test lets it fault.
 */
static size_t reachable(gva_t gva, size_t n)
{
    u64 off = gva - HOST_GUEST_BASE;

    if (gva + n < gva || (gva + n > HV_START && gva < HV_END) || gva < HOST_GUEST_BASE || off >= HOST_GUEST_SIZE)
        return 0;
    n = min_of(n, HOST_GUEST_SIZE - off);
    if (host_guest_fault_after != ~(size_t)0) {
        n = min_of(n, host_guest_fault_after);
        host_guest_fault_after -= n;
    }
    return n;
}

size_t guest_copy_from(void *dst, gva_t src, size_t n)
{
    const void *w = compat_window(src, n);
    size_t ok = w ? 0 : reachable(src, n);

    if (w) {
        memcpy(dst, w, n);
        return 0;
    }
    memcpy(dst, host_guest + (src - HOST_GUEST_BASE) % HOST_GUEST_SIZE, ok);
    memset((char *)dst + ok, 0, n - ok);
    return n - ok;
}

size_t guest_copy_to(gva_t dst, const void *src, size_t n)
{
    void *w = compat_window(dst, n);
    size_t ok = w ? 0 : reachable(dst, n);

    if (w) {
        memcpy(w, src, n);
        return 0;
    }
    memcpy(host_guest + (dst - HOST_GUEST_BASE) % HOST_GUEST_SIZE, src, ok);
    return n - ok;
}

size_t guest_clear(gva_t dst, size_t n)
{
    size_t ok = reachable(dst, n);

    memset(host_guest + (dst - HOST_GUEST_BASE) % HOST_GUEST_SIZE, 0, ok);
    return n - ok;
}

void stac(void)
{
    BUG_ON(cpus[host_cpu].guest_access);
    cpus[host_cpu].guest_access = true;
}

void clac(void)
{
    BUG_ON(!cpus[host_cpu].guest_access);
    cpus[host_cpu].guest_access = false;
}

/* Whoever uses these has checked the range. */
static void check_single_access(u64 va)
{
    BUG_ON(!cpus[host_cpu].guest_access);
    BUG_ON(va + 8 > HV_START && va < HV_END);
}

bool guest_put8(u64 va, u64 val)
{
    check_single_access(va);
    return guest_copy_to(va, &val, 8) == 0;
}

bool guest_get8(u64 va, u64 *val)
{
    check_single_access(va);
    return guest_copy_from(val, va, 8) == 0;
}

size_t arch_copy_to_guest_kernel(u64 dst, const void *src, size_t n)
{
    return guest_copy_to(dst, src, n);
}

/* ---- processors and time ---- */

void host_on_cpu(unsigned int cpu)
{
    host_cpu = cpu;
    host_set_current(cpus[cpu].running);
}

void host_set_current(struct vcpu *v)
{
    struct cpu_info *c = get_cpu_info();

    if (c->current == v)
        return;
    c->current = v;
    tlb_tick(c);
    write_cr3(v->is_idle || !v->arch.cr3_kernel ? hv_cr3 : guest_kernel_mode(v) ? v->arch.cr3_kernel : v->arch.cr3_user);
}

struct vcpu *host_running(unsigned int cpu)
{
    return cpus[cpu].running;
}

ns_t host_time_run(const struct vcpu *v)
{
    struct vcpu_runstate_info r;

    sched_get_runstate(v, &r);
    return r.time[RUNSTATE_running];
}

bool host_schedule_raised(unsigned int cpu)
{
    return cpus[cpu].raised;
}

void arch_raise_schedule(unsigned int cpu)
{
    cpus[cpu].raised = true;
    if (host_on_raise)
        host_on_raise(cpu);
}

void arch_context_switch(struct vcpu *prev, struct vcpu *next)
{
    BUG_ON(prev != cpus[host_cpu].running);
    if (!prev->is_idle)
        host_vcpu(prev)->switches_out++;
    if (!next->is_idle)
        host_vcpu(next)->switches_in++;
    cpus[host_cpu].running = next;
    host_set_current(next);
    if (host_on_switch)
        host_on_switch(prev);
}

void host_schedule(void)
{
    unsigned int here = host_cpu;

    for (bool any = true; any;) {
        any = false;
        for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
            if (!cpus[cpu].raised)
                continue;
            any = true;
            cpus[cpu].raised = false;
            host_on_cpu(cpu);
            sched_run();
        }
    }
    host_on_cpu(here);
}

void arch_set_timer(ns_t deadline)
{
    cpus[host_cpu].deadline = deadline;
    host_timer_programmed++;
}

void arch_kick_cpu(unsigned int cpu)
{
    if (cpu != host_cpu)
        cpus[cpu].deadline = host_now; /* it will look at its work: run its timers, which programs them */
}

ns_t host_next_interrupt(void)
{
    ns_t next = NS_NEVER;

    for (unsigned int cpu = 0; cpu < nr_cpus; cpu++)
        next = min_of(next, cpus[cpu].deadline);
    return next;
}

void host_advance(ns_t ns)
{
    unsigned int here = host_cpu;
    ns_t until = host_now + ns;

    host_schedule();
    while (host_next_interrupt() <= until) {
        host_now = max_of(host_now, host_next_interrupt());
        for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
            if (cpus[cpu].deadline > host_now)
                continue;
            cpus[cpu].deadline = NS_NEVER;
            host_timer_interrupts++;
            host_on_cpu(cpu);
            timer_run();
        }
        host_on_cpu(here);
        host_schedule();
    }
    host_now = until;
}

bool arch_event_waits(struct vcpu *v)
{
    return v->info->evtchn_upcall_pending && !v->info->evtchn_upcall_mask;
}

void arch_event_pending(struct vcpu *v)
{
    host_vcpu(v)->events++;
}

bool arch_preempt_needed(void)
{
    return host_preempt_after && --host_preempt_after == 0;
}

long arch_hypercall_continue(unsigned int op, unsigned int nr_args, const u64 *args)
{
    struct host_vcpu *a = host_vcpu(current_vcpu());

    a->has_continued = true;
    memset(a->continued, 0, sizeof(a->continued));
    a->continued[0] = op;
    memcpy(a->continued + 1, args, nr_args * sizeof(*args));
    return -XEN_ERESTART;
}

/* ---- domains ---- */

/* What the simulated machine knows of a vCPU lies where a real one keeps its FPU state. */
struct host_vcpu *host_vcpu(const struct vcpu *v)
{
    return v->arch.fpu;
}

static bool slot_used[NR_PCPUS * MAX_VCPUS];

int arch_vcpu_create(struct vcpu *v)
{
    struct arch_vcpu *a = &v->arch;

    if (alloc_fails())
        return -XEN_ENOMEM;
    a->fpu = calloc(1, sizeof(struct host_vcpu));
    a->flags = VF_KERNEL | VF_NO_USER;
    while (a->slot < ARRAY_SIZE(slot_used) - 1 && slot_used[a->slot])
        a->slot++;
    slot_used[a->slot] = true;
    return 0;
}

void arch_vcpu_destroy(struct vcpu *v)
{
    for (unsigned int i = 0; i < 32; i++)
        BUG_ON(host_desc_page(v, i));
    slot_used[v->arch.slot] = false;
    free(v->arch.fpu);
}

struct domain *host_domain(domid_t id, unsigned int vcpus, u64 frames)
{
    struct domain *d;

    if (domain_create(id, DOMAIN_PV, false, vcpus, frames + 256, &d))
        abort();
    for (u64 i = 0; i < frames; i++) {
        if (host_frame(d).n == MFN_INVALID.n)
            abort();
    }
    for (unsigned int i = 0; i < vcpus; i++) {
        d->vcpu[i]->initialised = true;
        vcpu_unpause(d->vcpu[i], VPF_DOWN);
    }
    return d;
}

void host_load_l4(struct vcpu *v)
{
    mfn_t mfn = host_frame(v->domain);

    if (mfn.n == MFN_INVALID.n || frame_get_type(mfn, FT_L4, v->domain))
        abort();
    v->arch.cr3_kernel = mfn.n << PAGE_SHIFT;
}

void host_domain_end(struct domain *d)
{
    int err;

    domain_shutdown(d, SHUTDOWN_poweroff);
    for (unsigned int cpu = 0; cpu < nr_cpus; cpu++)
        cpus[cpu].raised = true;
    host_schedule();
    host_on_cpu(host_cpu);
    if (current_vcpu()->domain == d)
        host_set_current(cpus[host_cpu].idle);
    do
        err = domain_kill(d);
    while (err == -XEN_ERESTART);
    BUG_ON(err);
}

/* ---- the rest of the processor ---- */

/* The wall clock as it was last set, ns since 1970 at system time 0. */
static u64 wallclock;

void time_publish_wallclock(struct domain *d)
{
    struct shared_wallclock w = shared_info_wallclock(d);

    *w.version += 2;
    *w.sec = (u32)(wallclock / SECONDS(1));
    *w.sec_hi = wallclock / SECONDS(1) >> 32;
    *w.nsec = wallclock % SECONDS(1);
}

void time_set_wallclock(struct domain *d, u64 secs, u32 nsecs, u64 system_time)
{
    wallclock = secs * SECONDS(1) + nsecs - system_time;
    time_publish_wallclock(d);
}

u32 arch_features(const struct domain *d, unsigned int submap)
{
    return submap == 0 ? 1u << XENFEAT_mmu_pt_update_preserve_ad : 0;
}

const void *arch_build_id(size_t *len)
{
    *len = 20;
    return "host build, no image";
}

const char *arch_command_line(void)
{
    return "host";
}

void arch_get_physinfo(struct arch_physinfo *p)
{
    *p = (struct arch_physinfo){.nr_cpus = nr_cpus, .cpu_khz = 1000000, .total_pages = nr_frames, .max_mfn = nr_frames - 1};
    for (u64 i = 0; i < nr_frames; i++)
        p->free_pages += frame_table[i].owner == DOMID_INVALID;
}

unsigned int arch_nr_cpus(void)
{
    return nr_cpus;
}

u64 arch_online_mask(void)
{
    return nr_cpus < 64 ? (1ull << nr_cpus) - 1 : ~0ull;
}

/* Sockets of host_cores cores of host_threads threads; pcpus are numbered threads first. */
void arch_cpu_place(unsigned int cpu, struct arch_cpu_place *p)
{
    unsigned int core = cpu / host_threads;

    *p = (struct arch_cpu_place){
        .thread = cpu % host_threads, .core = core % host_cores, .socket = core / host_cores, .node = core / host_cores};
}

/* One thread plays all pcpus: nobody can be waited for. */
void arch_relax(void)
{
    panic("a pcpu waits for another that does nothing");
}

bool several_pcpus;

void on_each_cpu(u64 mask, void (*fn)(void *arg), void *arg)
{
    unsigned int here = host_cpu;

    for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
        if (!(mask & (1ull << cpu)))
            continue;
        host_cpu = cpu;
        fn(arg);
    }
    host_cpu = here;
}

static void flush(void *unused)
{
    host_tlb_flush();
}

void tlb_flush_cpus(u64 mask)
{
    on_each_cpu(mask, flush, NULL);
}

u64 vcpus_cpus(const struct domain *d, u64 vcpus)
{
    u64 mask = 1ull << host_cpu;

    for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
        const struct vcpu *v = cpus[cpu].running;

        if (v && v->domain == d && (vcpus >> v->id & 1))
            mask |= 1ull << cpu;
    }
    return mask;
}

void tlb_flush_domain(const struct domain *d, u64 vcpus)
{
    tlb_flush_cpus(vcpus_cpus(d, vcpus));
}

int arch_cpu_down(unsigned int cpu)
{
    return cpu < nr_cpus ? sched_cpu_down(cpu) : -XEN_EINVAL;
}

int arch_cpu_up(unsigned int cpu)
{
    return cpu < nr_cpus ? sched_cpu_up(cpu) : -XEN_EINVAL;
}

bool arch_vcpu_settled(struct vcpu *v)
{
    for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
        if (cpus[cpu].running == v)
            return false;
    }
    return true;
}

void arch_kick_vcpu(const struct vcpu *v)
{
}

u32 arch_cpu_apic_id(unsigned int cpu)
{
    return cpu;
}

void arch_dump_guest(const struct vcpu *v)
{
    printk("(registers of d%dv%d)\n", v->domain->id, v->id);
}

int arch_vcpu_initialise(struct vcpu *v, gva_t context, bool *online)
{
    u64 first_word;

    return guest_read(&first_word, context) ? 0 : -XEN_EFAULT;
}

void arch_set_iopl(struct vcpu *v, unsigned int iopl)
{
}

void arch_send_nmi(struct vcpu *v)
{
}

void arch_time_info(struct vcpu_time_info *t)
{
    *t = (struct vcpu_time_info){.version = 2, .tsc_to_system_mul = 1u << 31, .tsc_shift = 1};
}

void arch_machine_end(enum machine_end how)
{
    if (host_catch_end)
        longjmp(host_machine_end, 1 + how);
    fprintf(stderr, "the machine ended (%d)\n", how);
    abort();
}

void panic(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    abort();
}

/* ---- the console ---- */

size_t arch_console_read(char *buf, size_t n)
{
    size_t len = strnlen(typed, n);

    memcpy(buf, typed, len);
    typed += len;
    return len;
}

void arch_console_write(const char *s, size_t n)
{
    if (console_len + n >= sizeof(console))
        console_len = 0;
    n = min_of(n, sizeof(console) - 1);
    memcpy(console + console_len, s, n);
    console_len += n;
    console[console_len] = 0;
    if (getenv("HOST_CONSOLE"))
        fwrite(s, 1, n, stderr);
}

const char *host_console(void)
{
    return console;
}

void host_console_clear(void)
{
    console_len = 0;
    console[0] = 0;
}

bool host_console_has(const char *text)
{
    return strstr(console, text) != NULL;
}

void host_console_type(const char *s)
{
    typed = s;
}

/* ---- registers, and the TLB model ---- */

u64 rdmsr(u32 msr)
{
    return msr == MSR_FS_BASE          ? cpus[host_cpu].fs_base
           : msr == MSR_GS_BASE        ? cpus[host_cpu].gs_base
           : msr == MSR_KERNEL_GS_BASE ? cpus[host_cpu].kernel_gs_base
                                       : 0;
}

void wrmsr(u32 msr, u64 v)
{
    BUG_ON(msr != MSR_FS_BASE && msr != MSR_GS_BASE && msr != MSR_KERNEL_GS_BASE);
    BUG_ON(!is_canonical(v));
    *(msr == MSR_FS_BASE ? &cpus[host_cpu].fs_base : msr == MSR_GS_BASE ? &cpus[host_cpu].gs_base : &cpus[host_cpu].kernel_gs_base) = v;
}

bool rdmsr_safe(u32 msr, u64 *v)
{
    return false;
}

bool wrmsr_safe(u32 msr, u64 v)
{
    return false;
}

void swapgs(void)
{
    u64 gs = cpus[host_cpu].gs_base;

    cpus[host_cpu].gs_base = cpus[host_cpu].kernel_gs_base;
    cpus[host_cpu].kernel_gs_base = gs;
}

void xsetbv(u32 n, u64 v)
{
    BUG_ON(n || !(v & 1) || (v & ~cpu_features.xcr0));
}

cycles_t rdtsc(void)
{
    return host_now;
}

u32 host_port_in(u16 port, unsigned int size)
{
    BUG_ON(!current_vcpu()->domain->privileged);
    return ~0u;
}

void host_port_out(u16 port, unsigned int size, u32 v)
{
    BUG_ON(!current_vcpu()->domain->privileged);
}

u64 read_cr0(void)
{
    return cpus[host_cpu].cr0;
}

void write_cr0(u64 v)
{
    cpus[host_cpu].cr0 = v;
}

u64 read_cr3(void)
{
    return cpus[host_cpu].cr3;
}

void write_cr3(u64 v)
{
    const struct frame *f = &frame_table[v >> PAGE_SHIFT];

    BUG_ON(v != hv_cr3 && (frame_type(f->word) != FT_L4 || !(f->word & FRAME_VALIDATED) || !frame_tc(f->word)));
    cpus[host_cpu].cr3 = v;
    cpus[host_cpu].flushes++;
}

void host_tlb_flush(void)
{
    tlb_tick(get_cpu_info());
    write_cr3(read_cr3());
}

void host_tlb_touch_writable(mfn_t mfn)
{
    cpus[host_cpu].writable_since[mfn.n] = cpus[host_cpu].flushes;
}

void host_tlb_touch_table(mfn_t mfn)
{
    cpus[host_cpu].table_since[mfn.n] = cpus[host_cpu].flushes;
}

void host_tlb_touch_page(mfn_t mfn)
{
    cpus[host_cpu].page_since[mfn.n] = cpus[host_cpu].flushes;
    cpus[host_cpu].page_owner[mfn.n] = frame_of(mfn)->owner;
}

bool host_tlb_strangers(mfn_t mfn)
{
    for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
        if (cpus[cpu].page_since[mfn.n] == cpus[cpu].flushes && cpus[cpu].page_owner[mfn.n] != frame_of(mfn)->owner &&
            frame_of(mfn)->owner != DOMID_INVALID)
            return true;
    }
    return false;
}

bool host_tlb_writable(mfn_t mfn)
{
    for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
        if (cpus[cpu].writable_since[mfn.n] == cpus[cpu].flushes)
            return true;
    }
    return false;
}

bool host_tlb_table(mfn_t mfn)
{
    for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
        if (cpus[cpu].table_since[mfn.n] == cpus[cpu].flushes)
            return true;
    }
    return false;
}
