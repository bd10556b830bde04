/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* What stands in for ofproto: translation of packets, ukeys, revalidators. */

#include <config.h>

#include "tests/test-redirect-dp.h"

#include <errno.h>

#include "netlink.h"
#include "ofproto/ofproto-dpif.h"
#include "ofproto/ofproto-dpif-upcall.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/shash.h"
#include "tests/test-util.h"

/* What the redirection calls. */

struct shash all_dpif_backers = SHASH_INITIALIZER(&all_dpif_backers);

void
udpif_revalidate(struct udpif *udpif OVS_UNUSED)
{
}

/* Ukeys. */

struct dp_ukey {
    struct hmap_node node;
    ovs_u128 ufid;
    unsigned int pmd;
    bool evicting;
};
static struct ovs_mutex ukey_mutex = OVS_MUTEX_INITIALIZER;
static struct hmap ukeys OVS_GUARDED_BY(ukey_mutex)
    = HMAP_INITIALIZER(&ukeys);

static struct dp_ukey *
ukey_find(const ovs_u128 *ufid, unsigned int pmd)
    OVS_REQUIRES(ukey_mutex)
{
    struct dp_ukey *ukey;

    HMAP_FOR_EACH_WITH_HASH (ukey, node, ufid->u32[0], &ukeys) {
        if (ukey->pmd == pmd && ovs_u128_equals(ukey->ufid, *ufid)) {
            return ukey;
        }
    }
    return NULL;
}

/* Returns false if there is one. */
static bool
ukey_install(const ovs_u128 *ufid, unsigned int pmd)
{
    bool installed;

    ovs_mutex_lock(&ukey_mutex);
    installed = !ukey_find(ufid, pmd);
    if (installed) {
        struct dp_ukey *ukey = xzalloc(sizeof *ukey);

        ukey->ufid = *ufid;
        ukey->pmd = pmd;
        hmap_insert(&ukeys, &ukey->node, ufid->u32[0]);
    }
    ovs_mutex_unlock(&ukey_mutex);
    return installed;
}

static void
ukey_delete(const ovs_u128 *ufid, unsigned int pmd)
{
    struct dp_ukey *ukey;

    ovs_mutex_lock(&ukey_mutex);
    ukey = ukey_find(ufid, pmd);
    if (ukey) {
        hmap_remove(&ukeys, &ukey->node);
        free(ukey);
    }
    ovs_mutex_unlock(&ukey_mutex);
}

/* Translation. */

int
dp_translate(const struct dp_packet *packet OVS_UNUSED,
             const struct flow *flow, ovs_u128 *ufid, unsigned int pmd_id,
             enum dpif_upcall_type type OVS_UNUSED,
             const struct nlattr *userdata OVS_UNUSED, struct ofpbuf *actions,
             struct flow_wildcards *wc OVS_UNUSED,
             struct ofpbuf *put_actions OVS_UNUSED, void *aux OVS_UNUSED)
{
    CHECK(!(flow->skb_priority & REDIRECT_MARK));
    if (odp_to_u32(flow->in_port.odp_port) < DP_ACCEL) {
        nl_msg_put_odp_port(actions, OVS_ACTION_ATTR_OUTPUT,
                            u32_to_odp(DP_END));
    }
    return ukey_install(ufid, pmd_id) ? 0 : ENOSPC;
}

/* Revalidation. */

/* Finds out whether somebody is deleting the flow already.  ofproto has to
 * know it: who does not is warned of.  (One that is there all the same, after
 * a purge that came while it was installed, is adopted.) */
static bool
acquire(const struct dpif_flow *f)
{
    const struct dp_ukey *ukey;
    bool evicting;

    ovs_mutex_lock(&ukey_mutex);
    ukey = ukey_find(&f->ufid, f->pmd_id);
    evicting = ukey && ukey->evicting;
    ovs_mutex_unlock(&ukey_mutex);
    if (!ukey) {
        CHECK(dp_has_flow(f->pmd_id, &f->ufid));
        ukey_install(&f->ufid, f->pmd_id);
    }
    return !evicting;
}

static void
push_op(struct dpif_op *op)
{
    redirect_operate(&dp_dpif, &op, 1, DPIF_OFFLOAD_AUTO);
}

static void
revalidate_flow(const struct dpif_flow *f, uint64_t *seed)
{
    const struct nlattr *a = nl_attr_find__(f->key, f->key_len,
                                            OVS_KEY_ATTR_PRIORITY);
    struct dpif_op op;

    CHECK(redirect_ufid_kind(&f->ufid) != REDIRECT_OURS);
    CHECK(!(nl_attr_get_u32(a) & REDIRECT_MARK));
    if (!acquire(f)) {
        return;
    } else if (f->stats.used < 0) {
        op = (struct dpif_op) {
            .type = DPIF_OP_FLOW_DEL,
            .flow_del = { .ufid = &f->ufid, .pmd_id = f->pmd_id },
        };
        push_op(&op);
        ukey_delete(&f->ufid, f->pmd_id);
    } else if (!(++*seed % 8)) {
        op = (struct dpif_op) {
            .type = DPIF_OP_FLOW_PUT,
            .flow_put = {
                .flags = DPIF_FP_MODIFY, .ufid = &f->ufid,
                .pmd_id = f->pmd_id, .key = f->key, .key_len = f->key_len,
                .mask = f->mask, .mask_len = f->mask_len,
            },
        };
        push_op(&op);
    }
}

void
dp_revalidate(uint64_t *seed)
{
    struct dp_dump dump = { .up.dpif = &dp_dpif };
    struct dpif_flow flows[DP_DUMP_BATCH];
    int n;

    while ((n = redirect_flow_dump(&dump.up, flows, DP_DUMP_BATCH)) > 0) {
        for (int i = 0; i < n; i++) {
            revalidate_flow(&flows[i], seed);
        }
    }
}

/* In steps, as "revalidator/purge" goes about it. */
void
dp_purge(void)
{
    for (;;) {
        struct dpif_op ops[DP_DUMP_BATCH], *opsp[DP_DUMP_BATCH];
        ovs_u128 ufids[DP_DUMP_BATCH];
        struct dp_ukey *ukey;
        size_t n = 0;

        ovs_mutex_lock(&ukey_mutex);
        HMAP_FOR_EACH (ukey, node, &ukeys) {
            if (!ukey->evicting && n < DP_DUMP_BATCH) {
                ukey->evicting = true;
                ufids[n] = ukey->ufid;
                ops[n] = (struct dpif_op) {
                    .type = DPIF_OP_FLOW_DEL,
                    .flow_del = { .ufid = &ufids[n], .pmd_id = ukey->pmd },
                };
                opsp[n] = &ops[n];
                n++;
            }
        }
        ovs_mutex_unlock(&ukey_mutex);
        if (!n) {
            return;
        }
        redirect_operate(&dp_dpif, opsp, n, DPIF_OFFLOAD_AUTO);
        for (size_t i = 0; i < n; i++) {
            ukey_delete(&ufids[i], ops[i].flow_del.pmd_id);
        }
    }
}
