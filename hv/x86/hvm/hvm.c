/* SPDX-License-Identifier: MIT */
/*
 * Hardware-assisted domains and vCPUs: which vendor's hardware, how they begin and end, how a vCPU comes to the processor, leaves it, is
 * woken and is entered; and what is logged of one: a domain's exits at its end, a vCPU's state when it is crashed. hvm.h has the whole
 * picture; the processor's part is behind struct hvm_ops.
 * Not here: exits (exit.c), what goes in before an entry (irq.c), INIT and STARTUP (startup.c).
 * Locks: none. Domains are made and ended by one processor at a time; a vCPU comes and goes on its own.
 */
#include "hvm.h"
#include "x86/cpu.h"
#include "x86/mm.h"
#include "x86/pv/io_rights.h"

const struct hvm_ops *hvm_ops;
u32 hvm_rsb_overwrite;
unsigned int hvm_largest_order = P2M_ORDER_2M;

static const struct hvm_ops *const vendors[] = {&svm_ops, &vmx_ops};

void hvm_init(void)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(vendors) && !hvm_ops; i++) {
        int rc;

        if (!vendors[i]->present())
            continue;
        rc = vendors[i]->cpu_init(0);
        if (rc)
            printk("%s cannot be turned on (%d)\n", vendors[i]->name, rc);
        else
            hvm_ops = vendors[i];
    }
}

/* Every port exits, and every MSR that is not saved with the vCPU. 0, -XEN_ENOMEM. */
static int make_permission_maps(struct hvm_domain *hd)
{
    static const u32 direct[] = {MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
                                 0x174, 0x175, 0x176, MSR_TSC_AUX};

    hd->io_map = arch_alloc_pages(hvm_ops->io_map_order);
    hd->msr_map = arch_alloc_pages(hvm_ops->msr_map_order);
    if (!hd->io_map || !hd->msr_map)
        return -XEN_ENOMEM;
    memset(hd->io_map, 0xff, PAGE_SIZE << hvm_ops->io_map_order);
    memset(hd->msr_map, 0xff, PAGE_SIZE << hvm_ops->msr_map_order);
    for (unsigned int i = 0; i < ARRAY_SIZE(direct); i++)
        if (direct[i] != MSR_TSC_AUX || cpu_features.rdtscp)
            hvm_ops->direct_msr(hd->msr_map, direct[i]);
    return 0;
}

int hvm_domain_create(struct domain *d)
{
    struct hvm_domain *hd;
    int rc;

    if (!hvm_ops) {
        printk("a domain of this kind needs SVM with nested paging or VMX with EPT, and this processor has none that may be used\n");
        return -XEN_EOPNOTSUPP;
    }
    hd = arch_alloc(sizeof(*hd));
    if (!hd)
        return -XEN_ENOMEM;
    d->arch.hvm = hd;
    hd->window_epoch = HVM_WINDOW_EPOCH;
    spin_lock_init(&hd->io.lock, LOCK_DEVICES);
    hd->root = arch_alloc_pages(0);
    hd->nested_generation = 1; /* each pcpu's first entry flushes what it has of an earlier domain with the same root */
    rc = hd->root ? make_permission_maps(hd) : -XEN_ENOMEM;
    if (!rc && d->privileged) /* what it may reach by call; no port or memory of the machine is passed through */
        rc = io_rights_first_domain(d);
    if (rc) {
        hvm_domain_destroy(d);
        return rc;
    }
    p2m_init(d, hvm_ops->p2m);
    return 0;
}

/* One line: how often each reason made its vCPUs exit. */
static void log_exits(const struct domain *d)
{
    char line[512];
    int n = 0;
    u64 all = 0;

    for (unsigned int why = 0; why < HVM_EXIT_NR; why++) {
        u64 count = 0;

        for (unsigned int i = 0; i < d->max_vcpus; i++)
            if (d->vcpu[i] && is_hvm_vcpu(d->vcpu[i]))
                count += d->vcpu[i]->arch.hvm->count[why];
        all += count;
        if (count && n < (int)sizeof(line))
            n += snprintf(line + n, sizeof(line) - n, ", %s %llu", hvm_exit_names[why], (unsigned long long)count);
    }
    printk("domain %u: %llu exits%s\n", d->id, (unsigned long long)all, all ? line : "");
}

int hvm_domain_relinquish(struct domain *d)
{
    int rc = p2m_teardown(d);

    if (!rc)
        log_exits(d);
    return rc;
}

