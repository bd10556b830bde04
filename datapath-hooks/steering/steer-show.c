/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* ovs-appctl ext/steering-*: what the agent sees, what it did and why. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datapath-hooks/steering/steer-agent.h"
#include "datapath-hooks/steering/steer-dp.h"
#include "datapath-hooks/steering/steer-warm.h"
#include "datapath-hooks/steering/steer.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "timeval.h"
#include "unixctl.h"

static const char *
steer_mech_to_string(enum steer_mech mech)
{
    return (mech == STEER_MECH_RETA ? "reta"
            : mech == STEER_MECH_HANDOFF ? "handoff"
            : "none");
}

/* JSON. */

/* JSON has no word for what is not a finite number: that becomes 0. */
static void
put_real(struct json *object, const char *name, double value)
{
    json_object_put(object, name, json_real_create(isfinite(value) ? value
                                                   : 0));
}

static void
put_int(struct json *object, const char *name, long long int value)
{
    json_object_put(object, name, json_integer_create(value));
}

static struct json *
steer_core_to_json(const struct steer_agent *a, size_t i)
{
    const struct steer_core_obs *c = &a->obs.cores[i];
    const struct steer_core *core = &a->obs.state.cores[i];
    const struct steer_pmd_counters *n = &c->pmd->n;
    struct json *json = json_object_create();

    put_int(json, "core", c->pmd->core_id);
    put_int(json, "numa", core->numa);
    put_real(json, "load", core->load);
    put_real(json, "pps", core->pps);
    put_real(json, "capacity_pps", core->cap_pps);
    put_real(json, "busy", c->busy);
    put_real(json, "batch", c->batch);
    put_real(json, "relative_cost", c->cost);
    put_real(json, "rxq_fill", core->qfill);
    put_real(json, "missed_pps", core->drops_pps);
    put_real(json, "upcalls_ps", c->upcalls_ps);
    put_real(json, "latency_us", core->latency_ns / 1e3);
    put_int(json, "busy_cycles", steer_ctr64_get(&n->busy));
    put_int(json, "upcalls", steer_ctr64_get(&n->upcalls));
    put_int(json, "parked", steer_ctr64_get(&n->parked));
    put_int(json, "handoff_in", steer_ctr64_get(&n->handoff_in));
    put_int(json, "handoff_drops", steer_ctr64_get(&n->handoff_drops));
    put_int(json, "late", steer_ctr64_get(&n->late));
    put_int(json, "preempted", steer_ctr64_get(&n->preempted));
    put_int(json, "absent_cycles", steer_ctr64_get(&n->gaps));
    return json;
}

static struct json *
steer_features_to_json(const struct steer_port *port)
{
    struct json *json = json_object_create();
    struct json *dscp = json_array_create_empty();
    uint64_t sums[13];

    memset(sums, 0, sizeof sums);
    for (int q = 0; q < port->n_real; q++) {
        const struct steer_rxq *rxq = port->rxqs[q];

        if (rxq) {
            const struct steer_features *f = &rxq->features;

            sums[0] += steer_ctr64_get(&f->samples);
            sums[1] += steer_ctr64_get(&f->tcp_syn);
            sums[2] += steer_ctr64_get(&f->tcp_fin_rst);
            sums[3] += steer_ctr64_get(&f->vlan);
            sums[4] += steer_ctr64_get(&f->tunnel);
            for (int i = 0; i < 8; i++) {
                sums[5 + i] += steer_ctr64_get(&f->dscp[i]);
            }
        }
    }
    put_int(json, "samples", sums[0]);
    put_int(json, "tcp_syn", sums[1]);
    put_int(json, "tcp_fin_rst", sums[2]);
    put_int(json, "vlan", sums[3]);
    put_int(json, "tunnel", sums[4]);
    for (int i = 0; i < 8; i++) {
        json_array_add(dscp, json_integer_create(sums[5 + i]));
    }
    json_object_put(json, "dscp_class", dscp);
    return json;
}

static struct json *
steer_rxq_to_json(struct steer_rxq *q)
{
    struct json *json = json_object_create();
    uint16_t slot, depth;

    atomic_read_relaxed(&q->pmd, &slot);
    atomic_read_relaxed(&q->depth, &depth);
    put_int(json, "queue", q->queue_id);
    json_object_put(json, "virtual", json_boolean_create(q->is_virtual));
    put_int(json, "core", slot == UINT16_MAX ? -1
            : (long long int) steer_pmds[slot].core_id);
    put_int(json, "received", steer_ctr64_get(&q->received));
    put_int(json, "depth", depth);
    return json;
}

