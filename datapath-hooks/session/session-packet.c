/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Sessions in the threads that process packets.
 *
 * A thread claims a set of counters with its first packet and keeps it until
 * it exits; another one then goes on counting there. */

#include <config.h>

#include "datapath-hooks/session/session-dp-impl.h"

#include <errno.h>
#include <string.h>

#include "datapath-hooks/ext-chain.h"
#include "dp-packet.h"
#include "netdev-provider.h"
#include "ovs-ext/core/ext-headers.h"
#include "ovs-ext/core/ext-seqlock.h"
#include "packets.h"
#include "timeval.h"
#include "unaligned.h"
#include "util.h"

BUILD_ASSERT_DECL((int) NETDEV_MAX_BURST <= (int) SESS_BURST);

enum { MAX_THREADS = 64 };

/* Of a thread, or of several one after the other.  That thread writes, any
 * reads. */
struct thread_counts {
    atomic_flag used;
    uint64_t counts[SESS_N_COUNTS];
    struct phc_stats stats;
};

/* The last is for all threads that are too many: not exact. */
static struct thread_counts threads[MAX_THREADS + 1];
static uint64_t target_counts[MAX_THREADS + 1][SESS_MAX_TARGETS];
static pthread_key_t threads_key;
static struct ovsthread_once threads_once = OVSTHREAD_ONCE_INITIALIZER;

static void
thread_exit(void *counts_)
{
    struct thread_counts *counts = counts_;

    atomic_flag_clear(&counts->used);
}

/* Once in a thread's life. */
static struct thread_counts *
thread_claim(void)
{
    if (ovsthread_once_start(&threads_once)) {
        xpthread_key_create(&threads_key, thread_exit);
        ovsthread_once_done(&threads_once);
    }
    for (size_t i = 0; i < MAX_THREADS; i++) {
        if (!atomic_flag_test_and_set(&threads[i].used)) {
            pthread_setspecific(threads_key, &threads[i]);
            return &threads[i];
        }
    }
    return &threads[MAX_THREADS];
}

/* PMD-THREAD CODE */

static inline void
bump(uint64_t *counter, uint64_t n)
{
    if (n) {
        ext_store64(counter, ext_load64(counter) + n);
    }
}

/* The calling thread's counters. */
static inline struct thread_counts *
get_self(void)
{
    static __thread struct thread_counts *self;

    if (OVS_UNLIKELY(!self)) {
        self = thread_claim();
    }
    return self;
}

/* Not those of ICMP errors, so that other packets do not pay for them. */
static void
add_counts(struct thread_counts *self, const uint64_t counts[SESS_N_COUNTS],
           const struct phc_stats *stats)
{
    for (int i = 0; i < SESS_N_ICMP_ERRORS; i++) {
        bump(&self->counts[i], counts[i]);
    }
    bump(&self->stats.hits, stats->hits);
    bump(&self->stats.misses, stats->misses);
    bump(&self->stats.expired, stats->expired);
    bump(&self->stats.busy, stats->busy);
}

/* Fills in what there is to know of a TCP segment with its header at 'tcp',
 * which ends 'l4_len' bytes on.  Returns false if it is malformed. */
static inline bool
take_tcp(const struct tcp_header *tcp, size_t l4_len, struct sess_packet *p)
{
    size_t header;

    if (OVS_UNLIKELY(l4_len < TCP_HEADER_LEN)) {
        return false;
    }
    header = TCP_OFFSET(tcp->tcp_ctl) * 4;
    p->tcp_flags = TCP_FLAGS(tcp->tcp_ctl);
    p->seq = ntohl(get_16aligned_be32(&tcp->tcp_seq));
    p->ack = ntohl(get_16aligned_be32(&tcp->tcp_ack));
    p->payload = l4_len > header ? l4_len - header : 0;
    return true;
}

/* What the packets of a burst have in common. */
struct common {
    struct sess_key key;        /* Without source address and port. */
    bool ip4, tcp;
    uint32_t now_us;
};

