/* SPDX-License-Identifier: MIT */
/*
 * Nested page tables: what AMD's format and Intel's have in common (nested.c), and what a format tells of itself (npt.c, ept.c).
 *
 * Both are 4-level tables of 512 entries whose bits 12 to 51 are a frame, whose bit 7 makes an entry of level 2 or 3 a leaf, and that ignore
 * bits 52 to 55, where the p2m type stands.
 */
#ifndef PARANGON_HVM_NESTED_H
#define PARANGON_HVM_NESTED_H

#include "hvm.h"
#include "x86/frame.h"

struct nested_format {
    u64 present;                                      /* an entry without any of these bits leads nowhere */
    u64 table;                                        /* bits of an entry that points to a table */
    u64 leaf[P2M_NR_TYPES];                           /* bits besides frame, type and PTE_PSE of a leaf of a type */
};

/** .leaf, from the bits that let read, write in addition, and a device's. */
#define NESTED_LEAVES(read, write, device)                                                                                           \
    {                                                                                                                                \
        [P2M_RAM] = (read) | (write), [P2M_SHARED] = (read) | (write), [P2M_GRANT_RW] = (read) | (write),                            \
        [P2M_FOREIGN] = (read) | (write), [P2M_LOGDIRTY] = (read), [P2M_GRANT_RO] = (read), [P2M_MMIO] = (device),                   \
    }

/** struct p2m_ops in the two formats: NESTED_OPS(npt, npt) defines npt_ops. */
mfn_t nested_lookup(const struct nested_format *f, struct domain *d, gfn_t gfn, enum p2m_type *type, unsigned int *order);
int nested_write(const struct nested_format *f, struct domain *d, gfn_t gfn, mfn_t mfn, enum p2m_type type, unsigned int order);
int nested_fill(const struct nested_format *f, struct domain *d, gfn_t gfn);
void nested_flush(const struct nested_format *f, struct domain *d);
void nested_destroy(const struct nested_format *f, struct domain *d);

#define NESTED_OPS(name, format)                                                                                                     \
    static mfn_t name##_lookup(struct domain *d, gfn_t gfn, enum p2m_type *type, unsigned int *order)                                \
    {                                                                                                                                \
        return nested_lookup(&format, d, gfn, type, order);                                                                          \
    }                                                                                                                                \
    static int name##_write(struct domain *d, gfn_t gfn, mfn_t mfn, enum p2m_type type, unsigned int order)                          \
    {                                                                                                                                \
        return nested_write(&format, d, gfn, mfn, type, order);                                                                      \
    }                                                                                                                                \
    static int name##_fill(struct domain *d, gfn_t gfn)                                                                              \
    {                                                                                                                                \
        return nested_fill(&format, d, gfn);                                                                                         \
    }                                                                                                                                \
    static void name##_flush(struct domain *d)                                                                                       \
    {                                                                                                                                \
        nested_flush(&format, d);                                                                                                    \
    }                                                                                                                                \
    static void name##_destroy(struct domain *d)                                                                                     \
    {                                                                                                                                \
        nested_destroy(&format, d);                                                                                                  \
    }                                                                                                                                \
    const struct p2m_ops name##_ops = {.lookup = name##_lookup, .write = name##_write, .fill = name##_fill, .flush = name##_flush,   \
                                       .destroy = name##_destroy}

#endif
