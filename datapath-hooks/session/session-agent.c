/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* The agent of sessions: what is configured, and the plan that follows from
 * the fleet and from where its backends are. */

#include <config.h>

#include "datapath-hooks/session/session-agent.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/ext-agent.h"
#include "datapath-hooks/session/session-dp.h"
#include "entropy.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "ovs-ext/db/db-host.h"
#include "seq.h"
#include "smap.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(session_agent);

enum {
    JOIN_MS = 1500,             /* To hear where backends are, and then which
                                 * sessions began elsewhere meanwhile: others
                                 * need 0.5 s to find those in their tables. */
    ALONE_MS = 3000,            /* To find anybody. */
    PLAN_MS = 5,                /* After a plan, at least so long without
                                 * another; and as long as it took. */
    PHC_TEMPLATES = 8192
};

struct ovs_mutex session_mutex = OVS_MUTEX_INITIALIZER;
struct session_agent session_ag;

/* As the main thread wants it; under the mutex. */
static struct session_local wanted;
static bool config_changed;

/* Agent thread. */
static struct sess_fleet db_fleet;      /* The last from the database. */
static char *db_host_name;

/* Those of the last plan, sorted. */
static struct sess_hint *last_hints;
static size_t n_last_hints;

/* What the database is told. */
static struct {
    struct db_host_session row;
    char *encap, *gossip;
    struct smap state;
    struct db_hint *hints;
    long long int made_at;
} rows;

static void
local_clone(struct session_local *to, const struct session_local *from)
{
    to->host = nullable_xstrdup(from->host);
    to->gossip = nullable_xstrdup(from->gossip);
    to->keys = nullable_xstrdup(from->keys);
    to->encap = nullable_xstrdup(from->encap);
    to->dir = nullable_xstrdup(from->dir);
}

static void
local_uninit(struct session_local *local)
{
    free(local->host);
    free(local->gossip);
    free(local->keys);
    free(local->encap);
    free(local->dir);
    memset(local, 0, sizeof *local);
}

/* Main thread: has the agent use 'local', or, if that is null, nothing. */
void
session_agent_configure(const struct session_local *local)
{
    ovs_mutex_lock(&session_mutex);
    local_uninit(&wanted);
    if (local) {
        local_clone(&wanted, local);
    }
    config_changed = true;
    ovs_mutex_unlock(&session_mutex);
}

/* Main thread: sizes of tables, which are made with the first service. */
void
session_agent_set_sizes(const struct session_sizes *sizes)
{
    ovs_mutex_lock(&session_mutex);
    session_ag.sizes = *sizes;
    if (session_ag.table) {
        VLOG_INFO("other_config: other sizes of tables take effect when the "
                  "daemon is started next");
    }
    ovs_mutex_unlock(&session_mutex);
}

/* Whether enough was heard for packets to be steered by it: a host that has
 * just started does not know what others have. */
static bool
is_ready(long long int now)
{
    const struct sess_fleet *fleet = &session_ag.fleet;
    struct gossip *g = session_gossip();
    bool others = false;

    if (session_ag.ready || (session_ag.by_hand && !session_ag.local.host)) {
        return true;
    } else if (!g) {
        return false;
    }
    for (size_t i = 0; i < fleet->n_hosts; i++) {
        others |= (fleet->hosts[i].id != session_ag.self
                   && fleet->hosts[i].gossip.port);
    }
    if (!session_ag.joined_at && gossip_n_alive(g) > 1) {
        session_ag.joined_at = now;
    }
    return (!others || now - session_ag.active_since >= ALONE_MS
            || (session_ag.joined_at
                && now - session_ag.joined_at >= JOIN_MS));
}

/* Whether gossip should have begun and has not, but may any moment: the host's
 * address often comes after the daemon.  To be alone until then would be to
 * take what others have for new sessions of the backends here. */
bool
session_waits_for_gossip(long long int now)
{
    return (session_ag.local.gossip && !session_gossip()
            && now - session_ag.active_since < ALONE_MS);
}