static struct json *
steer_port_to_json(const struct steer_agent *a,
                   const struct steer_port *port)
{
    struct json *json = json_object_create();
    struct json *buckets = json_array_create_empty();
    struct json *rxqs = json_array_create_empty();
    size_t moving = 0;

    for (int q = 0; q < port->n_real + port->n_virtual; q++) {
        if (port->rxqs[q]) {
            json_array_add(rxqs, steer_rxq_to_json(port->rxqs[q]));
        }
    }
    json_object_put(json, "rxqs", rxqs);
    json_object_put_string(json, "name", port->name);
    json_object_put_string(json, "mechanism",
                           steer_mech_to_string(port->mech));
    put_int(json, "queues", port->n_real);
    put_int(json, "virtual_queues", port->n_virtual);
    put_int(json, "buckets", port->n_buckets);
    put_int(json, "missed", port->missed);
    json_object_put(json, "features", steer_features_to_json(port));
    for (uint32_t b = 0; port->ready && b < port->n_buckets; b++) {
        json_array_add(buckets, json_integer_create(port->owner[b]));
        moving += port->moving[b] != NULL;
    }
    json_object_put(json, "queue_of_bucket", buckets);
    put_int(json, "moving", moving);
    for (size_t g = 0; g < a->obs.state.n_groups; g++) {
        if (a->obs.ports[g].port == port) {
            put_int(json, "cores", a->obs.state.groups[g].cores);
        }
    }
    return json;
}

static struct json *
steer_moves_to_json(double cycles_us)
{
    const struct steer_move_stats *m = steer_moves_stats();
    struct json *json = json_object_create();

    put_int(json, "started", m->started);
    put_int(json, "finished", m->finished);
    put_int(json, "called_off", m->called_off);
    put_int(json, "refused", m->refused);
    put_int(json, "unacknowledged", m->unacked);
    put_int(json, "reta_errors", m->reta_errors);
    put_int(json, "parked", m->parked);
    put_int(json, "parked_max", m->parked_max);
    put_real(json, "mean_us",
             m->finished ? m->cycles / cycles_us / m->finished : 0);
    put_real(json, "max_us", m->cycles_max / cycles_us);
    return json;
}

static struct json *
steer_rl_to_json(const struct steer_policy *policy)
{
    struct steer_rl_status rl;
    struct json *json = json_object_create();

    steer_policy_get_rl_status(policy, &rl);
    json_object_put(json, "in_fallback", json_boolean_create(rl.in_fallback));
    put_int(json, "decisions", rl.n_decisions);
    put_int(json, "fallback_ood", rl.n_fallback_ood);
    put_int(json, "fallback_worse", rl.n_fallback_worse);
    put_int(json, "fallback_uncertain", rl.n_fallback_uncertain);
    put_int(json, "fallbacks_entered", rl.n_entered);
    put_int(json, "holdoff_ticks", rl.holdoff_left);
    put_real(json, "reward", rl.reward_ewma);
    put_real(json, "baseline", rl.baseline_ewma);
    put_int(json, "updates", rl.updates);
    put_real(json, "weight_drift", rl.weight_drift);
    put_real(json, "drift_limit", rl.drift_limit);
    return json;
}

