/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables of PVH and HVM domains, built in guest memory: RSDP, XSDT, FADT, MADT, and a DSDT that knows only how to power off.
 *
 * PVH: hardware-reduced, no legacy devices; power off by the sleep control register. HVM: PM1 event and control blocks and the PM timer
 * at HVM_PM_PORT, I/O APIC, the ISA interrupts as they are, SCI on line 9 (vpm.c has the device).
 * Sources: ACPI 6.4 §5.2.5 (RSDP), §5.2.8 (XSDT), §5.2.9 (FADT), §5.2.12 (MADT), §4.8.3.7 (sleep control), §20.2 (AML).
 */
#include "hvm.h"

struct rsdp {
    char signature[8];
    u8 checksum;
    char oem[6];
    u8 revision;
    u32 rsdt, length;
    u64 xsdt;
    u8 extended_checksum, reserved[3];
} __packed_;

struct gas { /* generic address */
    u8 space, width, offset, access;
    u64 address;
} __packed_;

struct fadt {
    struct acpi_header h;
    u32 facs, dsdt;
    u8 model, profile;
    u16 sci;
    u32 smi_command;
    u8 enable, disable, s4bios, pstate;
    u32 pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer, gpe0, gpe1;
    u8 pm1_event_length, pm1_control_length, pm2_control_length, pm_timer_length, gpe0_length, gpe1_length, gpe1_base, cstate;
    u16 c2_latency, c3_latency, flush_size, flush_stride;
    u8 duty_offset, duty_width, day_alarm, month_alarm, century;
    u16 boot_flags;
    u8 reserved;
    u32 flags;
    struct gas reset;
    u8 reset_value;
    u16 arm_flags;
    u8 minor;
    u64 x_facs, x_dsdt;
    struct gas x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control, x_pm2_control, x_pm_timer, x_gpe0, x_gpe1;
    struct gas sleep_control, sleep_status;
    u64 hypervisor;
} __packed_;
_Static_assert(sizeof(struct fadt) == 276, "FADT of revision 6");

struct madt {
    struct acpi_header h;
    u32 apic, flags;
} __packed_;

#define FADT_WBINVD       (1u << 0)
#define FADT_FIXED_POWER  (1u << 4)  /* no power button in fixed hardware */
#define FADT_FIXED_SLEEP  (1u << 5)
#define FADT_RTC          (1u << 6)  /* no RTC wake-up */
#define FADT_TIMER_32     (1u << 8)
#define FADT_REDUCED      (1u << 20)
#define BOOT_LEGACY       (1u << 0)
#define BOOT_NO_VGA       (1u << 2)
#define BOOT_NO_MSI       (1u << 3)
#define BOOT_NO_RTC       (1u << 5)
#define MADT_HAS_PIC      1u

/* Name (_S5_, Package (4) { 5, 5, 0, 0 }) */
static const u8 aml[] = {0x08, '_', 'S', '5', '_', 0x12, 0x08, 0x04, 0x0a, 0x05, 0x0a, 0x05, 0x00, 0x00};

struct writer {
    u8 *base;
    u64 at, gpa;
};

static u8 sum(const void *p, size_t n)
{
    u8 s = 0;

    for (size_t i = 0; i < n; i++)
        s += ((const u8 *)p)[i];
    return -s;
}

static void *begin(struct writer *w, const char *signature, u8 revision, size_t size)
{
    struct acpi_header *h = (struct acpi_header *)(w->base + w->at);

    memset(h, 0, size);
    memcpy(h->signature, signature, 4);
    memcpy(h->oem, "PRGN  ", 6);
    memcpy(h->table, "PARANGON", 8);
    memcpy(&h->creator, "PRGN", 4);
    h->revision = revision;
    h->length = size;
    h->oem_revision = h->creator_revision = 1;
    return h;
}

/* Close the table that begins at w->at; its guest-physical address. */
static u64 end(struct writer *w)
{
    struct acpi_header *h = (struct acpi_header *)(w->base + w->at);
    u64 gpa = w->gpa + w->at;

    h->checksum = 0;
    h->checksum = sum(h, h->length);
    w->at = round_up(w->at + h->length, 16);
    return gpa;
}

