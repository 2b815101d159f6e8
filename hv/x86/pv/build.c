/* SPDX-License-Identifier: MIT */
/*
 * Building a PV domain from boot modules: ELF image with its Xen notes, ramdisk, p2m, initial page tables, start_info.
 *
 * Virtual layout, from the kernel's virtual base (xen/xen.h "start-of-day memory layout"): image, ramdisk (where the kernel
 * does not say MOD_START_PFN), p2m (where it does not say INIT_P2M), start_info, store and console pages, page tables, a
 * stack page; the end is a multiple of 4 MiB with 512 KiB to spare. The page tables are written here, then taken by pinning
 * the L4: one place (typing.c) checks what a guest gets, first domain or not. Whole pages of a boot module (segments of the
 * image, the ramdisk) become the domain's memory in place where they lie as the domain wants them. Of several domains with
 * one module the first gets its frames, the others copy from there: none has run yet.
 * Does not: unpack anything. A bzImage is refused with one line.
 */
#include "build.h"
#include "typing.h"
#include "x86/mm.h"
#include "x86/cpu.h"
#include "core/console.h"
#include <trace/trace.h>
#include <xen/elfnote.h>
#include <elf.h>

#define MAX_SEGMENTS 64

struct image {
    u64 virt_base, paddr_offset, entry, hypercall_page, p2m_base;
    bool has_hypercall_page, has_p2m_base, mod_start_pfn;
    u64 vstart, vend; /* of the loaded segments */
    bool xen;         /* carries Xen notes at all */
    /* A copy, checked: once pages of the module are the domain's memory, loading writes to them. */
    Elf64_Phdr ph[MAX_SEGMENTS];
    unsigned int nr_ph;
};

/* Frames of a boot module that become the domain's. */
struct run {
    u64 pfn, mfn, nr;
};

struct builder {
    struct domain *d;
    const struct launch_domain *plan;
    struct image img;
    u64 *mfn_of;          /* pfn to mfn */
    u64 nr_pages;
    struct run in_place[MAX_SEGMENTS + 1]; /* of segments and the ramdisk */
    unsigned int nr_in_place;
    u64 next_table;       /* pfn of the next page table */
    u64 last_table, l4_mfn;
    u64 tables_first, tables_end; /* pfns: mapped read-only */
};

static u64 note_number(const u8 *desc, u32 size)
{
    u64 v = 0;

    memcpy(&v, desc, size < 8 ? size : 8);
    return v;
}

static void read_note(struct image *img, u32 type, const u8 *desc, u32 size)
{
    img->xen = true;
    switch (type) {
    case XEN_ELFNOTE_ENTRY: img->entry = note_number(desc, size); break;
    case XEN_ELFNOTE_VIRT_BASE: img->virt_base = note_number(desc, size); break;
    case XEN_ELFNOTE_PADDR_OFFSET: img->paddr_offset = note_number(desc, size); break;
    case XEN_ELFNOTE_HYPERCALL_PAGE:
        img->hypercall_page = note_number(desc, size);
        img->has_hypercall_page = true;
        break;
    case XEN_ELFNOTE_INIT_P2M:
        img->p2m_base = note_number(desc, size);
        img->has_p2m_base = true;
        break;
    case XEN_ELFNOTE_MOD_START_PFN: img->mod_start_pfn = note_number(desc, size) != 0; break;
    default: break;
    }
}

static void read_notes(struct image *img, const u8 *p, u64 size)
{
    u64 at = 0;

    while (at + sizeof(Elf64_Nhdr) <= size) {
        Elf64_Nhdr n;
        u64 name = at + sizeof(n), desc, next;

        memcpy(&n, p + at, sizeof(n));
        desc = name + round_up((u64)n.n_namesz, 4);
        next = desc + round_up((u64)n.n_descsz, 4);
        if (next > size || next < at)
            return;
        if (n.n_namesz == 4 && !memcmp(p + name, "Xen", 4))
            read_note(img, n.n_type, p + desc, n.n_descsz);
        at = next;
    }
}

/* May a domain have something at these addresses? Canonical, in one half, not the hypervisor's, without a wrap. */
static bool range_ok(u64 start, u64 size)
{
    u64 last = start + size - 1;

    return size && last >= start && is_canonical(start) && is_canonical(last) && !((start ^ last) >> 63) &&
           (last < HV_START || start >= HV_END);
}