static struct json *
steer_to_json(const struct steer_agent *a) OVS_REQUIRES(steer_mutex)
{
    const struct steer_warm_stats *w = steer_warm_stats();
    struct json *json = json_object_create();
    struct json *cores = json_array_create_empty();
    struct json *ports = json_array_create_empty();
    struct json *warm = json_object_create();
    struct steer_port *port;

    json_object_put_string(json, "mode",
                           steer_mode_to_string(a->settings.mode));
    steer_source_to_json(a, json);
    json_object_put(json, "stalled", json_boolean_create(a->stalled));
    put_int(json, "tick_ms", a->settings.tick_ms);
    put_int(json, "ticks", a->n_ticks);
    put_int(json, "late_ticks", a->n_late);
    put_int(json, "disturbed_ticks", a->n_disturbed);
    put_real(json, "tick_us", a->n_ticks ? (double) a->usec / a->n_ticks : 0);
    put_int(json, "tick_us_max", a->usec_max);
    put_real(json, "tsc_hz", a->obs.tsc_hz);
    put_real(json, "cycles_per_burst", a->obs.cycles_batch);
    put_real(json, "cycles_per_packet", a->obs.cycles_packet);
    put_int(json, "churn_left", a->churn);
    put_int(json, "decisions", a->n_decisions);
    put_int(json, "limited", a->n_limited);
    put_int(json, "put_off_cold", a->n_cold);
    put_real(json, "imbalance", steer_imbalance(&a->obs.state));
    for (size_t i = 0; a->policy && i < a->obs.state.n_cores; i++) {
        json_array_add(cores, steer_core_to_json(a, i));
    }
    json_object_put(json, "cores", cores);
    LIST_FOR_EACH (port, node, &steer_ports) {
        json_array_add(ports, steer_port_to_json(a, port));
    }
    json_object_put(json, "ports", ports);
    json_object_put(json, "moves",
                    steer_moves_to_json(MAX(a->obs.tsc_hz, 1) / 1e6));
    put_int(warm, "flows", w->flows);
    put_int(warm, "known", w->known);
    put_int(warm, "lost", w->lost);
    put_int(warm, "put", w->put);
    put_int(warm, "failed", w->failed);
    json_object_put(json, "warm", warm);
    if (a->policy && !strcmp(steer_policy_name(a->policy), "rl")) {
        json_object_put(json, "rl", steer_rl_to_json(a->policy));
    }
    return json;
}

/* Text. */

static void
steer_cores_format(const struct steer_agent *a, struct ds *ds)
{
    ds_put_cstr(ds, "core numa   load     Mpps capacity  batch  rxq% "
                "missed/s upcall/s latency\n");
    for (size_t i = 0; i < a->obs.state.n_cores; i++) {
        const struct steer_core *core = &a->obs.state.cores[i];
        const struct steer_core_obs *c = &a->obs.cores[i];

        ds_put_format(ds, "%4u %4d %5.1f%% %8.3f %8.3f %6.1f %4.0f%% %8.0f "
                      "%8.0f %5.1fus\n", c->pmd->core_id, core->numa,
                      core->load * 100, core->pps / 1e6, core->cap_pps / 1e6,
                      c->batch, core->qfill * 100, core->drops_pps,
                      c->upcalls_ps, core->latency_ns / 1e3);
    }
}

static void
steer_ports_format(struct ds *ds) OVS_REQUIRES(steer_mutex)
{
    struct steer_port *port;

    ds_put_cstr(ds, "port             by      queues buckets moving  buckets "
                "by queue\n");
    LIST_FOR_EACH (port, node, &steer_ports) {
        uint32_t owned[STEER_MAX_QUEUES];
        size_t moving = 0;

        memset(owned, 0, sizeof owned);
        for (uint32_t b = 0; port->ready && b < port->n_buckets; b++) {
            owned[port->owner[b]]++;
            moving += port->moving[b] != NULL;
        }
        ds_put_format(ds, "%-16s %-7s %3d+%-2d %7"PRIu32" %6"PRIuSIZE" ",
                      port->name, steer_mech_to_string(port->mech),
                      port->n_real, port->n_virtual, port->n_buckets, moving);
        for (int q = 0; port->ready
             && q < port->n_real + port->n_virtual; q++) {
            ds_put_format(ds, " %"PRIu32, owned[q]);
        }
        ds_put_char(ds, '\n');
    }
}

static void
steer_rl_format(const struct steer_policy *policy, struct ds *ds)
{
    struct steer_rl_status rl;

    steer_policy_get_rl_status(policy, &rl);
    ds_put_format(ds, "rl: %s, decisions %"PRIu64", by rsspp instead: "
                  "%"PRIu64" out of distribution, %"PRIu64" uncertain, "
                  "%"PRIu64" worse\n",
                  rl.in_fallback ? "held off" : "in charge", rl.n_decisions,
                  rl.n_fallback_ood, rl.n_fallback_uncertain,
                  rl.n_fallback_worse);
    ds_put_format(ds, "    reward %.3f, expected of rsspp %.3f; learning: "
                  "%"PRIu64" steps, drift %.3f of %.3f\n", rl.reward_ewma,
                  rl.baseline_ewma, rl.updates, rl.weight_drift,
                  rl.drift_limit);
}

