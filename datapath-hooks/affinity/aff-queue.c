/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Rules in a NIC that have the packets of a profile come in by one queue.
 *
 * A profile takes one rule for IPv4 and one for IPv6.  Classes "other" and
 * those of tunnels have no pattern that netdev-dpdk's NICs agree on, and are
 * refused.  NICs forget rules when their port is reconfigured, so rules are
 * taken back before, when the port's first queue is closed, and made again
 * once its queues are open.
 *
 * A NIC may refuse a rule for a reason that passes, such as a table that is
 * full or firmware that is busy: it is asked again, ever more seldom. */

#include <config.h>

#include "datapath-hooks/affinity/aff-agent.h"

#include <limits.h>
#include <rte_flow.h>
#include <stdio.h>
#include <string.h>

#include "datapath-hooks/affinity/affinity.h"
#include "datapath-hooks/offload/offload.h"
#include "netdev-dpdk.h"
#include "netdev-provider.h"
#include "netdev.h"
#include "openvswitch/list.h"
#include "openvswitch/shash.h"
#include "openvswitch/vlog.h"
#include "packets.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(aff_queue);

enum { N_FAMILIES = 2 };

enum {
    RETRY_MIN = 1000,           /* ms */
    RETRY_MAX = 60000
};

struct queue_rule {
    struct ovs_list node;       /* In 'queue_rules'. */
    struct aff_host_key key;
    char netdev[HRM_NAME_LEN];
    unsigned int queue;
    struct rte_flow *flows[N_FAMILIES]; /* Null where refused or lost. */
    struct netdev *in;          /* That has them, a reference; or null. */
    bool wanted;
    bool tried;
    long long int retry_at;     /* If 'tried' and refused, ms; or never. */
    unsigned int n_refused;     /* In a row. */
    char reason[AFF_REASON_MAX];
};

/* A port with open queues. */
struct queue_port {
    unsigned int n_open;
    bool closing;               /* Some have been closed: no rules. */
};

/* The main thread takes rules away before a port is reconfigured or
 * deleted. */
static struct ovs_mutex queue_mutex = OVS_MUTEX_INITIALIZER;
static struct ovs_list queue_rules OVS_GUARDED_BY(queue_mutex)
    = OVS_LIST_INITIALIZER(&queue_rules);
static struct shash queue_ports OVS_GUARDED_BY(queue_mutex)
    = SHASH_INITIALIZER(&queue_ports);      /* "struct queue_port"s. */

/* Returns true if 'name' is a port that is not about to stop or to go. */
static bool
port_is_up(const char *name)
    OVS_REQUIRES(queue_mutex)
{
    const struct queue_port *port = shash_find_data(&queue_ports, name);

    return port && !port->closing;
}

static bool
make_flow(struct queue_rule *rule, struct netdev *netdev, int family,
          struct rte_flow_error *error)
{
    static const uint8_t protos[TP_N_CLASSES] = {
        [TP_TCP] = IPPROTO_TCP, [TP_UDP] = IPPROTO_UDP,
        [TP_SCTP] = IPPROTO_SCTP, [TP_ESP] = IPPROTO_ESP,
        [TP_ICMP] = IPPROTO_ICMP,
    };
    const struct rte_flow_attr attr = { .ingress = 1 };
    const struct rte_flow_action_queue queue = { .index = rule->queue };
    const struct rte_flow_action actions[] = {
        { .type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &queue },
        { .type = RTE_FLOW_ACTION_TYPE_END },
    };
    struct rte_flow_item_vlan vlan = { .tci = htons(rule->key.id) };
    struct rte_flow_item_vlan vlan_mask = { .tci = htons(VLAN_VID_MASK) };
    struct rte_flow_item_ipv4 ip4, ip4_mask;
    struct rte_flow_item_ipv6 ip6, ip6_mask;
    struct rte_flow_item items[4];
    uint8_t proto = protos[rule->key.class];
    int n = 0;

