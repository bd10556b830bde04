/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* One plan of a host.
 *
 * Profiles are placed in three rounds: pinned ones, those of exclusive
 * networks, all others.  A round first keeps what may stay where it is, then
 * places what has no resource (any more), then looks for what could do better.
 * So the next round sees the loads that the round before has left. */

#include <config.h>

#include "ovs-ext/affinity/aff-impl.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Moves of one plan for the better only: the loads that they lead to are
 * predictions, so a few at a time. */
#define MAX_IMPROVEMENTS 4

/* Scores closer than this are equal, and the names decide. */
#define EQUAL 1e-9

/* Load up to which a resource keeps what it has. */
#define KEEP_LOAD 1.0

/* Score taken off for each ordinary profile that an exclusive one drives
 * out. */
#define DISPLACE 0.08

enum round { ROUND_EXCLUSIVE, ROUND_ORDINARY };

struct plan {
    struct aff_host *h;
    const struct aff_config *config;
    const struct aff_learner *learner;
    const double *w;
    long long int now;
    bool again;
    int n_order;                /* Profiles in h->order. */
};

static bool
is_usable(enum hrm_state state)
{
    return state == HRM_AVAILABLE || state == HRM_DEGRADED;
}

/* Counts losses of a resource, and lets them be forgotten. */
static void
note_flaps(struct aff_res *r, long long int now)
{
    if (r->flaps > 0 && now > r->flaps_at) {
        r->flaps *= exp2(-(now - r->flaps_at) / AFF_FLAP_MS);
        if (r->flaps < 0.05) {
            r->flaps = 0;
        }
    }
    r->flaps_at = now;
    if (r->planned && is_usable(r->planned_state) && !is_usable(r->state)) {
        r->flaps = MIN(r->flaps + 1, 8);
    }
}

/* Score taken off a resource to come to, for being lost now and then.  The
 * first loss is free. */
static double
flap_penalty(const struct aff_res *r)
{
    return r->flaps > 1 ? 0.1 * (r->flaps - 1) : 0;
}

/* Base loads: what is measured, without our own profiles' part of it. */
static void
prepare(struct plan *plan)
{
    struct aff_host *h = plan->h;
    double own[AFF_MAX_RESOURCES];

    memset(own, 0, h->n_res * sizeof *own);
    h->home = aff_home_numa(h);
    for (int i = 0; i < h->n_res; i++) {
        h->res[i].n_present = 0;
    }
    for (int i = 0; i < h->n_prof; i++) {
        struct aff_prof *p = &h->prof[i];

        if (!p->used) {
            continue;
        }
        aff_prepare_profile(plan->w, p);
        p->slot = AFF_NONE;
        p->cause = p->d.cause;
        if (p->d.resource != AFF_NONE) {
            struct aff_res *r = &h->res[p->d.resource];

            r->n_present += !p->pin && !p->exclusive;
            if (p->applied) {
                own[p->d.resource] += aff_pair_share(p, r);
            }
        }
    }
    for (int i = 0; i < h->n_res; i++) {
        struct aff_res *r = &h->res[i];

        if (!r->used) {
            continue;
        }
        if (r->sampled || !r->planned) {
            r->sampled = false;
            r->own = own[i];
        }
        note_flaps(r, plan->now);
        aff_prepare_resource(h, plan->config, plan->learner, r);
        r->now = MAX(r->m.utilization - r->own, 0);
        r->forecast = MAX(r->m.forecast_utilization - r->own, 0);
        r->net = r->owner = NULL;
        r->mixed = false;
        r->open = is_usable(r->state) && r->steerable;
        r->degraded = (r->planned && r->state == HRM_DEGRADED
                       && r->planned_state != HRM_DEGRADED);
        r->planned = true;
        r->planned_state = r->state;
    }
}

/* May 'p' share 'r' with what is placed there? */
static bool
may_share(const struct aff_prof *p, const struct aff_res *r)
{
    if (r->owner) {
        return !strcmp(r->owner, p->network) && !r->mixed;
    }
    return (!p->exclusive || !r->net
            || (!r->mixed && !strcmp(r->net, p->network)));
}

