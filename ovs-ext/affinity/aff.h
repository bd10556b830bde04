/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef AFF_H
#define AFF_H 1

/* The affinity planner of one host
 * ================================
 *
 * A host has resources (PMD cores, NIC queues, NIC flow tables, accelerators)
 * and profiles (the traffic of one class in one virtual network).  The planner
 * assigns to each profile the resource that is to process it, or none, which
 * means the host's usual way.
 *
 *     h = aff_host_create("h1", seed);
 *     whenever the database says so:
 *         aff_host_set_resource(), aff_host_remove_resource(),
 *         aff_host_set_profile(), aff_host_set_pin(), aff_host_report()...
 *     if something changed, or result.again, or now >= result.next_ms:
 *         aff_plan(h, &config, &learner, now, &result);
 *         AFF_PROFILE_FOR_EACH (...) read aff_profile_decision()
 *
 * How a profile's resource is chosen
 * ----------------------------------
 *
 * The score of (profile, resource) is the inner product of features (below)
 * and weights, plus what reports taught about such pairs.  The weights begin
 * as a judgement by hand and move with reported performance (aff-learn.h).
 * Best score wins, within these rules:
 *
 *   pin         A pinned profile has its resource and nothing else.  While
 *               that is not to be had, the profile goes the usual way and the
 *               reason says so; it returns when the resource does.
 *   state       Only available or degraded resources take profiles.
 *   fit         A resource takes only traffic that its kind can process.
 *   capacity    What is measured of others plus the predicted load of the
 *               profiles assigned stays within 'max_load' of the capacity.
 *   isolation   A profile of an exclusive network shares its resource with no
 *               other network.
 *   hysteresis  A profile stays where it is unless another resource is better
 *               by 'margin' in 'hold' plans in a row.  It leaves at once a
 *               resource that is lost, overloaded, degraded since the last
 *               plan or taken by an exclusive network.
 *
 * Profiles are placed in the order: pinned, exclusive, weight x bits/s.
 *
 * Exploration: if configured, and the host reports performance, now and then
 * (a probability 'epsilon' each 'explore_ms') one profile that is neither
 * pinned nor exclusive goes to a resource about which little is known and
 * whose score is at most 'explore_loss' below the best: the largest upper
 * confidence bound (LinUCB: Li et al., "A contextual-bandit approach to
 * personalized news article recommendation", WWW 2010, algorithm 1).
 *
 * Cost: O(P x R) a plan, about 10 ns for each pair; memory O(P + R).  At most
 * AFF_MAX_RESOURCES and AFF_MAX_PROFILES; what exceeds them is refused.
 *
 * Deterministic: the same calls give the same decisions, whatever the order
 * in which resources and profiles were added.  Numbers that make no sense
 * (NaN, negative, beyond their range) count as unknown.
 *
 * Pure: no clock, no thread; time is an argument in milliseconds of any clock
 * that does not go back.  A host is used by one thread at a time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "openvswitch/dynamic-string.h"
#include "openvswitch/util.h"
#include "ovs-ext/monitor/hrm.h"
#include "ovs-ext/profile/tp.h"

struct aff_host;
struct aff_learner;

#define AFF_NONE (-1)                   /* No resource, no profile. */
#define AFF_MAX_RESOURCES 1024
#define AFF_MAX_PROFILES 1024
#define AFF_REASON_LEN 200              /* Longest reason, with its null. */

/* Features of a pair of profile and resource, each 0...1. */
enum aff_feature {
    AFF_F_BIAS,                 /* Always 1. */
    AFF_F_FREE,                 /* Share of the capacity left once the profile
                                 * is there. */
    AFF_F_FORECAST,             /* The same, by the forecast. */
    AFF_F_LATENCY,              /* 1 / (1 + latency / latency_ref). */
    AFF_F_ERRORS,               /* 1 without errors, 0 at 1 % and more. */
    AFF_F_NUMA,                 /* 1 on the traffic's node, 0 on another. */
    AFF_F_FIT,                  /* How well the kind suits the class. */
    AFF_F_ROOM,                 /* Capacity compared with the demand. */
    AFF_F_DEGRADED,             /* 1 if degraded. */
    AFF_F_ELEPHANTS,            /* Elephant share, on flow tables, queues. */
    AFF_F_SMALL,                /* Small packets, on NICs and accelerators. */
    AFF_F_BURSTS,               /* Bursts, on what has deep buffers. */
    AFF_N_FEATURES
};
const char *aff_feature_to_string(enum aff_feature);

