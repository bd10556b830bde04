/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/ext-hooks.h"

#include <stdio.h>

#include "bridge.h"
#include "dp-packet.h"
#include "dpif.h"
#include "netdev-provider.h"
#include "netdev.h"
#include "ovs-ext-config.h"
#include "ovs-rcu.h"
#include "smap.h"
#include "util.h"

struct ext_hooks ext_hooks;

/* Reads member HOOK of the table. */
#define EXT_HOOK(HOOK, FUNCP) atomic_read_relaxed(&ext_hooks.HOOK, FUNCP)

/* What --wrap calls the originals, and what it calls in their place. */
#define EXT_WRAP(RETURN, NAME, ...)         \
    RETURN __real_##NAME(__VA_ARGS__);      \
    RETURN __wrap_##NAME(__VA_ARGS__);

EXT_WRAP(int, netdev_rxq_recv, struct netdev_rxq *, struct dp_packet_batch *,
         int *)
EXT_WRAP(int, netdev_send, struct netdev *, int, struct dp_packet_batch *,
         bool)
EXT_WRAP(int, netdev_rxq_open, struct netdev *, struct netdev_rxq **, int)
EXT_WRAP(void, netdev_rxq_close, struct netdev_rxq *)
EXT_WRAP(int, netdev_n_rxq, const struct netdev *)
EXT_WRAP(bool, netdev_rxq_enabled, struct netdev_rxq *)
EXT_WRAP(void, dpif_register_upcall_cb, struct dpif *, upcall_callback *,
         void *)
EXT_WRAP(int, dpif_set_config, struct dpif *, const struct smap *)
EXT_WRAP(void, dpif_close, struct dpif *)
EXT_WRAP(int, dpif_port_set_config, struct dpif *, odp_port_t,
         const struct smap *)
EXT_WRAP(void, bridge_init, const char *)
EXT_WRAP(void, bridge_run, void)
EXT_WRAP(void, bridge_wait, void)
EXT_WRAP(void, bridge_exit, bool)
EXT_WRAP(void, ovs_print_version, uint8_t, uint8_t)

/* PMD-THREAD CODE */

int
__wrap_netdev_rxq_recv(struct netdev_rxq *rx, struct dp_packet_batch *batch,
                       int *qfill)
{
    ext_rxq_recv_func *hook;

    EXT_HOOK(rxq_recv, &hook);
    return (OVS_LIKELY(!hook)
            ? __real_netdev_rxq_recv(rx, batch, qfill)
            : hook(rx, batch, qfill));
}

int
__wrap_netdev_send(struct netdev *netdev, int qid,
                   struct dp_packet_batch *batch, bool concurrent_txq)
{
    ext_send_func *hook;

    EXT_HOOK(send, &hook);
    if (OVS_UNLIKELY(hook)) {
        hook(netdev, batch);
    }
    return __real_netdev_send(netdev, qid, batch, concurrent_txq);
}

/* What was registered with dpif_register_upcall_cb(). */
struct ext_upcall {
    upcall_callback *cb;
    void *aux;
};

static int
ext_upcall_cb(const struct dp_packet *packet, const struct flow *flow,
              ovs_u128 *ufid, unsigned pmd_id, enum dpif_upcall_type type,
              const struct nlattr *userdata, struct ofpbuf *actions,
              struct flow_wildcards *wc, struct ofpbuf *put_actions,
              void *upcall_)
{
    struct ext_upcall *upcall = upcall_;
    ext_upcall_func *hook;
    int error;

    error = upcall->cb(packet, flow, ufid, pmd_id, type, userdata, actions,
                       wc, put_actions, upcall->aux);
    EXT_HOOK(upcall, &hook);
    if (OVS_UNLIKELY(hook) && !error && type == DPIF_UC_MISS) {
        hook(packet, flow, wc, ufid, pmd_id);
    }
    return error;
}

/* END PMD-THREAD CODE */

int
ext_real_rxq_recv(struct netdev_rxq *rx, struct dp_packet_batch *batch,
                  int *qfill)
{
    return __real_netdev_rxq_recv(rx, batch, qfill);
}

