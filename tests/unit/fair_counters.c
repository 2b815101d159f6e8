/* SPDX-License-Identifier: MIT */
/* Counts by hand what struct fair_pool and struct fair_domain keep as they go: see fair_counters.h. */
#include "fair_counters.h"

#include "hv/sched/fair.h"

enum heap { SHARING, FULL, LINGERING, HEAPS };

static unsigned members[HEAPS];
static bool stray; /* in a heap, and does not belong there */

static void look_at(const struct fair_domain *d, const struct pheap_node *n, enum heap heap)
{
    bool shares = d->set == FAIR_SHARING || d->set == FAIR_ALONE;

    members[heap]++;
    if (heap == SHARING)
        stray |= d->set != FAIR_SHARING;
    else if (heap == FULL)
        stray |= d->set != FAIR_FULL || !d->competing;
    else
        stray |= !shares || d->competing || n->key != d->vt;
}

static void walk(const struct pheap_node *n, enum heap heap)
{
    for (; n; n = n->next) {
        look_at(heap == LINGERING ? container_of(n, struct fair_domain, lingers) : container_of(n, struct fair_domain, node), n, heap);
        walk(n->child, heap);
    }
}

const char *fair_counters_wrong(void)
{
    struct cpupool *pool = sched_pool(0);
    const struct fair_pool *p = pool->priv;
    unsigned in_set[HEAPS] = {0}, competing = 0, capped = 0;
    s64 cpus = CPU_WORTH * (s64)p->nr_cpus;
    u64 weight = 0;

    list_for_each(pos, &pool->domains) {
        const struct sched_domain *dom = list_entry(pos, struct sched_domain, node);
        const struct fair_domain *d = dom->priv;
        unsigned compete = 0, run = 0;

        list_for_each(at, &dom->units) {
            const struct fair_unit *c = fair_unit(list_entry(at, struct sched_unit, node));

            compete += c->competes;
            run += c->runs;
        }
        if (compete != d->competing)
            return "units of a domain that compete";
        if (run != d->running)
            return "units of a domain that run";
        if (d->set == FAIR_OUT && compete)
            return "a domain that competes is out";
        in_set[SHARING] += d->set == FAIR_SHARING;
        in_set[FULL] += d->set == FAIR_FULL;
        if (d->set == FAIR_SHARING || d->set == FAIR_ALONE) {
            in_set[LINGERING] += !compete;
            weight += d->weight;
        }
        cpus -= d->set == FAIR_FULL ? d->worth : 0;
        competing += compete != 0;
        capped += d->cap && compete;
    }
    memset(members, 0, sizeof members);
    stray = false;
    walk(p->sharing.root, SHARING);
    walk(p->full.root, FULL);
    walk(p->lingering.root, LINGERING);
    if (stray || memcmp(members, in_set, sizeof members))
        return "domains in the sets";
    if (weight != p->weight)
        return "the weight of those who share";
    if (cpus != p->cpus)
        return "the pcpus left to those who share";
    return competing != p->nr_domains || capped != p->capped ? "domains that compete" : NULL;
}
