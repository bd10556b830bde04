/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of gossip: members, who lives and who does not.  What they tell
 * each other is in test-gossip-records.c, the seal and the messages in
 * test-gossip-seal.c. */

#include <config.h>

#include <string.h>

#include "tests/test-gossip-net.h"
#include "tests/test-steering-util.h"

/* Hosts that know a seed find all others. */
static void
test_join(void)
{
    struct net *net = net_met(12);

    for (int i = 0; i < net->n; i++) {
        CHECK_EQ(gossip_n_alive(net->nodes[i].g), 12);
    }
    net_destroy(net);
}

static bool
halves_are_apart(const struct net *net OVS_UNUSED, int from, int to)
{
    return (from < 2) != (to < 2);
}

/* Two parts of a fleet that have found themselves do not look for more; HELLO
 * to one of the other part makes them one. */
static void
test_islands(void)
{
    struct net *net = net_create(4);
    struct gossip_addr addr;

    net->drops = halves_are_apart;
    net_start_all(net);
    net_run(net, 3000);
    addr = net_addr(3);
    gossip_say_hello(net->nodes[2].g, &addr);
    net_run(net, 3000);
    for (int i = 0; i < net->n; i++) {
        CHECK_EQ(gossip_n_alive(net->nodes[i].g), 2);
    }

    net->drops = NULL;
    net_run(net, 20000);
    CHECK_EQ(gossip_n_alive(net->nodes[3].g), 2);
    addr = net_addr(1);
    gossip_say_hello(net->nodes[3].g, &addr);
    CHECK(net_run_until(net, net_all_alive, 3000));
    for (int i = 0; i < net->n; i++) {
        CHECK_EQ(gossip_n_alive(net->nodes[i].g), 4);
    }
    net_destroy(net);
}

static bool
second_is_dead(const struct net *net)
{
    return net_state(net, 0, 1) == GOSSIP_DEAD;
}

/* A host that has another name now: who still wants the old one does not greet
 * the new one, nor itself, for ever. */
static void
test_renamed(void)
{
    struct net *net = net_met(3);
    struct gossip *g = net->nodes[0].g;
    struct gossip_stats before, after;
    struct gossip_addr addr;

    for (int i = 0; i < 2; i++) {
        addr = net_addr(i);
        gossip_get_stats(g, &before);
        gossip_say_hello(g, &addr);
        gossip_get_stats(g, &after);
        CHECK_EQ(after.tx_datagrams, before.tx_datagrams);
    }

    /* Once that is dead, another may be there. */
    net_stop(net, 1);
    CHECK(net_run_until(net, second_is_dead, 60000));
    gossip_get_stats(g, &before);
    gossip_say_hello(g, &addr);
    gossip_get_stats(g, &after);
    CHECK_EQ(after.tx_datagrams, before.tx_datagrams + 1);
    net_destroy(net);
}

/* Who dies is suspected first, then dead; all agree. */
static void
test_death(void)
{
    struct net *net = net_met(6);
    long long suspected = 0, dead = 0;

    net_stop(net, 3);
    for (int ms = 0; ms < 60000 && !dead; ms++) {
        net_run(net, 1);
        if (!suspected && net_state(net, 1, 3) == GOSSIP_SUSPECT) {
            suspected = ms;
        }
        if (net_state(net, 1, 3) == GOSSIP_DEAD) {
            dead = ms;
        }
    }
    CHECK(suspected && dead > suspected + 1000);
    CHECK(net_run_until(net, net_all_alive, 1000));
    net_destroy(net);
}

static int cut_off;

static bool
drop_to_and_from(const struct net *net OVS_UNUSED, int from, int to)
{
    return from == cut_off || to == cut_off;
}

/* A suspicion is refuted with a higher incarnation. */
static void
test_refutation(void)
{
    struct net *net = net_met(6);
    struct gossip_member_info before, after;
    uint64_t id = gossip_self(net->nodes[4].g);
    struct gossip_stats stats;
    int suspected = 0;

    CHECK(gossip_member(net->nodes[0].g, id, &before));
    cut_off = 4;
    net->drops = drop_to_and_from;
    for (int ms = 0; ms < 20000 && !suspected; ms++) {
        net_run(net, 1);
        for (int i = 0; i < 6; i++) {
            suspected += i != 4 && net_state(net, i, 4) == GOSSIP_SUSPECT;
        }
    }
    CHECK(suspected);
    net->drops = NULL;
    CHECK(net_run_until(net, net_all_alive, 20000));
    for (int i = 0; i < 6; i++) {
        gossip_get_stats(net->nodes[i].g, &stats);
        CHECK_EQ(stats.deaths, 0);
    }
    CHECK(gossip_member(net->nodes[0].g, id, &after));
    CHECK(after.incarnation > before.incarnation);
    CHECK_EQ(after.epoch, before.epoch);
    gossip_get_stats(net->nodes[4].g, &stats);
    CHECK(stats.refutations >= 1);
    net_destroy(net);
}

