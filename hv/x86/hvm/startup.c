/* SPDX-License-Identifier: MIT */
/*
 * How the vCPUs of a hardware-assisted domain come and go: INIT and STARTUP by local APIC, VCPUOP_initialise, a halt without interrupts.
 *
 * A vCPU that is not the boot processor is down (VPF_DOWN) from the beginning, as after INIT. Who sends INIT takes it down and notes that
 * it has to begin anew; who sends STARTUP to one that is down notes the vector and lets it run; the vCPU itself does what is noted, on its
 * own pcpu, before it next enters the guest. So nobody touches another's processor state, and no STARTUP is lost that comes while the
 * vCPU has not stopped yet. A STARTUP to one that runs is ignored, as by a processor (SDM vol. 3 §8.4.3).
 * A halt with interrupts off is the same as being down: kernels park a processor so, and wake it by INIT and STARTUP. With the last
 * vCPU the domain ends.
 * Sources: SDM vol. 3 table 9-1 (state after INIT), §8.4.4 (STARTUP), §10.4.7.3 (local APIC after INIT), xen/hvm/hvm_vcpu.h.
 * Locks: none; `startup` changes by atomic operations.
 */
#include "hvm.h"
#include "core/guest.h"
#include <xen/hvm/hvm_vcpu.h>

/* What h->startup says: INIT first, then either of the others. */
#define START_INIT    (1u << 0)
#define START_SIPI    (1u << 1) /* the vector in bits 8 to 15 */
#define START_CONTEXT (1u << 2) /* h->context */

void hvm_vcpu_init(struct vcpu *v)
{
    if (v->id == 0) { /* there is no firmware that it could begin in */
        hvm_power(v->domain, SHUTDOWN_reboot);
        return;
    }
    __atomic_store_n(&v->arch.hvm->startup, START_INIT, __ATOMIC_SEQ_CST);
    vcpu_pause(v, VPF_DOWN);
}

void hvm_vcpu_startup(struct vcpu *v, u8 vector)
{
    struct hvm_vcpu *h = v->arch.hvm;

    if (!(READ_ONCE(v->pause_flags) & VPF_DOWN))
        return;
    __atomic_store_n(&h->startup, (READ_ONCE(h->startup) & START_INIT) | START_SIPI | (u32)vector << 8, __ATOMIC_SEQ_CST);
    __atomic_store_n(&v->initialised, true, __ATOMIC_RELEASE);
    h->check_irq = true;
    vcpu_unpause(v, VPF_DOWN | VPF_BLOCKED);
}

void hvm_vcpu_nmi(struct vcpu *v)
{
    v->arch.hvm->nmi_pending = true;
    hvm_vcpu_kick(v);
}

static void put_segment(struct vcpu *v, enum hvm_segment_name n, u16 selector, u16 attributes, u32 limit, u64 base)
{
    hvm_ops->set_segment(v, n, &(struct hvm_segment){selector, attributes, limit, base});
}

/* Table 9-1, column INIT. The FPU, MSRs but EFER and the place of the local APIC stay. */
void hvm_after_init(struct vcpu *v, struct regs *r)
{
    static const enum hvm_segment_name data[] = {HVM_ES, HVM_SS, HVM_DS, HVM_FS, HVM_GS};
    static const enum hvm_register zero[] = {HVM_CR2, HVM_CR3, HVM_CR4, HVM_EFER, HVM_CPL};
    struct hvm_vcpu *h = v->arch.hvm;

    memset(r, 0, offsetof(struct regs, error_code));
    r->rsp = 0;
    r->rip = 0xfff0;
    r->rflags = X86_FLAGS_ONE;
    put_segment(v, HVM_CS, 0xf000, 0x09b, 0xffff, 0xffff0000);
    for (unsigned int i = 0; i < ARRAY_SIZE(data); i++)
        put_segment(v, data[i], 0, 0x093, 0xffff, 0);
    put_segment(v, HVM_TR, 0, 0x08b, 0xffff, 0);
    put_segment(v, HVM_LDTR, 0, 0x082, 0xffff, 0);
    put_segment(v, HVM_GDTR, 0, 0, 0xffff, 0);
    put_segment(v, HVM_IDTR, 0, 0, 0xffff, 0);
    hvm_ops->set(v, HVM_CR0, 0x60000010);
    for (unsigned int i = 0; i < ARRAY_SIZE(zero); i++)
        hvm_ops->set(v, zero[i], 0);
    hvm_ops->set(v, HVM_DR6, 0xffff0ff0);
    hvm_ops->set(v, HVM_DR7, 0x400);
    hvm_ops->flush(v);
    *h->event = 0;
    h->nmi_pending = false;
    hvm_ops->clear_blocking(v);
    vlapic_reset(h->vlapic);
    hvm_ops->set_tpr(v, 0);
}

/* ---- VCPUOP_initialise ---- */

/* The attributes of a segment as the ABI has them are those of struct hvm_segment. Code is code, the rest data or null, all present. */
static bool segment_ok(u16 attributes, bool code)
{
    if (attributes >> 12)
        return false;
    if (!attributes)
        return !code;
    return (attributes & 0x90) == 0x90 && !!(attributes & 8) == code;
}

