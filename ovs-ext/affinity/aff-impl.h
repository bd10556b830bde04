/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef AFF_IMPL_H
#define AFF_IMPL_H 1

/* Insides of the affinity planner, shared by aff-*.c only.  See aff.h. */

#include "openvswitch/shash.h"
#include "ovs-ext/affinity/aff-learn.h"
#include "ovs-ext/affinity/aff.h"
#include "ovs-ext/core/ext-rng.h"
#include "util.h"

/* What a capacity counts. */
enum aff_unit {
    AFF_U_UNKNOWN,
    AFF_U_PACKETS,
    AFF_U_BITS,
    AFF_U_BYTES,
    AFF_U_ENTRIES,
    AFF_N_UNITS
};

/* Rows of the table of fits: the kinds, then what may be behind a port. */
enum {
    AFF_FIT_ACCEL_CRYPTO = HRM_N_KINDS,
    AFF_FIT_ACCEL_REGEX,
    AFF_FIT_ACCEL_GPU,
    AFF_FIT_ACCEL_FPGA,
    AFF_N_FITS
};

struct aff_res {
    bool used;
    char *name;
    enum hrm_kind kind;
    enum hrm_state state;
    int numa;
    enum aff_unit unit;
    int fit;                    /* Row of the table of fits. */
    bool steerable;
    double inv_capacity;        /* 0 if unknown. */
    struct hrm_metrics m;       /* Cleaned. */
    struct aff_mean means[TP_N_CLASSES]; /* What reports left over here. */

    bool sampled;               /* Metrics are newer than the last plan. */
    double own;                 /* Load of our profiles that is in 'm'. */
    bool planned;               /* A plan has seen it. */
    enum hrm_state planned_state; /* State then. */
    double flaps;               /* Losses, halved each AFF_FLAP_MS. */
    long long int flaps_at;

    /* During a plan. */
    double now, forecast;       /* Load, with what is placed so far. */
    double fixed;               /* Part of the score that is the same for all
                                 * profiles. */
    double learned[TP_N_CLASSES]; /* Part that reports taught. */
    const char *net;            /* A network placed here, or NULL. */
    bool mixed;                 /* There is a second one. */
    const char *owner;          /* The exclusive network that has it. */
    int n_present;              /* Ordinary profiles here before the plan. */
    bool open;                  /* Takes profiles. */
    bool degraded;              /* Since the last plan. */
};

struct aff_prof {
    bool used;
    char *key;                  /* Of 'struct aff_host''s 'by_key'. */
    char *network;
    enum tp_class class;
    bool traffic;               /* There is traffic. */
    struct aff_profile in;      /* Cleaned; strings unused. */
    bool exclusive;
    double weight;
    char *pin;                  /* Name of the resource, or NULL. */

    struct aff_decision d;
    bool decided;
    bool applied;
    char *lost;                 /* Name of a resource that went away. */
    int streak;                 /* Plans in which another was better. */
    long long int explore_until; /* LLONG_MIN when not exploring. */

    /* During a plan. */
    double demand[AFF_N_UNITS];
    double by_fit[AFF_N_FITS];  /* Part of the score that depends on the row
                                 * of fits; -INFINITY if it does not fit. */
    int slot;                   /* Assigned so far. */
    enum aff_cause cause;
};

struct aff_host {
    char *name;
    struct ext_rng rng;
    struct aff_res *res;
    struct aff_prof *prof;
    int n_res, n_prof;          /* Slots, used or not. */
    int allocated_res, allocated_prof;
    struct shash by_name;       /* Resource name to its slot + 1. */
    struct shash by_key;        /* "NETWORK CLASS" to its slot + 1. */
    int home;                   /* NUMA node of the traffic, -1 if unknown. */
    long long int next_explore; /* LLONG_MIN before the first report. */
    long long int last_report;
    int *order;                 /* Scratch, 'allocated_prof' of it. */
};

#define AFF_FLAP_MS 60000.0
#define AFF_REPORT_FRESH_MS 10000

/* Weights in force. */
static inline const double *
aff_weights(const struct aff_config *config, const struct aff_learner *learner)
{
    return config->learn && learner ? learner->weights : aff_prior;
}

/* aff-score.c */
enum aff_unit aff_unit_from_string(const char *);
int aff_fit_row(enum hrm_kind, const char *accelerator);
double aff_fit(int row, enum tp_class);
void aff_prepare_resource(const struct aff_host *, const struct aff_config *,
                          const struct aff_learner *, struct aff_res *);
void aff_prepare_profile(const double *weights, struct aff_prof *);
int aff_home_numa(const struct aff_host *);
double aff_share(const struct aff_prof *, const struct aff_res *);
void aff_features(const struct aff_host *, const struct aff_config *,
                  const struct aff_prof *, const struct aff_res *,
                  double now, double forecast, double x[AFF_N_FEATURES]);

/* Share of 'r' that 'p' would take, once both are prepared. */
static inline double
aff_pair_share(const struct aff_prof *p, const struct aff_res *r)
{
    return p->demand[r->unit] * r->inv_capacity;
}

/* Score of 'p' on 'r' at the loads given, which are without 'p'.  Both are
 * prepared.  The same as the inner product of aff_features() and 'w', plus the
 * means, with what belongs to one of the two taken out of the loop. */
static inline double
aff_pair_score(const struct aff_prof *p, const struct aff_res *r,
               const double *w, double now, double forecast)
{
    double share = aff_pair_share(p, r);
    double left_now = 1 - (now + share);
    double left_fc = 1 - (forecast + share);

    return (r->fixed + r->learned[p->class] + p->by_fit[r->fit]
            + w[AFF_F_FREE] * MAX(left_now, 0)
            + w[AFF_F_FORECAST] * MAX(left_fc, 0)
            + w[AFF_F_ROOM] * (1 - MIN(share, 1)));
}

/* aff-explain.c */
void aff_write_reason(const struct aff_host *, const struct aff_config *,
                      const struct aff_learner *, struct aff_prof *,
                      int before);

#endif /* aff-impl.h */