/* One accuser waits for long, several do not. */
static long long
time_to_die(int accusers)
{
    struct net *net = net_met(8);
    struct gossip_member_info info;
    uint64_t id = gossip_self(net->nodes[7].g);
    long long ms = 0;

    /* Node 0 is alone with what it is told. */
    CHECK(gossip_member(net->nodes[0].g, id, &info));
    cut_off = 0;
    net->drops = drop_to_and_from;
    net_run(net, 2);
    for (int i = 0; i < accusers; i++) {
        struct gossip_record r = { .version = info.incarnation << 2
                                              | GOSSIP_SUSPECT,
                                   .origin
                                   = gossip_self(net->nodes[i + 1].g) };
        struct gossip_member_value v = { .epoch = info.epoch,
                                         .addr = info.addr };
        struct gossip_from from = { r.origin, net->nodes[i + 1].epoch,
                                    false };
        struct gossip_addr addr = net_addr(i + 1);
        struct gossip_out out;

        ovs_strlcpy(v.name, info.name, sizeof v.name);
        gossip_member_encode(&r, id, &v);
        gossip_out_init(&out);
        gossip_out_record(&out, &r, 0);
        gossip_receive(net->nodes[0].g, net->now, &from, &addr, out.buf,
                       out.len);
    }
    CHECK_EQ(net_state(net, 0, 7), GOSSIP_SUSPECT);
    for (; net_state(net, 0, 7) != GOSSIP_DEAD && ms < 100000; ms++) {
        net->now++;
        gossip_run(net->nodes[0].g, net->now);
    }
    net_destroy(net);
    return ms;
}

static void
test_suspicion(void)
{
    long long alone = time_to_die(1), confirmed = time_to_die(3);

    CHECK(confirmed >= 3900 && confirmed <= 4100);
    CHECK(alone >= 3 * confirmed && alone <= 24500);
}

/* Who hears nothing from anybody doubts itself. */
static void
test_health(void)
{
    struct net *net = net_met(6);

    cut_off = 2;
    net->drops = drop_to_and_from;
    net_run(net, 5000);
    CHECK(gossip_health(net->nodes[2].g) >= 3);
    CHECK(gossip_health(net->nodes[0].g) <= 1);
    net->drops = NULL;
    CHECK(net_run_until(net, net_all_alive, 40000));
    net_run(net, 60000);
    CHECK_EQ(gossip_health(net->nodes[2].g), 0);
    net_destroy(net);
}

static bool
drop_between_halves(const struct net *net, int from, int to)
{
    return (from < net->n / 2) != (to < net->n / 2);
}

/* Halves that thought each other dead find together, and tell each other what
 * was said meanwhile. */
static void
test_partition(void)
{
    struct net *net = net_met(10);

    net->drops = drop_between_halves;
    net_run(net, 60000);
    CHECK_EQ(gossip_n_alive(net->nodes[0].g), 5);
    CHECK_EQ(gossip_n_alive(net->nodes[9].g), 5);
    net_own(net, 0, "left", 0);
    net_own(net, 9, "right", 0);
    net_run(net, 10000);
    CHECK_EQ(net_n_having(net, "left"), 5);
    net->drops = NULL;
    CHECK(net_run_until(net, net_all_alive, 40000));
    net_run(net, 20000);
    CHECK_EQ(net_n_having(net, "left"), 10);
    CHECK_EQ(net_n_having(net, "right"), 10);
    net_destroy(net);
}

/* A host that starts again is taken for what it is now, whether or not its
 * death was noticed. */
