/* SPDX-License-Identifier: MIT */
/*
 * Trace calls of classes that are left out (trace.h).
 * Made from events.def by `ninja trace_derived`; do not edit.
 */

#if !((TRACE_CLASSES) & TRACE_CLASS_HYPERCALL)
#define TRACE_hypercall(...) TRACE_OFF(trace_off_hypercall(__VA_ARGS__))
#define TRACE_ON_hypercall(ring, ...) TRACE_ON_OFF(ring, trace_off_hypercall(__VA_ARGS__))
#endif

#if !((TRACE_CLASSES) & TRACE_CLASS_EXIT)
#define TRACE_trap(...) TRACE_OFF(trace_off_trap(__VA_ARGS__))
#define TRACE_ON_trap(ring, ...) TRACE_ON_OFF(ring, trace_off_trap(__VA_ARGS__))
#define TRACE_vmexit(...) TRACE_OFF(trace_off_vmexit(__VA_ARGS__))
#define TRACE_ON_vmexit(ring, ...) TRACE_ON_OFF(ring, trace_off_vmexit(__VA_ARGS__))
#endif

#if !((TRACE_CLASSES) & TRACE_CLASS_SCHED)
#define TRACE_sched_switch(...) TRACE_OFF(trace_off_sched_switch(__VA_ARGS__))
#define TRACE_ON_sched_switch(ring, ...) TRACE_ON_OFF(ring, trace_off_sched_switch(__VA_ARGS__))
#define TRACE_sched_pick(...) TRACE_OFF(trace_off_sched_pick(__VA_ARGS__))
#define TRACE_ON_sched_pick(ring, ...) TRACE_ON_OFF(ring, trace_off_sched_pick(__VA_ARGS__))
#define TRACE_sched_wake(...) TRACE_OFF(trace_off_sched_wake(__VA_ARGS__))
#define TRACE_ON_sched_wake(ring, ...) TRACE_ON_OFF(ring, trace_off_sched_wake(__VA_ARGS__))
#define TRACE_sched_block(...) TRACE_OFF(trace_off_sched_block(__VA_ARGS__))
#define TRACE_ON_sched_block(ring, ...) TRACE_ON_OFF(ring, trace_off_sched_block(__VA_ARGS__))
#define TRACE_sched_yield(...) TRACE_OFF(trace_off_sched_yield(__VA_ARGS__))
#define TRACE_ON_sched_yield(ring, ...) TRACE_ON_OFF(ring, trace_off_sched_yield(__VA_ARGS__))
#define TRACE_sched_tick(...) TRACE_OFF(trace_off_sched_tick(__VA_ARGS__))
#define TRACE_ON_sched_tick(ring, ...) TRACE_ON_OFF(ring, trace_off_sched_tick(__VA_ARGS__))
#define TRACE_sched_credit(...) TRACE_OFF(trace_off_sched_credit(__VA_ARGS__))
#define TRACE_ON_sched_credit(ring, ...) TRACE_ON_OFF(ring, trace_off_sched_credit(__VA_ARGS__))
#define TRACE_sched_migrate(...) TRACE_OFF(trace_off_sched_migrate(__VA_ARGS__))
#define TRACE_ON_sched_migrate(ring, ...) TRACE_ON_OFF(ring, trace_off_sched_migrate(__VA_ARGS__))
#define TRACE_sched_boost(...) TRACE_OFF(trace_off_sched_boost(__VA_ARGS__))
#define TRACE_ON_sched_boost(ring, ...) TRACE_ON_OFF(ring, trace_off_sched_boost(__VA_ARGS__))
#define TRACE_sched_reset(...) TRACE_OFF(trace_off_sched_reset(__VA_ARGS__))
#define TRACE_ON_sched_reset(ring, ...) TRACE_ON_OFF(ring, trace_off_sched_reset(__VA_ARGS__))
#define TRACE_sched_forced_idle(...) TRACE_OFF(trace_off_sched_forced_idle(__VA_ARGS__))
#define TRACE_ON_sched_forced_idle(ring, ...) TRACE_ON_OFF(ring, trace_off_sched_forced_idle(__VA_ARGS__))
#define TRACE_sched_corun(...) TRACE_OFF(trace_off_sched_corun(__VA_ARGS__))
#define TRACE_ON_sched_corun(ring, ...) TRACE_ON_OFF(ring, trace_off_sched_corun(__VA_ARGS__))
#define TRACE_sched_gang(...) TRACE_OFF(trace_off_sched_gang(__VA_ARGS__))
#define TRACE_ON_sched_gang(ring, ...) TRACE_ON_OFF(ring, trace_off_sched_gang(__VA_ARGS__))
#define TRACE_sched_start(...) TRACE_OFF(trace_off_sched_start(__VA_ARGS__))
#define TRACE_ON_sched_start(ring, ...) TRACE_ON_OFF(ring, trace_off_sched_start(__VA_ARGS__))
#define TRACE_sched_told(...) TRACE_OFF(trace_off_sched_told(__VA_ARGS__))
#define TRACE_ON_sched_told(ring, ...) TRACE_ON_OFF(ring, trace_off_sched_told(__VA_ARGS__))
#endif

