/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* The training of ovs-ext-train(1): evolution strategies (Salimans et al.,
 * 2017) on the simulator.
 *
 * Each generation draws scenarios, and perturbations of the weights in pairs
 * +e and -e.  All of them meet the same scenarios with the same packets, so
 * that most of the variance that traffic brings cancels out (input-driven
 * variance reduction, Mao et al., 2019).  The reward in a scenario counts
 * relative to its spread over the perturbations, so that a scenario full of
 * loss does not drown the others.  Adam takes the step.
 *
 * Everything random comes from (seed, generation, index) and sums are taken in
 * the order of indexes.  What is judged and shipped is a running mean of the
 * weights, which wander around their optimum.  The result depends neither on
 * the number of threads nor on where a training was interrupted and
 * resumed. */

#include <config.h>
#include "utilities/ovs-ext-train.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "openvswitch/util.h"
#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/steering/steer-impl.h"
#include "sha1.h"
#include "util.h"

#define ES_SIGMA_OUT 0.01       /* Of perturbations of the output layer, which
                                 * thresholds of a few hundredths hang on... */
#define ES_SIGMA 0.03           /* ...and of the hidden layers. */
#define ES_RATE 0.15            /* Of Adam, in units of the above. */
#define ES_LINEAR 60            /* Generations that train only the weights
                                 * that skip the hidden layers: few, so that
                                 * their gradient is soon known. */
#define ES_BETA1 0.9
#define ES_BETA2 0.99
#define ES_EVERY 25             /* Generations between checkpoints. */
#define ES_JUDGES 32            /* Scenarios that judge progress. */
#define ES_CLIP 0.1             /* A scenario counts for no more than this. */
#define ES_AVERAGE 0.05         /* Weight of the newest generation in the
                                 * running mean of weights, which is what is
                                 * judged and shipped. */

#define CKPT_MAGIC "OVSXCKP2"

/* What a checkpoint holds; plain bytes, for the machine that wrote it. */
struct es_state {
    char magic[8];
    uint64_t seed;
    uint32_t generation;
    uint32_t pairs, scenarios;
    float best_gain;            /* Of the judges. */
    float theta[STEER_N_WEIGHTS];
    float mean[STEER_N_WEIGHTS]; /* Running mean of theta. */
    float best[STEER_N_WEIGHTS];
    float m[STEER_N_WEIGHTS], v[STEER_N_WEIGHTS];
    uint8_t digest[SHA1_DIGEST_SIZE];
};

struct es {
    const struct train_options *opt;
    struct es_state s;
    struct steer_model base;    /* Shapes and thresholds; weights unused. */
    struct scenario *scenarios;
    size_t n_scenarios;
    float *noise;               /* [pairs][STEER_N_WEIGHTS] */
    double *reward;             /* [candidates][scenarios] */
    double *moves;
    const char *policy;         /* "rl" or another, for comparison. */
    FILE *dat;
};

static double
es_sigma(size_t weight)
{
    return (weight < STEER_N_FEATURES
            || weight >= STEER_N_WEIGHTS - 1 - STEER_N_H2
            ? ES_SIGMA_OUT : ES_SIGMA);
}

static void
es_policy_config(const struct es *es, const struct steer_model *model,
                 struct steer_config *config)
{
    steer_config_init(config);
    config->w = es->opt->weights;
    config->model = model;
    config->guard = false;
    config->learn = false;
}

/* Runs weights 'theta' (or policy 'name') in scenario 'k'. */
static void
es_simulate(const struct es *es, const char *name, const float *theta,
            size_t k, float *span_min, float *span_max,
            struct sim_result *result)
{
    struct steer_model model = es->base;
    struct steer_config config;
    char *error;

    if (theta) {
        memcpy(model.weights, theta, sizeof model.weights);
    }
    es_policy_config(es, &model, &config);
    struct steer_policy *p = steer_policy_create(name, &config, &error);
    ovs_assert(p);
    if (span_min) {
        steer_rl_track_span(p, span_min, span_max);
    }
    scenario_run(&es->scenarios[k], p, &config.w, result);
    steer_policy_destroy(p);
}

