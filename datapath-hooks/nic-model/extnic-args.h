/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXTNIC_ARGS_H
#define EXTNIC_ARGS_H 1

/* Device arguments of the NIC model: "KEY=VALUE,KEY=VALUE...".
 *
 * Pure code: no DPDK, no global state.  Every key, its unit, range and
 * default stand in one table in extnic-args.c and in ovs-ext-nic(8). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum extnic_role {
    EXTNIC_SOURCE,              /* Receives generated packets. */
    EXTNIC_SINK,                /* Checks what is sent to it. */
    EXTNIC_BOTH,
    EXTNIC_ECHO,                /* Gives back what is sent to it. */
};

enum extnic_scenario {
    EXTNIC_BALANCED,
    EXTNIC_SKEW,
    EXTNIC_ELEPHANTS,
    EXTNIC_BURSTS,
    EXTNIC_ONOFF,
    EXTNIC_FLOW_MODEL,
    EXTNIC_ZIPF,
    EXTNIC_CAPTURES,
};

struct extnic_args {
    enum extnic_role role;
    char stat[256];             /* Path of the statistics page. */
    enum extnic_scenario scenario;
    char scenario_name[32];
    double rate;                /* Mpps. */
    uint64_t seed;
    uint32_t flows;
    uint32_t size;              /* Bytes of a frame without FCS; 0: IMIX. */
    uint32_t reta;              /* Entries of the indirection table. */
    uint32_t seqlen;            /* Packets until traffic repeats. */
    char pcap[1024];            /* FILE[:FILE...] */
    uint32_t copies;            /* Of each capture; 0: until 1000 flows. */
    uint32_t poisson;           /* Exponential gaps instead of equal ones. */

    /* Shape of the scenarios. */
    double skew;                /* Share of queue 0's buckets, 0 to 1. */
    uint32_t skew_queues;       /* Queues that share is reckoned with. */
    double flow_skew;           /* flow-model: share of queue 0's buckets; 0:
                                 * as chance has it. */
    uint32_t start_ms;          /* Elephants begin. */
    uint32_t elephants;         /* Number of them. */
    double elephant_share;      /* Share of all packets they then have. */
    uint32_t burst_buckets;     /* Buckets that burst at a time. */
    double burst_factor;
    uint32_t burst_ms;
    uint32_t burst_gap_ms;
    uint32_t on_ms;             /* Mean length of an on or off interval. */
    double zipf;                /* Exponent. */
    uint32_t shift_ms;          /* Popularity stays for so long; 0: for
                                 * ever. */
    double shift_share;         /* Flows whose popularity then changes. */
    uint32_t active;            /* Flows alive at a time. */

    uint32_t window_ms;         /* Interval of the history. */
    uint32_t watch;             /* Offset of bytes in packets that a sink
                                 * looks at, 0: none. */
    uint32_t flow_max;          /* rte_flow rules the table holds. */
    uint32_t flow_insert_us;    /* Time to insert one. */
    double echo_us;             /* Time that an echo takes. */
    double echo_rate;           /* Mpps that it does; 0: any. */
    int32_t numa;               /* Node the port says it is on. */
};

/* Parses 'text' (null: no arguments) into '*args'.  Returns true, or false
 * with a message naming key and value in 'error'. */
bool extnic_args_parse(const char *text, struct extnic_args *args,
                       char *error, size_t error_size);

#endif /* extnic-args.h */
