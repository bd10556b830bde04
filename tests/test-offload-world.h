/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TEST_OFFLOAD_WORLD_H
#define TEST_OFFLOAD_WORLD_H 1

/* Simulated flows in front of a simulated NIC, in simulated time, for
 * test-offload: what the planner of offload placement has to do with. */

#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/offload/offload-plan.h"
#include "tests/test-util.h"

#define INTERVAL 500            /* ms. */

/* Flows with the popularity of a Zipf distribution, in front of a NIC. */
struct world {
    struct offload_plan *plan;
    struct ext_rng rng;
    long long int now;
    int port;

    uint32_t n;
    uint32_t *id;               /* Of the planner. */
    double *rate;               /* True packets/s. */
    double *sorted;
    uint64_t *packets;
    bool *in;                   /* In the NIC's table. */

    uint32_t capacity, used, peak;
    enum offload_result broken; /* What inserts come to, if not DONE. */
    uint64_t n_updates, n_inserts, n_evicts, n_refused;
    uint64_t peak_updates;      /* Of any second. */
    uint64_t second[1000];      /* Updates, by the millisecond. */
};

/* 'n' flows, silent so far, and a table with 'capacity' places that may see
 * 'budget' updates a second. */
void world_init(struct world *, uint32_t n, uint32_t capacity, double budget);
void world_destroy(struct world *);

/* Returns a number from a Poisson distribution. */
uint32_t world_poisson(struct ext_rng *, double mean);

/* Gives each flow a rank by chance, and by that a part of 'pps'. */
void world_shuffle(struct world *, double pps, double exponent);

/* Lets 'ms' go by. */
void world_run(struct world *, long long int ms);

/* Share of the traffic that is in the table, and what it could be. */
double world_share(const struct world *);
double world_oracle(const struct world *);

#endif /* test-offload-world.h */
