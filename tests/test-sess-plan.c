/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of plans: pure code, time given.  Those of decisions are in
 * test-sess-decide.c. */

#include <config.h>

#include <limits.h>

#include "tests/test-sess-hosts.h"

/* No backend at all; one without a known address; members. */
static void
test_members(void)
{
    struct path path;

    begin(IPPROTO_TCP);
    for (int i = 0; i < N_BACKENDS; i++) {
        locations[i].host = 0;
    }
    plan_all();
    path = send_one(0, 1, TCP_SYN);
    CHECK_EQ(path.why, SESS_N_NO_OWNER);

    locations[1].host = hosts[1].id;
    memset(&fleet.hosts[1].encap_ip, 0, sizeof fleet.hosts[1].encap_ip);
    plan_all();
    path = send_one(0, 1, TCP_SYN);
    CHECK_EQ(path.why, SESS_N_UNRESOLVED);
    CHECK_EQ(send_one(1, 1, TCP_SYN).backend, 1);

    /* Only h0 and h2 are members. */
    fleet.services[0].hosts = xcalloc(2, sizeof(char *));
    fleet.services[0].hosts[0] = xstrdup("h0");
    fleet.services[0].hosts[1] = xstrdup("h2");
    fleet.services[0].n_hosts = 2;
    for (int i = 0; i < N_BACKENDS; i++) {
        locations[i].host = hosts[i].id;
    }
    plan_all();
    CHECK(!service_of(&hosts[1]));
    for (int i = 0; i < N_KEYS; i++) {
        path = send_one(2 * (i % 2), i, TCP_SYN);
        CHECK(path.backend == 0 || path.backend == 2);
    }
    CHECK(sess_plan_is_peer(service_of(&hosts[0]), &fleet.hosts[2].encap_ip));
    CHECK(!sess_plan_is_peer(service_of(&hosts[0]), &fleet.hosts[0].encap_ip));
    CHECK(!sess_plan_is_peer(service_of(&hosts[0]), &fleet.hosts[3].encap_ip));
    CHECK(!sess_plan_find(hosts[0].plan, &fleet.services[0].addr,
                          fleet.services[0].proto, htons(80), NULL,
                          fleet.services[0].zone + 1));
    end();
}

/* Numbers stay while they are in use, and for a while after. */
static void
test_numbers(void)
{
    struct sess_numbers *n = sess_numbers_create();
    uint16_t a, b;

    a = sess_numbers_get(n, SESS_NUMBER_SERVICE, 1, 0, 0, 0);
    b = sess_numbers_get(n, SESS_NUMBER_SERVICE, 2, 0, 0, 0);
    CHECK(a && b && a != b);
    CHECK_EQ(sess_numbers_get(n, SESS_NUMBER_SERVICE, 1, 0, 0, 1000), a);
    for (int i = 3; i < SESS_MAX_SERVICES; i++) {
        CHECK(sess_numbers_get(n, SESS_NUMBER_SERVICE, i, 0, 0, 2000));
    }
    CHECK_EQ(sess_numbers_get(n, SESS_NUMBER_SERVICE, 5000, 0, 0,
                              SESS_REST_MS), SESS_NONE);
    CHECK_EQ(sess_numbers_get(n, SESS_NUMBER_SERVICE, 5000, 0, 0,
                              SESS_REST_MS + 1), b);
    CHECK_EQ(sess_numbers_get(n, SESS_NUMBER_SERVICE, 2, 0, 0,
                              SESS_REST_MS + 1), SESS_NONE);
    CHECK_EQ(sess_numbers_get(n, SESS_NUMBER_SERVICE, 1, 0, 0,
                              SESS_REST_MS + 1), a);
    sess_numbers_destroy(n);

    /* Plans keep what they use, however seldom they are made. */
    begin(IPPROTO_TCP);
    a = backend_number(&hosts[0], 3);
    now += 10 * SESS_REST_MS;
    fleet.services[0].backends[0].id = locations[0].backend = 77;
    plan_all();
    CHECK_EQ(backend_number(&hosts[0], 3), a);
    CHECK(backend_number(&hosts[0], 0) != a);
    end();
}

