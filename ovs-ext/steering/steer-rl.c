/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Policy "rl": greedy search over candidate moves (steer-cand.h) that a small
 * network scores (steer-model.h), doing nothing included; repeated on a
 * virtual state until doing nothing scores best.
 *
 * What keeps it safe:
 *
 *   - Moves that cannot help are masked before they are scored.
 *   - Where the state is unlike the training set, or the scores are too close
 *     to call although cores are unequal, rsspp decides.
 *   - Where rl does measurably worse than rsspp is expected to, rsspp takes
 *     over for a while (steer-guard.h).
 *
 * On-line learning is a contextual bandit on the output layer: a move whose
 * reward two ticks later is better than usual raises the scores of moves with
 * like features, relative to no-op, and the reverse.  Steps have a fixed small
 * length at most and the weights stay within the model's 'drift_limit' of the
 * shipped ones. */

#include <config.h>
#include "ovs-ext/steering/steer-impl.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ovs-ext/core/ext-ewma.h"
#include "ovs-ext/steering/steer-cand.h"
#include "ovs-ext/steering/steer-guard.h"
#include "ovs-ext/steering/steer-model.h"
#include "util.h"

#define RL_MAX_MOVES 128    /* In one tick. */
#define RL_PASSES 6         /* Scorings in one tick. */
#define RL_OOD_MARGIN 0.25  /* Beyond the trained span, of the span. */
#define RL_UNEQUAL 0.10     /* Imbalance below which a toss-up is left be. */
#define RL_LEARN_TICKS 2    /* From a move to its reward. */
#define RL_LEARN_RATE 0.002 /* Longest step. */

#define N_OUT (STEER_N_FEATURES + STEER_N_H2)

struct rl_policy {
    struct steer_policy up;
    const struct steer_model *model;
    float out[N_OUT];           /* Output layer: skip, then w3. */
    struct cand_search search;
    struct steer_rsspp rsspp;
    struct guard guard;
    struct steer_move plan[RL_MAX_MOVES];   /* What rsspp would do now. */
    size_t n_plan;

    /* The previous tick. */
    bool have_last;
    bool last_by_rsspp;
    double last_expected;       /* Reward expected of rsspp. */
    double last_load[STEER_MAX_CORES]; /* Loads expected for this tick. */
    struct ext_ewma noise;

    /* Learning. */
    int learn_wait;             /* Ticks until 'grad' is rewarded; 0: none. */
    float grad[N_OUT];          /* Features of the move minus no-op's. */
    double learn_reward;        /* When the move was decided. */
    struct ext_ewma gain, gain_dev;

    float *span_min, *span_max; /* Trainer's, or null. */
    struct steer_rl_status status;
};

static struct rl_policy *
rl_cast(const struct steer_policy *p)
{
    return CONTAINER_OF(p, struct rl_policy, up);
}

static void
rl_load_output(struct rl_policy *p)
{
    memcpy(p->out, p->model->skip, sizeof p->model->skip);
    memcpy(p->out + STEER_N_FEATURES, p->model->w3, sizeof p->model->w3);
}

static struct steer_policy *
rl_create(const struct steer_config *config, char **error)
{
    const struct steer_model *model = config->model ? config->model
                                      : steer_model_default();

    if (!model) {
        *error = xstrdup("this build carries no steering policy file, so that "
                         "policy \"rl\" needs one to be named");
        return NULL;
    }
    struct rl_policy *p = xzalloc(sizeof *p);
    p->model = model;
    rl_load_output(p);
    cand_init(&p->search);
    steer_rsspp_init(&p->rsspp);
    guard_init(&p->guard);
    return &p->up;
}

static void
rl_destroy(struct steer_policy *p_)
{
    struct rl_policy *p = rl_cast(p_);

    cand_destroy(&p->search);
    free(p);
}

static void
rl_reset(struct steer_policy *p_)
{
    struct rl_policy *p = rl_cast(p_);

    p->have_last = false;
    p->learn_wait = 0;
    steer_rsspp_init(&p->rsspp);
}

/* One-step model: reward expected if 'moves' are carried out, latency left as
 * it is (the guard learns the model's bias). */
