/* SPDX-License-Identifier: MIT */
/*
 * The local APIC of a vCPU: registers in xAPIC mode (a page of memory) and x2APIC mode (MSRs), interrupts requested and in
 * service, inter-processor interrupts, the timer. device.h has its interface.
 *
 * Sources: SDM vol. 3 ch. 10 (registers §10.4.1, ICR §10.6, timer §10.5.4, x2APIC §10.12), APM vol. 2 ch. 16.
 * Choices: version 14h with six LVT entries, no suppression of EOI broadcasts. The page stays at 0xfee00000: APIC_BASE with
 * another address is #GP. The xAPIC ID is read-only. The timer counts a clock of 1 GHz, so that a tick before division is one ns.
 * Timer policy: a periodic timer that is late has one interrupt for all the periods it missed, and never more than one in
 * PERIOD_MIN; the phase is kept. A one-shot time that is over already is an interrupt at once.
 * Locks: what other pcpus touch too is IRR, TMR and ESR, by atomic operations (a remote raise sets the bit, then its word's flag; the
 * owner clears the flag, then looks again), and the timer, by its lock: it fires on the pcpu that it was set on. All else is the vCPU's own.
 */
#include "device.h"
#include "lib.h"

#define BASE_ADDRESS 0xfee00000ull
#define BASE_BSP     (1u << 8)
#define BASE_EXTD    (1u << 10)
#define BASE_EN      (1u << 11)
#define MSR_BASE         0x1b
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_X2APIC       0x800

/* Registers by their number, which is the offset in the page divided by 16, and the MSR's above 0x800. */
enum {
    R_ID = 0x02, R_VERSION = 0x03, R_TPR = 0x08, R_APR = 0x09, R_PPR = 0x0a, R_EOI = 0x0b, R_RRD = 0x0c, R_LDR = 0x0d, R_DFR = 0x0e,
    R_SVR = 0x0f, R_ISR = 0x10, R_TMR = 0x18, R_IRR = 0x20, R_ESR = 0x28, R_ICR = 0x30, R_ICR_HIGH = 0x31, R_LVT = 0x32,
    R_TIMER_COUNT = 0x38, R_TIMER_NOW = 0x39, R_TIMER_DIVIDE = 0x3e, R_SELF_IPI = 0x3f,
};
enum { LVT_TIMER, LVT_THERMAL, LVT_PERFORMANCE, LVT_LINT0, LVT_LINT1, LVT_ERROR, NR_LVT };

#define VERSION            (0x14u | (NR_LVT - 1) << 16)
#define SVR_ENABLED        (1u << 8)
#define LVT_MASKED         (1u << 16)
#define LVT_MODE(lvt)      ((lvt) >> 8 & 7)
#define TIMER_MODE(lvt)    ((lvt) >> 17 & 3)
#define TIMER_PERIODIC     1u
#define TIMER_TSC_DEADLINE 2u
#define ESR_SEND_VECTOR    (1u << 5)
#define ESR_RECEIVE_VECTOR (1u << 6)
#define ESR_REGISTER       (1u << 7)
#define MODE_LOWEST        1
#define MODE_NMI           4
#define MODE_STARTUP       6
#define MODE_EXTINT        7

#define PERIOD_MIN MICROSECS(20)

struct vlapic {
    u64 irr[4], isr[4], tmr[4];
    u8 irr_words;      /* bit w: irr[w] is not 0 */
    u8 isr_top;        /* highest vector in service, 0: none */
    u8 depth;          /* vectors in service; each has a class above those under it, so there are 15 at most */
    u8 under[16];      /* isr_top before each of them */
    bool levels;       /* a bit of tmr was set ever */
    u8 tpr;
    bool enabled;      /* by APIC_BASE and SVR: takes interrupts */
    bool x2apic;       /* mode; implies enabled by APIC_BASE */
    bool may_x2apic;
    u8 timer_shift;    /* log2 of the divider */
    u32 base;          /* flags of APIC_BASE */
    u32 id, svr, ldr, dfr, esr, esr_seen, icr, icr_high, timer_count, timer_divide;
    u32 lvt[NR_LVT];
    ns_t deadline;     /* of the timer, NS_NEVER: not running */
    u64 tsc_deadline;
    struct timer timer;
    struct spinlock lock; /* deadline, tsc_deadline and the timer's registers */
    struct vcpu *v;
};

static const u32 lvt_writable[NR_LVT] = {0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff};

