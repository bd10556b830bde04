/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Judging of policies: commands "eval" and "decide" of ovs-ext-train(1). */

#include <config.h>
#include "utilities/ovs-ext-train.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "openvswitch/util.h"
#include "ovs-ext/core/ext-rng.h"
#include "sset.h"
#include "util.h"

/* One run. */
struct job {
    struct scenario scenario;
    const char *policy;
    struct sim_result result;
};

struct eval {
    const struct eval_options *opt;
    struct job *jobs;
    size_t n, alloc;
};

static void
eval_job(void *eval_, size_t i)
{
    struct eval *e = eval_;
    struct job *job = &e->jobs[i];
    struct steer_config config;
    char *error;

    steer_config_init(&config);
    config.w = e->opt->weights;
    config.model = e->opt->model;
    config.guard = e->opt->guard;
    config.learn = e->opt->learn;
    config.seed = job->scenario.sim.seed;

    struct steer_policy *policy = steer_policy_create(job->policy, &config,
                                                      &error);
    if (!policy) {
        ovs_fatal(0, "%s", error);
    }
    scenario_run(&job->scenario, policy, &config.w, &job->result);
    steer_policy_destroy(policy);
}

static void
eval_add(struct eval *e, const char *policy, const struct scenario *s)
{
    if (e->n >= e->alloc) {
        e->alloc = e->alloc ? 2 * e->alloc : 64;
        e->jobs = xrealloc(e->jobs, e->alloc * sizeof *e->jobs);
    }
    e->jobs[e->n++] = (struct job) { .scenario = *s, .policy = policy };
}

/* Adds all seeds of one combination.  Seeds depend on the scenario, not on the
 * policy: all policies meet the same packets. */
static void
eval_add_all(struct eval *e, const char *policies, size_t cores,
             const struct sim_family *family, const struct trace *trace)
{
    char *list = xstrdup(policies), *save = NULL;

    for (char *p = strtok_r(list, ",", &save); p;
         p = strtok_r(NULL, ",", &save)) {
        const char *name = NULL;

        for (size_t i = 0; steer_policy_names[i]; i++) {
            if (!strcmp(p, steer_policy_names[i])) {
                name = steer_policy_names[i];
            }
        }
        if (!name) {
            ovs_fatal(0, "no policy is named \"%s\"", p);
        }
        for (size_t r = 0; r < e->opt->repeats; r++) {
            struct scenario s = { family, trace, e->opt->sim };
            uint64_t x = e->opt->seed * 1000 + r;

            s.sim.n_cores = cores;
            if (!s.sim.n_buckets) {
                s.sim.n_buckets = (trace && trace->step_s > 0
                                   ? trace->n_buckets : MAX(128, 32 * cores));
            }
            if (trace && trace->step_s > 0) {
                s.sim.load = trace->mean_pps / sim_core_pps(&s.sim) / cores;
            }
            /* High bit set: never a seed of the training. */
            s.sim.seed = ext_splitmix64(&x) | UINT64_C(1) << 63;
            eval_add(e, name, &s);
        }
    }
    free(list);
}

static bool
wants_family(const char *traffic, const struct sim_family *f)
{
    struct sset names;
    bool wants;

    sset_init(&names);
    sset_from_delimited_string(&names, traffic, ",");
    wants = (sset_contains(&names, "all")
             || sset_contains(&names, f->heldout ? "heldout" : "trained")
             || sset_contains(&names, f->name));
    sset_destroy(&names);
    return wants;
}

static void
check_traffic(const char *traffic)
{
    struct sset names;
    const char *name;

    sset_init(&names);
    sset_from_delimited_string(&names, traffic, ",");
    SSET_FOR_EACH (name, &names) {
        if (!sim_family_find(name) && strcmp(name, "all")
            && strcmp(name, "heldout") && strcmp(name, "trained")
            && strcmp(name, "none")) {
            ovs_fatal(0, "no traffic family is named \"%s\"", name);
        }
    }
    sset_destroy(&names);
}

/* Prints the mean of 'n' runs that differ by their seed only. */
static void
eval_print(const struct job *jobs, size_t n)
{
    const struct scenario *s = &jobs[0].scenario;
    struct sim_result m = { .reward = 0 };
    uint64_t decisions = 0, fallback = 0;

    for (size_t i = 0; i < n; i++) {
        const struct sim_result *r = &jobs[i].result;

        m.reward += r->reward / n;
        m.loss += r->loss / n;
        m.p50_us += r->p50_us / n;
        m.p95_us += r->p95_us / n;
        m.p99_us += r->p99_us / n;
        m.imbalance += r->imbalance / n;
        m.imbalance_floor += r->imbalance_floor / n;
        m.moves += r->moves;
        m.moves_per_s += r->moves_per_s / n;
        decisions += r->rl.n_decisions;
        fallback += r->rl.n_fallback_ood + r->rl.n_fallback_worse
                    + r->rl.n_fallback_uncertain;
    }
    printf("{\"policy\":\"%s\",\"cores\":%"PRIuSIZE",\"buckets\":%"PRIuSIZE","
           "\"traffic\":\"%s\",\"heldout\":%s,\"load\":%.3g,"
           "\"reward\":%.6f,\"loss\":%.3e,\"p50_us\":%.2f,\"p95_us\":%.2f,"
           "\"p99_us\":%.2f,\"imbalance\":%.4f,\"imbalance_floor\":%.4f,"
           "\"moves\":%"PRIu64",\"moves_per_s\":%.1f,\"fallback\":%.4f}\n",
           jobs[0].policy, s->sim.n_cores, s->sim.n_buckets,
           scenario_name(s), !s->family || s->family->heldout ? "true"
           : "false", s->sim.load, m.reward, m.loss, m.p50_us, m.p95_us,
           m.p99_us, m.imbalance, m.imbalance_floor, m.moves, m.moves_per_s,
           decisions ? (double) fallback / decisions : 0);
}