static void
place(struct plan *plan, struct aff_prof *p, int slot, enum aff_cause cause)
{
    struct aff_res *r = &plan->h->res[slot];
    double share = aff_pair_share(p, r);

    r->now += share;
    r->forecast += share;
    if (!r->net) {
        r->net = p->network;
    } else if (strcmp(r->net, p->network)) {
        r->mixed = true;
    }
    if (p->exclusive) {
        r->owner = p->network;
    }
    p->slot = slot;
    p->cause = cause;
}

/* Takes 'p' off its resource; looks through the profiles for who is left. */
static void
unplace(struct plan *plan, struct aff_prof *p)
{
    struct aff_host *h = plan->h;
    struct aff_res *r = &h->res[p->slot];
    double share = aff_pair_share(p, r);
    int slot = p->slot;

    r->now = MAX(r->now - share, 0);
    r->forecast = MAX(r->forecast - share, 0);
    r->net = r->owner = NULL;
    r->mixed = false;
    p->slot = AFF_NONE;
    for (int i = 0; i < h->n_prof; i++) {
        const struct aff_prof *q = &h->prof[i];

        if (q->used && q->slot == slot) {
            r->mixed |= r->net && strcmp(r->net, q->network);
            r->net = q->network;
            r->owner = q->exclusive ? q->network : r->owner;
        }
    }
}

/* Where to put 'p', which is placed nowhere; AFF_NONE if nowhere.  Stores the
 * score, penalties included. */
static int
find_best(const struct plan *plan, const struct aff_prof *p, int except,
          double *score)
{
    const struct aff_host *h = plan->h;
    double max_load = plan->config->max_load;
    int best = AFF_NONE;

    *score = -INFINITY;
    for (int i = 0; i < h->n_res; i++) {
        const struct aff_res *r = &h->res[i];

        if (!r->used || !r->open || i == except
            || p->by_fit[r->fit] == -INFINITY) {
            continue;
        }

        double load = MAX(r->now, r->forecast) + aff_pair_share(p, r);
        if (load > max_load || !may_share(p, r)) {
            continue;
        }

        double s = aff_pair_score(p, r, plan->w, r->now, r->forecast);
        if (i != p->d.resource) {
            s -= plan->config->switch_penalty + flap_penalty(r);
        }
        if (p->exclusive && !r->owner) {
            s -= DISPLACE * MIN(r->n_present, 6);
        }
        if (s > *score + EQUAL
            || (s > *score - EQUAL && best != AFF_NONE
                && strcmp(r->name, h->res[best].name) < 0)) {
            best = i;
            *score = s;
        }
    }
    return best;
}

/* Whether 'p' may stay on its present resource; if not, why. */
static bool
may_stay(const struct plan *plan, const struct aff_prof *p,
         enum aff_cause *cause)
{
    const struct aff_res *r = &plan->h->res[p->d.resource];

    if (!is_usable(r->state)) {
        *cause = AFF_C_LOST;
    } else if (!r->steerable || p->by_fit[r->fit] == -INFINITY) {
        *cause = AFF_C_UNFIT;
    } else if (!may_share(p, r)
               || (p->exclusive && !r->owner && r->n_present)) {
        /* The latter may stay if that is best nevertheless. */
        *cause = AFF_C_ISOLATION;
    } else if (r->now + aff_pair_share(p, r) > KEEP_LOAD + EQUAL) {
        *cause = AFF_C_OVERLOAD;
    } else {
        return true;
    }
    return false;
}

/* Pinned profiles: what the administrator wants. */
static void
place_pinned(struct plan *plan)
{
    struct aff_host *h = plan->h;

    for (int i = 0; i < h->n_prof; i++) {
        struct aff_prof *p = &h->prof[i];

        if (!p->used || !p->pin) {
            continue;
        }

        int slot = aff_host_find_resource(h, p->pin);
        if (!p->pin[0]) {
            p->cause = AFF_C_PINNED;
        } else if (slot != AFF_NONE && is_usable(h->res[slot].state)) {
            place(plan, p, slot, AFF_C_PINNED);
        } else {
            p->cause = AFF_C_PIN_WAITS;
        }
    }
}