static double
rl_expect(const struct rl_policy *p, const struct steer_view *v,
          const struct steer_move *moves, size_t n_moves)
{
    struct steer_core core[STEER_MAX_CORES];
    double load[STEER_MAX_CORES];

    memcpy(load, v->pred, v->n_cores * sizeof load[0]);
    for (size_t i = 0; i < n_moves; i++) {
        double l = v->bpred[moves[i].bucket];

        load[moves[i].from] -= l;
        load[moves[i].to] += steer_view_rescale(v, l, moves[i].from,
                                                moves[i].to);
    }
    for (size_t c = 0; c < v->n_cores; c++) {
        double offered = MAX(load[c], 0) * v->cap[c];

        core[c] = v->st->cores[c];
        core[c].load = MAX(load[c], 0);
        core[c].pps = MIN(offered, v->cap[c]);
        core[c].drops_pps = offered - core[c].pps;
    }
    struct steer_state next = { .n_cores = v->n_cores, .cores = core };
    return steer_reward(&p->up.cfg.w, &next, n_moves, NULL);
}

static bool
same_moves(const struct steer_move *a, size_t n_a,
           const struct steer_move *b, size_t n_b)
{
    if (n_a != n_b) {
        return false;
    }
    for (size_t i = 0; i < n_a; i++) {
        size_t j;

        for (j = 0; j < n_b; j++) {
            if (a[i].bucket == b[j].bucket && a[i].to == b[j].to) {
                break;
            }
        }
        if (j == n_b) {
            return false;
        }
    }
    return true;
}

/* Whether column 'i' of the batch is unlike anything seen in training. */
static bool
rl_is_ood(const struct rl_policy *p, size_t i)
{
    for (size_t f = 0; f < STEER_N_FEATURES; f++) {
        float x = p->search.batch.x[f][i];
        float lo = p->model->min[f], hi = p->model->max[f];
        float margin = RL_OOD_MARGIN * (hi - lo) + 1e-3f;

        if (x < lo - margin || x > hi + margin) {
            return true;
        }
    }
    return false;
}

/* Takes a step on the output layer if the reward of an earlier move is due. */
static void
rl_learn(struct rl_policy *p, double reward)
{
    if (!p->learn_wait || --p->learn_wait) {
        return;
    }

    double gain = reward - p->learn_reward;
    if (!isfinite(gain)) {
        return;
    }
    double surprise = p->gain.primed ? gain - p->gain.value : 0;
    ext_ewma_update(&p->gain, gain, 0.05);
    ext_ewma_update(&p->gain_dev, fabs(surprise), 0.05);
    double a = surprise / (2 * p->gain_dev.value + 1e-3);
    a = a < -1 ? -1 : a > 1 ? 1 : a;

    double norm2 = 0;
    for (size_t i = 0; i < N_OUT; i++) {
        norm2 += p->grad[i] * p->grad[i];
    }
    if (norm2 < 1e-12 || a == 0) {
        return;
    }

    double step = RL_LEARN_RATE * a / sqrt(norm2);
    double drift2 = 0;
    for (size_t i = 0; i < N_OUT; i++) {
        float w0 = i < STEER_N_FEATURES ? p->model->skip[i]
                   : p->model->w3[i - STEER_N_FEATURES];

        p->out[i] += step * p->grad[i];
        drift2 += (p->out[i] - w0) * (p->out[i] - w0);
    }
    double limit = p->model->drift_limit;
    if (drift2 > limit * limit) {
        double shrink = limit / sqrt(drift2);

        for (size_t i = 0; i < N_OUT; i++) {
            float w0 = i < STEER_N_FEATURES ? p->model->skip[i]
                       : p->model->w3[i - STEER_N_FEATURES];

            p->out[i] = w0 + shrink * (p->out[i] - w0);
        }
        drift2 = limit * limit;
    }
    p->status.updates++;
    p->status.weight_drift = sqrt(drift2);
}

/* Remembers the decision for candidate 'i' against no-op for learning. */
static void
rl_remember(struct rl_policy *p, size_t i, double reward)
{
    const struct steer_batch *b = &p->search.batch;
    size_t noop = p->search.n - 1;

    if (p->learn_wait) {
        return;
    }
    for (size_t f = 0; f < STEER_N_FEATURES; f++) {
        p->grad[f] = b->x[f][i] - b->x[f][noop];
    }
    for (size_t h = 0; h < STEER_N_H2; h++) {
        p->grad[STEER_N_FEATURES + h] = b->h2[h][i] - b->h2[h][noop];
    }
    p->learn_wait = RL_LEARN_TICKS;
    p->learn_reward = reward;
}

