/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Decisions in words. */

#include <config.h>

#include "ovs-ext/affinity/aff-impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Features that a reason names. */
#define N_REASONS 3

const char *
aff_cause_to_string(enum aff_cause cause)
{
    static const char *const names[AFF_N_CAUSES] = {
        [AFF_C_NEW] = "new",
        [AFF_C_KEPT] = "kept",
        [AFF_C_BETTER] = "better",
        [AFF_C_LOST] = "lost",
        [AFF_C_DEGRADED] = "degraded",
        [AFF_C_OVERLOAD] = "overload",
        [AFF_C_UNFIT] = "unfit",
        [AFF_C_ISOLATION] = "isolation",
        [AFF_C_EXPLORE] = "exploring",
        [AFF_C_PINNED] = "pinned",
        [AFF_C_PIN_WAITS] = "pin waits",
        [AFF_C_NO_ROOM] = "no room",
    };

    return cause < AFF_N_CAUSES ? names[cause] : "?";
}

/* Appends the terms of a score, 'n' of the largest at most. */
static void
put_terms(struct ds *s, const double *w, const double x[AFF_N_FEATURES],
          double total, int n)
{
    double term[AFF_N_FEATURES], rest = total;

    for (int i = 0; i < AFF_N_FEATURES; i++) {
        term[i] = w[i] * x[i];
        rest -= term[i];
    }
    while (n-- > 0) {
        int top = 0;

        for (int i = 1; i < AFF_N_FEATURES; i++) {
            if (fabs(term[i]) > fabs(term[top])) {
                top = i;
            }
        }
        if (fabs(term[top]) < 0.005) {
            break;
        }
        ds_put_format(s, " %s %+.2f", aff_feature_to_string(top), term[top]);
        term[top] = 0;
    }
    if (fabs(rest) >= 0.005) {
        ds_put_format(s, " reports %+.2f", rest);
    }
}

/* Copies 's' into 'reason', cut where a character begins. */
static void
copy_reason(char reason[AFF_REASON_LEN], const char *s)
{
    size_t n = strlen(s);

    if (n >= AFF_REASON_LEN) {
        for (n = AFF_REASON_LEN - 1; n > 0 && (s[n] & 0xc0) == 0x80; n--) {
            continue;
        }
    }
    memcpy(reason, s, n);
    reason[n] = '\0';
}

/* What was wrong with the resource before, called 'name'. */
static void
put_departure(struct ds *s, enum aff_cause cause, const char *name)
{
    switch (cause) {
    case AFF_C_LOST:
        ds_put_format(s, "lost %.80s", name);
        break;
    case AFF_C_DEGRADED:
        ds_put_format(s, "%.80s is degraded", name);
        break;
    case AFF_C_OVERLOAD:
        ds_put_format(s, "%.80s is overloaded", name);
        break;
    case AFF_C_UNFIT:
        ds_put_format(s, "%.80s does not take it", name);
        break;
    case AFF_C_ISOLATION:
        ds_put_format(s, "isolation from %.80s", name);
        break;
    case AFF_C_BETTER:
        ds_put_format(s, "better than %.80s", name);
        break;
    case AFF_C_EXPLORE:
        ds_put_format(s, "exploring, from %.80s", name);
        break;
    case AFF_C_NEW:
        ds_put_cstr(s, "best");
        break;
    case AFF_C_KEPT:
        ds_put_cstr(s, "kept");
        break;
    case AFF_C_NO_ROOM:
    case AFF_C_PINNED:
    case AFF_C_PIN_WAITS:
    case AFF_N_CAUSES:
        break;
    }
}

/* Writes reason and score of the new decision of 'p', which was on slot
 * 'before'. */
