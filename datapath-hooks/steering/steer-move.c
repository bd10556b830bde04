/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* The agent's side of moving buckets: starts moves, waits for PMD threads to
 * acknowledge, writes the device's table, and clears up.  What PMD threads do
 * meanwhile is in steer-park.c and steer-handoff.c; once a move has begun they
 * complete it without the agent. */

#include <config.h>

#include "datapath-hooks/steering/steer-dp.h"

#include <errno.h>
#include <rte_cycles.h>

#include "bitmap.h"
#include "coverage.h"
#include "openvswitch/vlog.h"
#include "timeval.h"

VLOG_DEFINE_THIS_MODULE(steer_move);

COVERAGE_DEFINE(steer_move);
COVERAGE_DEFINE(steer_move_refused);
COVERAGE_DEFINE(steer_reta_error);

enum {
    STEER_ACK_USEC = 5000,      /* Longest wait for PMD threads to see an
                                 * order; longer than a time slice.  A thread
                                 * may sleep besides. */
    STEER_IDLE_POLLS = 4096,    /* A thread that has polled so often, but not
                                 * the old queue, does not poll it. */
    STEER_ORPHAN_USEC = 1000000, /* ...for so long: until then it may be on
                                 * its way to another thread, by a reload. */
    STEER_BACKOFF_MSEC = 1000   /* After a device refused its table. */
};

struct steer_transit steer_transits[STEER_MAX_MOVES];
steer_ctr32 steer_max_sleep_usec;
static struct steer_move_stats stats OVS_GUARDED_BY(steer_mutex);

/* Allocates what moves need.  Once. */
void
steer_moves_init(void)
{
    for (size_t i = 0; i < STEER_MAX_MOVES; i++) {
        steer_transits[i].fifo
            = xcalloc(STEER_PARK_CAPACITY, sizeof *steer_transits[i].fifo);
    }
}

const struct steer_move_stats *
steer_moves_stats(void) OVS_NO_THREAD_SAFETY_ANALYSIS
{
    return &stats;
}

static struct steer_transit *
steer_move_alloc(void)
{
    for (size_t i = 0; i < STEER_MAX_MOVES; i++) {
        if (steer_move_phase(&steer_transits[i]) == STEER_FREE) {
            return &steer_transits[i];
        }
    }
    return NULL;
}

static void
steer_move_set_phase(struct steer_transit *move, enum steer_phase phase)
{
    atomic_store(&move->phase, phase);
}

/* Stores who polls 'q' in '*slot' and returns how often that thread has polled
 * any queue, or UINT64_MAX if there is no such thread. */
uint64_t
steer_rxq_polls(struct steer_rxq *q, uint16_t *slot)
{
    uint64_t polls = UINT64_MAX;
    bool used = false;

    atomic_read_relaxed(&q->pmd, slot);
    if (*slot < STEER_MAX_PMDS) {
        atomic_read_explicit(&steer_pmds[*slot].used, &used,
                             memory_order_acquire);
    }
    if (used) {
        atomic_read_explicit(&steer_pmds[*slot].n.polls, &polls,
                             memory_order_acquire);
    }
    return polls;
}

/* Makes 'q''s thread look at 'steer_transits' again, which it acknowledges by
 * '*answer'. */
static void
steer_rxq_notify(struct steer_rxq *q, struct steer_answer *answer,
                 long long int since)
{
    answer->seq = steer_ctr32_get(&q->seq) + 1;
    answer->since = since;
    atomic_store_explicit(&q->seq, answer->seq, memory_order_release);
    answer->polls = steer_rxq_polls(q, &answer->pmd);
}

static bool
steer_rxq_acked(struct steer_rxq *q, uint32_t seq)
{
    uint32_t ack;

    atomic_read_explicit(&q->ack, &ack, memory_order_acquire);
    return (int32_t) (ack - seq) >= 0;
}

static struct steer_rxq *
steer_move_parker(const struct steer_transit *move)
{
    return move->disp_q ? move->disp_q : move->new_q;
}

