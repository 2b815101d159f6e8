/* SPDX-License-Identifier: MIT */
/*
 * The end of the machine by a bug: message, registers, a stack whose return addresses carry names.
 *
 * Names come from .symbols, a table that the build makes from the first link's symbols (hv/tools/mksymbols): struct symbols_head,
 * then sorted {address offset, name offset} pairs, then the names.
 */
#include "cpu.h"
#include "smp.h"
#include "hvm/hvm.h"
#include "core/log.h"

struct symbols_head {
    u32 magic, count;
};
struct symbol {
    u32 offset, name; /* from IMAGE_VIRT; from the start of the names */
};
/* The linker script's, 8 bytes before the table; the first link has no table behind it. */
extern const u8 symbols_table[];
extern char __image_start[], __text_end[];
#define SYMBOLS_MAGIC 0x59534750u

static const char *symbol_name(u64 addr, u64 *offset)
{
    const struct symbols_head *h = (const struct symbols_head *)(symbols_table + 8);
    const struct symbol *s;
    u32 lo = 0, hi, want = (u32)(addr - (u64)__image_start);

    if (h->magic != SYMBOLS_MAGIC || !h->count || addr < (u64)__image_start || addr >= (u64)__text_end)
        return NULL;
    s = (const struct symbol *)((u64)h + sizeof(*h));
    for (hi = h->count; hi - lo > 1;) {
        u32 mid = (lo + hi) / 2;

        if (s[mid].offset <= want)
            lo = mid;
        else
            hi = mid;
    }
    *offset = want - s[lo].offset;
    return (const char *)(s + h->count) + s[lo].name;
}

void dump_regs(const struct regs *r, struct vcpu *v)
{
    printk("rip %04x:%016llx rflags %08llx rsp %04x:%016llx vector %u error %#x\n", r->cs, (unsigned long long)r->rip,
           (unsigned long long)r->rflags, r->ss, (unsigned long long)r->rsp, r->vector, r->error_code);
    printk("rax %016llx rbx %016llx rcx %016llx rdx %016llx\n", (unsigned long long)r->rax, (unsigned long long)r->rbx,
           (unsigned long long)r->rcx, (unsigned long long)r->rdx);
    printk("rsi %016llx rdi %016llx rbp %016llx r8  %016llx\n", (unsigned long long)r->rsi, (unsigned long long)r->rdi,
           (unsigned long long)r->rbp, (unsigned long long)r->r8);
    printk("r9  %016llx r10 %016llx r11 %016llx r12 %016llx\n", (unsigned long long)r->r9, (unsigned long long)r->r10,
           (unsigned long long)r->r11, (unsigned long long)r->r12);
    printk("r13 %016llx r14 %016llx r15 %016llx cr2 %016llx cr3 %016llx\n", (unsigned long long)r->r13,
           (unsigned long long)r->r14, (unsigned long long)r->r15, (unsigned long long)read_cr2(),
           (unsigned long long)read_cr3());
    if (v && !v->is_idle)
        printk("domain %u vcpu %u, guest %s mode\n", v->domain->id, v->id, v->arch.flags & VF_KERNEL ? "kernel" : "user");
}

static void dump_stack(u64 sp)
{
    u64 end = (sp | (STACK_SIZE - 1)) + 1 - sizeof(struct cpu_info);
    unsigned int shown = 0;

    for (sp &= ~7ull; sp < end && shown < 24; sp += 8) {
        u64 word = *(u64 *)sp, off;
        const char *name = symbol_name(word, &off);

        if (name) {
            printk("  [%016llx] %s+%#llx\n", (unsigned long long)word, name, (unsigned long long)off);
            shown++;
        }
    }
}

void panic(const char *fmt, ...)
{
    static bool again;
    char text[256];
    __builtin_va_list ap;
    u64 sp;

    __asm__ volatile("cli");
    if (again)
        for (;;)
            __asm__ volatile("hlt");
    again = true;
    smp_stop_others();
    __builtin_va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    __builtin_va_end(ap);
    printk("PANIC: %s\n", text);
    __asm__ volatile("mov %%rsp, %0" : "=r"(sp));
    dump_stack(sp);
    printk("the machine stops here\n");
    arch_machine_end(MACHINE_HALT);
}

void arch_dump_guest(const struct vcpu *v)
{
    struct cpu_info *c = get_cpu_info();
    struct regs r = c->current == v || c->resident == v ? c->regs : v->arch.regs;

    if (r.vector == VEC_HYPERCALL) {
        r.rcx = r.rip;
        r.r11 = r.rflags;
        r.cs = SEL_CS64;
        r.ss = SEL_DS;
        r.rbx = r.rbp = r.r12 = r.r13 = r.r14 = r.r15 = 0;
        c->entry_op |= c->current == v ? ENTRY_OP_AGAIN | ENTRY_OP_CRASHED : 0;
        printk("in a hypercall: rbx, rbp and r12 to r15 are not known\n");
    }
    dump_regs(&r, (struct vcpu *)v);
    if (is_hvm_vcpu(v))
        hvm_dump(v);
}
