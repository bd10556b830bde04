/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Redirection between revalidators and the datapath: what they see of its
 * flows, and what becomes of their changes. */

#include <config.h>

#include "datapath-hooks/affinity/redirect-impl.h"

#include <string.h>

#include "coverage.h"
#include "datapath-hooks/ext-flows.h"
#include "dpif-provider.h"
#include "netlink.h"
#include "odp-netlink.h"
#include "openvswitch/ofpbuf.h"
#include "timeval.h"
#include "util.h"

COVERAGE_DEFINE(redirect_flow_expired);
COVERAGE_DEFINE(redirect_flow_put_marked);

/* Revalidators write, agent reads: when one last saw a flow that we have not
 * marked, in ms, and how often one saw the end of a dump. */
static ATOMIC(long long int) last_unknown;
static ATOMIC(unsigned int) n_dumps;

long long int
redirect_last_unknown(void)
{
    long long int when;

    atomic_read_relaxed(&last_unknown, &when);
    return when;
}

unsigned int
redirect_n_dumps(void)
{
    unsigned int n;

    atomic_read_relaxed(&n_dumps, &n);
    return n;
}

static bool
is_userspace(const struct dpif *dpif)
{
    const char *type = dpif->dpif_class->type;

    return !strcmp(type, "netdev") || !strcmp(type, "dummy");
}

/* Open vSwitch's "revalidator/purge" deletes flows in the main thread while
 * revalidators run.  A revalidator that has dumped such a flow, but not looked
 * it up yet, then finds that nobody knows it, and warns.  So revalidators hold
 * this from a dump until they come for the next flows, and who deletes flows
 * in another thread waits for those that are at it: they find the flow still
 * known, as one that is being deleted. */
static struct ovs_rwlock dumped_rwlock = OVS_RWLOCK_INITIALIZER;
static __thread bool have_dumped;

/* The calling revalidator is about to dump flows. */
static void
dumped_begin(void)
    OVS_NO_THREAD_SAFETY_ANALYSIS
{
    if (!have_dumped) {
        ovs_rwlock_rdlock(&dumped_rwlock);
        have_dumped = true;
    }
}

/* It is done with those that it dumped. */
static void
dumped_end(void)
    OVS_NO_THREAD_SAFETY_ANALYSIS
{
    if (have_dumped) {
        have_dumped = false;
        ovs_rwlock_unlock(&dumped_rwlock);
    }
}

/* Decides what a revalidator is to think of a flow that it has dumped.
 * Returns false if it is to see nothing of it. */
static bool
judge_flow(struct dpif_flow *f, const struct redirect_table *table)
{
    bool armed = table->n_accels > 0;
    bool expired = false;

    if (!f->ufid_present) {
        return true;
    }
    switch (redirect_ufid_kind(&f->ufid)) {
    case REDIRECT_OURS:
        redirect_flow_check(&f->ufid);
        return false;
    case REDIRECT_SERVED:
        redirect_patch_priority(CONST_CAST(struct nlattr *, f->key),
                                f->key_len, false);
        redirect_patch_priority(CONST_CAST(struct nlattr *, f->mask),
                                f->mask_len, false);
        break;
    case REDIRECT_OTHERS:
        break;
    case REDIRECT_DIRECT:
        expired = !armed || redirect_rule_has_hash(table, f->ufid.u32[2]);
        break;
    case REDIRECT_UNKNOWN:
        expired = armed;
        atomic_store_relaxed(&last_unknown, time_msec());
        break;
    }
    if (expired) {
        COVERAGE_INC(redirect_flow_expired);
        f->stats.used = LLONG_MIN / 2;
    }
    return true;
}

int
redirect_flow_dump(struct dpif_flow_dump_thread *thread,
                   struct dpif_flow *flows, int max)
{
    int n, kept;

    if (!is_userspace(thread->dpif) || !ext_in_revalidator()) {
        return ext_real_flow_dump(thread, flows, max);
    }
    dumped_end();
    dumped_begin();
    do {
        const struct redirect_table *table = redirect_table_get();

        n = ext_real_flow_dump(thread, flows, max);
        kept = 0;
        for (int i = 0; i < n; i++) {
            if (judge_flow(&flows[i], table)) {
                flows[kept++] = flows[i];
            }
        }
    } while (n > 0 && !kept);
    if (!n) {
        unsigned int count;

        dumped_end();
        atomic_add_relaxed(&n_dumps, 1, &count);
    }
    return kept;
}

