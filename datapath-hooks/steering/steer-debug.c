/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Moves and faults made to order, for tests and benches (and for an operator
 * who wants to see a move): ovs-appctl ext/steering-debug. */

#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/steering/steer-agent.h"
#include "datapath-hooks/steering/steer-dp.h"
#include "datapath-hooks/steering/steer-warm.h"
#include "timeval.h"

static char *
steer_debug_uint(const char *s, unsigned int max, unsigned int *n)
{
    return (str_to_uint(s, 10, n) && *n <= max ? NULL
            : xasprintf("\"%s\" is not an integer from 0 to %u", s, max));
}

/* "move PORT BUCKET QUEUE": begins that move, warm. */
static char *
steer_debug_move(const char *name, const char *bucket_s, const char *queue_s)
{
    struct steer_request req = { .port = NULL };
    unsigned int queue;
    struct steer_port *port;
    uint16_t from, to;
    char *error;

    if ((error = steer_debug_uint(bucket_s, STEER_MAX_BUCKETS - 1,
                                  &req.bucket))
        || (error = steer_debug_uint(queue_s, STEER_MAX_QUEUES - 1,
                                     &queue))) {
        return error;
    }
    ovs_mutex_lock(&steer_mutex);
    LIST_FOR_EACH (port, node, &steer_ports) {
        if (!strcmp(port->name, name) && port->ready) {
            req.port = port;
        }
    }
    if (!req.port) {
        error = xasprintf("%s: no such port is steered", name);
    } else if (req.bucket >= req.port->n_buckets
               || !req.port->rxqs[queue]) {
        error = xasprintf("%s has no bucket %u or no queue %u", name,
                          req.bucket, queue);
    } else {
        req.queue = queue;
        atomic_read_relaxed(
            &req.port->rxqs[req.port->owner[req.bucket]]->pmd, &from);
        atomic_read_relaxed(&req.port->rxqs[queue]->pmd, &to);
        if (from != UINT16_MAX && to != UINT16_MAX
            && steer_agent.settings.mode != STEER_OFF
            && steer_agent.settings.warm) {
            steer_warm_run();
            steer_warm_bucket(req.port, req.bucket, steer_pmds[from].core_id,
                              steer_pmds[to].core_id, INT_MAX);
        }
        if (!steer_moves_start(&req, 1)) {
            error = xasprintf("%s: bucket %u cannot be moved now", name,
                              req.bucket);
        }
    }
    ovs_mutex_unlock(&steer_mutex);
    return error;
}

/* "handoff PORT": gives it virtual queues now. */
static char *
steer_debug_handoff(const char *name)
{
    struct steer_port *port;
    char *error = xasprintf("%s: no such port is known", name);

    ovs_mutex_lock(&steer_mutex);
    LIST_FOR_EACH (port, node, &steer_ports) {
        if (!strcmp(port->name, name)) {
            steer_port_hand_off(port);
            free(error);
            error = NULL;
        }
    }
    ovs_mutex_unlock(&steer_mutex);
    return error;
}

/* Does what ext/steering-debug was asked to.  Returns null or an error that
 * the caller must free(). */
char *
steer_debug(int argc, const char *argv[])
{
    unsigned int n;
    char *error;

    if (!strcmp(argv[0], "move") && argc == 4) {
        return steer_debug_move(argv[1], argv[2], argv[3]);
    } else if (!strcmp(argv[0], "handoff") && argc == 2) {
        return steer_debug_handoff(argv[1]);
    } else if (!strcmp(argv[0], "churn") && argc == 2) {
        error = steer_debug_uint(argv[1], UINT32_MAX / 2, &n);
        if (!error) {
            ovs_mutex_lock(&steer_mutex);
            steer_agent.churn = n;
            ovs_mutex_unlock(&steer_mutex);
        }
        return error;
    } else if (!strcmp(argv[0], "stall") && argc == 2) {
        error = steer_debug_uint(argv[1], 60000, &n);
        if (!error) {
            ovs_mutex_lock(&steer_mutex);
            steer_agent.stall_until = time_msec() + n;
            ovs_mutex_unlock(&steer_mutex);
        }
        return error;
    }
    return xstrdup("one of: move PORT BUCKET QUEUE, handoff PORT, "
                   "churn MOVES, stall MSEC");
}
