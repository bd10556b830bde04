/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef HRM_STATE_H
#define HRM_STATE_H 1

/* The state machine of one resource, see hrm-registry.h for its rules.
 *
 * Pure; belongs to the registry. */

#include <stdbool.h>

#include "ovs-ext/monitor/hrm-registry.h"

struct hrm_machine {
    enum hrm_state state;
    char reason[HRM_REASON_LEN];
    unsigned int missed;        /* Samples in a row without answer. */
    unsigned int answered;      /* Samples in a row with. */
    unsigned int hold;          /* Samples with answer that it takes to be
                                 * available again. */
    double flaps;               /* Outages of late, half forgotten after
                                 * HRM_FLAP_HALF_LIFE_MS. */
    unsigned int bad, well;     /* Samples in a row beyond, within limits. */
    double usual_us;            /* Latency when all was well... */
    unsigned int n_usual;       /* ...in so many samples. */
};

/* What a sample says about the resource, once rates have been made of it. */
struct hrm_verdict {
    enum hrm_answer answer;
    const char *why;            /* May be null. */
    double latency_us;          /* 0: unknown. */
    double error_rate;
    bool worked;                /* Something finished or failed. */
};

void hrm_machine_init(struct hrm_machine *);

/* Steps '*m' by a sample that is 'dt_ms' after the last.  Returns true if the
 * state has changed. */
bool hrm_machine_step(struct hrm_machine *m, enum hrm_kind,
                      const struct hrm_verdict *, double dt_ms);

#endif /* hrm-state.h */