/* Returns true if 'q''s thread has not given 'answer' for long.  It may stand
 * still, though, in the middle of something: see steer_rxq_is_orphan(). */
static bool
steer_answer_is_late(struct steer_rxq *q, const struct steer_answer *answer)
{
    return (time_usec() - answer->since > STEER_ORPHAN_USEC
            && !steer_rxq_acked(q, answer->seq));
}

/* Returns true if 'q' parks packets of any move by RETA. */
static bool
steer_rxq_is_parking(const struct steer_rxq *q)
{
    for (size_t i = 0; i < STEER_MAX_MOVES; i++) {
        const struct steer_transit *move = &steer_transits[i];

        if (steer_move_phase(move) != STEER_FREE && !move->disp_q
            && move->new_q == q) {
            bool done;

            atomic_read_relaxed(&CONST_CAST(struct steer_transit *,
                                            move)->done, &done);
            if (!done) {
                return true;
            }
        }
    }
    return false;
}

/* Returns true if 'q' owes an answer to a move for so long that it is not being
 * polled: more such moves would use up all slots. */
static bool
steer_rxq_is_silent(struct steer_rxq *q)
{
    if (q->silent) {
        q->silent = !steer_rxq_acked(q, steer_ctr32_get(&q->seq));
        return q->silent;
    }
    for (size_t i = 0; i < STEER_MAX_MOVES; i++) {
        const struct steer_transit *move = &steer_transits[i];
        enum steer_phase phase = steer_move_phase(move);

        if ((phase == STEER_CANCELLED && move->new_q == q)
            || (phase == STEER_ARMED && move->disp_q == q
                && steer_answer_is_late(q, &move->new))) {
            return true;
        }
    }
    return false;
}

/* Returns true if 'bucket' of 'port' cannot be moved for now because the one
 * that would do it, the dispatcher, is not being polled. */
bool
steer_bucket_is_stuck(const struct steer_port *port, uint32_t bucket)
{
    struct steer_rxq *q = port->rxqs[port->home[bucket]];

    return port->mech == STEER_MECH_HANDOFF && q && steer_rxq_is_silent(q);
}

/* Returns true if a PMD thread is reading 'steer_transits'.  Once it has been
 * false, no thread uses a slot that was retired before. */
bool
steer_moves_are_read(void)
{
    for (size_t i = 0; i < STEER_MAX_PMDS; i++) {
        bool rebuilding;

        atomic_read(&steer_pmds[i].rebuilding, &rebuilding);
        if (rebuilding) {
            return true;
        }
    }
    return false;
}

/* Fills 'move' in and shows it to the queue that parks. */
static void
steer_move_arm(struct steer_transit *move, struct steer_port *port,
               uint32_t bucket, uint16_t from, uint16_t to)
{
    move->port = port;
    move->bucket = bucket;
    move->old_q = port->rxqs[from];
    move->new_q = port->rxqs[to];
    move->disp_q = NULL;
    if (port->mech == STEER_MECH_HANDOFF) {
        move->disp_q = port->rxqs[port->home[bucket]];
    }
    move->targeted = false;
    move->head = move->tail = 0;
    atomic_store_relaxed(&move->drained, false);
    atomic_store_relaxed(&move->released, false);
    atomic_store_relaxed(&move->called_off, false);
    atomic_store_relaxed(&move->done, false);
    atomic_store_relaxed(&move->parked, 0);
    move->started = time_usec();
    move->started_tsc = rte_rdtsc();
    port->moving[bucket] = move;
    steer_move_set_phase(move, STEER_ARMED);
    steer_rxq_notify(steer_move_parker(move), &move->new, move->started);
    move->old.seq = steer_ctr32_get(&move->old_q->ack);
}

static void
steer_move_cancel(struct steer_transit *move)
{
    steer_move_set_phase(move, STEER_CANCELLED);
    steer_rxq_notify(move->new_q, &move->new, move->started);
}

