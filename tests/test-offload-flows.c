/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Numbers of ports, and a threaded test of candidates and their rules: offload
 * threads put, modify and delete flows, an agent inserts and evicts rules,
 * revalidators ask for statistics, and the main thread reconfigures and
 * deletes ports, all at random.  Behind stands a provider that fails at times
 * and checks that it is used as Open vSwitch's providers have to be. */

#include <config.h>
#include "tests/test-steering-util.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "datapath-hooks/ext-hooks.h"
#include "datapath-hooks/offload/offload-flow.h"
#include "datapath-hooks/offload/offload-queue.h"
#include "datapath-hooks/offload/offload-rte.h"
#include "datapath-hooks/offload/offload.h"
#include "datapath-hooks/steering/steer.h"
#include "dpif-provider.h"
#include "hash.h"
#include "netdev-offload-provider.h"
#include "netdev-provider.h"
#include "odp-util.h"
#include "openvswitch/match.h"
#include "openvswitch/vlog.h"
#include "ovs-ext/core/ext-rng.h"
#include "ovs-rcu.h"
#include "ovs-thread.h"
#include "smap.h"
#include "timeval.h"

#define N_FLOWS 64
#define N_THREADS 2             /* Offload threads. */
#define SECONDS 2
#define PER_READ 3              /* Packets that a rule matches per reading. */

/* What the real ones do is tested with the NIC model. */
static __thread struct offload_rte_put *current_put;
struct ext_hooks ext_hooks;

enum offload_mode
offload_mode(void)
{
    return OFFLOAD_ON;
}

void
offload_rte_begin(struct offload_rte_put *put, bool count OVS_UNUSED,
                  int target)
{
    CHECK_EQ(target, 1);
    memset(put, 0, sizeof *put);
    current_put = put;
}

int
offload_queue_of(const char *netdev_name OVS_UNUSED,
                 const struct flow *flow OVS_UNUSED,
                 const struct flow_wildcards *wc OVS_UNUSED)
{
    return 1;
}

uint32_t
offload_queue_edition(const char *netdev_name OVS_UNUSED)
{
    return 1;
}

bool
steer_moves_reta(const struct netdev *netdev OVS_UNUSED)
{
    return true;
}

void
offload_rte_end(void)
{
    current_put = NULL;
}

int
offload_counter_read(const struct offload_counter *counter OVS_UNUSED,
                     struct dpif_flow_stats *stats OVS_UNUSED)
{
    OVS_NOT_REACHED();
}

void
offload_counter_destroy(struct offload_counter *counter OVS_UNUSED)
{
    OVS_NOT_REACHED();
}

#ifdef __SANITIZE_THREAD__
/* ThreadSanitizer knows no pthread_mutex_clocklock() (GCC 12), and so
 * would take a mutex that offload_flow_get() has waited for as unlocked. */
int
pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock,
                        const struct timespec *until)
{
    struct timespec now;
    int error;

    while ((error = pthread_mutex_trylock(mutex)) == EBUSY) {
        clock_gettime(clock, &now);
        if (now.tv_sec > until->tv_sec
            || (now.tv_sec == until->tv_sec
                && now.tv_nsec >= until->tv_nsec)) {
            return ETIMEDOUT;
        }
        usleep(10);
    }
    return error;
}
#endif

/* The provider.  Rule 'i' belongs to offload thread i % N_THREADS. */
static struct rule {
    struct ovs_mutex mutex;
    bool in;
    uint32_t mark;
    uint64_t packets;
} rules[N_FLOWS];
static ATOMIC(bool) device_stopped;
static ATOMIC(uint32_t) n_put, n_del, n_fail;

static unsigned int
number(const ovs_u128 *ufid)
{
    return ufid->u32[3];
}

/* The caller has to be the offload thread of the flow. */
static void
check_thread(const ovs_u128 *ufid)
{
    bool stopped;

    CHECK_EQ(netdev_offload_thread_id(),
             netdev_offload_ufid_to_thread_id(*ufid));
    atomic_read(&device_stopped, &stopped);
    CHECK(!stopped);
}

