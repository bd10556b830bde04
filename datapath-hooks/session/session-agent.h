/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef SESSION_AGENT_H
#define SESSION_AGENT_H 1

/* What the files of the agent of sessions share.
 *
 * The agent runs in ext-agent's thread.  It knows the fleet from the database,
 * tells and hears by gossip where backends and sessions are, predicts
 * migrations, and makes of it all the plan that PMD threads steer by
 * (session-dp.h).
 *
 *     session-agent.c   fleet, plan, what the database is told
 *     session-place.c   where backends are
 *     session-gossip.c  socket, keyring, members
 *     session-own.c     sessions that are not where they would be looked for
 *     session-cache.c   header cache: entries
 *     session-file.c    header cache: its file
 *     session-load.c    how busy this host and its backends are
 *     session-hint.c    prediction
 *     session-show*.c   commands
 *
 * Thread safety: everything here belongs to the agent's thread, which holds
 * 'session_mutex' while it runs; the main thread takes that for commands and
 * to hand over configuration. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datapath-hooks/session/phc-l2.h"
#include "datapath-hooks/session/session-impl.h"
#include "datapath-hooks/session/session.h"
#include "openvswitch/hmap.h"
#include "ovs-ext/session/gossip.h"
#include "ovs-ext/session/sess-fleet.h"
#include "ovs-ext/session/tpam.h"

struct db_hint;
struct ds;
struct gossip_udp;
struct json;

extern struct ovs_mutex session_mutex;

/* Where this host is, from external_ids.  Strings are null if not set. */
struct session_local {
    char *host;
    char *gossip;               /* "ADDRESS:PORT" */
    char *keys;                 /* File. */
    char *encap;                /* Address. */
    char *dir;
};

/* Sizes, from other_config. */
struct session_sizes {
    size_t sessions, entries, file_bytes;
};

/* A backend, wherever it is, in however many services it is. */
struct session_place {
    struct hmap_node node;      /* In 'places' of the agent, by 'id'. */
    uint64_t id;
    char *name;
    bool wanted;                /* By the present fleet. */
    bool seen;                  /* While 'present' is found out. */
    bool present;               /* Its port is plugged in here. */
    uint64_t host;              /* ID of who says that it is there; or 0. */
    bool alive;                 /* That host. */
    bool by_hand;               /* ext/session-debug says so. */
    long long int absent_since; /* ms: the port went, and nobody else has
                                 * claimed it yet; or 0. */
    long long int claimed_at;   /* ms: we last said that it is here, anew. */
    long long int refresh_at;   /* ms: not to be said again before. */
    bool said_elsewhere;        /* In the log: it is here and elsewhere. */
};

/* The agent's state. */
struct session_agent {
    struct session_local local; /* As configured; 'host' null: not. */
    struct session_sizes sizes;
    struct sess_fleet fleet;    /* The last that was taken. */
    char *host;                 /* This host's name in it. */
    uint64_t self;              /* gossip_host_id() of it. */
    bool active;                /* A service names this host, and we are
                                 * configured. */
    bool by_hand;               /* The fleet is that of ext/session-debug. */
    bool ready;                 /* Enough was heard to make use of it. */
    bool alone;                 /* For want of gossip, which should be. */
    long long int active_since, joined_at;

    struct hmap places;         /* Of struct session_place. */
    uint64_t present_seq;       /* session_dp_seq() at the last look at them. */
    bool fleet_changed, places_changed, hints_changed;
    bool plan_due;              /* Something else that plans depend on. */
    long long int plan_at;      /* ms: no plan before. */
    struct sess_numbers *numbers;
    struct sess_table *table;   /* Like the next, from first use on. */
    struct phc *phc;
    uint64_t n_plans;           /* Made. */
    const struct sess_plan *plan; /* In use, or null. */
};
extern struct session_agent session_ag;

/* session-agent.c */
void session_agent_init(void);
void session_agent_exit(void);
void session_agent_configure(const struct session_local *);
void session_agent_set_sizes(const struct session_sizes *);
bool session_agent_set_fleet_by_hand(const struct sess_fleet *,
                                     const char *host);
char *session_agent_locate_by_hand(const char *backend, const char *host);

/* session-place.c */
struct session_place *session_place_find(uint64_t backend);
const char *session_host_name(uint64_t host);
const struct sess_backend *session_backend_find(uint64_t backend,
                                                const struct sess_service **);
void session_places_update(long long int now);
bool session_places_run(long long int now);
void session_places_clear(void);

/* session-gossip.c */

enum { SESSION_MAX_RECORDS = 262144 };  /* Of gossip, but members. */

/* Gossips as 'session_ag.local' says, or changes to that.  Returns false if it
 * does not gossip (yet): that is tried again. */
bool session_gossip_start(long long int now);
bool session_waits_for_gossip(long long int now);   /* session-agent.c */
void session_gossip_stop(void);
void session_gossip_run(long long int now, bool due);
void session_gossip_wait(void);
struct gossip *session_gossip(void);    /* Null if it does not. */
bool session_gossip_is_alive(uint64_t host);