/* Has the queues of 'move', which is over, forget it. */
static void
steer_move_retire(struct steer_transit *move)
{
    bool cancelled = steer_move_phase(move) == STEER_CANCELLED;

    steer_move_set_phase(move, STEER_RETIRED);
    steer_rxq_notify(steer_move_parker(move), &move->new, move->started);
    if (move->disp_q || cancelled) {
        move->old.seq = steer_ctr32_get(&move->old_q->ack);
    } else {
        steer_rxq_notify(move->old_q, &move->old, move->started);
    }
}

/* Waits until the parking queues of 'moves' have acknowledged.  Cancels those
 * moves that did not and returns the number of the others, which it puts in
 * front. */
static size_t
steer_moves_wait_ack(struct steer_transit **moves, size_t n)
{
    long long int deadline = (time_usec() + STEER_ACK_USEC
                              + steer_ctr32_get(&steer_max_sleep_usec));
    size_t n_acked = 0, pending;

    do {
        pending = 0;
        for (size_t i = 0; i < n; i++) {
            pending += !steer_rxq_acked(moves[i]->new_q, moves[i]->new.seq);
        }
        if (pending) {
            xnanosleep(20000);
        }
    } while (pending && time_usec() < deadline);

    for (size_t i = 0; i < n; i++) {
        struct steer_transit *move = moves[i];

        if (steer_rxq_acked(move->new_q, move->new.seq)) {
            moves[i] = moves[n_acked];
            moves[n_acked++] = move;
        } else {
            steer_move_cancel(move);
            stats.unacked++;
        }
    }
    return n_acked;
}

/* Writes the table of 'port' for those of 'moves' that are the port's, then
 * sets their old queues to drain. */
static void
steer_moves_write_reta(struct steer_port *port, struct steer_transit **moves,
                       size_t n)
{
    unsigned long changed[BITMAP_N_LONGS(STEER_MAX_BUCKETS)];
    uint16_t owner[STEER_MAX_BUCKETS];
    int error;

    memset(changed, 0, sizeof changed);
    memcpy(owner, port->owner, sizeof owner);
    for (size_t i = 0; i < n; i++) {
        if (moves[i]->port == port) {
            owner[moves[i]->bucket] = moves[i]->new_q->queue_id;
            bitmap_set1(changed, moves[i]->bucket);
        }
    }
    error = steer_dev_set_reta(port->dpdk_port, owner, port->n_buckets,
                               changed);
    if (error) {
        static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);

        VLOG_WARN_RL(&rl, "%s: device refused its redirection table (%s), "
                     "buckets stay where they are", port->name,
                     ovs_strerror(error));
        COVERAGE_INC(steer_reta_error);
        stats.reta_errors++;
        port->backoff_until = time_msec() + STEER_BACKOFF_MSEC;

        /* Some entries may have been written: believe the device. */
        if (steer_table_read(port, owner)) {
            memcpy(owner, port->owner, sizeof owner);
        }
    }
    for (size_t i = 0; i < n; i++) {
        struct steer_transit *move = moves[i];

        if (move->port != port) {
            continue;
        }
        if (owner[move->bucket] == move->new_q->queue_id) {
            steer_move_set_phase(move, STEER_DRAINING);
            steer_rxq_notify(move->old_q, &move->old, move->started);
        } else {
            steer_move_cancel(move);
        }
    }
    memcpy(port->owner, owner, sizeof port->owner);
}

/* Begins the 'n' moves in 'requests'.  Returns how many it began; the rest is
 * refused and counted.  Takes up to STEER_ACK_USEC and a thread's longest
 * sleep. */
