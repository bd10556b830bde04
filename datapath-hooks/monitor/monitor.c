/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/monitor/monitor.h"

#include <rte_cycles.h>
#include <time.h>

#include "datapath-hooks/ext-agent.h"
#include "datapath-hooks/ext-config.h"
#include "datapath-hooks/monitor/monitor-impl.h"
#include "dpdk.h"
#include "openvswitch/vlog.h"
#include "ovs-atomic.h"
#include "ovs-thread.h"
#include "smap.h"
#include "sset.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(monitor);

#define MONITOR_KEY "ext-monitor"
#define MONITOR_SYSFS "/sys"
#define MONITOR_MAX_RESOURCES 1024

/* Samples between two looks for new DPDK devices, and PCI functions. */
#define MONITOR_SCAN_DEVS 10
#define MONITOR_SCAN_PCI 50

/* Main thread. */
static bool configured;         /* other_config:ext-monitor. */
static struct sset required = SSET_INITIALIZER(&required);

static ATOMIC(bool) wanted;     /* Main thread writes. */
static ATOMIC(bool) dpdk_is_up; /* Main thread writes. */

/* Agent's thread. */
static struct monitor_samples samples;
static struct monitor_pci *pci;
static uint64_t n_rounds;
static uint64_t last_tsc;
static long long int last_usec;
static double cycles_us;        /* TSC cycles in a microsecond. */

/* What the agent's thread has found and others read. */
static struct ovs_mutex mutex = OVS_MUTEX_INITIALIZER;
static struct hrm_registry *registry OVS_GUARDED_BY(mutex);
static struct monitor_cost cost OVS_GUARDED_BY(mutex);

struct hrm_sample *
monitor_samples_add(struct monitor_samples *all)
{
    if (all->n >= all->allocated) {
        all->s = x2nrealloc(all->s, &all->allocated, sizeof *all->s);
    }
    return &all->s[all->n++];
}

/* Updates 'cycles_us'. */
static void
measure_tsc(void)
{
    uint64_t tsc = rte_rdtsc();
    long long int now = time_usec();

    /* Too short an interval says little. */
    if (last_usec && now - last_usec > 10000 && tsc > last_tsc) {
        cycles_us = (double) (tsc - last_tsc) / (now - last_usec);
    }
    last_tsc = tsc;
    last_usec = now;
}

static void
take_samples(void)
{
    bool up;

    samples.n = 0;
    measure_tsc();
    monitor_pmd_sample(&samples, cycles_us);
    monitor_port_sample(&samples);
    atomic_read(&dpdk_is_up, &up);
    if (up) {
        monitor_dev_sample(&samples, n_rounds % MONITOR_SCAN_DEVS == 0);
    }
    if (!pci) {
        pci = monitor_pci_create(MONITOR_SYSFS);
    }
    if (n_rounds % MONITOR_SCAN_PCI == 0) {
        monitor_pci_scan(pci);
    }
    monitor_pci_sample(pci, &samples, monitor_dev_owns_pci);
}

static long long int
thread_cpu_us(void)
{
    struct timespec ts;

    return (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) ? 0
            : ts.tv_sec * 1000000LL + ts.tv_nsec / 1000);
}

static void
monitor_run(long long int now, bool due)
{
    long long int start, cpu, took;

    if (!due) {
        return;
    }
    start = time_usec();
    cpu = thread_cpu_us();
    take_samples();
    n_rounds++;

    ovs_mutex_lock(&mutex);
    if (!registry) {
        registry = hrm_registry_create(MONITOR_MAX_RESOURCES);
    }
    hrm_registry_begin(registry, now);
    for (size_t i = 0; i < samples.n; i++) {
        hrm_registry_put(registry, &samples.s[i]);
    }
    hrm_registry_end(registry);

    took = time_usec() - start;
    cost.rounds++;
    cost.last_us = took;
    cost.max_us = MAX(cost.max_us, took);
    cost.sum_us += took;
    cost.cpu_us += thread_cpu_us() - cpu;
    ovs_mutex_unlock(&mutex);
}

/* Forgets everything, so that a monitor switched on again starts anew. */
static void
monitor_stop(void)
{
    ovs_mutex_lock(&mutex);
    hrm_registry_destroy(registry);
    registry = NULL;
    memset(&cost, 0, sizeof cost);
    ovs_mutex_unlock(&mutex);

    free(samples.s);
    memset(&samples, 0, sizeof samples);
    monitor_pci_destroy(pci);
    pci = NULL;
    monitor_dev_clear();
    n_rounds = 0;
    last_usec = 0;
}

/* Main thread. */

void
monitor_init(void)
{
    static const struct ext_agent_system system = {
        .name = "monitor",
        .run = monitor_run,
        .stop = monitor_stop,
    };

    ext_agent_register(&system);
    monitor_pmd_init();
    monitor_show_init();
}

void
monitor_exit(void)
{
    sset_clear(&required);
}

static void
monitor_apply(void)
{
    bool on = configured || !sset_is_empty(&required);

    atomic_store(&dpdk_is_up, dpdk_available());
    atomic_store(&wanted, on);
    ext_agent_enable("monitor", on);
}

void
monitor_configure(const struct smap *other_config)
{
    const char *value = smap_get_def(other_config, MONITOR_KEY, "false");
    char *error = ext_config_bool(MONITOR_KEY, value, &configured);

    if (error) {
        ext_config_complain(&this_module, MONITOR_KEY, value, error);
    }
    monitor_apply();
}

void
monitor_require(const char *who, bool on)
{
    if (on) {
        sset_add(&required, who);
    } else {
        sset_find_and_delete(&required, who);
    }
    monitor_apply();
}

bool
monitor_is_on(void)
{
    bool on;

    atomic_read(&wanted, &on);
    return on;
}

uint64_t
monitor_snapshot(struct hrm_resource **resources, size_t *n)
{
    uint64_t round = 0;

    ovs_mutex_lock(&mutex);
    if (registry) {
        hrm_registry_snapshot(registry, resources, n);
        round = cost.rounds;
    } else {
        *resources = NULL;
        *n = 0;
    }
    ovs_mutex_unlock(&mutex);
    return round;
}

void
monitor_get_stats(struct hrm_registry_stats *stats, struct monitor_cost *c)
{
    ovs_mutex_lock(&mutex);
    *c = cost;
    if (registry) {
        *stats = *hrm_registry_stats(registry);
    } else {
        memset(stats, 0, sizeof *stats);
    }
    ovs_mutex_unlock(&mutex);
}
