/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* What the steering code runs on in test-steer-moves. */

#include <config.h>

#include "tests/test-steer-moves.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_ring.h>
#include <sched.h>
#include <stdarg.h>
#include <unistd.h>

#include "bitmap.h"
#include "datapath-hooks/ext-hooks.h"
#include "ovs-rcu.h"
#include "seq.h"
#include "timeval.h"

uint64_t fake_seed = 1;
unsigned int fake_n_rxq;
bool fake_has_reta;
unsigned int fake_n_buckets;
ATOMIC(int) fake_refuse;
ATOMIC(bool) fake_refuse_half;
ATOMIC(uint32_t) fake_no_buffers;
steer_ctr64 fake_table_writes;
unsigned int fake_n_sleeps;
uint64_t fake_sleep_ns;
ATOMIC(bool) fake_traffic[STEER_MAX_BUCKETS];
steer_ctr64 fake_window;
struct fake_pmd fake_pmds[FAKE_MAX_PMDS];
uint64_t fake_sent[STEER_MAX_BUCKETS];
uint64_t fake_last[STEER_MAX_BUCKETS];
ATOMIC(uint64_t) fake_n_sent, fake_n_processed;
ATOMIC(uint64_t) fake_n_gaps, fake_n_disorder, fake_n_bad;
ATOMIC(uint64_t) fake_alive;

/* What a packet carries, behind its (empty) headers. */
struct fake_tag {
    uint64_t seq;
    uint32_t bucket;
};
enum { FAKE_TAG_OFS = 32, FAKE_PACKET_LEN = 64 };

/* Between the generator and writers of the table: once a write returns, no
 * packet goes by the old one.  PMD threads never take it. */
static struct ovs_mutex fake_mutex = OVS_MUTEX_INITIALIZER;
static uint16_t fake_table[STEER_MAX_BUCKETS] OVS_GUARDED_BY(fake_mutex);
static struct rte_ring *fake_rings[FAKE_MAX_QUEUES];
static struct netdev fake_netdev;
static struct netdev_rxq fake_rxqs[FAKE_MAX_QUEUES];
static struct netdev_rxq *fake_open[FAKE_MAX_QUEUES];
static pthread_t fake_generator;
static ATOMIC(bool) fake_generator_exit;

void
fake_fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    printf("FAIL: ");
    vprintf(format, args);
    printf("\n  sent %"PRIu64", processed %"PRIu64", gaps %"PRIu64", "
           "out of order %"PRIu64", bad %"PRIu64", alive %"PRIu64"\n",
           fake_get(&fake_n_sent), fake_get(&fake_n_processed),
           fake_get(&fake_n_gaps), fake_get(&fake_n_disorder),
           fake_get(&fake_n_bad), fake_get(&fake_alive));
    va_end(args);
    fflush(stdout);
    _exit(1);
}

uint32_t
fake_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) >> 16;
}

/* Packets. */

void __real_dp_packet_uninit(struct dp_packet *);
void __wrap_dp_packet_uninit(struct dp_packet *);

/* Counts what becomes of packets, whoever frees them. */
void
__wrap_dp_packet_uninit(struct dp_packet *packet)
{
    uint64_t orig;

    atomic_sub_explicit(&fake_alive, 1, &orig, memory_order_relaxed);
    __real_dp_packet_uninit(packet);
}

static struct dp_packet *
fake_packet(uint32_t bucket, uint64_t seq)
{
    struct dp_packet *packet = dp_packet_new(FAKE_PACKET_LEN);
    struct fake_tag tag = { .seq = seq, .bucket = bucket };
    uint8_t *data = dp_packet_put_zeros(packet, FAKE_PACKET_LEN);
    uint32_t hash = bucket;
    uint64_t orig;

    if (!fake_has_reta) {
        hash %= STEER_HANDOFF_BUCKETS;
    }
    memcpy(data + FAKE_TAG_OFS, &tag, sizeof tag);
    dp_packet_set_rss_hash(packet, hash | (uint32_t) seq << 9);
    atomic_add_explicit(&fake_alive, 1, &orig, memory_order_relaxed);
    return packet;
}

/* What processing is here: checks 'packet' and frees it. */
static void
fake_process(struct dp_packet *packet)
{
    struct fake_tag tag;
    uint64_t orig, last;

    memcpy(&tag, (uint8_t *) dp_packet_data(packet) + FAKE_TAG_OFS,
           sizeof tag);
    if (tag.bucket >= STEER_MAX_BUCKETS || !dp_packet_rss_valid(packet)
        || ((dp_packet_get_rss_hash(packet) ^ tag.bucket)
            & (fake_has_reta ? fake_n_buckets - 1
               : STEER_HANDOFF_BUCKETS - 1))) {
        atomic_add_explicit(&fake_n_bad, 1, &orig, memory_order_relaxed);
    } else {
        last = fake_last[tag.bucket];
        if (tag.seq <= last) {
            atomic_add_explicit(&fake_n_disorder, 1, &orig,
                                memory_order_relaxed);
        } else {
            fake_last[tag.bucket] = tag.seq;
            atomic_add_explicit(&fake_n_gaps, tag.seq - last - 1, &orig,
                                memory_order_relaxed);
        }
    }
    dp_packet_delete(packet);
    atomic_add_explicit(&fake_n_processed, 1, &orig, memory_order_release);
}

