/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Ports: receive queues and flow tables of NICs, and accelerator ports.
 *
 * dpif-netdev opens all rx queues of a port in the main thread and closes them
 * before it touches the device, so between the two the netdev is there and its
 * device runs.  Counters are read by the functions of the netdev, which have
 * locks of their own; only the fill of a queue is asked of DPDK directly, as
 * DPDK's own tools do while others poll. */

#include <config.h>

#include "datapath-hooks/monitor/monitor-impl.h"

#include <rte_ethdev.h>

#include "datapath-hooks/monitor/monitor.h"
#include "hash.h"
#include "netdev-dpdk.h"
#include "netdev.h"
#include "openvswitch/hmap.h"
#include "openvswitch/shash.h"
#include "openvswitch/vlog.h"
#include "ovs-numa.h"
#include "ovs-thread.h"
#include "smap.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(monitor_port);

/* Samples that a device whose counters could not be read is left alone, as
 * each attempt is a line in the log. */
#define MONITOR_BACKOFF 10

#define MONITOR_MAX_QUEUES 256

struct monitor_port {
    struct hmap_node node;      /* In 'ports', by 'netdev'. */
    struct netdev *netdev;      /* Valid as long as the port is here. */
    char *name;
    int dpdk_port;              /* -1: not a NIC. */
    const struct netdev_rxq *rxqs[MONITOR_MAX_QUEUES]; /* Null: not open. */
    int n_rxqs;                 /* Largest index with a queue, plus 1. */

    /* Agent's thread only. */
    uint16_t ring_size[MONITOR_MAX_QUEUES];     /* 0: not asked for yet. */
    unsigned int backoff;       /* Samples to go without a look. */
    bool ever_read;             /* Its counters have been read. */
    uint64_t last_tx;
};

/* An Interface with other_config:ext-accelerator. */
struct monitor_accel {
    char kind[32];
    double latency_us;          /* As reported, 0: never. */
};

static struct ovs_mutex mutex = OVS_MUTEX_INITIALIZER;
static struct hmap ports OVS_GUARDED_BY(mutex) = HMAP_INITIALIZER(&ports);

/* By name of the netdev. */
static struct shash accels OVS_GUARDED_BY(mutex) = SHASH_INITIALIZER(&accels);

static ATOMIC(monitor_flow_table_func *) flow_table_source;

void
monitor_set_flow_table_source(monitor_flow_table_func *source)
{
    atomic_store(&flow_table_source, source);
}

/* What comes and goes; main thread. */

static struct monitor_port *
port_lookup(const struct netdev *netdev) OVS_REQUIRES(mutex)
{
    struct monitor_port *p;

    HMAP_FOR_EACH_WITH_HASH (p, node, hash_pointer(netdev, 0), &ports) {
        if (p->netdev == netdev) {
            return p;
        }
    }
    return NULL;
}

void
monitor_rxq_open(struct netdev *netdev, struct netdev_rxq *rx, int id)
{
    struct monitor_port *p;

    if (id < 0 || id >= MONITOR_MAX_QUEUES) {
        return;
    }
    ovs_mutex_lock(&mutex);
    p = port_lookup(netdev);
    if (!p) {
        p = xzalloc(sizeof *p);
        p->netdev = netdev;
        p->name = xstrdup(netdev_get_name(netdev));
        p->dpdk_port = (!strcmp(netdev_get_type(netdev), "dpdk")
                        ? netdev_dpdk_get_port_id(netdev) : -1);
        hmap_insert(&ports, &p->node, hash_pointer(netdev, 0));
    }
    p->rxqs[id] = rx;
    p->n_rxqs = MAX(p->n_rxqs, id + 1);
    ovs_mutex_unlock(&mutex);
}

