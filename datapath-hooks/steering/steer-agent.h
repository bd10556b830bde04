/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef STEER_AGENT_H
#define STEER_AGENT_H 1

/* The agent: a thread that observes, decides and moves once a tick.
 *
 * The main thread starts it when steering is configured and stops it when it
 * no longer is.  Stopping is gentle: buckets first go home, in order, to where
 * the device had them.
 *
 * All of "struct steer_agent" is under 'steer_mutex', which the agent holds
 * during a tick, except 'beats'. */

#include "datapath-hooks/steering/steer-config.h"
#include "datapath-hooks/steering/steer-observe.h"
#include "ovs-ext/steering/steer-dump.h"

enum {
    STEER_HISTORY = 1024,       /* Decisions remembered. */
    STEER_TICK_MOVES = 128      /* Moves in a tick. */
};

/* A decision, for ext/steering-history. */
struct steer_decision {
    long long int when;         /* time_wall_msec(). */
    uint64_t tick;
    size_t n_moves, n_done;     /* Decided, begun. */
    struct steer_move_record {
        char port[32];
        uint32_t bucket;
        unsigned int from, to;  /* CPU cores. */
        float score;
    } moves[8];                 /* The first few. */
    struct steer_explain explain;
    double max_load;
    bool shadow;
};

struct steer_agent {
    struct steer_settings settings;
    struct steer_observer obs;
    struct steer_policy *policy;        /* Null while off. */
    struct steer_model *model;          /* In force; null: built in. */
    char *model_origin;                 /* As 'settings.policy'. */
    char *model_version;                /* For people; or null: built in. */
    char *model_asked;                  /* 'settings.policy', and why it cannot
                                         * be had, or null. */
    char *model_error;
    struct steer_decision history[STEER_HISTORY];
    uint64_t n_decisions;               /* Those with moves. */
    double move_tokens;                 /* Of max_moves. */
    uint64_t n_ticks, n_late;           /* Ticks; those over twice late. */
    uint64_t n_limited;                 /* Moves over max-moves. */
    uint64_t n_disturbed;               /* Ticks without a decision. */
    uint64_t n_cold;                    /* Moves put off for warming. */
    uint64_t usec, usec_max;            /* Time in ticks. */
    bool going_home;                    /* Being turned off. */
    bool is_home;                       /* Buckets are where they began. */
    long long int dump_until;           /* time_msec(). */
    FILE *dump_next;                    /* To begin with the next tick. */
    char *dump_name;                    /* Of the file asked for last. */
    struct steer_dump dump;             /* 'stream' is null if none; agent's
                                         * thread, written without the lock. */
    size_t n_last_moves;                /* Begun in the last tick. */
    steer_ctr64 beats;                  /* Goes up with each tick. */
    unsigned int n_unconfirmed;         /* Ticks, see STEER_CONFIRM_TICKS. */
    unsigned int n_lopsided;            /* Ticks, see STEER_HAND_OFF_*. */
    unsigned int churn;                 /* Forced moves still to do. */
    uint64_t churned;                   /* Forced moves begun. */
    long long int stall_until;          /* Fault injection, time_msec(). */
    bool stalled;                       /* Main thread: was reported. */
};

extern struct steer_agent steer_agent;

void steer_agent_init(void);
void steer_agent_configure(const struct steer_settings *);
void steer_agent_run(void);
void steer_agent_wait(void);
void steer_agent_exit(void);
void steer_agent_begin_dump(struct steer_agent *, FILE *, const char *name,
                            unsigned int seconds) OVS_REQUIRES(steer_mutex);

/* steer-source.c: where the model comes from. */
void steer_source_load(struct steer_agent *) OVS_REQUIRES(steer_mutex);
void steer_source_request(const struct steer_settings *);
struct json;
void steer_source_to_json(const struct steer_agent *, struct json *)
    OVS_REQUIRES(steer_mutex);
void steer_source_format(const struct steer_agent *, struct ds *)
    OVS_REQUIRES(steer_mutex);

/* steer-agent.c: makes the policy anew, with 'model'. */
void steer_agent_create_policy(struct steer_agent *)
    OVS_REQUIRES(steer_mutex);

/* In steer-act.c. */

/* Carries out those of the 'n' moves that limits allow.  Returns their
 * number. */
size_t steer_agent_act(struct steer_agent *, const struct steer_move *,
                       size_t n) OVS_REQUIRES(steer_mutex);

/* Sends buckets home, some at a time.  Returns true when all are there. */
bool steer_agent_go_home(struct steer_agent *) OVS_REQUIRES(steer_mutex);

/* Gives virtual queues to ports without a table whose queues are polled by a
 * core that has much more to do than another. */
void steer_agent_hand_off(struct steer_agent *) OVS_REQUIRES(steer_mutex);

/* Moves random buckets to random queues of their ports as fast as it can, as
 * ext/steering-debug has asked for: the test of order. */
void steer_agent_churn(struct steer_agent *) OVS_REQUIRES(steer_mutex);

/* In steer.c: sets the packet-path hooks, or clears them as soon as can be. */
void steer_hooks_set(bool on);

void steer_show_init(void);
char *steer_debug(int argc, const char *argv[]);

#endif /* steer-agent.h */
