/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>
#include "ovs-ext/steering/steer-cand.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

void
cand_init(struct cand_search *s)
{
    memset(s, 0, sizeof *s);
}

void
cand_destroy(struct cand_search *s)
{
    free(s->sorted);
    free(s->taken);
}

void
cand_start(struct cand_search *s, struct steer_view *v, double noise,
           const struct steer_move *rsspp, size_t n_rsspp)
{
    s->v = v;
    if (v->n_buckets > s->alloc) {
        s->sorted = xrealloc(s->sorted, v->n_buckets * sizeof *s->sorted);
        s->taken = xrealloc(s->taken, v->n_buckets);
        s->alloc = v->n_buckets;
    }
    memset(s->taken, 0, v->n_buckets);
    memcpy(s->load, v->pred, v->n_cores * sizeof s->load[0]);
    s->mean = v->mean_pred;
    s->scale = MAX(s->mean, STEER_REL_FLOOR);
    s->noise = noise;
    for (size_t c = 0; c < v->n_cores; c++) {
        const struct steer_core *core = &v->st->cores[c];
        double d = core->drops_pps > 0 ? core->drops_pps : 0;
        double p = core->pps > 0 ? core->pps : 0;

        s->drops[c] = d > 0 ? d / (d + p) : 0;
    }
    s->n_chosen = 0;
    s->is_sorted = 0;
    s->rsspp = rsspp;
    s->n_rsspp = n_rsspp;
}

/* Sorts the buckets of core 'c' unless that is done already. */
static void
cand_sort(struct cand_search *s, int c)
{
    const struct steer_view *v = s->v;
    struct steer_item *items = s->sorted + v->start[c];
    uint32_t n = 0;

    if ((s->is_sorted >> c) & 1) {
        return;
    }
    for (uint32_t i = v->start[c]; i < v->start[c + 1]; i++) {
        uint32_t b = v->list[i];

        /* A bucket that alone gains less than CAND_MIN_GAIN is never moved. */
        if (v->bpred[b] >= CAND_MIN_GAIN
            && v->st->buckets[b].ticks_since_move >= CAND_REST) {
            items[n].key = steer_sort_key(v->bpred[b]);
            items[n++].bucket = b;
        }
    }
    steer_sort(items, v->items2, n);
    s->n_sorted[c] = n;
    s->is_sorted |= UINT64_C(1) << c;
}

/* Picks up to 'n' cores of 'set' with the greatest (or least) load. */
static size_t
pick_cores(const struct cand_search *s, uint64_t set, bool most, size_t n,
           uint8_t *out)
{
    size_t n_out = 0;

    for (; set; set &= set - 1) {
        int c = __builtin_ctzll(set);
        double l = most ? -s->load[c] : s->load[c];
        size_t i = n_out;

        if (n_out == n) {
            double last = most ? -s->load[out[n - 1]] : s->load[out[n - 1]];

            if (l >= last) {
                continue;
            }
            i = --n_out;
        }
        while (i > 0 && l < (most ? -s->load[out[i - 1]]
                                  : s->load[out[i - 1]])) {
            out[i] = out[i - 1];
            i--;
        }
        out[i] = c;
        n_out++;
    }
    return n_out;
}

/* Whether moving 'bucket' may be a candidate. */
static bool
cand_ok(const struct cand_search *s, uint32_t bucket, int from, int to)
{
    const struct steer_view *v = s->v;
    double l = v->bpred[bucket];
    double hi = MAX(s->load[from], s->load[to]);

    return (!s->taken[bucket]
            && (steer_view_allowed(v, bucket) >> to) & 1
            && hi - MAX(s->load[from] - l,
                        s->load[to] + steer_view_rescale(v, l, from, to))
               >= CAND_MIN_GAIN);
}

static void
cand_push(struct cand_search *s, uint32_t bucket, int from, int to)
{
    if (s->n >= STEER_BATCH - 1) {
        return;
    }
    for (size_t i = 0; i < s->n; i++) {
        if (s->cand[i].bucket == bucket && s->cand[i].to == to) {
            return;
        }
    }
    s->cand[s->n++] = (struct cand) { bucket, from, to };
}

/* Pushes the candidate of the pair whose load is next to 'want', at most one
 * on either side of it. */