/* The NIC. */

static int
fake_get_numa_id(const struct netdev *netdev OVS_UNUSED)
{
    return 0;
}

static const struct netdev_class fake_class = {
    .type = "fake",
    .is_pmd = true,
    .get_numa_id = fake_get_numa_id,
};

int
ext_real_n_rxq(const struct netdev *netdev OVS_UNUSED)
{
    return fake_n_rxq;
}

int
ext_real_rxq_open(struct netdev *netdev, struct netdev_rxq **rxp, int id)
{
    fake_rxqs[id].netdev = netdev;
    fake_rxqs[id].queue_id = id;
    *rxp = &fake_rxqs[id];
    return 0;
}

int
ext_real_rxq_recv(struct netdev_rxq *rx, struct dp_packet_batch *batch,
                  int *qfill)
{
    uint32_t no_buffers;
    unsigned int left, n = 0;

    CHECK(rx->queue_id < fake_n_rxq);
    atomic_read_relaxed(&fake_no_buffers, &no_buffers);
    if (!(no_buffers & 1u << rx->queue_id)) {
        n = rte_ring_sc_dequeue_burst(fake_rings[rx->queue_id],
                                      (void **) batch->packets,
                                      NETDEV_MAX_BURST, &left);
    }
    if (!n) {
        return EAGAIN;
    }
    batch->count = n;
    batch->trunc = false;
    if (qfill) {
        *qfill = left;
    }
    return 0;
}

/* Counts sleeps and makes none: all of them are of FAKE_SLEEP_CYCLES. */
void
ext_real_sleep(uint64_t nanoseconds)
{
    uint64_t since = rte_rdtsc();

    while (rte_rdtsc() - since < FAKE_SLEEP_CYCLES) {
        continue;
    }
    fake_n_sleeps++;
    fake_sleep_ns = nanoseconds;
}

bool
steer_dev_has_reta(const struct netdev *netdev OVS_UNUSED,
                   uint16_t *dpdk_port, uint32_t *size)
{
    if (fake_has_reta && dpdk_port) {
        *dpdk_port = 0;
        *size = fake_n_buckets;
    }
    return fake_has_reta;
}

int
steer_dev_get_reta(uint16_t dpdk_port OVS_UNUSED, uint16_t *owner, uint32_t n)
{
    ovs_mutex_lock(&fake_mutex);
    memcpy(owner, fake_table, n * sizeof *owner);
    ovs_mutex_unlock(&fake_mutex);
    return 0;
}

int
steer_dev_set_reta(uint16_t dpdk_port OVS_UNUSED, const uint16_t *owner,
                   uint32_t n, const unsigned long *changed)
{
    int refuse, written = 0;
    bool half;

    steer_ctr64_add(&fake_table_writes, 1);
    atomic_read(&fake_refuse, &refuse);
    atomic_read(&fake_refuse_half, &half);
    if (refuse) {
        atomic_store(&fake_refuse, refuse - 1);
    }
    ovs_mutex_lock(&fake_mutex);
    for (uint32_t b = 0; b < n; b++) {
        if (bitmap_is_set(changed, b)
            && (!refuse || (half && written++ % 2))) {
            fake_table[b] = owner[b];
        }
    }
    ovs_mutex_unlock(&fake_mutex);
    return refuse ? EIO : 0;
}

uint16_t
steer_dev_ring_size(const struct netdev *netdev OVS_UNUSED,
                    uint16_t dpdk_port OVS_UNUSED)
{
    return FAKE_RING;
}

int
steer_dev_rxq_depth(const struct steer_rxq *q)
{
    return rte_ring_count(fake_rings[q->queue_id]);
}

bool
steer_dev_rxq_has_packets(const struct steer_rxq *q)
{
    return rte_ring_count(fake_rings[q->queue_id]) > 0;
}

bool
steer_dev_arrival(const struct dp_packet *packet OVS_UNUSED,
                  uint64_t *tsc OVS_UNUSED)
{
    return false;
}

uint16_t
fake_reta(uint32_t bucket)
{
    uint16_t queue;

    ovs_mutex_lock(&fake_mutex);
    queue = fake_table[bucket];
    ovs_mutex_unlock(&fake_mutex);
    return queue;
}

