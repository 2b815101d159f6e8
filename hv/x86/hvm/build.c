/* SPDX-License-Identifier: MIT */
/*
 * Building PVH and HVM domains from boot modules: ELF image, ramdisk, start information, the first vCPU's registers.
 *
 * Guest-physical memory: RAM from 0 up to HVM_LOW_END, the rest from 4 GiB on, all of it P2M_PAGED, so that only what the builder writes
 * and what the guest touches takes frames; ACPI tables and the console ring in two pages beside it (hvm.h). Behind the kernel's image: the
 * ramdisk, then the start information with its command line, on pages of their own.
 * The ramdisk's frames become the domain's where they lie, at an address that lets 2 MiB entries lead to them; of several domains with one
 * ramdisk the first gets them, the others copy from there: none has run yet. The kernel is copied, since its addresses are fixed and modules lie
 * at any page: in place it would have entries of 4 KiB for as long as it runs.
 * PVH: entry at the image's PHYS32_ENTRY note, 32-bit flat, EBX = hvm_start_info (xen/arch-x86/hvm/start_info.h). HVM: linux.c.
 * Does not: relocate or unpack anything.
 */
#include "build.h"
#include "core/console.h"
#include "core/launch.h"
#include "x86/cpu.h"
#include "x86/mm.h"
#include "x86/pv/pv.h"
#include <trace/trace.h>
#include <elf.h>
#include <xen/elfnote.h>
#include <xen/hvm/params.h>

/* The two forms of an ELF image, read alike. */
struct elf {
    const u8 *base;
    u64 size;
    bool wide;
    u64 entry, phoff;
    unsigned int phentsize, phnum;
};

static bool read_header(const struct boot_module *m, struct elf *f)
{
    const Elf64_Ehdr *h = m->data;
    const Elf32_Ehdr *h32 = m->data;

    f->base = m->data;
    f->size = m->size;
    if (m->size < sizeof(*h) || memcmp(h->e_ident, ELFMAG, SELFMAG) || h->e_ident[EI_DATA] != ELFDATA2LSB)
        return false;
    f->wide = h->e_ident[EI_CLASS] == ELFCLASS64;
    f->entry = f->wide ? h->e_entry : h32->e_entry;
    f->phoff = f->wide ? h->e_phoff : h32->e_phoff;
    f->phentsize = f->wide ? h->e_phentsize : h32->e_phentsize;
    f->phnum = f->wide ? h->e_phnum : h32->e_phnum;
    return (f->wide ? h->e_machine == EM_X86_64 : h32->e_machine == EM_386) &&
           f->phentsize == (f->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) && f->phnum <= 64 && f->phoff <= f->size &&
           f->phnum * f->phentsize <= f->size - f->phoff;
}

/* Program header i as a 64-bit one; false if its bytes lie outside the file. */
static bool read_segment(const struct elf *f, unsigned int i, Elf64_Phdr *out)
{
    const u8 *at = f->base + f->phoff + i * f->phentsize;
    Elf32_Phdr p;

    if (f->wide) {
        memcpy(out, at, sizeof(*out));
    } else {
        memcpy(&p, at, sizeof(p));
        *out = (Elf64_Phdr){.p_type = p.p_type, .p_offset = p.p_offset, .p_paddr = p.p_paddr, .p_vaddr = p.p_vaddr, .p_filesz = p.p_filesz,
                            .p_memsz = p.p_memsz, .p_align = p.p_align};
    }
    return out->p_offset <= f->size && out->p_filesz <= f->size - out->p_offset;
}

/* PHYS32_ENTRY among the Xen notes of a segment of notes, or what *entry was. */
static void find_entry(const u8 *p, u64 size, u64 *entry)
{
    u64 at = 0;

    while (at + sizeof(Elf64_Nhdr) <= size) {
        Elf64_Nhdr n;
        u64 name, desc, next;

        memcpy(&n, p + at, sizeof(n));
        name = at + sizeof(n);
        desc = name + round_up((u64)n.n_namesz, 4);
        next = desc + round_up((u64)n.n_descsz, 4);
        if (next > size || next <= at)
            return;
        if (n.n_namesz == 4 && !memcmp(p + name, "Xen", 4) && n.n_type == XEN_ELFNOTE_PHYS32_ENTRY) {
            *entry = 0;
            memcpy(entry, p + desc, min_of(n.n_descsz, 8u));
        }
        at = next;
    }
}

