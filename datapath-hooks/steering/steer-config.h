/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef STEER_CONFIG_H
#define STEER_CONFIG_H 1

/* Steering's configuration, from other_config of the Open_vSwitch table.
 *
 * Every key is checked by itself: a bad value is reported once, naming it, and
 * the last good value stays.  Main thread. */

#include <stdbool.h>
#include <stdint.h>

#include "ovs-ext/steering/steer-policy.h"

struct smap;

enum steer_mode {
    STEER_OFF,                  /* Stock Open vSwitch. */
    STEER_SHADOW,               /* Decide as rl does, move nothing. */
    STEER_STATIC,               /* Observe only. */
    STEER_RSSPP,
    STEER_LPT,
    STEER_RL
};

struct steer_settings {
    enum steer_mode mode;       /* ext-steering */
    unsigned int tick_ms;       /* ext-steering-tick */
    struct steer_weights weights; /* ext-steering-weights */
    char *policy;               /* ext-steering-policy: a file, or "db:" and
                                 * a name; null: built in. */
    unsigned int max_moves;     /* ext-steering-max-moves, moves/s. */
    unsigned int park;          /* ext-steering-park, packets a move. */
    unsigned int settle_us;     /* ext-steering-settle */
    bool learn;                 /* ext-steering-learn */
    bool warm;                  /* ext-steering-warm */
    unsigned int seed;          /* ext-steering-seed */
    unsigned int tx_flush_us;   /* OVS's own tx-flush-interval. */
    unsigned int max_sleep_us;  /* OVS's own pmd-maxsleep. */
    unsigned int n_pmds;        /* Bits in OVS's own pmd-cpu-mask. */
    bool auto_lb;               /* OVS's own pmd-auto-lb. */
};

const char *steer_mode_to_string(enum steer_mode);
bool steer_mode_from_string(const char *, enum steer_mode *);

void steer_settings_init(struct steer_settings *);
void steer_settings_copy(struct steer_settings *dst,
                         const struct steer_settings *src);
void steer_settings_destroy(struct steer_settings *);

/* Returns the name of a policy in the database OVS_Ext if 'policy', which may
 * be null, means one, else null. */
const char *steer_policy_db_name(const char *policy);

/* Updates '*s' from 'other_config' where that differs from 'seen', its keys of
 * steering when it was last looked at (empty at first), and updates that: what
 * steer_settings_set() has set meanwhile stays until its key changes.  Returns
 * true if anything changed. */
bool steer_settings_parse(struct steer_settings *, struct smap *seen,
                          const struct smap *other_config);

/* Sets 'key' (a name without "ext-steering-", or "mode") to 'value'.  Returns
 * null, or an error that the caller must free(). */
char *steer_settings_set(struct steer_settings *, const char *key,
                         const char *value);

#endif /* steer-config.h */
