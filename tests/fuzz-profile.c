/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Fuzzing of what the traffic profiler does with packets, which are whatever
 * somebody sends: each is parsed, goes through a sketch, is merged and shown.
 *
 * The valid inputs are frames with VLANs, IPv4 options, IPv6 extension
 * headers, VXLAN and Geneve; see fuzz-util.h. */

#include <config.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "ovs-ext/profile/tp-merge.h"
#include "ovs-ext/profile/tp-sketch.h"
#include "tests/fuzz-util.h"
#include "util.h"

static struct tp_sketch *sketch;
static struct tp_reader *reader;
static struct tp_merge *merge;
static long long int now = 1;


static void
check_profiles(void)
{
    struct tp_profile *profiles;
    size_t n;

    tp_merge_profiles(merge, &profiles, &n);
    ovs_assert(n <= 17);
    for (size_t i = 0; i < n; i++) {
        const struct tp_profile *p = &profiles[i];

        ovs_assert(strlen(p->network) > 0);
        ovs_assert(p->class < TP_N_CLASSES);
        ovs_assert(p->pps >= 0 && p->bps >= 0 && p->burstiness >= 0);
        ovs_assert(p->elephant_share >= 0 && p->elephant_share <= 1);
        ovs_assert(p->n_destinations <= TP_MAX_DESTINATIONS);
        for (size_t j = 0; j < p->n_destinations; j++) {
            ovs_assert(p->destinations[j].share <= 1.0001);
        }
    }
    free(profiles);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ds ds = DS_EMPTY_INITIALIZER;
    char name[TP_NETWORK_LEN];
    struct tp_network network;
    struct tp_burst burst;
    struct tp_flow flow;

    if (!sketch) {
        sketch = tp_sketch_create(128, 128, 1);
        reader = tp_reader_create(sketch);
        merge = tp_merge_create();
        tp_merge_configure(merge, 16, 0);
    }

    tp_flow_parse(data, size, &flow);
    network = tp_flow_network(&flow);
    tp_network_format(&network, name);
    tp_flow_format(&flow, &ds);
    ovs_assert(ds.length > 0);
    ds_destroy(&ds);

    burst.n = 1;
    burst.data[0] = data;
    burst.len[0] = size;
    burst.hash[0] = 0;
    memcpy(burst.hash, data, MIN(size, 4));
    tp_sketch_add(sketch, &burst, now * 1000);
    if (!(++now % 16)) {
        tp_merge_begin(merge, now * 10, now * 1000, 100);
        tp_merge_add(merge, reader);
        tp_merge_end(merge);
        check_profiles();
    }
    return 0;
}

#ifndef FUZZ_LIBFUZZER
enum { FRAME = 192 };

static const uint8_t eth[12] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 };

/* Makes valid frame number 'i' of a few: VLANs, IPv4, IPv6 with extension
 * headers, VXLAN, Geneve with options. */
static size_t
valid_frame(size_t i, uint8_t frame[FRAME])
{
    uint8_t *p = frame;
    bool tunnel = i & 1, ip6 = i & 2, vlan = i & 4;

    memset(frame, 0, FRAME);
    memcpy(p, eth, sizeof eth);
    p += sizeof eth;
    if (vlan) {
        memcpy(p, "\x88\xa8\0\5\x81\0\0\6", 8);
        p += 8;
    }
    if (tunnel) {
        memcpy(p, "\x08\0\x45\0\0\x80\0\0\0\0\x40\x11", 12);
        p += 2 + 20;
        memcpy(p, vlan ? "\x11\x11\x17\xc1" : "\x11\x11\x12\xb5", 4);
        p += 8;
        memcpy(p, vlan ? "\2\0\x65\x58\0\0\x7\0" : "\x08\0\0\0\0\0\x9\0", 8);
        p += vlan ? 16 : 8;
        memcpy(p, eth, sizeof eth);
        p += sizeof eth;
    }
    if (ip6) {
        memcpy(p, "\x86\xdd\x60\0\0\0\0\x40\0\x40", 10);    /* Hop by hop. */
        p += 2 + 40;
        p[0] = IPPROTO_FRAGMENT;
        p[8] = IPPROTO_TCP;
        p += 16;
    } else {
        memcpy(p, "\x08\0\x46\0\0\x40\0\0\0\0\x40\x84", 12); /* Options. */
        p += 2 + 24;
    }
    return p + 20 - frame;
}

int
main(int argc, char *argv[])
{
    struct fuzz_input inputs[8];

    for (size_t i = 0; i < ARRAY_SIZE(inputs); i++) {
        inputs[i].data = xmalloc(FRAME);
        inputs[i].size = valid_frame(i, inputs[i].data);
    }
    int error = fuzz_main(argc, argv, inputs, ARRAY_SIZE(inputs));

    tp_reader_destroy(reader);
    tp_sketch_destroy(sketch);
    tp_merge_destroy(merge);
    return error;
}
#endif
