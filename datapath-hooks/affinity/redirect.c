/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* The control side of the redirection: accelerators and rules. */

#include <config.h>

#include "datapath-hooks/affinity/redirect.h"

#include <string.h>

#include "datapath-hooks/affinity/redirect-impl.h"
#include "datapath-hooks/ext-chain.h"
#include "ofproto/ofproto-dpif.h"
#include "ofproto/ofproto-dpif-upcall.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/shash.h"
#include "openvswitch/vlog.h"
#include "seq.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(redirect);

struct ovs_mutex redirect_mutex = OVS_MUTEX_INITIALIZER;

static OVSRCU_TYPE(struct redirect_table *) current_table;

/* As last given. */
static struct redirect_rule rules[REDIRECT_MAX_RULES]
    OVS_GUARDED_BY(redirect_mutex);
static size_t n_rules OVS_GUARDED_BY(redirect_mutex);
static struct accelerator {
    odp_port_t port;
    char *name;
} accels[REDIRECT_MAX_ACCELERATORS] OVS_GUARDED_BY(redirect_mutex);
static size_t n_accels OVS_GUARDED_BY(redirect_mutex);

/* When the first accelerator came, in ms, and the dumps by then. */
static long long int armed_at OVS_GUARDED_BY(redirect_mutex);
static unsigned int armed_dumps OVS_GUARDED_BY(redirect_mutex);

/* Contexts whose flows are looked after before others, such as a thread with a
 * miss, get the mutex; and ticks, of 100 ms, in which the counters of all are
 * read once. */
enum { TICK_CONTEXTS = 16, TICK_ROUNDS = 10 };

/* Contexts that are summed up before others get the mutex. */
enum { SUM_CONTEXTS = 256 };

/* Any thread sets, main thread clears: revalidate soon. */
static atomic_bool revalidate_wanted = false;
static struct seq *revalidate_seq;

const struct redirect_table *
redirect_table_get(void)
{
    return ovsrcu_get(struct redirect_table *, &current_table);
}

bool
redirect_is_accelerator(const struct redirect_table *table, odp_port_t port)
{
    for (size_t i = 0; i < table->n_accels; i++) {
        if (table->accels[i] == port) {
            return true;
        }
    }
    return false;
}

const struct redirect_rule *
redirect_rule_find(const struct redirect_table *table,
                   const struct aff_host_key *key)
{
    const struct redirect_table_rule *r;

    HMAP_FOR_EACH_WITH_HASH (r, node, aff_host_key_hash(key), &table->rules) {
        if (aff_host_key_equal(&r->rule.key, key)) {
            return &r->rule;
        }
    }
    return NULL;
}

bool
redirect_rule_has_hash(const struct redirect_table *table, uint32_t hash)
{
    return hash && hmap_first_with_hash(&table->rules, hash);
}

static void
table_destroy(struct redirect_table *table)
{
    struct redirect_table_rule *r;

    HMAP_FOR_EACH_POP (r, node, &table->rules) {
        free(r);
    }
    hmap_destroy(&table->rules);
    free(table);
}

static struct redirect_table *
table_make(void)
    OVS_REQUIRES(redirect_mutex)
{
    struct redirect_table *table = xzalloc(sizeof *table);

    hmap_init(&table->rules);
    for (size_t i = 0; i < n_accels; i++) {
        table->accels[table->n_accels++] = accels[i].port;
    }
    for (size_t i = 0; i < n_rules; i++) {
        if (redirect_is_accelerator(table, rules[i].port)
            && !redirect_rule_find(table, &rules[i].key)) {
            struct redirect_table_rule *r = xmalloc(sizeof *r);

            r->rule = rules[i];
            hmap_insert(&table->rules, &r->node,
                        aff_host_key_hash(&r->rule.key));
        }
    }
    return table;
}

static void
set_hooks(void)
{
    static const struct ext_chain_link link = {
        .translate = redirect_translate,
        .pop = redirect_pop,
        .dpif_operate = redirect_operate,
        .flow_dump = redirect_flow_dump,
        .flow_get = redirect_flow_get,
    };

    /* For good: packets and flows with the mark may be anywhere from now
     * on. */
    ext_chain_set(EXT_CHAIN_INNER, &link);
}

/* Makes the packet path follow 'rules' and 'accels'. */
static void
publish(void)
    OVS_REQUIRES(redirect_mutex)
{
    const struct redirect_table *old = redirect_table_get();
    struct redirect_table *table = table_make();
    long long int now = time_msec();
    struct redirect_ctx *ctx;

    if (table->n_accels && !old->n_accels) {
        armed_at = now;
        armed_dumps = redirect_n_dumps();
    }
    ovsrcu_set(&current_table, table);
    ovsrcu_postpone(table_destroy, CONST_CAST(struct redirect_table *, old));
    if (table->n_accels) {
        set_hooks();
    }
    HMAP_FOR_EACH (ctx, node, &redirect_contexts) {
        redirect_ctx_apply(ctx, table, now);
    }
    atomic_store(&revalidate_wanted, true);
    seq_change(revalidate_seq);
}