    memset(items, 0, sizeof items);
    memset(&ip4, 0, sizeof ip4);
    memset(&ip4_mask, 0, sizeof ip4_mask);
    memset(&ip6, 0, sizeof ip6);
    memset(&ip6_mask, 0, sizeof ip6_mask);
    items[n++].type = RTE_FLOW_ITEM_TYPE_ETH;
    if (rule->key.net == AFF_NET_VLAN) {
        items[n].type = RTE_FLOW_ITEM_TYPE_VLAN;
        items[n].spec = &vlan;
        items[n++].mask = &vlan_mask;
    }
    if (!family) {
        ip4.hdr.next_proto_id = proto;
        ip4_mask.hdr.next_proto_id = UINT8_MAX;
        items[n].type = RTE_FLOW_ITEM_TYPE_IPV4;
        items[n].spec = &ip4;
        items[n++].mask = &ip4_mask;
    } else {
        ip6.hdr.proto = proto == IPPROTO_ICMP ? IPPROTO_ICMPV6 : proto;
        ip6_mask.hdr.proto = UINT8_MAX;
        items[n].type = RTE_FLOW_ITEM_TYPE_IPV6;
        items[n].spec = &ip6;
        items[n++].mask = &ip6_mask;
    }
    items[n].type = RTE_FLOW_ITEM_TYPE_END;
    rule->flows[family] = netdev_dpdk_rte_flow_create(netdev, &attr, items,
                                                      actions, error);
    return rule->flows[family] != NULL;
}

/* What has been tried failed in a way that may pass. */
static void
back_off(struct queue_rule *rule)
{
    long long int pause = RETRY_MIN << MIN(rule->n_refused, 6);

    rule->n_refused++;
    rule->retry_at = time_msec() + MIN(pause, RETRY_MAX);
}

static void
make_rule(struct queue_rule *rule)
    OVS_REQUIRES(queue_mutex)
{
    struct rte_flow_error error = { .message = NULL };
    struct netdev *netdev;

    if (!port_is_up(rule->netdev)) {
        snprintf(rule->reason, sizeof rule->reason, "there is no port %s now",
                 rule->netdev);
        return;                 /* Till next time. */
    }
    netdev = netdev_from_name(rule->netdev);
    rule->tried = true;
    rule->retry_at = LLONG_MAX;
    if (rule->key.net == AFF_NET_VNI || rule->key.class == TP_OTHER) {
        snprintf(rule->reason, sizeof rule->reason,
                 "NICs cannot tell that traffic from other");
    } else if (!netdev) {
        snprintf(rule->reason, sizeof rule->reason, "there is no port %s",
                 rule->netdev);
        back_off(rule);
    } else if (strncmp(netdev_get_type(netdev), "dpdk", 4)) {
        snprintf(rule->reason, sizeof rule->reason, "%s is no DPDK port",
                 rule->netdev);
    } else if (rule->queue >= netdev_n_rxq(netdev)) {
        snprintf(rule->reason, sizeof rule->reason, "%s has no queue %u",
                 rule->netdev, rule->queue);
    } else if (!make_flow(rule, netdev, 0, &error)) {
        snprintf(rule->reason, sizeof rule->reason, "%s refuses the rule: %s",
                 rule->netdev, error.message ? error.message : "no reason");
        back_off(rule);
    } else {
        bool both = make_flow(rule, netdev, 1, &error);

        snprintf(rule->reason, sizeof rule->reason, "to queue %u of %s%s",
                 rule->queue, rule->netdev, both ? "" : ", IPv4 only");
        rule->in = netdev;
        rule->n_refused = 0;
        return;
    }
    netdev_close(netdev);
}

/* Takes the rule out of the NIC.  (Not by the port's name, under which a
 * netdev can no longer be found while it is being deleted.) */
static void
unmake_rule(struct queue_rule *rule)
    OVS_REQUIRES(queue_mutex)
{
    for (int i = 0; i < N_FAMILIES; i++) {
        struct rte_flow_error error = { .message = NULL };

        if (rule->flows[i]
            && netdev_dpdk_rte_flow_destroy(rule->in, rule->flows[i],
                                            &error)) {
            VLOG_INFO("%s: cannot take back a rule: %s", rule->netdev,
                      error.message ? error.message : "no reason");
        }
        rule->flows[i] = NULL;
    }
    rule->tried = false;
    rule->n_refused = 0;
    netdev_close(rule->in);
    rule->in = NULL;
}

