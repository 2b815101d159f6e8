/* SPDX-License-Identifier: MIT */
/*
 * The physical map (p2m) of an auto-translated domain: which machine frame stands behind a guest
 * frame, and as what (DESIGN §3, decision 9). A PV domain keeps its own and has none here: ops is
 * NULL, and a guest frame number is a machine frame number.
 *
 * The processor's format (nested page tables) stands behind struct p2m_ops, which whoever creates
 * the domain gives to p2m_init(). What an entry may name, what it holds and when that is given back
 * is decided in p2m.c alone:
 *   ram, log-dirty, paged   memory that the domain owns; the entry holds nothing of its own, the
 *                           allocation does. Whoever takes the entry out frees or keeps the frame.
 *   shared                  a page that the hypervisor shares with the domain (shared_info, grant
 *                           table); never freed by taking it out.
 *   grant, foreign          another domain's memory. The setter has taken the frame with
 *                           arch_hold_frame(), writable but for read-only grants; the entry owns
 *                           that hold and gives it back.
 *   mmio                    a device's frame that the domain has a right to; nothing is held.
 * Lock: p2m.lock, inside everything but the scheduler's (hv/README.md). Look-ups take it too.
 * Does not: allocate or free memory of a guest; walk a guest's own page tables.
 */
#ifndef PARANGON_P2M_H
#define PARANGON_P2M_H

#include "lib.h"

struct domain;

enum p2m_type {
    P2M_NONE,     /* nothing there: what touches it faults */
    P2M_RAM, P2M_LOGDIRTY, /* the latter: write-protected until the next write marks it dirty and makes it ram */
    P2M_PAGED,    /* ram that is not there now: a vCPU that touches it waits (VPF_IN_HV) */
    P2M_SHARED, P2M_GRANT_RW, P2M_GRANT_RO, P2M_FOREIGN, P2M_MMIO,
    P2M_NR_TYPES
};

/** Sizes of an entry: log2 of its frames. */
#define P2M_ORDER_4K 0
#define P2M_ORDER_2M 9
#define P2M_ORDER_1G 18

/** Guest frame numbers end below this (40 bits of guest-physical address). */
#define P2M_LIMIT (1ull << 28)

/** What a format of tables offers. Called with p2m.lock held, arguments checked. */
struct p2m_ops {
    /**
     * The entry that covers gfn: the machine frame of gfn itself (MFN_INVALID for none and paged),
     * its type and the order of the entry, so that a caller may take gfn's neighbours with it. For
     * P2M_NONE the order of the hole, as far as the format can tell cheaply.
     */
    mfn_t (*lookup)(struct domain *d, gfn_t gfn, enum p2m_type *type, unsigned int *order);
    /**
     * Write entries for 2^order frames from gfn on, splitting larger ones that are in the way.
     * P2M_NONE takes them out. 0, or -XEN_ENOMEM with nothing changed.
     */
    int (*write)(struct domain *d, gfn_t gfn, mfn_t mfn, enum p2m_type type, unsigned int order);
    /**
     * Let paged memory come, cleared, by one walk: 2 MiB at a time where the entry is as large and the machine has that much. Where d
     * logs written frames it comes by 4 KiB and begins as unwritten. @return the type of the entry before: P2M_PAGED, and it has come,
     * or another one, and nothing is done; -XEN_ENOMEM: no memory is left, or d may not own more. NULL where none is ever paged.
     */
    int (*fill)(struct domain *d, gfn_t gfn);
    /** No processor uses a translation any more that write() has changed. */
    void (*flush)(struct domain *d);
    /** Free the tables. All holds have been given back. */
    void (*destroy)(struct domain *d);
};

struct p2m {
    const struct p2m_ops *ops;    /* NULL: the domain is not auto-translated */
    struct spinlock lock;
    u64 nr_held;                  /* entries that hold another domain's frame */
    u64 nr_paged;                 /* guest frames that are promised: they come when they are first touched */
    u64 end;                      /* one above the highest guest frame that ever had an entry */
    u64 teardown;                 /* next guest frame that p2m_teardown() looks at */
};

