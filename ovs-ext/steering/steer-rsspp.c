/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* RSS++: T. Barbette, G. P. Katsikas, G. Q. Maguire Jr., D. Kostic, "RSS++:
 * load and state-aware receive side scaling", CoNEXT 2019, section 3.
 *
 * Minimises the sum of squared residuals between loads of cores and their mean
 * by moving buckets from overloaded to underloaded cores only.  Greedy: the
 * largest bucket of the most loaded core goes to the neediest core that can
 * take it within a tolerance.  A short bisection widens the tolerance as far
 * as that pays.
 *
 * Holes of the published program closed here:
 *
 *   - A bucket may only go where its port has a queue, never to an isolated
 *     core; the published one assumes that any core serves any bucket.
 *
 *   - A plan that does not lower the sum of squares is dropped.
 *
 *   - A bucket larger than any core has room for is passed over, and smaller
 *     ones leave its core instead; it cannot bounce between cores.
 *
 *   - Buckets in mid-move stay, buckets without a packet are never moved (they
 *     would cost a RETA write for nothing), and a core that reports load but
 *     no packets does not divide by zero.
 *
 *   - Load above 1 (missed packets) is heeded as such, so that two saturated
 *     cores differ even if their queues are equally full.
 *
 * Parking of a moved bucket's packets, where the published program drops
 * stragglers and waits for ever on an idle queue, is not decided here. */

#include <config.h>
#include "ovs-ext/steering/steer-impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define RSSPP_THRESHOLD 0.02    /* Over or under: by more than this. */
#define RSSPP_RUNS 10           /* Of the bisection. */
#define RSSPP_STOP 0.01         /* Tolerances this close end it. */
#define RSSPP_SATURATED 0.98    /* From here on the queue's fill counts. */
#define RSSPP_HALVE 0.2         /* Total imbalance that halves the interval. */
#define RSSPP_FASTEST 0.4       /* One that makes it shortest. */

/* The problem, the same for all runs of the bisection. */
struct problem {
    struct steer_view *v;
    double load[STEER_MAX_CORES];
    double target;
    uint64_t over, under;       /* Bitmaps. */
    uint32_t end[STEER_MAX_CORES]; /* Of each core's items. */
    uint32_t begin[STEER_MAX_CORES];
};

/* The published load of a core: useful cycles, and a tenth of queue fill once
 * two cores are saturated and cycles no longer tell them apart. */
static void
rsspp_loads(struct problem *pb)
{
    const struct steer_view *v = pb->v;
    size_t n_saturated = 0;
    double sum = 0;

    for (size_t c = 0; c < v->n_cores; c++) {
        n_saturated += ((v->part >> c) & 1) && v->cur[c] > RSSPP_SATURATED;
    }
    for (size_t c = 0; c < v->n_cores; c++) {
        double q = v->st->cores[c].qfill;

        pb->load[c] = v->cur[c];
        if (n_saturated >= 2 && q >= 0 && q <= 1) {
            pb->load[c] = 0.9 * v->cur[c] + 0.1 * q;
        }
        if ((v->part >> c) & 1) {
            sum += pb->load[c];
        }
    }
    pb->target = sum / v->n_part;
}

/* Sorts the buckets of overloaded cores, largest first. */
static void
rsspp_sort(struct problem *pb)
{
    struct steer_view *v = pb->v;
    uint32_t n = 0;

    for (size_t c = 0; c < v->n_cores; c++) {
        if (!((pb->over >> c) & 1)) {
            continue;
        }
        pb->begin[c] = n;
        for (uint32_t i = v->start[c]; i < v->start[c + 1]; i++) {
            uint32_t b = v->list[i];

            if (v->bcur[b] > 0) {
                v->items[n].key = steer_sort_key(v->bcur[b]);
                v->items[n++].bucket = b;
            }
        }
        pb->end[c] = n;
        steer_sort(v->items + pb->begin[c], v->items2, n - pb->begin[c]);
    }
}