enum { MANY_SERVICES = 3, MANY_EACH = 734 };

/* Services with many backends, whose names begin with 'prefix', all on h0. */
static void
make_many(struct sess_fleet *f, struct sess_location *where,
          const char *prefix)
{
    sess_fleet_clone(f, &fleet);
    for (size_t i = 0; i < f->n_services; i++) {
        sess_service_uninit(&f->services[i]);
    }
    free(f->services);
    f->n_services = MANY_SERVICES;
    f->services = xcalloc(MANY_SERVICES, sizeof *f->services);
    for (int i = 0; i < MANY_SERVICES; i++) {
        struct sess_service *s = &f->services[i];

        s->name = xasprintf("s%d", i);
        s->id = sess_id_of_name(s->name);
        s->proto = IPPROTO_TCP;
        s->port = htons(80 + i);
        s->bridge = xstrdup("br0");
        s->backends = xcalloc(MANY_EACH, sizeof *s->backends);
        s->n_backends = MANY_EACH;
        for (int j = 0; j < MANY_EACH; j++) {
            struct sess_backend *b = &s->backends[j];

            b->name = xasprintf("%s%d-%d", prefix, i, j);
            b->id = sess_id_of_name(b->name);
            b->port = xstrdup(b->name);
            b->weight = 1;
            where[i * MANY_EACH + j] = (struct sess_location) {
                .backend = b->id, .host = hosts[0].id, .alive = true,
                .present = true,
            };
        }
    }
}

/* The plan of h0 after 'last', which is destroyed, with all backends renamed
 * to begin with 'prefix'. */
static struct sess_plan *
plan_many(struct sess_numbers *numbers, struct sess_plan *last,
          const char *prefix)
{
    static struct sess_location where[MANY_SERVICES * MANY_EACH];
    struct sess_fleet f;
    struct sess_plan_args args = {
        .fleet = &f, .self = hosts[0].id, .locations = where,
        .n_locations = ARRAY_SIZE(where), .numbers = numbers, .last = last,
        .now = now,
    };
    struct sess_plan *plan;

    make_many(&f, where, prefix);
    plan = sess_plan_create(&args);
    sess_plan_destroy(last);
    sess_fleet_uninit(&f);
    return plan;
}

/* Checks that each session has the same owner by 'a' as by 'b'. */
static void
check_agree(const struct sess_plan *a, const struct sess_plan *b)
{
    for (int i = 0; i < MANY_SERVICES; i++) {
        uint64_t id = sess_id_of_name(i == 0 ? "s0" : i == 1 ? "s1" : "s2");
        const struct sess_plan_service *s, *t;

        s = sess_plan_service(a, sess_plan_service_number(a, id));
        t = sess_plan_service(b, sess_plan_service_number(b, id));
        CHECK_EQ(s->ring->n, MANY_EACH);
        for (int j = 0; j < 1000; j++) {
            const struct sess_plan_backend *x, *y;
            struct sess_key key;

            client_key(&key, j);
            x = sess_plan_backend(a, sess_plan_owner(s, &key));
            y = sess_plan_backend(b, sess_plan_owner(t, &key));
            CHECK_EQ(x->id, y->id);
        }
    }
}

/* More backends are renamed at a time than half of those that there may be,
 * again and again. */