void
aff_write_reason(const struct aff_host *h, const struct aff_config *config,
                 const struct aff_learner *learner, struct aff_prof *p,
                 int before)
{
    struct ds s = DS_EMPTY_INITIALIZER;
    const char *name = (p->lost ? p->lost
                        : before != AFF_NONE ? h->res[before].name : "none");
    double x[AFF_N_FEATURES];

    p->d.score = 0;
    if (p->d.cause == AFF_C_PIN_WAITS) {
        int slot = aff_host_find_resource(h, p->pin);

        ds_put_format(&s, "pinned to %.80s, which is %s: the usual way until "
                      "it is back", p->pin, slot == AFF_NONE ? "not there"
                      : hrm_state_to_string(h->res[slot].state));
    } else if (p->d.cause == AFF_C_PINNED && p->d.resource == AFF_NONE) {
        ds_put_cstr(&s, "pinned by the administrator");
    } else if (p->d.resource == AFF_NONE) {
        put_departure(&s, p->d.cause, name);
        ds_put_format(&s, "%sno resource can take it",
                      s.length && p->d.cause != AFF_C_NEW ? "; " : "");
    } else {
        p->d.score = aff_score(h, config, learner, p - h->prof,
                               p->d.resource, x);
        if (p->d.cause == AFF_C_PINNED) {
            ds_put_cstr(&s, "pinned by the administrator");
        } else {
            put_departure(&s, p->d.cause, name);
            ds_put_char(&s, ':');
            put_terms(&s, aff_weights(config, learner), x, p->d.score,
                      N_REASONS);
        }
    }
    if (!isfinite(p->d.score)) {
        p->d.score = 0;
    }
    copy_reason(p->d.reason, ds_cstr(&s));
    ds_destroy(&s);
}

/* A resource in an explanation. */
struct candidate {
    int slot;
    double score;
};

static int
compare_candidates(const void *a_, const void *b_)
{
    const struct candidate *a = a_, *b = b_;

    return (a->score > b->score ? -1 : a->score < b->score ? 1
            : a->slot - b->slot);
}

/* Why 'p' cannot be put on 'r', or NULL if it can. */
static const char *
obstacle(const struct aff_config *config, const struct aff_prof *p,
         const struct aff_res *r, int slot)
{
    double load = MAX(r->now, r->forecast);

    return (r->state == HRM_UNAVAILABLE ? "unavailable"
            : r->state == HRM_UNMANAGED ? "unmanaged"
            : !r->steerable ? "not steerable"
            : aff_fit(r->fit, p->class) <= 0 ? "cannot process the class"
            : slot == p->d.resource ? NULL
            : load + aff_share(p, r) > config->max_load ? "full"
            : r->owner && strcmp(r->owner, p->network)
              ? "taken by an exclusive network"
            : p->exclusive && r->net && strcmp(r->net, p->network)
              ? "not free for an exclusive network"
            : NULL);
}

void
aff_explain(const struct aff_host *h, const struct aff_config *config,
            const struct aff_learner *learner, int profile, size_t n,
            struct ds *s)
{
    const struct aff_prof *p = &h->prof[profile];
    struct candidate *c = xmalloc((h->n_res + 1) * sizeof *c);
    double x[AFF_N_FEATURES];
    size_t n_c = 0;

    ds_put_format(s, "%s %s: %s\n", p->network, tp_class_to_string(p->class),
                  p->d.resource == AFF_NONE ? "the usual way"
                  : h->res[p->d.resource].name);
    ds_put_format(s, "  reason: %s\n", p->d.reason);
    ds_put_format(s, "  traffic: %.0f packets/s, %.0f bits/s, %.0f flows, "
                  "%.0f%% in elephants%s%s\n", p->in.pps, p->in.bps,
                  p->in.flows, 100 * p->in.elephant_share,
                  p->exclusive ? ", exclusive network" : "",
                  p->applied ? "" : ", not applied yet");
    for (int i = 0; i < h->n_res; i++) {
        if (h->res[i].used) {
            c[n_c].slot = i;
            c[n_c++].score = (obstacle(config, p, &h->res[i], i) ? -INFINITY
                              : aff_score(h, config, learner, profile, i, x));
        }
    }
    qsort(c, n_c, sizeof *c, compare_candidates);
    for (size_t i = 0; i < MIN(n, n_c); i++) {
        const struct aff_res *r = &h->res[c[i].slot];
        const char *why = obstacle(config, p, r, c[i].slot);

        ds_put_format(s, "  %c %s: ",
                      c[i].slot == p->d.resource ? '*' : ' ', r->name);
        if (why) {
            ds_put_format(s, "%s\n", why);
            continue;
        }

        double score = aff_score(h, config, learner, profile, c[i].slot, x);
        ds_put_format(s, "%.3f =", score);
        put_terms(s, aff_weights(config, learner), x, score, AFF_N_FEATURES);
        ds_put_format(s, "; load %.0f%% + %.0f%%\n",
                      100 * (r->now - (c[i].slot == p->d.resource
                                       ? aff_share(p, r) : 0)),
                      100 * aff_share(p, r));
    }
    free(c);
}