size_t
steer_moves_start(const struct steer_request *requests, size_t n)
{
    struct steer_transit *reta[STEER_MAX_MOVES];
    size_t n_reta = 0, n_started = 0;

    for (size_t i = 0; i < n; i++) {
        const struct steer_request *req = &requests[i];
        struct steer_port *port = req->port;
        uint16_t from = port->owner[req->bucket];
        struct steer_transit *move = steer_move_alloc();

        if (!move || !port->ready || port->moving[req->bucket]
            || from == req->queue || !port->rxqs[from]
            || !steer_port_may_use(port, req->bucket, req->queue)
            || !port->rxqs[req->queue] || time_msec() < port->backoff_until
            || steer_rxq_is_parking(port->rxqs[from])
            || steer_rxq_is_silent(port->rxqs[req->queue])
            || steer_bucket_is_stuck(port, req->bucket)) {
            COVERAGE_INC(steer_move_refused);
            stats.refused++;
            continue;
        }
        steer_move_arm(move, port, req->bucket, from, req->queue);
        COVERAGE_INC(steer_move);
        stats.started++;
        n_started++;
        if (port->mech == STEER_MECH_RETA) {
            reta[n_reta++] = move;
        } else {
            port->owner[req->bucket] = req->queue;
        }
    }

    n_reta = steer_moves_wait_ack(reta, n_reta);
    for (size_t i = 0; i < n_reta; i++) {
        if (steer_move_phase(reta[i]) == STEER_ARMED) {
            steer_moves_write_reta(reta[i]->port, reta, n_reta);
        }
    }
    return n_started;
}

/* Returns another move of the same bucket as 'move', or null. */
static struct steer_transit *
steer_move_other(const struct steer_transit *move)
{
    for (size_t i = 0; i < STEER_MAX_MOVES; i++) {
        struct steer_transit *other = &steer_transits[i];

        if (other != move && steer_move_phase(other) != STEER_FREE
            && other->port == move->port && other->bucket == move->bucket) {
            return other;
        }
    }
    return NULL;
}

/* Returns true if no thread polls 'q' any more, nor is in the middle of that,
 * so that 'answer' will not come.  Should one poll it after all, it looks at
 * 'steer_transits' anew first. */
static bool
steer_rxq_is_orphan(struct steer_rxq *q, struct steer_answer *answer)
{
    uint16_t slot;
    uint64_t polls = steer_rxq_polls(q, &slot);

    if (slot != answer->pmd || answer->polls == UINT64_MAX) {
        answer->pmd = slot;     /* Another one: it may just have begun. */
        answer->polls = polls;
    }
    /* The acknowledgement last: had the caller looked for it before, then
     * stood still, the polls could be from after it. */
    return ((polls == UINT64_MAX || polls - answer->polls > STEER_IDLE_POLLS)
            && steer_answer_is_late(q, answer));
}

/* Moves the bucket of 'move', whose park is filling up, back: see
 * steer-park.c. */
static void
steer_move_call_off(struct steer_transit *move)
{
    struct steer_transit *back = steer_move_alloc();

    if (!back || steer_move_other(move)) {
        return;     /* One way there and back is all that queues tell apart. */
    }
    steer_move_arm(back, move->port, move->bucket, move->new_q->queue_id,
                   move->old_q->queue_id);
    if (steer_moves_wait_ack(&back, 1)) {
        steer_moves_write_reta(back->port, &back, 1);
        if (steer_move_phase(back) == STEER_DRAINING) {
            stats.called_off++;
        }
    }
}

/* Looks after a move by RETA that PMD threads are working on. */
static void
steer_move_check(struct steer_transit *move)
{
    bool released, drained;

    atomic_read_relaxed(&move->released, &released);
    atomic_read_relaxed(&move->drained, &drained);
    if (released || drained) {
        return;
    }
    if (!steer_rxq_acked(move->old_q, move->old.seq)) {
        /* A thread that does not get to run must be waited for; one that runs
         * but does not poll the queue any more has finished with it. */
        if (steer_rxq_is_orphan(move->old_q, &move->old)) {
            atomic_store_explicit(&move->drained, true, memory_order_release);
        }
    } else if (move->port->moving[move->bucket] == move
               && (steer_ctr32_get(&move->parked)
                   > steer_ctr32_get(&steer_park_limit) / 4 * 3)) {
        steer_move_call_off(move);
    }
}