#if !((TRACE_CLASSES) & TRACE_CLASS_MMU)
#define TRACE_frame_type_change(...) TRACE_OFF(trace_off_frame_type_change(__VA_ARGS__))
#define TRACE_ON_frame_type_change(ring, ...) TRACE_ON_OFF(ring, trace_off_frame_type_change(__VA_ARGS__))
#define TRACE_frame_pin(...) TRACE_OFF(trace_off_frame_pin(__VA_ARGS__))
#define TRACE_ON_frame_pin(ring, ...) TRACE_ON_OFF(ring, trace_off_frame_pin(__VA_ARGS__))
#define TRACE_frame_unpin(...) TRACE_OFF(trace_off_frame_unpin(__VA_ARGS__))
#define TRACE_ON_frame_unpin(ring, ...) TRACE_ON_OFF(ring, trace_off_frame_unpin(__VA_ARGS__))
#define TRACE_tlb_flush(...) TRACE_OFF(trace_off_tlb_flush(__VA_ARGS__))
#define TRACE_ON_tlb_flush(ring, ...) TRACE_ON_OFF(ring, trace_off_tlb_flush(__VA_ARGS__))
#endif

#if !((TRACE_CLASSES) & TRACE_CLASS_EVENT)
#define TRACE_evtchn_send(...) TRACE_OFF(trace_off_evtchn_send(__VA_ARGS__))
#define TRACE_ON_evtchn_send(ring, ...) TRACE_ON_OFF(ring, trace_off_evtchn_send(__VA_ARGS__))
#define TRACE_evtchn_pending(...) TRACE_OFF(trace_off_evtchn_pending(__VA_ARGS__))
#define TRACE_ON_evtchn_pending(ring, ...) TRACE_ON_OFF(ring, trace_off_evtchn_pending(__VA_ARGS__))
#define TRACE_evtchn_bind(...) TRACE_OFF(trace_off_evtchn_bind(__VA_ARGS__))
#define TRACE_ON_evtchn_bind(ring, ...) TRACE_ON_OFF(ring, trace_off_evtchn_bind(__VA_ARGS__))
#define TRACE_evtchn_close(...) TRACE_OFF(trace_off_evtchn_close(__VA_ARGS__))
#define TRACE_ON_evtchn_close(ring, ...) TRACE_ON_OFF(ring, trace_off_evtchn_close(__VA_ARGS__))
#define TRACE_evtchn_upcall(...) TRACE_OFF(trace_off_evtchn_upcall(__VA_ARGS__))
#define TRACE_ON_evtchn_upcall(ring, ...) TRACE_ON_OFF(ring, trace_off_evtchn_upcall(__VA_ARGS__))
#endif

#if !((TRACE_CLASSES) & TRACE_CLASS_GRANT)
#define TRACE_grant_op(...) TRACE_OFF(trace_off_grant_op(__VA_ARGS__))
#define TRACE_ON_grant_op(ring, ...) TRACE_ON_OFF(ring, trace_off_grant_op(__VA_ARGS__))
#endif

#if !((TRACE_CLASSES) & TRACE_CLASS_IRQ)
#define TRACE_irq(...) TRACE_OFF(trace_off_irq(__VA_ARGS__))
#define TRACE_ON_irq(ring, ...) TRACE_ON_OFF(ring, trace_off_irq(__VA_ARGS__))
#endif

#if !((TRACE_CLASSES) & TRACE_CLASS_MEM)
#define TRACE_page_alloc(...) TRACE_OFF(trace_off_page_alloc(__VA_ARGS__))
#define TRACE_ON_page_alloc(ring, ...) TRACE_ON_OFF(ring, trace_off_page_alloc(__VA_ARGS__))
#define TRACE_page_free(...) TRACE_OFF(trace_off_page_free(__VA_ARGS__))
#define TRACE_ON_page_free(ring, ...) TRACE_ON_OFF(ring, trace_off_page_free(__VA_ARGS__))
#define TRACE_balloon(...) TRACE_OFF(trace_off_balloon(__VA_ARGS__))
#define TRACE_ON_balloon(ring, ...) TRACE_ON_OFF(ring, trace_off_balloon(__VA_ARGS__))
#endif

#if !((TRACE_CLASSES) & TRACE_CLASS_LAUNCH)
#define TRACE_domain_create(...) TRACE_OFF(trace_off_domain_create(__VA_ARGS__))
#define TRACE_ON_domain_create(ring, ...) TRACE_ON_OFF(ring, trace_off_domain_create(__VA_ARGS__))
#define TRACE_domain_start(...) TRACE_OFF(trace_off_domain_start(__VA_ARGS__))
#define TRACE_ON_domain_start(ring, ...) TRACE_ON_OFF(ring, trace_off_domain_start(__VA_ARGS__))
#define TRACE_domain_end(...) TRACE_OFF(trace_off_domain_end(__VA_ARGS__))
#define TRACE_ON_domain_end(ring, ...) TRACE_ON_OFF(ring, trace_off_domain_end(__VA_ARGS__))
#define TRACE_refused(...) TRACE_OFF(trace_off_refused(__VA_ARGS__))
#define TRACE_ON_refused(ring, ...) TRACE_ON_OFF(ring, trace_off_refused(__VA_ARGS__))
#endif
