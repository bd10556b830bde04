/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/nic-model/extnic-map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_pause.h>

#include "datapath-hooks/nic-model/extnic-clock.h"
#include "datapath-hooks/nic-model/extnic-flow.h"

#define WAIT_US 10
#define WAIT_MAX 10000          /* Times WAIT_US: 100 ms and more. */
#define WAIT_SPIN 200           /* Looks before the first of them. */
#define STALL_S 0.2             /* A queue not polled for so long is not. */

/* Gives a published map its first position, one that no queue has claimed,
 * unless another thread does so first.  Returns it. */
static uint64_t
resolve(struct extnic_source *source, uint32_t v)
{
    struct extnic_map *map = &source->maps[v % EXTNIC_N_MAPS];
    const struct extnic_map *prev = &source->maps[(v - 1) % EXTNIC_N_MAPS];
    const struct extnic_run *run = __atomic_load_n(&source->run,
                                                   __ATOMIC_SEQ_CST);
    uint64_t start = __atomic_load_n(&prev->start, __ATOMIC_ACQUIRE);
    uint64_t pending = EXTNIC_PENDING;

    if (run->first_map == v - 1) {
        start = 0;              /* 'prev' dates from an earlier run. */
    }
    for (int i = 0; i < source->n_rxq; i++) {
        const struct extnic_rxq *q = source->rxq[i];

        if (q && __atomic_load_n(&q->claim_epoch, __ATOMIC_SEQ_CST)
                 == run->epoch) {
            uint64_t claim = __atomic_load_n(&q->claim, __ATOMIC_SEQ_CST);

            start = claim > start ? claim : start;
        }
    }
    start += map->delay;
    if (__atomic_compare_exchange_n(&map->start, &pending, start, false,
                                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        return start;
    }
    return pending;
}

const struct extnic_map *
extnic_map_next__(struct extnic_rxq *q, uint64_t *end)
{
    struct extnic_source *source = q->source;
    uint32_t v = q->map;

    *end = UINT64_MAX;
    while (v != __atomic_load_n(&source->head, __ATOMIC_SEQ_CST)) {
        const struct extnic_map *next = &source->maps[(v + 1) % EXTNIC_N_MAPS];
        uint64_t start = __atomic_load_n(&next->start, __ATOMIC_ACQUIRE);

        if (start == EXTNIC_PENDING) {
            start = resolve(source, v + 1);
        }
        if (start > q->at.pos) {
            *end = start;
            break;
        }
        v++;
        __atomic_store_n(&q->map, v, __ATOMIC_RELEASE);
    }
    return &source->maps[v % EXTNIC_N_MAPS];
}

uint64_t
extnic_map_due__(const struct extnic_rxq *q)
{
    struct extnic_source *source = q->source;
    uint32_t head = __atomic_load_n(&source->head, __ATOMIC_SEQ_CST);
    uint64_t due = 0;

    for (uint32_t v = q->map + 1; (int32_t) (head - v) >= 0; v++) {
        const struct extnic_map *map = &source->maps[v % EXTNIC_N_MAPS];
        uint64_t start = __atomic_load_n(&map->start, __ATOMIC_ACQUIRE);

        if (start == EXTNIC_PENDING) {
            start = resolve(source, v);
        }
        if (start >= map->delay && start - map->delay > due) {
            due = start - map->delay;
        }
    }
    return due;
}

void
extnic_map_count_drops(struct extnic_rxq *q, const uint32_t *codes,
                       const struct extnic_entry *seq, uint32_t n)
{
    const struct extnic_template *templates = q->source->traffic->templates;

    for (uint32_t i = 0; i < n; i++) {
        if ((codes[i] & EXTNIC_CODE_MASK) == EXTNIC_CODE_DROP) {
            const struct extnic_template *t = &templates[seq[i].template];
            uint32_t rule = codes[i] >> EXTNIC_CODE_BITS;

            q->shm->nic_dropped++;
            q->shm->flow_hits++;
            q->rule_hits[rule * 2]++;
            q->rule_hits[rule * 2 + 1] += t->len;
        }
    }
}

/* Whether nobody polls 'q', as when its port is about to be deleted. */
static bool
is_stalled(const struct extnic_rxq *q)
{
    uint64_t last = __atomic_load_n(&q->last_poll, __ATOMIC_RELAXED);

    return (int64_t) (rte_rdtsc() - last) > (int64_t) (extnic_clock.hz
                                                       * STALL_S);
}

/* Whether every queue uses a map newer than 'v'. */
static bool
all_beyond(const struct extnic_source *source, uint32_t v)
{
    for (int i = 0; i < source->n_rxq; i++) {
        const struct extnic_rxq *q = source->rxq[i];

        if (q && (int32_t) (__atomic_load_n(&q->map, __ATOMIC_ACQUIRE) - v)
                 <= 0 && !is_stalled(q)) {
            return false;
        }
    }
    return true;
}

static void
pause_or_sleep(int i)
{
    if (i < WAIT_SPIN) {
        rte_pause();
    } else {
        usleep(WAIT_US);
    }
}

/* Waits until every queue uses a map newer than 'v'. */
static bool
wait_beyond(const struct extnic_source *source, uint32_t v)
{
    for (int i = 0; source->started && i < WAIT_MAX; i++) {
        if (all_beyond(source, v)) {
            return true;
        }
        pause_or_sleep(i);
    }
    return !source->started;
}

/* Waits until the poll of 'q' that may be under way has ended. */
static void
wait_poll(const struct extnic_source *source, const struct extnic_rxq *q)
{
    uint64_t polls = __atomic_load_n(&q->shm->polls, __ATOMIC_SEQ_CST);

    for (int i = 0; source->started && i < WAIT_MAX && !is_stalled(q)
                    && __atomic_load_n(&q->shm->polls, __ATOMIC_ACQUIRE)
                       == polls; i++) {
        pause_or_sleep(i);
    }
}

static void
lock(struct extnic_source *source)
{
    while (__atomic_exchange_n(&source->ctl_lock, 1, __ATOMIC_ACQUIRE)) {
        usleep(WAIT_US);
    }
}

static void
unlock(struct extnic_source *source)
{
    __atomic_store_n(&source->ctl_lock, 0, __ATOMIC_RELEASE);
}

static uint64_t
straggler_delay(const struct extnic_source *source)
{
    uint32_t us = source->link->shm->inject.straggler_us;

    return us && source->shm ? us * source->shm->rate : 0;
}

/* With 'ctl_lock' held. */
static int
publish(struct extnic_source *source, uint32_t codes)
{
    uint32_t v = source->head + 1;
    struct extnic_map *map = &source->maps[v % EXTNIC_N_MAPS];

    /* The slot must have been left by all queues. */
    if (v >= EXTNIC_N_MAPS && !wait_beyond(source, v - EXTNIC_N_MAPS)) {
        return EBUSY;
    }
    memset(map->queue, EXTNIC_QUEUE_DROP, sizeof map->queue);
    memcpy(map->queue, source->reta, source->args.reta);
    for (int i = 0; i < EXTNIC_MAX_QUEUES; i++) {
        map->queue[EXTNIC_CODE_QUEUE + i] = i < source->n_rxq ? i : 0;
    }
    map->code = source->codes[codes];
    map->delay = straggler_delay(source);
    source->code_map[codes] = v;
    source->cur_codes = codes;
    map->start = source->started ? EXTNIC_PENDING : 0;
    __atomic_store_n(&source->head, v, __ATOMIC_SEQ_CST);
    if (source->started) {
        resolve(source, v);
        return 0;
    }
    for (int i = 0; i < EXTNIC_MAX_QUEUES; i++) {
        if (source->rxq[i]) {
            source->rxq[i]->map = v;
        }
    }
    return 0;
}

int
extnic_map_publish(struct extnic_source *source, uint32_t codes)
{
    lock(source);
    int err = publish(source, codes);
    unlock(source);
    return err;
}

int
extnic_source_set_reta(struct extnic_source *source, const uint8_t *reta)
{
    uint8_t old[EXTNIC_MAX_RETA];

    lock(source);
    memcpy(old, source->reta, sizeof old);
    memcpy(source->reta, reta, source->args.reta);
    int err = publish(source, source->cur_codes);
    if (err) {
        memcpy(source->reta, old, sizeof old);
    }
    uint32_t v = source->head;
    bool delayed = source->maps[v % EXTNIC_N_MAPS].delay != 0;
    unlock(source);

    /* As with a real device, the table is in force when this returns: no queue
     * takes a packet by the old one any more.  A thread that was pre-empted
     * has arrivals to catch up with first.  One that gets no CPU for so long
     * that this gives up still finds them in its ring when it comes back (see
     * extnic_map_due()).  Injected stragglers are what comes after. */
    if (!err && !delayed) {
        wait_beyond(source, v - 1);
    }
    return err;
}

int
extnic_source_update_codes(struct extnic_source *source,
                           void (*cb)(struct extnic_source *,
                                      uint32_t *codes, void *aux),
                           void *aux, bool few)
{
    size_t size = source->traffic->n_templates * sizeof **source->codes;
    int err = 0;

    lock(source);
    if (few && source->n_rxq == 1 && source->rxq[0]) {
        cb(source, source->codes[source->cur_codes], aux);
        unlock(source);
        wait_poll(source, source->rxq[0]);
        return 0;
    }
    uint32_t next = (source->cur_codes + 1) % EXTNIC_N_CODE_ARRAYS;
    if (source->code_map[next]
        && !wait_beyond(source, source->code_map[next])) {
        err = EBUSY;
    } else {
        memcpy(source->codes[next], source->codes[source->cur_codes], size);
        cb(source, source->codes[next], aux);
        err = publish(source, next);
    }
    uint32_t v = source->head;
    unlock(source);
    if (!err && few) {
        wait_beyond(source, v - 1);
    }
    return err;
}

static void
hash_codes(struct extnic_source *source, uint32_t *codes, void *aux)
{
    const struct extnic_traffic *traffic = source->traffic;
    const uint32_t mask = source->args.reta - 1;

    for (uint32_t i = 0; i < traffic->n_templates; i++) {
        const struct extnic_template *t = &traffic->templates[i];

        codes[i] = (t->rss_ok ? t->hash : 0) & mask;
    }
    (void) aux;
    extnic_flow_apply(source, codes);
}

int
extnic_source_rehash(struct extnic_source *source)
{
    extnic_flow_lock(source->flows);
    int err = extnic_source_update_codes(source, hash_codes, NULL, false);
    extnic_flow_unlock(source->flows);
    return err;
}

bool
extnic_map_init(struct extnic_source *source)
{
    size_t n = source->traffic->n_templates;

    source->maps = calloc(EXTNIC_N_MAPS, sizeof *source->maps);
    for (int i = 0; i < EXTNIC_N_CODE_ARRAYS; i++) {
        source->codes[i] = calloc(n, sizeof **source->codes);
        if (!source->codes[i]) {
            return false;
        }
    }
    if (!source->maps) {
        return false;
    }
    source->maps[0].code = source->codes[0];
    return true;
}

void
extnic_map_uninit(struct extnic_source *source)
{
    free(source->maps);
    for (int i = 0; i < EXTNIC_N_CODE_ARRAYS; i++) {
        free(source->codes[i]);
    }
}