static int
fake_put(struct netdev *netdev OVS_UNUSED, struct match *match,
         struct nlattr *actions OVS_UNUSED, size_t actions_len,
         const ovs_u128 *ufid, struct offload_info *info,
         struct dpif_flow_stats *stats OVS_UNUSED)
{
    struct rule *rule = &rules[number(ufid)];
    uint32_t n;

    check_thread(ufid);
    CHECK_EQ(ntohl(match->flow.nw_src), number(ufid));
    CHECK_EQ(actions_len, 4);
    atomic_add(&n_put, 1, &n);
    if (n % 7 == 0) {
        atomic_add(&n_fail, 1, &n);
        current_put->error = n % 2 ? ENOSPC : EIO;
        return -1;
    }
    ovs_mutex_lock(&rule->mutex);
    CHECK(!rule->in);
    rule->in = true;
    rule->mark = info->flow_mark;
    rule->packets = 0;
    ovs_mutex_unlock(&rule->mutex);
    return 0;
}

static int
fake_del(struct netdev *netdev OVS_UNUSED, const ovs_u128 *ufid,
         struct dpif_flow_stats *stats OVS_UNUSED)
{
    struct rule *rule = &rules[number(ufid)];
    uint32_t n;

    check_thread(ufid);
    atomic_add(&n_del, 1, &n);
    ovs_mutex_lock(&rule->mutex);
    CHECK(rule->in);
    rule->in = false;
    ovs_mutex_unlock(&rule->mutex);
    return 0;
}

static int
fake_get(struct netdev *netdev OVS_UNUSED, struct match *match OVS_UNUSED,
         struct nlattr **actions OVS_UNUSED, const ovs_u128 *ufid,
         struct dpif_flow_stats *stats,
         struct dpif_flow_attrs *attrs OVS_UNUSED,
         struct ofpbuf *buf OVS_UNUSED)
{
    struct rule *rule = &rules[number(ufid)];

    memset(stats, 0, sizeof *stats);
    ovs_mutex_lock(&rule->mutex);
    CHECK(rule->in);
    rule->packets += PER_READ;
    stats->n_packets = rule->packets;
    ovs_mutex_unlock(&rule->mutex);
    return 0;
}

static int
fake_init(struct netdev *netdev OVS_UNUSED)
{
    return 0;
}

static const struct netdev_flow_api fake_api = {
    .type = (char *) "dpdk_flow_api",
    .flow_put = fake_put,
    .flow_del = fake_del,
    .flow_get = fake_get,
    .init_flow_api = fake_init,
};

/* What the threads share. */
static const struct netdev_flow_api *api;
static struct netdev netdev = { .name = (char *) "p0" };
static ATOMIC(bool) stop;
static ovs_u128 ufids[N_FLOWS];
static struct ovs_rwlock port_rwlock;   /* dpif-netdev's. */
static ATOMIC(uint64_t) n_gets;

static bool
stopping(void)
{
    bool s;

    atomic_read(&stop, &s);
    return s;
}

/* Ufids such that flow 'i' belongs to offload thread i % N_THREADS. */
static void
make_ufids(void)
{
    for (uint32_t i = 0; i < N_FLOWS; i++) {
        memset(&ufids[i], 0, sizeof ufids[i]);
        ufids[i].u32[3] = i;
        do {
            ufids[i].u32[0]++;
        } while (netdev_offload_ufid_to_thread_id(ufids[i])
                 != i % N_THREADS);
    }
}

static void
put_flow(uint32_t i, uint32_t mark)
{
    struct offload_info info = { .flow_mark = mark };
    uint32_t actions = mark;
    struct match match;

    match_init_catchall(&match);
    match_set_nw_src(&match, htonl(i));
    CHECK_EQ(api->flow_put(&netdev, &match, (struct nlattr *) &actions, 4,
                           &ufids[i], &info, NULL), 0);
}

