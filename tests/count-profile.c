/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Instructions that the profiler adds to a packet (count-util.h): packets of
 * 1000 or 10000 flows, equally often, are handed to the profiler, whose table
 * knows what it will know of them; or, to compare, are not. */

#include <config.h>

#include "datapath-hooks/profile/profile-impl.h"
#include "dp-packet.h"
#include "ovs-ext/core/ext-rng.h"
#include "ovs-rcu.h"
#include "tests/count-util.h"
#include "tests/test-util.h"

enum {
    MERGE_PACKETS = 1000000,    /* 100 ms at 10 Mpps. */
    WARM_UP = 4                 /* Of these. */
};

struct ovs_mutex profile_mutex = OVS_MUTEX_INITIALIZER;

static void __attribute__((noipa))
count_region(bool profile, const struct dp_packet_batch *batch)
{
    if (profile) {
        profile_received(NULL, batch);
    }
}

/* Makes 'packet' one of flow 'flow'. */
static void
fill(struct dp_packet *packet, uint32_t flow)
{
    uint64_t hash = flow;
    uint8_t *p = dp_packet_data(packet);

    p[26] = flow >> 24;
    p[27] = flow >> 16;
    p[28] = flow >> 8;
    p[29] = flow;
    dp_packet_set_rss_hash(packet, ext_splitmix64(&hash));
}

/* What the agent does each 100 ms. */
static void
merge(struct tp_merge *m, long long int now)
{
    ovs_mutex_lock(&profile_mutex);
    tp_merge_begin(m, now, now * 1000, now);
    profile_pmd_merge(m);
    tp_merge_end(m);
    ovs_mutex_unlock(&profile_mutex);
}

int
main(int argc, char *argv[])
{
    static const uint8_t head[] = {
        2,0,0,0,0,1, 2,0,0,0,0,2, 8,0,
        0x45,0,0,50, 0,0,0x40,0, 64,17,0,0, 0,0,0,0, 10,0,0,2,
        0x30,0x39,0,80, 0,30,0,0
    };
    static const char *const modes[] = {
        "stock", "1000-flows", "10000-flows", NULL
    };
    struct tp_merge *m = tp_merge_create();
    struct dp_packet_batch batch;
    struct count_args args;
    unsigned int flows = 1000;
    long long int now = 1000;
    struct ext_rng rng;
    size_t done = 0;
    bool profile;

    count_parse(argc, argv, modes, &args);
    profile = ovs_scan(args.mode, "%u-flows", &flows);
    ext_rng_init(&rng, 1);
    profile_pmd_init();
    dp_packet_batch_init(&batch);
    for (unsigned int i = 0; i < args.burst; i++) {
        struct dp_packet *packet = dp_packet_new(64);

        dp_packet_put_zeros(packet, 64);
        memcpy(dp_packet_data(packet), head, sizeof head);
        fill(packet, i);
        dp_packet_batch_add(&batch, packet);
    }
    profile_received(NULL, &batch);     /* Introduces the thread. */
    for (unsigned int i = 0; i < WARM_UP; i++) {
        merge(m, now += 100);
        for (done = 0; done < MERGE_PACKETS; done += args.burst) {
            for (unsigned int j = 0; j < args.burst; j++) {
                fill(batch.packets[j], ext_rng_range(&rng, flows));
            }
            profile_received(NULL, &batch);
        }
    }
    merge(m, now += 100);
    for (unsigned int i = 0; i < args.n; i++) {
        for (unsigned int j = 0; j < args.burst; j++) {
            fill(batch.packets[j], ext_rng_range(&rng, flows));
        }
        count_region(profile, &batch);
    }

    merge(m, now += 100);
    struct tp_merge_stats stats;
    tp_merge_get_stats(m, &stats);
    CHECK_EQ(stats.packets,
             WARM_UP * done + (profile ? (size_t) args.n * args.burst : 0));
    dp_packet_delete_batch(&batch, true);
    ovs_mutex_lock(&profile_mutex);
    profile_pmd_stop();
    ovs_mutex_unlock(&profile_mutex);
    ovsrcu_synchronize();
    tp_merge_destroy(m);
    return 0;
}
