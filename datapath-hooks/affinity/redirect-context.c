/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Contexts: where a packet on its detour came from. */

#include <config.h>

#include "datapath-hooks/affinity/redirect-impl.h"

#include <string.h>

#include "hash.h"
#include "openvswitch/vlog.h"
#include "packets.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(redirect_context);

enum {
    CTX_IDLE_MS = 60000,        /* Unused for so long: delete its flows. */
    CTX_GRACE_MS = 60000,       /* Then wait for packets that are late. */
    CTX_PURGE_MS = 300          /* A PMD thread may still install a flow that
                                 * it made before a change. */
};

/* By ID.  Written under 'redirect_mutex', freed by RCU. */
static OVSRCU_TYPE(struct redirect_ctx *) by_id[REDIRECT_MAX_CONTEXTS + 1];

struct hmap redirect_contexts = HMAP_INITIALIZER(&redirect_contexts);
static unsigned int last_id OVS_GUARDED_BY(redirect_mutex);
static uint32_t generation OVS_GUARDED_BY(redirect_mutex);

/* Returns the context, or null.  Any thread, until it quiesces. */
struct redirect_ctx *
redirect_ctx_get(unsigned int id)
{
    return (id && id <= REDIRECT_MAX_CONTEXTS
            ? ovsrcu_get(struct redirect_ctx *, &by_id[id]) : NULL);
}

static struct redirect_ctx *
ctx_find(const struct redirect_ctx_key *key, uint32_t hash)
    OVS_REQUIRES(redirect_mutex)
{
    struct redirect_ctx *ctx;

    HMAP_FOR_EACH_WITH_HASH (ctx, node, hash, &redirect_contexts) {
        if (ctx->state != REDIRECT_CTX_DEAD
            && !memcmp(&ctx->key, key, sizeof *key)) {
            return ctx;
        }
    }
    return NULL;
}

static unsigned int
ctx_free_id(void)
    OVS_REQUIRES(redirect_mutex)
{
    for (unsigned int i = 0; i < REDIRECT_MAX_CONTEXTS; i++) {
        last_id = last_id % REDIRECT_MAX_CONTEXTS + 1;
        if (!redirect_ctx_get(last_id)) {
            return last_id;
        }
    }
    return 0;
}

static struct redirect_ctx *
ctx_create(const struct redirect_ctx_key *key, uint32_t hash,
           const struct aff_host_key *profile, const struct flow_tnl *tunnel)
    OVS_REQUIRES(redirect_mutex)
{
    unsigned int id = ctx_free_id();
    struct redirect_ctx *ctx;

    if (!id) {
        return NULL;
    }
    ctx = xzalloc(sizeof *ctx);
    ctx->id = id;
    ctx->generation = ++generation;
    ctx->key = *key;
    ctx->profile = *profile;
    ctx->has_tunnel = flow_tnl_dst_is_set(&key->tunnel);
    if (ctx->has_tunnel) {
        flow_tnl_copy__(&ctx->tunnel, tunnel);
    }
    atomic_init(&ctx->seen, true);
    hmap_insert(&redirect_contexts, &ctx->node, hash);
    ovsrcu_set(&by_id[id], ctx);
    return ctx;
}

/* What 'table' wants with packets of 'profile' that went by 'accel'. */
static enum redirect_ctx_state
wanted_state(const struct redirect_table *table,
             const struct aff_host_key *profile, odp_port_t accel)
{
    const struct redirect_rule *rule = redirect_rule_find(table, profile);

    return (!rule || rule->port != accel ? REDIRECT_CTX_IDLE
            : rule->bypass ? REDIRECT_CTX_BYPASS : REDIRECT_CTX_ON);
}

/* Returns the context of 'key' for an outward flow of 'rule', new if need be,
 * with 'pmd_id' among the PMD threads that use it.  Returns null if there are
 * too many, or with '*stale' true if the rule is not in force any more.
 * 'tunnel' is the metadata to restore.  Called on a miss.
 *
 * What a thread makes of a context that it obtained before a change of rules,
 * redirect_ctx_apply() undoes; hence the look at the rules in force. */