/* A profile that has to leave, or that has no resource yet. */
static void
place_homeless(struct plan *plan, struct aff_prof *p)
{
    double score;
    int slot = find_best(plan, p, AFF_NONE, &score);

    p->streak = 0;
    p->explore_until = LLONG_MIN;
    if (slot != AFF_NONE) {
        place(plan, p, slot, p->cause);
    } else if (!p->decided) {
        p->cause = AFF_C_NO_ROOM;
    }
}

/* A profile that may stay: is another resource better, and for how long? */
static bool
improve(struct plan *plan, struct aff_prof *p)
{
    int slot = p->slot;
    const struct aff_res *r = &plan->h->res[slot];
    bool exploring = p->explore_until > plan->now;
    bool urgent = r->degraded;
    double score, alternative;

    if (exploring && !urgent) {
        p->streak = 0;
        return false;
    }

    double share = aff_pair_share(p, r);
    score = aff_pair_score(p, r, plan->w, MAX(r->now - share, 0),
                           MAX(r->forecast - share, 0));
    int other = find_best(plan, p, slot, &alternative);
    if (other == AFF_NONE
        || alternative <= score + (urgent ? 0 : plan->config->margin)) {
        p->streak = 0;
        return false;
    }
    if (!urgent && ++p->streak < plan->config->hold) {
        plan->again = true;
        return false;
    }
    p->streak = 0;
    unplace(plan, p);
    place(plan, p, other, urgent ? AFF_C_DEGRADED : AFF_C_BETTER);
    return true;
}

static int
compare_profiles(const struct aff_prof *a, const struct aff_prof *b)
{
    double x = a->weight * a->in.bps, y = b->weight * b->in.bps;
    int cmp = x > y ? -1 : x < y;

    if (!cmp) {
        cmp = strcmp(a->network, b->network);
    }
    return cmp ? cmp : (int) a->class - (int) b->class;
}

/* Puts the profiles of a round into h->order.  Insertion sort: they are few,
 * and mostly in order already. */
static void
order(struct plan *plan, enum round round)
{
    struct aff_host *h = plan->h;
    int n = 0;

    for (int i = 0; i < h->n_prof; i++) {
        const struct aff_prof *p = &h->prof[i];
        int j;

        if (!p->used || p->pin
            || p->exclusive != (round == ROUND_EXCLUSIVE)) {
            continue;
        }
        for (j = n++;
             j > 0 && compare_profiles(p, &h->prof[h->order[j - 1]]) < 0;
             j--) {
            h->order[j] = h->order[j - 1];
        }
        h->order[j] = i;
    }
    plan->n_order = n;
}

static void
do_round(struct plan *plan, enum round round)
{
    struct aff_host *h = plan->h;
    int improvements = 0;

    order(plan, round);
    for (int i = 0; i < plan->n_order; i++) {
        struct aff_prof *p = &h->prof[h->order[i]];

        if (p->d.resource == AFF_NONE) {
            p->cause = p->lost ? AFF_C_LOST : AFF_C_NEW;
        } else if (may_stay(plan, p, &p->cause)) {
            place(plan, p, p->d.resource, AFF_C_KEPT);
        }
    }
    for (int i = 0; i < plan->n_order; i++) {
        struct aff_prof *p = &h->prof[h->order[i]];

        if (p->slot == AFF_NONE) {
            place_homeless(plan, p);
        }
    }
    for (int i = 0; i < plan->n_order; i++) {
        struct aff_prof *p = &h->prof[h->order[i]];

        if (p->slot != AFF_NONE && p->slot == p->d.resource) {
            if (improvements < MAX_IMPROVEMENTS) {
                improvements += improve(plan, p);
            } else {
                plan->again = true;
            }
        }
    }
}