static void
common_init(struct common *common, const struct sess_plan_service *s,
            long long int now_us)
{
    sess_key_init_ip6(&common->key, &s->addr, &s->addr, 0, s->port, s->proto,
                      s->zone);
    common->ip4 = IN6_IS_ADDR_V4MAPPED(&s->addr);
    common->tcp = s->proto == IPPROTO_TCP;
    common->now_us = now_us;
}

/* Takes 'packet' into 'burst'.  Returns false if it is malformed.  Its flow
 * says that it is to the service's address, whole, of its protocol. */
static inline bool
take(struct sess_burst *burst, const struct common *common,
     const struct dp_packet *packet)
{
    struct sess_packet *p = &burst->packets[burst->n];
    struct sess_key *key = &burst->keys[burst->n];
    const uint8_t *data = dp_packet_data(packet);
    size_t l4_len = dp_packet_l4_size(packet);
    const void *l3 = data + packet->l3_ofs;
    const void *l4 = data + packet->l4_ofs;

    /* 0 if it has none. */
    if (OVS_UNLIKELY(l4_len < UDP_HEADER_LEN)) {
        return false;
    }
    *key = common->key;
    if (common->ip4) {
        const struct ip_header *ip = l3;

        /* The last word of an IPv4-mapped address. */
        memcpy(&key->src.s6_addr[12], &ip->ip_src, sizeof ip->ip_src);
    } else {
        const struct ovs_16aligned_ip6_hdr *ip6 = l3;

        memcpy(&key->src, &ip6->ip6_src, sizeof key->src);
    }
    memcpy(&key->sport, l4, sizeof key->sport);

    p->dir = 0;
    p->bytes = dp_packet_size(packet);
    p->now_us = common->now_us;
    if (common->tcp) {
        if (!take_tcp(l4, l4_len, p)) {
            return false;
        }
    } else {
        p->tcp_flags = 0;
        p->seq = p->ack = p->payload = 0;
    }
    burst->n++;
    return true;
}

/* Makes 'packet', out of a tunnel if 'hop', one from the local port on its way
 * to 'target'. */
static inline void
readdress(struct dp_packet *packet, uint16_t target, unsigned int hop)
{
    struct pkt_metadata *md = &packet->md;

    md->skb_priority = SESSION_STEERED | target;
    if (OVS_UNLIKELY(hop)) {
        md->tunnel.ip_dst = 0;
        md->tunnel.ipv6_dst = in6addr_any;
    }
}

/* Gives each packet of 'batch', all of one flow, its target, and drops those
 * that have none. */
static void
steer(struct dp_packet_batch *batch, uint32_t arrived)
{
    const struct sess_plan *plan = session_plan_get();
    struct thread_counts *self = get_self();
    uint64_t *to = target_counts[self - threads];
    uint64_t counts[SESS_N_COUNTS] = { 0 };
    struct phc_stats stats = { 0 };
    struct dp_packet *packets[SESS_BURST];
    long long int now_us = time_usec();
    uint16_t targets[SESS_BURST];
    struct dp_packet *packet;
    struct sess_burst burst;
    struct common common;

    burst.service = (plan
                     ? sess_plan_service(plan, arrived & SESSION_SERVICE_MASK)
                     : NULL);
    if (OVS_LIKELY(burst.service)) {
        common_init(&common, burst.service, now_us);
    }
    burst.hop = arrived >> SESSION_HOP_SHIFT & 3;
    burst.n = 0;
    DP_PACKET_BATCH_FOR_EACH (i, packet, batch) {
        packets[burst.n] = packet;
        if (OVS_UNLIKELY(!burst.service
                         || !take(&burst, &common, packet))) {
            counts[SESS_N_BAD]++;
            dp_packet_delete(packet);
        }
    }
    if (burst.n) {
        sess_decide(plan, session_dp_table(), session_dp_phc(), &burst,
                    now_us / 1000, targets, &stats, counts);
    }
    dp_packet_batch_refill_init(batch);
    for (size_t i = 0; i < burst.n; i++) {
        uint16_t target = targets[i];

        if (OVS_LIKELY(target && session_actions_get(target))) {
            readdress(packets[i], target, burst.hop);
            bump(&to[target], 1);
            dp_packet_batch_refill(batch, packets[i], i);
        } else {
            counts[SESS_N_UNRESOLVED] += target != SESS_NONE;
            dp_packet_delete(packets[i]);
        }
    }
    add_counts(self, counts, &stats);
}