static void
steer_format(const struct steer_agent *a, struct ds *ds)
    OVS_REQUIRES(steer_mutex)
{
    const struct steer_move_stats *m = steer_moves_stats();
    const struct steer_warm_stats *w = steer_warm_stats();
    double cycles_us = MAX(a->obs.tsc_hz, 1) / 1e6;

    ds_put_format(ds, "mode: %s%s%s\n", steer_mode_to_string(a->settings.mode),
                  a->going_home ? ", buckets going home" : "",
                  a->stalled ? ", agent stalled" : "");
    if (!a->policy) {
        return;
    }
    ds_put_cstr(ds, "policy: ");
    steer_source_format(a, ds);
    ds_put_format(ds, "\ntick: %u ms, %"PRIu64" ticks (%"PRIu64" late, %"PRIu64
                  " disturbed), mean %.0f us, max %"PRIu64" us\n",
                  a->settings.tick_ms, a->n_ticks, a->n_late, a->n_disturbed,
                  a->n_ticks ? (double) a->usec / a->n_ticks : 0,
                  a->usec_max);
    ds_put_format(ds, "imbalance: %.1f%%\n",
                  steer_imbalance(&a->obs.state) * 100);
    steer_cores_format(a, ds);
    steer_ports_format(ds);
    ds_put_format(ds, "moves: %"PRIu64" begun, %"PRIu64" finished (mean %.0f "
                  "us, max %.0f us), %"PRIu64" called off, %"PRIu64
                  " refused, %"PRIu64" not acknowledged, %"PRIu64
                  " over max-moves\n", m->started, m->finished,
                  m->finished ? m->cycles / cycles_us / m->finished : 0,
                  m->cycles_max / cycles_us, m->called_off, m->refused,
                  m->unacked,
                  a->n_limited);
    ds_put_format(ds, "parked: %"PRIu64" packets, at most %"PRIu64" in a "
                  "move of %"PRIu32"; table refused %"PRIu64" times\n",
                  m->parked, m->parked_max,
                  steer_ctr32_get(&steer_park_limit), m->reta_errors);
    ds_put_format(ds, "warm: %"PRIu64" flows known, %"PRIu64" put, %"PRIu64
                  " failed, %"PRIu64" misses not noted, %"PRIu64
                  " moves put off\n", w->flows, w->put, w->failed, w->lost,
                  a->n_cold);
    if (!strcmp(steer_policy_name(a->policy), "rl")) {
        steer_rl_format(a->policy, ds);
    }
}

static void
steer_decision_format(const struct steer_decision *d, struct ds *ds)
{
    ds_put_strftime_msec(ds, "%H:%M:%S.### ", d->when, false);
    ds_put_format(ds, "tick %"PRIu64" %s: %"PRIuSIZE" move%s%s, imbalance "
                  "%.1f%% -> %.1f%%, max load %.1f%%, %s\n", d->tick,
                  steer_decider_to_string(d->explain.decided_by), d->n_moves,
                  d->n_moves == 1 ? "" : "s",
                  d->shadow ? " (shadow)" : d->n_done < d->n_moves
                  ? " (not all begun)" : "",
                  d->explain.imbalance_before * 100,
                  d->explain.imbalance_after * 100, d->max_load * 100,
                  d->explain.reason);
    for (size_t i = 0; i < MIN(d->n_moves, ARRAY_SIZE(d->moves)); i++) {
        ds_put_format(ds, "    %s bucket %"PRIu32": core %u -> %u, score "
                      "%.4f\n", d->moves[i].port, d->moves[i].bucket,
                      d->moves[i].from, d->moves[i].to, d->moves[i].score);
    }
}

/* Commands. */

