/* SPDX-License-Identifier: MIT */
/*
 * The ranges of ports and memory that a domain's devices have registered (device.h), sorted, found by halving. Portable.
 */
#include "device.h"

int hvm_io_register(struct hvm_io *io, enum hvm_io_space space, const struct hvm_io_handler *h)
{
    struct hvm_io_handler *set = io->handler[space];
    unsigned int n = io->nr[space], at = 0;

    if (h->last < h->first)
        return -XEN_EINVAL;
    while (at < n && set[at].last < h->first)
        at++;
    if (at < n && set[at].first <= h->last)
        return -XEN_EEXIST;
    if (n == HVM_IO_MAX)
        return -XEN_ENOSPC;
    memmove(&set[at + 1], &set[at], (n - at) * sizeof(*set));
    set[at] = *h;
    if (space == HVM_IO_PORT)
        for (u64 four = h->first >> 2; four <= h->last >> 2; four++)
            io->ports[four / 64 & 255] |= 1ull << four % 64;
    io->nr[space] = n + 1;
    return 0;
}

void *hvm_io_register_all(struct hvm_io *io, enum hvm_io_space space, void *dev, const struct hvm_io_handler *h, unsigned int nr)
{
    for (unsigned int i = 0; i < nr; i++) {
        if (hvm_io_register(io, space, &h[i])) {
            arch_free(dev);
            return NULL;
        }
    }
    return dev;
}

static const struct hvm_io_handler *find(const struct hvm_io *io, enum hvm_io_space space, u64 at)
{
    const struct hvm_io_handler *set = io->handler[space];
    unsigned int lo = 0, hi = io->nr[space];

    /* Most ports that a kernel tries are nobody's: those of PCI, 0xcf8 to 0xcff, above all. */
    if (space == HVM_IO_PORT && hvm_io_no_port(io, at))
        return NULL;

    while (lo < hi) {
        unsigned int mid = (lo + hi) / 2;

        if (at > set[mid].last)
            lo = mid + 1;
        else if (at < set[mid].first)
            hi = mid;
        else
            return &set[mid];
    }
    return NULL;
}

static inline u64 read_from(struct hvm_io *io, const struct hvm_io_handler *h, u64 at, unsigned int size)
{
    if (h->unlocked)
        return h->read(h->dev, at, size);
    HOLD(&io->lock);
    return h->read(h->dev, at, size);
}

static inline void write_to(struct hvm_io *io, const struct hvm_io_handler *h, u64 at, unsigned int size, u64 value)
{
    if (h->unlocked) {
        h->write(h->dev, at, size, value);
        return;
    }
    HOLD(&io->lock);
    h->write(h->dev, at, size, value);
}

static u64 ones(unsigned int size)
{
    return size == 8 ? ~0ull : (1ull << size * 8) - 1;
}

bool hvm_io_read(struct hvm_io *io, enum hvm_io_space space, u64 at, unsigned int size, u64 *value)
{
    const struct hvm_io_handler *h = find(io, space, at);

    if (!h) {
        *value = ones(size);
        return false;
    }
    if (likely(at + size - 1 <= h->last)) {
        *value = read_from(io, h, at, size) & ones(size);
        return true;
    }
    *value = 0; /* across its end: byte by byte */
    for (unsigned int i = 0; i < size; i++) {
        u64 byte;

        (void)hvm_io_read(io, space, at + i, 1, &byte);
        *value |= byte << 8 * i;
    }
    return true;
}

bool hvm_io_write(struct hvm_io *io, enum hvm_io_space space, u64 at, unsigned int size, u64 value)
{
    const struct hvm_io_handler *h = find(io, space, at);

    if (!h)
        return false;
    if (likely(at + size - 1 <= h->last)) {
        write_to(io, h, at, size, value & ones(size));
        return true;
    }
    for (unsigned int i = 0; i < size; i++)
        (void)hvm_io_write(io, space, at + i, 1, value >> 8 * i & 0xff);
    return true;
}
