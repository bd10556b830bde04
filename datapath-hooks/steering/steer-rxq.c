/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Ports, rx queues and PMD threads that steering knows.
 *
 * dpif-netdev opens all rx queues of a port, one after the other, in the main
 * thread before any PMD thread polls one, and closes them likewise.  That is
 * where this registry is kept: PMD threads only read it. */

#include <config.h>

#include "datapath-hooks/steering/steer-dp.h"

#include <errno.h>
#include <rte_cycles.h>

#include "datapath-hooks/ext-hooks.h"
#include "hash.h"
#include "netdev.h"
#include "openvswitch/vlog.h"
#include "ovs-numa.h"
#include "ovs-rcu.h"
#include "sset.h"

VLOG_DEFINE_THIS_MODULE(steer_rxq);

struct steer_pmd steer_pmds[STEER_MAX_PMDS];
struct ovs_mutex steer_mutex = OVS_MUTEX_INITIALIZER;
struct ovs_list steer_ports OVS_GUARDED_BY(steer_mutex)
    = OVS_LIST_INITIALIZER(&steer_ports);

/* Registered queues by netdev_rxq.  Main thread writes, PMD threads read. */
static struct cmap rxqs = CMAP_INITIALIZER;

/* Changes whenever a queue goes, so that PMD threads forget cached ones. */
static steer_ctr32 rxqs_seq;

/* Virtual queues that a port without a RETA gets; main thread. */
static unsigned int n_virtual;

/* Names of interfaces that opted out, and of those that get virtual queues;
 * under 'steer_mutex'. */
static struct sset opted_out = SSET_INITIALIZER(&opted_out);
static struct sset handed_off = SSET_INITIALIZER(&handed_off);
static struct sset always_handed_off = SSET_INITIALIZER(&always_handed_off);

static pthread_key_t pmd_key;

/* True in the main thread. */
static __thread bool in_main_thread;

/* PMD threads. */

static void
steer_pmd_exit(void *pmd_)
{
    struct steer_pmd *pmd = pmd_;

    atomic_store_explicit(&pmd->used, false, memory_order_release);
}

void
steer_ports_init(void)
{
    xpthread_key_create(&pmd_key, steer_pmd_exit);
    in_main_thread = true;
}

unsigned int
steer_pmd_slot(const struct steer_pmd *pmd)
{
    return pmd - steer_pmds;
}

/* Claims a slot for the calling thread if it is a PMD thread, which OVS names
 * "pmd-cNN/id:".  Once in a thread's life. */
static struct steer_pmd *
steer_pmd_claim(void)
{
    const char *name = get_subprogram_name();
    unsigned int core_id;

    if (!ovs_scan(name, "pmd-c%u/", &core_id)) {
        return NULL;
    }
    for (size_t i = 0; i < STEER_MAX_PMDS; i++) {
        struct steer_pmd *pmd = &steer_pmds[i];
        bool unused = false;

        if (atomic_compare_exchange_strong(&pmd->used, &unused, true)) {
            pmd->core_id = core_id;
            pmd->numa_id = ovs_numa_get_numa_id(core_id);
            pmd->last_n = 0;
            pmd->poll_tsc = rte_rdtsc();
            pthread_setspecific(pmd_key, pmd);
            return pmd;
        }
    }
    return NULL;
}

/* PMD-THREAD CODE */

/* Returns the calling PMD thread's slot, or null for any other thread and for
 * PMD threads beyond STEER_MAX_PMDS (they are left alone). */
struct steer_pmd *
steer_pmd_self(void)
{
    static __thread struct steer_pmd *self;
    static __thread bool known;

    if (OVS_UNLIKELY(!known)) {
        known = true;
        self = steer_pmd_claim();
    }
    return self;
}

/* Returns what is registered for 'rx', or null.  The calling thread's cache
 * is direct mapped. */
struct steer_rxq *
steer_rxq_find(struct steer_pmd *pmd, const struct netdev_rxq *rx)
{
    size_t slot = ((uintptr_t) rx >> 6) % STEER_RXQ_CACHE;
    uint32_t seq = steer_ctr32_get(&rxqs_seq);
    struct steer_rxq *q;

    if (OVS_LIKELY(pmd->cache[slot].rx == rx
                   && pmd->cache[slot].seq == seq)) {
        return pmd->cache[slot].q;
    }
    CMAP_FOR_EACH_WITH_HASH (q, node, hash_pointer(rx, 0), &rxqs) {
        if (q->rx == rx) {
            break;
        }
    }
    pmd->cache[slot].rx = rx;
    pmd->cache[slot].seq = seq;
    pmd->cache[slot].q = q;
    return q;
}