/* An offload thread of dpif-netdev, number 'aux'. */
static void *
offload_thread(void *aux)
{
    unsigned int self = (uintptr_t) aux;
    bool have[N_FLOWS] = { false };
    struct ext_rng rng;

    ext_rng_init_stream(&rng, 1, self);
    *netdev_offload_thread_id_get() = self;
    while (!stopping()) {
        uint32_t i = (ext_rng_range(&rng, N_FLOWS / N_THREADS) * N_THREADS
                      + self);

        ovs_rwlock_rdlock(&port_rwlock);
        if (!have[i] || ext_rng_range(&rng, 3)) {
            put_flow(i, i + 1);
            have[i] = true;
        } else {
            /* A flush may have been faster; then it says so. */
            api->flow_del(&netdev, &ufids[i], NULL);
            have[i] = false;
        }
        if (!ext_rng_range(&rng, 500)) {
            api->flow_flush(&netdev);
            for (uint32_t j = self; j < N_FLOWS; j += N_THREADS) {
                ovs_mutex_lock(&rules[j].mutex);
                CHECK(!rules[j].in);
                ovs_mutex_unlock(&rules[j].mutex);
                have[j] = false;
            }
        }
        ovs_rwlock_unlock(&port_rwlock);
        ovsrcu_quiesce();
    }
    for (uint32_t j = self; j < N_FLOWS; j += N_THREADS) {
        if (have[j]) {
            api->flow_del(&netdev, &ufids[j], NULL);
        }
    }
    return NULL;
}

/* Inserts and evicts. */
static void *
agent_thread(void *aux OVS_UNUSED)
{
    struct offload_flow *kept[N_FLOWS] = { NULL };
    struct ext_rng rng;

    ext_rng_init_stream(&rng, 1, 100);
    while (!stopping()) {
        struct offload_port *port = offload_port_find(&netdev);
        uint32_t i = ext_rng_range(&rng, N_FLOWS);
        struct offload_flow *flow;
        unsigned int tid;
        bool dead;

        if (!kept[i] && port && (flow = offload_flow_find(port, &ufids[i]))
            && offload_flow_try_ref(flow)) {
            kept[i] = flow;
        }
        if (kept[i]) {
            flow = kept[i];
            tid = offload_enter(&flow->ufid);
            atomic_read(&flow->dead, &dead);
            if (!dead) {
                if (offload_flow_installed(flow, NULL)) {
                    offload_flow_uninstall(flow);
                } else {
                    offload_flow_install(flow);
                }
            }
            offload_leave(tid);
            if (dead) {
                offload_flow_unref(flow);
                kept[i] = NULL;
            }
        }
        ovsrcu_quiesce();
    }
    for (uint32_t i = 0; i < N_FLOWS; i++) {
        if (kept[i]) {
            offload_flow_unref(kept[i]);
        }
    }
    return NULL;
}

/* A revalidator: what it is told of a flow never goes back. */
static void *
reader_thread(void *aux)
{
    struct ext_rng rng;

    ext_rng_init_stream(&rng, 1, 200 + (uintptr_t) aux);
    while (!stopping()) {
        uint32_t i = ext_rng_range(&rng, N_FLOWS);
        struct dpif_flow_stats stats;
        struct dpif_flow_attrs attrs;
        struct offload_flow *flow;
        uint64_t last = 0, n;

        ovs_rwlock_rdlock(&port_rwlock);
        struct offload_port *port = offload_port_find(&netdev);
        flow = port ? offload_flow_find(port, &ufids[i]) : NULL;
        for (int j = 0; flow && j < 8; j++) {
            offload_flow_get(flow, &stats, &attrs);
            CHECK(stats.n_packets >= last);
            last = stats.n_packets;
            atomic_add(&n_gets, 1, &n);
        }
        ovs_rwlock_unlock(&port_rwlock);
        ovsrcu_quiesce();
    }
    return NULL;
}

static void
enable_offload(void)
{
    struct smap cfg = SMAP_INITIALIZER(&cfg);

    smap_add(&cfg, "hw-offload", "true");
    smap_add_format(&cfg, "n-offload-threads", "%d", N_THREADS);
    netdev_set_flow_api_enabled(&cfg);
    smap_destroy(&cfg);
    CHECK_EQ(netdev_offload_thread_nb(), N_THREADS);
}