static int read_image(struct hvm_image *img, const struct launch_domain *plan)
{
    struct elf f;
    Elf64_Phdr ph;

    if (!read_header(plan->kernel, &f)) {
        printk("domain %s: its kernel is no x86 ELF image\n", plan->name);
        return -XEN_EINVAL;
    }
    *img = (struct hvm_image){.elf_entry = f.entry, .phys32_entry = ~0ull, .start = ~0ull, .wide = f.wide};
    for (unsigned int i = 0; i < f.phnum; i++) {
        if (!read_segment(&f, i, &ph)) {
            printk("domain %s: part %u of its kernel lies outside the file: is it complete?\n", plan->name, i);
            return -XEN_EINVAL;
        }
        if (ph.p_type == PT_NOTE)
            find_entry(f.base + ph.p_offset, ph.p_filesz, &img->phys32_entry);
        if (ph.p_type != PT_LOAD || !ph.p_memsz)
            continue;
        if (ph.p_filesz > ph.p_memsz || ph.p_paddr < img->end || ph.p_paddr > HVM_LOW_END || ph.p_memsz > HVM_LOW_END - ph.p_paddr) {
            printk("domain %s: segment %u of its kernel lies outside memory, or in or below another\n", plan->name, i);
            return -XEN_EINVAL;
        }
        img->start = min_of(img->start, ph.p_paddr);
        img->end = max_of(img->end, ph.p_paddr + ph.p_memsz);
    }
    if (img->start == ~0ull) {
        printk("domain %s: its kernel has nothing to load\n", plan->name);
        return -XEN_EINVAL;
    }
    return 0;
}

/* 1 KiB of zeros, from a multiple of 16 on. Half of a kernel's image is its data, and most of that are zeros. */
static bool is_zeros(const u8 *p)
{
    u32 equal;

    if (likely(*(const u64 *)p) || (u64)p & 15)
        return false;
    __asm__("pxor %%xmm0, %%xmm0\n\tpxor %%xmm1, %%xmm1\n\t"
            ".set at, 0\n\t.rept 64\n\tpor at(%1), %%xmm0\n\t.set at, at + 16\n\t.endr\n\t"
            "pcmpeqb %%xmm0, %%xmm1\n\tpmovmskb %%xmm1, %0"
            : "=r"(equal) : "r"(p), "m"(*(const u8(*)[1024])p));
    return equal == 0xffff;
}

/* To cleared memory, 1 KiB at a time, by vector registers: no vCPU has run, so nobody's values are in them. */
static void copy_large(u8 *to, const u8 *from, u64 n)
{
    for (; n >= KB(1); n -= KB(1), to += KB(1), from += KB(1)) {
        if (is_zeros(from))
            continue;
        __asm__ volatile(".irp k, 0, 1, 2, 3, 4, 5, 6, 7\n\t"
                         ".irp r, 0, 1, 2, 3, 4, 5, 6, 7\n\tmovups 128*\\k+16*\\r(%1), %%xmm\\r\n\t.endr\n\t"
                         ".irp r, 0, 1, 2, 3, 4, 5, 6, 7\n\tmovups %%xmm\\r, 128*\\k+16*\\r(%0)\n\t.endr\n\t.endr"
                         ::"r"(to), "r"(from) : "memory");
    }
    memcpy(to, from, n);
}

/* Into memory of a domain that is being built, and that nothing was put into yet, entry by entry. */
static int copy_in(struct domain *d, u64 gpa, const u8 *from, u64 n)
{
    while (n) {
        enum p2m_type type;
        unsigned int order;
        u64 part;
        mfn_t mfn;

        (void)hvm_populate(d, GFN(gpa >> PAGE_SHIFT));
        mfn = p2m_get(d, GFN(gpa >> PAGE_SHIFT), &type, &order);
        if (!p2m_type_is_ram(type))
            return -XEN_ENOMEM;
        part = PAGE_SIZE << order;
        part = min_of(part - (gpa & (part - 1)), n);
        copy_large((u8 *)map_mfn(mfn) + (gpa & ~PAGE_MASK), from, part);
        gpa += part;
        from += part;
        n -= part;
    }
    return 0;
}

static int load_image(struct domain *d, const struct launch_domain *plan)
{
    struct elf f;
    Elf64_Phdr ph;

    (void)read_header(plan->kernel, &f);
    for (unsigned int i = 0; i < f.phnum; i++)
        if (read_segment(&f, i, &ph) && ph.p_type == PT_LOAD && ph.p_memsz && copy_in(d, ph.p_paddr, f.base + ph.p_offset, ph.p_filesz))
            return -XEN_ENOMEM;
    return 0;
}

