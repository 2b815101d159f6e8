/* SPDX-License-Identifier: MIT */
/*
 * The public Xen ABI, from the headers of Debian's libxen-dev (xen-4.17), with the interface version that gives
 * the current names. Errors are the ABI's own numbers: functions return -XEN_EINVAL and the like.
 */
#ifndef PARANGON_ABI_H
#define PARANGON_ABI_H

#include "types.h"

#define __XEN_INTERFACE_VERSION__ 0x00040e00
#include <xen/errno.h>
#include <xen/xen.h>
#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

/** Within the hypervisor: "not finished, call again". Never seen by a guest (the ABI's header hides it from guests too). */
#ifndef XEN_ERESTART
#define XEN_ERESTART 85
#endif

#define XEN_VERSION_MAJOR 4
#define XEN_VERSION_MINOR 17

#endif
