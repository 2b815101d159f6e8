/* SPDX-License-Identifier: MIT */
/*
 * Traps: the tables of all platforms, the dispatcher, and the two ways a test meets a trap:
 * trap_try() for its own exceptions and user_run() for what user mode raises.
 *
 * One of each may be active at a time. An exception that nobody waits for prints its frame and
 * powers off, as a failure. The double-fault stack is nobody's concern here: a kernel that small
 * dies by triple fault.
 */
#include "hypercall.h"
#include "micro.h"

struct ctx {
    uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip;
};

int ctx_save(struct ctx *c) __attribute__((returns_twice));
void ctx_jump(struct ctx *c, int value) __attribute__((noreturn));
void trap_leave(const struct trap_frame *f) __attribute__((noreturn));
void iret_raw(const struct iret_context *c) __attribute__((noreturn));
void trap_dispatch(struct trap_frame *f);

extern char pv_stubs[], native_stubs[], pv_syscall[], pv_event[], pv_failsafe[], native_syscall[];
extern char native_iret[], hcall_iret[], user_code[], user_end[];
extern uint64_t native_kernel_rsp;

#define TRAP_STACK_SIZE 16384
static uint8_t trap_stack[TRAP_STACK_SIZE] __attribute__((aligned(4096)));

/** Where trap_return jumps to: the way back from a frame on this platform. */
void *trap_exit;

static struct {
    bool active;
    struct ctx ctx;
    struct trap_caught *out;
} trying, in_user;

/* See user_absorb(). */
static struct {
    uint64_t vector;
    unsigned left, skip;
} absorb;

uint16_t user_cs, user_ss, kernel_cs, kernel_ss;
void (*irq_hook)(unsigned vector);

static uint64_t fault_address(void)
{
    uint64_t cr2;

    if (platform == PLATFORM_PV)
        return vcpu_info->arch.cr2;
    __asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
    return cr2;
}

static void caught(struct trap_caught *out, const struct trap_frame *f)
{
    out->frame = *f;
    out->cr2 = fault_address();
    out->masked = platform == PLATFORM_PV && vcpu_info->evtchn_upcall_mask;
}

static void trap_unexpected(const struct trap_frame *f) __attribute__((noreturn));
static void trap_unexpected(const struct trap_frame *f)
{
    print("MICRO unexpected trap %lu error %lx rip %lx cs %lx rsp %lx rflags %lx cr2 %lx\n",
          f->vector, f->error, f->rip, f->cs, f->rsp, f->rflags, fault_address());
    print("MICRO done pass=0 fail=1 skip=0\n");
    platform_poweroff();
}

/* A kernel-mode address where this kernel has no code: a test sent it there. */
static bool lost(uint64_t rip)
{
    return platform == PLATFORM_PV && rip >= HV_START && rip < HV_END;
}

/** C end of every entry: an event is handled, anything else goes to whoever waits for it. */
void trap_dispatch(struct trap_frame *f)
{
    if (f->vector == VEC_EVENT || (platform == PLATFORM_PVH && f->vector == EVENT_VECTOR)) {
        ev_rip = f->rip;
        event_upcall();
        return;
    }
    if ((f->vector == 2 || (f->vector >= 32 && f->vector < VEC_SYSCALL)) && irq_hook && platform != PLATFORM_PV) {
        irq_hook((unsigned)f->vector);
        return;
    }
    if (in_user.active && ((f->cs & 3) == 3 || f->vector == VEC_FAILSAFE || lost(f->rip))) {
        if (absorb.left && f->vector == absorb.vector) {
            absorb.left--;
            f->rip += absorb.skip;
            return;
        }
        in_user.active = false;
        caught(in_user.out, f);
        /* As if interrupts were off: the context that is resumed had events masked, and a stack segment. */
        events_mask();
        if (platform != PLATFORM_PV)
            __asm__ volatile("mov %0, %%ss" ::"r"((uint32_t)kernel_ss));
        ctx_jump(&in_user.ctx, 1);
    }
    if (trying.active) {
        struct ctx *c = &trying.ctx;

        trying.active = false;
        caught(trying.out, f);
        f->rbx = c->rbx;
        f->rbp = c->rbp;
        f->r12 = c->r12;
        f->r13 = c->r13;
        f->r14 = c->r14;
        f->r15 = c->r15;
        f->rsp = c->rsp;
        f->rip = c->rip;
        f->rax = 1;
        f->rflags &= ~(X86_TF | X86_NT | X86_AC);
        return;
    }
    trap_unexpected(f);
}