static void
steer_show_cmd(struct unixctl_conn *conn, int argc, const char *argv[],
               void *aux OVS_UNUSED)
{
    struct ds ds = DS_EMPTY_INITIALIZER;

    if (argc > 1 && strcmp(argv[1], "--json")) {
        unixctl_command_reply_error(conn, "the only option is --json");
        return;
    }
    ovs_mutex_lock(&steer_mutex);
    if (argc > 1) {
        struct json *json = steer_to_json(&steer_agent);

        json_to_ds(json, JSSF_SORT, &ds);
        json_destroy(json);
    } else {
        steer_format(&steer_agent, &ds);
    }
    ovs_mutex_unlock(&steer_mutex);
    unixctl_command_reply(conn, ds_cstr(&ds));
    ds_destroy(&ds);
}

static void
steer_history_cmd(struct unixctl_conn *conn, int argc, const char *argv[],
                  void *aux OVS_UNUSED)
{
    struct ds ds = DS_EMPTY_INITIALIZER;
    unsigned int n = 20;
    uint64_t total;

    if (argc > 1 && (!str_to_uint(argv[1], 10, &n) || !n)) {
        char *error = xasprintf("\"%s\" is not a number of decisions",
                                argv[1]);
        unixctl_command_reply_error(conn, error);
        free(error);
        return;
    }
    ovs_mutex_lock(&steer_mutex);
    total = steer_agent.n_decisions;
    for (uint64_t i = total - MIN(total, MIN(n, STEER_HISTORY)); i < total;
         i++) {
        steer_decision_format(&steer_agent.history[i % STEER_HISTORY], &ds);
    }
    ovs_mutex_unlock(&steer_mutex);
    unixctl_command_reply(conn, ds_cstr(&ds));
    ds_destroy(&ds);
}

static void
steer_set_cmd(struct unixctl_conn *conn, int argc OVS_UNUSED,
              const char *argv[], void *aux OVS_UNUSED)
{
    char *error = steer_set(argv[1], argv[2]);

    if (error) {
        unixctl_command_reply_error(conn, error);
        free(error);
    } else {
        unixctl_command_reply(conn, NULL);
    }
}

static void
steer_dump_cmd(struct unixctl_conn *conn, int argc, const char *argv[],
               void *aux OVS_UNUSED)
{
    unsigned int seconds = 60;
    char *error = NULL;

    if (argc > 2 && (!str_to_uint(argv[2], 10, &seconds) || !seconds
                     || seconds > 86400)) {
        error = xasprintf("\"%s\" is not a number of seconds from 1 to 86400",
                          argv[2]);
    } else {
        /* A FIFO without a reader would hold up the main thread. */
        int fd = open(argv[1], (O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK
                                | O_CLOEXEC), 0666);
        struct stat s;

        if (fd < 0 || fstat(fd, &s)) {
            error = xasprintf("%s: %s", argv[1], ovs_strerror(errno));
        } else if (!S_ISREG(s.st_mode) && !S_ISCHR(s.st_mode)) {
            error = xasprintf("%s: not a file", argv[1]);
        } else {
            ovs_mutex_lock(&steer_mutex);
            steer_agent_begin_dump(&steer_agent, fdopen(fd, "w"), argv[1],
                                   seconds);
            ovs_mutex_unlock(&steer_mutex);
            fd = -1;
        }
        if (fd >= 0) {
            close(fd);
        }
    }
    if (error) {
        unixctl_command_reply_error(conn, error);
        free(error);
    } else {
        unixctl_command_reply(conn, NULL);
    }
}

/* Forces moves and faults, for tests and benches. */
static void
steer_debug_cmd(struct unixctl_conn *conn, int argc, const char *argv[],
                void *aux OVS_UNUSED)
{
    char *error = steer_debug(argc - 1, argv + 1);

    if (error) {
        unixctl_command_reply_error(conn, error);
        free(error);
    } else {
        unixctl_command_reply(conn, NULL);
    }
}

void
steer_show_init(void)
{
    unixctl_command_register("ext/steering-show", "[--json]", 0, 1,
                             steer_show_cmd, NULL);
    unixctl_command_register("ext/steering-history", "[N]", 0, 1,
                             steer_history_cmd, NULL);
    unixctl_command_register("ext/steering-set", "KEY VALUE", 2, 2,
                             steer_set_cmd, NULL);
    unixctl_command_register("ext/steering-dump", "FILE [SECONDS]", 1, 2,
                             steer_dump_cmd, NULL);
    unixctl_command_register("ext/steering-debug",
                             "move|handoff|churn|stall ARG...", 2, 4,
                             steer_debug_cmd, NULL);
}