/* END PMD-THREAD CODE */

/* Ports. */

/* Sets how many PMD threads there are to spread a port over that has no RETA;
 * fewer than two mean no virtual queues, nor do more than there are slots for:
 * dpif-netdev would place some on a thread that has none.  Ports pick it up
 * when they are next reconfigured, which this asks for.  Main thread. */
void
steer_ports_set_virtual(unsigned int n_pmds)
{
    unsigned int n = n_pmds > 1 && n_pmds <= STEER_MAX_PMDS ? n_pmds : 0;
    struct steer_port *port;

    if (n_pmds > STEER_MAX_PMDS) {
        VLOG_WARN_ONCE("%u PMD threads, of which steering knows %d: ports "
                       "whose device has no table are not steered", n_pmds,
                       STEER_MAX_PMDS);
    }
    if (n == n_virtual) {
        return;
    }
    n_virtual = n;
    ovs_mutex_lock(&steer_mutex);
    LIST_FOR_EACH (port, node, &steer_ports) {
        if (sset_contains(&handed_off, port->name)) {
            netdev_request_reconfigure(port->netdev);
        }
    }
    if (!n) {
        const char *name;

        sset_clear(&handed_off);
        SSET_FOR_EACH (name, &always_handed_off) {
            sset_add(&handed_off, name);
        }
    }
    ovs_mutex_unlock(&steer_mutex);
}

/* Returns true if 'queue' can serve 'bucket': by handoff only the real queue
 * that the bucket's packets come in by, and virtual ones. */
bool
steer_port_may_use(const struct steer_port *port, uint32_t bucket,
                   uint16_t queue)
{
    return (port->mech != STEER_MECH_HANDOFF || queue == port->home[bucket]
            || (port->rxqs[queue] && port->rxqs[queue]->is_virtual));
}

/* Asks for virtual queues for 'port', which has no table to move buckets by.
 * They exist only from when they are first needed: until then dpif-netdev
 * places the port's own queues as if we were not there. */
void
steer_port_hand_off(struct steer_port *port)
{
    if (port->mech == STEER_MECH_NONE && n_virtual
        && !sset_contains(&opted_out, port->name)
        && sset_add(&handed_off, port->name)) {
        VLOG_INFO("%s: its queues' cores are loaded and the device has no "
                  "table to spread it by: adding %u virtual rx queues",
                  port->name, n_virtual);
        netdev_request_reconfigure(port->netdev);
    }
}

/* Returns true if any virtual queue is open.  Main thread. */
bool
steer_ports_have_virtual(void)
{
    struct steer_port *port;
    bool have = false;

    ovs_mutex_lock(&steer_mutex);
    LIST_FOR_EACH (port, node, &steer_ports) {
        have |= port->n_virtual > 0;
    }
    ovs_mutex_unlock(&steer_mutex);
    return have;
}

/* Returns true if a port of 'netdev' gets its buckets moved by handoff.
 * netdev-afxdp sets up as many queues as netdev_n_rxq() says, so that cannot
 * be told another number. */
static bool
steer_netdev_hands_off(const struct netdev *netdev)
{
    bool out;

    if (!n_virtual || !netdev_is_pmd(netdev)
        || !strcmp(netdev_get_type(netdev), "afxdp")
        || ext_real_n_rxq(netdev) + n_virtual > STEER_MAX_QUEUES
        || (ext_real_n_rxq(netdev) > 1
            && steer_dev_has_reta(netdev, NULL, NULL))) {
        return false;
    }
    ovs_mutex_lock(&steer_mutex);
    out = (sset_contains(&opted_out, netdev_get_name(netdev))
           || !sset_contains(&handed_off, netdev_get_name(netdev))
           || steer_watch_gave_up(netdev_get_name(netdev)));
    ovs_mutex_unlock(&steer_mutex);
    return !out;
}

/* Puts 'name' into 'set' or takes it out.  Returns true if that changed it. */
static bool
sset_put(struct sset *set, const char *name, bool in)
{
    return in ? sset_add(set, name) != NULL : sset_find_and_delete(set, name);
}

/* Takes in what the database says about the port named 'name': its datapath
 * port number, and 'value' of other_config:ext-steering, "on", "off" or
 * "handoff".  Main thread. */