/* Draws scenario 'k' of a generation. */
static void
es_draw(const struct es *es, struct ext_rng *rng, bool heldout,
        struct scenario *s)
{
    static const uint8_t cores[] = { 2, 2, 3, 4, 4, 6, 8, 8, 12, 16, 24, 32 };
    const struct train_options *opt = es->opt;
    size_t n = 0;

    *s = (struct scenario) { .sim = opt->sim };
    for (const struct sim_family *f = sim_families; f->name; f++) {
        n += f->heldout == heldout;
    }

    size_t n_traces = heldout ? 0 : opt->traces.n;
    size_t pick = ext_rng_range(rng, n + (n_traces ? n / 2 : 0));
    if (pick >= n) {
        s->trace = &opt->traces.traces[ext_rng_range(rng, n_traces)];
    } else {
        for (const struct sim_family *f = sim_families; f->name; f++) {
            if (f->heldout == heldout && !pick--) {
                s->family = f;
            }
        }
    }

    double u = ext_rng_double(rng);
    s->sim.n_cores = cores[ext_rng_range(rng, sizeof cores)];
    s->sim.n_buckets = 128 << ext_rng_range(rng, 3);
    if (s->sim.n_buckets < 16 * s->sim.n_cores) {
        s->sim.n_buckets = 512;
    }
    s->sim.load = 0.4 + 0.6 * sqrt(u);
    s->sim.duration_s = 2;
    s->sim.seed = ext_rng_next(rng) >> 1;   /* High bit: judging. */
}

/* Rewards of all candidates of a generation. */
static void
es_job(void *es_, size_t i)
{
    struct es *es = es_;
    size_t c = i / es->n_scenarios, k = i % es->n_scenarios;
    float theta[STEER_N_WEIGHTS];
    const float *e = es->noise + c / 2 * STEER_N_WEIGHTS;
    struct sim_result r;

    for (size_t j = 0; j < STEER_N_WEIGHTS; j++) {
        theta[j] = es->s.theta[j] + (c % 2 ? -e[j] : e[j]) * es_sigma(j);
    }
    es_simulate(es, "rl", theta, k, NULL, NULL, &r);
    es->reward[i] = r.reward;
}

/* Divides each scenario's rewards by their spread, and adds up over the
 * scenarios. */
static void
es_fitness(const struct es *es, size_t n_cand, double *fitness)
{
    memset(fitness, 0, n_cand * sizeof *fitness);
    for (size_t k = 0; k < es->n_scenarios; k++) {
        double mean = 0, var = 0;

        for (size_t c = 0; c < n_cand; c++) {
            mean += es->reward[c * es->n_scenarios + k] / n_cand;
        }
        for (size_t c = 0; c < n_cand; c++) {
            double d = es->reward[c * es->n_scenarios + k] - mean;

            var += d * d / n_cand;
        }
        for (size_t c = 0; c < n_cand; c++) {
            double z = ((es->reward[c * es->n_scenarios + k] - mean)
                        / (sqrt(var) + 0.002));

            z = z < -2.5 ? -2.5 : z > 2.5 ? 2.5 : z;
            fitness[c] += z / es->n_scenarios;
        }
    }
}

static void
es_step(struct es *es, const double *fitness)
{
    size_t pairs = es->opt->pairs;
    uint32_t t = es->s.generation + 1;

    for (size_t j = 0; j < STEER_N_WEIGHTS; j++) {
        double g = 0;

        for (size_t p = 0; p < pairs; p++) {
            g += ((fitness[2 * p] - fitness[2 * p + 1])
                  * es->noise[p * STEER_N_WEIGHTS + j]);
        }
        g /= 2 * pairs;
        es->s.m[j] = ES_BETA1 * es->s.m[j] + (1 - ES_BETA1) * g;
        es->s.v[j] = ES_BETA2 * es->s.v[j] + (1 - ES_BETA2) * g * g;

        double m = es->s.m[j] / (1 - pow(ES_BETA1, t));
        double v = es->s.v[j] / (1 - pow(ES_BETA2, t));
        es->s.theta[j] += ES_RATE * es_sigma(j) * m / (sqrt(v) + 1e-8);
        es->s.mean[j] += ES_AVERAGE * (es->s.theta[j] - es->s.mean[j]);
    }
}