static void
rl_span(struct rl_policy *p)
{
    for (size_t f = 0; f < STEER_N_FEATURES; f++) {
        for (size_t i = 0; i < p->search.n; i++) {
            float x = p->search.batch.x[f][i];

            p->span_min[f] = MIN(p->span_min[f], x);
            p->span_max[f] = MAX(p->span_max[f], x);
        }
    }
}

void
steer_rl_track_span(struct steer_policy *p_, float *min, float *max)
{
    struct rl_policy *p = rl_cast(p_);

    ovs_assert(p_->class == &steer_rl_class);
    p->span_min = min;
    p->span_max = max;
}

/* Stores the candidates that beat no-op into 'order', best first, and returns
 * their number.  If none does, stores the best all the same. */
static size_t
rl_rank(const struct cand_search *s, uint8_t order[STEER_BATCH])
{
    const float *score = s->batch.score;
    size_t noop = s->n - 1, n = 0;

    order[0] = 0;
    for (size_t i = 1; i < noop; i++) {
        if (score[i] > score[order[0]]) {
            order[0] = i;
        }
    }
    for (size_t i = 0; i < noop; i++) {
        if (score[i] > score[noop]) {
            size_t j = n++;

            for (; j > 0 && score[order[j - 1]] < score[i]; j--) {
                order[j] = order[j - 1];
            }
            order[j] = i;
        }
    }
    return n;
}

/* Scores the present candidates and applies, best first, those that beat
 * no-op.  Returns how many. */
static size_t
rl_pass(struct rl_policy *p, struct steer_move *moves, size_t max_moves,
        bool first)
{
    struct cand_search *s = &p->search;
    struct steer_explain *x = &p->up.explain;
    uint8_t order[STEER_BATCH];
    size_t n = 0;

    cand_generate(s);
    steer_model_score(p->model, p->out, p->out + STEER_N_FEATURES, &s->batch,
                      s->n);
    x->n_candidates += s->n;
    if (p->span_min) {
        rl_span(p);
    }

    float base = s->batch.score[s->n - 1];
    size_t n_order = rl_rank(s, order);
    if (first) {
        x->margin = s->n > 1 ? s->batch.score[order[0]] - base : 0;
        if (n_order && p->up.cfg.learn) {
            rl_remember(p, order[0], x->reward);
        }
    }
    for (size_t i = 0; i < n_order && n < max_moves; i++) {
        const struct cand *c = &s->cand[order[i]];

        if (!i || cand_still_ok(s, order[i])) {
            moves[n++] = (struct steer_move) {
                .bucket = c->bucket, .from = c->from, .to = c->to,
                .score = s->batch.score[order[i]] - base,
            };
            cand_apply(s, order[i]);
        }
    }
    return n;
}

/* Lets rl decide.  Sets '*ood' instead if the state is out of distribution, or
 * '*uncertain' if the scores are too close. */
static size_t
rl_decide_net(struct rl_policy *p, struct steer_view *v,
              struct steer_move *moves, size_t max_moves,
              bool *ood, bool *uncertain)
{
    struct cand_search *s = &p->search;
    size_t n = 0;

    cand_start(s, v, p->noise.value, p->plan, p->n_plan);
    for (int pass = 0; pass < RL_PASSES && n < max_moves; pass++) {
        size_t got = rl_pass(p, moves + n, max_moves - n, !pass);

        if (!pass) {
            *ood = rl_is_ood(p, s->n - 1);
            *uncertain = (s->n > 1
                          && fabs(p->up.explain.margin) < p->model->uncertain
                          && s->batch.x[STEER_F_MAX_REL][s->n - 1]
                             + s->batch.x[STEER_F_MIN_REL][s->n - 1]
                             > RL_UNEQUAL);
        }
        n += got;
        if (!got) {
            break;
        }
    }
    return n;
}

/* Tells the guard and the learner what became of the previous decision, and
 * measures how far loads strayed from what was predicted. */