void
monitor_rxq_close(const struct netdev_rxq *rx)
{
    struct monitor_port *p;

    if (!rx) {
        return;
    }
    ovs_mutex_lock(&mutex);
    HMAP_FOR_EACH (p, node, &ports) {
        for (int i = 0; i < p->n_rxqs; i++) {
            if (p->rxqs[i] == rx) {
                p->rxqs[i] = NULL;
                while (p->n_rxqs && !p->rxqs[p->n_rxqs - 1]) {
                    p->n_rxqs--;
                }
                if (!p->n_rxqs) {
                    hmap_remove(&ports, &p->node);
                    free(p->name);
                    free(p);
                }
                goto out;
            }
        }
    }
out:
    ovs_mutex_unlock(&mutex);
}

/* Returns true if 's' is fit for the kind of an accelerator. */
static bool
accel_kind_is_valid(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_");

    return n && !s[n] && n < sizeof ((struct monitor_accel *) NULL)->kind;
}

void
monitor_port_configure(const char *name, const struct smap *other_config)
{
    const char *kind = smap_get_def(other_config, "ext-accelerator", "none");
    struct monitor_accel *accel;

    ovs_mutex_lock(&mutex);
    accel = shash_find_data(&accels, name);
    if (!strcmp(kind, "none")) {
        if (accel) {
            VLOG_INFO("%s: no accelerator port any more", name);
            free(shash_find_and_delete(&accels, name));
        }
    } else if (!accel_kind_is_valid(kind)) {
        static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 1);

        VLOG_WARN_RL(&rl, "%s: other_config:ext-accelerator: \"%s\" is not a "
                     "word of at most 31 small letters, digits, - and _, "
                     "last good value stays", name, kind);
    } else if (!accel || strcmp(accel->kind, kind)) {
        if (!accel) {
            accel = xzalloc(sizeof *accel);
            shash_add(&accels, name, accel);
        }
        ovs_strzcpy(accel->kind, kind, sizeof accel->kind);
        VLOG_INFO("%s: accelerator port, %s", name, kind);
    }
    ovs_mutex_unlock(&mutex);
}

bool
monitor_is_accelerator(const char *name)
{
    bool is;

    ovs_mutex_lock(&mutex);
    is = shash_find(&accels, name) != NULL;
    ovs_mutex_unlock(&mutex);
    return is;
}

void
monitor_report_latency(const char *name, double us)
{
    struct monitor_accel *accel;

    ovs_mutex_lock(&mutex);
    accel = shash_find_data(&accels, name);
    if (accel && us >= 0) {
        accel->latency_us = us;
    }
    ovs_mutex_unlock(&mutex);
}

bool
monitor_port_read(const char *name, bool *link, struct netdev_stats *stats)
{
    struct monitor_port *p;
    bool found = false;

    memset(stats, 0, sizeof *stats);
    ovs_mutex_lock(&mutex);
    HMAP_FOR_EACH (p, node, &ports) {
        if (!strcmp(p->name, name)) {
            *link = (netdev_get_carrier(p->netdev)
                     && !netdev_get_stats(p->netdev, stats));
            found = true;
            break;
        }
    }
    ovs_mutex_unlock(&mutex);
    return found;
}

/* Samples; agent's thread. */

/* What the counters of a NIC say of its queues. */
struct queue_counters {
    uint64_t packets[MONITOR_MAX_QUEUES];
    uint64_t errors[MONITOR_MAX_QUEUES];
    bool known[MONITOR_MAX_QUEUES];     /* 'packets' is good. */
    uint64_t missed;            /* By the port, no matter which queue. */
};

static void
counter_parse(struct queue_counters *c, const char *name, uint64_t value)
{
    const char *p = name;
    unsigned int id = 0;

    if (!strcmp(name, "rx_missed_errors")) {
        c->missed = value;
        return;
    } else if (strncmp(name, "rx_q", 4) || name[4] < '0' || name[4] > '9') {
        return;
    }
    for (p += 4; *p >= '0' && *p <= '9' && id < MONITOR_MAX_QUEUES; p++) {
        id = id * 10 + (*p - '0');
    }
    if (id >= MONITOR_MAX_QUEUES) {
        return;
    } else if (!strcmp(p, "_packets")) {
        c->packets[id] = value;
        c->known[id] = true;
    } else if (!strcmp(p, "_errors")) {
        c->errors[id] = value;
    }
}