/* Sends one profile, now and then, where little is known. */
static void
explore(struct plan *plan)
{
    const struct aff_config *config = plan->config;
    struct aff_host *h = plan->h;

    if (!config->explore || !config->learn || !plan->learner
        || h->last_report == LLONG_MIN
        || plan->now > h->last_report + AFF_REPORT_FRESH_MS
        || plan->now < h->next_explore) {
        return;
    }
    h->next_explore = plan->now + MAX(config->explore_ms, 100);
    if (ext_rng_double(&h->rng) >= config->epsilon) {
        return;
    }
    order(plan, ROUND_ORDINARY);
    if (!plan->n_order) {
        return;
    }

    struct aff_prof *p = &h->prof[h->order[ext_rng_range(&h->rng,
                                                         plan->n_order)]];
    if (p->slot == AFF_NONE || p->slot != p->d.resource || !p->applied) {
        return;                 /* Moving already. */
    }

    const struct aff_res *from = &h->res[p->slot];
    double share = aff_pair_share(p, from);
    double score = aff_pair_score(p, from, plan->w,
                                  MAX(from->now - share, 0),
                                  MAX(from->forecast - share, 0));
    double best_bound = -INFINITY;
    int best = AFF_NONE;

    for (int i = 0; i < h->n_res; i++) {
        const struct aff_res *r = &h->res[i];
        double x[AFF_N_FEATURES];

        if (!r->used || !r->open || i == p->slot
            || p->by_fit[r->fit] == -INFINITY || !may_share(p, r)
            || (MAX(r->now, r->forecast) + aff_pair_share(p, r)
                > config->max_load)) {
            continue;
        }

        double s = aff_pair_score(p, r, plan->w, r->now, r->forecast);
        if (s < score - config->explore_loss) {
            continue;
        }
        aff_features(h, config, p, r, r->now, r->forecast, x);
        s += aff_learner_uncertainty(plan->learner, x);
        s += 0.3 / sqrt(1 + r->means[p->class].n);
        if (s > best_bound + EQUAL
            || (s > best_bound - EQUAL
                && strcmp(r->name, h->res[best].name) < 0)) {
            best = i;
            best_bound = s;
        }
    }
    if (best != AFF_NONE) {
        unplace(plan, p);
        place(plan, p, best, AFF_C_EXPLORE);
        p->explore_until = plan->now + MAX(config->explore_hold_ms, 0);
    }
}

/* Takes over what was placed. */
static void
settle(struct plan *plan, struct aff_result *result)
{
    struct aff_host *h = plan->h;
    bool homeless = false;

    for (int i = 0; i < h->n_prof; i++) {
        struct aff_prof *p = &h->prof[i];
        int before = p->d.resource;

        if (!p->used) {
            continue;
        }

        bool waits = p->cause == AFF_C_PIN_WAITS;
        bool pinned = p->cause == AFF_C_PINNED || waits;
        bool was_pinned = (p->d.cause == AFF_C_PINNED
                           || p->d.cause == AFF_C_PIN_WAITS);
        p->d.changed = (!p->decided || p->slot != before || p->lost
                        || pinned != was_pinned
                        || waits != (p->d.cause == AFF_C_PIN_WAITS));
        if (p->d.changed) {
            p->d.resource = p->slot;
            p->d.cause = p->cause;
            p->decided = true;
            if (p->slot != before) {
                p->applied = false;
            }
            aff_write_reason(h, plan->config, plan->learner, p, before);
            result->n_changed++;
            free(p->lost);
            p->lost = NULL;
        }
        homeless |= p->slot == AFF_NONE && !p->pin;
        if (p->explore_until > plan->now) {
            result->next_ms = MIN(result->next_ms, p->explore_until);
        }
    }
    /* What moved may have left room for what goes the usual way. */
    plan->again |= homeless && result->n_changed;
    for (int i = 0; i < h->n_res; i++) {
        if (h->res[i].used && h->res[i].flaps > 1) {
            result->next_ms = MIN(result->next_ms, plan->now + 5000);
        }
    }
}

void
aff_plan(struct aff_host *h, const struct aff_config *config,
         const struct aff_learner *learner, long long int now,
         struct aff_result *result)
{
    struct plan plan = {
        .h = h,
        .config = config,
        .learner = learner,
        .w = aff_weights(config, learner),
        .now = now,
    };

    *result = (struct aff_result) { .next_ms = LLONG_MAX };
    prepare(&plan);
    place_pinned(&plan);
    do_round(&plan, ROUND_EXCLUSIVE);
    do_round(&plan, ROUND_ORDINARY);
    explore(&plan);
    settle(&plan, result);
    result->again = plan.again;
}
