/* SPDX-License-Identifier: MIT */
/*
 * Page-table hypercalls: mmu_update, update_va_mapping, mmuext_op (xen/xen.h). All checks of entries are typing.c's.
 *
 * Preemption: each loop looks for waiting work once per request; a partly validated table keeps its position in its frame
 * record, so the same request is simply issued again (hypercall_continue()).
 */
#include "pv.h"
#include "typing.h"
#include "x86/mm.h"
#include "x86/smp.h"
#include "core/hypercall.h"
#include <trace/trace.h>

/** In a count: the call was continued, and *pdone holds what earlier rounds did. The guest sees it only in its registers. */
#define MMU_UPDATE_PREEMPTED (1u << 31)

u64 *pv_walk(struct vcpu *v, u64 va, unsigned int level)
{
    u64 *t = map_mfn(MFN((guest_kernel_mode(v) || !v->arch.cr3_user ? v->arch.cr3_kernel : v->arch.cr3_user) >> PAGE_SHIFT));

    for (unsigned int l = 4;; l--) {
        u64 *e = &t[(va >> (PAGE_SHIFT + 9 * (l - 1))) & 511];

        if (l == level)
            return e;
        if (!(*e & PTE_P))
            return NULL;
        t = map_mfn(MFN((*e & PTE_MFN) >> PAGE_SHIFT));
    }
}

/* Epochs of stamps for all TLBs: the present one, and the last that all pcpus have been flushed behind. Stamps, by their form. */
static u32 epoch = TLB_TICK | TLB_ANY, epoch_done = TLB_ANY;

u32 tlb_clock_now(void)
{
    struct cpu_info *c = get_cpu_info();

    if (!ONE_PCPU && several_pcpus && c->current->domain->max_vcpus > 1)
        return __atomic_load_n(&epoch, __ATOMIC_ACQUIRE);
    return (u32)c->flush_clock;
}

u32 tlb_later(u32 a, u32 b)
{
    if (!((a ^ b) & TLB_ANY))
        return (s32)(b - a) > 0 ? b : a;
    if (a < TLB_TICK || b < TLB_TICK) /* as at boot: never in use */
        return a < TLB_TICK ? b : a;
    return __atomic_load_n(&epoch, __ATOMIC_ACQUIRE);
}

/* Where the TLB that a stamp names is another's, or all. The epoch ends before the flushes: whoever has read it until then has
 * taken his mapping away before, and they reach it. */
