/* SPDX-License-Identifier: MIT */
/*
 * World switches of AMD's SVM as the plugin sees them: where the hypervisor goes on after a VM exit, and what the exit was.
 *
 * Why it exists: a VM exit has no frame on a stack. What it interrupted, and why, stands in the guest's VMCB (APM vol. 2, 15.5 and
 * appendices B and C), whose physical address is in RAX at VMRUN.
 * Does not: know VMX, which TCG does not have.
 */
#ifndef PARANGON_PLUGIN_SVM_H
#define PARANGON_PLUGIN_SVM_H

#include <stdbool.h>
#include <stdint.h>

#define SVM_EXIT_HYPERCALL    0x81
#define SVM_EXIT_NESTED_FAULT 0x400
#define SVM_EXIT_DEVICE       0x500 /* not the processor's: a nested fault in a PC's hole below 4 GiB, or where no memory is */

struct svm_exit {
    uint64_t code;  /* EXITCODE, appendix C, or SVM_EXIT_DEVICE */
    uint64_t rax;   /* the guest's: of a hypercall its number */
    uint64_t rip;   /* linear address of the guest's instruction that was interrupted, or is next */
    int vector;     /* of the event whose delivery was interrupted, or of an intercepted exception; -1: none */
    bool interrupt; /* asynchronous: the instruction at rip was not begun */
    bool fetch;     /* a nested fault of the fetch at rip: the instruction before has retired */
};

/** A block ends with VMRUN: the address behind it is where VM exits arrive. Up to 16 such; more are not followed. */
void svm_add_vmrun(uint64_t end);

/** Do VM exits arrive at this address? */
bool svm_is_behind_vmrun(uint64_t vaddr);

/** What the VM exit was, after it. @param vmcb its physical address. @return false when memory cannot be read */
bool svm_read_exit(uint64_t vmcb, struct svm_exit *x);

/** The root of a guest's nested page tables; 0 when it has none, or memory cannot be read. */
uint64_t svm_nested_root(uint64_t vmcb);

/** A short name for an exit code, "cpuid"; NULL for the rare ones. */
const char *svm_exit_name(unsigned code);

#endif