static int read_image(const struct launch_domain *plan, struct image *img)
{
    const u8 *base = plan->kernel->data;
    u64 size = plan->kernel->size;
    const Elf64_Ehdr *h = (const Elf64_Ehdr *)base;
    const Elf64_Phdr *ph = img->ph;

    memset(img, 0, sizeof(*img));
    if (size < sizeof(*h) || memcmp(h->e_ident, ELFMAG, SELFMAG) || h->e_ident[EI_CLASS] != ELFCLASS64 ||
        h->e_machine != EM_X86_64) {
        printk("domain %s: its kernel is no 64-bit ELF image; unpack a bzImage to its vmlinux first\n", plan->name);
        return -XEN_EINVAL;
    }
    if (h->e_phentsize != sizeof(*ph) || h->e_phoff > size || h->e_phnum > MAX_SEGMENTS ||
        h->e_phoff + h->e_phnum * sizeof(*ph) > size) {
        printk("domain %s: the program headers of its kernel lie outside the file\n", plan->name);
        return -XEN_EINVAL;
    }
    memcpy(img->ph, base + h->e_phoff, h->e_phnum * sizeof(*ph));
    img->nr_ph = h->e_phnum;
    img->entry = h->e_entry;
    for (unsigned int i = 0; i < img->nr_ph; i++) {
        if (ph[i].p_offset > size || ph[i].p_filesz > size - ph[i].p_offset) {
            printk("domain %s: part %u of its kernel lies outside the file: is it complete?\n", plan->name, i);
            return -XEN_EINVAL;
        }
        if (ph[i].p_type == PT_NOTE)
            read_notes(img, base + ph[i].p_offset, ph[i].p_filesz);
    }
    if (!img->xen) { /* some kernels carry notes in sections only */
        Elf64_Shdr sh;

        if (h->e_shentsize == sizeof(sh) && h->e_shoff < size && h->e_shoff + h->e_shnum * sizeof(sh) <= size)
            for (unsigned int i = 0; i < h->e_shnum; i++) {
                memcpy(&sh, base + h->e_shoff + i * sizeof(sh), sizeof(sh));
                if (sh.sh_type == SHT_NOTE && sh.sh_offset < size && sh.sh_size <= size - sh.sh_offset)
                    read_notes(img, base + sh.sh_offset, sh.sh_size);
            }
    }
    if (!img->xen) {
        printk("domain %s: its kernel has no Xen notes: it is not built to run paravirtualized\n", plan->name);
        return -XEN_EINVAL;
    }
    img->vstart = ~0ull;
    for (unsigned int i = 0; i < img->nr_ph; i++) {
        u64 v = ph[i].p_paddr - img->paddr_offset + img->virt_base;

        if (ph[i].p_type != PT_LOAD || !ph[i].p_memsz)
            continue;
        if (ph[i].p_filesz > ph[i].p_memsz || ph[i].p_memsz > GB(2) || v - img->virt_base > GB(2) - ph[i].p_memsz ||
            img->virt_base + (v - img->virt_base) + ph[i].p_memsz - 1 < img->virt_base) {
            printk("domain %s: segment %u of its kernel lies outside the address space\n", plan->name, i);
            return -XEN_EINVAL;
        }
        img->vstart = min_of(img->vstart, v);
        img->vend = max_of(img->vend, v + ph[i].p_memsz);
    }
    if (img->vstart == ~0ull || (img->virt_base & ~PAGE_MASK) || !range_ok(img->virt_base, img->vend - img->virt_base)) {
        printk("domain %s: its kernel has nothing to load, or lies in the hypervisor's addresses\n", plan->name);
        return -XEN_EINVAL;
    }
    return 0;
}

static void *pfn_ptr(struct builder *b, u64 pfn)
{
    return map_mfn(MFN(b->mfn_of[pfn]));
}

/* Copy to the domain's pseudo-physical memory, which may be pages of the module that is copied from. */
static void copy_in(struct builder *b, u64 paddr, const u8 *src, u64 n)
{
    while (n) {
        u64 off = paddr & ~PAGE_MASK, part = min_of(PAGE_SIZE - off, n);
        u8 *dst = (u8 *)pfn_ptr(b, paddr >> PAGE_SHIFT) + off;

        if (unlikely(dst < src + part && src < dst + part))
            memmove(dst, src, part);
        else
            memcpy(dst, src, part);
        paddr += part;
        src += part;
        n -= part;
    }
}

