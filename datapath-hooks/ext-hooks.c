/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/ext-hooks.h"

#include <errno.h>
#include <stdio.h>

#include "bridge.h"
#include "datapath-hooks/ext-flows.h"
#include "datapath-hooks/ext-ufid.h"
#include "dp-packet.h"
#include "dpif-netdev-perf.h"
#include "dpif-provider.h"
#include "dpif.h"
#include "netdev-dpdk.h"
#include "netdev-offload-provider.h"
#include "netdev-provider.h"
#include "netdev.h"
#include "odp-util.h"
#include "ovs-ext-config.h"
#include "ovs-rcu.h"
#include "ovsdb-idl.h"
#include "seq.h"
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
EXT_WRAP(bool, netdev_has_tunnel_push_pop, const struct netdev *)
EXT_WRAP(void, netdev_pop_header, struct netdev *, struct dp_packet_batch *)
EXT_WRAP(int, netdev_push_header, const struct netdev *,
         struct dp_packet_batch *, const struct ovs_action_push_tnl *)
EXT_WRAP(void, dpif_operate, struct dpif *, struct dpif_op **, size_t,
         enum dpif_offload_type)
EXT_WRAP(int, dpif_flow_dump_next, struct dpif_flow_dump_thread *,
         struct dpif_flow *, int)
EXT_WRAP(struct dpif_flow_dump *, dpif_flow_dump_create, const struct dpif *,
         bool, struct dpif_flow_dump_types *)
EXT_WRAP(int, dpif_flow_dump_destroy, struct dpif_flow_dump *)
EXT_WRAP(int, dpif_get_dp_stats, const struct dpif *, struct dpif_dp_stats *)
EXT_WRAP(int, dpif_flow_get, struct dpif *, const struct nlattr *, size_t,
         const ovs_u128 *, const unsigned, struct ofpbuf *,
         struct dpif_flow *)
EXT_WRAP(int, dpif_port_add, struct dpif *, struct netdev *, odp_port_t *)
EXT_WRAP(int, dpif_port_del, struct dpif *, odp_port_t, bool)
EXT_WRAP(int, dpif_set_config, struct dpif *, const struct smap *)
EXT_WRAP(void, dpif_close, struct dpif *)
EXT_WRAP(int, dpif_port_set_config, struct dpif *, odp_port_t,
         const struct smap *)
EXT_WRAP(void, pmd_perf_stats_init, struct pmd_perf_stats *)
EXT_WRAP(void, pmd_perf_end_iteration, struct pmd_perf_stats *, int, int,
         uint64_t, bool)
EXT_WRAP(void, xnanosleep_no_quiesce, uint64_t)
EXT_WRAP(void, seq_destroy, struct seq *)
EXT_WRAP(int, netdev_register_flow_api_provider,
         const struct netdev_flow_api *)
EXT_WRAP(struct rte_flow *, netdev_dpdk_rte_flow_create, struct netdev *,
         const struct rte_flow_attr *, const struct rte_flow_item *,
         const struct rte_flow_action *, struct rte_flow_error *)
EXT_WRAP(int, netdev_reconfigure, struct netdev *)
EXT_WRAP(void, ovsdb_idl_omit, struct ovsdb_idl *,
         const struct ovsdb_idl_column *)
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
    ext_received_func *received;
    ext_rxq_recv_func *hook;
    int error;

    EXT_HOOK(rxq_recv, &hook);
    EXT_HOOK(received, &received);
    if (OVS_LIKELY(!received)) {
        return (OVS_LIKELY(!hook)
                ? __real_netdev_rxq_recv(rx, batch, qfill)
                : hook(rx, batch, qfill));
    }
    error = (hook
             ? hook(rx, batch, qfill)
             : __real_netdev_rxq_recv(rx, batch, qfill));
    if (!error) {
        received(rx, batch);
    }
    return error;
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

void
__wrap_xnanosleep_no_quiesce(uint64_t nanoseconds)
{
    ext_sleep_func *hook;

    EXT_HOOK(sleep, &hook);
    if (hook) {
        hook(nanoseconds);
    } else {
        __real_xnanosleep_no_quiesce(nanoseconds);
    }
}

void
ext_real_sleep(uint64_t nanoseconds)
{
    __real_xnanosleep_no_quiesce(nanoseconds);
}