static void
es_generation(struct es *es)
{
    size_t pairs = es->opt->pairs, n_cand = 2 * pairs;
    double *fitness = xcalloc(n_cand, sizeof *fitness);
    struct ext_rng rng;

    ext_rng_init_stream(&rng, es->opt->seed, 1000 + es->s.generation);
    es->n_scenarios = es->opt->scenarios;
    for (size_t k = 0; k < es->n_scenarios; k++) {
        es_draw(es, &rng, false, &es->scenarios[k]);
    }
    for (size_t j = 0; j < pairs * STEER_N_WEIGHTS; j++) {
        bool linear = j % STEER_N_WEIGHTS < STEER_N_FEATURES;
        double e = ext_rng_normal_fast(&rng);

        es->noise[j] = linear || es->s.generation >= ES_LINEAR ? e : 0;
    }
    parallel_for(n_cand * es->n_scenarios, es->opt->threads, es_job, es);
    es_fitness(es, n_cand, fitness);
    es_step(es, fitness);
    es->s.generation++;
    free(fitness);
}

/* Judging on scenarios that do not change and that the training never
 * meets in their like: for the learning curve and for the choice of the best
 * generation, other seeds of the trained families (the first half); for the
 * curve only, families held out. */

struct judge {
    struct es *es;
    const char *policy;
    const float *theta;
    struct sim_result results[2 * ES_JUDGES];
};

static void
judge_job(void *judge_, size_t i)
{
    struct judge *j = judge_;

    es_simulate(j->es, j->policy, j->theta, i, NULL, NULL, &j->results[i]);
}

struct verdict {
    double reward, heldout;     /* Mean rewards. */
    double gain;                /* Mean clipped gain on rsspp. */
    double moves;               /* A second. */
    double imbalance;
};

/* Stores the rewards of rsspp in 'base' if 'policy' is that, otherwise
 * compares with it. */
static struct verdict
es_judge(struct es *es, const char *policy, const float *theta,
         double base[ES_JUDGES])
{
    struct judge j = { .es = es, .policy = policy, .theta = theta };
    struct verdict v = { .reward = 0 };
    struct ext_rng rng;

    ext_rng_init_stream(&rng, es->opt->seed, 1);
    es->n_scenarios = 2 * ES_JUDGES;
    for (size_t k = 0; k < es->n_scenarios; k++) {
        es_draw(es, &rng, k >= ES_JUDGES, &es->scenarios[k]);
    }
    parallel_for(es->n_scenarios, es->opt->threads, judge_job, &j);
    for (size_t k = 0; k < es->n_scenarios; k++) {
        const struct sim_result *r = &j.results[k];

        *(k < ES_JUDGES ? &v.reward : &v.heldout) += r->reward / ES_JUDGES;
        if (k < ES_JUDGES && !theta) {
            base[k] = r->reward;
        } else if (k < ES_JUDGES) {
            double gain = r->reward - base[k];

            gain = gain < -ES_CLIP ? -ES_CLIP : MIN(gain, ES_CLIP);
            v.gain += gain / ES_JUDGES;
        }
        v.moves += r->moves_per_s / es->n_scenarios;
        v.imbalance += r->imbalance / es->n_scenarios;
    }
    return v;
}

/* Checkpoints. */

static void
es_digest(struct es_state *s, uint8_t digest[SHA1_DIGEST_SIZE])
{
    sha1_bytes(s, offsetof(struct es_state, digest), digest);
}

static void
es_checkpoint(struct es *es)
{
    char *path = xasprintf("%s.ckpt", es->opt->out);
    char *tmp = xasprintf("%s.tmp", path);
    FILE *f = fopen(tmp, "wb");

    es_digest(&es->s, es->s.digest);
    if (!f || fwrite(&es->s, sizeof es->s, 1, f) != 1 || fclose(f)
        || rename(tmp, path)) {
        ovs_fatal(errno, "%s: cannot write checkpoint", path);
    }
    free(tmp);
    free(path);
}