/*
 * Which frames of a module will be the domain's: whole pages of the n bytes at physical address `from`, wanted at
 * pseudo-physical address `to`. None, where a page would begin within a page, is another domain's or another run's already.
 */
static struct run whole_pages(const struct builder *b, u64 to, u64 from, u64 n)
{
    u64 first = round_up(to, PAGE_SIZE), end = (to + n) & PAGE_MASK;
    struct run r = {first >> PAGE_SHIFT, (from + (first - to)) >> PAGE_SHIFT, 0};

    if (((to ^ from) & ~PAGE_MASK) || end <= first)
        return r;
    for (unsigned int i = 0; i < b->nr_in_place; i++) {
        const struct run *o = &b->in_place[i];
        u64 nr = (end - first) >> PAGE_SHIFT;

        if ((r.pfn < o->pfn + o->nr && o->pfn < r.pfn + nr) || (r.mfn < o->mfn + o->nr && o->mfn < r.mfn + nr))
            return r;
    }
    for (u64 mfn = r.mfn; mfn < r.mfn + ((end - first) >> PAGE_SHIFT); mfn++)
        if (!mfn_is_memory(MFN(mfn)) || frame_table[mfn].owner != DOMID_XEN)
            return r;
    r.nr = (end - first) >> PAGE_SHIFT;
    return r;
}

static void put_in_place(struct builder *b, struct run r)
{
    if (r.nr)
        b->in_place[b->nr_in_place++] = r;
}

/* The segments whose bytes come from the image; each gets what it needs of `in_place` before memory is taken. */
static void segments_in_place(struct builder *b)
{
    const struct boot_module *m = b->plan->kernel;
    const Elf64_Phdr *ph = b->img.ph;

    for (unsigned int i = 0; i < b->img.nr_ph; i++)
        if (ph[i].p_type == PT_LOAD && ph[i].p_memsz)
            put_in_place(b, whole_pages(b, ph[i].p_paddr - b->img.paddr_offset, m->paddr + ph[i].p_offset, ph[i].p_filesz));
}

/* Bytes of segments that are not in place: the rest of their first and last pages, or all. */
static void load_segments_in(struct builder *b)
{
    const struct boot_module *m = b->plan->kernel;
    const u8 *base = m->data;
    const Elf64_Phdr *ph = b->img.ph;

    for (unsigned int i = 0; i < b->img.nr_ph; i++) {
        u64 to = ph[i].p_paddr - b->img.paddr_offset, n = ph[i].p_filesz, from = m->paddr + ph[i].p_offset, head, done = 0;
        const u8 *src = base + ph[i].p_offset;

        if (ph[i].p_type != PT_LOAD || !ph[i].p_memsz)
            continue;
        head = round_up(to, PAGE_SIZE) - to;
        for (unsigned int k = 0; k < b->nr_in_place; k++) {
            const struct run *r = &b->in_place[k];

            /* Not a longer run that another segment made of the same pages. */
            if (r->pfn == (to + head) >> PAGE_SHIFT && r->mfn == (from + head) >> PAGE_SHIFT && head + (r->nr << PAGE_SHIFT) <= n)
                done = r->nr << PAGE_SHIFT;
        }
        if (!done)
            head = n;
        copy_in(b, to, src, head);
        copy_in(b, to + head + done, src + head + done, n - head - done);
    }
}