void
__wrap_pmd_perf_end_iteration(struct pmd_perf_stats *stats, int rx_packets,
                              int tx_packets, uint64_t sleep_cycles,
                              bool full_metrics)
{
    ext_taken_func *hook;

    EXT_HOOK(taken, &hook);
    if (OVS_UNLIKELY(hook)) {
        rx_packets += hook();
    }
    __real_pmd_perf_end_iteration(stats, rx_packets, tx_packets, sleep_cycles,
                                  full_metrics);
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
    ext_translate_func *translate;
    ext_upcall_func *hook;
    bool noted = true;
    int error;

    EXT_HOOK(translate, &translate);
    error = (OVS_LIKELY(!translate)
             ? upcall->cb(packet, flow, ufid, pmd_id, type, userdata, actions,
                          wc, put_actions, upcall->aux)
             : translate(packet, flow, ufid, pmd_id, type, userdata, actions,
                         wc, put_actions, upcall->cb, upcall->aux, &noted));
    if (OVS_UNLIKELY(translate) && !error && type == DPIF_UC_MISS
        && ext_ufid_is_ours(ufid)) {
        ext_flows_added(1);
    }
    EXT_HOOK(upcall, &hook);
    if (OVS_UNLIKELY(hook) && !error && type == DPIF_UC_MISS && noted) {
        hook(packet, flow, wc, ufid, pmd_id);
    }
    return error;
}

/* A PMD thread carries out "tnl_pop" and "tnl_push" to the ports for which
 * this is true.  Only dpif-netdev asks.  True for all, so that the hooks 'pop'
 * and 'push' can be set while threads run; without them
 * __wrap_netdev_pop_header() and __wrap_netdev_push_header() do as stock
 * would. */
bool
__wrap_netdev_has_tunnel_push_pop(const struct netdev *netdev OVS_UNUSED)
{
    return true;
}

void
__wrap_netdev_pop_header(struct netdev *netdev, struct dp_packet_batch *batch)
{
    ext_pop_func *hook;

    EXT_HOOK(pop, &hook);
    if (OVS_UNLIKELY(hook)) {
        hook(netdev, batch);
    } else {
        ext_real_pop_header(netdev, batch);
    }
}

/* Pops the header of a tunnel.  To a port that is none, a packet is dropped,
 * as without us. */
void
ext_real_pop_header(struct netdev *netdev, struct dp_packet_batch *batch)
{
    if (OVS_LIKELY(__real_netdev_has_tunnel_push_pop(netdev))) {
        __real_netdev_pop_header(netdev, batch);
    } else {
        dp_packet_delete_batch(batch, true);
        dp_packet_batch_init(batch);
    }
}

/* Pushes the header of a tunnel.  A port that is none has no function for
 * that.  Packets to one are the hook's, or, if the flow names it because the
 * number was a tunnel's before, for the caller to drop, as without us. */
int
__wrap_netdev_push_header(const struct netdev *netdev,
                          struct dp_packet_batch *batch,
                          const struct ovs_action_push_tnl *data)
{
    if (OVS_UNLIKELY(!__real_netdev_has_tunnel_push_pop(netdev))) {
        ext_push_func *hook;

        EXT_HOOK(push, &hook);
        return hook ? hook(batch) : EINVAL;
    }
    return __real_netdev_push_header(netdev, batch, data);
}

/* END PMD-THREAD CODE */

void
__wrap_dpif_operate(struct dpif *dpif, struct dpif_op **ops, size_t n,
                    enum dpif_offload_type offload)
{
    ext_dpif_operate_func *hook;

    EXT_HOOK(dpif_operate, &hook);
    (hook ? hook : __real_dpif_operate)(dpif, ops, n, offload);
}

int
__wrap_dpif_flow_dump_next(struct dpif_flow_dump_thread *thread,
                           struct dpif_flow *flows, int max)
{
    ext_flow_dump_func *hook;

    EXT_HOOK(flow_dump, &hook);
    return (hook ? hook : __real_dpif_flow_dump_next)(thread, flows, max);
}

struct dpif_flow_dump *
__wrap_dpif_flow_dump_create(const struct dpif *dpif, bool terse,
                             struct dpif_flow_dump_types *types)
{
    ext_flows_dump_begin(dpif);
    return __real_dpif_flow_dump_create(dpif, terse, types);
}

int
__wrap_dpif_flow_dump_destroy(struct dpif_flow_dump *dump)
{
    ext_flows_dump_end(dump->dpif);
    return __real_dpif_flow_dump_destroy(dump);
}

