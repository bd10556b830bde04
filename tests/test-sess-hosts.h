/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TEST_SESS_HOSTS_H
#define TEST_SESS_HOSTS_H 1

/* What tests of plans and of what becomes of packets share: a few hosts, each
 * with a plan, a session table and a header cache of its own.  Packets go from
 * one to the other as they would by the datapath. */

#include "ovs-ext/session/sess-decide.h"
#include "ovs-ext/session/sess-plan.h"
#include "packets.h"
#include "tests/test-sess.h"

enum { N_HOSTS = 4, N_BACKENDS = 4, N_KEYS = 256 };

/* What all hosts are told, unless a test tells some later than others. */
extern struct sess_fleet fleet;
extern struct sess_location locations[N_BACKENDS];
extern long long int now;

struct host {
    const char *name;
    uint64_t id;
    struct sess_numbers *numbers;
    struct sess_plan *plan;
    struct sess_table *table;
    struct phc *phc;
    struct phc_stats stats;
    uint64_t counts[SESS_N_COUNTS];
};
extern struct host hosts[N_HOSTS];

/* Where a packet went. */
struct path {
    int hops;                   /* Between hosts. */
    int backend;                /* Index, -1 if it was dropped. */
    int dropped_at;
    enum sess_count why;
    bool passed;                /* ICMP: it went ofproto's way. */
};

void plan_one(int i);
void plan_all(void);
void begin(uint8_t proto);
void end(void);
const struct sess_plan_service *service_of(const struct host *h);
void client_key(struct sess_key *key, int i);
uint16_t backend_number(const struct host *h, int i);
int owner_at(int host, int i);
struct path send_one(int at, int i, uint8_t tcp_flags);
struct path send_icmp(int at, int i);
int open_session(int at, int i);
int host_of(int backend);
void gossip(int to, int i, int backend);

/* Tests of test-sess-decide.c. */
void test_agree(void);
void test_order(void);
void test_drain_tcp(void);
void test_drain_udp(void);
void test_settle(void);
void test_migrate(void);
void test_migrate_young(void);
void test_kill(void);
void test_hops(void);
void test_reuse(void);
void test_asked(void);
void test_icmp(void);

#endif /* test-sess-hosts.h */