static void
note_alone(long long int now)
{
    bool alone = (session_ag.local.gossip && !session_gossip()
                  && !session_waits_for_gossip(now));

    if (alone && !session_ag.alone) {
        VLOG_INFO("gossip has not begun: this host goes by its own backends");
    }
    session_ag.alone = alone;
}

/* The plan. */

/* Says once that 'plan' leaves something out, and once that it no longer does:
 * other hosts may have numbers for it, and then do not agree on owners. */
static void
note_left_out(const struct sess_plan *plan)
{
    size_t before = session_ag.plan ? session_ag.plan->n_left_out : 0;

    if (plan->n_left_out && !before) {
        VLOG_WARN("%"PRIuSIZE" services, backends and ways to them are left "
                  "out until others have been gone for %d minutes",
                  plan->n_left_out, SESS_REST_MS / 60000);
    } else if (!plan->n_left_out && before) {
        VLOG_INFO("no service, backend or way is left out any more");
    }
}

/* Makes a plan with 'hints', which it takes over. */
static void
make_plan(struct sess_hint *hints, size_t n_hints, long long int now)
{
    size_t n = hmap_count(&session_ag.places);
    struct sess_location *locations = xcalloc(MAX(n, 1), sizeof *locations);
    const struct sess_plan *last = session_dp_plan();
    struct session_place *p;
    struct sess_plan *plan;

    n = 0;
    HMAP_FOR_EACH (p, node, &session_ag.places) {
        if (p->host) {
            locations[n++] = (struct sess_location) {
                .backend = p->id,
                .host = p->host,
                .alive = p->alive,
                .present = p->present,
            };
        }
    }
    struct sess_plan_args args = {
        .fleet = &session_ag.fleet,
        .self = session_ag.self,
        .locations = locations,
        .n_locations = n,
        .hints = hints,
        .n_hints = n_hints,
        .numbers = session_ag.numbers,
        .last = last,
        .now = now,
    };
    plan = sess_plan_create(&args);
    note_left_out(plan);
    session_cache_plan_changed(last, plan);
    session_dp_set_plan(plan);
    session_ag.plan = plan;
    session_ag.n_plans++;
    session_ag.hints_changed = session_ag.plan_due = false;
    session_own_plan_changed();
    free(locations);
    free(last_hints);
    last_hints = hints;
    n_last_hints = n_hints;
}

/* Makes a plan if something has changed, but not for a hint that is repeated.
 * The first change of several finds its way at once, the others together a
 * moment after: many backends move at a time, and each plan has a cost, here
 * and in the main thread. */
static void
plan_run(long long int now)
{
    if ((session_ag.plan_due || session_ag.hints_changed)
        && now >= session_ag.plan_at) {
        long long int start = time_msec();
        struct sess_hint *hints;
        size_t n = session_hints_heard(&hints, now);

        if (!session_ag.plan_due && n == n_last_hints
            && (!n || !memcmp(hints, last_hints, n * sizeof *hints))) {
            session_ag.hints_changed = false;
            free(hints);
            return;
        }
        make_plan(hints, n, now);
        session_ag.plan_at = time_msec() + MAX(time_msec() - start, PLAN_MS);
    }
}

static void
make_tables(void)
{
    struct sess_config table;
    struct phc_config phc = { .templates = PHC_TEMPLATES };

    if (session_ag.table) {
        return;
    }
    sess_config_init(&table);
    table.max = session_ag.sizes.sessions;
    get_entropy(&table.seed, sizeof table.seed);
    phc.entries = session_ag.sizes.entries;
    get_entropy(&phc.seed, sizeof phc.seed);
    session_ag.table = sess_table_create(&table);
    session_ag.phc = phc_create(&phc);
    session_ag.numbers = sess_numbers_create();
    session_dp_enable(session_ag.table, session_ag.phc);
}

static bool
is_wanted(void)
{
    const struct sess_fleet *fleet = &session_ag.fleet;

    if (!session_ag.host || !(session_ag.local.host || session_ag.by_hand)) {
        return false;
    }
    for (size_t i = 0; i < fleet->n_services; i++) {
        if (sess_service_has_host(&fleet->services[i], session_ag.host)) {
            return true;
        }
    }
    return false;
}

