/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Forecasts: names, configuration, memory. */

#include <config.h>
#include "ovs-ext/core/forecast-state.h"

#include <stdlib.h>
#include <string.h>

#include "util.h"

#define MIN_WINDOW 200          /* Samples of the rolling error, at least, */
#define MAX_WINDOW 384          /* and at most. */
#define REFIT_FIRST 32          /* Samples until the first fit, at least. */

static const struct fc_class *const classes[FORECAST_N_MODELS] = {
    [FORECAST_LAST_VALUE] = &fc_last_value,
    [FORECAST_SEASONAL_NAIVE] = &fc_seasonal_naive,
    [FORECAST_EWMA] = &fc_ewma,
    [FORECAST_HOLT] = &fc_holt,
    [FORECAST_HOLT_WINTERS] = &fc_holt_winters,
    [FORECAST_AR] = &fc_ar,
    [FORECAST_ARIMA] = &fc_arima,
    [FORECAST_NLMS] = &fc_nlms,
    [FORECAST_MLP] = &fc_mlp,
    [FORECAST_HARMONIC] = &fc_harmonic,
    [FORECAST_STATES] = &fc_states,
    [FORECAST_MIX] = NULL,
};

const char *
forecast_model_name(enum forecast_model model)
{
    return model == FORECAST_MIX ? "mix" : classes[model]->name;
}

/* Stores the model called 'name' in '*model'.  Returns false if there is no
 * such model. */
bool
forecast_model_from_name(const char *name, enum forecast_model *model)
{
    for (size_t i = 0; i < FORECAST_N_MODELS; i++) {
        if (!strcmp(name, forecast_model_name(i))) {
            *model = i;
            return true;
        }
    }
    return false;
}

/* Configuration. */

/* All models, no season, horizon 1, no bounds, intervals of 90 %. */
void
forecast_config_init(struct forecast_config *config)
{
    *config = (struct forecast_config) {
        .horizon = 1,
        .models = FORECAST_ALL,
        .min = -INFINITY,
        .max = INFINITY,
        .coverage = 0.9,
        .seed = 1,
    };
}

static char *
config_error(const struct forecast_config *c)
{
    if (c->horizon < 1 || c->horizon > FORECAST_MAX_HORIZON) {
        return xasprintf("horizon %"PRIuSIZE" is not in 1...%d", c->horizon,
                         FORECAST_MAX_HORIZON);
    } else if (c->season == 1 || c->season > FORECAST_MAX_SEASON) {
        return xasprintf("season %"PRIuSIZE" is neither 0 nor in 2...%d",
                         c->season, FORECAST_MAX_SEASON);
    } else if (c->season2 && (c->season2 <= c->season || !c->season
                              || c->season2 > FORECAST_MAX_SEASON)) {
        return xasprintf("second season %"PRIuSIZE" is not longer than the "
                         "first, %"PRIuSIZE", and at most %d", c->season2,
                         c->season, FORECAST_MAX_SEASON);
    } else if (c->history > FORECAST_MAX_HISTORY) {
        return xasprintf("history %"PRIuSIZE" is more than %d", c->history,
                         FORECAST_MAX_HISTORY);
    } else if (!(c->coverage >= 0.5 && c->coverage <= 0.99)) {
        return xasprintf("coverage %g is not in 0.5...0.99", c->coverage);
    } else if (!(c->min < c->max)) {
        return xasprintf("minimum %g is not below maximum %g", c->min, c->max);
    } else if (!(c->models & FORECAST_ALL) || c->models & ~FORECAST_ALL) {
        return xasprintf("0x%x is no set of models", c->models);
    }
    return NULL;
}

/* Returns true if 'config' makes sense.  Otherwise, stores why not in
 * '*errorp', for the caller to free, if that is nonnull. */
bool
forecast_config_check(const struct forecast_config *config, char **errorp)
{
    char *error = config_error(config);

    if (errorp) {
        *errorp = error;
    } else {
        free(error);
    }
    return !error;
}

static size_t
init_tracked(struct forecast *f)
{
    size_t h = 1, pending = 0;

    f->n_tracked = 0;
    for (;;) {
        struct fc_tracked *t = &f->tracked[f->n_tracked++];

        t->h = h;
        t->pending = pending;
        pending += h;
        if (h == f->config.horizon) {
            return pending;
        }
        h = (h * 3 >= f->config.horizon || f->n_tracked == FC_MAX_TRACKED - 1
             ? f->config.horizon : h * 3);
    }
}

