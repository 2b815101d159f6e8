/* SPDX-License-Identifier: MIT */
/*
 * The real-time clock MC146818 and its CMOS memory, ports 0x70 and 0x71. device.h has the interface.
 * Source: Motorola MC146818A data sheet; the century in byte 32h as ACPI's FADT names it.
 *
 * The time of day is system time plus an offset, which a guest moves by setting the clock. Flags of register C are computed when they
 * are looked at; a timer runs only for an interrupt that is enabled and not yet flagged, so a guest that does not acknowledge has one.
 * Interrupts that are late become one. Fields out of range are taken as the nearest that is in range when the clock starts again.
 * Does not: stop the clock by register A's divider (periodic interrupts only), daylight saving, the square wave.
 */
#include "vdevice.h"

#define DAY 86400u
#define UIP_NS MICROSECS(244)

enum { SECONDS_ = 0, ALARM_S = 1, MINUTES = 2, ALARM_M = 3, HOURS = 4, ALARM_H = 5, WEEKDAY = 6, MDAY = 7, MONTH = 8, YEAR = 9,
       REG_A = 10, REG_B = 11, REG_C = 12, REG_D = 13, CENTURY = 0x32 };
#define A_UIP 0x80
#define B_SET 0x80
#define B_BINARY 0x04
#define B_24H 0x02
#define F_PERIODIC 0x40
#define F_ALARM 0x20
#define F_UPDATE 0x10

struct vrtc {
    u8 reg[128];
    u8 index;
    s64 offset;        /* seconds: time of day since 1970 minus whole seconds of system time */
    ns_t last;         /* flags are right up to here */
    struct timer timer;
    struct domain *d;
    struct hvm_io *io;
};

/* Back from days_from_civil(): 146,097 days in 400 years. */
static void civil_from_days(u64 days, unsigned int *year, unsigned int *month, unsigned int *day)
{
    u64 z = days + 719468;
    u32 era = z / 146097, doe = z % 146097;
    u32 yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100), m = (5 * doy + 2) / 153;

    *day = doy - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = era * 400 + yoe + (*month <= 2);
}

static u64 time_of_day(const struct vrtc *r, ns_t now)
{
    return (u64)((s64)(now / SECONDS(1)) + r->offset);
}

static u8 format(const struct vrtc *r, unsigned int n)
{
    return r->reg[REG_B] & B_BINARY ? n : vdevice_to_bcd(n);
}

static unsigned int parse(const struct vrtc *r, u8 v)
{
    return r->reg[REG_B] & B_BINARY ? v : vdevice_from_bcd(v);
}

static u8 format_hour(const struct vrtc *r, unsigned int h)
{
    if (r->reg[REG_B] & B_24H)
        return format(r, h);
    return format(r, h % 12 ? h % 12 : 12) | (h >= 12 ? 0x80 : 0);
}

static unsigned int parse_hour(const struct vrtc *r, u8 v)
{
    if (r->reg[REG_B] & B_24H)
        return parse(r, v);
    return parse(r, v & 0x7f) % 12 + (v & 0x80 ? 12 : 0);
}

/* Write the time of day into the registers. */
static void show(struct vrtc *r, ns_t now)
{
    u64 t = time_of_day(r, now);
    unsigned int year, month, day, s = t % DAY;

    civil_from_days(t / DAY, &year, &month, &day);
    r->reg[SECONDS_] = format(r, s % 60);
    r->reg[MINUTES] = format(r, s / 60 % 60);
    r->reg[HOURS] = format_hour(r, s / 3600);
    r->reg[WEEKDAY] = format(r, (t / DAY + 4) % 7 + 1); /* 1 January 1970 was a Thursday; Sunday is 1 */
    r->reg[MDAY] = format(r, day);
    r->reg[MONTH] = format(r, month);
    r->reg[YEAR] = format(r, year % 100);
    r->reg[CENTURY] = vdevice_to_bcd(year / 100 % 100);
}

static unsigned int within(unsigned int n, unsigned int least, unsigned int most)
{
    return n < least ? least : n > most ? most : n;
}

/* Take the time of day from the registers. */
static void set(struct vrtc *r, ns_t now)
{
    unsigned int year = within(vdevice_from_bcd(r->reg[CENTURY]), 19, 99) * 100 + within(parse(r, r->reg[YEAR]), 0, 99);
    unsigned int month = within(parse(r, r->reg[MONTH]), 1, 12), day = within(parse(r, r->reg[MDAY]), 1, 31);
    u64 t = days_from_civil(within(year, 1970, 9999), month, day) * DAY + within(parse_hour(r, r->reg[HOURS]), 0, 23) * 3600u +
            within(parse(r, r->reg[MINUTES]), 0, 59) * 60 + within(parse(r, r->reg[SECONDS_]), 0, 59);

    r->offset = (s64)t - (s64)(now / SECONDS(1));
}

/* Seconds from second s of a day (0 to 86,399) to the next alarm, 1 to 86,400; 0: it never matches. An alarm byte of c0h or more
 * matches all. At most a day's hours, an hour's minutes and a minute's seconds are looked at. */
static u32 to_alarm(const struct vrtc *r, u32 s)
{
    u8 as = r->reg[ALARM_S], am = r->reg[ALARM_M], ah = r->reg[ALARM_H];
    u32 ahead = 1;

    if ((as < 0xc0 && parse(r, as) > 59) || (am < 0xc0 && parse(r, am) > 59) || (ah < 0xc0 && parse_hour(r, ah) > 23))
        return 0;
    while (ahead <= DAY) {
        u32 t = (s + ahead) % DAY;

        if (ah < 0xc0 && parse_hour(r, ah) != t / 3600)
            ahead += 3600 - t % 3600;
        else if (am < 0xc0 && parse(r, am) != t / 60 % 60)
            ahead += 60 - t % 60;
        else if (as < 0xc0 && parse(r, as) != t % 60)
            ahead++;
        else
            return ahead;
    }
    return 0;
}