/* Takes all sessions out.  The table's clock of 32 bits goes round while
 * nobody looks for idle ones, and a later service is not to find them. */
static void
clear_sessions(void)
{
    struct sess_info info;
    size_t pos = 0;

    while (sess_next(session_ag.table, &pos, &info)) {
        sess_remove(session_ag.table, &info.key);
    }
}

static void
begin(long long int now)
{
    VLOG_INFO("sessions start");
    make_tables();
    clear_sessions();           /* What PMD threads added during end(). */
    session_ag.active = true;
    session_ag.ready = session_ag.alone = false;
    session_ag.active_since = now;
    session_ag.joined_at = 0;
    session_ag.fleet_changed = true;
}

static void
end(void)
{
    if (!session_ag.active) {
        return;
    }
    VLOG_INFO("sessions stop");
    session_ag.active = false;
    session_own_stop();
    session_hint_stop();
    session_cache_stop();
    session_gossip_stop();
    session_dp_set_plan(NULL);
    session_ag.plan = NULL;
    session_places_clear();
    clear_sessions();
}

static void
work(long long int now, bool due)
{
    bool changed = false;

    if (session_gossip_start(now)) {
        session_gossip_run(now, due);
    }
    if (session_ag.fleet_changed) {
        session_ag.fleet_changed = false;
        session_places_update(now);
        changed = true;
    }
    if (!session_ag.ready && is_ready(now)) {
        session_ag.ready = true;
        changed = true;
    }
    note_alone(now);
    if (due || changed || session_ag.places_changed
        || seq_read(session_dp_seq()) != session_ag.present_seq) {
        changed |= session_places_run(now);
    }
    session_ag.plan_due |= (changed || (session_ag.plan
                                        && now >= session_ag.plan->retry_at));
    plan_run(now);
    if (due) {
        session_own_run(now);
        session_hint_run(now);
    }
    session_cache_run(now, due);
}

static void
set_fleet(const struct sess_fleet *fleet, const char *host)
{
    sess_fleet_uninit(&session_ag.fleet);
    sess_fleet_clone(&session_ag.fleet, fleet);
    free(session_ag.host);
    session_ag.host = nullable_xstrdup(host);
    session_ag.self = host ? gossip_host_id(host) : 0;
    session_ag.fleet_changed = true;
}

void
session_take_fleet(const struct sess_fleet *fleet, const char *host)
{
    ovs_mutex_lock(&session_mutex);
    sess_fleet_uninit(&db_fleet);
    sess_fleet_clone(&db_fleet, fleet);
    free(db_host_name);
    db_host_name = nullable_xstrdup(host);
    if (!session_ag.by_hand) {
        set_fleet(fleet, host);
    }
    ovs_mutex_unlock(&session_mutex);
}

static void
take_config(void)
{
    if (config_changed) {
        config_changed = false;
        local_uninit(&session_ag.local);
        local_clone(&session_ag.local, &wanted);
    }
}

static void
agent_run(long long int now, bool due)
{
    ovs_mutex_lock(&session_mutex);
    take_config();
    if (!is_wanted()) {
        end();
    } else {
        if (!session_ag.active) {
            begin(now);
        }
        work(now, due);
    }
    ovs_mutex_unlock(&session_mutex);
}

static void
agent_wait(void)
{
    ovs_mutex_lock(&session_mutex);
    if (session_ag.active) {
        session_gossip_wait();
        seq_wait(session_dp_seq(), session_ag.present_seq);
        if (session_ag.plan_due || session_ag.hints_changed) {
            poll_timer_wait_until(session_ag.plan_at);
        }
    }
    ovs_mutex_unlock(&session_mutex);
}

static void
agent_stop(void)
{
    ovs_mutex_lock(&session_mutex);
    take_config();
    end();
    ovs_mutex_unlock(&session_mutex);
}

/* What the database is told. */

static void
add_name(struct ds *ds, const char *name)
{
    ds_put_format(ds, "%s%s", ds->length ? " " : "", name);
}

