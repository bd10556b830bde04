/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef FORECAST_STATE_H
#define FORECAST_STATE_H 1

/* What a forecast consists of.  It is one block of memory, laid out by
 * forecast-create.c; forecast.c is what happens at each sample. */

#include "ovs-ext/core/forecast-impl.h"
#include "ovs-ext/core/forecast-track.h"

/* One horizon that is followed. */
struct fc_tracked {
    size_t h;                   /* Samples ahead. */
    size_t pending;             /* Where its pending forecasts begin. */
    uint8_t best;               /* Model in force. */
    uint8_t streak;             /* How often in a row another was better. */
    struct fc_score score[FORECAST_N_MODELS];   /* Of late. */
    struct fc_gain gain[FORECAST_N_MODELS];     /* In the long run. */
    struct fc_interval interval;
};

/* One model. */
struct fc_slot {
    const struct fc_class *class;   /* Null: not a candidate, or the mix. */
    void *state;
    float *path;                /* Its forecasts, 'horizon' of them. */
    float *pending;             /* Forecasts whose time has not come: for each
                                 * tracked horizon 'h', a ring of 'h'. */
    bool enabled;
    bool ready;
};

struct forecast {
    struct forecast_config config;
    size_t size;                /* Bytes of all this. */
    struct fc_env env;
    double offset;              /* First sample; all else is relative. */

    struct fc_slot slots[FORECAST_N_MODELS];
    struct fc_tracked tracked[FC_MAX_TRACKED];
    size_t n_tracked;
    float *issued;              /* Like 'pending', of what was in force. */

    struct fc_score naive;      /* Of |difference|: the unit of MASE. */
    struct fc_score mae;        /* Of what was in force, 1 ahead. */
    struct ext_change change;
    double jump, jump_from;     /* Jump at the last sample, or 0; what had been
                                 * expected then. */
    uint32_t n_absurd;          /* Absurd samples in a row. */
    uint32_t calm;              /* Samples until models have got over it. */
    bool changed;               /* At the last sample. */
    uint64_t n_changes, n_missing;
    uint64_t n_before;          /* Samples before it all began anew. */
    uint64_t next_fit;          /* Number of samples of the next fit. */
    double window;              /* Of scores. */
};

/* Is 'model' a candidate at 't'?  A whole number of seasons ahead, last-value
 * says the same as seasonal-naive; that must not speak for it at the horizons
 * before, which go with 't'. */
static inline bool
fc_competes(const struct forecast *f, const struct fc_tracked *t,
            enum forecast_model model)
{
    return (f->slots[model].enabled
            && !(model == FORECAST_LAST_VALUE
                 && f->slots[FORECAST_SEASONAL_NAIVE].enabled
                 && t->h % f->config.season == 0));
}

#endif /* forecast-state.h */