uint64_t
fake_depth(unsigned int queue)
{
    return rte_ring_count(fake_rings[queue]);
}

static void
fake_netdev_init(void)
{
    fake_netdev.name = CONST_CAST(char *, "fake0");
    fake_netdev.netdev_class = &fake_class;
    fake_netdev.ref_cnt = 1;
    fake_netdev.reconfigure_seq = seq_create();
    for (size_t i = 0; i < FAKE_MAX_QUEUES; i++) {
        fake_rings[i] = xzalloc_cacheline(rte_ring_get_memsize(FAKE_RING));
        CHECK(!rte_ring_init(fake_rings[i], "fake", FAKE_RING,
                             RING_F_SP_ENQ | RING_F_SC_DEQ));
    }
}

/* Opens all queues, as dpif-netdev does, and makes the port ready. */
struct steer_port *
fake_port_open(void)
{
    struct steer_port *port;

    if (!fake_netdev.name) {
        fake_netdev_init();
    }
    ovs_mutex_lock(&fake_mutex);
    for (size_t b = 0; b < STEER_MAX_BUCKETS; b++) {
        fake_table[b] = (fake_has_reta ? b % fake_n_rxq
                         : b / STEER_HANDOFF_BUCKETS % fake_n_rxq);
    }
    ovs_mutex_unlock(&fake_mutex);
    for (int id = 0; id < steer_n_rxq(&fake_netdev); id++) {
        CHECK(!steer_rxq_open(&fake_netdev, &fake_open[id], id));
    }
    ovs_mutex_lock(&steer_mutex);
    CHECK(!ovs_list_is_empty(&steer_ports));
    port = CONTAINER_OF(ovs_list_front(&steer_ports), struct steer_port,
                        node);
    if (port->mech != STEER_MECH_NONE) {
        CHECK(steer_port_ready(port));
    }
    ovs_mutex_unlock(&steer_mutex);
    return port;
}

/* Closes all queues and empties the NIC's.  No PMD thread polls one. */
void
fake_port_close(void)
{
    for (int id = 0; id < FAKE_MAX_QUEUES; id++) {
        void *packet;

        if (fake_open[id]) {
            bool ours = id >= fake_n_rxq;

            CHECK(steer_rxq_close(fake_open[id]) == ours);
            fake_open[id] = NULL;
        }
        while (!rte_ring_sc_dequeue(fake_rings[id], &packet)) {
            dp_packet_delete(packet);
        }
    }
    CHECK(fake_netdev.ref_cnt == 1);
}

/* The generator. */

static bool
fake_put(unsigned int queue, uint32_t bucket, uint64_t seq)
    OVS_REQUIRES(fake_mutex)
{
    uint64_t orig;

    if (!rte_ring_free_count(fake_rings[queue])) {
        return false;
    }
    atomic_add_explicit(&fake_n_sent, 1, &orig, memory_order_relaxed);
    CHECK(!rte_ring_sp_enqueue(fake_rings[queue], fake_packet(bucket, seq)));
    return true;
}

void
fake_inject(unsigned int queue, uint32_t bucket, uint64_t seq)
{
    ovs_mutex_lock(&fake_mutex);
    CHECK(fake_put(queue, bucket, seq));
    fake_sent[bucket] = MAX(fake_sent[bucket], seq);
    ovs_mutex_unlock(&fake_mutex);
}

void
fake_send(uint32_t bucket, unsigned int n)
{
    ovs_mutex_lock(&fake_mutex);
    while (n--) {
        CHECK(fake_put(fake_table[bucket], bucket, ++fake_sent[bucket]));
    }
    ovs_mutex_unlock(&fake_mutex);
}

static void *
fake_generator_main(void *seed_)
{
    uint64_t *random = seed_;
    bool quit;

    do {
        unsigned int n = 0;

        ovs_mutex_lock(&fake_mutex);
        for (int i = 0; i < 32; i++) {
            uint32_t b = fake_random(random) % fake_n_buckets;
            bool traffic;

            atomic_read(&fake_traffic[b], &traffic);
            if (traffic
                && (fake_get(&fake_n_sent) - fake_get(&fake_n_processed)
                    < steer_ctr64_get(&fake_window))
                && fake_put(fake_table[b], b, fake_sent[b] + 1)) {
                fake_sent[b]++;
                n++;
            }
        }
        ovs_mutex_unlock(&fake_mutex);
        if (n < 16) {
            sched_yield();
        }
        ovsrcu_quiesce();
        atomic_read(&fake_generator_exit, &quit);
    } while (!quit);
    free(random);
    return NULL;
}