/* Reads the counters of 'p' into '*c'.  Returns false if they could be read
 * before and no longer can.  (A device without counters has none.) */
static bool
counters_read(struct monitor_port *p, struct queue_counters *c)
{
    struct netdev_custom_stats stats = { 0, NULL };
    bool any = false;

    memset(c, 0, sizeof *c);
    if (p->backoff) {
        p->backoff--;
        return false;
    }
    if (!netdev_get_custom_stats(p->netdev, &stats)) {
        for (size_t i = 0; i < stats.size; i++) {
            counter_parse(c, stats.counters[i].name, stats.counters[i].value);
            any |= !strncmp(stats.counters[i].name, "rx_", 3);
        }
    }
    netdev_free_custom_stats_counters(&stats);
    if (any) {
        p->ever_read = true;
    } else if (p->ever_read) {
        p->backoff = MONITOR_BACKOFF;
        return false;
    }
    return true;
}

static int
port_numa(const struct monitor_port *p)
{
    int numa = netdev_get_numa_id(p->netdev);

    return numa == OVS_NUMA_UNSPEC ? -1 : numa;
}

static uint16_t
ring_size(struct monitor_port *p, int id)
{
    if (!p->ring_size[id]) {
        struct rte_eth_rxq_info info;

        p->ring_size[id] = (!rte_eth_rx_queue_info_get(p->dpdk_port, id, &info)
                            && info.nb_desc ? info.nb_desc : 2048);
    }
    return p->ring_size[id];
}

static void
queue_sample(struct monitor_port *p, int id, const struct queue_counters *c,
             bool readable, bool up, struct hrm_sample *s)
{
    int depth;

    hrm_sample_init(s, HRM_NIC_QUEUE, "packets/s", "%s/%d", p->name, id);
    s->numa = port_numa(p);
    hrm_sample_attr(s, "descriptors", "%d", ring_size(p, id));
    if (!rte_eth_dev_is_valid_port(p->dpdk_port)) {
        s->answer = HRM_NO_ANSWER;
        s->why = "no such device";
        return;
    } else if (!up) {
        s->answer = HRM_DOWN;
        s->why = "link is down";
        return;
    } else if (!readable) {
        s->answer = HRM_NO_ANSWER;
        s->why = "counters cannot be read";
        return;
    }
    depth = rte_eth_rx_queue_count(p->dpdk_port, id);
    s->fill = depth > 0 ? (double) depth / ring_size(p, id) : 0;
    s->done = c->packets[id];
    s->failed = c->errors[id];
    s->queued = c->known[id] && depth > 0;
    s->waiting = MAX(depth, 0);
    s->counts_waiting = c->known[id] && depth >= 0;
    if (p->n_rxqs == 1) {
        s->failed = MAX(s->failed, c->missed);
    }
}

static void
nic_sample(struct monitor_port *p, bool up, struct monitor_samples *samples)
{
    struct queue_counters c;
    bool readable = counters_read(p, &c);

    for (int i = 0; i < p->n_rxqs; i++) {
        if (p->rxqs[i]) {
            queue_sample(p, i, &c, readable, up,
                         monitor_samples_add(samples));
        }
    }
}

/* Appends a sample of the flow table of the NIC 'name'. */
static void
flow_table_sample(const char *name, int numa, bool up,
                  struct monitor_samples *samples) OVS_EXCLUDED(mutex)
{
    struct monitor_flow_table t;
    monitor_flow_table_func *source;
    struct hrm_sample *s;