struct redirect_ctx *
redirect_ctx_obtain(const struct redirect_ctx_key *key,
                    const struct redirect_rule *rule,
                    const struct flow_tnl *tunnel,
                    unsigned int pmd_id, bool *stale)
{
    enum redirect_ctx_state state = (rule->bypass ? REDIRECT_CTX_BYPASS
                                     : REDIRECT_CTX_ON);
    uint32_t hash = hash_bytes(key, sizeof *key, 0);
    struct redirect_ctx *ctx = NULL;
    size_t i;

    ovs_mutex_lock(&redirect_mutex);
    *stale = wanted_state(redirect_table_get(), &rule->key,
                          key->accel) != state;
    if (*stale) {
        goto out;
    }
    ctx = ctx_find(key, hash);
    if (!ctx) {
        ctx = ctx_create(key, hash, &rule->key, tunnel);
        if (!ctx) {
            goto out;
        }
    }
    ctx->state = state;
    atomic_store_relaxed(&ctx->seen, true);
    ctx->base++;                /* No flow counts a packet that missed. */
    for (i = 0; i < ctx->n_pmds && ctx->pmds[i].id != pmd_id; i++) {
        continue;
    }
    if (i == ctx->n_pmds && i < REDIRECT_CTX_PMDS) {
        ctx->pmds[ctx->n_pmds++].id = pmd_id;
    }
out:
    ovs_mutex_unlock(&redirect_mutex);
    return ctx;
}

static void
ctx_purge(struct redirect_ctx *ctx)
    OVS_REQUIRES(redirect_mutex)
{
    ctx->base += redirect_flow_del(ctx, true);
    ctx->live = 0;
    for (size_t i = 0; i < ctx->n_pmds; i++) {
        ctx->pmds[i].live = 0;
    }
}

/* Puts 'ctx' into the state that 'table' wants. */
void
redirect_ctx_apply(struct redirect_ctx *ctx,
                   const struct redirect_table *table, long long int now)
{
    enum redirect_ctx_state state;

    if (ctx->state == REDIRECT_CTX_DEAD) {
        return;
    }
    state = wanted_state(table, &ctx->profile, ctx->key.accel);
    if (state != ctx->state) {
        ctx->state = state;
        ctx->purge_until = now + CTX_PURGE_MS;
        ctx_purge(ctx);
    }
}

static void
ctx_kill(struct redirect_ctx *ctx)
    OVS_REQUIRES(redirect_mutex)
{
    ctx->state = REDIRECT_CTX_DEAD;
    ctx_purge(ctx);
    redirect_flow_del(ctx, false);
    ctx->last_seen = time_msec();
}

/* Ends all contexts that name 'port', which is about to go. */
void
redirect_ctx_kill_port(odp_port_t port)
{
    struct redirect_ctx *ctx;

    HMAP_FOR_EACH (ctx, node, &redirect_contexts) {
        if (ctx->state != REDIRECT_CTX_DEAD
            && (ctx->key.in_port == port || ctx->key.accel == port)) {
            ctx_kill(ctx);
        }
    }
}

/* Upkeep of 'ctx', which may be freed by RCU. */
void
redirect_ctx_run(struct redirect_ctx *ctx, long long int now)
{
    bool seen;

    if (!redirect_flow_have_dpif()) {
        return;
    }
    atomic_read_relaxed(&ctx->seen, &seen);
    if (ctx->state == REDIRECT_CTX_DEAD) {
        if (now - ctx->last_seen > CTX_GRACE_MS) {
            VLOG_DBG("context %u: freed", (unsigned int) ctx->id);
            hmap_remove(&redirect_contexts, &ctx->node);
            ovsrcu_set(&by_id[ctx->id], NULL);
            ovsrcu_postpone(free, ctx);
        }
        return;
    }
    if (seen) {
        ctx->last_seen = now;
        atomic_store_relaxed(&ctx->seen, false);
    }
    if (now < ctx->purge_until) {
        ctx_purge(ctx);
    } else if (now - ctx->last_seen > CTX_IDLE_MS) {
        ctx_kill(ctx);
    }
}

/* Returns true if the flow with 'ufid', one of ours, is one that its context
 * wants to be there. */
bool
redirect_ctx_owns(const ovs_u128 *ufid)
{
    bool outward;
    const struct redirect_ctx *ctx
        = redirect_ctx_get(redirect_ufid_id(ufid, &outward));
    ovs_u128 own;

    if (!ctx || ctx->state == REDIRECT_CTX_DEAD
        || (outward && ctx->state == REDIRECT_CTX_IDLE)) {
        return false;
    }
    redirect_ufid_ours(ctx, outward, &own);
    return ovs_u128_equals(*ufid, own);
}
