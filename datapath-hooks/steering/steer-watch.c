/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Virtual queues that nobody polls.
 *
 * dpif-netdev places virtual queues on PMD threads that are not set aside for
 * other queues (pmd-rxq-affinity with pmd-rxq-isolate).  If all are, it polls
 * them no more, and does not say so.  Their port then does without, until what
 * placement goes by changes. */

#include <config.h>

#include "datapath-hooks/steering/steer-dp.h"

#include "netdev.h"
#include "openvswitch/vlog.h"
#include "smap.h"
#include "sset.h"

VLOG_DEFINE_THIS_MODULE(steer_watch);

enum {
    STEER_UNPOLLED_USEC = 1000000, /* Then a queue counts as not polled. */
    STEER_LOOK_USEC = 100000       /* Most that counts between two looks: the
                                    * process may not have run. */
};

/* Names of interfaces whose virtual queues were not polled. */
static struct sset gave_up OVS_GUARDED_BY(steer_mutex)
    = SSET_INITIALIZER(&gave_up);

/* What placement goes by, as last seen; main thread. */
static struct smap schedule = SMAP_INITIALIZER(&schedule);

/* The agent's last look: time_usec(), and what all threads had polled. */
static long long int last_usec OVS_GUARDED_BY(steer_mutex);
static uint64_t last_polls OVS_GUARDED_BY(steer_mutex);

/* Returns true if the port called 'name' is to have no virtual queues. */
bool
steer_watch_gave_up(const char *name)
{
    return sset_contains(&gave_up, name);
}

/* Returns true if any bucket of 'port' needs 'q' to be polled. */
static bool
steer_watch_is_used(const struct steer_port *port, const struct steer_rxq *q)
{
    for (uint32_t b = 0; b < port->n_buckets; b++) {
        if (port->owner[b] == q->queue_id
            || (port->moving[b] && port->moving[b]->old_q == q)) {
            return true;
        }
    }
    return false;
}

/* Looks at 'q', of which 'usec' have passed since the last time.  Returns true
 * if it has not been polled for long though threads run. */
static bool
steer_watch_queue(struct steer_rxq *q, long long int usec)
{
    uint32_t polls = steer_ctr32_get(&q->polls);
    uint16_t slot;
    uint64_t thread_polls = steer_rxq_polls(q, &slot);

    if (polls != q->watch.polls || !steer_watch_is_used(q->port, q)) {
        q->watch.usec = 0;
    } else if (thread_polls == UINT64_MAX
               || thread_polls != q->watch.thread_polls) {
        q->watch.usec += usec;
    }
    q->watch.polls = polls;
    q->watch.thread_polls = thread_polls;
    return q->watch.usec > STEER_UNPOLLED_USEC;
}

/* Takes the virtual queues away from ports that have one which is used and not
 * polled.  Agent, once a tick; 'now' in time_usec(). */
void
steer_watch_run(long long int now)
{
    long long int usec = MIN(now - last_usec, STEER_LOOK_USEC);
    struct steer_port *port;
    uint64_t polls = 0;

    for (size_t i = 0; i < STEER_MAX_PMDS; i++) {
        polls += steer_ctr64_get(&steer_pmds[i].n.polls);
    }
    if (polls == last_polls) {
        usec = 0;               /* Threads are being given new queues. */
    }
    last_usec = now;
    last_polls = polls;

    LIST_FOR_EACH (port, node, &steer_ports) {
        struct steer_rxq *unpolled = NULL;

        for (int i = 0; port->ready && port->n_virtual
             && i < port->n_real + port->n_virtual; i++) {
            if (port->rxqs[i] && port->rxqs[i]->is_virtual
                && steer_watch_queue(port->rxqs[i], usec)) {
                unpolled = port->rxqs[i];
            }
        }
        if (unpolled && sset_add(&gave_up, port->name)) {
            VLOG_WARN("%s: no PMD thread polls virtual rx queue %u (are all "
                      "set aside by pmd-rxq-affinity?): the port does without "
                      "virtual queues", port->name, unpolled->queue_id);
            netdev_request_reconfigure(port->netdev);
        }
    }
}

/* Notes that 'key', which the placement of queues depends on, has 'value'.  If
 * that is new, virtual queues get another chance.  Main thread. */
void
steer_watch_schedule(const char *key, const char *value)
{
    const char *old = smap_get_def(&schedule, key, "");
    struct steer_port *port;

    if (!strcmp(old, value)) {
        return;
    }
    smap_replace(&schedule, key, value);
    ovs_mutex_lock(&steer_mutex);
    LIST_FOR_EACH (port, node, &steer_ports) {
        if (sset_contains(&gave_up, port->name)) {
            netdev_request_reconfigure(port->netdev);
        }
    }
    sset_clear(&gave_up);
    ovs_mutex_unlock(&steer_mutex);
}