void
aff_queue_begin(void)
{
    struct queue_rule *rule;

    ovs_mutex_lock(&queue_mutex);
    LIST_FOR_EACH (rule, node, &queue_rules) {
        rule->wanted = false;
    }
    ovs_mutex_unlock(&queue_mutex);
}

/* Wants packets of 'key' to come in by 'queue' of 'netdev'.  Returns true if
 * they do; says how, or why not, in 'reason'. */
bool
aff_queue_want(const struct aff_host_key *key, const char *netdev,
               unsigned int queue, char reason[AFF_REASON_MAX])
{
    struct queue_rule *rule, *found = NULL;
    bool ok;

    ovs_mutex_lock(&queue_mutex);
    LIST_FOR_EACH (rule, node, &queue_rules) {
        if (aff_host_key_equal(&rule->key, key)
            && !strcmp(rule->netdev, netdev)) {
            found = rule;
            break;
        }
    }
    if (found && found->queue != queue) {
        unmake_rule(found);
        found->queue = queue;
    } else if (!found) {
        found = xzalloc(sizeof *found);
        found->key = *key;
        ovs_strlcpy(found->netdev, netdev, sizeof found->netdev);
        found->queue = queue;
        ovs_list_push_back(&queue_rules, &found->node);
    }
    found->wanted = true;
    if (!found->tried || time_msec() >= found->retry_at) {
        make_rule(found);
    }
    ovs_strlcpy(reason, found->reason, AFF_REASON_MAX);
    ok = found->flows[0] != NULL;
    ovs_mutex_unlock(&queue_mutex);
    return ok;
}

/* Tells offload which rules are in force, if that has changed. */
static void
tell_offload(void)
    OVS_REQUIRES(queue_mutex)
{
    static struct offload_queue told[OFFLOAD_MAX_QUEUES];
    static size_t n_told;
    struct offload_queue now[OFFLOAD_MAX_QUEUES];
    const struct queue_rule *rule;
    size_t n = 0;

    memset(now, 0, sizeof now);
    LIST_FOR_EACH (rule, node, &queue_rules) {
        if (rule->flows[0] && n < ARRAY_SIZE(now)) {
            now[n].key = rule->key;
            ovs_strzcpy(now[n].netdev, rule->netdev, sizeof now[n].netdev);
            now[n++].queue = rule->queue;
        }
    }
    if (n != n_told || memcmp(now, told, sizeof now)) {
        memcpy(told, now, sizeof now);
        n_told = n;
        offload_set_queues(now, n);
    }
}

/* Takes back rules that have not been wanted since aff_queue_begin(). */
void
aff_queue_end(void)
{
    struct queue_rule *rule;

    ovs_mutex_lock(&queue_mutex);
    LIST_FOR_EACH_SAFE (rule, node, &queue_rules) {
        if (!rule->wanted) {
            unmake_rule(rule);
            ovs_list_remove(&rule->node);
            free(rule);
        }
    }
    tell_offload();
    ovs_mutex_unlock(&queue_mutex);
}

void
affinity_port_opened(const char *name)
{
    struct queue_port *port;

    ovs_mutex_lock(&queue_mutex);
    port = shash_find_data(&queue_ports, name);
    if (!port) {
        port = xzalloc(sizeof *port);
        shash_add(&queue_ports, name, port);
    }
    port->n_open++;
    ovs_mutex_unlock(&queue_mutex);
}

void
affinity_port_closing(const char *name)
{
    struct queue_port *port;
    struct queue_rule *rule;

    ovs_mutex_lock(&queue_mutex);
    LIST_FOR_EACH (rule, node, &queue_rules) {
        if (!strcmp(rule->netdev, name)) {
            unmake_rule(rule);
        }
    }
    port = shash_find_data(&queue_ports, name);
    if (port) {
        port->closing = true;
        if (!--port->n_open) {
            free(shash_find_and_delete(&queue_ports, name));
        }
    }
    ovs_mutex_unlock(&queue_mutex);
}
