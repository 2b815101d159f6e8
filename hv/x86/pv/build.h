/* SPDX-License-Identifier: MIT */
/* Building a PV domain from what the launch plan says. */
#ifndef PARANGON_PV_BUILD_H
#define PARANGON_PV_BUILD_H

#include "pv.h"
#include "core/launch.h"

/**
 * Make domain `id`, loaded and ready, its vCPUs down. Every error has had its line on the console.
 * @return 0, -XEN_EINVAL (kernel), -XEN_ENOMEM (memory), -XEN_EEXIST
 */
int pv_build(const struct launch_domain *plan, domid_t id, struct domain **out);

#endif