static void
rl_outcome(struct rl_policy *p, const struct steer_view *v)
{
    double stray = 0;

    rl_learn(p, p->up.explain.reward);
    if (!p->have_last) {
        return;
    }
    guard_outcome(&p->guard, p->up.explain.reward, p->last_expected,
                  p->last_by_rsspp);
    for (size_t c = 0; c < v->n_cores; c++) {
        if ((v->part >> c) & 1) {
            stray += fabs(v->pred[c] - p->last_load[c]);
        }
    }
    if (v->n_part) {
        /* A change of traffic is not noise. */
        double limit = 3 * p->noise.value + 0.005;

        ext_ewma_update(&p->noise, MIN(stray / v->n_part, limit), 0.05);
    }
}

static void
rl_keep(struct rl_policy *p, const struct steer_view *v,
        const struct steer_move *moves, size_t n, bool by_rsspp)
{
    p->have_last = true;
    p->last_by_rsspp = by_rsspp || same_moves(moves, n, p->plan, p->n_plan);
    p->last_expected = (by_rsspp ? rl_expect(p, v, moves, n)
                        : rl_expect(p, v, p->plan, p->n_plan));
    memcpy(p->last_load, v->pred, v->n_cores * sizeof v->pred[0]);
    for (size_t i = 0; i < n; i++) {
        double l = v->bpred[moves[i].bucket];

        p->last_load[moves[i].from] -= l;
        p->last_load[moves[i].to] += steer_view_rescale(v, l, moves[i].from,
                                                        moves[i].to);
    }
}

static size_t
rl_decide(struct steer_policy *p_, struct steer_view *v,
          struct steer_move *moves, size_t max_moves)
{
    struct rl_policy *p = rl_cast(p_);
    struct steer_explain *x = &p_->explain;
    bool ood = false, uncertain = false;
    enum guard_cause cause;
    size_t n;

    p->status.n_decisions++;
    rl_outcome(p, v);
    if (v->n_part < 2) {
        p->have_last = false;
        return 0;
    }
    max_moves = MIN(max_moves, RL_MAX_MOVES);
    p->n_plan = steer_rsspp_plan(v, p->rsspp.received, p->plan, RL_MAX_MOVES);
    n = rl_decide_net(p, v, moves, max_moves, &ood, &uncertain);

    cause = p_->cfg.guard ? guard_decide(&p->guard, ood) : GUARD_NONE;
    if (cause == GUARD_NONE && !(p_->cfg.guard && uncertain)) {
        x->decided_by = STEER_BY_RL;
        x->reason = n ? "best candidates score above doing nothing"
                      : "doing nothing scores best";
        p->rsspp.received = 0;
        rl_keep(p, v, moves, n, false);
        return n;
    }

    p->learn_wait = 0;
    n = steer_rsspp_run(&p->rsspp, v, p_->cfg.rsspp_period_s,
                        moves, max_moves);
    if (cause == GUARD_WORSE) {
        x->decided_by = STEER_BY_FALLBACK_WORSE;
        x->reason = "rl did worse than rsspp is expected to";
        p->status.n_fallback_worse++;
    } else if (cause == GUARD_OOD) {
        x->decided_by = STEER_BY_FALLBACK_OOD;
        x->reason = "the state is unlike those of the training";
        p->status.n_fallback_ood++;
    } else {
        x->decided_by = STEER_BY_FALLBACK_UNCERTAIN;
        x->reason = "scores of moving and of doing nothing are too close";
        p->status.n_fallback_uncertain++;
    }
    rl_keep(p, v, moves, n, true);
    return n;
}

static void
rl_get_status(const struct steer_policy *p_, struct steer_rl_status *s)
{
    const struct rl_policy *p = rl_cast(p_);

    *s = p->status;
    s->in_fallback = p->guard.cause != GUARD_NONE;
    s->holdoff_left = p->guard.left;
    s->n_entered = p->guard.n_entered;
    s->reward_ewma = p->guard.reward;
    s->baseline_ewma = p->guard.baseline;
    s->drift_limit = p->model->drift_limit;
}

const struct steer_policy_class steer_rl_class = {
    .name = "rl",
    .create = rl_create,
    .destroy = rl_destroy,
    .reset = rl_reset,
    .decide = rl_decide,
    .get_rl_status = rl_get_status,
};