int
__wrap_dpif_get_dp_stats(const struct dpif *dpif, struct dpif_dp_stats *stats)
{
    int error = __real_dpif_get_dp_stats(dpif, stats);

    if (!error) {
        ext_flows_stats(dpif, stats);
    }
    return error;
}

int
__wrap_dpif_flow_get(struct dpif *dpif, const struct nlattr *key,
                     size_t key_len, const ovs_u128 *ufid,
                     const unsigned pmd_id, struct ofpbuf *buf,
                     struct dpif_flow *flow)
{
    ext_flow_get_func *hook;
    int error;

    error = __real_dpif_flow_get(dpif, key, key_len, ufid, pmd_id, buf, flow);
    EXT_HOOK(flow_get, &hook);
    if (hook && !error) {
        hook(flow);
    }
    return error;
}

int
__wrap_dpif_port_add(struct dpif *dpif, struct netdev *netdev,
                     odp_port_t *port_nop)
{
    ext_port_number_func *hook;

    EXT_HOOK(port_number, &hook);
    if (hook && port_nop && *port_nop == ODPP_NONE) {
        *port_nop = hook(dpif);
    }
    return __real_dpif_port_add(dpif, netdev, port_nop);
}

int
__wrap_dpif_port_del(struct dpif *dpif, odp_port_t port_no, bool local_delete)
{
    ext_port_del_func *hook;

    EXT_HOOK(port_del, &hook);
    if (hook) {
        hook(dpif, port_no);
    }
    return __real_dpif_port_del(dpif, port_no, local_delete);
}

void
ext_real_dpif_operate(struct dpif *dpif, struct dpif_op **ops, size_t n,
                      enum dpif_offload_type offload)
{
    __real_dpif_operate(dpif, ops, n, offload);
}

int
ext_real_flow_dump(struct dpif_flow_dump_thread *thread,
                   struct dpif_flow *flows, int max)
{
    int n = __real_dpif_flow_dump_next(thread, flows, max);

    ext_flows_dumped(flows, n);
    return n;
}

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
__wrap_pmd_perf_stats_init(struct pmd_perf_stats *stats)
{
    ext_pmd_init_func *hook;

    __real_pmd_perf_stats_init(stats);
    EXT_HOOK(pmd_init, &hook);
    if (hook) {
        hook(stats);
    }
}

void
__wrap_seq_destroy(struct seq *seq)
{
    ext_seq_destroy_func *hook;

    EXT_HOOK(seq_destroy, &hook);
    if (hook) {
        hook(seq);
    }
    __real_seq_destroy(seq);
}

int
__wrap_netdev_register_flow_api_provider(const struct netdev_flow_api *api)
{
    return __real_netdev_register_flow_api_provider(ext_flow_api(api));
}

struct rte_flow *
__wrap_netdev_dpdk_rte_flow_create(struct netdev *netdev,
                                   const struct rte_flow_attr *attr,
                                   const struct rte_flow_item *items,
                                   const struct rte_flow_action *actions,
                                   struct rte_flow_error *error)
{
    ext_rte_flow_create_func *hook;

    EXT_HOOK(rte_flow_create, &hook);
    return (hook
            ? hook(netdev, attr, items, actions, error)
            : __real_netdev_dpdk_rte_flow_create(netdev, attr, items, actions,
                                                 error));
}

struct rte_flow *
ext_real_rte_flow_create(struct netdev *netdev,
                         const struct rte_flow_attr *attr,
                         const struct rte_flow_item *items,
                         const struct rte_flow_action *actions,
                         struct rte_flow_error *error)
{
    return __real_netdev_dpdk_rte_flow_create(netdev, attr, items, actions,
                                              error);
}

int
__wrap_netdev_reconfigure(struct netdev *netdev)
{
    ext_reconfigure_func *hook;
    int error;

    EXT_HOOK(reconfigure, &hook);
    if (hook) {
        hook(netdev, true);
    }
    error = __real_netdev_reconfigure(netdev);
    if (hook) {
        hook(netdev, false);
    }
    return error;
}

void
__wrap_ovsdb_idl_omit(struct ovsdb_idl *idl,
                      const struct ovsdb_idl_column *column)
{
    ext_omit_func *hook;

    EXT_HOOK(omit_column, &hook);
    if (hook && hook(idl, column)) {
        ovsdb_idl_omit_alert(idl, column);
    } else {
        __real_ovsdb_idl_omit(idl, column);
    }
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
