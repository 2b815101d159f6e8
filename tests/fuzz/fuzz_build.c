/* SPDX-License-Identifier: MIT */
/*
 * Boot modules that nobody made with care: ELF images with any headers, segments and notes, ramdisks, memory sizes and launch
 * plans. A domain is built or refused; never does the hypervisor end, and what is refused leaves no frame behind.
 *
 * Each sequence is one machine with one image; now and then its kernel is a launch plan's text instead.
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <xen/elfnote.h>

#include "core/launch.h"
#include "fuzz.h"
#include "machine.h"
#include "walker.h"
#include "x86/mm.h"
#include "x86/pv/build.h"

#define FRAMES       16384
#define MODULE_PAGES 24
#define MAX_HEADERS  10

const char fuzz_name[] = "build";
const size_t fuzz_bytes = 1500;

static const struct held nothing[FRAMES];

/* A boot module in frames of the hypervisor's, one after the other, as the loader leaves it. */
static struct boot_module module(const char *string, u64 *first)
{
    void *data = arch_alloc_pages(5);

    if (!data)
        abort();
    *first = virt_to_mfn(data).n;
    return (struct boot_module){.string = string, .data = data, .size = MODULE_PAGES * PAGE_SIZE, .paddr = *first << PAGE_SHIFT};
}

/* A number that is mostly plausible, at times at a border, at times anything. */
static u64 number(struct fuzz_input *in, u64 plausible)
{
    static const u64 odd[] = {0, 1, PAGE_SIZE - 1, GB(2), GB(2) - PAGE_SIZE, HV_START, HV_END, HV_START - MB(2), 0x0000800000000000,
                              ~0ull, ~0ull << 12, ~0ull << 31, 1ull << 63, 1ull << 32};

    if (fuzz_chance(in, 88))
        return plausible;
    return fuzz_chance(in, 70) ? odd[fuzz_u8(in) % ARRAY_SIZE(odd)] + (fuzz_chance(in, 20) ? fuzz_bits(in, 2) : 0) : fuzz_bits(in, 8);
}

static u64 add_note(u8 *at, u32 type, u64 value, u32 size)
{
    Elf64_Nhdr n = {.n_namesz = 4, .n_descsz = size, .n_type = type};

    memcpy(at, &n, sizeof(n));
    memcpy(at + sizeof(n), "Xen", 4);
    memcpy(at + sizeof(n) + 4, &value, 8);
    return sizeof(n) + 4 + 8;
}

static void make_image(struct fuzz_input *in, u8 *data, u64 size)
{
    static const u64 bases[] = {0, 0xffffffff80000000, 0xffff880000000000, MB(4), 0x00007fff00000000, 0xffff7fff00000000};
    u64 base = number(in, bases[fuzz_u8(in) % ARRAY_SIZE(bases)]), offset = number(in, fuzz_chance(in, 50) ? 0 : base), notes;
    unsigned int nr = 1 + fuzz_below(in, MAX_HEADERS);
    Elf64_Ehdr h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64}, .e_machine = EM_X86_64, .e_phentsize = sizeof(Elf64_Phdr)};

    h.e_phoff = number(in, sizeof(h));
    h.e_phnum = number(in, nr + 1);
    h.e_entry = number(in, base + PAGE_SIZE);
    h.e_shentsize = sizeof(Elf64_Shdr);
    h.e_shoff = number(in, 0);
    h.e_shnum = number(in, 0);
    memcpy(data, &h, sizeof(h));
    for (unsigned int i = 0; i < nr; i++) {
        Elf64_Phdr p = {.p_type = PT_LOAD};

        p.p_offset = number(in, fuzz_below(in, MODULE_PAGES) * PAGE_SIZE);
        p.p_filesz = number(in, fuzz_below(in, 6) * (fuzz_chance(in, 50) ? PAGE_SIZE : 777));
        p.p_memsz = number(in, p.p_filesz + fuzz_below(in, 3) * PAGE_SIZE);
        p.p_paddr = number(in, offset + fuzz_below(in, 32) * PAGE_SIZE + (fuzz_chance(in, 20) ? fuzz_bits(in, 1) : 0));
        memcpy(data + sizeof(h) + i * sizeof(p), &p, sizeof(p));
    }
    notes = sizeof(h) + (MAX_HEADERS + 1) * sizeof(Elf64_Phdr);
    {
        Elf64_Phdr p = {.p_type = PT_NOTE, .p_offset = notes, .p_filesz = number(in, 400)};
        u8 *at = data + notes;

        memcpy(data + sizeof(h) + nr * sizeof(p), &p, sizeof(p));
        at += add_note(at, XEN_ELFNOTE_VIRT_BASE, base, 8);
        at += add_note(at, XEN_ELFNOTE_PADDR_OFFSET, offset, 8);
        if (fuzz_chance(in, 30))
            at += add_note(at, XEN_ELFNOTE_ENTRY, number(in, base), number(in, 8));
        if (fuzz_chance(in, 30))
            at += add_note(at, XEN_ELFNOTE_HYPERCALL_PAGE, number(in, base + fuzz_below(in, 40) * PAGE_SIZE), 8);
        if (fuzz_chance(in, 40))
            at += add_note(at, XEN_ELFNOTE_INIT_P2M, number(in, 0xffffc00000000000), 8);
        if (fuzz_chance(in, 50))
            at += add_note(at, XEN_ELFNOTE_MOD_START_PFN, 1, 8);
    }
    /* Segments may lie over the headers, and write to them while they are loaded. */
    for (unsigned int i = fuzz_below(in, 4); i > 0; i--)
        data[fuzz_bits(in, 3) % size] = fuzz_u8(in);
}

