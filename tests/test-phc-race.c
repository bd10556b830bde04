/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Readers of the header cache while the writer writes: what is pushed is
 * always a whole header of the owner that its session has, and what they ask
 * for reaches the writer as whole keys. */

#include <config.h>

#include <pthread.h>

#include "ovs-thread.h"
#include "packets.h"
#include "tests/test-phc.h"

enum { RACE_OWNERS = 4 };

static void *
phc_reader(void *race_)
{
    struct race *race = race_;
    struct phc *phc = race->shared;
    uint32_t self = race_join(race);
    struct sess_key keys[PHC_BURST];
    struct phc_ref refs[PHC_BURST];
    struct phc_stats stats = { .hits = 0 };
    struct ext_rng rng;

    ext_rng_init(&rng, self);
    while (!race_stopped(race)) {
        uint64_t numbers[PHC_BURST];

        for (size_t i = 0; i < PHC_BURST; i++) {
            numbers[i] = ext_rng_range(&rng, RACE_KEYS);
            make_key(&keys[i], numbers[i]);
        }
        phc_lookup(phc, keys, PHC_BURST, 0, refs, &stats);
        for (size_t i = 0; i < PHC_BURST; i++) {
            struct phc_patch patch = { .flow_hash = i };
            uint8_t packet[100];

            if (refs[i].template
                && phc_push(phc, refs[i], packet + 50, 50, 50, &patch)) {
                uint32_t owner = numbers[i] % RACE_OWNERS + 1;

                CHECK_EQ(packet[33], owner);
                CHECK_EQ(packet[0], packet[5]);
                CHECK_EQ(packet[0], packet[11]);
                race_found(race, self);
            } else if (phc_ref_was_spilled(refs[i])) {
                phc_ask(phc, &keys[i]);
            }
        }
    }
    return NULL;
}

static void
race_template(struct phc *phc, uint32_t owner, uint8_t mark)
{
    struct phc_tunnel t = make_tunnel(owner);
    uint8_t header[PHC_MAX_HEADER];
    struct phc_shape shape;

    t.dst = v4(0xc0a81000 + owner);
    memset(&t.eth_src, mark, 6);
    memset(&t.eth_dst, mark, 6);
    ignore(phc_template_set(phc, 1, owner, header,
                            phc_header_build(&t, header, &shape)));
}

/* Whether 'key' is one that make_key() makes. */
static bool
race_is_key(const struct sess_key *key)
{
    for (uint64_t i = 0; i < RACE_KEYS; i++) {
        struct sess_key made;

        make_key(&made, i);
        if (!memcmp(&made, key, sizeof made)) {
            return true;
        }
    }
    return false;
}

/* Takes what readers have asked for; returns its number. */
static uint64_t
race_take_asked(struct phc *phc, uint32_t now)
{
    static struct sess_key keys[PHC_ASKS];
    size_t n = phc_asked(phc, keys, now);

    for (size_t i = 0; i < n; i++) {
        CHECK(race_is_key(&keys[i]));
    }
    return n;
}

void
test_race_phc(void)
{
    struct phc *phc = make_cache(RACE_KEYS / 2, RACE_OWNERS);
    struct race race = { .shared = phc };
    struct phc_member members[RACE_OWNERS];
    pthread_t threads[RACE_READERS];
    struct ext_rng rng;
    uint64_t found = 0, asked = 0;

    for (uint32_t i = 0; i < RACE_OWNERS; i++) {
        members[i].owner = i + 1;
        members[i].addr = v4(0xc0a81000 + i + 1);
        race_template(phc, i + 1, 2);
    }
    for (size_t i = 0; i < RACE_READERS; i++) {
        threads[i] = ovs_thread_create("reader", phc_reader, &race);
    }
    ext_rng_init(&rng, 99);
    for (int i = 0; i < 200000 || !race_all_found(&race); i++) {
        uint64_t number = ext_rng_range(&rng, RACE_KEYS);
        struct sess_key key;

        if (!(i % 256)) {
            /* A second goes by each time. */
            asked += race_take_asked(phc, i / 256 * 1000);
        }
        make_key(&key, number);
        switch (ext_rng_range(&rng, 16)) {
        case 0:
            race_template(phc, number % RACE_OWNERS + 1,
                          2 * ext_rng_range(&rng, 100));
            break;
        case 1:
            phc_remove(phc, &key);
            break;
        case 2:
            if (number % 32) {
                break;
            }
            phc_service_set(phc, 1, members,
                            ext_rng_range(&rng, RACE_OWNERS + 1));
            phc_service_set(phc, 1, members, RACE_OWNERS);
            for (uint32_t j = 0; j < RACE_OWNERS; j++) {
                race_template(phc, j + 1, 4);
            }
            break;
        default:
            phc_put(phc, &key, 1, number % RACE_OWNERS + 1,
                    ext_rng_double(&rng), 1000, 0);
        }
    }
    race_stop(&race);
    for (size_t i = 0; i < RACE_READERS; i++) {
        xpthread_join(threads[i], NULL);
        found += race.found[i];
    }
    CHECK(found > 0);
    CHECK(asked > 0);
    phc_destroy(phc);
}
