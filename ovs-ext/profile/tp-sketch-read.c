/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* The reader's side of the sketch. */

#include <config.h>

#include "ovs-ext/profile/tp-sketch-impl.h"

#include <string.h>

#include "util.h"

/* Returns the number of places in the table. */
size_t
tp_sketch_n_entries(const struct tp_sketch *s)
{
    return s->n_sets * TP_WAYS;
}

/* Reads place 'i' into '*e'.  Returns false if it is free, or if the writer is
 * just replacing it.  'e->flow' is read only where the generation differs from
 * 'known_gen'; generations are even.  Reader. */
bool
tp_sketch_read(const struct tp_sketch *s_, size_t i, uint32_t known_gen,
               struct tp_entry *e)
{
    struct tp_sketch *s = CONST_CAST(struct tp_sketch *, s_);
    struct tp_cold *cold = &s->cold[i];
    uint64_t words[TP_FLOW_WORDS];
    uint32_t gen;

    atomic_read_explicit(&cold->gen, &e->gen, memory_order_acquire);
    if (e->gen & 1) {
        return false;
    }
    /* Acquire loads keep the second look at the generation after them. */
    atomic_read_explicit(&s->keys[i], &e->key, memory_order_acquire);
    if (!e->key) {
        return false;
    }
    atomic_read_explicit(&s->counts[i], &e->count, memory_order_acquire);
    if (e->gen != known_gen) {
        atomic_read_explicit(&cold->credit, &e->credit, memory_order_acquire);
        for (size_t j = 0; j < TP_FLOW_WORDS; j++) {
            atomic_read_explicit(&cold->flow[j], &words[j],
                                 memory_order_acquire);
        }
        memcpy(&e->flow, words, sizeof e->flow);
    }
    atomic_read_relaxed(&cold->gen, &gen);
    return gen == e->gen;
}

/* Takes up to 'max' samples, the oldest first.  Returns their number.
 * Reader. */
size_t
tp_sketch_pop(struct tp_sketch *s, struct tp_sample *samples, size_t max)
{
    uint32_t head, tail;
    size_t n;

    atomic_read_explicit(&s->head, &head, memory_order_acquire);
    atomic_read_relaxed(&s->tail, &tail);
    n = MIN(head - tail, max);
    for (size_t i = 0; i < n; i++) {
        samples[i] = s->ring[(tail + i) & s->ring_mask];
    }
    atomic_store_explicit(&s->tail, tail + n, memory_order_release);
    return n;
}

/* Stores the packets and bytes added so far and the samples lost because the
 * reader was too slow.  Any thread. */
void
tp_sketch_totals(const struct tp_sketch *s_, uint64_t *packets,
                 uint64_t *bytes, uint64_t *lost)
{
    struct tp_sketch *s = CONST_CAST(struct tp_sketch *, s_);

    atomic_read_relaxed(&s->packets, packets);
    atomic_read_relaxed(&s->bytes, bytes);
    atomic_read_relaxed(&s->lost, lost);
}

/* Makes one packet in 'mean', from the next sample on, a sample.  Reader. */
void
tp_sketch_set_sampling(struct tp_sketch *s, uint32_t mean)
{
    atomic_store_relaxed(&s->sample_mean, MAX(mean, 1));
}

/* Returns the present mean.  Any thread. */
uint32_t
tp_sketch_sampling(const struct tp_sketch *s)
{
    uint32_t mean;

    atomic_read_relaxed(&CONST_CAST(struct tp_sketch *, s)->sample_mean,
                        &mean);
    return mean;
}

/* Begins an epoch.  Returns false if the writer is still about the last one,
 * of which it does a part with each burst; call again later.  Reader. */
bool
tp_sketch_age(struct tp_sketch *s)
{
    uint32_t epoch, wanted;

    atomic_read_relaxed(&s->epoch, &epoch);
    atomic_read_relaxed(&s->epoch_wanted, &wanted);
    if (epoch != wanted) {
        return false;
    }
    atomic_store_relaxed(&s->epoch_wanted, wanted + 1);
    return true;
}
