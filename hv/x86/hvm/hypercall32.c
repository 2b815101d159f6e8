/* SPDX-License-Identifier: MIT */
/* Hypercalls of 32-bit callers: those of hypercall_table_32, which translates what is laid out otherwise (hypercall/compat.c). */
#include "hvm.h"
#include "core/hypercall.h"

long hvm_hypercall32(u64 op, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
{
    hypercall_fn *fn = hypercall_table_32[op].fn;

    return fn ? fn(a1, a2, a3, a4, a5, a6) : refuse(current_vcpu()->domain, op, (u32)a1, -XEN_ENOSYS);
}