/* Entries of a type for [gfn, last), as large as they go: to frames from mfn on, or to none (MFN_INVALID). */
static int write_entries(struct domain *d, u64 gfn, u64 last, mfn_t mfn, enum p2m_type type)
{
    bool frames = mfn.n != MFN_INVALID.n;
    int rc = 0;
    HOLD(&d->p2m.lock);

    while (gfn < last && !rc) {
        unsigned int order = frames ? hvm_largest_order : P2M_ORDER_1G;

        while (order && (((gfn | (frames ? mfn.n : 0)) & ((1ull << order) - 1)) || gfn + (1ull << order) > last))
            order -= 9;
        rc = d->p2m.ops->write(d, GFN(gfn), mfn, type, order);
        gfn += 1ull << order;
        mfn.n += frames ? 1ull << order : 0;
    }
    return rc;
}

/* Memory without frames. */
static int promise_memory(struct domain *d, u64 start, u64 end)
{
    u64 gfn = start >> PAGE_SHIFT, last = end >> PAGE_SHIFT;

    d->p2m.end = max_of(d->p2m.end, last);
    d->max_ever_pfn = max_of(d->max_ever_pfn, last - 1);
    d->p2m.nr_paged += last - gfn;
    return write_entries(d, gfn, last, MFN_INVALID, P2M_PAGED);
}

/* The ramdisk at a guest-physical address: the whole pages of the module in place, where no domain has them yet; the rest is copied. */
static int load_ramdisk(struct domain *d, const struct boot_module *m, u64 at)
{
    u64 first = m->paddr >> PAGE_SHIFT, nr = m->paddr & ~PAGE_MASK ? 0 : m->size >> PAGE_SHIFT, gfn = at >> PAGE_SHIFT;
    int rc;

    for (u64 i = 0; i < nr; i++)
        if (!mfn_is_memory(MFN(first + i)) || frame_table[first + i].owner != DOMID_XEN)
            nr = 0;
    if (nr && !domain_take(d, nr))
        return -XEN_ENOMEM;
    for (u64 i = 0; i < nr; i++) {
        frame_adopt(MFN(first + i), d->id);
        m2p[first + i] = gfn + i;
    }
    d->p2m.nr_paged -= nr;
    rc = nr ? write_entries(d, gfn, gfn + nr, MFN(first), P2M_RAM) : 0;
    nr <<= PAGE_SHIFT;
    return rc ? rc : copy_in(d, at + nr, (const u8 *)m->data + nr, m->size - nr);
}

/*
 * Whole GiB of [start, end), promised, get their frames at once where the processor has entries for it and the machine a block: a first touch would
 * keep the guest waiting for a million instructions and more. What is below 1 GiB has the kernel in it, by smaller entries.
 */
static int give_whole_gib(struct domain *d, u64 start, u64 end)
{
    u64 n = 1ull << P2M_ORDER_1G;

    for (u64 gfn = round_up(start, GB(1)) >> PAGE_SHIFT; hvm_largest_order == P2M_ORDER_1G && (gfn + n) << PAGE_SHIFT <= end; gfn += n) {
        mfn_t mfn = domain_alloc_frame(d, P2M_ORDER_1G, 0);

        if (mfn.n == MFN_INVALID.n)
            return 0;
        if (write_entries(d, gfn, gfn + n, mfn, P2M_RAM))
            return -XEN_ENOMEM;
        for (u64 i = 0; i < n; i++)
            m2p[mfn.n + i] = gfn + i;
        d->p2m.nr_paged -= n;
        printk("domain %u: GiB %llu of its memory by one entry\n", d->id, (unsigned long long)gfn >> P2M_ORDER_1G);
    }
    return 0;
}

static int lay_out_memory(struct domain *d, u64 memory)
{
    struct hvm_domain *hd = d->arch.hvm;
    int rc;

    hd->ram_end_low = min_of(memory, HVM_LOW_END);
    hd->ram_end_high = memory > HVM_LOW_END ? GB(4) + memory - HVM_LOW_END : 0;
    rc = promise_memory(d, 0, hd->ram_end_low);
    if (!rc && hd->ram_end_high)
        rc = promise_memory(d, GB(4), hd->ram_end_high);
    if (!rc)
        rc = promise_memory(d, HVM_ACPI_AT, HVM_ACPI_AT + HVM_ACPI_SIZE);
    if (!rc)
        rc = promise_memory(d, HVM_SPECIAL_AT, HVM_SPECIAL_AT + PAGE_SIZE);
    return rc;
}

