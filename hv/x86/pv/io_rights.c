/* SPDX-License-Identifier: MIT */
/* Range sets of ports and device memory; io_rights.h is the contract. */
#include "io_rights.h"
#include "typing.h"
#include "x86/cpu.h"

static struct io_range hidden_port[16], hidden_mem[16];
static unsigned int nr_hidden_ports, nr_hidden_mem;
int pci_hidden_bdf = -1;

static void add(struct io_range *set, unsigned int *nr, unsigned int max, u64 first, u64 last)
{
    BUG_ON(*nr == max);
    set[(*nr)++] = (struct io_range){first, last};
}

void io_hide_ports(u32 first, u32 last)
{
    add(hidden_port, &nr_hidden_ports, ARRAY_SIZE(hidden_port), first, last);
}

void io_hide_mem(u64 first_mfn, u64 last_mfn)
{
    add(hidden_mem, &nr_hidden_mem, ARRAY_SIZE(hidden_mem), first_mfn, last_mfn);
}

/* All of 0..limit but the hidden ranges. */
static void complement(struct io_range *set, unsigned int *nr, unsigned int max, const struct io_range *hidden,
                       unsigned int nr_hidden, u64 limit)
{
    u64 at = 0;

    for (;;) {
        const struct io_range *next = NULL;

        for (unsigned int i = 0; i < nr_hidden; i++)
            if (hidden[i].last >= at && (!next || hidden[i].first < next->first))
                next = &hidden[i];
        if (!next) {
            add(set, nr, max, at, limit);
            return;
        }
        if (next->first > at)
            add(set, nr, max, at, next->first - 1);
        at = next->last + 1;
    }
}

int io_rights_first_domain(struct domain *d)
{
    struct io_rights *io = arch_alloc(sizeof(*io));

    if (!io)
        return -XEN_ENOMEM;
    complement(io->port, &io->nr_ports, ARRAY_SIZE(io->port), hidden_port, nr_hidden_ports, 0xffff);
    complement(io->mem, &io->nr_mem, ARRAY_SIZE(io->mem), hidden_mem, nr_hidden_mem,
               (1ull << (cpu_features.phys_bits - PAGE_SHIFT)) - 1);
    d->arch.io = io;
    return 0;
}

/* Index of the range that holds all of first to last; nr: none. */
static unsigned int range_of(const struct io_range *set, unsigned int nr, u64 first, u64 last)
{
    unsigned int i = 0;

    while (i < nr && !(first >= set[i].first && last <= set[i].last))
        i++;
    return i;
}

bool io_port_allowed(const struct domain *d, u32 port, unsigned int size)
{
    struct io_rights *io = d->arch.io;
    unsigned int i;

    if (!io)
        return false;
    i = io->last_port;
    if (likely(i < io->nr_ports && port >= io->port[i].first && port + size - 1 <= io->port[i].last))
        return true;
    i = range_of(io->port, io->nr_ports, port, port + size - 1);
    if (i == io->nr_ports)
        return false;
    io->last_port = i;
    return true;
}

bool io_mem_allowed(const struct domain *d, mfn_t mfn)
{
    return d->arch.io && range_of(d->arch.io->mem, d->arch.io->nr_mem, mfn.n, mfn.n) < d->arch.io->nr_mem;
}