void
redirect_flow_get(struct dpif_flow *f)
{
    if (f->ufid_present && redirect_ufid_kind(&f->ufid) == REDIRECT_SERVED
        && ext_in_revalidator()) {
        redirect_patch_priority(CONST_CAST(struct nlattr *, f->key),
                                f->key_len, false);
        redirect_patch_priority(CONST_CAST(struct nlattr *, f->mask),
                                f->mask_len, false);
    }
}

/* Makes '*copy' do what 'put', a change to a served flow, is for: the same
 * with the mark in key, mask and actions.  'buf' keeps the memory. */
static void
mark_put(struct dpif_op *copy, const struct dpif_op *op, struct ofpbuf *buf)
{
    const struct dpif_flow_put *put = &op->flow_put;
    struct nlattr *key, *mask, *actions;

    ofpbuf_init(buf, put->key_len + put->mask_len + put->actions_len);
    key = ofpbuf_put(buf, put->key, put->key_len);
    mask = ofpbuf_put(buf, put->mask, put->mask_len);
    actions = ofpbuf_put(buf, put->actions, put->actions_len);
    redirect_patch_priority(key, put->key_len, true);
    redirect_patch_priority(mask, put->mask_len, true);

    *copy = *op;
    copy->flow_put.key = key;
    if (put->mask) {
        copy->flow_put.mask = mask;
    }
    if (put->actions) {
        redirect_mark_actions(actions, put->actions_len);
        copy->flow_put.actions = actions;
    }
    COVERAGE_INC(redirect_flow_put_marked);
}

/* Returns true if 'op' would change a direct flow of a profile that is
 * redirected now.  It must not: the flow is about to be deleted, and until
 * then the datapath may take the outward flow for it, which overlaps. */
static bool
is_put_to_expired(const struct dpif_op *op, const struct redirect_table *table)
{
    const ovs_u128 *ufid = op->flow_put.ufid;

    return (redirect_ufid_kind(ufid) == REDIRECT_DIRECT
            && redirect_rule_has_hash(table, ufid->u32[2]));
}

/* Waits until no revalidator has dumped flows that it has not looked up, if
 * one of 'ops' deletes a flow. */
static void
wait_for_dumped(struct dpif_op **ops, size_t n)
    OVS_NO_THREAD_SAFETY_ANALYSIS
{
    for (size_t i = 0; i < n; i++) {
        if (ops[i]->type == DPIF_OP_FLOW_DEL) {
            ovs_rwlock_wrlock(&dumped_rwlock);
            ovs_rwlock_unlock(&dumped_rwlock);
            return;
        }
    }
}

void
redirect_operate(struct dpif *dpif, struct dpif_op **ops, size_t n,
                 enum dpif_offload_type offload)
{
    const struct redirect_table *table = redirect_table_get();
    struct dpif_op **todo, *copies;
    struct ofpbuf *bufs;
    size_t n_todo = 0;

    if (!is_userspace(dpif)) {
        ext_real_dpif_operate(dpif, ops, n, offload);
        return;
    }
    todo = xmalloc(n * sizeof *todo);
    copies = xmalloc(n * sizeof *copies);
    bufs = xzalloc(n * sizeof *bufs);
    for (size_t i = 0; i < n; i++) {
        struct dpif_op *op = ops[i];

        if (op->type == DPIF_OP_FLOW_PUT && op->flow_put.ufid) {
            if (is_put_to_expired(op, table)) {
                op->error = 0;
                continue;
            } else if (redirect_ufid_kind(op->flow_put.ufid)
                       == REDIRECT_SERVED) {
                mark_put(&copies[i], op, &bufs[i]);
                op = &copies[i];
            }
        }
        todo[n_todo++] = op;
    }
    ext_real_dpif_operate(dpif, todo, n_todo, offload);
    if (!ext_in_revalidator()) {
        wait_for_dumped(ops, n);
    }
    for (size_t i = 0; i < n; i++) {
        if (bufs[i].base) {
            ops[i]->error = copies[i].error;
            ofpbuf_uninit(&bufs[i]);
        }
    }
    free(bufs);
    free(copies);
    free(todo);
}
