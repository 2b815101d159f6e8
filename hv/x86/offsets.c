/* SPDX-License-Identifier: MIT */
/*
 * Offsets and constants that assembly needs, computed by the compiler: the build turns the marked lines of this file's
 * assembly output into asm_offsets.h. Never linked.
 */
#include "../core/domain.h"
#include "x86.h"

#define EMIT(name, value) __asm__ volatile("\n@@" #name " %c0" ::"i"(value))

void emit_offsets(void);
void emit_offsets(void)
{
    EMIT(CPU_INFO_size, sizeof(struct cpu_info));
    EMIT(CI_current, offsetof(struct cpu_info, current));
    EMIT(CI_work, offsetof(struct cpu_info, work));
    EMIT(CI_scratch, offsetof(struct cpu_info, scratch));
    EMIT(CI_flush_clock, offsetof(struct cpu_info, flush_clock));
    EMIT(CI_count, offsetof(struct cpu_info, count));
    EMIT(CI_irq_tsc, offsetof(struct cpu_info, irq_tsc));
    EMIT(CI_hypercall_count, offsetof(struct cpu_info, hypercall_count));
    EMIT(C_SYSCALL, CAUSE_SYSCALL * 8);
    EMIT(C_IRET, CAUSE_IRET * 8);
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
    EMIT(C_PF_BOUNCE, CAUSE_PF_BOUNCE * 8);
    EMIT(INFO_pending, offsetof(struct vcpu_info, evtchn_upcall_pending));
    EMIT(INFO_mask, offsetof(struct vcpu_info, evtchn_upcall_mask));
    EMIT(NR_PCPUS_MAX, NR_PCPUS);
    EMIT(GUEST_FLAGS_MASK, GUEST_FLAGS_OK);
    EMIT(VF_FAST_USER_C, VF_FAST_USER);
    EMIT(VF_FAST_KERNEL_C, VF_FAST_KERNEL);
    EMIT(VF_KERNEL_C, VF_KERNEL);
}