static inline void put_bit(u64 *set, u8 n, bool on)
{
    u64 bit = 1ull << (n & 63);

    set[n >> 6] = on ? set[n >> 6] | bit : set[n >> 6] & ~bit;
}

/* The same where others do it at the same time. */
static inline void put_shared_bit(u64 *set, u8 n, bool on)
{
    u64 bit = 1ull << (n & 63);

    if (on)
        __atomic_fetch_or(&set[n >> 6], bit, __ATOMIC_SEQ_CST);
    else
        __atomic_fetch_and(&set[n >> 6], ~bit, __ATOMIC_SEQ_CST);
}

int vlapic_pending(const struct vlapic *l)
{
    unsigned int w;
    int vector;

    if (likely(!l->irr_words) || unlikely(!l->enabled))
        return -1;
    w = 31 - __builtin_clz(l->irr_words);
    vector = w * 64 + 63 - __builtin_clzll(l->irr[w]);
    return vector >> 4 > max_of(l->tpr, l->isr_top) >> 4 ? vector : -1;
}

void vlapic_accept(struct vlapic *l, u8 vector)
{
    u8 word = 1u << (vector >> 6);

    put_shared_bit(l->irr, vector, false);
    if (!READ_ONCE(l->irr[vector >> 6])) {
        __atomic_fetch_and(&l->irr_words, (u8)~word, __ATOMIC_SEQ_CST);
        if (unlikely(READ_ONCE(l->irr[vector >> 6])))
            __atomic_fetch_or(&l->irr_words, word, __ATOMIC_SEQ_CST);
    }
    put_bit(l->isr, vector, true);
    ASSERT(l->depth < ARRAY_SIZE(l->under) && l->isr_top >> 4 < vector >> 4);
    l->under[l->depth++ & 15] = l->isr_top;
    l->isr_top = vector;
}

/* Priorities have changed: something may be deliverable now. */
static inline void look_again(struct vlapic *l)
{
    if (unlikely(vlapic_pending(l) >= 0))
        hvm_vcpu_kick(l->v);
}

static inline void end_of_interrupt(struct vlapic *l)
{
    u8 vector = l->isr_top;

    if (unlikely(!vector))
        return;
    put_bit(l->isr, vector, false);
    l->isr_top = l->under[--l->depth & 15];
    if (unlikely(l->levels) && l->tmr[vector >> 6] >> (vector & 63) & 1)
        hvm_apic_eoi(l->v->domain, vector);
    if (unlikely(l->irr_words))
        look_again(l);
}

static void raise_lvt(struct vlapic *l, unsigned int n);

static __cold_ void note_error(struct vlapic *l, u32 error)
{
    if (!(__atomic_fetch_or(&l->esr, error, __ATOMIC_SEQ_CST) & error))
        raise_lvt(l, LVT_ERROR);
}

void vlapic_raise(struct vlapic *l, u8 vector, bool level)
{
    if (unlikely(!l->enabled))
        return;
    if (unlikely(vector < 16)) {
        note_error(l, ESR_RECEIVE_VECTOR);
        return;
    }
    if (unlikely(level || l->levels)) {
        l->levels = true;
        put_shared_bit(l->tmr, vector, level);
    }
    put_shared_bit(l->irr, vector, true);
    __atomic_fetch_or(&l->irr_words, (u8)(1u << (vector >> 6)), __ATOMIC_SEQ_CST);
    hvm_vcpu_kick(l->v);
}

/* A local source asks for its interrupt. */
static void raise_lvt(struct vlapic *l, unsigned int n)
{
    u32 lvt = l->lvt[n];

    if (lvt & LVT_MASKED || !l->enabled)
        return;
    if (n == LVT_ERROR && (lvt & 0xff) < 16) /* its own vector is the illegal one: only noted */
        __atomic_fetch_or(&l->esr, ESR_RECEIVE_VECTOR, __ATOMIC_SEQ_CST);
    else
        vlapic_raise(l, lvt & 0xff, false);
}

/* ---- timer; under its lock but for timer_fired(), timer_now() and the functions that say so ---- */

static void stop_timer(struct vlapic *l)
{
    l->deadline = NS_NEVER;
    l->tsc_deadline = 0;
    timer_stop(&l->timer);
}

static inline void start_timer(struct vlapic *l, ns_t deadline)
{
    l->deadline = deadline;
    timer_set(&l->timer, l->v->processor, deadline);
}