void hvm_domain_destroy(struct domain *d)
{
    struct hvm_domain *hd = d->arch.hvm;

    if (d->p2m.ops)
        while (p2m_teardown(d) == -XEN_ERESTART)
            ;
    hvm_platform_destroy(d);
    if (hd->root)
        arch_free_pages(hd->root, 0);
    if (hd->io_map)
        arch_free_pages(hd->io_map, hvm_ops->io_map_order);
    if (hd->msr_map)
        arch_free_pages(hd->msr_map, hvm_ops->msr_map_order);
    arch_free(hd);
    d->arch.hvm = NULL;
}

int hvm_vcpu_create(struct vcpu *v)
{
    struct hvm_vcpu *h = arch_alloc(sizeof(*h));
    int rc;

    if (!h)
        return -XEN_ENOMEM;
    v->arch.hvm = h;
    v->info->evtchn_upcall_mask = 0; /* such a guest masks by its own IF */
    rc = hvm_ops->vcpu_create(v);
    if (!rc) {
        h->vlapic = vlapic_create(v, v->id * 2, true);
        rc = h->vlapic ? 0 : -XEN_ENOMEM;
    }
    if (rc)
        hvm_vcpu_destroy(v);
    else
        hvm_after_init(v, &v->arch.regs);
    return rc;
}

void hvm_vcpu_destroy(struct vcpu *v)
{
    struct hvm_vcpu *h = v->arch.hvm;

    if (h->vlapic)
        vlapic_destroy(h->vlapic);
    hvm_ops->vcpu_destroy(v);
    arch_free(h->context);
    arch_free(h);
    v->arch.hvm = NULL;
}

/* The hypervisor's own address space, descriptor tables and null selectors: nothing of another guest's is left in force. */
void hvm_switch_to(struct vcpu *v)
{
    tlb_tick(get_cpu_info());
    write_cr3(hv_cr3);
    cpu_load_own_gdt();
    __asm__ volatile("lldt %w0\n\tmov %0, %%ds\n\tmov %0, %%es\n\tmov %0, %%fs\n\tmov %0, %%gs" ::"r"(0));
    write_dr7(0x400);
    write_breakpoints(v->arch.dr);
    if (unlikely(v->arch.hvm->last_cpu != this_cpu())) { /* what this one's TLB may remember of it is from before it was elsewhere */
        v->arch.hvm->last_cpu = this_cpu();
        hvm_ops->flush(v);
    }
    hvm_ops->switch_to(v);
    v->arch.hvm->check_irq = true;
}

void hvm_switch_from(struct vcpu *v)
{
    v->arch.dr[0] = read_dr0();
    v->arch.dr[1] = read_dr1();
    v->arch.dr[2] = read_dr2();
    v->arch.dr[3] = read_dr3();
    hvm_ops->switch_from(v);
    write_dr6(0xffff0ff0);
}

void hvm_run(struct vcpu *v, struct regs *r)
{
    struct hvm_vcpu *h = v->arch.hvm;

    if (unlikely(h->wait.active) && !hvm_mmio_resume(v, r))
        return;
    if (h->check_irq || v->info->evtchn_upcall_pending)
        hvm_irq_assist(v, r);
    hvm_ops->run(v, r);
}

void hvm_vcpu_kick(struct vcpu *v)
{
    v->arch.hvm->check_irq = true;
    arch_kick_vcpu(v);
    if (v->pause_flags & (VPF_BLOCKED | VPF_POLLING))
        vcpu_unblock(v);
}

void hvm_dump(const struct vcpu *v)
{
    static const char *const segments[] = {"es", "cs", "ss", "ds", "fs", "gs", "gdtr", "ldtr", "idtr", "tr"};
    static const char *const registers[] = {"cr0", "cr2", "cr3", "cr4", "efer", "pat", "cpl", "dr6", "dr7", "kernel_gs", "star", "lstar", "cstar",
                                            "sfmask", "sysenter_cs", "sysenter_esp", "sysenter_eip"};

    if (!hvm_ops->dump(v))
        return;
    printk("injecting %llx", (unsigned long long)*v->arch.hvm->event);
    for (unsigned int i = 0; i < HVM_NR_REGISTERS; i++)
        printk(" %s %llx", registers[i], (unsigned long long)hvm_ops->get(v, i));
    printk("\n");
    for (unsigned int i = 0; i < HVM_NR_SEGMENTS; i++) {
        struct hvm_segment s;

        hvm_ops->get_segment(v, i, &s);
        printk("%-4s %04x attributes %03x limit %08x base %016llx\n", segments[i], s.selector, s.attributes, s.limit, (unsigned long long)s.base);
    }
}