void
steer_port_configure(const char *name, odp_port_t port_no, const char *value)
{
    bool out = !strcmp(value, "off"), always = !strcmp(value, "handoff");
    struct steer_port *port;
    bool changed = false;

    ovs_mutex_lock(&steer_mutex);
    if (out || always || !strcmp(value, "on")) {
        changed = sset_put(&opted_out, name, out);
        if (sset_put(&always_handed_off, name, always)) {
            sset_put(&handed_off, name, always);
            changed = true;
        }
        if (changed) {
            VLOG_INFO("%s: other_config:ext-steering=%s", name, value);
        }
    } else {
        static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 1);

        VLOG_WARN_RL(&rl, "%s: other_config:ext-steering: \"%s\" is not one "
                     "of on, off and handoff, last good value stays", name,
                     value);
    }
    LIST_FOR_EACH (port, node, &steer_ports) {
        if (!strcmp(port->name, name)) {
            port->port_no = port_no;
            if (changed) {
                /* Queues are opened anew, and with them the port. */
                netdev_request_reconfigure(port->netdev);
            }
        }
    }
    ovs_mutex_unlock(&steer_mutex);
}

/* Queues of 'netdev', with virtual ones for dpif-netdev, which asks in the
 * main thread.  Offload threads ask on behalf of the device (for the queues of
 * a MARK+RSS rule), and that has none but its own. */
int
steer_n_rxq(const struct netdev *netdev)
{
    int n = ext_real_n_rxq(netdev);

    return n + (in_main_thread && n && steer_netdev_hands_off(netdev)
                ? n_virtual : 0);
}

static struct steer_port *
steer_port_lookup(const struct netdev *netdev) OVS_REQUIRES(steer_mutex)
{
    struct steer_port *port;

    LIST_FOR_EACH (port, node, &steer_ports) {
        if (port->netdev == netdev) {
            return port;
        }
    }
    return NULL;
}

static struct steer_port *
steer_port_create(struct netdev *netdev) OVS_REQUIRES(steer_mutex)
{
    struct steer_port *port = xzalloc(sizeof *port);

    port->netdev = netdev;
    port->name = xstrdup(netdev_get_name(netdev));
    port->numa_id = netdev_get_numa_id(netdev);
    port->port_no = ODPP_NONE;
    if (sset_contains(&opted_out, port->name)) {
        port->mech = STEER_MECH_NONE;
    } else if (ext_real_n_rxq(netdev) > 1
               && steer_dev_has_reta(netdev, &port->dpdk_port,
                                     &port->n_buckets)) {
        port->mech = STEER_MECH_RETA;
    }
    if (port->mech != STEER_MECH_RETA) {
        steer_table_restore(port);
    }
    ovs_list_push_back(&steer_ports, &port->node);
    return port;
}

static void
steer_port_destroy(struct steer_port *port) OVS_REQUIRES(steer_mutex)
{
    ovs_list_remove(&port->node);
    free(port->name);
    ovsrcu_postpone(free, port);
}

/* Finishes a port whose queues are all open: the device's table becomes the
 * starting point.  Returns false if the port cannot be steered (now). */
bool
steer_port_ready(struct steer_port *port)
{
    if (port->ready || port->mech == STEER_MECH_NONE) {
        return port->ready;
    }
    if (port->n_real != ext_real_n_rxq(port->netdev)) {
        return false;
    }
    if (port->mech == STEER_MECH_RETA) {
        int error = steer_table_read(port, port->owner);

        if (error) {
            VLOG_WARN("%s: cannot read the redirection table (%s), not "
                      "steered", port->name, ovs_strerror(error));
            port->mech = STEER_MECH_NONE;
            return false;
        }
        port->ring_size = steer_dev_ring_size(port->netdev, port->dpdk_port);
    } else {
        for (uint32_t b = 0; b < port->n_buckets; b++) {
            port->owner[b] = b / (port->rxqs[0]->bucket_mask + 1);
        }
        port->ring_size = STEER_HANDOFF_RING;
    }
    memcpy(port->home, port->owner, sizeof port->home);
    steer_table_recall(port);
    port->ready = true;
    VLOG_INFO("%s: steering %"PRIu32" buckets over %d queues by %s",
              port->name, port->n_buckets, port->n_real + port->n_virtual,
              port->mech == STEER_MECH_RETA ? "RETA" : "handoff");
    return true;
}

/* Queues. */

static struct steer_rxq *
steer_rxq_create(struct steer_port *port, int id, bool is_virtual)
{
    struct steer_rxq *q = xzalloc_cacheline(sizeof *q);

    q->port = port;
    q->queue_id = id;
    q->is_virtual = is_virtual;
    atomic_init(&q->pmd, UINT16_MAX);
    q->buckets = xzalloc_cacheline(STEER_MAX_BUCKETS * sizeof *q->buckets);
    return q;
}