static void
remove_accelerator(size_t i)
    OVS_REQUIRES(redirect_mutex)
{
    odp_port_t port = accels[i].port;

    VLOG_INFO("%s: no accelerator any more", accels[i].name);
    free(accels[i].name);
    accels[i] = accels[--n_accels];
    publish();
    redirect_ctx_kill_port(port);
    redirect_flow_del_probe(port);
}

void
redirect_set_accelerator(odp_port_t port, const char *name, bool wanted)
{
    size_t i;

    ovs_mutex_lock(&redirect_mutex);
    for (i = 0; i < n_accels && accels[i].port != port; i++) {
        continue;
    }
    if (i < n_accels && !wanted) {
        remove_accelerator(i);
    } else if (i == n_accels && wanted) {
        if (n_accels < REDIRECT_MAX_ACCELERATORS) {
            VLOG_INFO("%s: accelerator", name);
            accels[n_accels].port = port;
            accels[n_accels++].name = xstrdup(name);
            publish();
        } else {
            VLOG_WARN("%s: not used, there are %d accelerators already", name,
                      REDIRECT_MAX_ACCELERATORS);
        }
    }
    ovs_mutex_unlock(&redirect_mutex);
}

void
redirect_port_del(struct dpif *dpif, odp_port_t port)
{
    ovs_mutex_lock(&redirect_mutex);
    if (!strcmp(dpif_type(dpif), "netdev")
        || !strcmp(dpif_type(dpif), "dummy")) {
        for (size_t i = 0; i < n_accels; i++) {
            if (accels[i].port == port) {
                remove_accelerator(i);
                break;
            }
        }
        redirect_ctx_kill_port(port);
    }
    ovs_mutex_unlock(&redirect_mutex);
}

bool
redirect_find_accelerator(const char *name, odp_port_t *port)
{
    bool found = false;

    ovs_mutex_lock(&redirect_mutex);
    for (size_t i = 0; i < n_accels && !found; i++) {
        if (!strcmp(accels[i].name, name)) {
            *port = accels[i].port;
            found = true;
        }
    }
    ovs_mutex_unlock(&redirect_mutex);
    return found;
}

bool
redirect_is_ready(void)
{
    bool ready;

    ovs_mutex_lock(&redirect_mutex);
    /* Revalidators dump all flows twice a second at least, and have done so
     * since; each flow without our mark that they saw is gone. */
    ready = (n_accels && redirect_n_dumps() - armed_dumps >= 2
             && time_msec() - armed_at >= 700
             && time_msec() - redirect_last_unknown() >= 100);
    if (!ready && n_accels) {
        atomic_store(&revalidate_wanted, true);
        seq_change(revalidate_seq);
    }
    ovs_mutex_unlock(&redirect_mutex);
    return ready;
}

void
redirect_set_rules(const struct redirect_rule *new_rules, size_t n)
{
    ovs_mutex_lock(&redirect_mutex);
    n_rules = MIN(n, REDIRECT_MAX_RULES);
    memcpy(rules, new_rules, n_rules * sizeof *rules);
    publish();
    ovs_mutex_unlock(&redirect_mutex);
}

static void
ctx_count(struct redirect_ctx *ctx)
    OVS_REQUIRES(redirect_mutex)
{
    if (redirect_flow_have_dpif()
        && (ctx->state == REDIRECT_CTX_ON
            || ctx->state == REDIRECT_CTX_BYPASS)) {
        ctx->live = 0;
        for (size_t i = 0; i < ctx->n_pmds; i++) {
            struct redirect_ctx_pmd *pmd = &ctx->pmds[i];
            uint64_t live = redirect_flow_packets(ctx, pmd->id);

            /* A flow may be flushed behind our back, or go with its thread,
             * and come back. */
            ctx->base += live < pmd->live ? pmd->live : 0;
            pmd->live = live;
            ctx->live += live;
        }
    }
}

void
redirect_tick(long long int now)
{
    static unsigned int round;
    unsigned int id = 1;

    round = (round + 1) % TICK_ROUNDS;
    while (id <= REDIRECT_MAX_CONTEXTS) {
        ovs_mutex_lock(&redirect_mutex);
        for (int n = 0; id <= REDIRECT_MAX_CONTEXTS && n < TICK_CONTEXTS;
             id++) {
            struct redirect_ctx *ctx = redirect_ctx_get(id);

            if (ctx) {
                redirect_ctx_run(ctx, now);
                if (id % TICK_ROUNDS == round) {
                    ctx_count(ctx);
                }
                n++;
            }
        }
        ovs_mutex_unlock(&redirect_mutex);
    }
}