int trap_try(void (*fn)(void *), void *arg, struct trap_caught *out)
{
    trying.out = out;
    if (ctx_save(&trying.ctx) == 0) {
        trying.active = true;
        barrier();
        fn(arg);
        trying.active = false;
        return -1;
    }
    return (int)out->frame.vector;
}

uint64_t trap_stub(int vector)
{
    switch (vector) {
    case VEC_SYSCALL:
        return PTR(platform == PLATFORM_PV ? pv_syscall : native_syscall);
    case VEC_EVENT:
        return PTR(pv_event);
    case VEC_FAILSAFE:
        return PTR(pv_failsafe);
    default:
        return PTR(platform == PLATFORM_PV ? pv_stubs : native_stubs) + 16ul * (unsigned)vector;
    }
}

uint64_t trap_stack_top(void)
{
    return PTR(trap_stack) + TRAP_STACK_SIZE;
}

/* ---- user mode ---- */

volatile uint64_t *user_data;

uint64_t user_addr(const void *label)
{
    return USER_VA + (PTR(label) - PTR(user_code));
}

struct user_regs user_entry(const void *label)
{
    return (struct user_regs){
        .rip = user_addr(label),
        .rsp = user_addr(user_end) - 64,
        .rflags = X86_IF | 2,
        .cs = user_cs,
        .ss = user_ss,
    };
}

int user_run(const struct user_regs *r, struct trap_caught *out)
{
    static struct trap_frame f;

    f = (struct trap_frame){
        .rip = r->rip,
        .rsp = r->rsp,
        .cs = r->cs,
        .ss = r->ss,
        .rflags = r->rflags,
        .rax = r->rax,
        .rbx = r->rbx,
        .rcx = r->rcx,
        .rdx = r->rdx,
        .rdi = r->rdi,
        .rsi = r->rsi,
    };
    in_user.out = out;
    if (ctx_save(&in_user.ctx) == 0) {
        struct trap_frame *on_stack = (struct trap_frame *)(trap_stack_top() - sizeof(f) - 64);

        in_user.active = true;
        *on_stack = f;
        trap_leave(on_stack);
    }
    return (int)out->frame.vector;
}

int user_run_iret(const struct iret_context *iret, struct trap_caught *out)
{
    in_user.out = out;
    if (ctx_save(&in_user.ctx) == 0) {
        struct iret_context *on_stack =
            (struct iret_context *)(trap_stack_top() - sizeof(*iret) - 64);

        in_user.active = true;
        *on_stack = *iret;
        iret_raw(on_stack);
    }
    return (int)out->frame.vector;
}

void user_absorb(int vector, unsigned n, unsigned skip)
{
    absorb.vector = (uint64_t)vector;
    absorb.left = n;
    absorb.skip = skip;
}

/* ---- PV ---- */

static struct trap_info trap_table[257];

long trap_table_default(void)
{
    for (unsigned v = 0; v < 256; v++) {
        unsigned dpl = v == VEC_BP || v == VEC_OF || v == 0x80 ? 3 : 0;

        trap_table[v] = (struct trap_info){.vector = (uint8_t)v,
                                           .flags = (uint8_t)dpl,
                                           .cs = kernel_cs,
                                           .address = trap_stub((int)v)};
    }
    /* Vector 0x81 stays at level 0: user mode may not enter it. */
    return hc_set_trap_table(trap_table);
}

