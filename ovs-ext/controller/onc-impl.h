/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef ONC_IMPL_H
#define ONC_IMPL_H 1

/* Insides of the controller, shared by onc*.c only.  See onc.h. */

#include "openvswitch/list.h"
#include "openvswitch/shash.h"
#include "openvswitch/uuid.h"
#include "ovs-ext/affinity/aff-learn.h"
#include "ovs-ext/affinity/aff.h"
#include "ovs-ext/controller/onc.h"
#include "ovs-ext/db/db-conn.h"
#include "ovs-ext/db/ovs-ext-idl.h"

/* Wishes for a virtual network. */
struct onc_network {
    bool exclusive;
    double weight;
};

/* A (network, class) of a host: the rows that the database has about it. */
struct onc_entry {
    char *network;
    enum tp_class class;
    int slot;                   /* Of 'aff', or AFF_NONE. */

    struct uuid profile;        /* Row in Traffic_Profile, or zeros. */
    struct uuid affinity;       /* Row in Affinity, or zeros. */
    int64_t generation;         /* Of the Affinity row. */
    bool pinned;                /* The row says so. */
    bool expires;               /* The row has an expiry... */
    long long int expiry;       /* ...ms since 1970. */

    struct uuid report;         /* Row in Affinity_Report, or zeros. */
    uint32_t report_hash;       /* Of what it said last. */
};

struct onc_host {
    char *name;
    struct uuid row;            /* In Host, zeros while there is none. */
    int64_t applied;            /* Host.applied_generation. */
    struct aff_host *aff;
    struct shash entries;       /* "CLASS NETWORK" to 'struct onc_entry'. */
    struct uuid *resources;     /* Resource row of each slot of 'aff'. */
    size_t allocated_resources;

    struct ovs_list dirty_node; /* In struct onc's 'dirty', if 'dirty'. */
    bool dirty;                 /* To be planned in the next loop. */
    bool in_txn;                /* Part of the transaction in flight. */
    long long int next_ms;      /* Plan by then, LLONG_MAX for never. */
    long long int barred_until; /* Its writes were refused: leave it alone. */

    struct aff_result result;   /* Of the latest plan. */
};

/* Time that loops took, for people. */
#define ONC_N_SAMPLES 512

struct onc_stats {
    uint64_t loops;
    uint64_t plans;             /* Of hosts. */
    uint64_t decisions;         /* Changed. */
    uint64_t txns;              /* Committed. */
    uint64_t txns_failed;
    uint64_t rows;              /* Written in committed transactions. */
    uint64_t updates;           /* Rows received. */
    uint64_t reports;           /* Taken. */
    uint64_t ignored;           /* Rows that make no sense or are too many. */
    uint64_t deferred;          /* Plans put off to the next loop. */
    uint32_t cpu_us[ONC_N_SAMPLES]; /* CPU time of the latest loops. */
    uint32_t cpu_max_us;
    uint64_t cpu_total_us;
};

struct onc {
    struct ovsdb_idl *idl;
    struct db_conn_watch watch;
    struct ovsdb_idl_txn *txn;  /* In flight, or NULL. */
    unsigned int txn_rows;
    bool txn_has_weights;
    long long int txn_began;

    struct shash hosts;         /* 'struct onc_host' by name. */
    struct shash networks;      /* 'struct onc_network' by name. */
    struct ovs_list dirty;      /* Hosts to be planned, urgent ones first. */

    struct aff_config config;
    long long int expiry_ms;
    uint64_t seed;
    struct shash bad_options;   /* Values that were complained about. */
    struct aff_learner learner;
    uint64_t saved_reports;     /* learner.n_reports in the database. */
    long long int save_at;

    bool ready;                 /* Has the database's contents. */
    bool active;                /* Has the lock. */
    bool paused;
    int alone;                  /* Loops in which a transaction is to be about
                                 * one host only, since one failed. */
    bool busy;                  /* Something happened in the latest loop. */
    long long int due;          /* Earliest 'next_ms' of the hosts. */
    bool rbac_done;
    long long int next_loop;
    long long int active_since;
    struct onc_stats stats;
};

/* onc-host.c: hosts and their entries. */
struct onc_host *onc_host_find(const struct onc *, const char *name);
struct onc_host *onc_host_get(struct onc *, const char *name);
void onc_host_destroy(struct onc *, struct onc_host *);
void onc_host_dirty(struct onc *, struct onc_host *, bool urgent);
void onc_host_set_clean(struct onc_host *);
void onc_forget(struct onc *);
struct onc_entry *onc_entry_get_for_row(struct onc *, const char *host,
                                        const char *network,
                                        const char *class,
                                        struct onc_host **);
struct onc_entry *onc_entry_find_for_row(const struct onc *, const char *host,
                                         const char *network,
                                         const char *class,
                                         struct onc_host **);
void onc_entry_put(struct onc_host *, struct onc_entry *);

/* onc-sync.c: rows to planners. */
void onc_sync(struct onc *);

/* onc-write.c: decisions to rows, in the open transaction. */
unsigned int onc_write_host(struct onc *, struct onc_host *,
                            long long int now, long long int wall_now);

/* onc-config.c: options, and what was learned. */
void onc_config_sync(struct onc *);
void onc_load_weights(struct onc *);
unsigned int onc_save_weights(struct onc *, long long int now);

/* onc-show.c */
void onc_show_init(struct onc *);
const char *onc_role(const struct onc *);

#endif /* onc-impl.h */