void
session_pop(struct netdev *netdev, struct dp_packet_batch *batch)
{
    const struct ext_chain_link *inner;

    if (!dp_packet_batch_is_empty(batch)
        && session_has_arrived(batch->packets[0]->md.skb_priority)) {
        /* All packets come from one flow, hence one action. */
        steer(batch, batch->packets[0]->md.skb_priority);
        return;
    }
    inner = ext_chain_get_inner();
    if (inner) {
        inner->pop(netdev, batch);
    } else {
        ext_real_pop_header(netdev, batch);
    }
}

/* Gives each packet of 'batch', ICMP errors of one flow, to the session that
 * it is about, or back to ofproto, or drops it. */
static void
steer_icmp(struct dp_packet_batch *batch, uint32_t arrived)
{
    const struct sess_plan *plan = session_plan_get();
    const struct sess_plan_service *entry
        = (plan ? sess_plan_service(plan, arrived & SESSION_SERVICE_MASK)
           : NULL);
    unsigned int hop = arrived >> SESSION_HOP_SHIFT & 3;
    struct thread_counts *self = get_self();
    uint64_t *to = target_counts[self - threads];
    uint64_t counts[SESS_N_COUNTS] = { 0 };
    size_t size = dp_packet_batch_size(batch);
    long long int now = time_msec();
    struct phc_stats stats = { 0 };
    struct dp_packet *packet;
    size_t i;

    DP_PACKET_BATCH_REFILL_FOR_EACH (i, size, packet, batch) {
        uint32_t *priority = &packet->md.skb_priority;
        uint16_t target = (entry
                           ? session_icmp_decide(plan, entry, hop, packet, now,
                                                 &stats, counts)
                           : SESS_PASS);
        const struct session_actions *a;

        if (target == SESS_PASS) {
            *priority = (*priority & SESSION_OTHER_MASK) | SESSION_PASSED;
            dp_packet_batch_refill(batch, packet, i);
        } else if (target && (a = session_actions_get(target))) {
            eth_pop_vlan(packet);
            readdress(packet, target, hop);
            packet->md.in_port.odp_port = a->in_port;
            bump(&to[target], 1);
            dp_packet_batch_refill(batch, packet, i);
        } else {
            counts[SESS_N_UNRESOLVED] += target != SESS_NONE;
            dp_packet_delete(packet);
        }
    }
    add_counts(self, counts, &stats);
    bump(&self->counts[SESS_N_ICMP_ERRORS], counts[SESS_N_ICMP_ERRORS]);
}

int
session_push(struct dp_packet_batch *batch)
{
    uint32_t priority;

    if (dp_packet_batch_is_empty(batch)) {
        return EINVAL;
    }
    priority = batch->packets[0]->md.skb_priority;
    if (!session_has_icmp_arrived(priority)) {
        return EINVAL;
    }
    /* As in 'pop'. */
    steer_icmp(batch, priority);
    return 0;
}

/* Takes 'packet', just received from a backend's port in 'bridge', into
 * 'burst' if it is the reply of a service. */
