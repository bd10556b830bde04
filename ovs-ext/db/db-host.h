/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef DB_HOST_H
#define DB_HOST_H 1

/* What a host writes into the database
 * ====================================
 *
 * A writer keeps the rows of one host in step with what the host measures: its
 * Host row, resources and their metrics, traffic profiles, and reports on how
 * traffic fares where it was sent.  See db-delta.h for what is worth a write.
 * All that is due goes into one transaction, and the next waits for it.
 *
 *     Row                        Goes out at once
 *     Host                       any change but of gossip_state
 *     Resource, Resource_Metrics new, gone, state
 *     Traffic_Profile            new, gone
 *     Affinity_Report            new, gone, resource, generation
 *     Migration_Hint             -
 *
 * Hints, of which many come and go at once, count as one row: changes of any
 * of them, new ones as well, go out together, once in DB_DELTA_INTERVAL.  The
 * expiry in the database is later than that of the hint, by DB_DELTA_SLOW, so
 * that a hint that is given again and again need not be written each time.
 *
 * The writer compares with the rows as the server has them.  So a server that
 * was restarted or restored, or a transaction that was lost, needs no special
 * care, and a host with nothing new writes nothing.
 *
 * If what it wrote is replaced again and again, another host has its name: the
 * writer says so once and holds back, see db-rival.h.
 *
 * A transaction that the server refuses, such as one that access control
 * forbids, is logged and tried again after DB_HOST_RETRY.  If it had to do
 * with services, the rest of it is tried at once, and that part after
 * DB_HOST_SESSION_RETRY: a controller of an older release allows hosts no
 * more than that release wrote.
 *
 * Thread safety: a writer belongs to the thread that owns the connection. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ovs-ext/monitor/hrm.h"
#include "ovs-ext/profile/tp.h"

struct ovsdb_idl;
struct smap;

#define DB_HOST_RETRY 5000      /* ms */
#define DB_HOST_SESSION_RETRY 60000

/* How traffic of a profile fares at the resource that takes it. */
struct db_report {
    char network[TP_NETWORK_LEN];
    enum tp_class class;
    char resource[HRM_NAME_LEN];
    double latency_us;
    double loss;                /* Share of packets, 0 to 1. */
    double throughput;          /* Bits/s that came through, 0 if unknown. */
    int64_t generation;         /* Of the instruction that was followed. */
};

/* That a backend is about to move to another host. */
struct db_hint {
    char backend[64];
    char target[64];            /* Name of the host. */
    double probability;         /* 0...1 */
    long long int expiry;       /* ms since 1970. */
};

/* Hints that a host writes, at most. */
#define DB_MAX_HINTS 64

/* What there is to know of a host's part in services.  Null members, like null
 * arrays below, are for what is not known. */
struct db_host_session {
    const char *encap_ip;       /* Empty if it has none. */
    const char *gossip;         /* "ADDRESS:PORT", or empty. */
    const struct smap *gossip_state;    /* What it sees of others. */
    const struct db_hint *hints;        /* The most likely ones first. */
    size_t n_hints;
};

/* What there is to know of a host.  A null array is for what is not known yet:
 * its rows are left as they are.  Else rows that are not in it are deleted.
 * An entry whose key was there before in the same array is ignored. */
struct db_host_input {
    const char *hostname;
    const char *version;
    int64_t applied_generation;     /* Negative to leave it as it is. */

    const struct hrm_resource *resources;
    size_t n_resources;
    const struct tp_profile *profiles;
    size_t n_profiles;
    const struct db_report *reports;
    size_t n_reports;
    const struct db_host_session *session;
};

struct db_host_stats {
    unsigned long long int transactions;    /* Committed. */
    unsigned long long int rows;            /* Written in them. */
    unsigned long long int retries;         /* Lost, done again. */
    unsigned long long int errors;          /* Refused by the server. */
};

struct db_host *db_host_create(const char *host);

/* Call this before the IDL is destroyed. */
void db_host_destroy(struct db_host *);

/* Writes what is due.  Call it after ovsdb_idl_run(), with 'now' in ms of the
 * monotonic clock.  Borrows the input for the time of the call. */
void db_host_run(struct db_host *, struct ovsdb_idl *,
                 const struct db_host_input *, long long int now);

/* Whether a transaction is in flight. */
bool db_host_is_busy(const struct db_host *);

/* Wakes the poll loop up when a transaction has come to its end. */
void db_host_wait(const struct db_host *);

void db_host_get_stats(const struct db_host *, struct db_host_stats *);

#endif /* db-host.h */