/* All frames of the domain: those of its modules that are in place, the rest from the allocator, cleared. */
static int take_memory(struct builder *b)
{
    struct domain *d = b->d;
    u64 pfn = 0;

    while (pfn < b->nr_pages) {
        const struct run *next = NULL;
        unsigned int order = 9;
        u64 end;
        mfn_t mfn;

        for (unsigned int i = 0; i < b->nr_in_place; i++)
            if (b->in_place[i].pfn >= pfn && (!next || b->in_place[i].pfn < next->pfn))
                next = &b->in_place[i];
        if (next && next->pfn == pfn) {
            for (u64 i = 0; i < next->nr; i++, pfn++) {
                mfn = MFN(next->mfn + i);
                frame_adopt(mfn, d->id);
                b->mfn_of[pfn] = mfn.n;
                m2p[mfn.n] = pfn;
            }
            d->tot_pages += next->nr;
            continue;
        }
        end = next ? next->pfn : b->nr_pages;
        while (order && pfn + (1ull << order) > end)
            order--;
        for (;; order--) {
            mfn = domain_alloc_frame(d, order, 0);
            if (mfn.n != MFN_INVALID.n || !order)
                break;
        }
        if (mfn.n == MFN_INVALID.n)
            return -XEN_ENOMEM;
        for (u64 i = 0; i < (1ull << order); i++, pfn++) {
            b->mfn_of[pfn] = mfn.n + i;
            m2p[mfn.n + i] = pfn;
        }
    }
    return 0;
}

#define TABLE_PTE (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)

/* Map va to pfn in the initial tables; page tables are mapped read-only. */
static void map_in(struct builder *b, u64 va, u64 pfn)
{
    u64 *t = map_mfn(MFN(b->l4_mfn)), pte = (b->mfn_of[pfn] << PAGE_SHIFT) | TABLE_PTE;

    for (int level = 4; level > 1; level--) {
        u64 *e = &t[(va >> (12 + 9 * (level - 1))) & 511];

        if (!(*e & PTE_P)) {
            BUG_ON(b->next_table >= b->last_table);
            *e = (b->mfn_of[b->next_table++] << PAGE_SHIFT) | TABLE_PTE;
        }
        t = map_mfn(MFN((*e & PTE_MFN) >> PAGE_SHIFT));
    }
    if (pfn >= b->tables_first && pfn < b->tables_end)
        pte &= ~PTE_RW;
    t[(va >> 12) & 511] = pte;
}

/* Tables that mapping [start, end) needs, without the L4. */
static u64 tables_for(u64 start, u64 end)
{
    u64 n = 0;

    for (unsigned int shift = 21; shift <= 39; shift += 9)
        n += ((end - 1) >> shift) - (start >> shift) + 1;
    return n;
}

static void fill_start_info(struct builder *b, struct start_info *si, u64 console_pfn)
{
    const struct launch_domain *plan = b->plan;
    struct domain *d = b->d;

    snprintf(si->magic, sizeof(si->magic), "xen-%u.%u-x86_64", 3, 0);
    si->nr_pages = b->nr_pages;
    si->shared_info = virt_to_mfn(d->shared_info).n << PAGE_SHIFT;
    if (plan->privileged) {
        si->flags = SIF_PRIVILEGED | SIF_INITDOMAIN;
    } else { /* no xenstore: event channel 0 tells the kernel not to wait for one */
        si->console.domU.mfn = b->mfn_of[console_pfn];
        si->console.domU.evtchn = d->console_port;
        si->store_mfn = b->mfn_of[console_pfn - 1];
        si->store_evtchn = 0;
    }
    snprintf((char *)si->cmd_line, MAX_GUEST_CMDLINE, "%s", plan->cmdline);
}

static void init_registers(struct vcpu *v, u64 entry, u64 sp, u64 si)
{
    struct regs *r = &v->arch.regs;

    r->rip = entry;
    r->cs = SEL_CS64;
    r->ss = SEL_DS;
    r->rflags = X86_FLAGS_IF | X86_FLAGS_ONE;
    r->rsp = sp;
    r->rsi = si;
    v->arch.ds = v->arch.es = SEL_DS;
    v->arch.kernel_ss = SEL_DS;
    v->arch.kernel_sp = sp;
    v->info->evtchn_upcall_mask = 1;
}

void pv_hypercall_page(void *page);

