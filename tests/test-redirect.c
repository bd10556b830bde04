/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Stress for what redirection shares between PMD threads, revalidators, the
 * agent and the main thread: the table of rules, contexts and their numbers,
 * flows, the clock.  Whatever changes, a packet that comes to its end is what
 * it was when it came in, and in the end nothing is left. */

#include <config.h>

#include "tests/test-redirect-dp.h"

#include <unistd.h>

#include "openvswitch/dynamic-string.h"
#include "openvswitch/vlog.h"
#include "ovs-ext/core/ext-rng.h"
#include "ovs-rcu.h"
#include "tests/test-util.h"
#include "timeval.h"

enum { SECONDS = 3, N_VLANS = 3 };

static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP };

static ATOMIC(bool) stop;
static struct dp_counts counts[DP_PMDS];

static bool
stopping(void)
{
    bool s;

    atomic_read_relaxed(&stop, &s);
    return s;
}

static void *
pmd_thread(void *aux)
{
    unsigned int pmd = (uintptr_t) aux;
    struct dp_counts *c = &counts[pmd];
    struct ext_rng rng;

    ext_rng_init_stream(&rng, 1, pmd);
    while (!stopping()) {
        struct dp_tuple tuple;

        for (int i = 0; i < 32; i++) {
            unsigned int r = ext_rng_range(&rng, 1000);

            if (r == 0) {
                dp_return_garbage(pmd, ext_rng_range(&rng, 4096), c);
            } else if (r < 500) {
                dp_return(pmd, r, c);
            } else {
                memset(&tuple, 0, sizeof tuple);
                tuple.port = 1 + ext_rng_range(&rng, DP_PORTS);
                tuple.proto = protos[ext_rng_range(&rng, ARRAY_SIZE(protos))];
                tuple.vid = ext_rng_range(&rng, N_VLANS);
                tuple.mark = ext_rng_range(&rng, 2);
                tuple.priority = ext_rng_range(&rng, 2);
                dp_receive(pmd, &tuple, c);
            }
        }
        ovsrcu_quiesce();
    }
    return NULL;
}

static void
random_rules(struct ext_rng *rng)
{
    struct redirect_rule rules[ARRAY_SIZE(protos) * N_VLANS];
    size_t n = 0;

    memset(rules, 0, sizeof rules);
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        if (ext_rng_range(rng, 2)) {
            struct redirect_rule *r = &rules[n++];

            r->key.id = i % N_VLANS;
            r->key.net = r->key.id ? AFF_NET_VLAN : AFF_NET_UNTAGGED;
            r->key.class = tp_class_from_nw_proto(protos[i / N_VLANS]);
            r->port = u32_to_odp(DP_ACCEL + ext_rng_range(rng, DP_ACCELS));
            r->bypass = !ext_rng_range(rng, 4);
        }
    }
    redirect_set_rules(rules, n);
}

/* No context does what the rules in force do not say. */
static void
check_contexts(void)
{
    const struct redirect_table *table;
    const struct redirect_ctx *ctx;

    ovs_mutex_lock(&redirect_mutex);
    table = redirect_table_get();
    HMAP_FOR_EACH (ctx, node, &redirect_contexts) {
        const struct redirect_rule *rule
            = redirect_rule_find(table, &ctx->profile);

        if (ctx->state == REDIRECT_CTX_ON
            || ctx->state == REDIRECT_CTX_BYPASS) {
            CHECK(rule && rule->port == ctx->key.accel);
            CHECK_EQ(rule->bypass, ctx->state == REDIRECT_CTX_BYPASS);
        }
    }
    ovs_mutex_unlock(&redirect_mutex);
}

/* ext-agent. */
static void *
agent_thread(void *aux OVS_UNUSED)
{
    uint64_t trips = 0, packets, *n_trips = xmalloc(sizeof *n_trips);
    struct ext_rng rng;

    ext_rng_init_stream(&rng, 1, 100);
    while (!stopping()) {
        odp_port_t port = u32_to_odp(DP_ACCEL
                                     + ext_rng_range(&rng, DP_ACCELS));
        struct aff_host_key key = { .class = TP_TCP };
        struct ds ds = DS_EMPTY_INITIALIZER;
        double us;

        if (!ext_rng_range(&rng, 4)) {
            random_rules(&rng);
        }
        check_contexts();
        redirect_tick(time_msec());
        if (!ext_rng_range(&rng, 50)) {
            redirect_expire();
        }
        trips += redirect_clock_read(port, &us);
        if (!ext_rng_range(&rng, 8)) {
            redirect_clock_start(port);
            redirect_probe(port, 2);
        }
        redirect_packets(&key, &packets, 1);
        redirect_is_ready();
        if (!ext_rng_range(&rng, 20)) {
            redirect_format(&ds);
        }
        ds_destroy(&ds);
        ovsrcu_quiesce();
        usleep(ext_rng_range(&rng, 300));
    }
    *n_trips = trips;
    return n_trips;
}

static void *
revalidator_thread(void *aux OVS_UNUSED)
{
    uint64_t seed = 0;

    while (!stopping()) {
        dp_revalidate(&seed);
        ovsrcu_quiesce();
        usleep(50);
    }
    return NULL;
}

static void
set_accelerators(unsigned int bits)
{
    for (int i = 0; i < DP_ACCELS; i++) {
        redirect_set_accelerator(u32_to_odp(DP_ACCEL + i), i ? "b" : "a",
                                 bits & 1u << i);
    }
}

