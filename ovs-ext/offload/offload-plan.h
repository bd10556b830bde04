/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef OFFLOAD_PLAN_H
#define OFFLOAD_PLAN_H 1

/* Which flows the bounded flow tables of NICs hold
 * ================================================
 *
 * The planner is told of candidates (flows that could be rules), of what they
 * count, and of how each change of a table went.  It answers with a sequence
 * of single updates, "insert this one" and "evict that one", the most useful
 * first:
 *
 *     offload_plan_count(plan, id, packets, now);  ...for every candidate
 *     offload_plan_tick(plan, now);
 *     while (offload_plan_next(plan, now, &update)) {
 *         ...carry it out...
 *         offload_plan_result(plan, update.id, result, now);
 *     }
 *
 * Value        Predicted packets a second (offload-rate.h), times what
 *              matching one in hardware saves (1; less for a rule that only
 *              marks packets).
 * Preference   A candidate may be preferred by a factor of 1 up to
 *              OFFLOAD_MAX_BOOST, which its value is multiplied by.  So it
 *              holds its place against what carries a few times as much,
 *              and not against what carries more than that.
 * Admission    While there is room, by value.  In a full table one candidate
 *              takes the place of another if that saves, over 'horizon'
 *              seconds, more packets than the two updates cost.
 * Hysteresis   ...and only if it is better by 'margin' even when the newcomer
 *              is taken 'doubt' standard deviations worse and the holder as
 *              much better than measured.
 * Budget       A token bucket: at most 'budget' updates a second, and a
 *              quarter of a second's worth at once.
 * Capacity     Unknown at first.  The table is what it held when an insert
 *              failed with "no space".  Now and then, ever more seldom, one
 *              rule more is tried; each that fits makes the next follow soon.
 * Failures     A candidate that fails is tried again after 1 s, 2 s, 4 s...
 *              up to 5 minutes.  When a port fails several times in a row,
 *              it is the port that is left alone, 0.25 s up to 30 s, and one
 *              rule is tried after that; with the first that succeeds all
 *              candidates may come back.  A candidate that its owner refuses,
 *              without asking the device, waits like one that fails, but says
 *              nothing of the port.
 *
 * Properties and limits
 * ---------------------
 *
 * candidates   up to 2^24; 64 bytes each
 * ports        up to OFFLOAD_MAX_PORTS
 * tick         O(n + k log k) for n candidates and k updates: about 2 ms for
 *              100,000
 * time         milliseconds, monotonic, an argument; no thread, no clock
 *
 * Thread safety: none; one thread at a time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OFFLOAD_MAX_PORTS 256
#define OFFLOAD_UNKNOWN UINT32_MAX      /* Capacity not known yet. */
#define OFFLOAD_MAX_BOOST 4.0

struct offload_config {
    double budget;              /* Updates a second, > 0. */
    double horizon;             /* Seconds that a decision is reckoned for. */
    double cost;                /* Packets that an update has to save. */
    double margin;              /* Of the holder's value: 0.1 is 10 %. */
    double doubt;               /* Standard deviations. */
};
#define OFFLOAD_CONFIG_DEFAULT \
    { .budget = 10000, .horizon = 10, .cost = 5, .margin = 0.1, .doubt = 1.5 }

enum offload_result {
    OFFLOAD_DONE,
    OFFLOAD_NO_SPACE,           /* The table is full. */
    OFFLOAD_FAILED,             /* Any other reason. */
    OFFLOAD_REFUSED,            /* Not the device's doing. */
    OFFLOAD_GONE,               /* The candidate is about to be removed. */
};

struct offload_update {
    uint32_t id;
    void *aux;                  /* The candidate's. */
    bool insert;                /* Else evict. */
};

/* What is known of a port's table. */
struct offload_port_stats {
    uint32_t candidates, used;
    uint32_t capacity;          /* OFFLOAD_UNKNOWN until it was full. */
    uint64_t inserted, evicted; /* Updates that succeeded. */
    uint64_t no_space, failed;
    uint64_t retries;           /* Inserts of what failed before. */
    double rate;                /* Predicted packets/s of all candidates... */
    double rate_in;             /* ...of those in the table. */
    double threshold;           /* Value of the least in the table. */
    long long int paused_until; /* After failures; 0 if not. */
};

/* What is known of a candidate, for explanations. */
struct offload_explanation {
    double rate, error;         /* Packets/s, its standard deviation. */
    double value;               /* Rate times saving times boost. */
    double boost;               /* 1 if not preferred. */
    double threshold;           /* Of its port. */
    bool in;                    /* In the table. */
    unsigned int failures;      /* In a row. */
    long long int retry_at;     /* Not before, if 'failures'. */
    bool room;                  /* The table is not full. */
};

struct offload_plan *offload_plan_create(const struct offload_config *,
                                         long long int now);
void offload_plan_destroy(struct offload_plan *);
void offload_plan_configure(struct offload_plan *,
                            const struct offload_config *);

/* Returns the number of the new port, or -1 if there are too many. */
int offload_plan_add_port(struct offload_plan *);

/* The port has no candidates any more. */
void offload_plan_remove_port(struct offload_plan *, int port);

/* Adds a candidate that is not in the table and has counted 'packets'.
 * Returns its id, valid until it is removed. */
uint32_t offload_plan_add(struct offload_plan *, int port, uint64_t packets,
                          void *aux, long long int now);

/* Forgets a candidate; if it was in the table, it no longer is. */
void offload_plan_remove(struct offload_plan *, uint32_t id);

/* Candidate 'id' has counted 'packets' in all, in hardware or not. */
void offload_plan_count(struct offload_plan *, uint32_t id, uint64_t packets,
                        long long int now);

/* Matching a packet of 'id' in hardware saves 'saving', 0 to 1, of what
 * handling it otherwise costs. */
void offload_plan_set_saving(struct offload_plan *, uint32_t id,
                             double saving);

/* Prefers 'id' by 'boost', which is cut to 1 up to OFFLOAD_MAX_BOOST. */
void offload_plan_set_boost(struct offload_plan *, uint32_t id, double boost);

/* Reckons anew. */
void offload_plan_tick(struct offload_plan *, long long int now);

/* Stores the next update into '*update' and returns true, or returns false if
 * there is none, or none yet.  The result must be told before the next
 * call. */
bool offload_plan_next(struct offload_plan *, long long int now,
                       struct offload_update *);

/* Returns when offload_plan_next() may return true without another tick, or
 * LLONG_MAX. */
long long int offload_plan_wake(const struct offload_plan *);

/* How the update of 'id' went. */
void offload_plan_result(struct offload_plan *, uint32_t id,
                         enum offload_result, long long int now);

/* Takes a token for an update that the planner did not ask for.  Returns false
 * if the budget does not allow it now. */
bool offload_plan_take(struct offload_plan *, long long int now);

/* The table changed without the planner's doing. */
void offload_plan_set_in(struct offload_plan *, uint32_t id, bool in);

/* The table of 'port' was seen to hold no more than 'n' rules. */
void offload_plan_set_full(struct offload_plan *, int port, uint32_t n,
                           long long int now);

void offload_plan_port_stats(const struct offload_plan *, int port,
                             struct offload_port_stats *);
void offload_plan_explain(const struct offload_plan *, uint32_t id,
                          struct offload_explanation *);

#endif /* offload-plan.h */
