/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* A port's redirection table over the life of its queues.
 *
 * OVS closes the queues of a port and opens them anew without always
 * restarting its device: netdev-dpdk does so only if something changed that
 * the device has to know.  The table then is still as steering left it.  What
 * it was before is remembered by the port's name: if the table is found as it
 * was left, buckets still have their home, or go there at once if the port is
 * not steered any more. */

#include <config.h>

#include "datapath-hooks/steering/steer-dp.h"

#include <errno.h>

#include "bitmap.h"
#include "openvswitch/shash.h"
#include "openvswitch/vlog.h"

VLOG_DEFINE_THIS_MODULE(steer_table);

enum { STEER_MAX_TABLES = 256 };    /* Remembered at a time. */

struct steer_table {
    uint32_t n_buckets;
    uint16_t owner[STEER_MAX_BUCKETS];  /* As it was left... */
    uint16_t home[STEER_MAX_BUCKETS];   /* ...and as it was found. */
};

/* Tables of ports whose queues are closed, by the port's name. */
static struct shash tables OVS_GUARDED_BY(steer_mutex)
    = SHASH_INITIALIZER(&tables);

/* Reads the table of 'port', a device's, into 'owner'.  Returns 0 or an errno:
 * ERANGE if an entry is no queue of the device. */
int
steer_table_read(const struct steer_port *port, uint16_t *owner)
{
    int error = steer_dev_get_reta(port->dpdk_port, owner, port->n_buckets);

    for (uint32_t b = 0; !error && b < port->n_buckets; b++) {
        if (owner[b] >= port->n_real) {
            error = ERANGE;
        }
    }
    return error;
}

/* Has 'port', a queue of which is being closed, its buckets elsewhere than at
 * home?  Then remembers where they belong. */
void
steer_table_remember(const struct steer_port *port)
{
    size_t size = port->n_buckets * sizeof *port->owner;
    struct steer_table *t;

    if (!port->ready || port->mech != STEER_MECH_RETA
        || !memcmp(port->owner, port->home, size)
        || shash_count(&tables) >= STEER_MAX_TABLES) {
        return;
    }
    t = xzalloc(sizeof *t);
    t->n_buckets = port->n_buckets;
    memcpy(t->owner, port->owner, size);
    memcpy(t->home, port->home, size);
    free(shash_replace(&tables, port->name, t));
}

/* Sets the home of the buckets of 'port', whose table has just been read, if
 * it is as steering left it. */
void
steer_table_recall(struct steer_port *port)
{
    struct steer_table *t = shash_find_and_delete(&tables, port->name);
    size_t size = port->n_buckets * sizeof *port->owner;

    if (t && port->mech == STEER_MECH_RETA && t->n_buckets == port->n_buckets
        && !memcmp(t->owner, port->owner, size)) {
        memcpy(port->home, t->home, size);
    }
    free(t);
}

/* Writes the table of 'port', which is not steered by it any more and not
 * polled yet, as it was before steering, if it is as steering left it.  What
 * waits in the rings may come out of order with what comes now: there is
 * nobody to wait for. */
void
steer_table_restore(const struct steer_port *port)
{
    struct steer_table *t = shash_find_and_delete(&tables, port->name);
    uint16_t owner[STEER_MAX_BUCKETS];
    uint16_t dpdk_port;
    uint32_t n;

    if (t && steer_dev_has_reta(port->netdev, &dpdk_port, &n)
        && n == t->n_buckets && !steer_dev_get_reta(dpdk_port, owner, n)
        && !memcmp(t->owner, owner, n * sizeof *owner)) {
        unsigned long changed[BITMAP_N_LONGS(STEER_MAX_BUCKETS)];
        int error;

        memset(changed, 0, sizeof changed);
        for (uint32_t b = 0; b < n; b++) {
            bitmap_set(changed, b, t->home[b] != owner[b]);
        }
        error = steer_dev_set_reta(dpdk_port, t->home, n, changed);
        if (error) {
            VLOG_WARN("%s: cannot restore the redirection table (%s): it "
                      "stays as steering left it until the device restarts",
                      port->name, ovs_strerror(error));
        }
    }
    free(t);
}
