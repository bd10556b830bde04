/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* The profiler in the threads that receive packets.
 *
 * Such a thread claims a slot when it first receives something while the
 * profiler is on, and keeps it until it exits.  The agent then gives the slot
 * a sketch and, when the profiler goes off, takes it away again, by RCU: PMD
 * threads quiesce between bursts.  What it receives in the 100 ms or less
 * before it has a sketch is not profiled.
 *
 * Cost, beside that of the sketch: for each packet one look at the hash, the
 * length and the Ethernet type; for each burst one of the TSC. */

#include <config.h>

#include "datapath-hooks/profile/profile-impl.h"

#include <rte_cycles.h>
#include <stdio.h>
#include <string.h>

#include "dp-packet.h"
#include "netdev.h"
#include "ovs-atomic.h"
#include "ovs-ext/core/ext-headers.h"
#include "ovs-ext/profile/tp-sketch.h"
#include "ovs-rcu.h"
#include "ovs-thread.h"
#include "packets.h"
#include "sset.h"
#include "unaligned.h"
#include "util.h"

BUILD_ASSERT_DECL((int) NETDEV_MAX_BURST <= (int) TP_BURST);

enum profile_slot_state {
    PROFILE_FREE,
    PROFILE_CLAIMED,            /* The thread is setting 'name'. */
    PROFILE_USED,
    PROFILE_EXITED              /* Of the slot's thread. */
};

/* What a thread is given while the profiler is on. */
struct profile_instance {
    struct tp_sketch *sketch;   /* The thread is its writer. */
    struct tp_reader *reader;   /* Agent. */
};

struct profile_slot {
    ATOMIC(int) state;          /* The thread writes, in the end the agent. */
    char name[16];              /* The thread, before PROFILE_USED. */
    OVSRCU_TYPE(struct profile_instance *) instance; /* Agent; or null. */
};

static struct profile_slot slots[PROFILE_MAX_THREADS];
static pthread_key_t slot_key;

/* Names of the netdevs that are skipped; null if there are none.  Main thread
 * replaces it as a whole. */
static OVSRCU_TYPE(struct sset *) skipped;

static void
slot_exit(void *slot_)
{
    struct profile_slot *slot = slot_;

    atomic_store_explicit(&slot->state, PROFILE_EXITED, memory_order_release);
}

/* Main thread. */
void
profile_pmd_init(void)
{
    xpthread_key_create(&slot_key, slot_exit);
}

/* Claims a slot for the calling thread.  Once in a thread's life. */
static struct profile_slot *
slot_claim(void)
{
    const char *name = get_subprogram_name();

    for (size_t i = 0; i < PROFILE_MAX_THREADS; i++) {
        struct profile_slot *slot = &slots[i];
        int free = PROFILE_FREE;

        if (atomic_compare_exchange_strong(&slot->state, &free,
                                           PROFILE_CLAIMED)) {
            snprintf(slot->name, sizeof slot->name, "%s",
                     name && *name ? name : "main");
            pthread_setspecific(slot_key, slot);
            atomic_store_explicit(&slot->state, PROFILE_USED,
                                  memory_order_release);
            return slot;
        }
    }
    return NULL;
}

static void
skipped_destroy(struct sset *names)
{
    sset_destroy(names);
    free(names);
}

/* Makes packets from netdev 'name' be skipped, or not any more.  Main
 * thread. */
void
profile_pmd_skip(const char *name, bool skip)
{
    struct sset *old = ovsrcu_get_protected(struct sset *, &skipped);
    struct sset *new;

    if (skip == (old && sset_contains(old, name))) {
        return;
    }
    new = xmalloc(sizeof *new);
    if (old) {
        sset_clone(new, old);
        ovsrcu_postpone(skipped_destroy, old);
    } else {
        sset_init(new);
    }
    if (skip) {
        sset_add(new, name);
    } else {
        sset_find_and_delete(new, name);
    }
    if (sset_is_empty(new)) {
        skipped_destroy(new);
        new = NULL;
    }
    ovsrcu_set(&skipped, new);
}

/* PMD-THREAD CODE */

/* Returns a hash made of the headers of a packet, for it has none. */
static __attribute__((noinline)) uint32_t
profile_hash(const uint8_t *data, size_t len)
{
    struct ext_headers h;

    ext_headers_parse(data, len, &h);
    return ext_headers_hash(&h, data, len);
}

/* Returns what tells the flow of 'packet' from others: its RSS hash, or one
 * made of its headers, and the VLAN, which no RSS hash has in it. */