static int lay_out(struct builder *b)
{
    const struct launch_domain *plan = b->plan;
    struct domain *d = b->d;
    struct image *img = &b->img;
    u64 base = img->virt_base, at, mod_len = plan->ramdisk ? plan->ramdisk->size : 0;
    u64 mod_pages = (mod_len + PAGE_SIZE - 1) >> PAGE_SHIFT, p2m_pages = (b->nr_pages * 8 + PAGE_SIZE - 1) >> PAGE_SHIFT;
    u64 mod_va = 0, p2m_va, si_va, tables_va, stack_va, end_va, nr_tables, p2m_tables = 0, mod_pfn, p2m_pfn, console_pfn;
    u64 outside, needed;
    u32 put_off = 0;
    bool in_place = false; /* the ramdisk */
    struct start_info *si;
    int err;

    /* All that follows grows with these: what the address space or the memory cannot hold ends here. */
    needed = ((img->vend - base) >> PAGE_SHIFT) + (img->mod_start_pfn ? 0 : mod_pages) + (img->has_p2m_base ? 0 : p2m_pages) + 1024;
    if (!range_ok(base, (needed << PAGE_SHIFT) + MB(8)) ||
        (img->has_p2m_base && ((img->p2m_base & ~PAGE_MASK) || !range_ok(img->p2m_base, p2m_pages << PAGE_SHIFT)))) {
        printk("domain %s: its kernel, ramdisk and list of frames do not lie in its address space\n", plan->name);
        return -XEN_EINVAL;
    }
    at = round_up(img->vend, PAGE_SIZE);
    if (mod_len && !img->mod_start_pfn) {
        mod_va = at;
        at += mod_pages << PAGE_SHIFT;
    }
    p2m_va = img->has_p2m_base ? img->p2m_base : at;
    if (!img->has_p2m_base)
        at += p2m_pages << PAGE_SHIFT;
    si_va = at;
    at += 3 * PAGE_SIZE; /* start_info, store, console */
    tables_va = at;
    for (nr_tables = 1;; nr_tables++) { /* the tables map themselves: try until they fit */
        stack_va = tables_va + (nr_tables << PAGE_SHIFT);
        end_va = round_up(stack_va + PAGE_SIZE + KB(512), MB(4));
        if (1 + tables_for(base, end_va) <= nr_tables)
            break;
    }
    if (img->has_p2m_base)
        p2m_tables = tables_for(p2m_va, p2m_va + (p2m_pages << PAGE_SHIFT));
    outside = (end_va - base) >> PAGE_SHIFT;
    mod_pfn = img->mod_start_pfn ? outside : (mod_va - base) >> PAGE_SHIFT;
    p2m_pfn = img->has_p2m_base ? outside + (img->mod_start_pfn ? mod_pages : 0) : (p2m_va - base) >> PAGE_SHIFT;
    needed = outside + (img->mod_start_pfn ? mod_pages : 0) + (img->has_p2m_base ? p2m_pages + p2m_tables : 0);
    if (needed > b->nr_pages) {
        printk("domain %s: %llu MiB are too little for its kernel and ramdisk (%llu MiB needed)\n", plan->name,
               (unsigned long long)plan->memory >> 20,
               (unsigned long long)(round_up(needed, 256) >> 8));
        return -XEN_ENOMEM;
    }
    segments_in_place(b);
    if (mod_len && img->mod_start_pfn) { /* its last page too: the rest of it is cleared */
        struct run r = whole_pages(b, mod_pfn << PAGE_SHIFT, plan->ramdisk->paddr, mod_pages << PAGE_SHIFT);

        in_place = r.nr == mod_pages;
        if (in_place)
            put_in_place(b, r);
    }
    err = take_memory(b);
    if (err) {
        printk("domain %s: no memory for its %llu MiB\n", plan->name, (unsigned long long)plan->memory >> 20);
        return err;
    }
    load_segments_in(b);
    if (mod_len && in_place && (mod_len & ~PAGE_MASK))
        memset((u8 *)pfn_ptr(b, mod_pfn + mod_pages - 1) + (mod_len & ~PAGE_MASK), 0, PAGE_SIZE - (mod_len & ~PAGE_MASK));
    else if (mod_len && !in_place)
        copy_in(b, mod_pfn << PAGE_SHIFT, plan->ramdisk->data, mod_len);

    b->tables_first = (tables_va - base) >> PAGE_SHIFT;
    b->tables_end = b->tables_first + nr_tables;
    b->l4_mfn = b->mfn_of[b->tables_first];
    b->next_table = b->tables_first + 1;
    b->last_table = b->tables_end;
    for (u64 va = base; va < end_va; va += PAGE_SIZE)
        map_in(b, va, (va - base) >> PAGE_SHIFT);
    if (img->has_p2m_base) {
        /* the tables of the p2m's own mapping lie behind it and are not mapped */
        b->next_table = p2m_pfn + p2m_pages;
        b->last_table = b->next_table + p2m_tables;
        for (u64 i = 0; i < p2m_pages; i++)
            map_in(b, p2m_va + (i << PAGE_SHIFT), p2m_pfn + i);
    }
    copy_in(b, p2m_pfn << PAGE_SHIFT, (const u8 *)b->mfn_of, b->nr_pages * 8);

    console_pfn = ((si_va - base) >> PAGE_SHIFT) + 2;
    if (!plan->privileged) {
        err = console_attach(d, GFN(b->mfn_of[console_pfn]));
        if (err)
            return err;
    }
    si = pfn_ptr(b, (si_va - base) >> PAGE_SHIFT);
    fill_start_info(b, si, console_pfn);
    si->pt_base = tables_va;
    si->nr_pt_frames = nr_tables;
    si->mfn_list = p2m_va;
    if (mod_len) {
        si->mod_start = img->mod_start_pfn ? mod_pfn : mod_va;
        si->mod_len = mod_len;
        if (img->mod_start_pfn)
            si->flags |= SIF_MOD_START_PFN;
    }
    if (img->has_p2m_base) {
        si->first_p2m_pfn = p2m_pfn;
        si->nr_p2m_frames = p2m_pages + p2m_tables;
    }
    if (img->has_hypercall_page) {
        u64 pfn = (img->hypercall_page - base) >> PAGE_SHIFT;

        if (img->hypercall_page < base || pfn >= outside || (img->hypercall_page & ~PAGE_MASK)) {
            printk("domain %s: its hypercall page %#llx lies outside its image\n", plan->name,
                   (unsigned long long)img->hypercall_page);
            return -XEN_EINVAL;
        }
        pv_hypercall_page(pfn_ptr(b, pfn));
    }
    d->max_ever_pfn = b->nr_pages - 1;
    do {
        /* What waits for this pcpu (a tick armed for an earlier domain) would stop it again and again: put it off. */
        put_off |= __atomic_exchange_n(&get_cpu_info()->work, 0, __ATOMIC_SEQ_CST);
        err = frame_pin(MFN(b->l4_mfn), FT_L4, d);
    } while (err == -XEN_ERESTART);
    work_raise(get_cpu_info(), put_off);
    if (!err)
        err = frame_get_type(MFN(b->l4_mfn), FT_L4, d);
    if (err) {
        printk("domain %s: its initial page tables were refused (%d)\n", plan->name, err);
        return err;
    }
    d->vcpu[0]->arch.cr3_kernel = b->l4_mfn << PAGE_SHIFT;
    init_registers(d->vcpu[0], img->entry, stack_va + PAGE_SIZE, si_va);
    return 0;
}

