/* SPDX-License-Identifier: MIT */
/*
 * The hot functions of page tables once more, for a machine with one pcpu: the same sources, with plain stores in place of
 * compare-and-swap and without locks (ONE_PCPU, frame.h).
 *
 * one_pcpu() puts them in force, at boot and for good: into the table of hypercalls, and behind the pointer that write faults
 * go by. Everything else (grants, descriptors, the end of a domain) calls the others, which are always right; both keep the
 * same records. What that is worth: hv/README.md, "Several processors".
 */
#include <trace/trace.h> /* first: it makes names out of events' */

#define ONE_PCPU 1
#define pte_in_force    pte_in_force_one
#define frame_get       frame_get_one
#define frame_put       frame_put_one
#define frame_get_type  frame_get_type_one
#define frame_put_type  frame_put_type_one
#define frame_get_table frame_get_table_one
#define frame_put_table frame_put_table_one
#define frame_pin       frame_pin_one
#define frame_unpin     frame_unpin_one
#define pte_change_if   pte_change_if_one
#define pte_change      pte_change_one
#define pv_walk         pv_walk_one
#define tlb_clock_now   tlb_clock_now_one
#define tlb_later       tlb_later_one
#define tlb_filter      tlb_filter_one
#define l4_init_slots   l4_init_slots_one
#define pv_new_base     pv_new_base_one
#define pv_ptwr         pv_ptwr_one
#define do_mmu_update   do_mmu_update_one
#define do_mmuext_op    do_mmuext_op_one
#define do_update_va_mapping             do_update_va_mapping_one
#define do_update_va_mapping_otherdomain do_update_va_mapping_otherdomain_one

#include "typing.c"
#include "mmu.c"
#include "ptwr.c"

/* Constants lie in memory that is read-only by now but for the mapping of all of it. */
static void set_hypercall(unsigned int op, hypercall_fn *fn)
{
    struct hypercall *h = (void *)((u64)&hypercall_table[op] - IMAGE_VIRT + IMAGE_PADDR + DIRECTMAP);

    h->fn = fn;
}

void one_pcpu(void)
{
    set_hypercall(__HYPERVISOR_mmu_update, do_mmu_update);
    set_hypercall(__HYPERVISOR_mmuext_op, do_mmuext_op);
    set_hypercall(__HYPERVISOR_update_va_mapping, do_update_va_mapping);
    set_hypercall(__HYPERVISOR_update_va_mapping_otherdomain, do_update_va_mapping_otherdomain);
    pv_write_fault = pv_ptwr;
}