static void
reconfigure(void)
{
    offload_enter_all();
    atomic_store(&device_stopped, true);
    usleep(100);
    atomic_store(&device_stopped, false);
    offload_leave_all();
}

static void
test_stress(void)
{
    pthread_t threads[N_THREADS + 3];
    long long int end;
    uint32_t puts, dels, fails, in = 0;
    uint64_t gets;

    enable_offload();
    make_ufids();
    ovs_rwlock_init(&port_rwlock);
    for (int i = 0; i < N_FLOWS; i++) {
        ovs_mutex_init(&rules[i].mutex);
    }
    api = offload_decorate(&fake_api);
    CHECK(api != &fake_api);
    ovsrcu_set(&netdev.flow_api, api);
    CHECK_EQ(api->init_flow_api(&netdev), 0);

    for (uintptr_t i = 0; i < N_THREADS; i++) {
        threads[i] = ovs_thread_create("hw_offload", offload_thread,
                                       (void *) i);
    }
    threads[N_THREADS] = ovs_thread_create("agent", agent_thread, NULL);
    for (uintptr_t i = 0; i < 2; i++) {
        threads[N_THREADS + 1 + i] = ovs_thread_create("reader",
                                                       reader_thread,
                                                       (void *) i);
    }
    for (end = time_msec() + SECONDS * 1000; time_msec() < end; ) {
        ovs_rwlock_wrlock(&port_rwlock);
        reconfigure();
        ovs_rwlock_unlock(&port_rwlock);
        ovsrcu_quiesce();
        usleep(2000);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < N_THREADS + 3; i++) {
        xpthread_join(threads[i], NULL);
    }

    /* Whatever happened, no rule is left behind. */
    atomic_read(&n_put, &puts);
    atomic_read(&n_del, &dels);
    atomic_read(&n_fail, &fails);
    atomic_read(&n_gets, &gets);
    for (int i = 0; i < N_FLOWS; i++) {
        in += rules[i].in;
    }
    CHECK_EQ(in, 0);
    CHECK_EQ(puts - fails, dels);
    CHECK(puts > 1000 && fails > 100 && gets > 1000);
    api->uninit_flow_api(&netdev);
    CHECK(!offload_port_find(&netdev));
    printf("%u inserts, %u failed, %llu readings\n", puts, fails,
           (unsigned long long int) gets);
}

/* Numbers of ports. */

static int
fake_query(const struct dpif *dpif OVS_UNUSED, odp_port_t port_no,
           struct dpif_port *port)
{
    uint32_t n = odp_to_u32(port_no);

    CHECK(!port);
    return n == 2 || n == 5 || n == UINT16_MAX ? 0 : ENODEV;
}

/* A number comes back when all others have been used. */
static void
test_numbers(void)
{
    struct dpif_class class = { .type = "netdev",
                                .port_query_by_number = fake_query };
    struct dpif dpif = { .dpif_class = &class };

    enable_offload();
    CHECK_EQ(offload_port_number(&dpif), ODPP_NONE);
    offload_port_del(u32_to_odp(3));
    CHECK_EQ(offload_port_number(&dpif), u32_to_odp(4));
    offload_port_del(u32_to_odp(4));
    CHECK_EQ(offload_port_number(&dpif), u32_to_odp(6));
    offload_port_del(u32_to_odp(1));
    CHECK_EQ(offload_port_number(&dpif), u32_to_odp(6));

    class.type = "dummy";
    CHECK_EQ(offload_port_number(&dpif), ODPP_NONE);
    class.type = "netdev";
    offload_port_del(u32_to_odp(UINT16_MAX - 1));
    CHECK_EQ(offload_port_number(&dpif), ODPP_NONE);
    offload_port_del(u32_to_odp(1));
    CHECK_EQ(offload_port_number(&dpif), u32_to_odp(3));
}

static const struct test tests[] = {
    { "numbers", test_numbers },
    { "stress", test_stress },
    { NULL, NULL },
};

int
main(int argc, char *argv[])
{
    set_program_name(argv[0]);
    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_WARN);
    return run_tests(tests, argc, argv);
}
