/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Steering in the daemon's main thread: configuration comes in by
 * steer_dpif_config() and steer_port_config(), from ext-vswitchd.c, whenever
 * the database changes. */

#include <config.h>

#include "datapath-hooks/steering/steer.h"

#include "datapath-hooks/ext-hooks.h"
#include "datapath-hooks/steering/steer-agent.h"
#include "datapath-hooks/steering/steer-dp.h"
#include "datapath-hooks/steering/steer-warm.h"
#include "dpif.h"
#include "openvswitch/poll-loop.h"
#include "smap.h"

/* As last configured; main thread. */
static struct steer_settings settings;

/* What the database had when it was last looked at; main thread. */
static struct smap seen = SMAP_INITIALIZER(&seen);

/* Set to make steer_run() apply 'settings'. */
static bool settings_changed;

/* Packet-path hooks are set. */
static bool hooks_on;

/* They are to be cleared as soon as no virtual queue is left: only our
 * rxq_recv knows how to receive from one. */
static bool hooks_going;

static void
steer_hooks_apply(bool on)
{
    EXT_HOOK_SET(rxq_recv, on ? steer_rxq_recv : NULL);
    EXT_HOOK_SET(send, on ? steer_send : NULL);
    EXT_HOOK_SET(upcall, on ? steer_upcall : NULL);
    EXT_HOOK_SET(sleep, on ? steer_sleep : NULL);
    EXT_HOOK_SET(taken, on ? steer_taken : NULL);
    hooks_on = on;
    hooks_going = false;
}

/* Sets what steering hooks in the packet path, or clears it once that can be
 * done.  Main thread. */
void
steer_hooks_set(bool on)
{
    if (on) {
        steer_hooks_apply(true);
    } else {
        hooks_going = hooks_on;
    }
    steer_watch_schedule(":steering", on ? "on" : "off");
    steer_ports_set_virtual(on ? settings.n_pmds : 0);
}

void
steer_dpif_config(struct dpif *dpif, const struct smap *cfg)
{
    steer_warm_set_dpif(dpif);
    steer_watch_schedule(":pmd-cpu-mask",
                         smap_get_def(cfg, "pmd-cpu-mask", ""));
    steer_watch_schedule(":pmd-rxq-isolate",
                         smap_get_def(cfg, "pmd-rxq-isolate", ""));
    if (steer_settings_parse(&settings, &seen, cfg) || settings_changed) {
        settings_changed = false;
        steer_agent_configure(&settings);
    }
}

void
steer_port_config(const char *name, odp_port_t port_no,
                  const struct smap *cfg)
{
    const char *value = smap_get_def(cfg, "ext-steering", "on");
    char *placed = xasprintf("%s %s", value,
                             smap_get_def(cfg, "pmd-rxq-affinity", ""));

    steer_watch_schedule(name, placed);
    free(placed);
    steer_port_configure(name, port_no, value);
}

void
steer_init(void)
{
    steer_ports_init();
    steer_moves_init();
    steer_settings_init(&settings);
    settings_changed = settings.mode != STEER_OFF;
    steer_agent_init();
    steer_show_init();

    EXT_HOOK_SET(n_rxq, steer_n_rxq);
    EXT_HOOK_SET(rxq_owned, steer_rxq_owned);
    EXT_HOOK_SET(dpif_close, steer_warm_forget_dpif);
}

void
steer_run(void)
{
    steer_agent_run();
    if (hooks_going) {
        if (steer_ports_have_virtual()) {
            poll_immediate_wake();
        } else {
            steer_hooks_apply(false);
        }
    }
}

void
steer_wait(void)
{
    steer_agent_wait();
}

void
steer_exit(void)
{
    steer_agent_exit();
}

/* Applies a change by hand (ext/steering-set).  Returns null or an error that
 * the caller must free(). */
char *
steer_set(const char *key, const char *value)
{
    char *error = steer_settings_set(&settings, key, value);

    if (!error) {
        steer_agent_configure(&settings);
    }
    return error;
}

bool
steer_moves_reta(const struct netdev *netdev)
{
    const struct steer_agent *a = &steer_agent;
    const struct steer_port *port;
    bool moves = false;

    ovs_mutex_lock(&steer_mutex);
    if (a->settings.mode > STEER_SHADOW || (a->going_home && !a->is_home)) {
        LIST_FOR_EACH (port, node, &steer_ports) {
            moves |= port->netdev == netdev && port->mech == STEER_MECH_RETA;
        }
    }
    ovs_mutex_unlock(&steer_mutex);
    return moves;
}

/* Returns the first queue of 'port' that 'core' polls, or -1. */
static int
steer_port_queue_of_core(const struct steer_port *port, unsigned int core)
    OVS_REQUIRES(steer_mutex)
{
    for (int q = 0; q < port->n_real; q++) {
        uint16_t slot = UINT16_MAX;

        if (port->rxqs[q]) {
            atomic_read_relaxed(&port->rxqs[q]->pmd, &slot);
        }
        if (slot != UINT16_MAX && steer_pmds[slot].core_id == core) {
            return port->rxqs[q]->queue_id;
        }
    }
    return -1;
}

bool
steer_queue_of_core(unsigned int core, unsigned int n, char *netdev,
                    size_t size, unsigned int *queue)
{
    const struct steer_port *port;
    bool found = false;

    ovs_mutex_lock(&steer_mutex);
    if (steer_agent.settings.mode == STEER_OFF) {
        goto out;               /* Nobody has noted who polls what since. */
    }
    LIST_FOR_EACH (port, node, &steer_ports) {
        int q = (port->mech == STEER_MECH_RETA
                 ? steer_port_queue_of_core(port, core) : -1);

        if (q >= 0 && !n--) {
            ovs_strlcpy(netdev, port->name, size);
            *queue = q;
            found = true;
            break;
        }
    }
out:
    ovs_mutex_unlock(&steer_mutex);
    return found;
}