/* Weights that the learner starts from. */
extern const double aff_prior[AFF_N_FEATURES];

struct aff_config {
    double max_load;            /* Share of a capacity to fill, 0...1. */
    double margin;              /* Score by which another must be better. */
    int hold;                   /* Plans in a row in which it must. */
    double switch_penalty;      /* Taken off the score of every resource but
                                 * the present one. */
    double latency_ref_us;      /* Latency whose feature is 1/2. */
    bool learn;                 /* Use what reports taught. */
    bool explore;
    double epsilon;             /* Probability, each explore_ms, 0...1. */
    double explore_loss;        /* Most score to give up for it. */
    long long int explore_ms;   /* Between two attempts of a host. */
    long long int explore_hold_ms; /* How long one lasts. */
};
#define AFF_CONFIG_DEFAULT                                              \
    { .max_load = 0.9, .margin = 0.05, .hold = 3, .switch_penalty = 0.03, \
      .latency_ref_us = 50, .learn = true, .explore = true,             \
      .epsilon = 0.05, .explore_loss = 0.1, .explore_ms = 10000,        \
      .explore_hold_ms = 5000 }

/* What the planner is told of a resource.  The strings are copied. */
struct aff_resource {
    const char *name;
    enum hrm_kind kind;
    enum hrm_state state;
    int numa;                   /* -1 if unknown. */
    double capacity;            /* In 'unit', 0 if unknown. */
    const char *unit;           /* "packets/s", "bits/s", "entries"... */
    const char *accelerator;    /* Of a port: what is behind it, or NULL. */
    bool steerable;             /* False: takes no profile but a pinned one. */
    struct hrm_metrics m;
};

/* What the planner is told of a profile. */
struct aff_profile {
    const char *network;
    enum tp_class class;
    double pps, bps;            /* Packets/s, bits/s. */
    double packet_size;         /* Bytes, mean. */
    double burstiness;          /* Index of dispersion, 1 is random. */
    double flows;
    double elephant_share;      /* 0...1 */
};

/* Performance that a host measured for a profile. */
struct aff_report {
    const char *resource;       /* That processed it. */
    double latency_us;          /* 0 if unknown. */
    double loss;                /* 0...1 */
    double throughput;          /* Bits/s, 0 if unknown. */
};

/* Why a decision is as it is. */
enum aff_cause {
    AFF_C_NEW,                  /* No resource before. */
    AFF_C_KEPT,                 /* As in the last plan. */
    AFF_C_BETTER,               /* Another was better for long enough. */
    AFF_C_LOST,                 /* The resource is gone or unavailable. */
    AFF_C_DEGRADED,
    AFF_C_OVERLOAD,             /* Of the resource. */
    AFF_C_UNFIT,                /* The resource cannot process it. */
    AFF_C_ISOLATION,            /* An exclusive network, this or another. */
    AFF_C_EXPLORE,
    AFF_C_PINNED,
    AFF_C_PIN_WAITS,            /* The pinned resource is not to be had. */
    AFF_C_NO_ROOM,              /* No resource can take it. */
    AFF_N_CAUSES
};
const char *aff_cause_to_string(enum aff_cause);

struct aff_decision {
    int resource;               /* Slot, AFF_NONE for the usual way. */
    double score;               /* 0 without a resource. */
    enum aff_cause cause;       /* Of the latest change. */
    char reason[AFF_REASON_LEN]; /* For people: the cause and the features
                                  * that count most. */
    bool changed;               /* By the latest plan. */
};

struct aff_result {
    int n_changed;              /* Decisions that changed. */
    bool again;                 /* Plan once more in the next loop:
                                 * something waits for 'hold'. */
    long long int next_ms;      /* Plan again by then, LLONG_MAX for never. */
};

struct aff_host *aff_host_create(const char *name, uint64_t seed);
void aff_host_destroy(struct aff_host *);

/* Resources.  A slot is a small number that stays the same while the resource
 * is there. */