/* One of the profiles that are asked for. */
struct profile_sum {
    struct hmap_node node;
    const struct aff_host_key *key;
    uint64_t packets;
};

static void
add_packets(const struct redirect_ctx *ctx, const struct hmap *sums)
    OVS_REQUIRES(redirect_mutex)
{
    struct profile_sum *sum;

    HMAP_FOR_EACH_WITH_HASH (sum, node, aff_host_key_hash(&ctx->profile),
                             sums) {
        if (aff_host_key_equal(&ctx->profile, sum->key)) {
            sum->packets += ctx->base + ctx->live;
        }
    }
}

void
redirect_packets(const struct aff_host_key keys[], uint64_t packets[],
                 size_t n)
{
    struct profile_sum *sums = xcalloc(n, sizeof *sums);
    struct hmap map = HMAP_INITIALIZER(&map);
    unsigned int id = 1;

    for (size_t i = 0; i < n; i++) {
        sums[i].key = &keys[i];
        hmap_insert(&map, &sums[i].node, aff_host_key_hash(&keys[i]));
    }
    while (n && id <= REDIRECT_MAX_CONTEXTS) {
        ovs_mutex_lock(&redirect_mutex);
        for (int m = 0; id <= REDIRECT_MAX_CONTEXTS && m < SUM_CONTEXTS;
             id++) {
            const struct redirect_ctx *ctx = redirect_ctx_get(id);

            if (ctx) {
                add_packets(ctx, &map);
                m++;
            }
        }
        ovs_mutex_unlock(&redirect_mutex);
    }
    for (size_t i = 0; i < n; i++) {
        packets[i] = sums[i].packets;
    }
    hmap_destroy(&map);
    free(sums);
}

void
redirect_expire(void)
{
    ovs_mutex_lock(&redirect_mutex);
    for (unsigned int id = 1; id <= REDIRECT_MAX_CONTEXTS; id++) {
        struct redirect_ctx *ctx = redirect_ctx_get(id);

        if (ctx) {
            redirect_ctx_run(ctx, time_msec() + 3600 * 1000);
        }
    }
    ovs_mutex_unlock(&redirect_mutex);
}

void
redirect_format(struct ds *ds)
{
    static const char *const states[] = { "idle", "on", "bypass", "dead" };
    struct redirect_ctx *ctx;

    ovs_mutex_lock(&redirect_mutex);
    for (size_t i = 0; i < n_accels; i++) {
        ds_put_format(ds, "accelerator %s: port %"PRIu32"\n", accels[i].name,
                      odp_to_u32(accels[i].port));
    }
    for (size_t i = 0; i < n_rules; i++) {
        char network[TP_NETWORK_LEN];

        aff_host_key_network(&rules[i].key, network);
        ds_put_format(ds, "rule %s %s: port %"PRIu32"%s\n", network,
                      tp_class_to_string(rules[i].key.class),
                      odp_to_u32(rules[i].port),
                      rules[i].bypass ? ", bypass" : "");
    }
    HMAP_FOR_EACH (ctx, node, &redirect_contexts) {
        char network[TP_NETWORK_LEN];

        aff_host_key_network(&ctx->profile, network);
        ds_put_format(ds, "context %u %s %s: port %"PRIu32" by %"PRIu32
                      ", %s, %"PRIu64" packets\n", ctx->id, network,
                      tp_class_to_string(ctx->profile.class),
                      odp_to_u32(ctx->key.in_port),
                      odp_to_u32(ctx->key.accel), states[ctx->state],
                      ctx->base + ctx->live);
    }
    ovs_mutex_unlock(&redirect_mutex);
}

void
redirect_init(void)
{
    revalidate_seq = seq_create();
    ovs_mutex_lock(&redirect_mutex);
    ovsrcu_init(&current_table, table_make());
    ovs_mutex_unlock(&redirect_mutex);
}

void
redirect_run(void)
{
    bool wanted;

    atomic_read(&revalidate_wanted, &wanted);
    if (wanted) {
        struct shash_node *node;

        atomic_store(&revalidate_wanted, false);
        SHASH_FOR_EACH (node, &all_dpif_backers) {
            const struct dpif_backer *backer = node->data;

            if (!strcmp(backer->type, "netdev")
                || !strcmp(backer->type, "dummy")) {
                udpif_revalidate(backer->udpif);
            }
        }
    }
}

void
redirect_wait(void)
{
    uint64_t seen = seq_read(revalidate_seq);
    bool wanted;

    atomic_read(&revalidate_wanted, &wanted);
    if (wanted) {
        poll_immediate_wake();
    } else {
        seq_wait(revalidate_seq, seen);
    }
}
