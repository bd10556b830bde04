/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Longest processing time first (R. L. Graham, 1969): sorts all buckets by
 * load and puts each on the least loaded core that may have it.  At most
 * 4/3 - 1/(3m) of the best possible maximum with m equal cores.
 *
 * Packing from scratch would rename cores at whim.  So a packing in which
 * buckets stay where they fit is preferred where it is as good; else bins are
 * matched to present owners by the load that can stay.  A plan is carried out
 * only when it lowers the greatest load by LPT_MIN_GAIN.  All the same it
 * moves much more than the other policies: it is a reference for the balance
 * that can be reached, not for daily use. */

#include <config.h>
#include "ovs-ext/steering/steer-impl.h"

#include <stdlib.h>
#include <string.h>

#include "util.h"

#define LPT_MIN_GAIN 0.02       /* Of load, to act at all. */

struct lpt_policy {
    struct steer_policy up;
    uint8_t *bin;               /* By position in the sorted list. */
    size_t alloc;

    /* Moves of the latest plan, done from 'next' on.  A plan that exceeds the
     * moves allowed in a tick is finished before another one is made: half of
     * a re-packing is worse than none. */
    struct steer_move *todo;
    size_t n_todo, next;
};

struct lpt_plan {
    double load[STEER_MAX_CORES];   /* Of each bin. */
    uint64_t may[STEER_MAX_CORES];  /* Cores that may take all of a bin. */
    double stay[STEER_MAX_CORES][STEER_MAX_CORES]; /* [bin][core] load. */
    uint8_t label[STEER_MAX_CORES]; /* Core of each bin. */
};

static struct steer_policy *
lpt_create(const struct steer_config *config OVS_UNUSED,
           char **error OVS_UNUSED)
{
    struct lpt_policy *p = xzalloc(sizeof *p);

    return &p->up;
}

static void
lpt_destroy(struct steer_policy *p_)
{
    struct lpt_policy *p = CONTAINER_OF(p_, struct lpt_policy, up);

    free(p->bin);
    free(p->todo);
    free(p);
}

static void
lpt_reset(struct steer_policy *p_)
{
    struct lpt_policy *p = CONTAINER_OF(p_, struct lpt_policy, up);

    p->n_todo = p->next = 0;
}

/* Assigns each of the 'n' sorted buckets to a bin.  Bins start with the load
 * that cannot move.  If 'sticky', a bucket stays with its core as long as that
 * is not filled beyond the mean. */
static void
lpt_pack(struct lpt_policy *p, struct steer_view *v, struct lpt_plan *plan,
         size_t n, bool sticky)
{
    memset(plan, 0, sizeof *plan);
    for (size_t c = 0; c < v->n_cores; c++) {
        plan->load[c] = v->pred[c];
        plan->may[c] = v->part;
        plan->label[c] = c;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t b = v->items[i].bucket;

        plan->load[v->st->buckets[b].core] -= v->bpred[b];
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t b = v->items[i].bucket;
        uint16_t own = v->st->buckets[b].core;
        uint64_t may = steer_view_allowed(v, b);
        int best = own;

        if (sticky && plan->load[own] + v->bpred[b] <= v->mean_pred + 1e-6
            && ((may >> own) & 1)) {
            may = UINT64_C(1) << own;
        }
        for (uint64_t set = may; set; set &= set - 1) {
            int c = __builtin_ctzll(set);

            if (plan->load[c] < plan->load[best] - 1e-9
                || !((may >> best) & 1)) {
                best = c;
            }
        }
        plan->load[best] += steer_view_rescale(v, v->bpred[b], own, best);
        plan->stay[best][own] += v->bpred[b];
        plan->may[best] &= (steer_view_allowed(v, b)
                            | (UINT64_C(1) << best));
        p->bin[i] = best;
    }
}

/* Renames bins so that as much load as possible stays where it is: greedy
 * matching by the load that bin and core have in common.  Only cores without
 * load of their own and of equal capacity can be exchanged. */