static int write_acpi(struct domain *d)
{
    u8 *page = arch_alloc_pages(0);
    size_t n;
    int rc;

    if (!page)
        return -XEN_ENOMEM;
    n = hvm_acpi_tables(d, page, HVM_ACPI_AT);
    rc = n > PAGE_SIZE || hvm_copy_to_physical(d, HVM_ACPI_AT, page, n) ? -XEN_ENOMEM : 0;
    arch_free_pages(page, 0);
    return rc;
}

static void set_flat(struct vcpu *v, enum hvm_segment_name n, u16 selector, u16 attributes)
{
    hvm_ops->set_segment(v, n, &(struct hvm_segment){selector, attributes, ~0u, 0});
}

void hvm_set_flat_segments(struct vcpu *v, bool wide)
{
    static const enum hvm_segment_name data[] = {HVM_ES, HVM_SS, HVM_DS, HVM_FS, HVM_GS};

    set_flat(v, HVM_CS, 0x10, wide ? 0xa9b : 0xc9b);
    for (unsigned int i = 0; i < ARRAY_SIZE(data); i++)
        set_flat(v, data[i], 0x18, 0xc93);
    hvm_ops->set_segment(v, HVM_TR, &(struct hvm_segment){0, 0x08b, 0x67, 0});
    hvm_ops->set_segment(v, HVM_GDTR, &(struct hvm_segment){0});
    hvm_ops->set_segment(v, HVM_IDTR, &(struct hvm_segment){0});
}

/* hvm_start_info, module list, memory map and command line in the page at `at`. */
static int start_pvh(struct domain *d, const struct launch_domain *plan, const struct hvm_image *img, u64 ramdisk, u64 at)
{
    struct {
        struct hvm_start_info info;
        struct hvm_modlist_entry module;
        struct hvm_memmap_table_entry map[HVM_MEMMAP_MAX];
        char cmdline[LAUNCH_CMDLINE_MAX];
    } s;
    struct vcpu *v = d->vcpu[0];

    memset(&s, 0, sizeof(s));
    s.info.magic = XEN_HVM_START_MAGIC_VALUE;
    s.info.version = 1;
    s.info.flags = d->privileged ? SIF_PRIVILEGED | SIF_INITDOMAIN : 0;
    s.info.cmdline_paddr = at + offsetof(__typeof__(s), cmdline);
    s.info.rsdp_paddr = HVM_ACPI_AT;
    s.info.memmap_paddr = at + offsetof(__typeof__(s), map);
    s.info.memmap_entries = hvm_memory_map(d, s.map);
    if (plan->ramdisk) {
        s.info.nr_modules = 1;
        s.info.modlist_paddr = at + offsetof(__typeof__(s), module);
        s.module.paddr = ramdisk;
        s.module.size = plan->ramdisk->size;
    }
    snprintf(s.cmdline, sizeof(s.cmdline), "%s", plan->cmdline);
    if (hvm_copy_to_physical(d, at, &s, sizeof(s)))
        return -XEN_ENOMEM;

    hvm_set_flat_segments(v, false);
    hvm_ops->set(v, HVM_CR0, 0x11); /* PE, ET */
    v->arch.regs.rip = img->phys32_entry;
    v->arch.regs.rbx = at;
    return 0;
}

/* Ports that a PVH kernel tries although it was told that nothing is there: a timer that reads as run out; power off. */
static u64 quiet_read(void *dev, u64 at, unsigned int size)
{
    return 0;
}
static void quiet_write(void *dev, u64 at, unsigned int size, u64 value)
{
}

#define SLEEP_ENABLE (1u << 5)
#define SLEEP_TYPE(v) ((v) >> 2 & 7)
static void sleep_write(void *dev, u64 at, unsigned int size, u64 value)
{
    if (at == HVM_SLEEP_PORT && (value & SLEEP_ENABLE) && SLEEP_TYPE(value) == 5)
        hvm_power(dev, SHUTDOWN_poweroff);
}

static int register_pvh_ports(struct domain *d)
{
    struct hvm_io *io = &d->arch.hvm->io;
    int rc = hvm_apic_register(d);

    if (!rc)
        rc = hvm_io_register(io, HVM_IO_PORT, &(struct hvm_io_handler){0x40, 0x43, quiet_read, quiet_write, d, true});
    if (!rc)
        rc = hvm_io_register(io, HVM_IO_PORT, &(struct hvm_io_handler){0x61, 0x61, quiet_read, quiet_write, d, true});
    if (!rc)
        rc = hvm_io_register(io, HVM_IO_PORT, &(struct hvm_io_handler){HVM_SLEEP_PORT, HVM_SLEEP_PORT + 1, quiet_read, sleep_write, d});
    return rc;
}