static __cold_ void tlb_filter_others(u32 stamp)
{
    unsigned int cpu = stamp & TLB_ANY;
    u32 ends;

    if (cpu != TLB_ANY) {
        if ((s32)(stamp - (u32)READ_ONCE(cpu_info_of(cpu)->flush_clock)) < 0)
            return;
        tlb_flush_cpus(1ull << cpu);
    } else {
        if ((s32)(stamp - __atomic_load_n(&epoch_done, __ATOMIC_ACQUIRE)) <= 0)
            return;
        ends = __atomic_fetch_add(&epoch, TLB_TICK, __ATOMIC_SEQ_CST);
        tlb_flush_cpus(~0ull);
        for (u32 done = READ_ONCE(epoch_done); (s32)(ends - done) > 0;)
            if (__atomic_compare_exchange_n(&epoch_done, &done, ends, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
                break;
    }
    TRACE_tlb_flush(0, get_cpu_info()->current->domain->id, TRACE_TLB_SHOOTDOWN);
}

void tlb_filter(u32 stamp)
{
    struct cpu_info *c = get_cpu_info();

    if (!ONE_PCPU && (stamp & TLB_ANY) != c->cpu) {
        tlb_filter_others(stamp);
    } else if ((s32)(stamp - (u32)c->flush_clock) >= 0) {
        tlb_tick(c);
        write_cr3(read_cr3()); /* guests' mappings are never global */
        TRACE_tlb_flush(0, c->current->domain->id, TRACE_TLB_LOCAL);
    }
}

static void flush_all_guest(void)
{
    tlb_tick(get_cpu_info());
    write_cr3(read_cr3());
}

static void invlpg_one(void *va)
{
    invlpg((u64)va);
}

/* The guest's own flush of one address, or of all (MMU_ALL), for those of its vCPUs. On one pcpu the switch to another flushes. */
#define ALL_ADDRESSES ~0ull
static void flush_for(struct vcpu *v, u64 vcpus, u64 va)
{
    if (ONE_PCPU || !several_pcpus || !(vcpus & ~(1ull << v->id) & ((1ull << v->domain->max_vcpus) - 1))) {
        if (va == ALL_ADDRESSES)
            flush_all_guest();
        else
            invlpg(va);
    } else if (va == ALL_ADDRESSES) {
        tlb_flush_domain(v->domain, vcpus);
    } else {
        on_each_cpu(vcpus_cpus(v->domain, vcpus), invlpg_one, (void *)va);
    }
}

/* The vCPUs that a bitmap of the guest's names; false: it cannot be read. */
static bool read_vcpus(const struct domain *d, u64 bitmap, u64 *vcpus)
{
    *vcpus = 0;
    return !guest_copy_from(vcpus, bitmap, (d->max_vcpus + 7) / 8);
}

void l4_init_slots(u64 *l4)
{
    mm_copy_hv_slots(l4);
}

/* The domain whose frames or tables a call names: the caller's own, or DOMID_SELF; others need privilege (later:
 * toolstack). */
static __attribute__((noinline)) int foreign_domain(struct vcpu *v, u64 foreigndom, struct domain **pt, struct domain **pg)
{
    domid_t pg_id = foreigndom & 0xffff, pt_id = foreigndom >> 16;

    *pt = *pg = v->domain;
    if (pt_id && pt_id - 1 != DOMID_SELF && pt_id - 1 != v->domain->id)
        return -XEN_EPERM;
    if (pg_id != DOMID_SELF && pg_id != v->domain->id && !(pg_id == DOMID_IO && v->domain->privileged))
        return pg_id < DOMID_FIRST_RESERVED ? -XEN_ESRCH : -XEN_EPERM;
    return 0;
}

/* What no request is: `plain` where the last one was no plain store. */
#define NOT_PLAIN ~0ull

/*
 * One request of mmu_update: the common case first. *plain: its frame's address and command where the frame is no table and
 * the domain may write to it, so that all it took was a store; it takes no more for requests of the same frame that follow
 * it.
 */
static __always_inline_ int update_one(struct domain *d, u64 ptr, u64 val, u64 *plain)
{
    unsigned int cmd = ptr & 3;
    mfn_t mfn = MFN((ptr & ~3ull) >> PAGE_SHIFT);
    struct frame *f;
    u64 *entry, w;
    int err;

    if (unlikely(!mfn_is_memory(mfn)))
        return -XEN_EINVAL;
    f = frame_of(mfn);
    if (cmd != MMU_MACHPHYS_UPDATE) { /* NO_TRANSLATE is a normal update where gfns are mfns */
        if (unlikely(ptr & 4))
            return -XEN_EINVAL;
        w = f->word;
        if (unlikely(!(w & FRAME_ALLOCATED) || f->owner != d->id))
            return -XEN_EINVAL;
        entry = (u64 *)(directmap + (ptr & ~7ull));
        if (likely(w & FRAME_VALIDATED) && likely(frame_tc(w))) {
            enum frame_type t = frame_type(w);

            if (likely(t == FT_L1))
                return pte_change(entry, val, 1, d, cmd == MMU_PT_UPDATE_PRESERVE_AD);
            if (t <= FT_L4 && t != FT_NONE)
                return pte_change(entry, val, t, d, cmd == MMU_PT_UPDATE_PRESERVE_AD);
        }
        /* Not a table now: an ordinary write, where the domain may write. With one vCPU nothing can make a table of
         * it, or give it back, meanwhile. */
        if (likely(d->max_vcpus == 1) &&
            (frame_type(w) == FT_WRITABLE || (!frame_tc(w) && !(w & FRAME_PARTIAL)))) {
            if (frame_type(w) != FT_WRITABLE && frame_type(w) != FT_NONE) /* a former table: a TLB may walk through it */
                tlb_filter(f->stamp);
            WRITE_ONCE(*entry, val);
            *plain = ptr & ~(PAGE_SIZE - 8);
            return 0;
        }
        err = frame_get_type(mfn, FT_WRITABLE, d);
        if (err)
            return err;
        WRITE_ONCE(*entry, val);
        return frame_put_type(mfn, false);
    }
    if (!(f->word & FRAME_ALLOCATED) || f->owner != d->id)
        return -XEN_EINVAL;
    WRITE_ONCE(m2p[mfn.n], val);
    return 0;
}

static long mmu_update_many(u64 reqs, u64 count, u64 pdone, u64 foreigndom);

/* One request for the caller's own domain is what nearly all calls are. */
long do_mmu_update(u64 reqs, u64 count, u64 pdone, u64 foreigndom, u64 a5, u64 a6)
{
    struct domain *d = current_vcpu()->domain;
    u64 ptr, val, plain;
    u32 done = 1;
    bool ok;
    int err;

    if (unlikely(count != 1 || foreigndom != DOMID_SELF || !guest_range_ok(reqs, sizeof(struct mmu_update))))
        return mmu_update_many(reqs, count, pdone, foreigndom);
    stac();
    ok = guest_get8(reqs, &ptr) && guest_get8(reqs + 8, &val);
    clac();
    if (unlikely(!ok))
        return mmu_update_many(reqs, count, pdone, foreigndom);
    tables_lock(d);
    err = update_one(d, ptr, val, &plain);
    tables_unlock(d);
    if (unlikely(err)) {
        if (err == -XEN_ERESTART)
            return hypercall_continue(__HYPERVISOR_mmu_update, 4, reqs, count, pdone, foreigndom);
        done = 0;
    }
    if (unlikely(pdone) && guest_copy_to(pdone, &done, sizeof(done)))
        return -XEN_EFAULT;
    return err;
}

/* From `reqs` on, the requests that are plain stores to the frame that `plain` names; returns the first that is not,
 * or cannot be read. */
static __always_inline_ u64 plain_stores(u64 reqs, u64 end, u64 plain)
{
    u8 *frame = (u8 *)(directmap + (plain & PAGE_MASK));
    u64 ptr, val;

    stac();
    while (reqs < end && guest_get8(reqs, &ptr) && guest_get8(reqs + 8, &val) && (ptr & ~(PAGE_SIZE - 8)) == plain) {
        WRITE_ONCE(*(u64 *)(frame + (ptr & (PAGE_SIZE - 8))), val);
        reqs += sizeof(struct mmu_update);
    }
    clac();
    return reqs;
}

/* Requests between two looks whether something waits. */
#define MMU_UPDATE_BATCH (16 * sizeof(struct mmu_update))

/* What requests begin with: how many are left, and how many of them are done already. False: not the guest's memory. */
static bool resume(u64 *count, u32 *already, u64 requests, size_t size, u64 pdone)
{
    if (unlikely(*count & MMU_UPDATE_PREEMPTED) && pdone && !guest_read(already, pdone))
        return false;
    *count = (u32)*count & ~MMU_UPDATE_PREEMPTED;
    return guest_range_ok(requests, *count * size);
}

static __attribute__((noinline)) long mmu_update_many(u64 reqs, u64 count, u64 pdone, u64 foreigndom)
{
    struct vcpu *v = current_vcpu();
    struct domain *d = v->domain, *pt;
    u64 first = reqs, end, look, plain = NOT_PLAIN;
    u32 done = 0, already = 0;
    int err = 0;

    if (unlikely(foreigndom != DOMID_SELF)) {
        err = foreign_domain(v, foreigndom, &pt, &d);
        if (err)
            return refuse(v->domain, __HYPERVISOR_mmu_update, foreigndom, err);
    }
    if (!resume(&count, &already, reqs, sizeof(struct mmu_update), pdone))
        return -XEN_EFAULT;
    end = reqs + count * sizeof(struct mmu_update);
    for (look = reqs + MMU_UPDATE_BATCH; reqs < end; reqs += sizeof(struct mmu_update)) {
        u64 ptr, val;
        bool ok;

        if (plain != NOT_PLAIN) {
            reqs = plain_stores(reqs, min_of(end, look), plain);
            plain = NOT_PLAIN;
            if (reqs == end)
                break;
        }
        if (unlikely(reqs >= look)) {
            look = reqs + MMU_UPDATE_BATCH;
            if (arch_preempt_needed()) {
                err = -XEN_ERESTART;
                break;
            }
        }
        stac();
        ok = guest_get8(reqs, &ptr) && guest_get8(reqs + 8, &val);
        clac();
        if (unlikely(!ok)) {
            err = -XEN_EFAULT;
            break;
        }
        tables_lock(d);
        err = update_one(d, ptr, val, &plain);
        tables_unlock(d);
        if (unlikely(err))
            break;
    }
    count -= (reqs - first) / sizeof(struct mmu_update);
    done = (reqs - first) / sizeof(struct mmu_update) + already;
    if (pdone && guest_copy_to(pdone, &done, sizeof(done)))
        return -XEN_EFAULT;
    if (unlikely(err == -XEN_ERESTART))
        return hypercall_continue(__HYPERVISOR_mmu_update, 4, reqs, count | MMU_UPDATE_PREEMPTED, pdone, foreigndom);
    return err;
}

static __always_inline_ int change_at(struct vcpu *v, u64 va, u64 val)
{
    struct frame *table;
    u64 *entry, w;

    entry = pv_walk_l1(guest_kernel_mode(v) ? v->arch.cr3_kernel : v->arch.cr3_user, va);
    if (unlikely(!entry))
        return -XEN_EINVAL;
    table = frame_of(virt_to_mfn(entry));
    w = table->word;
    if (unlikely(frame_type(w) != FT_L1 || !(w & FRAME_VALIDATED) || table->owner != v->domain->id))
        return -XEN_EINVAL;
    return pte_change(entry, val, 1, v->domain, false);
}

/* Behind the change: for whom is in the flags, UVMF_LOCAL, UVMF_ALL, or the address of a bitmap of vCPUs. */
static __attribute__((noinline)) long flush_flags(struct vcpu *v, u64 va, u64 flags)
{
    u64 whom = flags & ~(u64)UVMF_FLUSHTYPE_MASK, vcpus = 1ull << v->id;

    if (whom == UVMF_ALL)
        vcpus = ~0ull;
    else if (whom != UVMF_LOCAL && !read_vcpus(v->domain, whom, &vcpus))
        return -XEN_EFAULT;
    flush_for(v, vcpus, (flags & UVMF_FLUSHTYPE_MASK) == UVMF_TLB_FLUSH ? ALL_ADDRESSES : va);
    return 0;
}

long do_update_va_mapping(u64 va, u64 val, u64 flags, u64 a4, u64 a5, u64 a6)
{
    struct vcpu *v = current_vcpu();
    int err;

    /* The walk looks at bits 12 to 47 only: without this an address of no half would name the hypervisor's slots. */
    if (unlikely(!is_canonical(va) || (va >= HV_START && va < HV_END)))
        return -XEN_EINVAL;
    tables_lock(v->domain);
    err = change_at(v, va, val);
    tables_unlock(v->domain);
    if (unlikely(err))
        return err;
    switch (flags & UVMF_FLUSHTYPE_MASK) {
    case UVMF_NONE:
        break;
    case UVMF_INVLPG:
        if (!ONE_PCPU)
            return flush_flags(v, va, flags);
        invlpg(va);
        break;
    case UVMF_TLB_FLUSH:
        if (!ONE_PCPU)
            return flush_flags(v, va, flags);
        flush_all_guest();
        break;
    default:
        return -XEN_ENOSYS;
    }
    return 0;
}

long do_update_va_mapping_otherdomain(u64 va, u64 val, u64 flags, u64 domid, u64 a5, u64 a6)
{
    struct vcpu *v = current_vcpu();

    if (domid == DOMID_SELF || domid == v->domain->id)
        return do_update_va_mapping(va, val, flags, 0, 0, 0);
    return refuse(v->domain, __HYPERVISOR_update_va_mapping_otherdomain, domid, -XEN_EPERM);
}

/* ---- mmuext_op ---- */

/* The old one's references are dropped after CR3 has left it. */
static int new_base(struct vcpu *v, mfn_t mfn)
{
    u64 old = v->arch.cr3_kernel;
    int err;

    if (old == mfn.n << PAGE_SHIFT)
        return 0;
    err = frame_get_table(mfn, FT_L4, v->domain);
    if (err)
        return err;
    v->arch.cr3_kernel = mfn.n << PAGE_SHIFT;
    tlb_tick(get_cpu_info());
    write_cr3(v->arch.cr3_kernel);
    (void)frame_put_table(MFN(old >> PAGE_SHIFT));
    return 0;
}

int pv_new_base(struct vcpu *v, mfn_t mfn)
{
    int err;

    tables_lock(v->domain);
    err = new_base(v, mfn);
    tables_unlock(v->domain);
    return err;
}

static int new_user_base(struct vcpu *v, mfn_t mfn)
{
    int err = change_base(v->domain, &v->arch.cr3_user, mfn);

    if (!err)
        v->arch.flags = (v->arch.flags & ~VF_NO_USER) | (mfn.n ? 0 : VF_NO_USER);
    return err;
}

static long set_ldt(struct vcpu *v, gva_t base, u64 entries)
{
    if (!pv_ldt_ok(base, entries))
        return -XEN_EINVAL;
    pv_drop_ldt(v);
    v->arch.ldt_base = base;
    v->arch.ldt_entries = entries;
    pv_load_vcpu(v);
    return 0;
}

/* CLEAR_PAGE, COPY_PAGE: through a writable type reference, so that no page table is overwritten. */
static int page_op(struct vcpu *v, mfn_t dst, mfn_t src, bool copy)
{
    int err;

    if (copy && !(mfn_is_memory(src) && frame_get(frame_of(src), v->domain)))
        return -XEN_EINVAL;
    err = frame_get_type(dst, FT_WRITABLE, v->domain);
    if (!err) {
        if (copy)
            memcpy(map_mfn(dst), map_mfn(src), PAGE_SIZE);
        else
            memset(map_mfn(dst), 0, PAGE_SIZE);
        (void)frame_put_type(dst, false);
    }
    if (copy)
        frame_put(frame_of(src));
    return err;
}

/* Tables are locked. vcpus: those that a flush is for. */
static __always_inline_ long mmuext_locked(struct vcpu *v, struct domain *d, const struct mmuext_op *op, u64 vcpus)
{
    switch (op->cmd) {
    case MMUEXT_NEW_BASEPTR:
        return new_base(v, MFN(op->arg1.mfn));
    case MMUEXT_NEW_USER_BASEPTR:
        return new_user_base(v, MFN(op->arg1.mfn));
    case MMUEXT_INVLPG_LOCAL:
    case MMUEXT_INVLPG_ALL:
    case MMUEXT_INVLPG_MULTI:
        if (guest_range_ok(op->arg1.linear_addr, 1))
            flush_for(v, vcpus, op->arg1.linear_addr);
        return 0;
    case MMUEXT_TLB_FLUSH_LOCAL:
    case MMUEXT_TLB_FLUSH_ALL:
    case MMUEXT_TLB_FLUSH_MULTI:
        flush_for(v, vcpus, ALL_ADDRESSES);
        return 0;
    case MMUEXT_PIN_L1_TABLE:
    case MMUEXT_PIN_L2_TABLE:
    case MMUEXT_PIN_L3_TABLE:
    case MMUEXT_PIN_L4_TABLE:
        return frame_pin(MFN(op->arg1.mfn), FT_L1 + (op->cmd - MMUEXT_PIN_L1_TABLE), d);
    case MMUEXT_UNPIN_TABLE:
        return frame_unpin(MFN(op->arg1.mfn), d);
    case MMUEXT_SET_LDT:
        return set_ldt(v, op->arg1.linear_addr, op->arg2.nr_ents);
    case MMUEXT_CLEAR_PAGE:
        return page_op(v, MFN(op->arg1.mfn), MFN_INVALID, false);
    case MMUEXT_COPY_PAGE:
        return page_op(v, MFN(op->arg1.mfn), MFN(op->arg2.src_mfn), true);
    case MMUEXT_FLUSH_CACHE:
    case MMUEXT_FLUSH_CACHE_GLOBAL:
        if (!d->privileged)
            return -XEN_EACCES;
        wbinvd();
        return 0;
    case MMUEXT_MARK_SUPER:
    case MMUEXT_UNMARK_SUPER:
        return -XEN_EOPNOTSUPP;
    default:
        return refuse(v->domain, __HYPERVISOR_mmuext_op, op->cmd, -XEN_ENOSYS);
    }
}

static long mmuext_one(struct vcpu *v, struct domain *d, const struct mmuext_op *op)
{
    u64 vcpus = 1ull << v->id;
    long err;

    if (!ONE_PCPU && (op->cmd == MMUEXT_INVLPG_ALL || op->cmd == MMUEXT_TLB_FLUSH_ALL))
        vcpus = ~0ull;
    else if (!ONE_PCPU && (op->cmd == MMUEXT_INVLPG_MULTI || op->cmd == MMUEXT_TLB_FLUSH_MULTI) &&
             !read_vcpus(v->domain, (u64)op->arg2.vcpumask.p, &vcpus))
        return -XEN_EINVAL;
    tables_lock(d);
    err = mmuext_locked(v, d, op, vcpus);
    tables_unlock(d);
    return err;
}

static long mmuext_many(u64 ops, u64 count, u64 pdone, u64 foreigndom);

/* One operation, or the two of a kernel that goes to another address space, are what nearly all calls are. */
long do_mmuext_op(u64 ops, u64 count, u64 pdone, u64 foreigndom, u64 a5, u64 a6)
{
    struct vcpu *v = current_vcpu();
    struct mmuext_op op;
    u64 cmd, user_cmd, user_mfn;
    bool ok;
    long err;

    if (unlikely(foreigndom != DOMID_SELF || pdone || !guest_range_ok(ops, 2 * sizeof(op))))
        return mmuext_many(ops, count, pdone, foreigndom);
    if (count == 2) {
        stac();
        ok = guest_get8(ops, &cmd) && guest_get8(ops + 8, &op.arg1.linear_addr) &&
             guest_get8(ops + sizeof(op), &user_cmd) && guest_get8(ops + sizeof(op) + 8, &user_mfn);
        clac();
        if (unlikely(!ok || (u32)cmd != MMUEXT_NEW_BASEPTR || (u32)user_cmd != MMUEXT_NEW_USER_BASEPTR))
            return mmuext_many(ops, count, pdone, foreigndom);
        tables_lock(v->domain);
        err = new_base(v, MFN(op.arg1.mfn));
        if (likely(!err))
            err = new_user_base(v, MFN(user_mfn));
        tables_unlock(v->domain);
    } else if (likely(count == 1)) {
        stac();
        ok = guest_get8(ops, &cmd) && guest_get8(ops + 8, &op.arg1.linear_addr) && guest_get8(ops + 16, (u64 *)&op.arg2);
        clac();
        if (unlikely(!ok))
            return -XEN_EFAULT;
        op.cmd = (u32)cmd;
        err = mmuext_one(v, v->domain, &op);
    } else {
        return mmuext_many(ops, count, pdone, foreigndom);
    }
    /* Issued again as a whole: a base that is the present one stays. */
    return likely(err != -XEN_ERESTART) ? err : hypercall_continue(__HYPERVISOR_mmuext_op, 4, ops, count, pdone, foreigndom);
}

static __attribute__((noinline)) long mmuext_many(u64 ops, u64 count, u64 pdone, u64 foreigndom)
{
    struct vcpu *v = current_vcpu();
    struct domain *d = v->domain, *pt;
    u32 done, already = 0;
    long err = 0;
    u64 i;

    if (unlikely(foreigndom != DOMID_SELF)) {
        err = foreign_domain(v, foreigndom, &pt, &d);
        if (!err && (u16)foreigndom == DOMID_IO) /* devices have no tables */
            err = -XEN_EPERM;
        if (err)
            return refuse(v->domain, __HYPERVISOR_mmuext_op, foreigndom, err);
    }
    if (!resume(&count, &already, ops, sizeof(struct mmuext_op), pdone))
        return -XEN_EFAULT;
    for (i = 0; i < count; i++, ops += sizeof(struct mmuext_op)) {
        struct mmuext_op op;
        u64 cmd;
        bool ok;

        if (unlikely((i & 7) == 7 && arch_preempt_needed())) {
            err = -XEN_ERESTART;
            break;
        }
        stac();
        ok = guest_get8(ops, &cmd) && guest_get8(ops + 8, &op.arg1.linear_addr) && guest_get8(ops + 16, (u64 *)&op.arg2);
        clac();
        if (unlikely(!ok)) {
            err = -XEN_EFAULT;
            break;
        }
        op.cmd = (u32)cmd;
        err = mmuext_one(v, d, &op);
        if (unlikely(err))
            break;
    }
    done = i + already;
    if (pdone && guest_copy_to(pdone, &done, sizeof(done)))
        return -XEN_EFAULT;
    if (unlikely(err == -XEN_ERESTART))
        return hypercall_continue(__HYPERVISOR_mmuext_op, 4, ops, (count - i) | MMU_UPDATE_PREEMPTED, pdone, foreigndom);
    return err;
}