/* ns between periodic interrupts, 0: none (data sheet table 5, divider for 32,768 Hz). */
static ns_t period(const struct vrtc *r)
{
    unsigned int rate = r->reg[REG_A] & 15;

    if (!rate || (r->reg[REG_A] & 0x70) != 0x20)
        return 0;
    return SECONDS(1) * (1u << ((rate <= 2 ? rate + 7 : rate) - 1)) / 32768;
}

/* Bring register C and line 8 up to now, and set the timer for the next interrupt that is wanted and not flagged yet. */
static void update(struct vrtc *r, ns_t now)
{
    u8 *flags = &r->reg[REG_C], enabled = r->reg[REG_B];
    u64 before = time_of_day(r, r->last), t = time_of_day(r, now);
    ns_t p = period(r), next = NS_NEVER, second = now - now % SECONDS(1);
    u32 alarm;

    if (!(enabled & B_SET) && t != before) {
        *flags |= F_UPDATE;
        alarm = to_alarm(r, before % DAY);
        if (alarm && (t < before || t - before >= alarm))
            *flags |= F_ALARM;
    }
    if (p && now / p != r->last / p)
        *flags |= F_PERIODIC;
    r->last = now;
    *flags = (*flags & 0x70) | (*flags & enabled & 0x70 ? 0x80 : 0);
    hvm_irq_line(r->d, 8, *flags & 0x80);

    enabled &= ~*flags;
    if (enabled & F_PERIODIC && p)
        next = (now / p + 1) * p;
    if (!(enabled & B_SET)) {
        if (enabled & F_UPDATE)
            next = min_of(next, second + SECONDS(1));
        alarm = enabled & F_ALARM ? to_alarm(r, t % DAY) : 0;
        if (alarm)
            next = min_of(next, second + SECONDS(alarm));
    }
    if (next != NS_NEVER)
        timer_set(&r->timer, r->d->vcpu[0]->processor, next);
    else
        timer_stop(&r->timer);
}

static void due(void *arg)
{
    struct vrtc *r = arg;
    HOLD(&r->io->lock);

    update(r, now_ns());
}

static u8 read_data(struct vrtc *r)
{
    ns_t now = now_ns();
    u8 v, index = r->index;

    switch (index) {
    case SECONDS_: case MINUTES: case HOURS: case WEEKDAY: case MDAY: case MONTH: case YEAR: case CENTURY:
        if (!(r->reg[REG_B] & B_SET))
            show(r, now);
        return r->reg[index];
    case REG_A:
        return r->reg[REG_A] | (!(r->reg[REG_B] & B_SET) && SECONDS(1) - now % SECONDS(1) <= UIP_NS ? A_UIP : 0);
    case REG_C:
        update(r, now);
        v = r->reg[REG_C];
        r->reg[REG_C] = 0;
        update(r, now);
        return v;
    case REG_D:
        return 0x80; /* the battery is good */
    }
    return r->reg[index];
}

static void write_data(struct vrtc *r, u8 v)
{
    ns_t now = now_ns();
    u8 index = r->index;
    bool held = r->reg[REG_B] & B_SET;

    update(r, now);
    switch (index) {
    case SECONDS_: case MINUTES: case HOURS: case WEEKDAY: case MDAY: case MONTH: case YEAR: case CENTURY:
        if (!held)
            show(r, now);
        r->reg[index] = v;
        if (!held)
            set(r, now);
        break;
    case REG_A:
        r->reg[REG_A] = v & 0x7f;
        break;
    case REG_B:
        if (!held && v & B_SET)
            show(r, now);
        r->reg[REG_B] = v & B_SET ? v & ~F_UPDATE : v; /* setting the clock clears UIE */
        if (held && !(v & B_SET))
            set(r, now);
        break;
    case REG_C: case REG_D:
        break;
    default:
        r->reg[index] = v;
    }
    r->last = now; /* moving the clock is no update and no alarm */
    update(r, now);
}

static u64 read_ports(void *dev, u64 at, unsigned int size)
{
    struct vrtc *r = dev;

    if (at & 1)
        return read_data(r);
    return 0xff | (size == 2 ? read_data(r) << 8 : 0); /* the index is write-only */
}

static void write_ports(void *dev, u64 at, unsigned int size, u64 value)
{
    struct vrtc *r = dev;

    if (at & 1) {
        write_data(r, value);
        return;
    }
    r->index = value & 0x7f; /* bit 7 masks NMI, of which there are none here */
    if (size == 2)
        write_data(r, value >> 8);
}

struct vrtc *vrtc_create(struct domain *d, struct hvm_io *io, u64 secs_at_0)
{
    struct vrtc *r = arch_alloc(sizeof(*r));

    if (!r)
        return NULL;
    r->d = d;
    r->io = io;
    r->offset = (s64)(secs_at_0 & 0xffffffffffull);
    r->last = now_ns();
    r->reg[REG_A] = 0x26;
    r->reg[REG_B] = B_24H;
    timer_setup(&r->timer, due, r);
    return hvm_io_register_all(io, HVM_IO_PORT, r, &(struct hvm_io_handler){0x70, 0x71, read_ports, write_ports, r}, 1);
}

void vrtc_destroy(struct vrtc *r)
{
    if (r)
        timer_stop(&r->timer);
    arch_free(r);
}