static int
extreme(const double load[], uint64_t set, bool want_max)
{
    int best = -1;

    for (; set; set &= set - 1) {
        int c = __builtin_ctzll(set);

        if (best < 0 || (want_max ? load[c] > load[best]
                                  : load[c] < load[best])) {
            best = c;
        }
    }
    return best;
}

/* One greedy pass with tolerance 'tol'.  Returns the number of moves and
 * stores the sum of squared residuals in '*ssr'. */
static size_t
rsspp_pass(const struct problem *pb, double tol,
           struct steer_move *moves, size_t max_moves, double *ssr)
{
    struct steer_view *v = pb->v;
    double load[STEER_MAX_CORES];
    uint32_t next[STEER_MAX_CORES];
    uint64_t sources = pb->over;
    size_t n = 0;

    memcpy(load, pb->load, v->n_cores * sizeof load[0]);
    memcpy(next, pb->begin, v->n_cores * sizeof next[0]);

    int neediest = extreme(load, pb->under, false);
    while (sources && neediest >= 0 && n < max_moves) {
        int src = extreme(load, sources, true);
        bool moved = false;

        while (!moved && next[src] < pb->end[src]
               && load[src] > pb->target + RSSPP_THRESHOLD / 2) {
            uint32_t b = v->items[next[src]++].bucket;
            double l = v->bcur[b];
            uint64_t may = steer_view_allowed(v, b) & pb->under;

            if (load[src] - l < pb->target - tol || !may) {
                continue;       /* Too large to leave, or nowhere to go. */
            }
            int dst = ((may >> neediest) & 1) ? neediest
                                              : extreme(load, may, false);
            double l2 = steer_view_rescale(v, l, src, dst);
            if (load[dst] + l2 > pb->target + tol) {
                continue;
            }
            load[src] -= l;
            load[dst] += l2;
            moves[n++] = (struct steer_move) {
                .bucket = b, .from = src, .to = dst, .score = l,
            };
            neediest = extreme(load, pb->under, false);
            moved = true;
        }
        if (!moved) {
            sources &= ~(UINT64_C(1) << src);
        }
    }

    *ssr = 0;
    for (size_t c = 0; c < v->n_cores; c++) {
        if ((v->part >> c) & 1) {
            *ssr += (load[c] - pb->target) * (load[c] - pb->target);
        }
    }
    return n;
}

/* Bisects for the tolerance with the least sum of squares. */
static size_t
rsspp_bisect(const struct problem *pb, struct steer_move *moves,
             size_t max_moves, double ssr0)
{
    double lo = 0, hi = 0, ssr_lo, ssr_hi, best_ssr, best_tol;

    for (size_t c = 0; c < pb->v->n_cores; c++) {
        if ((pb->over >> c) & 1) {
            hi = MAX(hi, (pb->load[c] - pb->target));
        }
    }
    rsspp_pass(pb, lo, moves, max_moves, &ssr_lo);
    rsspp_pass(pb, hi, moves, max_moves, &ssr_hi);
    best_tol = ssr_hi < ssr_lo ? hi : lo;
    best_ssr = MIN(ssr_lo, ssr_hi);
    for (int run = 2; run < RSSPP_RUNS - 1 && hi - lo > RSSPP_STOP; run++) {
        double mid = (lo + hi) / 2, ssr;

        rsspp_pass(pb, mid, moves, max_moves, &ssr);
        if (ssr < best_ssr) {
            best_ssr = ssr;
            best_tol = mid;
        }
        if (ssr_lo <= ssr_hi) {
            hi = mid;
            ssr_hi = ssr;
        } else {
            lo = mid;
            ssr_lo = ssr;
        }
    }

    size_t n = rsspp_pass(pb, best_tol, moves, max_moves, &best_ssr);
    return best_ssr < ssr0 * 0.999 ? n : 0;
}

size_t
steer_rsspp_plan(struct steer_view *v, uint64_t idle,
                 struct steer_move *moves, size_t max_moves)
{
    struct problem pb = { .v = v };
    double ssr0 = 0;

