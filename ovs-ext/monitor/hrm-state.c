/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/monitor/hrm-state.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

#define HRM_FLAP_HALF_LIFE_MS 10000.0

/* Outages that cost nothing extra: each further one doubles the samples that it
 * takes to come back. */
#define HRM_FLAP_FREE 1.0

/* Latency counts as bad at this many times the usual one, as well again at
 * that many. */
#define HRM_LATENCY_BAD 4.0
#define HRM_LATENCY_WELL 2.0

/* Time constant of the usual latency while all is well, and while it is not:
 * what lasts is usual in the end, for a resource whose regular latency changes
 * would else be degraded for good. */
#define HRM_USUAL_MS 60000.0
#define HRM_LASTING_MS 600000.0

/* Share of failed work that is bad, and that is well again. */
#define HRM_ERROR_BAD 0.01
#define HRM_ERROR_WELL 0.002

/* Latency that is never bad, in microseconds: below, a multiple of the usual
 * one tells more about the size of batches than about the hardware. */
static const double latency_floor[HRM_N_KINDS] = {
    [HRM_PMD_CORE] = 50,
    [HRM_NIC_QUEUE] = 1000,
    [HRM_FLOW_TABLE] = 10000,
    [HRM_CRYPTO] = 100,
    [HRM_DMA] = 100,
    [HRM_EVENT] = 100,
    [HRM_BB] = 1000,
    [HRM_RAW] = 1000,
    [HRM_REGEX] = 100,
    [HRM_GPU] = 1000,
    [HRM_PORT] = 200,
    [HRM_PCI] = 1000,
};

void
hrm_machine_init(struct hrm_machine *m)
{
    memset(m, 0, sizeof *m);
    m->state = HRM_AVAILABLE;
}

static void
set_reason(struct hrm_machine *m, const char *reason)
{
    ovs_strzcpy(m->reason, reason, sizeof m->reason);
}

static void
go_down(struct hrm_machine *m)
{
    double doubled;

    m->state = HRM_UNAVAILABLE;
    m->flaps += 1;
    doubled = exp2(fmax(m->flaps - HRM_FLAP_FREE, 0));
    m->hold = fmin(HRM_UP_SAMPLES * doubled, HRM_UP_SAMPLES_MAX);
    m->bad = m->well = 0;
}

static void
step_down(struct hrm_machine *m, const struct hrm_verdict *v)
{
    bool says_so = v->answer == HRM_DOWN;

    m->answered = 0;
    m->missed = MIN(m->missed + 1, 1000000);
    if (!says_so && m->missed < HRM_DOWN_SAMPLES) {
        return;
    }
    if (m->state != HRM_UNAVAILABLE) {
        go_down(m);
    }
    if (says_so) {
        set_reason(m, v->why ? v->why : "down");
    } else {
        snprintf(m->reason, sizeof m->reason, "%u samples without answer%s%s",
                 MIN(m->missed, 100), v->why ? ": " : "",
                 v->why ? v->why : "");
    }
}

/* Has the usual latency follow that of work.  The first samples have a mean of
 * their own, since one may be about anything: an idle device, a cold cache. */
static void
learn_usual(struct hrm_machine *m, const struct hrm_verdict *v, double dt_ms)
{
    double gain;

    if (!v->worked || !(v->latency_us > 0)) {
        return;
    }
    if (m->state == HRM_AVAILABLE) {
        m->n_usual = MIN(m->n_usual + 1, 1000000);
        gain = fmax(1.0 / m->n_usual, -expm1(-dt_ms / HRM_USUAL_MS));
    } else {
        gain = -expm1(-dt_ms / HRM_LASTING_MS);
    }
    m->usual_us += gain * (v->latency_us - m->usual_us);
}

/* Returns null if the work that the resource does is all right by the limits
 * that matter in its state, else what is wrong, in 'buf'. */
static const char *
find_fault(const struct hrm_machine *m, enum hrm_kind kind,
           const struct hrm_verdict *v, char *buf, size_t size)
{
    bool degraded = m->state == HRM_DEGRADED;
    double times = degraded ? HRM_LATENCY_WELL : HRM_LATENCY_BAD;
    double share = degraded ? HRM_ERROR_WELL : HRM_ERROR_BAD;

    if (v->error_rate > share) {
        snprintf(buf, size, "%.1f %% of its work fails", v->error_rate * 100);
        return buf;
    }
    if (m->n_usual >= HRM_USUAL_SAMPLES && v->latency_us > latency_floor[kind]
        && v->latency_us > times * m->usual_us) {
        snprintf(buf, size, "latency %.0f us, usually %.0f us",
                 v->latency_us, m->usual_us);
        return buf;
    }
    return NULL;
}

static void
step_up(struct hrm_machine *m, enum hrm_kind kind,
        const struct hrm_verdict *v, double dt_ms)
{
    char buf[HRM_REASON_LEN];
    const char *fault;

    m->missed = 0;
    m->answered = MIN(m->answered + 1, 1000000);
    if (m->state == HRM_UNAVAILABLE) {
        if (m->answered < m->hold) {
            snprintf(m->reason, sizeof m->reason,
                     "answers again, held back for %u samples", m->hold);
            return;
        }
        m->state = HRM_AVAILABLE;
    } else if (m->state == HRM_UNMANAGED) {
        m->state = HRM_AVAILABLE;
    }

    fault = find_fault(m, kind, v, buf, sizeof buf);
    m->bad = fault ? m->bad + 1 : 0;
    m->well = fault ? 0 : m->well + 1;
    if (m->state == HRM_AVAILABLE && m->bad >= HRM_BAD_SAMPLES) {
        m->state = HRM_DEGRADED;
    } else if (m->state == HRM_DEGRADED && m->well >= HRM_WELL_SAMPLES) {
        m->state = HRM_AVAILABLE;
    }
    if (m->state == HRM_AVAILABLE) {
        set_reason(m, "");
    } else if (fault) {
        set_reason(m, fault);
    }
    if (m->state == HRM_AVAILABLE ? !fault
        : v->error_rate <= HRM_ERROR_WELL) {
        learn_usual(m, v, dt_ms);
    }
}

bool
hrm_machine_step(struct hrm_machine *m, enum hrm_kind kind,
                 const struct hrm_verdict *v, double dt_ms)
{
    enum hrm_state old = m->state;

    m->flaps *= exp2(-dt_ms / HRM_FLAP_HALF_LIFE_MS);
    switch (v->answer) {
    case HRM_NOT_OURS:
        m->state = HRM_UNMANAGED;
        m->missed = 0;
        set_reason(m, v->why ? v->why : "");
        break;
    case HRM_NO_ANSWER:
    case HRM_DOWN:
        step_down(m, v);
        break;
    case HRM_ANSWER:
    default:
        step_up(m, kind, v, dt_ms);
        break;
    }
    return m->state != old;
}
