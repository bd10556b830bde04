/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Forecasts: what happens at each sample, and what is then said. */

#include <config.h>
#include "ovs-ext/core/forecast-state.h"

#include "util.h"

/* Choice between models. */
#define MARGIN 0.98             /* A better model is this much better... */
#define PATIENCE 3              /* ...so many times in a row. */
#define MIN_SCORED 5            /* Errors before a model may be chosen. */

/* A model that is better than the naive forecast by chance is not to be chosen
 * instead.  Chance is taken to be this much of the error, divided by the root
 * of the errors that a score stands for (of the forecasts that far ahead, only
 * every 'h'th is news): in the long run, or else, if it was clearly so, of
 * late. */
#define CHANCE 0.15
#define CHANCE_LATE 1.5
#define CHANCE_MAX 0.4

/* Samples are kept relative to the first one.  If they are then this many
 * times their usual step away from it, for this long, they are told apart too
 * poorly ('float' has 24 bits): all begins anew, at the present sample. */
#define FAR_STEPS (1 << 20)
#define FAR_SAMPLES 256

/* A sample this many times larger than all before is an accident (a counter
 * that wrapped), unless there are so many of them in a row. */
#define ABSURD 1e9
#define ABSURD_IN_A_ROW 8
#define ABSURD_FIRST 32         /* Samples until this is looked at. */

/* Changes. */
#define CHANGE_FIRST 30         /* Errors until this is looked at. */
#define JUMP_DEVIATIONS 20      /* An error that is a change or an outlier. */
#define OUTLIER_DEVIATIONS 6    /* Others count for this much at most. */
#define CALM_SAMPLES 10         /* No other is looked for after a jump, while
                                 * models get over it. */
#define DOUBT_WEIGHT 60         /* What scores from before count for. */

#define NO_MODEL FORECAST_N_MODELS

/* The naive forecast at 't', which others have to beat; NO_MODEL if there is
 * none among the candidates. */
static size_t
naive_at(const struct forecast *f, const struct fc_tracked *t)
{
    return (fc_competes(f, t, FORECAST_LAST_VALUE) ? FORECAST_LAST_VALUE
            : f->slots[FORECAST_SEASONAL_NAIVE].enabled
            ? FORECAST_SEASONAL_NAIVE : NO_MODEL);
}

/* Gives errors of the forecasts that were made for sample 'y', the one after
 * 'f->env.n' samples. */
static void
score(struct forecast *f, struct fc_tracked *t, double y)
{
    uint64_t n = f->env.n;
    size_t at = t->pending + n % t->h;
    size_t naive = naive_at(f, t);
    double naive_error = 0;

    if (n < t->h) {
        return;                 /* Nobody forecast that far yet. */
    }
    if (naive != NO_MODEL) {
        naive_error = fc_clip(&f->env, y - f->slots[naive].pending[at]);
    }
    for (size_t i = 0; i < FORECAST_N_MODELS; i++) {
        if (f->slots[i].enabled) {
            double error = y - f->slots[i].pending[at];

            error = fc_clip(&f->env, error);
            fc_score_update(&t->score[i], error, f->window);
            fc_gain_update(&t->gain[i], fabs(naive_error) - fabs(error));
        }
    }
    fc_interval_update(&t->interval, fc_clip(&f->env, y - f->issued[at]),
                       f->config.coverage);
}

/* What models did before the last few samples counts for less from now on. */
static void
doubt_scores(struct forecast *f)
{
    for (size_t k = 0; k < f->n_tracked; k++) {
        for (size_t i = 0; i < FORECAST_N_MODELS; i++) {
            struct fc_score *s = &f->tracked[k].score[i];

            s->n = MIN(s->n, DOUBT_WEIGHT);
        }
    }
}

/* Looks for a change in the errors of what was in force, in units of their
 * usual size 'scale'.  A jump is a change if the series is still there at the
 * next sample; otherwise it was an outlier. */
