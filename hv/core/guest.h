/* SPDX-License-Identifier: MIT */
/*
 * The one accessor to guest memory (DESIGN §3, decision 3). Every copy to or from a guest's address goes through here.
 *
 * Each call refuses addresses in the hypervisor's range and ranges that wrap, and survives a fault in the middle.
 * The guest's memory may change under the hypervisor at any time: copy once, check the copy, use the copy.
 * Functions return the number of bytes NOT copied, 0 for success; callers turn that into -XEN_EFAULT.
 * Addresses are of the current vCPU's address space. Implemented by hv/x86 (fault fix-ups) and by tests/host.
 */
#ifndef PARANGON_GUEST_H
#define PARANGON_GUEST_H

#include "types.h"

size_t guest_copy_from(void *dst, gva_t src, size_t n);
size_t guest_copy_to(gva_t dst, const void *src, size_t n);
size_t guest_clear(gva_t dst, size_t n);

/**
 * What has been written to the current vCPU's guest by other means than these copies (frames on its kernel's stack): mark it
 * where the domain logs (dirty.h). Callers look at dirty_logs first.
 */
void guest_mark_written(gva_t va, size_t n);

/** Copy one object; true on success. */
#define guest_read(obj, gva)  (guest_copy_from((obj), (gva), sizeof(*(obj))) == 0)
#define guest_write(gva, obj) (guest_copy_to((gva), (obj), sizeof(*(obj))) == 0)

#endif