static void
test_restart(void)
{
    struct net *net = net_met(5);
    struct gossip_member_info info;

    for (int down = 100; down <= 60100; down += 60000) {
        uint64_t id = gossip_self(net->nodes[2].g);

        net_stop(net, 2);
        net_run(net, down);
        net_start(net, 2);
        net_run(net, 3000);
        CHECK(net_run_until(net, net_all_alive, 20000));
        for (int i = 0; i < 5; i++) {
            CHECK(gossip_member(net->nodes[i].g, id, &info));
            CHECK_EQ(info.epoch, net->nodes[2].epoch);
        }
        net_own(net, 2, down == 100 ? "first" : "second", 0);
        net_run(net, 2000);
    }
    CHECK_EQ(net_n_having(net, "first"), 5);
    CHECK_EQ(net_n_having(net, "second"), 5);
    net_destroy(net);
}

static void
test_leave(void)
{
    struct net *net = net_met(5);
    struct gossip_stats stats;

    gossip_leave(net->nodes[1].g);
    net_run(net, 1000);
    net_stop(net, 1);
    CHECK(net_all_alive(net));
    CHECK_EQ(net_state(net, 0, 1), GOSSIP_LEFT);
    net_run(net, 30000);
    for (int i = 0; i < 5; i++) {
        if (i != 1) {
            gossip_get_stats(net->nodes[i].g, &stats);
            CHECK_EQ(stats.suspicions, 0);
        }
    }
    net_destroy(net);
}

/* Has node 0 hear that 'name' is in 'state'.  Returns its number. */
static uint64_t
hear_of(struct net *net, const char *name, enum gossip_state state)
{
    struct gossip_from from = { .host = gossip_self(net->nodes[1].g),
                                .epoch = net->nodes[1].epoch };
    struct gossip_addr addr = net_addr(1);
    struct gossip_member_value v = { .epoch = 77, .addr = addr };
    struct gossip_record r = { .version = 77 << 2 | state };
    struct gossip_out out;

    ovs_strlcpy(v.name, name, sizeof v.name);
    r.origin = gossip_host_id(name);
    gossip_member_encode(&r, r.origin, &v);
    gossip_out_init(&out);
    gossip_out_record(&out, &r, 0);
    gossip_receive(net->nodes[0].g, net->now, &from, &addr, out.buf, out.len);
    return r.origin;
}

/* Names come and go: those that are gone make room for those that come, and
 * for nobody else. */
static void
test_names(void)
{
    struct net *net = net_create(2);
    struct gossip_member_info info, infos[30];
    struct gossip_stats stats;
    struct gossip *g;
    char name[16];
    uint64_t id;

    net->cfg.max_members = 20;
    net_start_all(net);
    CHECK(net_run_until(net, net_all_alive, 20000));
    g = net->nodes[0].g;
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "n%d", i);
        id = hear_of(net, name, GOSSIP_ALIVE);
        CHECK(gossip_member(g, id, &info) && info.state == GOSSIP_ALIVE);
        hear_of(net, name, i % 2 ? GOSSIP_DEAD : GOSSIP_LEFT);
        CHECK(gossip_member(g, id, &info) && info.state != GOSSIP_ALIVE);
    }
    CHECK_EQ(gossip_members(g, infos, ARRAY_SIZE(infos)), 20);
    id = hear_of(net, "n0", GOSSIP_LEFT);
    CHECK(!gossip_member(g, id, &info));
    for (int i = 2000; i < 2018; i++) {
        snprintf(name, sizeof name, "n%d", i);
        hear_of(net, name, GOSSIP_ALIVE);
    }
    CHECK_EQ(gossip_n_alive(g), 20);
    id = hear_of(net, "one too many", GOSSIP_ALIVE);
    CHECK(!gossip_member(g, id, &info));
    gossip_get_stats(g, &stats);
    CHECK_EQ(stats.records_refused, 2);
    CHECK(gossip_member(g, gossip_self(net->nodes[1].g), &info)
          && info.state == GOSSIP_ALIVE);
    net_destroy(net);
}

static const struct test tests[] = {
    { "join", test_join },
    { "islands", test_islands },
    { "renamed", test_renamed },
    { "death", test_death },
    { "refutation", test_refutation },
    { "suspicion", test_suspicion },
    { "health", test_health },
    { "partition", test_partition },
    { "restart", test_restart },
    { "leave", test_leave },
    { "names", test_names },
    { NULL, NULL },
};

int
main(int argc, char *argv[])
{
    return run_tests(tests, argc, argv);
}
