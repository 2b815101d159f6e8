/* SPDX-License-Identifier: MIT */
/*
 * Accesses to guest-physical addresses behind which there is no memory: the instruction is fetched once and carried out by the emulator
 * (emulate.h), with the domain's registered devices (device.h) at the other end. Where nobody is, reads give ones and writes go nowhere, as
 * on a PC. An instruction that the emulator does not know ends its domain, with its bytes in the log.
 */
#include "hvm.h"
#include "core/p2m.h"
#include "emulate.h"

static enum emulate_result device(struct emulate *e, u64 gpa, unsigned int size, u64 *value, bool write)
{
    struct vcpu *v = e->ctx;
    struct hvm_io *io = &v->domain->arch.hvm->io;
    const struct hvm_model *m = v->domain->arch.hvm->model;

    if (unlikely(m && gpa >= m->first && gpa <= m->last))
        return hvm_model_access(v, gpa, size, value, write);
    if (write)
        (void)hvm_io_write(io, HVM_IO_MEMORY, gpa, size, *value);
    else
        (void)hvm_io_read(io, HVM_IO_MEMORY, gpa, size, value);
    return EMULATE_DONE;
}

static enum emulate_result memory(struct emulate *e, u64 linear, unsigned int size, u64 *value, bool write)
{
    struct vcpu *v = e->ctx;
    u32 access = (write ? HVM_ACCESS_WRITE : 0) | (hvm_ops->get(v, HVM_CPL) == 3 ? HVM_ACCESS_USER : 0), error;
    unsigned int first = min_of(PAGE_SIZE - (linear & ~PAGE_MASK), size), at = 0;
    u64 gpa[2] = {0, 0}, v8 = write ? *value : 0;

    /* Both pages are walked before anything is touched. */
    for (unsigned int part = 0; part < (first < size ? 2 : 1); part++) {
        u64 where = part ? linear + first : linear;

        if (!hvm_translate(v, where, access, &gpa[part], &error)) {
            hvm_inject_page_fault(v, error, where);
            return EMULATE_FAULT;
        }
    }
    for (unsigned int part = 0; part < (first < size ? 2 : 1); part++) {
        unsigned int n = part ? size - first : first;
        u8 *bytes = (u8 *)&v8 + at;
        enum emulate_result rc = EMULATE_DONE;
        enum p2m_type type;

        (void)p2m_get(v->domain, GFN(gpa[part] >> PAGE_SHIFT), &type, NULL);
        if (p2m_type_is_ram(type) || type == P2M_PAGED) {
            if (write)
                (void)hvm_copy_to_physical(v->domain, gpa[part], bytes, n);
            else if (hvm_copy_from_physical(v->domain, bytes, gpa[part], n))
                memset(bytes, 0xff, n);
        } else {
            u64 value8 = 0;

            memcpy(&value8, bytes, n);
            rc = emulate_device(e, gpa[part], n, &value8, write);
            if (!write)
                memcpy(bytes, &value8, n);
        }
        if (rc != EMULATE_DONE)
            return rc;
        at += n;
    }
    if (!write)
        *value = v8;
    return EMULATE_DONE;
}

static u64 base(struct emulate *e, unsigned int segment)
{
    struct hvm_segment s;

    hvm_ops->get_segment(e->ctx, (enum hvm_segment_name)segment, &s);
    return s.base;
}
_Static_assert(HVM_ES == (int)SEG_ES && HVM_DS == (int)SEG_DS && HVM_GS == (int)SEG_GS, "segments by their numbers in encodings");

static const struct emulate_ops ops = {.memory = memory, .device = device, .base = base};

static __cold_ void cannot(struct vcpu *v, u64 gpa, const u8 *bytes)
{
    u64 words[2] = {0, 0};

    memcpy(words, bytes, INSN_MAX);
    domain_crash(v->domain, "an instruction that is not emulated reached for guest-physical %#llx: bytes %016llx %014llx (last first)",
                 (unsigned long long)gpa, (unsigned long long)words[0], (unsigned long long)words[1]);
}

/* An attempt at the instruction at RIP, with these bytes or (n = 0) with those of the attempt that waits. */
static void attempt(struct vcpu *v, struct regs *r, u64 gpa, enum insn_mode mode, const u8 *bytes, unsigned int n)
{
    struct hvm_vcpu *h = v->arch.hvm;
    struct emulate e = {
        .regs = r, .reg_at = gpr_at, .rip = r->rip, .rflags = r->rflags, .mode = mode, .gpa = gpa, .gpa_known = true, .wait = &h->wait, .ops = &ops,
        .ctx = v,
    };

    switch (emulate(&e, bytes, n)) {
    case EMULATE_DONE:
        r->rflags = e.rflags;
        h->exit.length = e.rip - r->rip;
        hvm_skip(v, r);
        break;
    case EMULATE_AGAIN:
    case EMULATE_FAULT: /* it is injected already */
        break;
    case EMULATE_WAIT:
        h->wait_gpa = gpa;
        break;
    case EMULATE_UNKNOWN:
        cannot(v, gpa, bytes);
        break;
    }
}

void hvm_mmio(struct vcpu *v, struct regs *r, u64 gpa)
{
    u8 bytes[INSN_MAX];
    enum insn_mode mode;
    unsigned int n = hvm_fetch(v, r, bytes, &mode);

    if (likely(n))
        attempt(v, r, gpa, mode, bytes, n);
}

bool hvm_mmio_resume(struct vcpu *v, struct regs *r)
{
    struct hvm_vcpu *h = v->arch.hvm;
    static const u8 none[INSN_MAX];
    u64 base_of_code;

    attempt(v, r, h->wait_gpa, hvm_code_mode(v, &base_of_code), none, 0);
    return !h->wait.active && !v->pause_flags;
}