static void
es_resume(struct es *es, const char *path)
{
    uint8_t digest[SHA1_DIGEST_SIZE];
    struct es_state *s = &es->s;

    FILE *f = fopen(path, "rb");
    if (!f) {
        ovs_fatal(errno, "%s: cannot open checkpoint", path);
    }
    size_t n = fread(s, 1, sizeof *s, f);
    fclose(f);
    if (n != sizeof *s || memcmp(s->magic, CKPT_MAGIC, 8)) {
        ovs_fatal(0, "%s: not a checkpoint of this program", path);
    }
    es_digest(s, digest);
    if (memcmp(digest, s->digest, sizeof digest)) {
        ovs_fatal(0, "%s: checkpoint is damaged", path);
    }
    if (s->seed != es->opt->seed || s->pairs != es->opt->pairs
        || s->scenarios != es->opt->scenarios) {
        ovs_fatal(0, "%s: checkpoint is of another training (seed %"PRIu64
                  ", %"PRIu32" pairs, %"PRIu32" scenarios)", path, s->seed,
                  s->pairs, s->scenarios);
    }
}

/* Widens the model's spans over a set of training scenarios, so that the guard
 * knows what the network has seen. */
static void
es_span(struct es *es, struct steer_model *m)
{
    struct ext_rng rng;
    struct sim_result r;

    for (size_t f = 0; f < STEER_N_FEATURES; f++) {
        m->min[f] = HUGE_VALF;
        m->max[f] = -HUGE_VALF;
    }
    ext_rng_init_stream(&rng, es->opt->seed, 2);
    es->n_scenarios = 2 * ES_JUDGES;
    for (size_t k = 0; k < es->n_scenarios; k++) {
        es_draw(es, &rng, false, &es->scenarios[k]);
        es_simulate(es, "rl", m->weights, k, m->min, m->max, &r);
    }

    /* Cores and ticks are not what the network is sensitive to beyond its
     * training, and a system may be idle. */
    m->min[STEER_F_CORES] = 0;
    m->max[STEER_F_CORES] = 1;
    m->min[STEER_F_FLOWS] = 0;
    m->max[STEER_F_FLOWS] = MAX(m->max[STEER_F_FLOWS], 1);
    m->min[STEER_F_AGE] = 0;
    m->min[STEER_F_SRC] = m->min[STEER_F_DST] = m->min[STEER_F_MEAN] = 0;
    m->min[STEER_F_NOISE] = 0;
    for (size_t f = STEER_F_SRC_QUEUE; f <= STEER_F_DST_DROPS; f++) {
        m->min[f] = 0;
        m->max[f] = 1;
    }
}

static void
es_save(struct es *es, const float *theta)
{
    struct steer_model m = es->base;
    int error;

    memcpy(m.weights, theta, sizeof m.weights);
    m.seed = es->opt->seed;
    m.generations = es->s.generation;
    char *config = xasprintf(
        "es %"PRIuSIZE" pairs, %"PRIuSIZE" scenarios, %g+%g/%g ns, "
        "weights %g,%g,%g,%g", es->opt->pairs, es->opt->scenarios,
        es->opt->sim.packet_ns, es->opt->sim.batch_ns, es->opt->sim.batch,
        es->opt->weights.throughput, es->opt->weights.latency,
        es->opt->weights.balance, es->opt->weights.switching);
    ovs_strlcpy(m.config, config, sizeof m.config);
    free(config);
    es_span(es, &m);
    error = steer_model_save(&m, es->opt->out);
    if (error) {
        ovs_fatal(error, "%s: cannot write policy", es->opt->out);
    }
}

/* The curve. */

static void
curve_open(struct es *es)
{
    if (es->opt->curve) {
        char *path = xasprintf("%s.dat", es->opt->curve);

        es->dat = fopen(path, es->opt->resume ? "a" : "w");
        if (!es->dat) {
            ovs_fatal(errno, "%s: cannot write", path);
        }
        if (!es->opt->resume) {
            fputs("# generation reward heldout moves/s imbalance "
                  "rsspp_reward rsspp_heldout rsspp_moves/s gain\n", es->dat);
        }
        free(path);
    }
}