static void
lpt_match(struct steer_view *v, struct lpt_plan *plan, const double fixed[])
{
    uint64_t bins = 0, cores;

    for (size_t c = 0; c < v->n_cores; c++) {
        if (((v->part >> c) & 1) && fixed[c] < 0.01
            && v->cap[c] > 0.95 && v->cap[c] < 1.05) {
            bins |= UINT64_C(1) << c;
        }
    }
    cores = bins;
    for (;;) {
        int best_bin = -1, best_core = -1;
        double best = 0;

        for (uint64_t s = bins; s; s &= s - 1) {
            int bin = __builtin_ctzll(s);

            for (uint64_t t = cores & plan->may[bin]; t; t &= t - 1) {
                int c = __builtin_ctzll(t);

                if (plan->stay[bin][c] > best) {
                    best = plan->stay[bin][c];
                    best_bin = bin;
                    best_core = c;
                }
            }
        }
        if (best_bin < 0) {
            break;
        }
        plan->label[best_bin] = best_core;
        bins &= ~(UINT64_C(1) << best_bin);
        cores &= ~(UINT64_C(1) << best_core);
    }

    /* Bins left over take the cores left over, their own first. */
    for (uint64_t s = bins & cores; s; s &= s - 1) {
        int bin = __builtin_ctzll(s);

        plan->label[bin] = bin;
        bins &= ~(UINT64_C(1) << bin);
        cores &= ~(UINT64_C(1) << bin);
    }
    for (uint64_t s = bins; s; s &= s - 1) {
        int bin = __builtin_ctzll(s);
        uint64_t t = cores & plan->may[bin];

        if (!t) {
            /* Allowed sets stand in the way: keep every bin's own name. */
            for (size_t c = 0; c < v->n_cores; c++) {
                plan->label[c] = c;
            }
            return;
        }
        plan->label[bin] = __builtin_ctzll(t);
        cores &= ~(UINT64_C(1) << plan->label[bin]);
    }
}

static double
lpt_max(const struct steer_view *v, const double load[])
{
    double max = 0;

    for (size_t c = 0; c < v->n_cores; c++) {
        if ((v->part >> c) & 1) {
            max = MAX(max, load[c]);
        }
    }
    return max;
}

/* Makes a plan, if one is worth it. */
static void
lpt_replan(struct lpt_policy *p, struct steer_view *v)
{
    struct lpt_plan plan;
    double fixed[STEER_MAX_CORES];
    double before, after;
    size_t n = 0;

    if (v->n_list > p->alloc) {
        p->bin = xrealloc(p->bin, v->n_list);
        p->todo = xrealloc(p->todo, v->n_list * sizeof *p->todo);
        p->alloc = v->n_list;
    }
    p->n_todo = p->next = 0;
    memcpy(fixed, v->pred, sizeof fixed);
    for (size_t i = 0; i < v->n_list; i++) {
        uint32_t b = v->list[i];

        if (v->bpred[b] > 0) {
            v->items[n].key = steer_sort_key(v->bpred[b]);
            v->items[n++].bucket = b;
            fixed[v->st->buckets[b].core] -= v->bpred[b];
        }
    }
    steer_sort(v->items, v->items2, n);
    before = lpt_max(v, v->pred);
    lpt_pack(p, v, &plan, n, false);
    after = lpt_max(v, plan.load);
    if (after > before - LPT_MIN_GAIN) {
        return;
    }
    lpt_pack(p, v, &plan, n, true);
    if (lpt_max(v, plan.load) > after + LPT_MIN_GAIN / 4) {
        lpt_pack(p, v, &plan, n, false);
        lpt_match(v, &plan, fixed);
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t b = v->items[i].bucket;
        uint16_t from = v->st->buckets[b].core;
        uint16_t to = plan.label[p->bin[i]];

        if (from != to) {
            p->todo[p->n_todo++] = (struct steer_move) {
                .bucket = b, .from = from, .to = to, .score = v->bpred[b],
            };
        }
    }
}

/* Whether a move planned some ticks ago is still possible. */
static bool
lpt_possible(const struct steer_view *v, const struct steer_move *m)
{
    const struct steer_bucket *b;

    if (m->bucket >= v->n_buckets || m->to >= v->n_cores) {
        return false;
    }
    b = &v->st->buckets[m->bucket];
    return (b->core == m->from && b->movable && b->group < v->st->n_groups
            && m->from < v->n_cores && (v->part >> m->from) & 1
            && (steer_view_allowed(v, m->bucket) >> m->to) & 1);
}

static size_t
lpt_decide(struct steer_policy *p_, struct steer_view *v,
           struct steer_move *moves, size_t max_moves)
{
    struct lpt_policy *p = CONTAINER_OF(p_, struct lpt_policy, up);
    size_t n = 0;

    p_->explain.decided_by = STEER_BY_LPT;
    if (p->next >= p->n_todo) {
        lpt_replan(p, v);
    }
    while (p->next < p->n_todo && n < max_moves) {
        const struct steer_move *m = &p->todo[p->next++];

        if (lpt_possible(v, m)) {
            moves[n++] = *m;
        }
    }
    p_->explain.reason = n ? "re-packed, longest processing time first"
                           : "re-packing would gain too little";
    return n;
}

const struct steer_policy_class steer_lpt_class = {
    .name = "lpt",
    .create = lpt_create,
    .destroy = lpt_destroy,
    .reset = lpt_reset,
    .decide = lpt_decide,
};