void trap_init_pv(void)
{
    kernel_cs = FLAT_KERNEL_CS64;
    kernel_ss = FLAT_KERNEL_SS64;
    user_cs = FLAT_USER_CS64;
    user_ss = FLAT_USER_SS64;
    trap_exit = hcall_iret;
    if (trap_table_default() != 0)
        print("MICRO set_trap_table failed\n");
    hc_callback_register(CALLBACKTYPE_event, 0, PTR(pv_event));
    hc_callback_register(CALLBACKTYPE_failsafe, CALLBACKF_mask_events, PTR(pv_failsafe));
    hc_callback_register(CALLBACKTYPE_syscall, CALLBACKF_mask_events, PTR(pv_syscall));
    hc_stack_switch(kernel_ss, trap_stack_top());
}

/* ---- native and PVH ---- */

static uint64_t native_gdt[10] = {
    0,
    0x00af9b000000ffff, /* 0x08 kernel code */
    0x00cf93000000ffff, /* 0x10 kernel data */
    0x00cff3000000ffff, /* 0x18 user data */
    0x00affb000000ffff, /* 0x20 user code */
    0,                  /* 0x28 TSS, two entries */
    0,
    0x00cf9b000000ffff, /* FLAT32_CS */
    0x000f9b000000ffff, /* FLAT16_CS: 16-bit code, limit 1 MiB */
    0x000f93000000ffff, /* FLAT16_DS */
};

static struct {
    uint32_t reserved;
    uint64_t rsp0, rsp1, rsp2, reserved2, ist[7], reserved3;
    uint16_t reserved4, iomap;
} __attribute__((packed)) native_tss;

static struct {
    uint16_t offset0, selector, flags, offset1;
    uint32_t offset2, reserved;
} native_idt[256];

struct descriptor_table {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

void trap_init_native(void)
{
    uint64_t tss = PTR(&native_tss);
    struct descriptor_table gdtr = {sizeof(native_gdt) - 1, PTR(native_gdt)};
    struct descriptor_table idtr = {sizeof(native_idt) - 1, PTR(native_idt)};

    kernel_cs = 0x08;
    kernel_ss = 0x10;
    user_ss = 0x1b;
    user_cs = 0x23;
    trap_exit = native_iret;

    native_tss.rsp0 = native_kernel_rsp = trap_stack_top();
    native_tss.iomap = sizeof(native_tss);
    native_gdt[5] =
        (sizeof(native_tss) - 1) | (tss & 0xffffff) << 16 | 0x89ul << 40 | (tss >> 24 & 0xff) << 56;
    native_gdt[6] = tss >> 32;
    for (unsigned v = 0; v < 256; v++) {
        uint64_t stub = trap_stub((int)v);
        unsigned dpl = v == VEC_BP || v == VEC_OF || v == 0x80 ? 3 : 0;

        native_idt[v].offset0 = (uint16_t)stub;
        native_idt[v].selector = kernel_cs;
        native_idt[v].flags = (uint16_t)(0x8e00 | dpl << 13);
        native_idt[v].offset1 = (uint16_t)(stub >> 16);
        native_idt[v].offset2 = (uint32_t)(stub >> 32);
    }
    __asm__ volatile("lgdt %0; lidt %1; ltr %w2" ::"m"(gdtr), "m"(idtr), "r"(0x28));
    outb(0x21, 0xff); /* both interrupt controllers masked: user mode runs with IF set */
    outb(0xa1, 0xff);
    wrmsr(0xc0000082, PTR(native_syscall));       /* LSTAR */
    wrmsr(0xc0000081, (uint64_t)kernel_cs << 32); /* STAR */
    wrmsr(0xc0000084, X86_TF | X86_IF | X86_NT);  /* SFMASK */
}