static void
detect_change(struct forecast *f, double y, double scale)
{
    double said = f->issued[f->tracked[0].pending];
    double z = scale > 0 ? (y - said) / (1.25 * scale) : 0;

    if (f->tracked[0].interval.n < CHANGE_FIRST) {
        return;                 /* It is not known yet what is usual. */
    } else if (f->calm) {
        f->calm--;
    } else if (f->jump) {
        double there = (y - f->jump_from) / f->jump;

        f->changed = there > 0.5;
        f->jump = 0;
        f->calm = CALM_SAMPLES;
    } else if (fabs(z) > JUMP_DEVIATIONS) {
        f->jump = y - said;
        f->jump_from = said;
    } else {
        z = MAX(-OUTLIER_DEVIATIONS, MIN(z, OUTLIER_DEVIATIONS));
        f->changed = ext_change_update(&f->change, z);
    }
    if (f->changed) {
        f->n_changes++;
        doubt_scores(f);
    }
}

/* Weight of a model in their mean, 'r' being the smallest error / its own: to
 * the power of 8, so that only those close to the best count. */
static double
mix_weight(double r)
{
    double r2 = r * r, r4 = r2 * r2;

    return r4 * r4;
}

/* The path of the mean of models, each weighted by its error at the nearest
 * tracked horizon. */
static void
mix(struct forecast *f, float *path)
{
    size_t from = 0;

    for (size_t k = 0; k < f->n_tracked; k++) {
        const struct fc_tracked *t = &f->tracked[k];
        double weight[FORECAST_N_MODELS], sum = 0, least = INFINITY;

        for (size_t i = 0; i < FORECAST_MIX; i++) {
            if (fc_competes(f, t, i) && t->score[i].n >= 1) {
                least = MIN(least, t->score[i].mae);
            }
        }
        for (size_t i = 0; i < FORECAST_MIX; i++) {
            weight[i] = 0;
            if (fc_competes(f, t, i)) {
                double r = (isfinite(least) && t->score[i].mae > 0
                            ? least / t->score[i].mae : 1);

                weight[i] = mix_weight(r);
                sum += weight[i];
            }
        }
        for (size_t h = from; h < t->h; h++) {
            double x = 0;

            for (size_t i = 0; i < FORECAST_MIX; i++) {
                if (weight[i] > 0) {
                    x += weight[i] / sum * f->slots[i].path[h];
                }
            }
            path[h] = x;
        }
        from = t->h;
    }
}

/* Has all models make their next forecasts. */
static void
predict(struct forecast *f)
{
    for (size_t i = 0; i < FORECAST_N_MODELS; i++) {
        struct fc_slot *slot = &f->slots[i];
        bool ready;

        if (!slot->enabled) {
            continue;
        } else if (i == FORECAST_MIX) {
            mix(f, slot->path);
            ready = true;
        } else {
            ready = slot->class->predict(slot->state, &f->env, slot->path);
        }
        if (!ready) {
            fc_last_value.predict(NULL, &f->env, slot->path);
        } else if (!slot->ready) {
            /* It begins now: what it was before counts for little. */
            for (size_t k = 0; k < f->n_tracked; k++) {
                struct fc_score *s = &f->tracked[k].score[i];

                s->n = MIN(s->n, MIN_SCORED);
                f->tracked[k].gain[i].n = 0;
            }
        }
        slot->ready = ready;
        for (size_t h = 0; h < f->config.horizon; h++) {
            slot->path[h] = fc_bound(&f->env, slot->path[h]);
        }
    }
}

/* Has 'a' been better than 'b' at 't' in the long run, by more than chance
 * explains? */
static bool
is_better(const struct fc_tracked *t, size_t a, size_t b)
{
    double n = MIN(t->gain[a].n, t->gain[b].n);

    return (t->gain[a].mean - t->gain[b].mean
            > CHANCE * sqrt(t->h / n) * t->score[b].mae);
}

/* Has model 'i' shown that it is better at 't' than 'naive'? */
static bool
is_proven(const struct fc_tracked *t, size_t i, size_t naive)
{
    double late = CHANCE_LATE * sqrt(t->h / t->score[i].n);

    return (i == naive || naive == NO_MODEL || is_better(t, i, naive)
            || (t->score[i].mae
                < t->score[naive].mae * (1 - MIN(late, CHANCE_MAX))));
}

