/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef ONC_IMPL_H
#define ONC_IMPL_H 1

/* Insides of the controller, shared by onc*.c only.  See onc.h. */

#include <stddef.h>
#include <stdint.h>

#include "openvswitch/list.h"
#include "openvswitch/shash.h"
#include "openvswitch/uuid.h"
#include "ovs-ext/affinity/aff-learn.h"
#include "ovs-ext/affinity/aff.h"
#include "ovs-ext/controller/onc.h"
#include "ovs-ext/db/db-conn.h"
#include "ovs-ext/db/ovs-ext-idl.h"
#include "uuidset.h"

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

/* What is to be done with rows of a host, in this order: first what came or
 * changed, afterwards what went, and only if nothing stands for it by then. */
enum onc_phase {
    ONC_TAKE_HOST,
    ONC_TAKE_RESOURCE,
    ONC_TAKE_PROFILE,
    ONC_TAKE_AFFINITY,
    ONC_DROP_AFFINITY,
    ONC_DROP_PROFILE,
    ONC_DROP_RESOURCE,
    ONC_DROP_HOST,
    ONC_TAKE_REPORT,
    ONC_DROP_REPORT,
    ONC_N_PHASES
};

/* A row that waits for its turn. */
struct onc_change {
    struct uuid row;
    bool active;                /* This controller was, when it came. */
    char *name;                 /* Of what went: resource or network... */
    char *class;                /* ...and class. */
};

struct onc_queue {
    struct onc_change *changes; /* Those from 'next' on are to be done. */
    size_t next, n, allocated;
};

struct onc_host {
    char *name;
    struct uuid row;            /* In Host, zeros while there is none. */
    int64_t applied;            /* Host.applied_generation. */
    struct aff_host *aff;
    struct shash entries;       /* "CLASS NETWORK" to 'struct onc_entry'. */
    struct uuid *resources;     /* Resource row of each slot of 'aff'. */
    size_t allocated_resources;

    struct onc_queue queues[ONC_N_PHASES];
    size_t n_pending;           /* Rows in 'queues'. */
    struct ovs_list fresh_node; /* In a list of struct onc, if 'n_pending'. */
    bool is_large;              /* In 'fresh_large'. */
    struct uuidset refused[ONC_N_PHASES]; /* Rows that there was no room for,
                                           * by the phase that takes them... */
    bool retry;                 /* ...and now there may be. */
    uint64_t swept;             /* Struct onc's 'sweeps' when its rows were
                                 * last looked for in the database. */

    struct ovs_list dirty_node; /* In struct onc's 'dirty', if 'dirty'. */
    bool dirty;                 /* To be planned in the next loop. */
    bool dirty_then;            /* The same once no row is pending... */
    bool urgent_then;           /* ...before others. */
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
    uint32_t receive_max_us;    /* Most that receiving took in a loop... */
    uint32_t own_max_us;        /* ...and all the rest. */
};

struct onc {
    struct ovsdb_idl *idl;
    struct db_conn_watch watch;
    struct ovsdb_idl_txn *txn;  /* In flight, or NULL. */
    unsigned int txn_rows;
    bool txn_has_weights;
    bool txn_is_rbac;           /* It is about RBAC rows and nothing else. */
    long long int txn_began;

    struct shash hosts;         /* 'struct onc_host' by name. */
    struct shash networks;      /* 'struct onc_network' by name. */
    struct ovs_list dirty;      /* Hosts to be planned, urgent ones first. */
    struct ovs_list fresh_small; /* Hosts with few pending rows... */
    struct ovs_list fresh_large; /* ...and with many. */
    unsigned int turn;          /* Counts turns of both. */
    bool received;              /* The IDL has changes that wait. */
    int intake_table;           /* Where onc_intake() goes on, if it has begun,
                                 * and with which row. */
    const void *intake_row;
    bool refilled;              /* The IDL may have begun with an empty replica
                                 * before this intake... */
    uint64_t sweeps;            /* ...as many times. */

    struct aff_config config;
    long long int expiry_ms;
    uint64_t seed;
    struct shash bad_options;   /* Values that were complained about last, by
                                 * option. */
    struct aff_learner learner;
    uint64_t saved_reports;     /* learner.n_reports in the database. */
    long long int save_at;
    long long int finish_by;    /* Of onc_finish(), 0 before. */

    bool ready;                 /* Has the database's contents. */
    bool active;                /* Has the lock. */
    bool paused;
    int alone;                  /* Loops in which a transaction is to be about
                                 * one host only, since one failed. */
    bool busy;                  /* Something happened in the latest loop. */
    long long int due;          /* Earliest 'next_ms' of the hosts. */
    bool rbac_done;
    long long int rbac_at;      /* Write RBAC rows then at the earliest. */
    long long int next_loop;
    long long int active_since;
    struct onc_stats stats;
};

/* onc-host.c: hosts and their entries. */
struct onc_host *onc_host_find(const struct onc *, const char *name);
struct onc_host *onc_host_get(struct onc *, const char *name);
void onc_host_destroy(struct onc *, struct onc_host *);
bool onc_host_is_empty(const struct onc_host *);
void onc_host_dirty(struct onc *, struct onc_host *, bool urgent);
void onc_host_set_clean(struct onc_host *);
void onc_forget(struct onc *);
struct onc_entry *onc_entry_get_for_row(struct onc *, const char *host,
                                        const char *network,
                                        const char *class,
                                        struct onc_host **);
struct onc_entry *onc_entry_find(const struct onc_host *,
                                 const char *network, const char *class);
void onc_entry_put(struct onc_host *, struct onc_entry *);

/* onc-intake.c: rows that changed, kept by host until it is their turn. */
bool onc_intake(struct onc *, uint64_t until_us);
bool onc_is_intake_begun(const struct onc *);
bool onc_has_fresh(const struct onc *);
struct onc_host *onc_next_fresh(struct onc *);
bool onc_next_change(struct onc_host *, enum onc_phase *,
                     struct onc_change *);
void onc_change_destroy(struct onc_change *);
void onc_put_fresh(struct onc *, struct onc_host *);
void onc_queues_destroy(struct onc_host *);

/* onc-sync.c: rows to planners. */
void onc_sync_networks(struct onc *);
void onc_digest(struct onc *, uint64_t until_us);

/* onc.c */
uint64_t onc_cpu_us(void);
void onc_check_role(struct onc *);

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
