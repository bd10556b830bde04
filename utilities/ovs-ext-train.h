/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef OVS_EXT_TRAIN_H
#define OVS_EXT_TRAIN_H 1

/* Parts of ovs-ext-train(1): scenarios, the training, judging. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ovs-ext/steering/sim-run.h"
#include "ovs-ext/steering/steer-model.h"
#include "openvswitch/compiler.h"

/* Recorded traffic given on the command line. */
struct trace {
    char *name;                 /* File name without its directory. */
    struct sim_packet *packets; /* From a capture, or NULL... */
    size_t n_packets;
    float *pps;                 /* ...from a decisions log or a table of
                                 * rates. */
    size_t n_ticks, n_buckets;
    double step_s;              /* Of a table of rates; else 0. */
    double mean_pps;            /* Of a table of rates. */
};

struct traces {
    struct trace *traces;
    size_t n;
};

/* All end the program with a message if the file is not usable. */
void traces_add_pcap(struct traces *, const char *path);
void traces_add_dump(struct traces *, const char *path);
void traces_add_rates(struct traces *, const char *path);
void traces_destroy(struct traces *);

/* One simulation to be run. */
struct scenario {
    const struct sim_family *family;    /* NULL: 'trace'. */
    const struct trace *trace;
    struct sim_params sim;
};

const char *scenario_name(const struct scenario *);

/* Runs 'scenario' under 'policy'; 'max_moves' as in the daemon's default. */
#define TRAIN_MAX_MOVES 128
void scenario_run(const struct scenario *, struct steer_policy *,
                  const struct steer_weights *, struct sim_result *);

/* Calls 'cb(aux, i)' for each 'i' in 0...n-1 on 'n_threads' threads, in no
 * particular order. */
void parallel_for(size_t n, size_t n_threads, void (*cb)(void *aux, size_t i),
                  void *aux);

struct train_options {
    uint64_t seed;
    uint32_t generations;
    double minutes;             /* Stop early after that, 0: never. */
    size_t threads;
    size_t pairs;               /* Antithetic pairs in a generation. */
    size_t scenarios;           /* In a generation. */
    const char *resume;         /* Checkpoint, or NULL. */
    const char *out;            /* Policy file. */
    const char *curve;          /* PNG, or NULL. */
    struct sim_params sim;      /* Service times and the like. */
    struct steer_weights weights;
    struct traces traces;
    bool quiet;
};
void train_run(const struct train_options *);

struct eval_options {
    uint64_t seed;
    size_t threads;
    size_t repeats;             /* Seeds for each combination. */
    const char *policies;       /* Comma-separated. */
    const char *cores;
    const char *traffic;        /* Or "all". */
    const struct steer_model *model;
    struct sim_params sim;
    struct steer_weights weights;
    struct traces traces;
    bool guard, learn, quiet;
};
void eval_run(const struct eval_options *);

struct decide_options {
    uint64_t seed;
    const char *policy;
    const struct steer_model *model;
    size_t cores, buckets, calls;
};
void decide_run(const struct decide_options *);

/* Draws a progress bar on stderr: 'done' of 'total', with 'note'. */
void progress(const char *what, size_t done, size_t total, const char *note);

#endif /* ovs-ext-train.h */
