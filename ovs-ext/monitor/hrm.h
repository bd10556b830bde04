/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef HRM_H
#define HRM_H 1

/* Hardware resources as values
 * ============================
 *
 * A 'struct hrm_resource' says what is known of one piece of hardware that
 * can do something for traffic: what it is, whether it can be had, and how it
 * does.  It is what the hardware resource monitor hands to the affinity agent,
 * the agent to the database, and the database to the controller.  It holds no
 * pointer: copy and compare it as memory.
 *
 * Names are unique on a host: "pmd/CORE", "rxq/NETDEV/ID",
 * "flow-table/NETDEV", "crypto/DEV", "dma/DEV", "event/DEV", "bb/DEV",
 * "raw/DEV", "regex/DEV", "gpu/DEV", "port/NETDEV" and "pci/ADDRESS".
 *
 * What the metrics mean depends on the kind:
 *
 * kind              unit of work  utilization       latency       errors
 * ----------------  ------------  ----------------  ------------  ----------
 * pmd-core          packet        cycles not idle   to process    upcalls
 *                                                   one           lost
 * nic-queue         packet        descriptors used  wait in the   missed
 *                                                   queue
 * nic-flow-table    rule put      entries used      to put a      refused,
 *                                                   rule          not full
 * crypto, dma, bb,  operation     not known (0)     in the        those that
 * event                                             device        failed
 * raw, regex, gpu   nothing but presence is known
 * accelerator-port  packet that   not known (0)     there and     dropped, bad
 *                   comes back                      back, if      or not given
 *                                                   reported      back
 * pci               nothing but presence is known
 *
 * Pure values; no thread safety is needed. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hrm_kind {
    HRM_PMD_CORE,               /* "pmd-core": a polling thread. */
    HRM_NIC_QUEUE,              /* "nic-queue": a receive queue. */
    HRM_FLOW_TABLE,             /* "nic-flow-table" */
    HRM_CRYPTO,                 /* "crypto", as far as "gpu": DPDK devices. */
    HRM_DMA,
    HRM_EVENT,
    HRM_BB,
    HRM_RAW,
    HRM_REGEX,
    HRM_GPU,
    HRM_PORT,                   /* "accelerator-port" */
    HRM_PCI,                    /* "pci": present, nobody drives it for us. */
    HRM_N_KINDS
};

enum hrm_state {
    HRM_AVAILABLE,
    HRM_DEGRADED,               /* Works, but slowly or with errors. */
    HRM_UNAVAILABLE,            /* Does not answer, or is not there. */
    HRM_UNMANAGED,              /* There, but not for us to use or read. */
    HRM_N_STATES
};

/* All are smoothed over some hundred milliseconds.  Zero where nothing happens
 * and where the hardware does not say. */
struct hrm_metrics {
    double utilization;         /* 0...1 */
    double forecast_utilization; /* 0...1, about one second ahead. */
    double latency_us;          /* One unit of work, in microseconds. */
    double throughput;          /* Units of work a second. */
    double error_rate;          /* Share of work that failed, 0...1. */
};

#define HRM_NAME_LEN 64
#define HRM_REASON_LEN 80
#define HRM_MAX_ATTRS 8

/* Something that rarely or never changes, such as driver=crypto_openssl. */
struct hrm_attr {
    char key[16];
    char value[48];
};

struct hrm_resource {
    char name[HRM_NAME_LEN];
    enum hrm_kind kind;
    enum hrm_state state;
    int numa;                   /* NUMA node, -1 if it has none. */

    /* How much it can hold or do at full utilization, in 'unit'; 0 if not
     * known. */
    double capacity;
    char unit[16];              /* "packets/s", "entries", "ops/s"... */

    struct hrm_metrics m;
    struct hrm_attr attrs[HRM_MAX_ATTRS];
    unsigned int n_attrs;

    /* Why 'state' is what it is, for people: "2 samples without answer". */
    char reason[HRM_REASON_LEN];
    long long int since;        /* Of 'state': ms, monotonic, */
    uint64_t since_round;       /* and which round of samples. */
};

/* The names that stand in the database; null for a value out of range. */
const char *hrm_kind_to_string(enum hrm_kind);
const char *hrm_state_to_string(enum hrm_state);
bool hrm_kind_from_string(const char *, enum hrm_kind *);
bool hrm_state_from_string(const char *, enum hrm_state *);

/* What a resource's name begins with: "pmd", "rxq"... */
const char *hrm_kind_prefix(enum hrm_kind);

/* Adds or replaces an attribute.  Cuts what is too long; returns false if
 * there is no room for another. */
bool hrm_resource_set_attr(struct hrm_resource *, const char *key,
                           const char *value);
const char *hrm_resource_get_attr(const struct hrm_resource *,
                                  const char *key);

#endif /* hrm.h */
