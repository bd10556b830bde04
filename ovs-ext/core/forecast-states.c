/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* What usually came after a value like the last one.  Values fall into 16
 * states, of equal shares of the samples, and for each state the median of the
 * samples that followed is tracked.  What is on or off, or falls back when it
 * was high, is like that, and no line through the values is. */

#include <config.h>
#include "ovs-ext/core/forecast-impl.h"

#include "util.h"

#define N_STATES 16
#define GAIN 0.02               /* Of medians, once under way. */
#define EDGE_STEP 0.02          /* Of edges, in the usual step, likewise. */
#define SPREAD_WINDOW 64
#define FIRST 64                /* Samples until it speaks. */

struct states {
    float edge[N_STATES - 1];   /* Ascending. */
    struct {
        float median;           /* Of samples that followed. */
        float spread;           /* Mean distance from it. */
        float n;                /* How many. */
    } state[N_STATES];
    uint32_t n;
};

static size_t
states_size(const struct fc_env *env OVS_UNUSED)
{
    return sizeof(struct states);
}

static size_t
state_of(const struct states *s, double x)
{
    size_t i = 0;

    while (i < N_STATES - 1 && x > s->edge[i]) {
        i++;
    }
    return i;
}

/* Moves the edges so that each state has an equal share of the samples. */
static void
move_edges(struct states *s, const struct fc_env *env, double y)
{
    double step = MAX(EDGE_STEP, 1.0 / (1 + s->n / 8)) * env->scale;

    for (size_t i = 0; i < N_STATES - 1; i++) {
        double share = (i + 1.0) / N_STATES;

        s->edge[i] += step * (share - (y <= s->edge[i] ? 1 : 0));
        if (i && s->edge[i] < s->edge[i - 1]) {
            s->edge[i] = s->edge[i - 1];
        }
    }
}

static void
states_update(void *state, const struct fc_env *env, double y)
{
    struct states *s = state;

    if (env->n) {
        size_t i = state_of(s, ext_series_get(&env->hist, 0));
        double error = y - s->state[i].median;
        double n = MIN(s->state[i].n + 1, 1e6);

        if (n == 1) {
            s->state[i].median = y;
            s->state[i].spread = env->scale;
        } else {
            double limit = 0.3 * s->state[i].spread;

            s->state[i].spread += ((fabs(fc_clip(env, error))
                                    - s->state[i].spread)
                                   / MIN(n, SPREAD_WINDOW));
            s->state[i].median += (MAX(-limit, MIN(error, limit))
                                   * MAX(GAIN, 2 / (n + 1)) * 2);
        }
        s->state[i].n = n;
    }
    move_edges(s, env, y);
    s->n += s->n < UINT32_MAX;
}

static bool
states_predict(const void *state, const struct fc_env *env, float *path)
{
    const struct states *s = state;
    double x = ext_series_get(&env->hist, 0);

    if (s->n < FIRST) {
        return false;
    }
    for (size_t k = 0; k < env->horizon; k++) {
        size_t i = state_of(s, x);

        x = s->state[i].n > 0 ? s->state[i].median : x;
        path[k] = x;
    }
    return true;
}

const struct fc_class fc_states = {
    .name = "states",
    .size = states_size,
    .update = states_update,
    .predict = states_predict,
};