static void append(struct writer *w, const void *what, size_t n)
{
    struct acpi_header *h = (struct acpi_header *)(w->base + w->at);

    memcpy((u8 *)h + h->length, what, n);
    h->length += n;
}

static u64 write_dsdt(struct writer *w)
{
    begin(w, "DSDT", 2, sizeof(struct acpi_header));
    append(w, aml, sizeof(aml));
    return end(w);
}

static struct gas port(u16 at, u8 width)
{
    return (struct gas){.space = 1, .width = width, .access = width == 8 ? 1 : width == 16 ? 2 : 3, .address = at};
}

static u64 write_fadt(struct writer *w, const struct hvm_domain *hd, u64 dsdt)
{
    struct fadt *f = begin(w, "FACP", 6, sizeof(*f));

    f->dsdt = f->x_dsdt = dsdt;
    f->minor = 4;
    f->flags = FADT_WBINVD | FADT_FIXED_POWER | FADT_FIXED_SLEEP | FADT_RTC;
    f->boot_flags = BOOT_NO_VGA | BOOT_NO_MSI;
    if (!hd->platform) {
        f->flags |= FADT_REDUCED;
        f->boot_flags |= BOOT_NO_RTC;
        f->sleep_control = port(HVM_SLEEP_PORT, 8);
        f->sleep_status = port(HVM_SLEEP_PORT + 1, 8);
    } else {
        f->flags |= FADT_TIMER_32;
        f->boot_flags |= BOOT_LEGACY;
        f->sci = 9;
        f->pm1a_event = HVM_PM_PORT + VPM_EVENT;
        f->pm1a_control = HVM_PM_PORT + VPM_CONTROL;
        f->pm_timer = HVM_PM_PORT + VPM_TIMER;
        f->pm1_event_length = 4;
        f->pm1_control_length = 2;
        f->pm_timer_length = 4;
        f->x_pm1a_event = port(HVM_PM_PORT + VPM_EVENT, 32);
        f->x_pm1a_control = port(HVM_PM_PORT + VPM_CONTROL, 16);
        f->x_pm_timer = port(HVM_PM_PORT + VPM_TIMER, 32);
        f->c2_latency = f->c3_latency = 0xffff;
        f->century = 0x32;
    }
    return end(w);
}

static u64 write_madt(struct writer *w, const struct domain *d)
{
    struct madt *m = begin(w, "APIC", 4, sizeof(*m));

    m->apic = 0xfee00000;
    m->flags = d->arch.hvm->platform ? MADT_HAS_PIC : 0;
    for (unsigned int i = 0; i < d->max_vcpus; i++)
        append(w, (u8[8]){0, 8, i, vlapic_id(d->vcpu[i]->arch.hvm->vlapic), 1, 0, 0, 0}, 8);
    if (d->arch.hvm->platform) {
        append(w, (u8[12]){1, 12, 1, 0, 0x00, 0x00, 0xc0, 0xfe, 0, 0, 0, 0}, 12); /* I/O APIC 1 at 0xfec00000, lines from 0 */
        append(w, (u8[10]){2, 10, 0, 0, 2, 0, 0, 0, 0, 0}, 10);                   /* ISA 0 is line 2 */
        append(w, (u8[10]){2, 10, 0, 9, 9, 0, 0, 0, 0x0f, 0}, 10);                /* SCI: level, low */
    }
    return end(w);
}

size_t hvm_acpi_tables(const struct domain *d, void *to, u64 at)
{
    struct writer w = {.base = to, .gpa = at, .at = round_up(sizeof(struct rsdp), 16)};
    u64 tables[2], dsdt = write_dsdt(&w);
    struct rsdp *r = to;

    tables[0] = write_fadt(&w, d->arch.hvm, dsdt);
    tables[1] = write_madt(&w, d);
    begin(&w, "XSDT", 1, sizeof(struct acpi_header));
    append(&w, tables, sizeof(tables));
    memset(r, 0, sizeof(*r));
    memcpy(r->signature, "RSD PTR ", 8);
    memcpy(r->oem, "PRGN  ", 6);
    r->revision = 2;
    r->length = sizeof(*r);
    r->xsdt = end(&w);
    r->checksum = sum(r, 20);
    r->extended_checksum = sum(r, sizeof(*r));
    return w.at;
}