static void
steer_rxq_free(struct steer_rxq *q)
{
    steer_handoff_detach(q);
    free_cacheline(q->buckets);
    free_cacheline(q);
}

/* Opens queue 'id': the device's own, or past those a virtual one. */
int
steer_rxq_open(struct netdev *netdev, struct netdev_rxq **rxp, int id)
{
    int n_real = ext_real_n_rxq(netdev);
    bool is_virtual = id >= n_real && id < steer_n_rxq(netdev);
    bool hands_off = steer_netdev_hands_off(netdev);
    struct steer_port *port;
    struct steer_rxq *q;

    if (!is_virtual) {
        int error = ext_real_rxq_open(netdev, rxp, id);

        if (error || !netdev_is_pmd(netdev) || id >= STEER_MAX_QUEUES) {
            return error;
        }
    }

    ovs_mutex_lock(&steer_mutex);
    port = steer_port_lookup(netdev);
    if (!port) {
        port = steer_port_create(netdev);
    }
    q = steer_rxq_create(port, id, is_virtual);
    if (is_virtual) {
        q->up.netdev = netdev_ref(netdev);
        q->up.queue_id = id;
        *rxp = &q->up;
        port->n_virtual++;
    } else {
        port->n_real++;
    }
    q->rx = *rxp;
    if (hands_off) {
        unsigned int per_queue = STEER_MAX_BUCKETS / ROUND_UP_POW2(n_real);

        port->mech = STEER_MECH_HANDOFF;
        per_queue = MIN(per_queue, STEER_HANDOFF_BUCKETS);
        port->n_buckets = per_queue * n_real;
        q->bucket_base = per_queue * (is_virtual ? 0 : id);
        q->bucket_mask = per_queue - 1;
        steer_handoff_attach(q);
    } else {
        q->bucket_mask = port->n_buckets ? port->n_buckets - 1 : 0;
    }
    port->rxqs[id] = q;
    cmap_insert(&rxqs, &q->node, hash_pointer(q->rx, 0));
    ovs_mutex_unlock(&steer_mutex);
    return 0;
}

/* Ends whatever move 'port' has under way: no PMD thread polls it now.  Moves
 * of a port that goes away or restarts end with its queues; their parked
 * packets share the fate of those in the device's rings. */
static void
steer_port_abort_moves(struct steer_port *port) OVS_REQUIRES(steer_mutex)
{
    for (size_t i = 0; i < STEER_MAX_MOVES; i++) {
        struct steer_transit *move = &steer_transits[i];

        if (steer_move_phase(move) != STEER_FREE && move->port == port) {
            steer_park_purge(move);
            atomic_store(&move->phase, STEER_FREE);
        }
    }
    while (steer_moves_are_read()) {
        xnanosleep(1000);       /* By threads of other ports, briefly. */
    }
    memset(port->moving, 0, sizeof port->moving);
    port->ready = false;
}

/* Closes 'rx'.  Returns true if it was a virtual queue, that is, if there is
 * nothing for the netdev to close. */
bool
steer_rxq_close(struct netdev_rxq *rx)
{
    struct netdev *netdev = rx->netdev;
    struct steer_port *port;
    struct steer_rxq *q = NULL;
    bool is_virtual = false;

    ovs_mutex_lock(&steer_mutex);
    port = steer_port_lookup(netdev);
    for (int i = 0; port && i < STEER_MAX_QUEUES; i++) {
        if (port->rxqs[i] && port->rxqs[i]->rx == rx) {
            q = port->rxqs[i];
            port->rxqs[i] = NULL;
        }
    }
    if (q) {
        is_virtual = q->is_virtual;
        steer_table_remember(port);
        steer_port_abort_moves(port);
        cmap_remove(&rxqs, &q->node, hash_pointer(rx, 0));
        steer_ctr32_add(&rxqs_seq, 1);
        if (is_virtual) {
            port->n_virtual--;
        } else {
            port->n_real--;
        }
        if (!port->n_virtual && !port->n_real) {
            steer_port_destroy(port);
        }
        ovsrcu_postpone(steer_rxq_free, q);
    }
    ovs_mutex_unlock(&steer_mutex);

    if (is_virtual) {
        netdev_close(netdev);
    }
    return is_virtual;
}

/* Returns true if 'rx' is a virtual queue, which is always enabled. */
bool
steer_rxq_owned(const struct netdev_rxq *rx)
{
    struct steer_rxq *q;

    CMAP_FOR_EACH_WITH_HASH (q, node, hash_pointer(rx, 0), &rxqs) {
        if (q->rx == rx) {
            return q->is_virtual;
        }
    }
    return false;
}