void
eval_run(const struct eval_options *opt)
{
    struct eval e = { .opt = opt };
    char *list = xstrdup(opt->cores), *save = NULL;

    check_traffic(opt->traffic);
    for (char *p = strtok_r(list, ",", &save); p;
         p = strtok_r(NULL, ",", &save)) {
        int cores;

        if (!str_to_int(p, 10, &cores) || cores < 2
            || cores > STEER_MAX_CORES) {
            ovs_fatal(0, "--cores: \"%s\" is not a number in 2...%d", p,
                      STEER_MAX_CORES);
        }
        for (const struct sim_family *f = sim_families; f->name; f++) {
            if (wants_family(opt->traffic, f)) {
                eval_add_all(&e, opt->policies, cores, f, NULL);
            }
        }
        for (size_t i = 0; i < opt->traces.n; i++) {
            eval_add_all(&e, opt->policies, cores, NULL,
                         &opt->traces.traces[i]);
        }
    }
    free(list);

    /* In slices, so that lines appear as they are known. */
    size_t slice = opt->repeats * opt->threads;
    for (size_t i = 0; i < e.n; i += slice) {
        struct eval part = { .opt = opt, .jobs = e.jobs + i };
        size_t n = MIN(slice, e.n - i);

        parallel_for(n, opt->threads, eval_job, &part);
        for (size_t j = 0; j + opt->repeats <= n; j += opt->repeats) {
            eval_print(&e.jobs[i + j], opt->repeats);
        }
        fflush(stdout);
        if (!opt->quiet) {
            progress("eval", i + n, e.n, "");
        }
    }
    free(e.jobs);
}

static double
clock_us(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return ts.tv_sec * 1e6 + ts.tv_nsec * 1e-3;
}

static int
compare_doubles(const void *a_, const void *b_)
{
    const double *a = a_, *b = b_;

    return *a < *b ? -1 : *a > *b;
}

/* Times decisions on a simulated switch whose traffic keeps changing, the loop
 * closed: what is decided is done. */
void
decide_run(const struct decide_options *opt)
{
    struct sim_params sim;
    struct steer_config config;
    struct steer_move moves[TRAIN_MAX_MOVES];
    double *wall = xcalloc(opt->calls, sizeof *wall);
    double *cpu = xcalloc(opt->calls, sizeof *cpu);
    struct sim_switch *sw = NULL;
    size_t n_moves = 0;
    char *error;

    sim_params_init(&sim);
    sim.n_cores = opt->cores;
    sim.n_buckets = opt->buckets;
    sim.duration_s = 5;
    steer_config_init(&config);
    config.model = opt->model;
    struct steer_policy *policy = steer_policy_create(opt->policy, &config,
                                                      &error);
    if (!policy) {
        ovs_fatal(0, "%s", error);
    }

    for (size_t i = 0; i < opt->calls; i++) {
        if (i % 500 == 0) {
            /* Another traffic every five seconds. */
            size_t n_families = 0;
            size_t k = i / 500;

            while (sim_families[n_families].name) {
                n_families++;
            }

            sim_switch_destroy(sw);
            sim.seed = opt->seed + k;
            sim.load = 0.7 + 0.3 * (k % 7) / 6;
            struct sim_traffic_params tp = {
                .n_cores = sim.n_cores, .n_buckets = sim.n_buckets,
                .core_pps = sim_core_pps(&sim), .load = sim.load,
                .tick_s = sim.tick_s, .duration_s = sim.duration_s,
                .seed = sim.seed,
            };
            sw = sim_switch_create(&sim,
                sim_traffic_create(&sim_families[k % n_families], &tp));
            steer_policy_reset(policy);
        }

        const struct steer_state *st = sim_switch_tick(sw);
        double c0 = clock_us(CLOCK_THREAD_CPUTIME_ID);
        double t0 = clock_us(CLOCK_MONOTONIC);
        size_t n = steer_policy_decide(policy, st, moves, TRAIN_MAX_MOVES);
        wall[i] = clock_us(CLOCK_MONOTONIC) - t0;
        cpu[i] = clock_us(CLOCK_THREAD_CPUTIME_ID) - c0;
        sim_switch_move(sw, moves, n);
        n_moves += n;
    }
    sim_switch_destroy(sw);
    steer_policy_destroy(policy);

    qsort(wall, opt->calls, sizeof *wall, compare_doubles);
    qsort(cpu, opt->calls, sizeof *cpu, compare_doubles);
    size_t at = opt->calls * 0.9999;
    printf("{\"policy\":\"%s\",\"cores\":%"PRIuSIZE",\"buckets\":%"PRIuSIZE","
           "\"calls\":%"PRIuSIZE",\"moves\":%"PRIuSIZE",\"p50_us\":%.2f,"
           "\"p99_us\":%.2f,\"p9999_us\":%.2f,\"max_us\":%.2f,"
           "\"p9999_cpu_us\":%.2f}\n",
           opt->policy, opt->cores, opt->buckets, opt->calls, n_moves,
           wall[opt->calls / 2], wall[(size_t) (opt->calls * 0.99)],
           wall[at], wall[opt->calls - 1], cpu[at]);
    free(wall);
    free(cpu);
}