static bool
steer_move_is_done(struct steer_transit *move)
{
    bool done;

    atomic_read_explicit(&move->done, &done, memory_order_acquire);
    return done;
}

/* Looks after a move by handoff, which its dispatcher makes alone.  Returns
 * true if that can be waited for; it cannot if nobody polls it, as that of a
 * vhost port whose guest is down.  Then the bucket stays where it was. */
static bool
steer_move_check_handoff(struct steer_transit *move)
{
    struct steer_rxq *q = move->disp_q;

    if (steer_rxq_acked(q, move->new.seq)) {
        if (time_usec() - move->new.since > STEER_ORPHAN_USEC) {
            /* It knew of the move once: is it still there? */
            steer_rxq_notify(q, &move->new, time_usec());
        }
        return true;
    }
    if (steer_rxq_is_orphan(q, &move->new) && !steer_move_is_done(move)) {
        /* Should it be polled from now, it may have got to know of the move
         * before this: steer_move_free() sees what it has done. */
        q->silent = true;
        stats.unacked++;
        steer_move_retire(move);
        return true;
    }
    return !steer_answer_is_late(q, &move->new);
}

/* Frees the slot of 'move', to which no queue refers, and what it may still
 * hold of a bucket whose dispatcher is not polled. */
static void
steer_move_free(struct steer_transit *move)
{
    bool called_off;

    atomic_read_relaxed(&move->called_off, &called_off);
    if (move->disp_q && (called_off || !steer_move_is_done(move))) {
        move->port->owner[move->bucket] = move->old_q->queue_id;
    }
    steer_park_purge(move);
    if (move->port->moving[move->bucket] == move) {
        move->port->moving[move->bucket] = steer_move_other(move);
    }
    steer_move_set_phase(move, STEER_FREE);
}

static void
steer_move_finish(struct steer_transit *move)
{
    uint64_t done_tsc, cycles;
    uint32_t parked = steer_ctr32_get(&move->parked);
    bool called_off;

    atomic_read_relaxed(&move->done_tsc, &done_tsc);
    cycles = done_tsc - move->started_tsc;
    atomic_read_relaxed(&move->called_off, &called_off);
    stats.called_off += called_off;
    stats.finished++;
    stats.parked += parked;
    stats.parked_max = MAX(stats.parked_max, parked);
    stats.cycles += cycles;
    stats.cycles_max = MAX(stats.cycles_max, cycles);
}

/* Takes 'move' further.  Returns true if there is anything to wait for. */
static bool
steer_move_run(struct steer_transit *move)
{
    enum steer_phase phase = steer_move_phase(move);

    if (phase == STEER_FREE) {
        return false;
    } else if (phase == STEER_RETIRED) {
        struct steer_rxq *parker = steer_move_parker(move);

        if (!steer_moves_are_read()
            && (steer_rxq_acked(move->old_q, move->old.seq)
                || steer_rxq_is_orphan(move->old_q, &move->old))
            && (steer_rxq_acked(parker, move->new.seq)
                || steer_rxq_is_orphan(parker, &move->new))) {
            steer_move_free(move);
        }
    } else if (steer_move_is_done(move)) {
        if (phase != STEER_CANCELLED) {
            steer_move_finish(move);
        }
        steer_move_retire(move);
    } else if (phase == STEER_DRAINING) {
        steer_move_check(move);
    } else if (phase == STEER_ARMED) {
        return steer_move_check_handoff(move);
    } else if (!steer_ctr32_get(&move->parked)
               && steer_rxq_is_orphan(move->new_q, &move->new)) {
        steer_move_retire(move);
    }
    return true;
}

/* Clears up after moves that PMD threads have completed, and after those that
 * they will not complete.  Returns true if any is still under way that can be
 * waited for.  Call once a tick or more often. */
bool
steer_moves_run(void)
{
    bool busy = false;

    for (size_t i = 0; i < STEER_MAX_MOVES; i++) {
        busy |= steer_move_run(&steer_transits[i]);
    }
    return busy;
}
