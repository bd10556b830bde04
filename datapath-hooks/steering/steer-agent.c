/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/steering/steer-agent.h"

#include <errno.h>
#include <rte_cycles.h>

#include "coverage.h"
#include "datapath-hooks/steering/steer-dp.h"
#include "datapath-hooks/steering/steer-warm.h"
#include "datapath-hooks/steering/steer.h"
#include "latch.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "ovs-ext/steering/steer-model.h"
#include "timeval.h"

VLOG_DEFINE_THIS_MODULE(steer_agent);

COVERAGE_DEFINE(steer_tick);
COVERAGE_DEFINE(steer_decision);

enum {
    STEER_STALL_MSEC = 1000,    /* Silence that counts as a stall. */
    STEER_LOOK_MSEC = STEER_STALL_MSEC / 4,
    STEER_CONFIRM_TICKS = 4     /* Of a decision that nothing presses for. */
};

/* Imbalance that nothing is done about while all cores keep up. */
#define STEER_DEADBAND 0.1

/* Load of the busiest core below which nothing is worth moving. */
#define STEER_IDLE_LOAD 0.05

struct steer_agent steer_agent;

/* The thread; main thread only. */
static pthread_t agent_thread;
static bool agent_running;
static struct latch agent_exit;

/* What the main thread has seen of it. */
static uint64_t seen_beats;
static long long int seen_msec, silence_msec;

void
steer_agent_init(void)
{
    steer_settings_init(&steer_agent.settings);
    steer_agent.settings.mode = STEER_OFF;
    steer_observer_init(&steer_agent.obs);
    latch_init(&agent_exit);
}

static const char *
steer_agent_policy_name(enum steer_mode mode)
{
    return steer_mode_to_string(mode == STEER_SHADOW ? STEER_RL : mode);
}

/* Makes the policy that the settings ask for, with the model in force. */
void
steer_agent_create_policy(struct steer_agent *a)
{
    struct steer_config config;
    char *error = NULL;

    steer_policy_destroy(a->policy);
    steer_config_init(&config);
    config.w = a->settings.weights;
    config.learn = a->settings.learn && a->settings.mode == STEER_RL;
    config.seed = a->settings.seed;
    config.max_moves = STEER_TICK_MOVES;
    config.model = a->model;
    a->policy = steer_policy_create(steer_agent_policy_name(a->settings.mode),
                                    &config, &error);
    if (!a->policy) {
        VLOG_ERR("%s", error);
        free(error);
    }
}

static double
steer_agent_max_load(const struct steer_agent *a)
{
    double load = 0;

    for (size_t i = 0; i < a->obs.state.n_cores; i++) {
        load = MAX(load, a->obs.state.cores[i].load);
    }
    return load;
}

/* Returns how many of the 'n' moves of a decision to take seriously: all or
 * none.  While a ring fills up or packets are missed, a decision is carried
 * out at once.  Else it can wait, and must have been there for some ticks in a
 * row: what a core seems to have less for a moment is as a rule chance, and a
 * move is not free.  lpt packs anew each time and rsspp looks at long
 * intervals only, so this is for rl. */
static size_t
steer_agent_confirm(struct steer_agent *a, size_t n)
{
    if (a->settings.mode != STEER_RL && a->settings.mode != STEER_SHADOW) {
        return n;
    }
    if (!n) {
        a->n_unconfirmed = 0;
        return 0;
    }
    if (a->obs.pressed) {
        return n;
    }
    if (steer_imbalance(&a->obs.state) < STEER_DEADBAND
        || ++a->n_unconfirmed < STEER_CONFIRM_TICKS) {
        return 0;
    }
    a->n_unconfirmed = 0;
    return n;
}

/* Remembers a decision. */
static void
steer_agent_record(struct steer_agent *a,
                   const struct steer_move *moves, size_t n,
                   size_t n_done) OVS_REQUIRES(steer_mutex)
{
    struct steer_decision *d
        = &a->history[a->n_decisions++ % STEER_HISTORY];

    d->when = time_wall_msec();
    d->tick = a->obs.state.tick;
    d->n_moves = n;
    d->n_done = n_done;
    d->explain = *steer_policy_explain(a->policy);
    d->shadow = a->settings.mode == STEER_SHADOW;
    d->max_load = steer_agent_max_load(a);
    for (size_t i = 0; i < MIN(n, ARRAY_SIZE(d->moves)); i++) {
        struct steer_move_record *r = &d->moves[i];
        struct steer_port *port
            = steer_observer_port(&a->obs, moves[i].bucket, &r->bucket);

        ovs_strlcpy(r->port, port->name, sizeof r->port);
        r->from = a->obs.cores[moves[i].from].pmd->core_id;
        r->to = a->obs.cores[moves[i].to].pmd->core_id;
        r->score = moves[i].score;
    }
}

/* Closes the dump, if there is one.  Agent's thread, or when there is none. */
static void
steer_agent_end_dump(struct steer_agent *a)
{
    if (a->dump.stream) {
        fclose(a->dump.stream);     /* All is written, or was in vain. */
        steer_dump_uninit(&a->dump);
        a->dump.stream = NULL;
    }
}