/* Which model is in force at 't' from now on.  After a jump there is no time
 * for patience. */
static void
choose(struct forecast *f, struct fc_tracked *t)
{
    size_t naive = naive_at(f, t);
    bool unproven = !is_proven(t, t->best, naive);
    size_t best = unproven ? naive : t->best;

    for (size_t i = 0; i < FORECAST_N_MODELS; i++) {
        if (fc_competes(f, t, i) && f->slots[i].ready
            && t->score[i].n >= MIN_SCORED
            && t->score[i].mae < t->score[best].mae
            && is_proven(t, i, naive)) {
            best = i;
        }
    }
    if (best == t->best
        || (!unproven
            && t->score[best].mae > MARGIN * t->score[t->best].mae
            && !is_better(t, best, t->best))) {
        t->streak = 0;
    } else if (++t->streak >= PATIENCE || f->calm) {
        t->best = best;
        t->streak = 0;
    }
}

/* Keeps what was said, to be compared with what comes. */
static void
issue(struct forecast *f, const struct fc_tracked *t)
{
    /* Sample number n - 1 + h, which will be looked for in slot % h. */
    size_t at = t->pending + (f->env.n - 1) % t->h;

    for (size_t i = 0; i < FORECAST_N_MODELS; i++) {
        if (f->slots[i].enabled) {
            f->slots[i].pending[at] = f->slots[i].path[t->h - 1];
        }
    }
    f->issued[at] = f->slots[t->best].path[t->h - 1];
}

static void
begin_anew(struct forecast *f)
{
    uint64_t n_changes = f->n_changes, n_missing = f->n_missing;
    uint64_t n_before = f->n_before + f->env.n;

    forecast_reset(f);
    f->n_changes = n_changes;
    f->n_missing = n_missing;
    f->n_before = n_before;
}

/* Is 'value' something that cannot be taken for a sample? */
static bool
is_missing(struct forecast *f, double value)
{
    double most = MAX(fabs(f->env.seen_lo + f->offset),
                      fabs(f->env.seen_hi + f->offset));

    if (!(fabs(value) <= FORECAST_MAX_VALUE)) {
        return true;
    } else if (f->env.n >= ABSURD_FIRST && most > 0
               && fabs(value) > ABSURD * most
               && f->n_absurd < ABSURD_IN_A_ROW) {
        f->n_absurd++;
        return true;
    }
    f->n_absurd = 0;
    return false;
}

/* Adds a sample.  One that is not a number, or too large to be one, counts as
 * missing: time goes on and the forecast takes its place. */
void
forecast_update(struct forecast *f, double value)
{
    bool missing = is_missing(f, value);
    double y;

    f->changed = false;
    if (!missing && f->env.n >= FAR_SAMPLES
        && fabs(f->env.mean) > FAR_STEPS * f->env.scale) {
        begin_anew(f);
    }
    if (missing) {
        f->n_missing++;
        if (!f->env.n) {
            return;
        }
        y = f->issued[0];
    } else if (!f->env.n) {
        f->offset = value;
        f->env.min = f->config.min - value;
        f->env.max = f->config.max - value;
        y = 0;
    } else {
        y = value - f->offset;
    }

    if (f->env.n && !missing) {
        double scale = f->tracked[0].interval.scale;

        double step = y - ext_series_get(&f->env.hist, 0);

        fc_score_update(&f->naive, fc_clip(&f->env, step), f->window);
        fc_score_update(&f->mae, fc_clip(&f->env, y - f->issued[0]),
                        f->window);
        for (size_t k = 0; k < f->n_tracked; k++) {
            score(f, &f->tracked[k], y);
        }
        detect_change(f, y, scale);
    }
    for (size_t i = 0; i < FORECAST_N_MODELS; i++) {
        struct fc_slot *slot = &f->slots[i];

        if (slot->class && slot->class->update) {
            slot->class->update(slot->state, &f->env, y);
        }
    }
    fc_env_push(&f->env, y, missing);
    predict(f);
    for (size_t k = 0; k < f->n_tracked; k++) {
        choose(f, &f->tracked[k]);
        issue(f, &f->tracked[k]);
    }
}

