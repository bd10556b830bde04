/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef MONITOR_H
#define MONITOR_H 1

/* The hardware resource monitor in the daemon: knows which PMD threads, rx
 * queues, DPDK devices, accelerator ports and PCI functions there are, reads
 * their counters every 100 ms in the agent's thread (ext-agent.h), and hands
 * them to the registry of ovs-ext/monitor/, which makes rates and states of
 * them.
 *
 * Off by default: without other_config:ext-monitor=true nothing is read.  What
 * exists is noted all the time, in the main thread, when it comes or goes.
 *
 * Thread safety: monitor_snapshot(), monitor_is_on(), monitor_port_read() and
 * monitor_report_latency() from any thread; the rest is for the main
 * thread. */

#include <stdbool.h>
#include <stddef.h>

#include "ovs-ext/monitor/hrm.h"

struct netdev;
struct netdev_rxq;
struct netdev_stats;
struct smap;

void monitor_init(void);
void monitor_exit(void);

/* Takes in other_config of the Open_vSwitch table: ext-monitor. */
void monitor_configure(const struct smap *other_config);

/* Takes in other_config of the Interface named 'name': ext-accelerator. */
void monitor_port_configure(const char *name, const struct smap *other_config);

/* Returns true if that Interface is configured as an accelerator.  Any
 * thread. */
bool monitor_is_accelerator(const char *name);

/* Another system needs the monitor (the affinity agent does): it runs while
 * the database or any system asks for it.  'who' is a string constant. */
void monitor_require(const char *who, bool wanted);
bool monitor_is_on(void);

/* A real queue of a port has been opened, is about to be closed. */
void monitor_rxq_open(struct netdev *, struct netdev_rxq *, int id);
void monitor_rxq_close(const struct netdev_rxq *);

/* Stores a copy of all resources, ordered by name, into '*resources' (to be
 * freed by the caller with free()) and their number into '*n'.  Returns a
 * number that changes with every sample; 0 before the first. */
uint64_t monitor_snapshot(struct hrm_resource **resources, size_t *n);

/* Says that the way through the accelerator behind port 'netdev_name' and back
 * takes 'us' microseconds.  Any thread but PMD threads. */
void monitor_report_latency(const char *netdev_name, double us);

/* Reads link and packet counters of the port of netdev 'name', in any thread
 * but PMD threads and without taking a reference, which could then be the last
 * one.  Returns false if there is no such port now: it was deleted, or is
 * being reconfigured.  A device that cannot be read has no link. */
bool monitor_port_read(const char *name, bool *link, struct netdev_stats *);

/* What the owner of NIC flow tables (the offload provider) tells of that of
 * the netdev 'name'. */
struct monitor_flow_table {
    uint64_t used;              /* Rules in the table. */
    uint64_t capacity;          /* Rules it is known to hold; 0: unknown. */
    uint64_t inserted;          /* Counters since the start. */
    uint64_t removed;
    uint64_t failed;            /* Inserts that failed, the table not full. */
    uint64_t hits;              /* Packets matched; 0 if not known. */
    double insert_us;           /* Mean time of a recent insert; 0: unknown. */
    bool stuck;                 /* Requests wait and none is answered. */
};

/* Called in the agent's thread; must be quick.  Returns false if 'netdev_name'
 * has no flow table. */
typedef bool monitor_flow_table_func(const char *netdev_name,
                                     struct monitor_flow_table *);
void monitor_set_flow_table_source(monitor_flow_table_func *);

#endif /* monitor.h */
