/* SPDX-License-Identifier: MIT */
/*
 * The two platforms: start, console, clock, power.
 *
 * A PV domain prints by console_io where it may, else into its console ring (xen/io/console.h).
 * Native prints to COM1 and powers off by ACPI (PIIX4, as QEMU's `pc` places it) or isa-debug-exit
 * at 0xf4.
 */
#include "hypercall.h"
#include "micro.h"
#include <xen/io/console.h>

#define COM1              0x3f8
#define PIIX4_PM1A_CNT    0x604
#define PM1_SLP_EN        0x2000
#define ISA_DEBUG_EXIT    0xf4
#define MULTIBOOT_MAGIC   0x2badb002
#define MULTIBOOT_CMDLINE 4

enum micro_platform platform;
struct start_info *start_info;
struct vcpu_info *vcpu_info;
struct shared_info *shared_info;
bool end_by_reboot;

/* The domain's console ring; NULL for the privileged domain, which uses console_io. */
static struct xencons_interface *console_ring;

extern char VIRT_BASE[];

/* A page of address space for shared_info: this page's own frame is given up for it. */
static uint8_t shared_info_page[PAGE_SIZE] __attribute__((aligned(4096)));

static void ring_write(const char *s, size_t len)
{
    struct evtchn_send send = {.port = start_info->console.domU.evtchn};

    while (len) {
        uint32_t prod = console_ring->out_prod;

        while (len && prod - *(volatile XENCONS_RING_IDX *)&console_ring->out_cons <
                          sizeof(console_ring->out)) {
            console_ring->out[MASK_XENCONS_IDX(prod, console_ring->out)] = *s++;
            prod++;
            len--;
        }
        barrier();
        console_ring->out_prod = prod;
        hc_evtchn(EVTCHNOP_send, &send);
        if (len)
            hc_sched_op(SCHEDOP_yield, NULL);
    }
}

void console_write(const char *s, size_t len)
{
    if (platform == PLATFORM_PV && console_ring) {
        ring_write(s, len);
    } else if (platform == PLATFORM_PV) {
        hc_console_io(CONSOLEIO_write, (unsigned)len, (void *)s);
    } else {
        for (; len; len--) {
            while (!(inb(COM1 + 5) & 0x20))
                ;
            outb(COM1, (uint8_t)*s++);
        }
    }
}

uint64_t now_ns(void)
{
    volatile struct vcpu_time_info *t;
    uint32_t version;
    uint64_t ns;

    if (platform == PLATFORM_NATIVE)
        return rdtsc();
    t = &vcpu_info->time;
    do {
        uint64_t delta;

        version = t->version;
        barrier();
        delta = rdtsc() - t->tsc_timestamp;
        delta = t->tsc_shift < 0 ? delta >> -t->tsc_shift : delta << t->tsc_shift;
        ns = t->system_time + (uint64_t)(((unsigned __int128)delta * t->tsc_to_system_mul) >> 32);
        barrier();
    } while ((version & 1) || version != t->version);
    return ns;
}

void platform_poweroff(void)
{
    struct sched_shutdown s = {.reason = end_by_reboot ? SHUTDOWN_reboot : SHUTDOWN_poweroff};

    if (platform == PLATFORM_PV) {
        hc_sched_op(SCHEDOP_shutdown, &s);
    } else {
        outw(PIIX4_PM1A_CNT, PM1_SLP_EN);
        outb(ISA_DEBUG_EXIT, 0);
    }
    for (;;)
        __asm__ volatile("hlt");
}

void pv_main(struct start_info *si)
{
    platform = PLATFORM_PV;
    start_info = si;
    if (!(si->flags & SIF_PRIVILEGED) && si->console.domU.mfn)
        console_ring = (struct xencons_interface *)va_of_mfn(si->console.domU.mfn);
    shared_info = (struct shared_info *)shared_info_page;
    if (hc_update_va_mapping(PTR(shared_info_page), si->shared_info | PTE_RW, UVMF_INVLPG) != 0)
        print("MICRO cannot map shared_info\n");
    vcpu_info = &shared_info->vcpu_info[0];
    events_mask();
    trap_init_pv();
    memory_init();
    user_init();
    micro_main((const char *)si->cmd_line);
}

void native_main(uint32_t magic, uint32_t multiboot_info)
{
    const uint32_t *info = (const uint32_t *)(PTR(VIRT_BASE) + multiboot_info);
    const char *cmdline = "";

    platform = PLATFORM_NATIVE;
    if (magic == MULTIBOOT_MAGIC && (info[0] & MULTIBOOT_CMDLINE))
        cmdline = (const char *)(PTR(VIRT_BASE) + info[4]);
    trap_init_native();
    memory_init();
    user_init();
    micro_main(cmdline);
}
