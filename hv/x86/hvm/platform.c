/* SPDX-License-Identifier: MIT */
/*
 * The devices of a domain together: their ports and memory, interrupt lines to their controllers, power, and the serial line's characters.
 *
 * HVM: a PC without buses: two 8259A, I/O APIC, 8254, MC146818, one 16550 (COM1), ACPI's fixed hardware. Every domain: the page of its
 * vCPUs' local APICs. A PVH domain has nothing else, and its lines lead nowhere.
 * Lines: 0 to 15 are the ISA interrupts, at the 8259A of their number and the I/O APIC's input of their number, but line 0 is at input 2
 * (the MADT says so, acpi.c).
 * The serial line: a privileged domain's is the physical console, another's goes to the log line by line, and nothing comes in.
 */
#include "hvm.h"
#include "vdevice.h"
#include "core/log.h"
#include "x86/cpu.h"

#define IOAPIC_AT 0xfec00000ull
#define APIC_AT   0xfee00000ull
#define COM1      0x3f8
#define COM1_LINE 4

struct hvm_platform {
    struct vpic *pic;
    struct vioapic *ioapic;
    struct vpit *pit;
    struct vrtc *rtc;
    struct vuart *uart;
    struct vpm *pm;
    u32 fill;
    char line[2048];    /* of the serial line, unfinished */
};

/* ---- interrupts ---- */

void hvm_irq_line(struct domain *d, unsigned int gsi, bool level)
{
    struct hvm_platform *p = d->arch.hvm->platform;

    if (unlikely(!p))
        return;
    if (p->pic && gsi < 16)
        vpic_set(p->pic, gsi, level);
    if (p->ioapic)
        vioapic_set(p->ioapic, gsi == 0 ? 2 : gsi, level);
}

void hvm_apic_eoi(struct domain *d, u8 vector)
{
    struct hvm_domain *hd = d->arch.hvm;

    if (!hd->platform)
        return;
    HOLD(&hd->io.lock);
    vioapic_eoi(hd->platform->ioapic, vector);
}

int hvm_platform_pic_pending(struct domain *d)
{
    return vpic_pending(d->arch.hvm->platform->pic); /* one look: accept looks again */
}

u8 hvm_platform_pic_accept(struct domain *d)
{
    struct hvm_domain *hd = d->arch.hvm;
    HOLD(&hd->io.lock);

    return vpic_accept(hd->platform->pic);
}

void hvm_apic_changed(struct vcpu *v)
{
    v->arch.hvm->check_irq = true;
}

void hvm_vcpu_tpr(struct vcpu *v, u8 cr8)
{
    hvm_ops->set_tpr(v, cr8);
}

ns_t hvm_tsc_deadline(u64 tsc)
{
    u64 now = rdtsc();

    return tsc > now ? now_ns() + tsc_to_ns(tsc - now) : 0;
}

/* Each vCPU has its own local APIC at the same address. Its task priority may have been changed by CR8, without an exit. */
static struct vlapic *current_apic(void)
{
    struct vcpu *v = current_vcpu();

    vlapic_set_cr8(v->arch.hvm->vlapic, hvm_ops->get_tpr(v));
    return v->arch.hvm->vlapic;
}

static u64 read_apic(void *dev, u64 at, unsigned int size)
{
    return vlapic_mmio_read(current_apic(), at, size);
}

static void write_apic(void *dev, u64 at, unsigned int size, u64 value)
{
    vlapic_mmio_write(current_apic(), at, size, value);
}

int hvm_apic_register(struct domain *d)
{
    int rc = hvm_io_register(&d->arch.hvm->io, HVM_IO_MEMORY,
                             &(struct hvm_io_handler){APIC_AT, APIC_AT + PAGE_SIZE - 1, read_apic, write_apic, d, true});

    return rc || !hvm_test_device ? rc : vdevice_attach(d);
}

/* ---- power, serial line ---- */

void hvm_power(struct domain *d, unsigned int how)
{
    domain_shutdown(d, how);
}

static void end_line(struct domain *d, struct hvm_platform *p)
{
    u32 n = p->fill;

    if (n && p->line[n - 1] == '\r')
        n--;
    log_domain_line(d->id, p->line, n);
    p->fill = 0;
}

void hvm_uart_put(struct domain *d, u8 c)
{
    struct hvm_platform *p = d->arch.hvm->platform;

    if (d->privileged) {
        log_write((const char *)&c, 1);
        return;
    }
    if (c == '\n' || p->fill == sizeof(p->line))
        end_line(d, p);
    if (c != '\n')
        p->line[p->fill++] = c;
}

int hvm_uart_get(struct domain *d)
{
    char c;

    return d->privileged && arch_console_read(&c, 1) ? (u8)c : -1;
}

void hvm_platform_input(struct domain *d)
{
    struct hvm_domain *hd = d && is_hvm_domain(d) ? d->arch.hvm : NULL;

    if (hd && hd->platform) {
        HOLD(&hd->io.lock);
        vuart_poll(hd->platform->uart);
    }
}

/* ---- life ---- */

int hvm_platform_create(struct domain *d)
{
    struct hvm_io *io = &d->arch.hvm->io;
    struct hvm_platform *p = arch_alloc(sizeof(*p));

    if (!p)
        return -XEN_ENOMEM;
    d->arch.hvm->platform = p;
    time_publish_wallclock(d);
    p->pic = vpic_create(d, io);
    p->ioapic = vioapic_create(d, io, IOAPIC_AT);
    p->pit = vpit_create(d, io);
    p->rtc = vrtc_create(d, io, d->shared_info->wc_sec | (u64)d->shared_info->wc_sec_hi << 32);
    p->uart = vuart_create(d, io, COM1, COM1_LINE);
    p->pm = vpm_create(d, io, HVM_PM_PORT);
    if (!p->pic || !p->ioapic || !p->pit || !p->rtc || !p->uart || !p->pm || hvm_apic_register(d)) {
        hvm_platform_destroy(d);
        return -XEN_ENOMEM;
    }
    vlapic_virtual_wire(d->vcpu[0]->arch.hvm->vlapic);
    return 0;
}

void hvm_platform_destroy(struct domain *d)
{
    struct hvm_platform *p = d->arch.hvm->platform;

    hvm_model_detach(d);
    if (!p)
        return;
    if (p->fill)
        end_line(d, p);
    vpm_destroy(p->pm);
    vuart_destroy(p->uart);
    vrtc_destroy(p->rtc);
    vpit_destroy(p->pit);
    vioapic_destroy(p->ioapic);
    vpic_destroy(p->pic);
    arch_free(p);
    d->arch.hvm->platform = NULL;
}