static void timer_fired(void *arg)
{
    struct vlapic *l = arg;
    ns_t now = now_ns(), deadline;
    u64 period;
    bool due;

    spin_lock(&l->lock);
    deadline = l->deadline;
    due = deadline <= now; /* else it was stopped or set anew just before */
    if (due) {
        l->deadline = NS_NEVER;
        l->tsc_deadline = 0;
        period = (u64)l->timer_count << l->timer_shift;
        if (TIMER_MODE(l->lvt[LVT_TIMER]) == TIMER_PERIODIC && period) {
            /* The first end of a period that is PERIOD_MIN after now or later, but the very next where that is far enough. */
            deadline += period;
            if (deadline < now + PERIOD_MIN && period < PERIOD_MIN)
                now += PERIOD_MIN;
            if (deadline <= now)
                deadline += ((now - deadline) / period + 1) * period;
            start_timer(l, deadline);
        }
    }
    spin_unlock(&l->lock);
    if (due)
        raise_lvt(l, LVT_TIMER);
}

/* Takes the lock. */
static inline void set_timer_count(struct vlapic *l, u32 count)
{
    HOLD(&l->lock);

    l->timer_count = count;
    if (unlikely(TIMER_MODE(l->lvt[LVT_TIMER]) >= TIMER_TSC_DEADLINE))
        ;
    else if (likely(count))
        start_timer(l, now_ns() + ((u64)count << l->timer_shift));
    else
        stop_timer(l);
}

static u32 timer_now(const struct vlapic *l)
{
    ns_t now = now_ns();

    if (l->deadline == NS_NEVER || l->deadline <= now || TIMER_MODE(l->lvt[LVT_TIMER]) >= TIMER_TSC_DEADLINE)
        return 0;
    return (l->deadline - now) >> l->timer_shift;
}

/* Takes the lock. */
static void set_timer_divide(struct vlapic *l, u32 value)
{
    u32 left;
    HOLD(&l->lock);

    left = timer_now(l);
    l->timer_divide = value & 0xb;
    l->timer_shift = ((value & 3) | (value >> 1 & 4)) + 1;
    l->timer_shift &= 7; /* 111b divides by one */
    if (l->deadline != NS_NEVER && left)
        start_timer(l, now_ns() + ((u64)left << l->timer_shift));
}

/* Takes the lock. */
static void set_tsc_deadline(struct vlapic *l, u64 tsc)
{
    ns_t deadline;
    bool over;

    if (TIMER_MODE(l->lvt[LVT_TIMER]) != TIMER_TSC_DEADLINE)
        return;
    spin_lock(&l->lock);
    l->tsc_deadline = tsc;
    deadline = tsc ? hvm_tsc_deadline(tsc) : 0;
    over = tsc && unlikely(deadline <= now_ns());
    if (!tsc || over)
        stop_timer(l);
    else
        start_timer(l, deadline);
    spin_unlock(&l->lock);
    if (unlikely(over))
        raise_lvt(l, LVT_TIMER);
}

/* Takes the lock. */
static void set_lvt(struct vlapic *l, unsigned int n, u32 value)
{
    u32 old = l->lvt[n];

    value &= lvt_writable[n];
    if (!(l->svr & SVR_ENABLED))
        value |= LVT_MASKED;
    HOLD(&l->lock);
    l->lvt[n] = value;
    if (n == LVT_TIMER && (TIMER_MODE(old) >= TIMER_TSC_DEADLINE) != (TIMER_MODE(value) >= TIMER_TSC_DEADLINE)) {
        stop_timer(l);
        l->timer_count = 0;
    }
}

/* ---- inter-processor interrupts ---- */

/* Send what ICR says, but for the short way below. */
static void send_message(struct vlapic *l, u32 icr, u32 dest)
{
    unsigned int shorthand = icr >> 18 & 3;
    struct vlapic_message m = {.dest = dest, .vector = icr, .mode = LVT_MODE(icr), .logical = icr >> 11 & 1, .level = false};

    if (unlikely(m.mode <= MODE_LOWEST && m.vector < 16)) {
        note_error(l, ESR_SEND_VECTOR);
        return;
    }
    if (shorthand == 1) /* to itself there are fixed interrupts only */
        return;
    if (m.mode == 3 || m.mode == MODE_EXTINT) /* reserved; not for ICR */
        return;
    if (shorthand == 2 && m.mode == MODE_STARTUP) /* a vCPU that runs takes none */
        return;
    if (m.mode == 5 && !(icr & (1u << 14))) /* INIT level de-assert: nothing happens on processors since the Pentium 4 */
        return;
    if (shorthand) {
        m.dest = ~0u;
        m.logical = false;
        m.except = shorthand == 3 ? l : NULL;
    }
    hvm_apic_deliver(l->v->domain, &m);
}