void
fake_generator_start(void)
{
    uint64_t *random = xmalloc(sizeof *random);

    *random = fake_seed + 77;
    atomic_store(&fake_generator_exit, false);
    fake_generator = ovs_thread_create("generator", fake_generator_main,
                                       random);
}

void
fake_generator_stop(void)
{
    atomic_store(&fake_generator_exit, true);
    xpthread_join(fake_generator, NULL);
}

/* PMD threads. */

static bool
fake_pmd_poll(struct fake_pmd *pmd, unsigned int queue)
{
    struct dp_packet_batch batch;
    uint32_t slow_usec;

    dp_packet_batch_init(&batch);
    if (steer_rxq_recv(fake_open[queue], &batch, NULL)) {
        return false;
    }
    atomic_read_relaxed(&pmd->slow_usec, &slow_usec);
    if (slow_usec) {
        xnanosleep(slow_usec * 1000);
    } else if (!(fake_random(&pmd->random) % 64)) {
        sched_yield();      /* Between receiving and processing. */
    }
    for (size_t i = 0; i < batch.count; i++) {
        fake_process(batch.packets[i]);
    }
    return true;
}

static void *
fake_pmd_main(void *pmd_)
{
    struct fake_pmd *pmd = pmd_;
    uint32_t queues = 0;
    bool quit, stall;

    do {
        uint32_t seq, ack;
        bool any = false;

        atomic_read_explicit(&pmd->seq, &seq, memory_order_acquire);
        atomic_read_relaxed(&pmd->ack, &ack);
        if (seq != ack) {
            atomic_read_relaxed(&pmd->queues, &queues);
            atomic_store_explicit(&pmd->ack, seq, memory_order_release);
        }
        for (unsigned int i = 0; i < FAKE_MAX_QUEUES; i++) {
            any |= queues & (1u << i) && fake_pmd_poll(pmd, i);
        }
        ovsrcu_quiesce();
        if (!any) {
            sched_yield();
        }
        atomic_read_relaxed(&pmd->stall, &stall);
        atomic_store_relaxed(&pmd->stalled, stall);
        atomic_read_relaxed(&pmd->exit, &quit);
        while (stall && !quit) {
            xnanosleep(50000);
            atomic_read_relaxed(&pmd->stall, &stall);
            atomic_read_relaxed(&pmd->exit, &quit);
        }
    } while (!quit);
    return NULL;
}

void
fake_pmd_start(unsigned int id, uint32_t queues)
{
    struct fake_pmd *pmd = &fake_pmds[id];
    uint32_t seq;
    char name[16];

    CHECK(!pmd->running);
    pmd->running = true;
    pmd->random = fake_seed + id;
    atomic_store_relaxed(&pmd->exit, false);
    atomic_store_relaxed(&pmd->stall, false);
    atomic_store_relaxed(&pmd->stalled, false);
    atomic_store_relaxed(&pmd->queues, queues);
    atomic_read_relaxed(&pmd->ack, &seq);
    atomic_store_relaxed(&pmd->seq, seq + 1);
    snprintf(name, sizeof name, "pmd-c%02u/id:", id);
    pmd->thread = ovs_thread_create(name, fake_pmd_main, pmd);
}

void
fake_pmd_stop(unsigned int id)
{
    struct fake_pmd *pmd = &fake_pmds[id];

    if (pmd->running) {
        atomic_store_relaxed(&pmd->exit, true);
        xpthread_join(pmd->thread, NULL);
        pmd->running = false;
    }
}

void
fake_pmds_stop(void)
{
    for (unsigned int i = 0; i < FAKE_MAX_PMDS; i++) {
        fake_pmd_stop(i);
    }
}

static bool
fake_pmd_acked(struct fake_pmd *pmd, uint32_t seq)
{
    uint32_t ack;

    atomic_read_explicit(&pmd->ack, &ack, memory_order_acquire);
    return ack == seq;
}

/* Changes what 'id' polls, with a barrier, as a reload has one. */
void
fake_pmd_set_queues(unsigned int id, uint32_t queues)
{
    struct fake_pmd *pmd = &fake_pmds[id];
    uint32_t seq;

    atomic_read_relaxed(&pmd->seq, &seq);
    atomic_store_relaxed(&pmd->queues, queues);
    atomic_store_explicit(&pmd->seq, ++seq, memory_order_release);
    WAIT_UNTIL(fake_pmd_acked(pmd, seq));
}

static bool
fake_pmd_is_stalled(struct fake_pmd *pmd)
{
    bool stalled;

    atomic_read_relaxed(&pmd->stalled, &stalled);
    return stalled;
}

void
fake_pmd_stall(unsigned int id, bool stall)
{
    atomic_store_relaxed(&fake_pmds[id].stall, stall);
    WAIT_UNTIL(fake_pmd_is_stalled(&fake_pmds[id]) == stall);
}