static void
cand_near(struct cand_search *s, int from, int to, double want)
{
    const struct steer_item *items = s->sorted + s->v->start[from];
    uint32_t n = s->n_sorted[from];
    uint32_t key = steer_sort_key(want);
    uint32_t lo = 0, hi = n;

    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;

        if (items[mid].key > key) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    /* items[lo] is the largest that is no larger than 'want'. */
    for (uint32_t i = lo, tries = 0; i < n && tries < 8; i++, tries++) {
        if (cand_ok(s, items[i].bucket, from, to)) {
            cand_push(s, items[i].bucket, from, to);
            break;
        }
    }
    for (uint32_t i = lo, tries = 0; i > 0 && tries < 8; i--, tries++) {
        if (cand_ok(s, items[i - 1].bucket, from, to)) {
            cand_push(s, items[i - 1].bucket, from, to);
            break;
        }
    }
}

/* Relative quantities stay within -8...8, so that a load of nothing next to a
 * busy core does not blow up the network's inputs. */
static float
rel(const struct cand_search *s, double x)
{
    double r = x / s->scale;

    return r < -8 ? -8 : r > 8 ? 8 : r;
}

/* Features of the state as a whole.  Only no-op has them: they would be the
 * same for all moves, and only differences of scores count.  Conversely, no-op
 * has none of the relative loads of the two cores, lest those cancel out. */
struct shared {
    float mean, max, min, cores, count, noise;
    uint8_t argmax, argmin;
};

static void
cand_features(struct cand_search *s, size_t i, const struct shared *sh,
              bool noop, bool by_rsspp)
{
    const struct steer_view *v = s->v;
    const struct cand *c = &s->cand[i];
    const struct steer_bucket *b = noop ? NULL : &v->st->buckets[c->bucket];
    double l = noop ? 0 : v->bpred[c->bucket];
    double ls = s->load[c->from], ld = s->load[c->to], m = s->mean;
    double l2 = noop ? 0 : steer_view_rescale(v, l, c->from, c->to);
    double as = ls - l, ad = ld + l2;
    double ssr = ((ls - m) * (ls - m) + (ld - m) * (ld - m)
                  - (as - m) * (as - m) - (ad - m) * (ad - m));
    float (*x)[STEER_BATCH] = s->batch.x;
    uint32_t age = noop ? 100 : MIN(b->ticks_since_move, 100);

    x[STEER_F_SRC][i] = MIN(ls, 4);
    x[STEER_F_DST][i] = MIN(ld, 4);
    x[STEER_F_SRC_REL][i] = noop ? 0 : rel(s, ls - m);
    x[STEER_F_DST_REL][i] = noop ? 0 : rel(s, ld - m);
    x[STEER_F_MEAN][i] = noop ? sh->mean : 0;
    x[STEER_F_MAX_REL][i] = noop ? sh->max : 0;
    x[STEER_F_MIN_REL][i] = noop ? sh->min : 0;
    x[STEER_F_BUCKET][i] = rel(s, l);
    x[STEER_F_BUCKET_NEWS][i] = noop ? 0 : rel(s, v->bcur[c->bucket] - l);
    x[STEER_F_SRC_AFTER][i] = noop ? 0 : rel(s, as - m);
    x[STEER_F_DST_AFTER][i] = noop ? 0 : rel(s, ad - m);
    x[STEER_F_SSR_GAIN][i] = rel(s, copysign(sqrt(fabs(ssr)), ssr));
    x[STEER_F_MAX_GAIN][i] = noop ? 0 : rel(s, MAX(ls, ld) - MAX(as, ad));
    x[STEER_F_SRC_QUEUE][i] = v->st->cores[c->from].qfill > 0
                              ? MIN(v->st->cores[c->from].qfill, 1) : 0;
    x[STEER_F_DST_QUEUE][i] = v->st->cores[c->to].qfill > 0
                              ? MIN(v->st->cores[c->to].qfill, 1) : 0;
    x[STEER_F_SRC_DROPS][i] = s->drops[c->from];
    x[STEER_F_DST_DROPS][i] = s->drops[c->to];
    x[STEER_F_AGE][i] = age / 100.0;
    x[STEER_F_FLOWS][i] = noop || !b->flows ? 0
        : (32 - __builtin_clz(b->flows)) / 16.0;
    x[STEER_F_RSSPP][i] = by_rsspp;
    x[STEER_F_CORES][i] = noop ? sh->cores : 0;
    x[STEER_F_COUNT][i] = noop ? sh->count : 0;
    x[STEER_F_NOISE][i] = noop ? sh->noise : 0;
    x[STEER_F_NOOP][i] = noop;
}