/* Writes a dump to 'file' of that name, which it takes over, for 'seconds'.
 * Ends the one before. */
void
steer_agent_begin_dump(struct steer_agent *a, FILE *file, const char *name,
                       unsigned int seconds)
{
    if (a->dump_next) {
        fclose(a->dump_next);
    }
    a->dump_next = file;
    free(a->dump_name);
    a->dump_name = xstrdup(name);
    a->dump_until = time_msec() + seconds * 1000LL;
}

/* Appends this tick to the dump. */
static void
steer_agent_dump(struct steer_agent *a,
                 const struct steer_move *moves, size_t n)
    OVS_REQUIRES(steer_mutex)
{
    if (a->dump.stream && a->policy) {
        struct steer_reward_terms terms;
        double reward = steer_reward(&a->settings.weights, &a->obs.state,
                                     a->n_last_moves, &terms);

        steer_dump_format(&a->dump.buf, &a->obs.state, moves, n, reward,
                          &terms, steer_policy_explain(a->policy));
    }
}

/* Writes what the tick has left of the dump, begins and ends it.  Agent's
 * thread, without a lock: a disk may take its time. */
static void
steer_agent_write_dump(struct steer_agent *a) OVS_EXCLUDED(steer_mutex)
{
    int error = a->dump.stream ? steer_dump_flush(&a->dump) : 0;
    FILE *next;
    bool over;

    ovs_mutex_lock(&steer_mutex);
    if (error) {
        VLOG_WARN("%s: %s, the dump ends here", a->dump_name,
                  ovs_strerror(error));
    }
    next = a->dump_next;
    a->dump_next = NULL;
    over = next || error || time_msec() >= a->dump_until;
    ovs_mutex_unlock(&steer_mutex);

    if (over && a->dump.stream) {
        steer_agent_end_dump(a);
        VLOG_INFO("dump of decisions ends");
    }
    if (next) {
        steer_dump_init(&a->dump, next);
    }
}

/* Observes, decides, acts. */
static void
steer_agent_tick(struct steer_agent *a) OVS_REQUIRES(steer_mutex)
{
    struct steer_move moves[STEER_TICK_MOVES];
    size_t n = 0, n_done = 0;

    COVERAGE_INC(steer_tick);
    a->n_ticks++;
    steer_warm_run();
    steer_moves_run();
    steer_watch_run(time_usec());
    if (a->churn) {
        steer_agent_churn(a);
    }
    if (!steer_observe(&a->obs, time_usec(), rte_rdtsc())) {
        if (a->policy) {
            steer_policy_reset(a->policy);
        }
        return;
    }
    steer_agent_hand_off(a);
    for (size_t i = 0; i < a->obs.state.n_buckets; i++) {
        /* Only where it could matter: counting is not free. */
        if (a->obs.state.buckets[i].pps > 0
            && !(a->obs.state.tick + i) % 64) {
            uint32_t b;
            struct steer_port *port = steer_observer_port(&a->obs, i, &b);

            a->obs.state.buckets[i].flows = steer_warm_count(port, b);
        }
    }

    a->move_tokens = MIN(a->move_tokens
                         + a->settings.max_moves * a->obs.state.tick_s,
                         MAX(a->settings.max_moves / 10.0, 1));
    if (!a->settings.max_moves) {
        a->move_tokens = 0;
    }
    if (a->obs.n_disturbed) {
        a->n_disturbed++;
    } else if (a->policy && a->obs.state.n_cores > 1
               && steer_agent_max_load(a) >= STEER_IDLE_LOAD) {
        n = steer_policy_decide(a->policy, &a->obs.state, moves,
                                ARRAY_SIZE(moves));
    }
    n = steer_agent_confirm(a, n);
    if (n) {
        COVERAGE_INC(steer_decision);
        if (a->settings.mode != STEER_SHADOW) {
            n_done = steer_agent_act(a, moves, n);
        }
        steer_agent_record(a, moves, n, n_done);
    }
    steer_agent_dump(a, moves, n);
    a->n_last_moves = n_done;
}

static void *
steer_agent_main(void *a_)
{
    struct steer_agent *a = a_;
    long long int next = time_msec();

    while (!latch_is_set(&agent_exit)) {
        long long int start, stall;

        ovs_mutex_lock(&steer_mutex);
        start = time_usec();
        if (a->going_home) {
            steer_agent_go_home(a);
        } else {
            steer_agent_tick(a);
        }
        a->usec += time_usec() - start;
        a->usec_max = MAX(a->usec_max, time_usec() - start);
        stall = a->stall_until;
        next += a->settings.tick_ms;
        a->n_late += time_msec() > next + a->settings.tick_ms;
        /* A tick much shorter than the others would see noise only. */
        next = MAX(next, time_msec() + (a->settings.tick_ms + 1) / 2);
        ovs_mutex_unlock(&steer_mutex);

        steer_ctr64_add(&a->beats, 1);
        steer_agent_write_dump(a);
        if (stall > time_msec()) {
            /* Fault injection: as if the thread did not get to run. */
            xnanosleep((stall - time_msec()) * UINT64_C(1000000));
            ovs_mutex_lock(&steer_mutex);
            a->stall_until = 0;
            a->obs.fresh = true;
            ovs_mutex_unlock(&steer_mutex);
        }
        latch_wait(&agent_exit);
        poll_timer_wait_until(next);
        poll_block();
    }
    return NULL;
}