static inline uint32_t
profile_key(const struct dp_packet *packet, const uint8_t *data, uint32_t len)
{
    uint32_t hash = (OVS_LIKELY(dp_packet_rss_valid(packet))
                     ? dp_packet_get_rss_hash(packet)
                     : profile_hash(data, len));

    if (OVS_LIKELY(len >= ETH_HEADER_LEN + VLAN_HEADER_LEN)) {
        const ovs_be16 *eth = ALIGNED_CAST(const ovs_be16 *,
                                           data + 2 * ETH_ADDR_LEN);
        ovs_be16 type = get_unaligned_be16(eth);

        /* Next to all packets of a port are of one type. */
        if (type != htons(ETH_TYPE_IP) && eth_type_vlan(type)) {
            hash ^= (vlan_tci_to_vid(get_unaligned_be16(eth + 1))
                     * UINT32_C(0x27d4eb2f));
        }
    }
    return hash;
}

/* Called with what any thread has received. */
void
profile_received(const struct netdev_rxq *rx,
                 const struct dp_packet_batch *batch)
{
    static __thread struct profile_slot *self;
    static __thread bool known;
    struct profile_instance *instance;
    const struct sset *skip;
    struct tp_burst burst;

    if (OVS_UNLIKELY(!known)) {
        known = true;
        self = slot_claim();
    }
    instance = (self
                ? ovsrcu_get(struct profile_instance *, &self->instance)
                : NULL);
    if (OVS_UNLIKELY(!instance)) {
        return;
    }
    skip = ovsrcu_get(struct sset *, &skipped);
    if (OVS_UNLIKELY(skip) && sset_contains(skip, netdev_rxq_get_name(rx))) {
        return;
    }
    burst.n = MIN(batch->count, TP_BURST);
    for (size_t i = 0; i < burst.n; i++) {
        const struct dp_packet *packet = batch->packets[i];

        const uint8_t *data = rte_pktmbuf_mtod(&packet->mbuf, uint8_t *);
        uint32_t len = dp_packet_size(packet);

        burst.data[i] = data;
        burst.len[i] = len;
        burst.hash[i] = profile_key(packet, data, len);
    }
    tp_sketch_add(instance->sketch, &burst, rte_rdtsc() >> PROFILE_TICK_SHIFT);
}

/* END PMD-THREAD CODE */

static struct profile_instance *
instance_create(uint64_t seed)
{
    struct profile_instance *instance = xmalloc(sizeof *instance);

    instance->sketch = tp_sketch_create(TP_DEFAULT_ENTRIES,
                                        TP_DEFAULT_SAMPLES, seed);
    instance->reader = tp_reader_create(instance->sketch);
    return instance;
}

static void
instance_destroy(struct profile_instance *instance)
{
    tp_reader_destroy(instance->reader);
    tp_sketch_destroy(instance->sketch);
    free(instance);
}

static struct profile_instance *
slot_instance(const struct profile_slot *slot)
{
    return ovsrcu_get_protected(struct profile_instance *, &slot->instance);
}

/* Takes the instance of 'slot' away; its thread may be about to use it. */
static void
slot_clear(struct profile_slot *slot)
{
    struct profile_instance *instance = slot_instance(slot);

    if (instance) {
        ovsrcu_set(&slot->instance, NULL);
        ovsrcu_postpone(instance_destroy, instance);
    }
}

/* Merges what all threads have seen.  Threads that came get a sketch, those
 * that went lose it.  Agent. */
void
profile_pmd_merge(struct tp_merge *merge) OVS_REQUIRES(profile_mutex)
{
    for (size_t i = 0; i < PROFILE_MAX_THREADS; i++) {
        struct profile_slot *slot = &slots[i];
        struct profile_instance *instance = slot_instance(slot);
        int state;

        atomic_read_explicit(&slot->state, &state, memory_order_acquire);
        if (instance) {
            tp_merge_add(merge, instance->reader);
        } else if (state == PROFILE_USED) {
            ovsrcu_set(&slot->instance, instance_create(i + 1));
        }
        if (state == PROFILE_EXITED) {
            slot_clear(slot);
            atomic_store_explicit(&slot->state, PROFILE_FREE,
                                  memory_order_release);
        }
    }
}

/* Takes all sketches away.  The hook is null by now, but a thread may still be
 * in it.  Agent. */
void
profile_pmd_stop(void) OVS_REQUIRES(profile_mutex)
{
    for (size_t i = 0; i < PROFILE_MAX_THREADS; i++) {
        slot_clear(&slots[i]);
    }
}

/* Describes the threads that have a sketch in 'threads', which has room for
 * PROFILE_MAX_THREADS.  Returns their number. */
size_t
profile_pmd_threads(struct profile_thread *threads)
    OVS_REQUIRES(profile_mutex)
{
    size_t n = 0;

    for (size_t i = 0; i < PROFILE_MAX_THREADS; i++) {
        const struct profile_instance *instance = slot_instance(&slots[i]);

        if (instance) {
            struct profile_thread *t = &threads[n++];
            uint64_t bytes, lost;

            ovs_strlcpy(t->name, slots[i].name, sizeof t->name);
            tp_sketch_totals(instance->sketch, &t->packets, &bytes, &lost);
            t->bytes = tp_sketch_bytes(instance->sketch);
            t->sampling = tp_sketch_sampling(instance->sketch);
        }
    }
    return n;
}
