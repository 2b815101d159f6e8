/* SPDX-License-Identifier: MIT */
/*
 * What a domain may reach of the machine besides its memory: I/O ports and device memory, as range sets (DESIGN §3,
 * decision 9). Passthrough and device models will use only these.
 */
#ifndef PARANGON_PV_IO_RIGHTS_H
#define PARANGON_PV_IO_RIGHTS_H

#include "core/domain.h"

struct io_range {
    u64 first, last; /* inclusive */
};
struct io_rights {
    struct io_range port[32], mem[32];
    unsigned int nr_ports, nr_mem;
    unsigned int last_port; /* index of the range that the last port asked for was in */
};

/** The first domain's rights: everything but what the hypervisor uses itself. Must be called after the devices are known. */
int io_rights_first_domain(struct domain *d);
/** Hide ports or frames from everyone (hypervisor's UART, PIT, APIC, trace ring). Before any domain is made. */
void io_hide_ports(u32 first, u32 last);
void io_hide_mem(u64 first_mfn, u64 last_mfn);
bool io_port_allowed(const struct domain *d, u32 port, unsigned int size);
/** PCI functions hidden from domains by (bus << 8 | devfn); -1: none. */
extern int pci_hidden_bdf;

#endif
