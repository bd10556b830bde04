/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef MONITOR_IMPL_H
#define MONITOR_IMPL_H 1

/* The monitor's parts, for its own files.
 *
 * Each sampler appends one sample for each resource of its kinds to a
 * 'struct monitor_samples'.  All samplers run in the agent's thread.  What the
 * main thread notes for them (PMD threads, queues) is under a mutex of the
 * sampler's own, which is held while one resource is read: the main thread
 * waits as long as it would for the same counters itself. */

#include <stdbool.h>
#include <stddef.h>

#include "ovs-ext/monitor/hrm-registry.h"

/* Samples of a round; belongs to the agent's thread. */
struct monitor_samples {
    struct hrm_sample *s;
    size_t n, allocated;
};

/* Appends a sample and returns it, to be initialized.  Valid until the next
 * call. */
struct hrm_sample *monitor_samples_add(struct monitor_samples *);

/* PMD threads (monitor-pmd.c). */
void monitor_pmd_init(void);
void monitor_pmd_sample(struct monitor_samples *, double cycles_us);

/* Rx queues, flow tables and accelerator ports (monitor-port.c). */
void monitor_port_sample(struct monitor_samples *);

/* DPDK devices other than NICs (monitor-dev.c).  'scan' looks for new ones.
 * Only once DPDK is initialized. */
void monitor_dev_sample(struct monitor_samples *, bool scan);
bool monitor_dev_owns_pci(const char *address);
void monitor_dev_clear(void);

/* PCI functions of accelerator and display class (monitor-pci.c). */
struct monitor_pci;
struct monitor_pci *monitor_pci_create(const char *sysfs);
void monitor_pci_destroy(struct monitor_pci *);
void monitor_pci_scan(struct monitor_pci *);
void monitor_pci_sample(const struct monitor_pci *, struct monitor_samples *,
                        bool (*is_driven)(const char *address));

/* ovs-appctl (monitor-show.c). */
struct monitor_cost {
    uint64_t rounds;
    long long int last_us, max_us, sum_us;      /* Time of a round. */
    long long int cpu_us;       /* CPU time of all rounds. */
};
void monitor_show_init(void);

/* For monitor-show.c; any thread. */
void monitor_get_stats(struct hrm_registry_stats *, struct monitor_cost *);

#endif /* monitor-impl.h */