static void
test_rename(void)
{
    struct sess_numbers *old, *new;
    struct sess_plan *plan, *fresh;
    char prefix[2] = "b";

    begin(IPPROTO_TCP);
    old = sess_numbers_create();
    new = sess_numbers_create();
    plan = plan_many(old, NULL, "a");
    now += 60000;
    plan = plan_many(old, plan, prefix);
    fresh = plan_many(new, NULL, prefix);
    CHECK_EQ(plan->n_left_out, 0);
    CHECK_EQ(plan->retry_at, LLONG_MAX);
    check_agree(plan, fresh);

    /* Until there is no number left, which another plan is asked for. */
    while (!plan->n_left_out) {
        CHECK(prefix[0] < 'z');
        now += 1000;
        prefix[0]++;
        plan = plan_many(old, plan, prefix);
    }
    for (int i = 0; plan->n_left_out; i++) {
        CHECK(i <= SESS_REST_MS / SESS_RETRY_MS + 1);
        CHECK_EQ(plan->retry_at, now + SESS_RETRY_MS);
        now = plan->retry_at;
        plan = plan_many(old, plan, prefix);
    }
    CHECK_EQ(plan->retry_at, LLONG_MAX);
    sess_plan_destroy(fresh);
    fresh = plan_many(new, NULL, prefix);
    check_agree(plan, fresh);

    sess_plan_destroy(plan);
    sess_plan_destroy(fresh);
    sess_numbers_destroy(old);
    sess_numbers_destroy(new);
    end();
}

/* Plans share the owners that have not changed. */
static void
test_share(void)
{
    const struct sess_ring *ring;

    begin(IPPROTO_TCP);
    ring = service_of(&hosts[0])->ring;
    locations[0].host = hosts[1].id;
    plan_all();
    CHECK(service_of(&hosts[0])->ring == ring);
    CHECK(!service_of(&hosts[0])->n_previous);
    fleet.hosts[1].drain = true;
    plan_all();
    CHECK(service_of(&hosts[0])->ring != ring);
    CHECK_EQ(service_of(&hosts[0])->n_previous, 1);
    CHECK(service_of(&hosts[0])->previous[0].ring == ring);
    now += SESS_PREVIOUS_MS + 1;
    plan_all();
    CHECK(!service_of(&hosts[0])->n_previous);
    end();
}

/* Targets ahead of use. */
static void
test_hints(void)
{
    struct sess_hint hint;
    struct sess_plan *plan;
    struct sess_plan_args args;
    size_t n = 0;

    begin(IPPROTO_TCP);
    for (int i = 0; i < N_BACKENDS; i++) {
        locations[i].host = hosts[i % 2].id;
    }
    plan_all();
    CHECK_EQ(hosts[0].plan->n_targets, N_BACKENDS + 2);
    hint = (struct sess_hint) { locations[0].backend, hosts[2].id };
    args = (struct sess_plan_args) {
        .fleet = &fleet, .self = hosts[0].id,
        .locations = locations, .n_locations = N_BACKENDS,
        .hints = &hint, .n_hints = 1,
        .numbers = hosts[0].numbers, .last = hosts[0].plan, .now = now,
    };
    plan = sess_plan_create(&args);
    CHECK_EQ(plan->n_targets, N_BACKENDS + 4);
    for (size_t i = 0; i < plan->n_targets; i++) {
        n += plan->targets[i].hinted;
    }
    CHECK_EQ(n, 2);
    sess_plan_destroy(plan);
    /* What is in use already is not only hinted. */
    hint.host = hosts[1].id;
    plan = sess_plan_create(&args);
    CHECK_EQ(plan->n_targets, N_BACKENDS + 2);
    for (size_t i = 0; i < plan->n_targets; i++) {
        CHECK(!plan->targets[i].hinted);
    }
    sess_plan_destroy(plan);
    end();
}

static const struct test tests[] = {
    { "agree", test_agree },
    { "order", test_order },
    { "drain-tcp", test_drain_tcp },
    { "drain-udp", test_drain_udp },
    { "settle", test_settle },
    { "migrate", test_migrate },
    { "migrate-young", test_migrate_young },
    { "kill", test_kill },
    { "hops", test_hops },
    { "reuse", test_reuse },
    { "asked", test_asked },
    { "icmp", test_icmp },
    { "members", test_members },
    { "numbers", test_numbers },
    { "rename", test_rename },
    { "share", test_share },
    { "hints", test_hints },
    { NULL, NULL },
};

int
main(int argc, char *argv[])
{
    set_program_name(argv[0]);
    return run_tests(tests, argc, argv);
}