/* Hands out the memory behind '*f', from '*used' on; without 'base', only
 * counts. */
static void *
take(char *base, size_t *used, size_t size)
{
    void *p = base ? base + *used : NULL;

    *used = ROUND_UP(*used + size, 8);
    return p;
}

static bool
is_candidate(const struct forecast_config *c, enum forecast_model model)
{
    return (c->models & FORECAST_BIT(model)
            && (model == FORECAST_MIX || !classes[model]->seasonal
                || c->season));
}

/* Lays out 'f', whose configuration, environment and tracked horizons are set
 * up, in 'base' (null: just counts).  Returns the size. */
static size_t
lay_out(struct forecast *f, char *base, size_t n_pending)
{
    size_t used = ROUND_UP(sizeof *f, 8);
    size_t history = fc_env_history(&f->env, &f->config);
    float *ring = take(base, &used, history * sizeof *ring);

    f->issued = take(base, &used, n_pending * sizeof *f->issued);
    if (base) {
        ext_series_init(&f->env.hist, ring, history);
    }
    for (size_t i = 0; i < FORECAST_N_MODELS; i++) {
        struct fc_slot *slot = &f->slots[i];

        slot->enabled = is_candidate(&f->config, i);
        slot->class = slot->enabled ? classes[i] : NULL;
        if (slot->enabled) {
            slot->path = take(base, &used,
                              f->config.horizon * sizeof(float));
            slot->pending = take(base, &used, n_pending * sizeof(float));
            size_t size = (slot->class && slot->class->size
                           ? slot->class->size(&f->env) : 0);
            slot->state = size ? take(base, &used, size) : NULL;
        }
    }
    return used;
}

static enum forecast_model
first_candidate(const struct forecast *f, const struct fc_tracked *t)
{
    for (size_t i = 0; i < FORECAST_N_MODELS; i++) {
        if (fc_competes(f, t, i)) {
            return i;
        }
    }
    OVS_NOT_REACHED();
}

/* Forgets everything but the configuration. */
void
forecast_reset(struct forecast *f)
{
    struct forecast_config config = f->config;
    size_t size = f->size, season, n_pending;

    memset(f, 0, size);
    f->config = config;
    f->size = size;
    fc_env_init(&f->env, &config);
    n_pending = init_tracked(f);
    lay_out(f, (char *) f, n_pending);
    for (size_t i = 0; i < FORECAST_N_MODELS; i++) {
        struct fc_slot *slot = &f->slots[i];

        if (slot->class && slot->class->init) {
            slot->class->init(slot->state, &f->env, config.seed);
        }
    }
    for (size_t i = 0; i < f->n_tracked; i++) {
        f->tracked[i].best = first_candidate(f, &f->tracked[i]);
        fc_interval_init(&f->tracked[i].interval, config.coverage);
    }
    ext_change_init(&f->change, EXT_CHANGE_DELTA, EXT_CHANGE_LAMBDA);
    season = MAX(config.season, config.season2);
    f->window = MIN(MAX(2 * season, MIN_WINDOW), MAX_WINDOW);
    f->next_fit = MAX(REFIT_FIRST, f->env.max_lag + 2 * f->env.n_x);
}

/* Creates a forecast.  Returns null if 'config' is wrong, and then stores why
 * in '*errorp', for the caller to free, if that is nonnull. */
struct forecast *
forecast_create(const struct forecast_config *config, char **errorp)
{
    struct forecast plan;

    if (!forecast_config_check(config, errorp)) {
        return NULL;
    }
    memset(&plan, 0, sizeof plan);
    plan.config = *config;
    fc_env_init(&plan.env, config);
    if (!is_candidate(config, FORECAST_LAST_VALUE)) {
        bool any = false;

        for (size_t i = 0; i < FORECAST_N_MODELS; i++) {
            any |= is_candidate(config, i);
        }
        if (!any) {             /* Seasonal models only, without a season. */
            plan.config.models |= FORECAST_BIT(FORECAST_LAST_VALUE);
        }
    }

    size_t size = lay_out(&plan, NULL, init_tracked(&plan));
    struct forecast *f = xmalloc(size);

    f->config = plan.config;
    f->size = size;
    forecast_reset(f);
    return f;
}

void
forecast_destroy(struct forecast *f)
{
    free(f);
}

/* Bytes that 'f' takes. */
size_t
forecast_size(const struct forecast *f)
{
    return f->size;
}