/* A fixed interrupt to itself is what kernels send most. */
static inline void send_ipi(struct vlapic *l, u32 icr, u32 dest)
{
    if (likely((icr & 0xc0700) == 0x40000 && (u8)icr >= 16))
        vlapic_raise(l, icr, false);
    else
        send_message(l, icr, dest);
}

bool vlapic_matches(const struct vlapic *l, u32 dest, bool logical)
{
    if (!(l->base & BASE_EN))
        return false;
    if (dest == ~0u)
        return true;
    if (l->x2apic) {
        u32 ldr = (l->id & ~15u) << 12 | 1u << (l->id & 15);

        return logical ? dest >> 16 == ldr >> 16 && (dest & ldr & 0xffff) : dest == l->id;
    }
    dest &= 0xff;
    if (!logical)
        return dest == 0xff || dest == l->id;
    if (l->dfr >> 28 == 0xf)
        return dest & l->ldr >> 24;
    return (dest >> 4 == 0xf || dest >> 4 == l->ldr >> 28) && (dest & l->ldr >> 24 & 0xf);
}

/* ---- registers ---- */

static void refresh_enabled(struct vlapic *l)
{
    l->x2apic = (l->base & (BASE_EN | BASE_EXTD)) == (BASE_EN | BASE_EXTD);
    l->enabled = l->base & BASE_EN && l->svr & SVR_ENABLED;
}

static void set_svr(struct vlapic *l, u32 value)
{
    l->svr = value & 0x1ff;
    refresh_enabled(l);
    if (!(l->svr & SVR_ENABLED))
        for (unsigned int n = 0; n < NR_LVT; n++)
            l->lvt[n] |= LVT_MASKED;
    look_again(l);
}

static inline void set_tpr(struct vlapic *l, u8 tpr)
{
    l->tpr = tpr;
    hvm_vcpu_tpr(l->v, tpr >> 4);
    look_again(l);
}

static u8 processor_priority(const struct vlapic *l)
{
    return l->tpr >> 4 >= l->isr_top >> 4 ? l->tpr : l->isr_top & 0xf0;
}

/* A register that both modes have. False: there is none of this number. */
static bool read_register(struct vlapic *l, unsigned int reg, u32 *value)
{
    switch (reg) {
    case R_ID:
        *value = l->x2apic ? l->id : l->id << 24;
        return true;
    case R_VERSION:
        *value = VERSION;
        return true;
    case R_TPR:
        *value = l->tpr;
        return true;
    case R_PPR:
        *value = processor_priority(l);
        return true;
    case R_LDR:
        *value = l->x2apic ? (l->id & ~15u) << 12 | 1u << (l->id & 15) : l->ldr;
        return true;
    case R_SVR:
        *value = l->svr;
        return true;
    case R_ISR ... R_ISR + 7:
        *value = l->isr[(reg - R_ISR) / 2] >> 32 * (reg & 1);
        return true;
    case R_TMR ... R_TMR + 7:
        *value = l->tmr[(reg - R_TMR) / 2] >> 32 * (reg & 1);
        return true;
    case R_IRR ... R_IRR + 7:
        *value = l->irr[(reg - R_IRR) / 2] >> 32 * (reg & 1);
        return true;
    case R_ESR:
        *value = l->esr_seen;
        return true;
    case R_ICR:
        *value = l->icr;
        return true;
    case R_LVT ... R_LVT + NR_LVT - 1:
        *value = l->lvt[reg - R_LVT];
        return true;
    case R_TIMER_COUNT:
        *value = l->timer_count;
        return true;
    case R_TIMER_NOW:
        *value = timer_now(l);
        return true;
    case R_TIMER_DIVIDE:
        *value = l->timer_divide;
        return true;
    }
    return false;
}

/* The rare registers that both modes have. False: there is none to write of this number. */
static bool write_register(struct vlapic *l, unsigned int reg, u32 value)
{
    switch (reg) {
    case R_SVR:
        set_svr(l, value);
        return true;
    case R_ESR:
        l->esr_seen = __atomic_exchange_n(&l->esr, 0, __ATOMIC_SEQ_CST);
        return true;
    case R_LVT ... R_LVT + NR_LVT - 1:
        set_lvt(l, reg - R_LVT, value);
        return true;
    case R_TIMER_DIVIDE:
        set_timer_divide(l, value);
        return true;
    }
    return false;
}

