/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>
#include "ovs-ext/steering/steer-policy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ovs-ext/steering/steer-impl.h"
#include "util.h"

const char *const steer_policy_names[] = {
    "static", "rsspp", "lpt", "rl", NULL
};

static const struct steer_policy_class *const classes[] = {
    &steer_static_class, &steer_rsspp_class, &steer_lpt_class, &steer_rl_class,
};

void
steer_config_init(struct steer_config *config)
{
    *config = (struct steer_config) {
        .w = STEER_WEIGHTS_DEFAULT,
        .max_moves = 0,
        .learn = true,
        .guard = true,
        .seed = 1,
        .rsspp_period_s = 0.1,
    };
}

static bool
weight_ok(double w)
{
    return w >= 0 && w <= 1e6;
}

struct steer_policy *
steer_policy_create(const char *name, const struct steer_config *config,
                    char **error)
{
    *error = NULL;
    if (!weight_ok(config->w.throughput) || !weight_ok(config->w.latency)
        || !weight_ok(config->w.balance) || !weight_ok(config->w.switching)) {
        *error = xasprintf("steering weights must be in 0...1000000");
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
        if (!strcmp(name, classes[i]->name)) {
            struct steer_policy *p = classes[i]->create(config, error);

            if (p) {
                p->class = classes[i];
                p->cfg = *config;
                steer_view_init(&p->view);
                p->explain.reason = "no decision yet";
            }
            return p;
        }
    }
    *error = xasprintf("no steering policy is named \"%s\" (there are static, "
                       "rsspp, lpt and rl)", name);
    return NULL;
}

void
steer_policy_destroy(struct steer_policy *p)
{
    if (p) {
        steer_view_destroy(&p->view);
        p->class->destroy(p);
    }
}

const char *
steer_policy_name(const struct steer_policy *p)
{
    return p->class->name;
}

void
steer_policy_set_config(struct steer_policy *p,
                        const struct steer_config *config)
{
    const struct steer_model *model = p->cfg.model;
    uint64_t seed = p->cfg.seed;

    p->cfg = *config;
    p->cfg.model = model;
    p->cfg.seed = seed;
}

void
steer_policy_reset(struct steer_policy *p)
{
    steer_view_reset(&p->view);
    p->last_moves = 0;
    if (p->class->reset) {
        p->class->reset(p);
    }
}

size_t
steer_policy_decide(struct steer_policy *p, const struct steer_state *st,
                    struct steer_move *moves, size_t max_moves)
{
    struct steer_view *v = &p->view;
    struct steer_explain *x = &p->explain;

    if (p->cfg.max_moves && p->cfg.max_moves < max_moves) {
        max_moves = p->cfg.max_moves;
    }
    x->reward = steer_reward(&p->cfg.w, st, p->last_moves, NULL);
    x->score = x->margin = 0;
    x->n_candidates = 0;

    steer_view_update(v, st);
    size_t n = v->n_part > 1 || p->class == &steer_rl_class
               ? p->class->decide(p, v, moves, max_moves) : 0;
    if (v->n_part < 2) {
        x->reason = "fewer than two cores take part";
        n = 0;
    }

    x->imbalance_before = steer_view_imbalance(v, NULL, 0);
    x->imbalance_after = n ? steer_view_imbalance(v, moves, n)
                           : x->imbalance_before;
    x->score = n ? moves[0].score : 0;
    x->n_moves = n;
    p->last_moves = n;
    return n;
}

const char *
steer_decider_to_string(enum steer_decider d)
{
    switch (d) {
    case STEER_BY_STATIC: return "static";
    case STEER_BY_RSSPP: return "rsspp";
    case STEER_BY_LPT: return "lpt";
    case STEER_BY_RL: return "rl";
    case STEER_BY_FALLBACK_OOD: return "rsspp-fallback-ood";
    case STEER_BY_FALLBACK_UNCERTAIN: return "rsspp-fallback-uncertain";
    case STEER_BY_FALLBACK_WORSE: return "rsspp-fallback-worse";
    }
    return "unknown";
}

const struct steer_explain *
steer_policy_explain(const struct steer_policy *p)
{
    return &p->explain;
}

void
steer_policy_get_rl_status(const struct steer_policy *p,
                           struct steer_rl_status *status)
{
    memset(status, 0, sizeof *status);
    if (p->class->get_rl_status) {
        p->class->get_rl_status(p, status);
    }
}

/* Policy "static". */

static struct steer_policy *
static_create(const struct steer_config *config OVS_UNUSED,
              char **error OVS_UNUSED)
{
    return xzalloc(sizeof(struct steer_policy));
}

static void
static_destroy(struct steer_policy *p)
{
    free(p);
}

static size_t
static_decide(struct steer_policy *p, struct steer_view *v OVS_UNUSED,
              struct steer_move *moves OVS_UNUSED,
              size_t max_moves OVS_UNUSED)
{
    p->explain.decided_by = STEER_BY_STATIC;
    p->explain.reason = "the static policy never moves a bucket";
    return 0;
}

const struct steer_policy_class steer_static_class = {
    .name = "static",
    .create = static_create,
    .destroy = static_destroy,
    .decide = static_decide,
};