static inline void
take_reply(struct sess_burst *burst, const struct sess_plan *plan,
           const char *bridge, const struct dp_packet *packet,
           uint32_t now_us)
{
    struct sess_packet *p = &burst->packets[burst->n];
    struct sess_key *key = &burst->keys[burst->n];
    const struct sess_plan_service *s;
    struct ext_headers h;
    size_t l4_len;

    ext_headers_parse(dp_packet_data(packet), dp_packet_size(packet), &h);
    if (!h.l4 || !sess_key_from_headers(key, &h, 0)) {
        return;
    }
    s = sess_plan_find(plan, &key->src, key->proto, key->sport, bridge, -1);
    if (!s) {
        return;
    }
    sess_key_reverse(key, key);
    key->zone = s->zone;

    p->dir = 1;
    p->bytes = dp_packet_size(packet);
    p->now_us = now_us;
    p->tcp_flags = 0;
    p->seq = p->ack = p->payload = 0;
    if (s->proto == IPPROTO_TCP) {
        /* Without the padding of short frames. */
        const uint8_t *l3 = h.ip4 ? (const uint8_t *) h.ip4
                                  : (const uint8_t *) h.ip6;
        size_t l3_len = h.ip4 ? ntohs(h.ip4->ip_tot_len)
                              : ntohs(h.ip6->ip6_plen) + IPV6_HEADER_LEN;
        size_t skip = h.l4 - l3;

        l4_len = MIN(h.l4_len, l3_len > skip ? l3_len - skip : 0);
        if (!take_tcp(ALIGNED_CAST(const struct tcp_header *, h.l4), l4_len,
                      p)) {
            return;
        }
    }
    burst->n++;
}

/* Counts what backends answer. */
void
session_received(const struct netdev_rxq *rx,
                 const struct dp_packet_batch *batch)
{
    uint64_t counts[SESS_N_COUNTS] = { 0 };
    struct phc_stats stats = { 0 };
    const struct sess_plan_service *s;
    const struct sess_plan *plan;
    const struct dp_packet *packet;
    uint16_t service;
    sess_id ids[SESS_BURST];
    struct sess_burst burst;
    long long int now_us;

    service = session_reply_service(rx->netdev);
    if (OVS_LIKELY(service == SESS_NONE)) {
        return;
    }
    plan = session_plan_get();
    s = plan ? sess_plan_service(plan, service) : NULL;
    if (!s) {
        return;
    }
    now_us = time_usec();
    burst.n = 0;
    DP_PACKET_BATCH_FOR_EACH (i, packet, batch) {
        take_reply(&burst, plan, s->bridge, packet, now_us);
    }
    if (!burst.n) {
        return;
    }
    sess_find(session_dp_table(), burst.keys, burst.n, ids);
    for (size_t i = 0; i < burst.n; i++) {
        if (ids[i]) {
            sess_packet(session_dp_table(), ids[i], &burst.packets[i],
                        now_us / 1000);
            counts[SESS_N_REPLIES]++;
        }
    }
    add_counts(get_self(), counts, &stats);
}

/* END PMD-THREAD CODE */

static void
sum(const struct thread_counts *t, uint64_t counts[SESS_N_COUNTS],
    struct phc_stats *stats)
{
    for (int i = 0; i < SESS_N_COUNTS; i++) {
        counts[i] += ext_load64(&t->counts[i]);
    }
    stats->hits += ext_load64(&t->stats.hits);
    stats->misses += ext_load64(&t->stats.misses);
    stats->expired += ext_load64(&t->stats.expired);
    stats->busy += ext_load64(&t->stats.busy);
}

void
session_dp_counts(uint64_t counts[SESS_N_COUNTS], struct phc_stats *stats)
{
    memset(counts, 0, SESS_N_COUNTS * sizeof *counts);
    memset(stats, 0, sizeof *stats);
    for (size_t i = 0; i <= MAX_THREADS; i++) {
        sum(&threads[i], counts, stats);
    }
}

/* Packets that all threads have sent to 'target', whatever that was. */
uint64_t
session_target_packets(uint16_t target)
{
    uint64_t n = 0;

    for (size_t i = 0; i <= MAX_THREADS; i++) {
        n += ext_load64(&target_counts[i][target]);
    }
    return n;
}