u64 vlapic_mmio_read(void *p, u64 at, unsigned int size)
{
    struct vlapic *l = p;
    unsigned int offset = at & (PAGE_SIZE - 1), reg = offset >> 4;
    u32 value = 0;

    if (!(l->base & BASE_EN) || l->x2apic)
        return ~0ull;
    if ((offset & 15) + size > 4) /* registers are 4 bytes at 16-byte boundaries; the rest is reserved */
        return 0;
    switch (reg) {
    case R_DFR:
        value = l->dfr;
        break;
    case R_ICR_HIGH:
        value = l->icr_high;
        break;
    case R_APR: /* no arbitration among vCPUs */
    case R_RRD:
    case R_EOI:
        break;
    default:
        if (!read_register(l, reg, &value))
            note_error(l, ESR_REGISTER);
    }
    return value >> 8 * (offset & 15);
}

void vlapic_mmio_write(void *p, u64 at, unsigned int size, u64 v)
{
    struct vlapic *l = p;
    unsigned int offset = at & (PAGE_SIZE - 1), reg = offset >> 4;
    u32 value = v;

    if (unlikely(!(l->base & BASE_EN) || l->x2apic || size != 4 || offset & 15))
        return;
    if (likely(reg == R_EOI)) {
        end_of_interrupt(l);
    } else if (reg == R_TIMER_COUNT) {
        set_timer_count(l, value);
    } else if (reg == R_ICR) {
        l->icr = value & 0xccfff;
        send_ipi(l, l->icr, l->icr_high >> 24 == 0xff ? ~0u : l->icr_high >> 24);
    } else if (reg == R_ICR_HIGH) {
        l->icr_high = value & 0xff000000;
    } else if (reg == R_TPR) {
        set_tpr(l, value);
    } else if (reg == R_LDR) {
        l->ldr = value & 0xff000000;
    } else if (reg == R_DFR) {
        l->dfr = value | 0x0fffffff;
    } else if (reg != R_ID && !write_register(l, reg, value) && !read_register(l, reg, &value)) {
        note_error(l, ESR_REGISTER);
    }
}

/* ---- MSRs ---- */

static bool read_x2apic(struct vlapic *l, unsigned int reg, u64 *value)
{
    u32 v;

    if (!l->x2apic || reg == R_EOI || reg == R_SELF_IPI || !read_register(l, reg, &v))
        return false;
    *value = reg == R_ICR ? v | (u64)l->icr_high << 32 : v;
    return true;
}

static bool write_x2apic(struct vlapic *l, unsigned int reg, u64 value)
{
    if (unlikely(!l->x2apic))
        return false;
    if (reg == R_SELF_IPI) {
        if (value & ~0xffull)
            return false;
        send_ipi(l, value | 1u << 18, 0);
        return true;
    }
    if (reg == R_ICR) {
        if (value & 0xfff33000)
            return false;
        l->icr = value;
        l->icr_high = value >> 32;
        send_ipi(l, l->icr, l->icr_high);
        return true;
    }
    if (value >> 32)
        return false;
    switch (reg) {
    case R_TIMER_COUNT:
        set_timer_count(l, value);
        return true;
    case R_TPR:
        if (value & ~0xffull)
            return false;
        set_tpr(l, value);
        return true;
    case R_SVR:
        if (value & ~0x1ffull)
            return false;
        break;
    case R_ESR:
        if (value)
            return false;
        break;
    case R_LVT ... R_LVT + NR_LVT - 1:
        if (value & ~(u64)(lvt_writable[reg - R_LVT] | 1u << 12 | 1u << 14)) /* status bits are read-only, not reserved */
            return false;
        break;
    case R_TIMER_DIVIDE:
        if (value & ~0xbull)
            return false;
        break;
    }
    return write_register(l, reg, value);
}

void vlapic_reset(struct vlapic *l)
{
    spin_lock(&l->lock);
    stop_timer(l);
    l->timer_count = 0;
    spin_unlock(&l->lock);
    memset(l->irr, 0, sizeof(l->irr));
    memset(l->isr, 0, sizeof(l->isr));
    memset(l->tmr, 0, sizeof(l->tmr));
    l->irr_words = l->isr_top = l->depth = l->tpr = 0;
    l->levels = false;
    l->ldr = l->esr = l->esr_seen = l->icr = l->icr_high = 0;
    l->dfr = ~0u;
    l->svr = 0xff;
    for (unsigned int n = 0; n < NR_LVT; n++)
        l->lvt[n] = LVT_MASKED;
    set_timer_divide(l, 0);
    refresh_enabled(l);
}