int pv_build(const struct launch_domain *plan, domid_t id, struct domain **out)
{
    struct builder b = {.plan = plan, .nr_pages = plan->memory >> PAGE_SHIFT};
    unsigned int order = 0;
    int err = read_image(plan, &b.img);

    if (err)
        return err;
    err = domain_create(id, DOMAIN_PV, plan->privileged, plan->vcpus, b.nr_pages, &b.d);
    if (err) {
        printk("domain %s: cannot be created (%d)\n", plan->name, err);
        return err;
    }
    memcpy(b.d->name, plan->name, sizeof(b.d->name));
    while ((PAGE_SIZE << order) < b.nr_pages * 8)
        order++;
    b.mfn_of = arch_alloc_pages(order);
    if (!b.mfn_of) {
        printk("domain %s: no memory for its frame list\n", plan->name);
        err = -XEN_ENOMEM;
    } else {
        err = lay_out(&b);
        arch_free_pages(b.mfn_of, order);
    }
    if (err) {
        while (domain_kill(b.d) == -XEN_ERESTART)
            ;
        return err;
    }
    printk("domain %u (%s): %llu MiB, %u vCPU%s, entry %#llx%s\n", id, plan->name, (unsigned long long)plan->memory >> 20,
           plan->vcpus, plan->vcpus == 1 ? "" : "s", (unsigned long long)b.img.entry, plan->privileged ? ", privileged" : "");
    *out = b.d;
    return 0;
}