static void
steer_agent_start(void)
{
    silence_msec = 0;
    agent_thread = ovs_thread_create("ext_steer", steer_agent_main,
                                     &steer_agent);
    agent_running = true;
}

static void
steer_agent_stop(void)
{
    if (!agent_running) {
        return;
    }
    latch_set(&agent_exit);
    xpthread_join(agent_thread, NULL);
    latch_poll(&agent_exit);
    agent_running = false;

    ovs_mutex_lock(&steer_mutex);
    steer_policy_destroy(steer_agent.policy);
    steer_agent.policy = NULL;
    steer_warm_clear();
    steer_agent_end_dump(&steer_agent);
    if (steer_agent.dump_next) {
        fclose(steer_agent.dump_next);
        steer_agent.dump_next = NULL;
    }
    steer_agent.going_home = false;
    ovs_mutex_unlock(&steer_mutex);
}

/* Applies what OVS says about the packet path. */
static void
steer_agent_apply(const struct steer_settings *s)
{
    double cycles_us = rte_get_tsc_hz() / 1e6;

    atomic_store_relaxed(&steer_park_limit, s->park);
    atomic_store_relaxed(&steer_grace_cycles,
                         (uint64_t) (s->settle_us * cycles_us));
    /* OVS goes by another clock than the TSC: allow for a difference. */
    atomic_store_relaxed(&steer_flush_cycles,
                         (uint64_t) (s->tx_flush_us * cycles_us * 65 / 64));
    atomic_store_relaxed(&steer_max_sleep_usec, s->max_sleep_us);
    if (s->auto_lb && s->mode > STEER_STATIC) {
        VLOG_INFO("pmd-auto-lb moves whole rx queues while steering moves "
                  "buckets: each makes the other measure anew; set one off");
    }
}

/* Turns to the settings 's'.  Main thread. */
void
steer_agent_configure(const struct steer_settings *s)
{
    struct steer_agent *a = &steer_agent;
    enum steer_mode old_mode;

    ovs_mutex_lock(&steer_mutex);
    old_mode = a->settings.mode;
    steer_settings_copy(&a->settings, s);
    steer_agent_apply(s);
    steer_source_load(a);
    if (s->mode != STEER_OFF) {
        a->going_home = false;
        steer_agent_create_policy(a);
        if (old_mode == STEER_OFF) {
            a->n_decisions = 0;
            steer_warm_seed();
        }
    } else {
        a->going_home = agent_running;
        a->is_home = false;
    }
    ovs_mutex_unlock(&steer_mutex);

    steer_source_request(s);
    if (s->mode != old_mode) {
        VLOG_INFO("steering: %s", steer_mode_to_string(s->mode));
    }
    if (s->mode != STEER_OFF) {
        steer_hooks_set(true);
        if (!agent_running) {
            steer_agent_start();
        }
    }
}

/* Returns for how many ms the main thread has seen no tick.  A look counts for
 * no more than looks are meant to be apart: a process that stood still, or a
 * clock that jumped (OVS's own does, in tests), is not the agent's silence. */
static long long int
steer_agent_silence(const struct steer_agent *a)
{
    uint64_t beats = steer_ctr64_get(&a->beats);
    struct timespec ts;
    long long int now;

    xclock_gettime(CLOCK_MONOTONIC, &ts);
    now = timespec_to_msec(&ts);
    silence_msec = (beats != seen_beats ? 0
                    : silence_msec + MIN(now - seen_msec, STEER_LOOK_MSEC));
    seen_beats = beats;
    seen_msec = now;
    return silence_msec;
}

/* Looks after the agent from the main thread. */
void
steer_agent_run(void)
{
    struct steer_agent *a = &steer_agent;
    long long int silence;
    bool is_home;

    if (!agent_running) {
        return;
    }
    silence = steer_agent_silence(a);
    if (silence > STEER_STALL_MSEC + a->settings.tick_ms) {
        if (!a->stalled) {
            a->stalled = true;
            VLOG_WARN("steering: agent has not run for %lld ms: buckets stay "
                      "where they are, traffic goes on", silence);
        }
        return;
    }
    if (a->stalled) {
        a->stalled = false;
        VLOG_INFO("steering: agent runs again");
    }

    ovs_mutex_lock(&steer_mutex);
    is_home = a->going_home && a->is_home;
    ovs_mutex_unlock(&steer_mutex);
    if (is_home) {
        steer_agent_stop();
        steer_hooks_set(false);
    }
}

void
steer_agent_wait(void)
{
    if (agent_running) {
        poll_timer_wait(STEER_LOOK_MSEC);
    }
}

void
steer_agent_exit(void)
{
    steer_agent_stop();
}
