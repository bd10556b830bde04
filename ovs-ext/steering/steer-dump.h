/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef STEER_DUMP_H
#define STEER_DUMP_H 1

/* Decisions log
 * =============
 *
 * One JSON object a line for each decision: the state it was taken in, the
 * moves, who took it, and the reward of the interval that ended there (that
 * is, the outcome of the line before).  Complete enough to take the decision
 * again with another policy, and to train off line.
 *
 *     {"v":1,"tick":N,"tick_s":S,"by":"rl","reward":R,
 *      "terms":[throughput,latency,balance,switching],
 *      "cores":[[load,pps,cap_pps,qfill,drops_pps,latency_ns,numa,isolated],
 *               ...],
 *      "groups":[["HEXMASK",numa],...],
 *      "buckets":[[core,group,pps,bytes_ps,pred_pps,flows,age,movable],...],
 *      "moves":[[bucket,from,to,score],...]}
 *
 * 'age' is ticks_since_move, -1 for never.  A bucket on no known core has core
 * -1.
 *
 * The parser takes nothing for granted: a line that is not such an object is
 * refused with a sentence that says why. */

#include <stdbool.h>
#include <stdio.h>

#include "openvswitch/dynamic-string.h"
#include "ovs-ext/steering/steer-policy.h"

/* Appends a record, newline included, to 'ds'. */
void steer_dump_format(struct ds *ds, const struct steer_state *,
                       const struct steer_move *moves, size_t n_moves,
                       double reward, const struct steer_reward_terms *,
                       const struct steer_explain *);

/* A log being written to a stream. */
struct steer_dump {
    FILE *stream;               /* Owned by the caller. */
    struct ds buf;
};

void steer_dump_init(struct steer_dump *, FILE *stream);
void steer_dump_uninit(struct steer_dump *);

/* Writes out what steer_dump_format() has put into 'buf', and empties it.
 * Returns 0 or an errno.  May block as long as the disk does. */
int steer_dump_flush(struct steer_dump *);

/* Formats a record and puts it into the stream's buffer. */
void steer_dump_write(struct steer_dump *, const struct steer_state *,
                      const struct steer_move *moves, size_t n_moves,
                      double reward, const struct steer_reward_terms *,
                      const struct steer_explain *);

/* A record read back. */
struct steer_record {
    struct steer_state state;
    struct steer_move *moves;
    size_t n_moves;
    double reward;
    struct steer_reward_terms terms;
    char *decided_by;
};

/* Parses one line.  Returns NULL and fills in 'record', which must be freed
 * with steer_record_uninit(), or returns a sentence to be freed. */
char *steer_dump_parse(const char *line, struct steer_record *record);
void steer_record_uninit(struct steer_record *);

#endif /* steer-dump.h */