    memset(&t, 0, sizeof t);
    atomic_read(&flow_table_source, &source);
    if (!source || !source(name, &t)) {
        return;
    }
    s = monitor_samples_add(samples);
    hrm_sample_init(s, HRM_FLOW_TABLE, "entries", "%s", name);
    s->numa = numa;
    s->done = t.inserted;
    s->failed = t.failed;
    s->fill = t.capacity ? (double) t.used / t.capacity : 0;
    s->capacity = t.capacity;
    s->latency_us = t.insert_us;
    if (t.stuck) {
        s->answer = HRM_NO_ANSWER;
        s->why = "rules wait to be put";
    } else if (!up) {
        s->answer = HRM_DOWN;
        s->why = "link is down";
    }
}

/* An accelerator port's work is what comes back from it.  Packets that went
 * there and none that comes back is no answer. */
static void
accel_sample(struct monitor_port *p, const struct monitor_accel *accel,
             struct monitor_samples *samples)
{
    struct hrm_sample *s = monitor_samples_add(samples);
    struct netdev_stats stats;
    enum netdev_features current;
    uint64_t bps = 0;

    hrm_sample_init(s, HRM_PORT, "packets/s", "%s", p->name);
    s->numa = port_numa(p);
    s->latency_us = accel->latency_us;
    hrm_sample_attr(s, "kind", "%s", accel->kind);
    hrm_sample_attr(s, "type", "%s", netdev_get_type(p->netdev));
    if (!netdev_get_features(p->netdev, &current, NULL, NULL, NULL)) {
        bps = netdev_features_to_bps(current, 0);
        if (bps) {
            hrm_sample_attr(s, "link_bps", "%"PRIu64, bps);
        }
    }

    if (!netdev_get_carrier(p->netdev)) {
        s->answer = HRM_DOWN;
        s->why = "link is down";
    } else if (netdev_get_stats(p->netdev, &stats)) {
        s->answer = HRM_NO_ANSWER;
        s->why = "counters cannot be read";
    } else {
#define KNOWN(X) ((X) == UINT64_MAX ? 0 : (X))
        s->done = KNOWN(stats.rx_packets);
        s->failed = (KNOWN(stats.tx_dropped) + KNOWN(stats.tx_errors)
                     + KNOWN(stats.rx_dropped) + KNOWN(stats.rx_errors));
        s->queued = KNOWN(stats.tx_packets) > p->last_tx;
        p->last_tx = KNOWN(stats.tx_packets);
#undef KNOWN
    }
}

/* Samples the port of 'netdev', if it is still there. */
static void
port_sample(const struct netdev *netdev, struct monitor_samples *samples)
    OVS_EXCLUDED(mutex)
{
    const struct monitor_accel *accel;
    struct monitor_port *p;
    char *nic = NULL;
    bool up = false;
    int numa = -1;

    ovs_mutex_lock(&mutex);
    p = port_lookup(netdev);
    if (p && p->dpdk_port >= 0) {
        nic = xstrdup(p->name);
        numa = port_numa(p);
        up = netdev_get_carrier(p->netdev);
        nic_sample(p, up, samples);
    }
    accel = p ? shash_find_data(&accels, p->name) : NULL;
    if (accel) {
        accel_sample(p, accel, samples);
    }
    ovs_mutex_unlock(&mutex);

    if (nic) {
        flow_table_sample(nic, numa, up, samples);
        free(nic);
    }
}

/* Appends samples of all ports.  Between two of them the main thread gets a
 * chance to go on. */
void
monitor_port_sample(struct monitor_samples *samples)
{
    const struct netdev **netdevs;
    struct monitor_port *p;
    size_t n = 0;

    ovs_mutex_lock(&mutex);
    netdevs = xmalloc(hmap_count(&ports) * sizeof *netdevs);
    HMAP_FOR_EACH (p, node, &ports) {
        netdevs[n++] = p->netdev;
    }
    ovs_mutex_unlock(&mutex);

    for (size_t i = 0; i < n; i++) {
        port_sample(netdevs[i], samples);
    }
    free(netdevs);
}