static struct shared
cand_shared(const struct cand_search *s)
{
    const struct steer_view *v = s->v;
    struct shared sh = { .argmax = 0 };
    uint8_t one[1] = { 0 };

    pick_cores(s, v->part, true, 1, one);
    sh.argmax = one[0];
    pick_cores(s, v->part, false, 1, one);
    sh.argmin = one[0];
    sh.mean = MIN(s->mean, 4);
    sh.max = rel(s, s->load[sh.argmax] - s->mean);
    sh.min = rel(s, s->mean - s->load[sh.argmin]);
    sh.cores = log2(v->n_part ? v->n_part : 1) / 6;
    sh.count = MIN(s->n_chosen, 64) / 16.0;
    sh.noise = rel(s, 10 * s->noise);
    return sh;
}

void
cand_generate(struct cand_search *s)
{
    const struct steer_view *v = s->v;
    uint8_t src[CAND_SRC], dst[CAND_DST];
    struct shared sh = cand_shared(s);
    size_t most = v->n_part < 4 ? STEER_BATCH - 1 - 4 * (v->n_part - 1)
                                : CAND_RSSPP;
    size_t n_rsspp = 0;

    s->n = 0;
    for (size_t i = 0; i < s->n_rsspp && n_rsspp < most; i++) {
        const struct steer_move *m = &s->rsspp[i];

        if (v->st->buckets[m->bucket].ticks_since_move >= CAND_REST
            && cand_ok(s, m->bucket, m->from, m->to)) {
            cand_push(s, m->bucket, m->from, m->to);
            n_rsspp++;
        }
    }
    n_rsspp = s->n;

    size_t n_src = pick_cores(s, v->part, true, CAND_SRC, src);
    for (size_t i = 0; i < n_src; i++) {
        int c = src[i];
        uint64_t may = 0;

        if (s->load[c] < s->mean && !s->drops[c]) {
            break;
        }
        cand_sort(s, c);
        for (size_t g = 0; g < v->st->n_groups; g++) {
            may |= v->allowed[g];
        }
        size_t n_dst = pick_cores(s, may & ~(UINT64_C(1) << c), false,
                                  CAND_DST, dst);
        for (size_t j = 0; j < n_dst; j++) {
            int d = dst[j];
            double gap = s->load[c] - s->load[d];

            if (gap < 2 * CAND_MIN_GAIN) {
                break;
            }
            /* Half the gap makes the two equal; the lesser of surplus and
             * deficit makes one of them average and leaves the rest of the
             * surplus to others. */
            double fit = MIN(s->load[c] - s->mean, s->mean - s->load[d]);
            cand_near(s, c, d, gap / 2);
            if (fit > CAND_MIN_GAIN && fit < 0.45 * gap) {
                cand_near(s, c, d, fit);
            }
        }
    }

    for (size_t i = 0; i < s->n; i++) {
        bool by_rsspp = i < n_rsspp;

        cand_features(s, i, &sh, false, by_rsspp);
    }
    s->cand[s->n] = (struct cand) { UINT32_MAX, sh.argmax, sh.argmin };
    cand_features(s, s->n, &sh, true, false);
    s->n++;
}

bool
cand_still_ok(const struct cand_search *s, size_t i)
{
    const struct cand *c = &s->cand[i];
    double was = s->batch.x[STEER_F_SRC][i] - s->batch.x[STEER_F_DST][i];

    /* The network scored the pair as it was.  That still says something while
     * most of the difference is left. */
    return (s->load[c->from] - s->load[c->to] > CAND_STALE * was
            && cand_ok(s, c->bucket, c->from, c->to));
}

void
cand_apply(struct cand_search *s, size_t i)
{
    const struct cand *c = &s->cand[i];
    double l = s->v->bpred[c->bucket];

    s->load[c->from] -= l;
    s->load[c->to] += steer_view_rescale(s->v, l, c->from, c->to);
    s->taken[c->bucket] = true;
    s->n_chosen++;
}
