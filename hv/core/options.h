/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's command line: the one table of its options (options.c), and their values.
 *
 * Words are separated by spaces: "name=value", or "name" and "no-name" for switches. An option that
 * does not exist and a value that cannot be are said on the console, one line each, and do not stop
 * the boot: the default holds.
 */
#ifndef PARANGON_OPTIONS_H
#define PARANGON_OPTIONS_H

#include "types.h"

enum option_console { CONSOLE_COM1, CONSOLE_NONE };
enum option_dom0 { DOM0_PV, DOM0_PVH };
enum option_sched_gran { SCHED_GRAN_POLICY, SCHED_GRAN_CPU, SCHED_GRAN_CORE, SCHED_GRAN_SOCKET }; /* as enum sched_span */
enum option_spec_ctrl { SPEC_CTRL_DEFAULT, SPEC_CTRL_OFF };

struct hv_options {
    u64 dom0_mem;          /* bytes for the first domain without a launch plan; 0: nearly all there is */
    u32 dom0_max_vcpus;    /* its vCPUs */
    u32 dom0;              /* its kind, enum option_dom0 */
    u32 console;           /* enum option_console */
    u32 spec_ctrl;         /* enum option_spec_ctrl */
    u32 trace_classes;     /* bits of the classes of trace/events.def to record */
    char sched[16];        /* scheduling policy */
    u32 sched_slice;       /* longest time between two decisions while others wait, us; 0: the policy's own */
    u32 sched_ratelimit;   /* a woken vCPU preempts none that has run less, us */
    u32 sched_gran;        /* enum option_sched_gran: what shares a runqueue, or (policy smt) is exclusive */
    bool sched_exclusive;  /* policy smt: siblings run one domain, or idle */
    char pools[64];        /* pools of processors beside the first: CPUS:POLICY/CPUS:POLICY */
    u32 maxcpus;           /* processors to use at most */
    char topology[16];     /* THREADS,CORES of a core and of a socket; empty: as the processors say */
    bool noreboot;         /* halt at the end instead of power-off or reboot */
    bool trace;            /* record into the trace ring, if the machine has one */
    bool trace_hold;       /* the machine is held while a part of that ring is full */
    bool hvm;              /* use the processor's virtualization where present */
    bool hvm_test_device;  /* PVH and HVM domains have the device of hv/x86/hvm/vdevice.c */
    bool smep, smap, fsgsbase, xsave, x2apic; /* use these features of the processor where present */
};

/** Set the defaults. */
void options_init(struct hv_options *o);
/**
 * Parse a command line into *o. Its first word is skipped where it is the image's name: no
 * option's, and with a '/' or without a '='.
 * @return how many words were wrong; each has had its line on the console
 */
unsigned int options_parse(const char *cmdline, struct hv_options *o);

#endif
