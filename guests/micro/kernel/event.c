/* SPDX-License-Identifier: MIT */
/*
 * Events: the upcall handler for both ABIs, and the bits of a port whichever is in use.
 *
 * The handler logs the ports in the order it finds them; tests compare that log. FIFO is in use
 * once a test has set fifo_control (xen/event_channel.h; queue order and link rules from the FIFO
 * design document).
 */
#include "hypercall.h"
#include "micro.h"

volatile unsigned ev_upcalls, ev_count;
volatile uint32_t ev_log[EV_LOG];
volatile uint64_t ev_rip;
void (*ev_hook)(uint32_t port);
void (*ev_eoi)(void);
struct evtchn_fifo_control_block *fifo_control;
uint32_t *fifo_page[FIFO_PAGES];

#define WORDS_PER_PAGE (PAGE_SIZE / sizeof(event_word_t))

static volatile uint32_t *fifo_word(uint32_t port)
{
    return &fifo_page[port / WORDS_PER_PAGE][port % WORDS_PER_PAGE];
}

static void bit_set(volatile void *word, unsigned bit)
{
    __asm__ volatile("lock btsl %1, %0" : "+m"(*(volatile uint32_t *)word) : "Ir"(bit) : "memory");
}

static void bit_clear(volatile void *word, unsigned bit)
{
    __asm__ volatile("lock btrl %1, %0" : "+m"(*(volatile uint32_t *)word) : "Ir"(bit) : "memory");
}

static volatile uint32_t *port_word(unsigned long *map, uint32_t port)
{
    return (volatile uint32_t *)map + port / 32;
}

void events_reset_log(void)
{
    ev_upcalls = ev_count = 0;
}

void events_mask(void)
{
    if (platform == PLATFORM_PVH)
        __asm__ volatile("cli" ::: "memory");
    else if (platform == PLATFORM_PV)
        vcpu_info->evtchn_upcall_mask = 1;
    barrier();
}

bool events_masked(void)
{
    uint64_t flags;

    if (platform == PLATFORM_PV)
        return vcpu_info->evtchn_upcall_mask;
    __asm__ volatile("pushf; pop %0" : "=r"(flags)::"memory");
    return !(flags & X86_IF);
}

void events_unmask(void)
{
    if (platform == PLATFORM_PVH) {
        __asm__ volatile("sti; nop" ::: "memory");
        return;
    }
    *(volatile uint8_t *)&vcpu_info->evtchn_upcall_mask = 0;
    barrier();
    if (*(volatile uint8_t *)&vcpu_info->evtchn_upcall_pending)
        hc_xen_version(XENVER_version, NULL); /* any hypercall delivers */
}

long events_wait(void)
{
    if (platform == PLATFORM_PV)
        return hc_sched_op(SCHEDOP_block, NULL);
    __asm__ volatile("sti; hlt" ::: "memory");
    return 0;
}

bool port_pending(uint32_t port)
{
    if (fifo_control)
        return *fifo_word(port) >> EVTCHN_FIFO_PENDING & 1;
    return *port_word(shared_info->evtchn_pending, port) >> (port % 32) & 1;
}

void port_mask(uint32_t port, bool masked)
{
    volatile uint32_t *w =
        fifo_control ? fifo_word(port) : port_word(shared_info->evtchn_mask, port);
    unsigned bit = fifo_control ? EVTCHN_FIFO_MASKED : port % 32;

    if (masked)
        bit_set(w, bit);
    else
        bit_clear(w, bit);
}

void port_clear(uint32_t port)
{
    if (fifo_control)
        bit_clear(fifo_word(port), EVTCHN_FIFO_PENDING);
    else
        bit_clear(port_word(shared_info->evtchn_pending, port), port % 32);
}

static void port_handle(uint32_t port)
{
    port_clear(port);
    if (ev_count < EV_LOG)
        ev_log[ev_count] = port;
    ev_count++;
    if (ev_hook)
        ev_hook(port);
}

static void upcall_2level(void)
{
    uint64_t sel = __atomic_exchange_n(&vcpu_info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);

    while (sel) {
        unsigned w = (unsigned)__builtin_ctzl(sel);
        uint64_t bits;

        sel &= sel - 1;
        while ((bits = *(volatile uint64_t *)&shared_info->evtchn_pending[w] &
                       ~*(volatile uint64_t *)&shared_info->evtchn_mask[w]) != 0)
            port_handle(w * 64 + (unsigned)__builtin_ctzl(bits));
    }
}

/* Clear LINKED and take the link, in one step; the word's other bits may change under us. */
static uint32_t fifo_unlink(volatile uint32_t *w)
{
    uint32_t old = *w, new;

    do {
        new = old & ~((1u << EVTCHN_FIFO_LINKED) | EVTCHN_FIFO_LINK_MASK);
    } while (!__atomic_compare_exchange_n(w, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return old & EVTCHN_FIFO_LINK_MASK;
}

static void upcall_fifo(void)
{
    static uint32_t head[EVTCHN_FIFO_MAX_QUEUES];
    uint32_t ready = __atomic_exchange_n(&fifo_control->ready, 0, __ATOMIC_SEQ_CST);

    while (ready) {
        unsigned q = (unsigned)__builtin_ctz(ready);
        uint32_t port = head[q] ? head[q] : *(volatile uint32_t *)&fifo_control->head[q];
        volatile uint32_t *w = fifo_word(port);

        head[q] = fifo_unlink(w);
        if (!head[q])
            ready &= ~(1u << q);
        if ((*w >> EVTCHN_FIFO_PENDING & 1) && !(*w >> EVTCHN_FIFO_MASKED & 1))
            port_handle(port);
        ready |= __atomic_exchange_n(&fifo_control->ready, 0, __ATOMIC_SEQ_CST);
    }
}

void event_upcall(void)
{
    ev_upcalls++;
    if (ev_eoi)
        ev_eoi();
    do {
        *(volatile uint8_t *)&vcpu_info->evtchn_upcall_pending = 0;
        barrier();
        if (fifo_control)
            upcall_fifo();
        else
            upcall_2level();
    } while (*(volatile uint8_t *)&vcpu_info->evtchn_upcall_pending);
}
