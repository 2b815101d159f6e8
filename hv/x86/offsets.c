/* SPDX-License-Identifier: MIT */
/*
 * Offsets and constants that assembly needs, computed by the compiler: the build turns the marked lines of this file's
 * assembly output into asm_offsets.h. Never linked.
 */
#include "../core/domain.h"
#include "x86.h"
#include <trace/record.h>

/* Assembly writes the first fields of both records alike. */
_Static_assert(offsetof(struct trace_record_trap, domid) == offsetof(struct trace_record_hypercall, domid) &&
                   offsetof(struct trace_record_trap, result) == offsetof(struct trace_record_trap, domid) + 3 &&
                   offsetof(struct trace_record_hypercall, flags) == offsetof(struct trace_record_hypercall, domid) + 3,
               "domid, vcpu_id, result");

#define EMIT(name, value) __asm__ volatile("\n@@" #name " %c0" ::"i"(value))

void emit_offsets(void);
void emit_offsets(void)
{
    EMIT(CPU_INFO_size, sizeof(struct cpu_info));
    EMIT(CI_current, offsetof(struct cpu_info, current));
    EMIT(CI_work, offsetof(struct cpu_info, work));
    EMIT(CI_flush_clock, offsetof(struct cpu_info, flush_clock));
    EMIT(CI_hypercalls, offsetof(struct cpu_info, count.hypercall));
    EMIT(CI_syscalls, offsetof(struct cpu_info, count.trap[TRACE_TRAP_SYSCALL_BOUNCE]));
    EMIT(CI_page_faults, offsetof(struct cpu_info, count.trap[TRACE_TRAP_PAGE_FAULT_BOUNCE]));
#define REG(r) EMIT(R_##r, offsetof(struct regs, r))
    REG(r15);
    REG(r14);
    REG(r13);
    REG(r12);
    REG(rbp);
    REG(rbx);
    REG(r11);
    REG(r10);
    REG(r9);
    REG(r8);
    REG(rax);
    REG(rcx);
    REG(rdx);
    REG(rsi);
    REG(rdi);
    REG(error_code);
    REG(vector);
    REG(rip);
    REG(cs);
    REG(rflags);
    REG(rsp);
    REG(ss);
    EMIT(REGS_size, sizeof(struct regs));
    EMIT(V_flags, offsetof(struct vcpu, arch.flags));
    EMIT(V_cr3_kernel, offsetof(struct vcpu, arch.cr3_kernel));
    EMIT(V_cr3_user, offsetof(struct vcpu, arch.cr3_user));
    EMIT(V_kernel_sp, offsetof(struct vcpu, arch.kernel_sp));
    EMIT(V_syscall_rip, offsetof(struct vcpu, arch.syscall_rip));
    EMIT(V_info, offsetof(struct vcpu, info));
    EMIT(V_pf_masks, offsetof(struct vcpu, arch.pf_masks));
    EMIT(V_pf_rip, offsetof(struct vcpu, arch.trap[VEC_PF].rip));
    EMIT(INFO_cr2, offsetof(struct vcpu_info, arch.cr2));
    EMIT(INFO_pending, offsetof(struct vcpu_info, evtchn_upcall_pending));
    EMIT(INFO_mask, offsetof(struct vcpu_info, evtchn_upcall_mask));
    EMIT(NR_PCPUS_MAX, NR_PCPUS);
    EMIT(TLB_TICK_C, TLB_TICK);
    EMIT(GUEST_FLAGS_MASK, GUEST_FLAGS_OK);
    EMIT(CI_entry_tsc, offsetof(struct cpu_info, entry_tsc));
    EMIT(CI_entry_op, offsetof(struct cpu_info, entry_op));
    EMIT(CI_trace, offsetof(struct cpu_info, trace));
    EMIT(CI_trace_mask, offsetof(struct cpu_info, trace.mask));
    EMIT(CI_trace_pos, offsetof(struct cpu_info, trace.pos));
    EMIT(CI_trace_limit, offsetof(struct cpu_info, trace.limit));
    EMIT(CI_trace_base, offsetof(struct cpu_info, trace.base));
    EMIT(CI_trace_shared, offsetof(struct cpu_info, trace.shared));
    EMIT(V_trace_id, offsetof(struct vcpu, arch.trace_id));
    EMIT(RING_head, offsetof(struct trace_ring_head, head));
    EMIT(TRACE_CLASSES_ALL_C, TRACE_CLASSES_ALL);
    EMIT(TRACE_CLASS_HYPERCALL_C, TRACE_CLASS_HYPERCALL);
    EMIT(TRACE_CLASS_EXIT_C, TRACE_CLASS_EXIT);
    EMIT(TRACE_ID_hypercall_C, TRACE_ID_hypercall);
    EMIT(TRACE_ID_trap_C, TRACE_ID_trap);
    EMIT(CI_entry_args, offsetof(struct cpu_info, entry_args));
    EMIT(ENTRY_OP_CRASHED_C, ENTRY_OP_CRASHED);
    EMIT(V_pause_flags, offsetof(struct vcpu, pause_flags));
    EMIT(TRACE_HC_DONE_C, TRACE_HC_DONE);
    _Static_assert(TRACE_HC_DONE == 0 && TRACE_HC_DESCHEDULED == 1, "entry.S makes these of a comparison");
    EMIT(TRACE_HC_CONTINUED_C, TRACE_HC_CONTINUED);
    EMIT(TRACE_HC_CRASHED_C, TRACE_HC_CRASHED);
    EMIT(TRACE_RES_BOUNCED_C, TRACE_RES_BOUNCED);
    EMIT(TRACE_TRAP_SYSCALL_BOUNCE_C, TRACE_TRAP_SYSCALL_BOUNCE);
    EMIT(TRACE_TRAP_PAGE_FAULT_BOUNCE_C, TRACE_TRAP_PAGE_FAULT_BOUNCE);
    EMIT(TR_time, offsetof(struct trace_record_trap, head.time));
    EMIT(TR_duration, offsetof(struct trace_record_trap, duration));
    EMIT(TR_domid, offsetof(struct trace_record_trap, domid)); /* domid, vcpu_id, result or flags: 4 bytes of both records */
    EMIT(TR_result, offsetof(struct trace_record_hypercall, flags));
    EMIT(TRAP_size, sizeof(struct trace_record_trap));
#define TRAP(f) EMIT(TRAP_##f, offsetof(struct trace_record_trap, f))
    TRAP(kind);
    TRAP(code);
    TRAP(addr);
    TRAP(rip);
    EMIT(HYPERCALL_size, sizeof(struct trace_record_hypercall));
#define CALL(f) EMIT(HYPERCALL_##f, offsetof(struct trace_record_hypercall, f))
    CALL(op);
    CALL(a1);
    CALL(a2);
    CALL(a3);
    CALL(ret);
    EMIT(VEC_SYSCALL_C, VEC_SYSCALL);
    EMIT(VEC_HYPERCALL_C, VEC_HYPERCALL);
    EMIT(VF_FAST_USER_C, VF_FAST_USER);
    EMIT(VF_FAST_KERNEL_C, VF_FAST_KERNEL);
    EMIT(VF_KERNEL_C, VF_KERNEL);
    EMIT(VF_SLOW_C, VF_SLOW);
}
