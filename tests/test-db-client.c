/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Clients of a real OVS_Ext server for tests/db.at: a host whose time and
 * measures are made up, an administrator that writes nonsense, a writer and a
 * reader that outlive a cluster's leader.
 *
 *     test-db-client [TLS-OPTIONS] COMMAND REMOTE [ARG]... */

#include <config.h>
#include "tests/test-db-client.h"

#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fatal-signal.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/db/db-conn.h"
#include "ovs-ext/db/db-host.h"
#include "ovs-ext/db/ovs-ext-idl.h"
#include "ovsdb-idl.h"
#include "stream-ssl.h"
#include "tests/test-steering-util.h"
#include "timeval.h"
#include "util.h"

/* Long enough for a busy machine. */
#define PATIENCE 60000

void
client_pump(struct ovsdb_idl *idl, unsigned int seqno)
{
    long long int deadline = time_msec() + PATIENCE;

    for (;;) {
        ovsdb_idl_run(idl);
        if (ovsdb_idl_get_seqno(idl) != seqno) {
            return;
        }
        if (time_msec() > deadline) {
            ovs_fatal(0, "nothing comes from the database");
        }
        ovsdb_idl_wait(idl);
        poll_timer_wait_until(deadline);
        poll_block();
    }
}

struct ovsdb_idl *
client_open_host(const char *remote, const char *host)
{
    struct ovsdb_idl *idl = db_conn_open_host(remote, host);

    while (!db_conn_is_ready(idl)) {
        client_pump(idl, ovsdb_idl_get_seqno(idl));
    }
    return idl;
}

/* The administrator's connection, without the controller's lock. */
struct ovsdb_idl *
client_open_admin(const char *remote)
{
    struct ovsdb_idl *idl = ovsdb_idl_create(remote, &ovsext_idl_class, true,
                                             true);

    while (!db_conn_is_ready(idl)) {
        client_pump(idl, ovsdb_idl_get_seqno(idl));
    }
    return idl;
}

void
client_commit(struct ovsdb_idl_txn *txn)
{
    enum ovsdb_idl_txn_status status = ovsdb_idl_txn_commit_block(txn);

    if (status != TXN_SUCCESS && status != TXN_UNCHANGED) {
        ovs_fatal(0, "transaction: %s: %s",
                  ovsdb_idl_txn_status_to_string(status),
                  ovsdb_idl_txn_get_error(txn));
    }
    ovsdb_idl_txn_destroy(txn);
}

/* One call of the agent at 'now', and all that comes of it. */
void
client_tick(struct ovsdb_idl *idl, struct db_host *dh,
            const struct db_host_input *in, long long int now)
{
    long long int deadline = time_msec() + PATIENCE;

    ovsdb_idl_run(idl);
    db_host_run(dh, idl, in, now);
    while (db_host_is_busy(dh)) {
        struct db_host_input nothing = *in;

        ovsdb_idl_wait(idl);
        db_host_wait(dh);
        poll_timer_wait_until(deadline);
        poll_block();
        ovsdb_idl_run(idl);

        /* Only to see the end of the transaction. */
        nothing.resources = NULL;
        nothing.profiles = NULL;
        nothing.reports = NULL;
        nothing.session = NULL;
        db_host_run(dh, idl, &nothing, now);
        if (time_msec() > deadline) {
            ovs_fatal(0, "a transaction does not come to its end");
        }
    }
}

void
client_resource(struct hrm_resource *r, enum hrm_kind kind, int number)
{
    memset(r, 0, sizeof *r);
    snprintf(r->name, sizeof r->name, "%s/%d", hrm_kind_prefix(kind), number);
    r->kind = kind;
    r->state = HRM_AVAILABLE;
    r->numa = 0;
    r->capacity = 1000;
    ovs_strlcpy(r->unit, "packets/s", sizeof r->unit);
}

void
client_profile(struct tp_profile *p, int vni, enum tp_class class, double pps)
{
    memset(p, 0, sizeof *p);
    snprintf(p->network, sizeof p->network, "vni:%d", vni);
    p->class = class;
    p->pps = pps;
    p->bps = pps * 512;
    p->packet_size = 64;
    p->flows = 10;
}

unsigned long long int
client_transactions(const struct db_host *dh)
{
    struct db_host_stats stats;

    db_host_get_stats(dh, &stats);
    CHECK_EQ(stats.errors, 0);
    return stats.transactions;
}

/* A string of 'min' to 'max' characters that is valid UTF-8 and little
 * else. */
const char *
client_text(struct ext_rng *rng, int min, int max)
{
    static const char *const bits[] = {
        "h1", "h2", "pmd/", "vni:", "0", "\n", " ", "\"", "\\", "%s%n", "'",
        "{", "\xc3\xa9", "\xe2\x82\xac", "\x01", "\x7f", "../", "-1", ":",
    };
    static char buf[8][256];
    static size_t next;
    char *s = buf[next++ % ARRAY_SIZE(buf)];
    size_t n = min + ext_rng_range(rng, max - min + 1);
    size_t len = 0, chars = 0;

    s[0] = '\0';
    while (chars < n && len < sizeof buf[0] - 16) {
        const char *bit = bits[ext_rng_range(rng, ARRAY_SIZE(bits))];
        size_t bit_chars = (uint8_t) bit[0] >= 0x80 ? 1 : strlen(bit);

        if (chars + bit_chars > n) {
            bit = "x";
            bit_chars = 1;
        }
        len += snprintf(s + len, sizeof buf[0] - len, "%s", bit);
        chars += bit_chars;
    }
    return s;
}

static const struct client_command commands[] = {
    { "delta", 1, client_delta },
    { "idle", 1, client_idle },
    { "affinity", 1, client_affinity },
    { "garbage", 3, client_garbage },
    { "fleet", 1, client_fleet },
    { "fleet-garbage", 3, client_fleet_garbage },
    { "fleet-print", 2, client_fleet_print },
    { "session", 1, client_session },
    { "rival", 1, client_rival },
    { "session-denied", 2, client_session_denied },
    { "session-old", 1, client_session_old },
    { "host", 2, client_host },
    { "survive", 3, client_survive },
    { "write", 3, client_write },
    { "read", 1, client_read },
};

int
main(int argc, char *argv[])
{
    enum { SSL_OPTION_ENUMS = UCHAR_MAX + 1, OPT_LAST };
    static const struct option options[] = {
        STREAM_SSL_LONG_OPTIONS,
        {NULL, 0, NULL, 0},
    };

    set_program_name(argv[0]);
    fatal_ignore_sigpipe();
    vlog_set_levels(NULL, VLF_SYSLOG, VLL_OFF);
    vlog_set_levels(NULL, VLF_CONSOLE, VLL_WARN);
    for (;;) {
        int c = getopt_long(argc, argv, "+p:c:C:", options, NULL);

        if (c == -1) {
            break;
        }
        switch (c) {
        STREAM_SSL_OPTION_HANDLERS
        default:
            exit(EXIT_FAILURE);
        }
    }
    argc -= optind;
    argv += optind;
    for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++) {
        if (!strcmp(argv[0], commands[i].name)
            && argc - 1 == commands[i].n_args) {
            commands[i].run(argv[1], argv + 2);
            return 0;
        }
    }
    ovs_fatal(0, "usage: %s COMMAND REMOTE [ARG]...", program_name);
}
