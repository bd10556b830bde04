/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Wires the systems of ovs-ext into ovs-vswitchd, in run()/wait() order.
 *
 * Where more than one system wants to hear of something (configuration, a
 * receive queue that comes or goes) the hook is here and calls each. */

#include <config.h>

#include "datapath-hooks/affinity/affinity.h"
#include "datapath-hooks/affinity/redirect.h"
#include "datapath-hooks/ext-agent.h"
#include "datapath-hooks/ext-hooks.h"
#include "datapath-hooks/monitor/monitor.h"
#include "datapath-hooks/offload/offload.h"
#include "datapath-hooks/profile/profile.h"
#include "datapath-hooks/session/session-dp.h"
#include "datapath-hooks/session/session.h"
#include "datapath-hooks/steering/steer-dp.h"
#include "datapath-hooks/steering/steer-warm.h"
#include "datapath-hooks/steering/steer.h"
#include "dpif-provider.h"
#include "netdev.h"
#include "smap.h"
#include "util.h"

/* Returns true for datapaths of dpif-netdev. */
static bool
ext_is_userspace(const struct dpif *dpif)
{
    const char *type = dpif_type(dpif);

    return !strcmp(type, "netdev") || !strcmp(type, "dummy");
}

/* other_config of the Open_vSwitch table may have changed. */
static void
ext_dpif_config(struct dpif *dpif, const struct smap *cfg)
{
    if (ext_is_userspace(dpif)) {
        steer_dpif_config(dpif, cfg);
        monitor_configure(cfg);
        profile_configure(cfg);
        offload_dpif_config(dpif, cfg);
        redirect_set_dpif(dpif);
        session_configure(cfg);
        session_dp_set_dpif(dpif);
    }
}

static void
ext_dpif_close(const struct dpif *dpif)
{
    steer_warm_forget_dpif(dpif);
    offload_forget_dpif(dpif);
    redirect_forget_dpif(dpif);
    session_dp_forget_dpif(dpif);
}

/* Names of ports that something may be configured for, by ext_port_key(). */
static struct smap port_names = SMAP_INITIALIZER(&port_names);

static char *
ext_port_key(const struct dpif *dpif, odp_port_t port_no)
{
    return xasprintf("%s/%"PRIu32, dpif_name(dpif), odp_to_u32(port_no));
}

/* A port is about to go, or has gone, and what was configured for it with it.
 * dpif-netdev drops a port that it cannot reconfigure, and does not know it
 * any more when that is noticed, so it is not asked for the name. */
static void
ext_port_unconfig(struct dpif *dpif, odp_port_t port_no)
{
    const struct smap none = SMAP_INITIALIZER(&none);
    char *key = ext_port_key(dpif, port_no);
    struct smap_node *node = smap_get_node(&port_names, key);

    if (node) {
        char *name;

        smap_steal(&port_names, node, NULL, &name);
        monitor_port_configure(name, &none);
        profile_port_configure(name, false);
        affinity_port_configure(name, port_no);
        free(name);
    }
    free(key);
}

/* Remembers that port 'port_no' is named 'name', and no other port is. */
static void
ext_port_note(struct dpif *dpif, odp_port_t port_no, const char *name)
{
    char *key = ext_port_key(dpif, port_no);
    const char *known = smap_get(&port_names, key);
    struct smap_node *node;

    if (!known || strcmp(known, name)) {
        if (known) {
            ext_port_unconfig(dpif, port_no);
        }
        SMAP_FOR_EACH_SAFE (node, &port_names) {
            if (!strcmp(node->value, name)) {
                smap_remove_node(&port_names, node);
            }
        }
        smap_add(&port_names, key, name);
    }
    free(key);
}

static void
ext_port_del(struct dpif *dpif, odp_port_t port_no)
{
    if (ext_is_userspace(dpif)) {
        ext_port_unconfig(dpif, port_no);
        offload_port_del(port_no);
        redirect_port_del(dpif, port_no);
        session_dp_port_del(dpif, port_no);
    }
}

/* What is registered may be before ext_vswitchd_init(). */
const struct netdev_flow_api *
ext_flow_api(const struct netdev_flow_api *api)
{
    return offload_decorate(api);
}

/* other_config of the Interface of a port may have changed. */
static void
ext_port_config(struct dpif *dpif, odp_port_t port_no, const struct smap *cfg)
{
    struct dpif_port port;

    if (ext_is_userspace(dpif)
        && !dpif_port_query_by_number(dpif, port_no, &port)) {
        ext_port_note(dpif, port_no, port.name);
        steer_port_config(port.name, port_no, cfg);
        monitor_port_configure(port.name, cfg);
        profile_port_configure(port.name, monitor_is_accelerator(port.name));
        affinity_port_configure(port.name, port_no);
        dpif_port_destroy(&port);
    }
}

static int
ext_rxq_open(struct netdev *netdev, struct netdev_rxq **rxp, int id)
{
    int error = steer_rxq_open(netdev, rxp, id);

    if (!error) {
        affinity_port_opened(netdev_get_name(netdev));
        if (id < ext_real_n_rxq(netdev)) {
            monitor_rxq_open(netdev, *rxp, id);
        }
    }
    return error;
}

static bool
ext_rxq_close(struct netdev_rxq *rx)
{
    monitor_rxq_close(rx);
    affinity_port_closing(netdev_rxq_get_name(rx));
    return steer_rxq_close(rx);
}

static void
ext_run(void)
{
    steer_run();
    affinity_run();
    offload_run();
    session_dp_run();
}

static void
ext_wait(void)
{
    steer_wait();
    affinity_wait();
    offload_wait();
    session_dp_wait();
}

static void
ext_exit(void)
{
    ext_agent_exit();
    session_exit();
    offload_exit();
    steer_exit();
    monitor_exit();
}

void
ext_vswitchd_init(void)
{
    ext_agent_init();
    steer_init();
    monitor_init();
    profile_init();
    offload_init();
    affinity_init();
    session_dp_init();
    session_init();
    monitor_set_flow_table_source(offload_flow_table);
    steer_set_policy_source(affinity_want_policy);
    affinity_set_policy_taker(steer_take_policy);
    session_set_fleet_source(affinity_want_fleet);
    affinity_set_fleet_taker(session_take_fleet);
    affinity_set_rows_source(session_rows);
    affinity_set_ids_taker(session_set_local);

    EXT_HOOK_SET(rxq_open, ext_rxq_open);
    EXT_HOOK_SET(rxq_close, ext_rxq_close);
    EXT_HOOK_SET(dpif_config, ext_dpif_config);
    EXT_HOOK_SET(dpif_close, ext_dpif_close);
    EXT_HOOK_SET(port_config, ext_port_config);
    EXT_HOOK_SET(port_del, ext_port_del);
    EXT_HOOK_SET(run, ext_run);
    EXT_HOOK_SET(wait, ext_wait);
    EXT_HOOK_SET(exit, ext_exit);
}