    if (v->n_part < 2) {
        return 0;
    }
    rsspp_loads(&pb);
    for (size_t c = 0; c < v->n_cores; c++) {
        double d = pb.load[c] - pb.target;

        if (!((v->part >> c) & 1)) {
            continue;
        }
        ssr0 += d * d;
        if ((idle >> c) & 1) {
            continue;
        }
        if (d > RSSPP_THRESHOLD) {
            pb.over |= UINT64_C(1) << c;
        } else if (d < -RSSPP_THRESHOLD) {
            pb.under |= UINT64_C(1) << c;
        }
    }
    if (!pb.over || !pb.under || !max_moves) {
        return 0;
    }
    rsspp_sort(&pb);
    return rsspp_bisect(&pb, moves, max_moves, ssr0);
}

void
steer_rsspp_init(struct steer_rsspp *r)
{
    memset(r, 0, sizeof *r);
}

/* Total imbalance: load above the mean, summed over cores. */
static double
rsspp_total(const struct steer_view *v)
{
    double total = 0;

    for (size_t c = 0; c < v->n_cores; c++) {
        if (((v->part >> c) & 1) && v->cur[c] > v->mean_cur) {
            total += v->cur[c] - v->mean_cur;
        }
    }
    return total;
}

size_t
steer_rsspp_run(struct steer_rsspp *r, struct steer_view *v,
                double max_period_s,
                struct steer_move *moves, size_t max_moves)
{
    double tick = v->st->tick_s > 0 ? v->st->tick_s : 0.01;

    if (!(r->period_s > 0)) {
        r->period_s = MAX(max_period_s, tick);
        r->wait_s = 0;
    }
    r->wait_s -= tick;
    if (r->wait_s > tick / 2) {
        /* Moves of the previous decision have settled by then: only a
         * decision in the very next tick lets receivers sit out. */
        r->received = 0;
        return 0;
    }

    size_t n = steer_rsspp_plan(v, r->received, moves, max_moves);
    double total = rsspp_total(v);
    if (total > RSSPP_FASTEST) {
        r->period_s = tick;
    } else if (total > RSSPP_HALVE) {
        r->period_s = MAX(r->period_s / 2, tick);
    } else if (!n) {
        r->period_s = MIN(r->period_s * 2, MAX(max_period_s, tick));
    }
    r->wait_s = r->period_s;
    r->received = 0;
    for (size_t i = 0; i < n; i++) {
        r->received |= UINT64_C(1) << moves[i].to;
    }
    return n;
}

/* Policy "rsspp". */

struct rsspp_policy {
    struct steer_policy up;
    struct steer_rsspp r;
};

static struct steer_policy *
rsspp_create(const struct steer_config *config OVS_UNUSED,
             char **error OVS_UNUSED)
{
    struct rsspp_policy *p = xzalloc(sizeof *p);

    steer_rsspp_init(&p->r);
    return &p->up;
}

static void
rsspp_destroy(struct steer_policy *p)
{
    free(CONTAINER_OF(p, struct rsspp_policy, up));
}

static void
rsspp_reset(struct steer_policy *p)
{
    steer_rsspp_init(&CONTAINER_OF(p, struct rsspp_policy, up)->r);
}

static size_t
rsspp_decide(struct steer_policy *p_, struct steer_view *v,
             struct steer_move *moves, size_t max_moves)
{
    struct rsspp_policy *p = CONTAINER_OF(p_, struct rsspp_policy, up);
    size_t n = steer_rsspp_run(&p->r, v, p_->cfg.rsspp_period_s,
                               moves, max_moves);

    p_->explain.decided_by = STEER_BY_RSSPP;
    p_->explain.reason = n ? "moves lower the sum of squared residuals"
                           : "balanced, or waiting for the interval to pass";
    return n;
}

const struct steer_policy_class steer_rsspp_class = {
    .name = "rsspp",
    .create = rsspp_create,
    .destroy = rsspp_destroy,
    .reset = rsspp_reset,
    .decide = rsspp_decide,
};