/* What the main thread does while the others run. */
static void
main_thread(struct ext_rng *rng)
{
    switch (ext_rng_range(rng, 8)) {
    case 0:
        set_accelerators(ext_rng_range(rng, 1 << DP_ACCELS));
        break;
    case 1:
        redirect_port_del(&dp_dpif,
                          u32_to_odp(1 + ext_rng_range(rng, DP_PORTS)));
        break;
    case 2:
    case 3:
        dp_purge();
        break;
    default:
        set_accelerators((1 << DP_ACCELS) - 1);
        break;
    }
    redirect_run();
}

/* All that there was goes away when nobody wants it. */
static void *
clear_thread(void *aux OVS_UNUSED)
{
    uint64_t seed = 0;

    for (int i = 0; i < 2; i++) {
        dp_revalidate(&seed);
        redirect_expire();
    }
    return NULL;
}

static void
test_stress(void)
{
    struct dp_counts sum = { 0, 0, 0, 0, 0 };
    pthread_t agent, revalidator, clear, pmds[DP_PMDS];
    struct ext_rng rng;
    long long int end;
    uint64_t *trips;
    void *retval;

    alarm(60);                  /* Threads that wait for each other. */
    ext_rng_init_stream(&rng, 1, 200);
    dp_init();
    redirect_init();
    redirect_set_dpif(&dp_dpif);
    set_accelerators((1 << DP_ACCELS) - 1);
    for (uintptr_t i = 0; i < DP_PMDS; i++) {
        pmds[i] = ovs_thread_create("pmd-c00/id:", pmd_thread, (void *) i);
    }
    agent = ovs_thread_create("ext-agent", agent_thread, NULL);
    revalidator = ovs_thread_create("revalidator", revalidator_thread, NULL);
    for (end = time_msec() + SECONDS * 1000; time_msec() < end; ) {
        main_thread(&rng);
        ovsrcu_quiesce();
        usleep(500);
    }
    atomic_store_relaxed(&stop, true);
    for (int i = 0; i < DP_PMDS; i++) {
        xpthread_join(pmds[i], NULL);
        sum.direct += counts[i].direct;
        sum.served += counts[i].served;
        sum.sent += counts[i].sent;
        sum.returned += counts[i].returned;
        sum.lost += counts[i].lost;
    }
    xpthread_join(agent, &retval);
    trips = retval;
    xpthread_join(revalidator, NULL);

    redirect_set_rules(&(struct redirect_rule) { .bypass = false }, 0);
    set_accelerators(0);
    clear = ovs_thread_create("revalidator", clear_thread, NULL);
    xpthread_join(clear, NULL);
    CHECK_EQ(dp_count_ours(), 0);
    CHECK(hmap_is_empty(&redirect_contexts));
    printf("%llu direct, %llu served, %llu sent, %llu came back, %llu lost, "
           "%llu timed\n", (unsigned long long int) sum.direct,
           (unsigned long long int) sum.served,
           (unsigned long long int) sum.sent,
           (unsigned long long int) sum.returned,
           (unsigned long long int) sum.lost,
           (unsigned long long int) *trips);
    CHECK(sum.direct > 1000 && sum.served > 1000 && *trips > 0);
    CHECK(sum.lost < sum.sent);
    free(trips);
}

static void
receive(unsigned int pmd, const struct dp_tuple *tuple, unsigned int n)
{
    while (n-- > 0) {
        dp_receive(pmd, tuple, &counts[pmd]);
    }
}

/* Returns how many packets were redirected, as the agent finds out. */
static uint64_t
count(const struct aff_host_key *key)
{
    uint64_t packets;

    for (int i = 0; i < 10; i++) {      /* It looks at some at a time. */
        redirect_tick(time_msec());
    }
    redirect_packets(key, &packets, 1);
    return packets;
}

/* When a PMD thread goes, what it counted stays, and what the others count is
 * not counted twice. */
static void
test_pmd_gone(void)
{
    const struct redirect_rule rule = {
        .key = { .class = TP_TCP }, .port = u32_to_odp(DP_ACCEL),
    };
    struct dpif_flow_stats stats;
    const struct redirect_ctx *ctx;
    struct dp_tuple tuple;
    ovs_u128 ufid;
    struct dpif_op op = {
        .type = DPIF_OP_FLOW_DEL,
        .flow_del = { .ufid = &ufid, .pmd_id = 1, .stats = &stats },
    };
    struct dpif_op *ops[] = { &op };

    dp_init();
    redirect_init();
    redirect_set_dpif(&dp_dpif);
    set_accelerators((1 << DP_ACCELS) - 1);
    redirect_set_rules(&rule, 1);
    memset(&tuple, 0, sizeof tuple);
    tuple.port = 1;
    tuple.proto = IPPROTO_TCP;
    receive(0, &tuple, 10);
    receive(1, &tuple, 20);
    CHECK_EQ(count(&rule.key), 30);

    ovs_mutex_lock(&redirect_mutex);
    CHECK_EQ(hmap_count(&redirect_contexts), 1);
    HMAP_FOR_EACH (ctx, node, &redirect_contexts) {
        redirect_ufid_ours(ctx, true, &ufid);
    }
    ovs_mutex_unlock(&redirect_mutex);
    memset(&stats, 0, sizeof stats);
    ext_real_dpif_operate(&dp_dpif, ops, 1, DPIF_OFFLOAD_AUTO);
    CHECK_EQ(stats.n_packets, 19);      /* One missed. */
    CHECK_EQ(count(&rule.key), 30);
    receive(0, &tuple, 100);
    CHECK_EQ(count(&rule.key), 130);
    receive(1, &tuple, 5);
    CHECK_EQ(count(&rule.key), 135);
}

static const struct test tests[] = {
    { "pmd-gone", test_pmd_gone },
    { "stress", test_stress },
    { NULL, NULL },
};

int
main(int argc, char *argv[])
{
    set_program_name(argv[0]);
    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    return run_tests(tests, argc, argv);
}