static void
curve_plot(struct es *es)
{
    if (!es->dat) {
        return;
    }
    fclose(es->dat);

    FILE *g = popen("gnuplot 2>/dev/null", "w");
    if (!g) {
        return;
    }
    fprintf(g, "set terminal png size 900,600\nset output '%s'\n"
            "set xlabel 'generation'\nset ylabel 'mean reward'\n"
            "set y2label 'moves/s'\nset y2tics\nset key bottom right\n"
            "plot '%s.dat' using 1:2 with lines lw 2 title 'rl', "
            "'' using 1:3 with lines lw 2 title 'rl, held-out traffic', "
            "'' using 1:6 with lines dt 2 title 'rsspp', "
            "'' using 1:7 with lines dt 2 title 'rsspp, held-out traffic', "
            "'' using 1:4 axes x1y2 with lines lc rgb 'gray' "
            "title 'rl moves/s'\n", es->opt->curve, es->opt->curve);
    if (pclose(g)) {
        ovs_error(0, "gnuplot failed; the figures are in %s.dat",
                  es->opt->curve);
    }
}

static void
es_init(struct es *es, const struct train_options *opt)
{
    size_t pairs = opt->pairs;

    memset(es, 0, sizeof *es);
    es->opt = opt;
    steer_model_init(&es->base, opt->seed);
    memcpy(es->s.magic, CKPT_MAGIC, 8);
    es->s.seed = opt->seed;
    es->s.pairs = pairs;
    es->s.scenarios = opt->scenarios;
    es->s.best_gain = -HUGE_VALF;
    memcpy(es->s.theta, es->base.weights, sizeof es->s.theta);
    memcpy(es->s.mean, es->base.weights, sizeof es->s.mean);
    memcpy(es->s.best, es->base.weights, sizeof es->s.best);
    es->scenarios = xcalloc(MAX(opt->scenarios, 2 * ES_JUDGES),
                            sizeof *es->scenarios);
    es->noise = xcalloc(pairs * STEER_N_WEIGHTS, sizeof *es->noise);
    es->reward = xcalloc(2 * pairs * opt->scenarios, sizeof *es->reward);
    if (opt->resume) {
        es_resume(es, opt->resume);
    }
}

static void
es_progress(struct es *es, const struct verdict *v, const struct verdict *r)
{
    char note[128];

    snprintf(note, sizeof note, "reward %.4f (rsspp %.4f), held out %.4f "
             "(%.4f), moves/s %.0f (%.0f)", v->reward, r->reward, v->heldout,
             r->heldout, v->moves, r->moves);
    if (!es->opt->quiet) {
        progress("train", es->s.generation, es->opt->generations, note);
    }
    if (es->dat) {
        fprintf(es->dat,
                "%"PRIu32" %.6f %.6f %.2f %.4f %.6f %.6f %.2f %.6f\n",
                es->s.generation, v->reward, v->heldout, v->moves,
                v->imbalance, r->reward, r->heldout, r->moves, v->gain);
        fflush(es->dat);
    }
}

void
train_run(const struct train_options *opt)
{
    struct es es;
    time_t end = opt->minutes > 0 ? time(NULL) + opt->minutes * 60 : 0;

    es_init(&es, opt);
    curve_open(&es);

    double base[ES_JUDGES];
    struct verdict rsspp = es_judge(&es, "rsspp", NULL, base);
    for (;;) {
        bool last = (es.s.generation >= opt->generations
                     || (end && time(NULL) >= end));

        if (last || es.s.generation % ES_EVERY == 0) {
            struct verdict v = es_judge(&es, "rl", es.s.mean, base);

            if (v.gain > es.s.best_gain) {
                es.s.best_gain = v.gain;
                memcpy(es.s.best, es.s.mean, sizeof es.s.best);
            }
            es_progress(&es, &v, &rsspp);
            es_checkpoint(&es);
        }
        if (last) {
            break;
        }
        es_generation(&es);
    }
    es_save(&es, es.s.best);
    curve_plot(&es);
    free(es.scenarios);
    free(es.noise);
    free(es.reward);
}