/* APIC_BASE: SDM vol. 3 figure 10-27 has the transitions; those that it does not have are #GP. */
static bool set_base(struct vlapic *l, u64 value)
{
    u32 mode = value & (BASE_EN | BASE_EXTD), old = l->base & (BASE_EN | BASE_EXTD);

    if ((value & ~(u64)(BASE_BSP | BASE_EXTD | BASE_EN)) != BASE_ADDRESS || mode == BASE_EXTD)
        return false;
    if (mode & BASE_EXTD && (!l->may_x2apic || !(old & BASE_EN)))
        return false;
    if (old & BASE_EXTD && mode == BASE_EN)
        return false;
    if (mode == old)
        return true;
    l->base = (l->base & BASE_BSP) | mode;
    if (!mode)
        vlapic_reset(l);
    l->icr_high = 0;
    refresh_enabled(l);
    hvm_vcpu_kick(l->v); /* the PIC's interrupts may go past it now */
    return true;
}

bool vlapic_msr_read(struct vlapic *l, u32 msr, u64 *value)
{
    switch (msr) {
    case MSR_BASE:
        *value = BASE_ADDRESS | l->base;
        return true;
    case MSR_TSC_DEADLINE:
        *value = l->tsc_deadline;
        return true;
    }
    return msr >= MSR_X2APIC && msr < MSR_X2APIC + 0x100 && read_x2apic(l, msr - MSR_X2APIC, value);
}

bool vlapic_msr_write(struct vlapic *l, u32 msr, u64 value)
{
    if (likely(msr == MSR_X2APIC + R_EOI && l->x2apic && !value)) {
        end_of_interrupt(l);
        return true;
    }
    if (likely(msr - MSR_X2APIC < 0x100))
        return write_x2apic(l, msr - MSR_X2APIC, value);
    switch (msr) {
    case MSR_TSC_DEADLINE:
        set_tsc_deadline(l, value);
        return true;
    case MSR_BASE:
        return set_base(l, value);
    }
    return false;
}

/* ---- life, and what the others ask ---- */

struct vlapic *vlapic_create(struct vcpu *v, u32 apic_id, bool x2apic)
{
    struct vlapic *l = arch_alloc(sizeof(*l));

    if (!l)
        return NULL;
    l->v = v;
    l->id = apic_id;
    l->may_x2apic = x2apic;
    l->base = BASE_EN | (v->id == 0 ? BASE_BSP : 0);
    timer_setup(&l->timer, timer_fired, l);
    spin_lock_init(&l->lock, LOCK_APIC_TIMER);
    vlapic_reset(l);
    return l;
}

void vlapic_destroy(struct vlapic *l)
{
    if (l)
        timer_stop(&l->timer);
    arch_free(l);
}

void vlapic_virtual_wire(struct vlapic *l)
{
    set_svr(l, SVR_ENABLED | 0xff);
    set_lvt(l, LVT_LINT0, MODE_EXTINT << 8);
    set_lvt(l, LVT_LINT1, MODE_NMI << 8);
}

u64 vlapic_mmio_base(const struct vlapic *l)
{
    return l->base & BASE_EN && !l->x2apic ? BASE_ADDRESS : ~0ull;
}

u8 vlapic_cr8(const struct vlapic *l)
{
    return l->tpr >> 4;
}

void vlapic_set_cr8(struct vlapic *l, u8 cr8)
{
    if (likely(cr8 == l->tpr >> 4))
        return;
    l->tpr = cr8 << 4;
    look_again(l);
}

bool vlapic_accepts_pic(const struct vlapic *l)
{
    u32 lint0 = l->lvt[LVT_LINT0];

    return !(l->base & BASE_EN) || (!(lint0 & LVT_MASKED) && LVT_MODE(lint0) == MODE_EXTINT);
}

bool vlapic_enabled(const struct vlapic *l)
{
    return l->enabled;
}

u8 vlapic_priority(const struct vlapic *l)
{
    return processor_priority(l);
}

u32 vlapic_id(const struct vlapic *l)
{
    return l->id;
}