int
ext_real_rxq_open(struct netdev *netdev, struct netdev_rxq **rxp, int id)
{
    return __real_netdev_rxq_open(netdev, rxp, id);
}

int
ext_real_n_rxq(const struct netdev *netdev)
{
    return __real_netdev_n_rxq(netdev);
}

int
__wrap_netdev_rxq_open(struct netdev *netdev, struct netdev_rxq **rxp, int id)
{
    ext_rxq_open_func *hook;

    EXT_HOOK(rxq_open, &hook);
    return (hook
            ? hook(netdev, rxp, id)
            : __real_netdev_rxq_open(netdev, rxp, id));
}

void
__wrap_netdev_rxq_close(struct netdev_rxq *rx)
{
    ext_rxq_close_func *hook;

    EXT_HOOK(rxq_close, &hook);
    if (!rx || !hook || !hook(rx)) {
        __real_netdev_rxq_close(rx);
    }
}

int
__wrap_netdev_n_rxq(const struct netdev *netdev)
{
    ext_n_rxq_func *hook;

    EXT_HOOK(n_rxq, &hook);
    return hook ? hook(netdev) : __real_netdev_n_rxq(netdev);
}

bool
__wrap_netdev_rxq_enabled(struct netdev_rxq *rx)
{
    ext_rxq_owned_func *hook;

    EXT_HOOK(rxq_owned, &hook);
    return (hook && hook(rx)) || __real_netdev_rxq_enabled(rx);
}

void
__wrap_dpif_register_upcall_cb(struct dpif *dpif, upcall_callback *cb,
                               void *aux)
{
    if (cb) {
        /* One per datapath that is created; PMD threads may use it for as
         * long as the datapath lives, so it is never freed. */
        struct ext_upcall *upcall = xmalloc(sizeof *upcall);

        upcall->cb = cb;
        upcall->aux = aux;
        __real_dpif_register_upcall_cb(dpif, ext_upcall_cb, upcall);
    } else {
        __real_dpif_register_upcall_cb(dpif, NULL, aux);
    }
}

int
__wrap_dpif_set_config(struct dpif *dpif, const struct smap *cfg)
{
    ext_dpif_config_func *hook;

    EXT_HOOK(dpif_config, &hook);
    if (hook) {
        hook(dpif, cfg);
    }
    return __real_dpif_set_config(dpif, cfg);
}

void
__wrap_dpif_close(struct dpif *dpif)
{
    ext_dpif_close_func *hook;

    EXT_HOOK(dpif_close, &hook);
    if (hook && dpif) {
        hook(dpif);
    }
    __real_dpif_close(dpif);
}

int
__wrap_dpif_port_set_config(struct dpif *dpif, odp_port_t port_no,
                            const struct smap *cfg)
{
    ext_port_config_func *hook;

    EXT_HOOK(port_config, &hook);
    if (hook) {
        hook(dpif, port_no, cfg);
    }
    return __real_dpif_port_set_config(dpif, port_no, cfg);
}

void
__wrap_bridge_init(const char *remote)
{
    ext_vswitchd_init();
    __real_bridge_init(remote);
}

void
__wrap_bridge_run(void)
{
    ext_cycle_func *hook;

    __real_bridge_run();
    EXT_HOOK(run, &hook);
    if (hook) {
        hook();
    }
}

void
__wrap_bridge_wait(void)
{
    ext_cycle_func *hook;

    __real_bridge_wait();
    EXT_HOOK(wait, &hook);
    if (hook) {
        hook();
    }
}

void
__wrap_bridge_exit(bool delete_datapath)
{
    ext_cycle_func *hook;

    EXT_HOOK(exit, &hook);
    if (hook) {
        hook();
    }
    __real_bridge_exit(delete_datapath);
}

void
__wrap_ovs_print_version(uint8_t min_ofp, uint8_t max_ofp)
{
    __real_ovs_print_version(min_ofp, max_ofp);
    puts("ovs-ext " OVS_EXT_VERSION);
}