static bool context_ok(const struct vcpu_hvm_context *c)
{
    const struct vcpu_hvm_x86_32 *n = &c->cpu_regs.x86_32;
    const struct vcpu_hvm_x86_64 *w = &c->cpu_regs.x86_64;

    if (c->pad)
        return false;
    if (c->mode == VCPU_HVM_MODE_32B)
        return !n->pad1 && !n->pad2[0] && !n->pad2[1] && !n->pad2[2] && segment_ok(n->cs_ar, true) && segment_ok(n->ds_ar, false) &&
               segment_ok(n->ss_ar, false) && segment_ok(n->es_ar, false) && (n->tr_ar == 0x8b || n->tr_ar == 0x83) &&
               !(n->efer & ~(u64)(EFER_NX | EFER_LME | EFER_LMA));
    return c->mode == VCPU_HVM_MODE_64B && (w->cr0 & (X86_CR0_PG | 1)) == (X86_CR0_PG | 1) && (w->cr4 & X86_CR4_PAE) &&
           (w->efer & (EFER_LME | EFER_LMA)) == (EFER_LME | EFER_LMA) && !(w->efer & ~(u64)(EFER_NX | EFER_LME | EFER_LMA | EFER_SCE)) &&
           !(w->cr0 >> 32) && !(w->cr4 >> 32) && is_canonical(w->rip);
}

int hvm_vcpu_initialise(struct vcpu *v, gva_t context)
{
    struct hvm_vcpu *h = v->arch.hvm;
    struct vcpu_hvm_context *c = arch_alloc(sizeof(*c));
    int rc = 0;

    if (!c)
        return -XEN_ENOMEM;
    if (!guest_read(c, context))
        rc = -XEN_EFAULT;
    else if (!context_ok(c))
        rc = -XEN_EINVAL;
    if (rc) {
        arch_free(c);
        return rc;
    }
    h->context = c;
    __atomic_store_n(&h->startup, START_INIT | START_CONTEXT, __ATOMIC_SEQ_CST);
    return 0;
}

/* The registers that both forms of a start have, there named by e or r. */
#define LOAD_REGISTERS(to, from, p)                                                                \
    do {                                                                                           \
        (to)->rax = (from)->p##ax, (to)->rcx = (from)->p##cx, (to)->rdx = (from)->p##dx;           \
        (to)->rbx = (from)->p##bx, (to)->rsp = (from)->p##sp, (to)->rbp = (from)->p##bp;           \
        (to)->rsi = (from)->p##si, (to)->rdi = (from)->p##di, (to)->rip = (from)->p##ip;           \
        (to)->rflags = ((from)->p##flags & GUEST_FLAGS_OK) | X86_FLAGS_ONE;                        \
    } while (0)

static void load_32(struct vcpu *v, struct regs *r, const struct vcpu_hvm_x86_32 *n)
{
    LOAD_REGISTERS(r, n, e);
    put_segment(v, HVM_CS, 0, n->cs_ar, n->cs_limit, n->cs_base);
    put_segment(v, HVM_DS, 0, n->ds_ar, n->ds_limit, n->ds_base);
    put_segment(v, HVM_SS, 0, n->ss_ar, n->ss_limit, n->ss_base);
    put_segment(v, HVM_ES, 0, n->es_ar, n->es_limit, n->es_base);
    put_segment(v, HVM_TR, 0, n->tr_ar, n->tr_limit, n->tr_base);
    hvm_ops->set(v, HVM_CR0, n->cr0 | X86_CR0_ET);
    hvm_ops->set(v, HVM_CR4, n->cr4);
    hvm_ops->set(v, HVM_EFER, n->efer);
    hvm_ops->set(v, HVM_CR3, n->cr3); /* under PAE paging it loads what the others tell it to */
}

static void load_64(struct vcpu *v, struct regs *r, const struct vcpu_hvm_x86_64 *w)
{
    static const enum hvm_segment_name data[] = {HVM_ES, HVM_SS, HVM_DS};

    LOAD_REGISTERS(r, w, r);
    put_segment(v, HVM_CS, 0, 0xa9b, ~0u, 0);
    for (unsigned int i = 0; i < ARRAY_SIZE(data); i++)
        put_segment(v, data[i], 0, 0xc93, ~0u, 0);
    hvm_ops->set(v, HVM_CR0, w->cr0 | X86_CR0_ET);
    hvm_ops->set(v, HVM_CR3, w->cr3);
    hvm_ops->set(v, HVM_CR4, w->cr4);
    hvm_ops->set(v, HVM_EFER, w->efer);
}

void hvm_start_up(struct vcpu *v, struct regs *r)
{
    struct hvm_vcpu *h = v->arch.hvm;
    u32 what = __atomic_exchange_n(&h->startup, 0, __ATOMIC_SEQ_CST);
    u8 vector = what >> 8;

    if (what & START_INIT)
        hvm_after_init(v, r);
    if (what & START_SIPI) {
        put_segment(v, HVM_CS, vector << 8, 0x09b, 0xffff, (u64)vector << 12);
        r->rip = 0;
    }
    if (what & START_CONTEXT) {
        if (h->context->mode == VCPU_HVM_MODE_32B)
            load_32(v, r, &h->context->cpu_regs.x86_32);
        else
            load_64(v, r, &h->context->cpu_regs.x86_64);
    }
    arch_free(h->context);
    h->context = NULL;
}