/* Fits ar, arima and harmonic if that is due, which it is after the first
 * samples and then whenever an eighth of the history is new; otherwise returns
 * false at once.  Allocates nothing. */
bool
forecast_refit(struct forecast *f, struct forecast_fit *fit)
{
    bool any = false;

    if (f->env.n < f->next_fit) {
        return false;
    }
    for (size_t i = 0; i < FORECAST_N_MODELS; i++) {
        struct fc_slot *slot = &f->slots[i];

        if (slot->class && slot->class->refit) {
            slot->class->refit(slot->state, &f->env, fit);
            any = true;
        }
    }
    f->next_fit = f->env.n + MAX(16, MIN(f->env.hist.n, 512) / 8);
    return any;
}

/* Reading. */

/* Stores the forecast for 'horizon' samples ahead (1...config.horizon) in
 * '*value'.  Returns false if there has been no sample yet; '*value' is then 0
 * with bounds as wide as can be. */
bool
forecast_get(const struct forecast *f, size_t horizon,
             struct forecast_value *value)
{
    size_t k = 0;

    ovs_assert(horizon >= 1 && horizon <= f->config.horizon);
    if (!f->env.n) {
        double mean = MAX(f->config.min, MIN(0, f->config.max));

        *value = (struct forecast_value) {
            .mean = mean, .lo = f->config.min, .hi = f->config.max,
        };
        return false;
    }
    while (f->tracked[k].h < horizon) {
        k++;
    }

    /* Errors between two tracked horizons grow in a straight line. */
    const struct fc_tracked *t = &f->tracked[k];
    double lo = t->interval.lo * t->interval.scale;
    double hi = t->interval.hi * t->interval.scale;
    if (t->h > horizon) {
        const struct fc_interval *v = &f->tracked[k - 1].interval;
        double share = ((double) (horizon - t[-1].h) / (t->h - t[-1].h));

        lo = v->lo * v->scale + share * (lo - v->lo * v->scale);
        hi = v->hi * v->scale + share * (hi - v->hi * v->scale);
    }

    double mean = f->slots[t->best].path[horizon - 1] + f->offset;
    value->mean = MAX(f->config.min, MIN(mean, f->config.max));
    value->lo = MAX(f->config.min, MIN(mean + lo, value->mean));
    value->hi = MIN(f->config.max, MAX(mean + hi, value->mean));
    value->model = t->best;
    return true;
}

/* Stores in '*mean' what 'model' says, whether it is in force or not.  Returns
 * false if it is no candidate, or has nothing to say yet. */
bool
forecast_get_model(const struct forecast *f, enum forecast_model model,
                   size_t horizon, double *mean)
{
    const struct fc_slot *slot = &f->slots[model];

    ovs_assert(horizon >= 1 && horizon <= f->config.horizon);
    if (!slot->enabled || !slot->ready) {
        return false;
    }
    *mean = slot->path[horizon - 1] + f->offset;
    return true;
}

/* True if the last sample made a change of the series evident: forecasts have
 * been wrong in one direction for longer than chance explains. */
bool
forecast_changed(const struct forecast *f)
{
    return f->changed;
}

uint64_t
forecast_n_changes(const struct forecast *f)
{
    return f->n_changes;
}

uint64_t
forecast_n_samples(const struct forecast *f)
{
    return f->n_before + f->env.n;
}

uint64_t
forecast_n_missing(const struct forecast *f)
{
    return f->n_missing;
}

/* Rolling mean absolute error, 1 sample ahead, of what was in force, divided
 * by that of last-value over the same samples: below 1 is better than
 * last-value.  1 for a series that does not move. */
double
forecast_mase(const struct forecast *f)
{
    return f->naive.mae > 0 ? f->mae.mae / f->naive.mae : 1;
}