static void
make_state(struct smap *state)
{
    struct gossip *g = session_gossip();
    struct ds suspect = DS_EMPTY_INITIALIZER, dead = DS_EMPTY_INITIALIZER;

    smap_clear(state);
    if (!g) {
        return;
    }
    smap_add_format(state, "alive", "%"PRIuSIZE, gossip_n_alive(g));
    for (size_t i = 0; i < session_ag.fleet.n_hosts; i++) {
        const struct sess_host *h = &session_ag.fleet.hosts[i];
        struct gossip_member_info info;

        if (gossip_member(g, h->id, &info)) {
            if (info.state == GOSSIP_SUSPECT) {
                add_name(&suspect, h->name);
            } else if (info.state == GOSSIP_DEAD) {
                add_name(&dead, h->name);
            }
        }
    }
    if (suspect.length) {
        smap_add(state, "suspect", ds_cstr(&suspect));
    }
    if (dead.length) {
        smap_add(state, "dead", ds_cstr(&dead));
    }
    ds_destroy(&suspect);
    ds_destroy(&dead);
}

static void
make_rows(long long int now)
{
    const struct session_local *local = &session_ag.local;

    rows.made_at = now;
    free(rows.encap);
    free(rows.gossip);
    free(rows.hints);
    rows.encap = xstrdup(local->encap ? local->encap : "");
    rows.gossip = xstrdup(local->gossip ? local->gossip : "");
    make_state(&rows.state);
    rows.row.encap_ip = rows.encap;
    rows.row.gossip = rows.gossip;
    rows.row.gossip_state = &rows.state;
    rows.row.n_hints = session_hints_given(&rows.hints, now);
    rows.row.hints = rows.hints;
}

const struct db_host_session *
session_rows(void)
{
    long long int now = time_msec();

    ovs_mutex_lock(&session_mutex);
    if (!rows.made_at || now - rows.made_at >= EXT_AGENT_INTERVAL) {
        make_rows(now);
    }
    ovs_mutex_unlock(&session_mutex);
    return &rows.row;
}

/* By hand, for tests.  Main thread, with the mutex. */

/* Has 'fleet' and 'host' in the place of what the database says; null returns
 * to that.  Returns true if the agent is needed for it. */
bool
session_agent_set_fleet_by_hand(const struct sess_fleet *fleet,
                                const char *host)
{
    session_ag.by_hand = fleet != NULL;
    if (fleet) {
        set_fleet(fleet, host);
    } else {
        struct session_place *p;

        HMAP_FOR_EACH (p, node, &session_ag.places) {
            p->by_hand = false;
        }
        set_fleet(&db_fleet, db_host_name);
    }
    return session_ag.by_hand || session_ag.local.host;
}

char *
session_agent_locate_by_hand(const char *backend, const char *host)
{
    struct session_place *p = session_place_find(sess_id_of_name(backend));
    uint64_t id = strcmp(host, "none") ? gossip_host_id(host) : 0;

    if (!p) {
        return xasprintf("%s: no such backend", backend);
    } else if (id && !sess_fleet_host(&session_ag.fleet, id)) {
        return xasprintf("%s: no such host", host);
    }
    p->by_hand = true;
    p->host = id;
    session_ag.fleet_changed = true;
    return NULL;
}

void
session_agent_init(void)
{
    static const struct ext_agent_system system = {
        .name = "session",
        .run = agent_run,
        .wait = agent_wait,
        .stop = agent_stop,
    };

    hmap_init(&session_ag.places);
    smap_init(&rows.state);
    session_ag.sizes = (struct session_sizes) { 131072, 65536, 256 << 20 };
    ext_agent_register(&system);
}

/* Once the agent's thread has ended. */
void
session_agent_exit(void)
{
    local_uninit(&session_ag.local);
    local_uninit(&wanted);
    sess_fleet_uninit(&session_ag.fleet);
    sess_fleet_uninit(&db_fleet);
    free(session_ag.host);
    free(db_host_name);
    free(last_hints);
    free(rows.encap);
    free(rows.gossip);
    free(rows.hints);
    smap_destroy(&rows.state);
}