/** Give a new domain its map. Before any other call. */
void p2m_init(struct domain *d, const struct p2m_ops *ops);

/**
 * Machine frame behind a guest frame, with type and order of its entry (either may be NULL).
 * MFN_INVALID where there is none (P2M_NONE, P2M_PAGED). Not auto-translated: the number itself,
 * P2M_RAM; whether it is the domain's memory the taker of a reference finds out. The answer is good
 * until the lock is given up: take a hold (arch_hold_frame()) before relying on the frame.
 */
mfn_t p2m_get(struct domain *d, gfn_t gfn, enum p2m_type *type, unsigned int *order);
/** What stands, or stood, at a guest frame. */
struct p2m_entry {
    mfn_t mfn; /* MFN_INVALID: none, paged */
    enum p2m_type type;
};
/** Sets of types. */
#define P2M_BIT(type) (1u << (type))
#define P2M_ANYTHING  (~P2M_BIT(P2M_NONE))
#define P2M_OWN       (P2M_BIT(P2M_RAM) | P2M_BIT(P2M_LOGDIRTY) | P2M_BIT(P2M_PAGED)) /* the domain's own memory, there or not */
#define P2M_HOLDING   (P2M_BIT(P2M_GRANT_RW) | P2M_BIT(P2M_GRANT_RO) | P2M_BIT(P2M_FOREIGN))
/**
 * Let a guest frame be a machine frame, if what stands there is of one of these types (P2M_BIT(P2M_NONE): nothing), in one step. What stood there goes
 * as by p2m_remove(), and *was is that. Grant and foreign: the hold passes to the entry on success.
 * @return 0; -XEN_ENOENT: something of another type stands there; -XEN_EINVAL: beyond P2M_LIMIT, a type that is no such thing,
 *         or a frame that is not the domain's memory; -XEN_EPERM: mmio without a right to it;
 *         -XEN_ENOMEM; -XEN_EOPNOTSUPP: the domain is not auto-translated
 */
int p2m_set(struct domain *d, gfn_t gfn, u32 types, mfn_t mfn, enum p2m_type type, struct p2m_entry *was);
/**
 * Take out what stands at a guest frame, if it is of one of these types, in one step; no processor uses it when this returns, and a
 * hold of another domain's frame has been given back. A frame of ram stays allocated: the caller frees it, by *was. Errors as p2m_set().
 */
int p2m_remove(struct domain *d, gfn_t gfn, u32 types, struct p2m_entry *was);
/**
 * Change the type of all entries in [gfn, gfn + nr) that have type `from`, between ram and
 * log-dirty, and see to it that no processor uses the old one. What becomes ram has been written:
 * it is marked in the domain's log. 0, -XEN_EINVAL, -XEN_ENOMEM (some
 * entries are changed), -XEN_ERESTART: *done frames have been looked at, call again from there.
 */
int p2m_change_type(struct domain *d, gfn_t gfn, u64 nr, enum p2m_type from, enum p2m_type to,
                    u64 *done);
/**
 * A dying domain's: give back all holds, then the tables. 0, or -XEN_ERESTART to be called again.
 */
int p2m_teardown(struct domain *d);

/** Entries of the type are the domain's own memory. */
static inline bool p2m_type_is_ram(enum p2m_type t)
{
    return t == P2M_RAM || t == P2M_LOGDIRTY;
}
/** A guest's write through an entry of the type goes to the frame behind it at once. */
static inline bool p2m_type_writable(enum p2m_type t)
{
    return t == P2M_RAM || t == P2M_SHARED || t == P2M_GRANT_RW || t == P2M_FOREIGN || t == P2M_MMIO;
}
/** An entry of the type holds another domain's frame. */
static inline bool p2m_type_holds(enum p2m_type t)
{
    return t == P2M_GRANT_RW || t == P2M_GRANT_RO || t == P2M_FOREIGN;
}

#endif