static int give_console(struct domain *d)
{
    int rc = hvm_populate(d, GFN(HVM_CONSOLE_GFN));

    if (!rc && !d->privileged) {
        rc = console_attach(d, GFN(HVM_CONSOLE_GFN));
        d->arch.hvm->param[HVM_PARAM_CONSOLE_PFN] = HVM_CONSOLE_GFN;
        d->arch.hvm->param[HVM_PARAM_CONSOLE_EVTCHN] = d->console_port;
    }
    return rc;
}

static int fill(struct domain *d, const struct launch_domain *plan, const struct hvm_image *img)
{
    u64 ramdisk = round_up(img->end, MB(2)) + (plan->ramdisk ? plan->ramdisk->paddr & (MB(2) - 1) & PAGE_MASK : 0);
    u64 info = ramdisk + (plan->ramdisk ? round_up(plan->ramdisk->size, PAGE_SIZE) : 0);
    int rc;

    if (info + HVM_INFO_SIZE > min_of(plan->memory, HVM_LOW_END)) {
        printk("domain %s: %llu MiB are too little for its kernel and ramdisk (%llu MiB needed)\n", plan->name,
               (unsigned long long)plan->memory >> 20, (unsigned long long)(info + HVM_INFO_SIZE + MB(1) - 1) >> 20);
        return -XEN_ENOMEM;
    }
    rc = lay_out_memory(d, plan->memory);
    if (!rc)
        rc = load_image(d, plan);
    if (!rc && plan->ramdisk)
        rc = load_ramdisk(d, plan->ramdisk, ramdisk);
    if (!rc)
        rc = give_whole_gib(d, info + HVM_INFO_SIZE, d->arch.hvm->ram_end_low);
    if (!rc)
        rc = give_whole_gib(d, GB(4), d->arch.hvm->ram_end_high);
    if (!rc)
        rc = d->kind == DOMAIN_HVM ? hvm_platform_create(d) : register_pvh_ports(d);
    if (!rc)
        rc = write_acpi(d);
    if (!rc && !d->arch.hvm->hide_xen)
        rc = give_console(d);
    if (!rc)
        rc = d->kind == DOMAIN_HVM ? hvm_start_linux(d, plan, img, ramdisk, info) : start_pvh(d, plan, img, ramdisk, info);
    if (rc)
        printk("domain %s: no memory for its %llu MiB (%d)\n", plan->name, (unsigned long long)plan->memory >> 20, rc);
    return rc;
}

int hvm_build(const struct launch_domain *plan, domid_t id, struct domain **out)
{
    struct hvm_image img;
    struct domain *d;
    int rc = read_image(&img, plan);

    if (rc)
        return rc;
    if (plan->kind == DOMAIN_PVH && img.phys32_entry > 0xffffffff) {
        printk("domain %s: its kernel has no PHYS32_ENTRY note: it is not built to be started as PVH\n", plan->name);
        return -XEN_EINVAL;
    }
    rc = domain_create(id, plan->kind, plan->privileged, plan->vcpus, (plan->memory >> PAGE_SHIFT) + HVM_EXTRA_PAGES, &d);
    if (rc) {
        printk("domain %s: cannot be created (%d)\n", plan->name, rc);
        return rc;
    }
    memcpy(d->name, plan->name, sizeof(d->name));
    d->arch.hvm->hide_xen = plan->hide_xen;
    d->arch.hvm->callable = hvm_callable(plan->hide_xen);
    d->arch.hvm->upcall_by_apic = plan->upcall_by_apic;
    rc = fill(d, plan, &img);
    if (rc) {
        while (domain_kill(d) == -XEN_ERESTART)
            ;
        return rc;
    }
    printk("domain %u (%s): %s, %llu MiB, %u vCPU%s, entry %#llx%s\n", id, plan->name, plan->kind == DOMAIN_PVH ? "PVH" : "HVM",
           (unsigned long long)plan->memory >> 20, plan->vcpus, plan->vcpus == 1 ? "" : "s",
           (unsigned long long)d->vcpu[0]->arch.regs.rip, plan->privileged ? ", privileged" : "");
    *out = d;
    return 0;
}