/* Adds or updates; returns the slot, or AFF_NONE if there are too many. */
int aff_host_set_resource(struct aff_host *, const struct aff_resource *);
void aff_host_remove_resource(struct aff_host *, const char *name);
int aff_host_find_resource(const struct aff_host *, const char *name);
const char *aff_resource_name(const struct aff_host *, int slot);
enum hrm_state aff_resource_state(const struct aff_host *, int slot);
double aff_resource_load(const struct aff_host *, int slot);
size_t aff_host_n_resources(const struct aff_host *);

/* Profiles. */

/* Adds or updates; returns the slot, or AFF_NONE if there are too many. */
int aff_host_set_profile(struct aff_host *, const struct aff_profile *);
/* The traffic is gone.  The profile stays, without demand, if it is pinned. */
void aff_host_remove_profile(struct aff_host *, int slot);
int aff_host_find_profile(const struct aff_host *, const char *network,
                          enum tp_class);
size_t aff_host_n_profiles(const struct aff_host *);

/* Wishes of the administrator for the profile's network: sharing with nobody,
 * and a weight (1 is ordinary, 0 counts as 1). */
void aff_profile_set_network(struct aff_host *, int slot, bool exclusive,
                             double weight);
/* Says that the profile is on resource slot 'resource' already (after a change
 * of controllers). */
void aff_profile_set_present(struct aff_host *, int slot, int resource);
/* Says whether the host has carried out the present decision.  Until then the
 * load measured on the resource does not contain the profile's. */
void aff_profile_set_applied(struct aff_host *, int slot, bool applied);
const struct aff_decision *aff_profile_decision(const struct aff_host *,
                                                int slot);
const char *aff_profile_network(const struct aff_host *, int slot);
enum tp_class aff_profile_class(const struct aff_host *, int slot);
bool aff_profile_has_traffic(const struct aff_host *, int slot);
bool aff_profile_is_pinned(const struct aff_host *, int slot);

/* Pins (network, class), adding it without traffic if there is none, to the
 * resource called 'resource', or to the usual way if that is ""; NULL unpins
 * it, and removes it if it has no traffic.  Returns the slot, AFF_NONE if
 * there is none (any more). */
int aff_host_set_pin(struct aff_host *, const char *network, enum tp_class,
                     const char *resource);

/* The lowest slot >= 'slot' in use, or AFF_NONE. */
int aff_profile_next(const struct aff_host *, int slot);
int aff_resource_next(const struct aff_host *, int slot);
#define AFF_PROFILE_FOR_EACH(SLOT, HOST)                                \
    for (int SLOT = aff_profile_next(HOST, 0); SLOT != AFF_NONE;        \
         SLOT = aff_profile_next(HOST, SLOT + 1))
#define AFF_RESOURCE_FOR_EACH(SLOT, HOST)                               \
    for (int SLOT = aff_resource_next(HOST, 0); SLOT != AFF_NONE;       \
         SLOT = aff_resource_next(HOST, SLOT + 1))

/* Decides.  See above. */
void aff_plan(struct aff_host *, const struct aff_config *,
              const struct aff_learner *, long long int now,
              struct aff_result *);

/* Takes a report about a profile at time 'now': teaches 'learner', and what
 * the host knows of its own resources.  Returns false if it is not about the
 * resource that the profile is on, or makes no sense. */
bool aff_host_report(struct aff_host *, const struct aff_config *,
                     struct aff_learner *, int profile,
                     const struct aff_report *, long long int now);

/* What a report is worth, 0...1: 0.4 the share of 'bps' that came through,
 * 0.4 latency_ref / (latency_ref + latency), 0.2 exp(-100 loss).  Terms that
 * are unknown are left out, the rest scaled up. */
double aff_reward(const struct aff_config *, const struct aff_report *,
                  double bps);

/* Score of a pair, with its features, outside a plan: 'resource' as if the
 * profile were put there now. */
double aff_score(const struct aff_host *, const struct aff_config *,
                 const struct aff_learner *, int profile, int resource,
                 double features[AFF_N_FEATURES]);

/* Appends to 's' what the planner thinks of a profile: its decision, then the
 * best 'n' resources with their scores and features, and why others are out of
 * question. */
void aff_explain(const struct aff_host *, const struct aff_config *,
                 const struct aff_learner *, int profile, size_t n,
                 struct ds *s);

#endif /* aff.h */