static void make_plan(struct fuzz_input *in, char *text, u64 size)
{
    static const char *const words[] = {"parangon-plan 1\n", "domain ", "a", "\n", " kernel = ", "0\n", "1\n", "memory = ", "64M\n", "99999999999999999999\n",
                                        "vcpus = 1\n", "vcpus = 70000\n", "cap = 101\n", "weight = 0\n", "cmdline = ", "privileged = yes\n",
                                        "ramdisk = 1\n", "kind = pvh\n", "=", "#", "\t", "\r\n", "0x", "affinity = 0-9\n"};
    u64 at = 0;

    at += snprintf(text, size, "%s", words[0]);
    while (fuzz_more(in) && at < size - 40) {
        if (fuzz_chance(in, 85))
            at += snprintf(text + at, size - at, "%s", words[fuzz_u8(in) % ARRAY_SIZE(words)]);
        else
            text[at++] = fuzz_u8(in);
    }
}

static u64 frames_of(domid_t owner)
{
    u64 n = 0;

    for (u64 i = 0; i < FRAMES; i++)
        n += frame_table[i].owner == owner;
    return n;
}

void fuzz_one(struct fuzz_input *in)
{
    static struct launch_plan plan;
    struct boot_module modules[2];
    u64 first[2], free_before;
    struct launch_machine machine = {.pcpus = 1, .pools = 1, .dom0_vcpus = 1};

    host_machine_start(FRAMES, 1, "null");
    modules[0] = module("kernel", &first[0]);
    modules[1] = module("ramdisk", &first[1]);
    free_before = nr_free_frames;
    machine.memory = number(in, nr_free_frames << PAGE_SHIFT);
    machine.dom0_mem = number(in, fuzz_chance(in, 30) ? 0 : MB(1 + fuzz_below(in, 40)));
    modules[1].size = number(in, 0) % (MODULE_PAGES * PAGE_SIZE + 1);
    if (fuzz_chance(in, 20)) {
        make_plan(in, map_mfn(MFN(first[0])), modules[0].size);
    } else {
        make_image(in, map_mfn(MFN(first[0])), modules[0].size);
    }
    if (launch_plan(modules, modules[1].size ? 2 : 1, &machine, &plan) == 0) {
        for (unsigned int i = 0; i < plan.nr; i++) {
            struct domain *d = NULL;

            plan.domain[i].memory = min_of(plan.domain[i].memory, MB(60));
            if (plan.domain[i].kind == DOMAIN_PV && pv_build(&plan.domain[i], i, &d) == 0) {
                walk_all(nothing);
                FUZZ_CHECK(d->tot_pages == plan.domain[i].memory >> PAGE_SHIFT, "%llu frames", (unsigned long long)d->tot_pages);
                hardware_domain = NULL; /* its end would be the machine's */
                host_domain_end(d);
            }
            FUZZ_CHECK(frames_of(i) == 0, "domain %u has left frames", i);
        }
    }
    FUZZ_CHECK(nr_free_frames >= free_before, "%llu frames are lost", (unsigned long long)(free_before - nr_free_frames));
    for (unsigned int k = 0; k < 2; k++) /* what became no domain's memory */
        for (u64 i = 0; i < 32; i++)
            if (frame_table[first[k] + i].owner == DOMID_XEN)
                frame_free(MFN(first[k] + i), 0);
    host_machine_stop();
}