/* For the commands; what is returned may be null. */
const struct gossip_udp *session_gossip_udp(const char **listen,
                                            const char **keyring,
                                            const char **error);

enum { SESSION_GROUP_KEY = 9 };
void session_group_key(uint64_t backend, uint8_t key[SESSION_GROUP_KEY]);
bool session_group_from_key(const uint8_t *key, size_t len,
                            uint64_t *backend);

/* session-own.c */
void session_own_run(long long int now);
void session_own_plan_changed(void);
void session_own_stop(void);
struct session_own_counts {
    size_t n;                   /* Told now. */
    uint64_t told, closed, kept_home, removed;
};
void session_own_get_counts(struct session_own_counts *);

/* What the sessions of a backend here did, since the agent began. */
struct session_own_totals {
    uint64_t packets, bytes;
    size_t n;                   /* Sessions, now. */
    double rtt_us;              /* To the backend, mean; 0 if not known. */
};
bool session_own_totals(uint64_t backend, struct session_own_totals *);

/* session-cache.c */

/* A host says: session 'key' is with 'backend', for 'ttl' ms more. */
void session_cache_put(const struct sess_key *key, uint64_t backend,
                       uint32_t ttl, long long int now);
void session_cache_remove(const struct sess_key *key);
bool session_cache_restore(const struct sess_key *, uint16_t number,
                           long long int ttl, long long int now);
void session_cache_plan_changed(const struct sess_plan *last,
                                const struct sess_plan *new);
void session_cache_run(long long int now, bool due);
void session_cache_stop(void);
char *session_cache_flush(const char *filter, size_t *n, size_t *kept);

/* 'path' is null without a file; 'unknown' counts what was said of sessions
 * whose service or backend is not, 'known' those that packets missed and gossip
 * knew, 'restored' what came of the file, at the start and for a packet. */
struct session_cache_counts {
    struct phc_counts phc;
    struct phc_stats stats;
    struct phc_l2_counts l2;
    const char *path;
    uint64_t unknown, known, restored, restored_headers;
};
bool session_cache_get_counts(struct session_cache_counts *);

/* session-file.c, for session-cache.c.  All but the first do nothing while
 * there is no file. */
void session_file_start(void);
void session_file_stop(void);
void session_file_put(const struct sess_key *,
                      const struct sess_plan_backend *, double probability,
                      uint32_t ttl);
void session_file_remove(const struct sess_key *);
void session_file_ask(const struct sess_key *);
void session_file_flush(const struct phc_filter *);
void session_file_run(long long int now);
void session_file_get_counts(struct session_cache_counts *);

/* session-show-cache.c */
void session_cache_show(struct ds *);
struct json *session_cache_json(void);

/* session-load.c */

/* Measured in a period; NaN is not known. */
struct session_load {
    double cpu, memory, bandwidth;      /* 0...1 */
    double pps;                 /* Packets a second of all backends here. */
    double rtt_us;              /* To them and back, mean. */
};

/* What a backend here did in the last period. */
struct session_group {
    struct hmap_node node;      /* In 'session_groups', by ID. */
    uint64_t id;
    uint64_t packets, bytes;    /* Since the agent began. */
    double pps, rtt_us, packet_size;    /* NaN: not known. */
    size_t n;                   /* Sessions. */
    bool seen;                  /* While it is found out who is here. */
};
extern struct hmap session_groups;

struct session_group *session_group_find(uint64_t id);
void session_load_start(long long int now);
void session_load_stop(void);
void session_load_run(long long int now, struct session_load *);
const struct gossip_load_value *session_load_said(void);

/* session-hint.c */

enum { SESSION_HINT_TARGETS = 2 };      /* Hosts that a hint names, at most. */

/* What became of hints.  One that is repeated is still the same. */
struct session_hint_counts {
    uint64_t told, home;        /* Records, to others or not worth that. */
    uint64_t hints;             /* Given. */
    uint64_t came;              /* Moved to a host that was named, */
    uint64_t elsewhere;         /* to another one, */
    uint64_t nothing;           /* or not until the hint was over. */
    uint64_t moved;             /* Backends, hinted or not. */
    struct tpam_learned learned;
};

void session_hint_run(long long int now);
void session_hint_migrated(uint64_t backend, uint64_t to);
void session_hint_group_gone(uint64_t backend);
void session_hint_stop(void);
size_t session_hints_heard(struct sess_hint **, long long int now);
size_t session_hints_given(struct db_hint **, long long int now);
char *session_hint_by_hand(const char *backend, const char *host,
                           double probability, unsigned int ttl);
bool session_hint_from_key(const struct gossip_record *, uint64_t *backend,
                           size_t *rank);
void session_hint_get_counts(struct session_hint_counts *);
double session_hint_probability(uint64_t backend);

/* session-show-hint.c */
void session_hint_show(struct ds *);
struct json *session_hint_json(void);

/* session-show-gossip.c */
void session_gossip_show(struct ds *);
struct json *session_gossip_json(void);

/* session-show.c, session-debug.c */
void session_show_init(void);
void session_debug_init(void);

#endif /* session-agent.h */
