/* SPDX-License-Identifier: MIT */
/*
 * Fuzzer of the devices: any access of any width to any port and register, lines, interrupts taken, and time in steps from nothing to
 * years.
 *
 * Invariants after each step: a vector that is told pending can be accepted and is legal; the local APIC's registers agree with what it
 * offers; no more timer interrupts of the hypervisor than the stated policy allows in the time that passed; a read tells no more bits
 * than it was asked for.
 */
#include "board.h"
#include "hv/x86/hvm/vdevice.h"
#include "tests/fuzz/fuzz.h"

const char fuzz_name[] = "devices";
const size_t fuzz_bytes = 4000;

static const u16 ports[] = {0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x61, 0x70, 0x71, 0x3f8, 0x3f9, 0x3fa, 0x3fb,
                            0x3fc, 0x3fd, 0x3fe, 0x3ff, 0xb000, 0xb002, 0xb004, 0xb005, 0xb008, 0xb00f, 0xcf9, 0x3f, 0x44, 0x72};

static void access_port(struct fuzz_input *in)
{
    u16 port = fuzz_chance(in, 95) ? ports[fuzz_below(in, ARRAY_SIZE(ports))] : fuzz_bits(in, 2);
    unsigned int size = 1u << fuzz_below(in, 3);
    u64 v;

    if (fuzz_chance(in, 60)) {
        (void)hvm_io_write(&board.io, HVM_IO_PORT, port, size, fuzz_bits(in, fuzz_chance(in, 80) ? 1 : 4));
        return;
    }
    (void)hvm_io_read(&board.io, HVM_IO_PORT, port, size, &v);
    FUZZ_CHECK(v >> (8 * size) == 0, "port %#x of %u bytes reads %#llx", port, size, (unsigned long long)v);
}

static void access_ioapic(struct fuzz_input *in)
{
    u64 at = 0xfec00000 + (fuzz_chance(in, 90) ? fuzz_below(in, 2) * 0x10 : fuzz_bits(in, 2) & 0xfff), v;
    unsigned int size = 1u << fuzz_below(in, 4);

    if (fuzz_chance(in, 50))
        (void)hvm_io_write(&board.io, HVM_IO_MEMORY, at, size, fuzz_bits(in, fuzz_chance(in, 50) ? 1 : 8));
    else
        (void)hvm_io_read(&board.io, HVM_IO_MEMORY, at, size, &v);
}

static void access_apic(struct fuzz_input *in, struct vlapic *l)
{
    unsigned int offset = fuzz_chance(in, 90) ? fuzz_below(in, 0x40) << 4 : fuzz_bits(in, 2) & 0xfff, size = 4;
    u64 v = fuzz_bits(in, fuzz_chance(in, 50) ? 1 : fuzz_chance(in, 50) ? 3 : 8);

    if (fuzz_chance(in, 5))
        size = 1u << fuzz_below(in, 4);
    switch (fuzz_below(in, 6)) {
    case 0: case 1:
        vlapic_mmio_write(l, offset, size, v);
        break;
    case 2:
        (void)vlapic_mmio_read(l, offset, size);
        break;
    case 3:
        (void)vlapic_msr_write(l, 0x800 + (offset >> 4), v);
        break;
    case 4:
        (void)vlapic_msr_read(l, 0x800 + fuzz_u8(in), &v);
        break;
    default:
        if (fuzz_chance(in, 30))
            (void)vlapic_msr_write(l, 0x1b, 0xfee00000 | (u64)fuzz_below(in, 16) << 8);
        else if (fuzz_chance(in, 50))
            (void)vlapic_msr_write(l, 0x6e0, fuzz_chance(in, 50) ? host_now + fuzz_bits(in, 3) : v);
        else
            vlapic_set_cr8(l, fuzz_below(in, 16));
    }
}

/* The vCPU takes what it is offered, as irq.c would. */
static void take_interrupts(struct fuzz_input *in)
{
    struct vlapic *l = board.apic[fuzz_below(in, board.nr_apics)];
    int vector = vlapic_pending(l), pic;

    if (vector >= 0) {
        FUZZ_CHECK(vector >= 16 && vector <= 255, "vector %d is pending", vector);
        FUZZ_CHECK(vector >> 4 > vlapic_priority(l) >> 4, "vector %#x is pending at priority %#x", vector, vlapic_priority(l));
        vlapic_accept(l, vector);
        FUZZ_CHECK(vlapic_priority(l) >> 4 >= vector >> 4, "priority %#x while %#x is in service", vlapic_priority(l), vector);
    }
    pic = vpic_pending(board.pic);
    if (pic >= 0)
        FUZZ_CHECK(vpic_accept(board.pic) == pic, "the 8259A gave another vector than it told (%#x)", pic);
}

static void pass_time(struct fuzz_input *in)
{
    static const ns_t most[] = {MICROSECS(1), MICROSECS(100), MILLISECS(20), SECONDS(3), SECONDS(100000), SECONDS(100000000)};
    u64 before = host_timer_interrupts, may;
    ns_t step = fuzz_bits(in, 4) % most[fuzz_below(in, 4)];

    if (fuzz_chance(in, 3)) /* nobody ran for days or years: no timer in between, as when the machine is stopped */
        host_now += fuzz_bits(in, 6) % most[4 + fuzz_below(in, 2)];
    if (step > MILLISECS(5)) /* each period is simulated; one long step a sequence is enough */
        step = fuzz_chance(in, 2) ? step : MILLISECS(5);
    host_advance(step);
    may = (board.nr_apics + 1) * (step / VDEVICE_PERIOD_MIN + 2) + step / MICROSECS(61) + 3 * board.nr_apics + 8;
    FUZZ_CHECK(host_timer_interrupts - before <= may, "%llu timer interrupts in %llu ns", (unsigned long long)(host_timer_interrupts - before),
               (unsigned long long)step);
}

void fuzz_one(struct fuzz_input *in)
{
    board_start(1 + fuzz_below(in, 3), fuzz_chance(in, 70));
    board.in = "hello";
    for (unsigned int i = 0; i < board.nr_apics; i++)
        if (fuzz_chance(in, 80))
            vlapic_virtual_wire(board.apic[i]);
    while (fuzz_more(in)) {
        switch (fuzz_below(in, 16)) {
        case 0 ... 6:
            access_port(in);
            break;
        case 7: case 8:
            access_ioapic(in);
            break;
        case 9 ... 11:
            access_apic(in, board.apic[fuzz_below(in, board.nr_apics)]);
            break;
        case 12:
            hvm_irq_line(board.d, fuzz_below(in, 24), fuzz_chance(in, 50));
            break;
        case 13:
            vuart_poll(board.uart);
            break;
        case 14:
            take_interrupts(in);
            break;
        default:
            pass_time(in);
        }
    }
    board_stop();
}
