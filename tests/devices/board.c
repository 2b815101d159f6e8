/* SPDX-License-Identifier: MIT */
/*
 * The board; board.h has the interface. What platform.c and irq.c do in the hypervisor, in its simplest form.
 */
#include "board.h"

#include <stdlib.h>

struct board board;

void hvm_vcpu_kick(struct vcpu *v)
{
    board.kicks++;
}

void hvm_irq_line(struct domain *d, unsigned int gsi, bool level)
{
    if (level && !(board.lines >> gsi & 1))
        board.rises[gsi]++;
    board.lines = (board.lines & ~(1u << gsi)) | (u32)level << gsi;
    vpic_set(board.pic, gsi, level);
    vioapic_set(board.ioapic, gsi == 0 ? 2 : gsi, level);
}

void hvm_apic_deliver(struct domain *d, const struct vlapic_message *m)
{
    board.last = *m;
    board.messages++;
    for (unsigned int i = 0; i < board.nr_apics; i++)
        if (board.apic[i] != m->except && vlapic_matches(board.apic[i], m->dest, m->logical) && m->mode <= 1) {
            vlapic_raise(board.apic[i], m->vector, m->level);
            if (m->mode == 1)
                return;
        }
}

void hvm_apic_eoi(struct domain *d, u8 vector)
{
    board.eois++;
    board.eoi_vector = vector;
    vioapic_eoi(board.ioapic, vector);
}

void hvm_power(struct domain *d, unsigned int how)
{
    board.power = 1 + how;
}

void hvm_vcpu_tpr(struct vcpu *v, u8 cr8)
{
    board.cr8 = cr8;
}

ns_t hvm_tsc_deadline(u64 tsc) /* one tick a nanosecond */
{
    return tsc;
}

void hvm_uart_put(struct domain *d, u8 c)
{
    if (board.out_fill < sizeof(board.out))
        board.out[board.out_fill++] = c;
}

int hvm_uart_get(struct domain *d)
{
    return board.in && *board.in ? (u8)*board.in++ : -1;
}

void board_start(unsigned int vcpus, bool x2apic)
{
    host_machine_start(256, 1, "rr");
    memset(&board, 0, sizeof(board));
    board.d = host_domain(1, vcpus, 8);
    for (unsigned int i = 0; i < vcpus; i++)
        board.apic[board.nr_apics++] = vlapic_create(board.d->vcpu[i], i, x2apic);
    spin_lock_init(&board.io.lock, LOCK_DEVICES);
    board.ioapic = vioapic_create(board.d, &board.io, 0xfec00000);
    board.pic = vpic_create(board.d, &board.io);
    board.pit = vpit_create(board.d, &board.io);
    board.rtc = vrtc_create(board.d, &board.io, 1767225599); /* so it is 2026-01-01 00:00:00 at one second */
    board.uart = vuart_create(board.d, &board.io, 0x3f8, 4);
    board.pm = vpm_create(board.d, &board.io, 0xb000);
    if (!board.pm || !board.uart || !board.rtc || !board.pit || !board.pic || !board.ioapic || !board.apic[0])
        abort();
}

void board_stop(void)
{
    vpm_destroy(board.pm);
    vuart_destroy(board.uart);
    vrtc_destroy(board.rtc);
    vpit_destroy(board.pit);
    vpic_destroy(board.pic);
    vioapic_destroy(board.ioapic);
    for (unsigned int i = 0; i < board.nr_apics; i++)
        vlapic_destroy(board.apic[i]);
    host_machine_stop();
}

u32 port_in_n(u16 port, unsigned int size)
{
    u64 v;

    (void)hvm_io_read(&board.io, HVM_IO_PORT, port, size, &v);
    return v;
}

void port_out_n(u16 port, unsigned int size, u32 v)
{
    (void)hvm_io_write(&board.io, HVM_IO_PORT, port, size, v);
}

u8 port_in(u16 port)
{
    return port_in_n(port, 1);
}

void port_out(u16 port, u8 v)
{
    port_out_n(port, 1, v);
}

u32 apic_in(unsigned int offset)
{
    return vlapic_mmio_read(board.apic[0], 0xfee00000 + offset, 4);
}

void apic_out(unsigned int offset, u32 v)
{
    vlapic_mmio_write(board.apic[0], 0xfee00000 + offset, 4, v);
}

u32 ioapic_in(u8 reg)
{
    u64 v;

    (void)hvm_io_write(&board.io, HVM_IO_MEMORY, 0xfec00000, 4, reg);
    (void)hvm_io_read(&board.io, HVM_IO_MEMORY, 0xfec00010, 4, &v);
    return v;
}

void ioapic_out(u8 reg, u32 v)
{
    (void)hvm_io_write(&board.io, HVM_IO_MEMORY, 0xfec00000, 4, reg);
    (void)hvm_io_write(&board.io, HVM_IO_MEMORY, 0xfec00010, 4, v);
}
