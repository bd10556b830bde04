/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Features and scores: what makes a resource good for a profile. */

#include <config.h>

#include "ovs-ext/affinity/aff-impl.h"

#include <math.h>
#include <string.h>

/* How well a kind of resource suits a class of traffic, 0 (cannot process it)
 * to 1 (made for it).  DPDK devices without a packet port of their own suit
 * nothing, except that IPsec is what a crypto device is for. */
static const double fits[AFF_N_FITS][TP_N_CLASSES] = {
                            /* tcp  udp  sctp icmp esp  other */
    [HRM_PMD_CORE]          = { .50, .50, .50, .50, .40, .50 },
    [HRM_NIC_QUEUE]         = { .60, .60, .55, .40, .50, .40 },
    [HRM_FLOW_TABLE]        = { .75, .75, .60, .20, .50, .10 },
    [HRM_CRYPTO]            = { 0, 0, 0, 0, .80, 0 },
    [HRM_PORT]              = { .70, .70, .65, .30, .65, .40 },
    [AFF_FIT_ACCEL_CRYPTO]  = { 0, 0, 0, 0, 1.0, 0 },
    [AFF_FIT_ACCEL_REGEX]   = { .70, .60, .40, 0, 0, 0 },
    [AFF_FIT_ACCEL_GPU]     = { .60, .60, .40, 0, .50, .20 },
    [AFF_FIT_ACCEL_FPGA]    = { .80, .80, .70, .30, .80, .50 },
};

const char *
aff_feature_to_string(enum aff_feature f)
{
    static const char *const names[AFF_N_FEATURES] = {
        "bias", "free", "forecast", "latency", "errors", "numa", "fit",
        "room", "degraded", "elephants", "small", "bursts",
    };

    return f < AFF_N_FEATURES ? names[f] : "?";
}

/* Units as resources give them; singular, plural and "/s" are alike. */
enum aff_unit
aff_unit_from_string(const char *unit)
{
    static const struct {
        const char *prefix;
        enum aff_unit unit;
    } units[] = {
        { "packet", AFF_U_PACKETS }, { "pps", AFF_U_PACKETS },
        { "op", AFF_U_PACKETS }, { "event", AFF_U_PACKETS },
        { "bit", AFF_U_BITS }, { "bps", AFF_U_BITS },
        { "byte", AFF_U_BYTES }, { "B/s", AFF_U_BYTES },
        { "entr", AFF_U_ENTRIES }, { "flow", AFF_U_ENTRIES },
        { "rule", AFF_U_ENTRIES },
    };

    for (size_t i = 0; unit && i < ARRAY_SIZE(units); i++) {
        if (!strncmp(unit, units[i].prefix, strlen(units[i].prefix))) {
            return units[i].unit;
        }
    }
    return AFF_U_UNKNOWN;
}

/* Row of the table of fits for a resource; 'accelerator' is what is behind a
 * port, in the words of other_config:ext-accelerator. */
int
aff_fit_row(enum hrm_kind kind, const char *accelerator)
{
    if (kind == HRM_PORT && accelerator) {
        return (!strcmp(accelerator, "crypto") ? AFF_FIT_ACCEL_CRYPTO
                : !strcmp(accelerator, "regex") ? AFF_FIT_ACCEL_REGEX
                : !strcmp(accelerator, "gpu") ? AFF_FIT_ACCEL_GPU
                : !strcmp(accelerator, "fpga") ? AFF_FIT_ACCEL_FPGA
                : HRM_PORT);
    }
    return kind;
}

double
aff_fit(int row, enum tp_class class)
{
    return fits[row][class];
}

/* The shape of the traffic, as far as it matters to a row of fits. */
static void
shape(const struct aff_prof *p, int row, double x[AFF_N_FEATURES])
{
    bool nic = row == HRM_FLOW_TABLE || row == HRM_NIC_QUEUE;
    bool port = row >= HRM_N_KINDS || row == HRM_PORT;
    double size = p->in.packet_size;
    double bursts = p->in.burstiness;

    x[AFF_F_FIT] = aff_fit(row, p->class);
    if (row == HRM_FLOW_TABLE) {
        /* Few entries take what elephants carry; mice only churn them. */
        x[AFF_F_FIT] *= 0.5 + 0.5 * p->in.elephant_share;
    }
    x[AFF_F_ELEPHANTS] = nic ? p->in.elephant_share : 0;
    x[AFF_F_SMALL] = (nic || port) && size > 0 ? 64 / MAX(size, 64) : 0;
    x[AFF_F_BURSTS] = (port || row == HRM_NIC_QUEUE
                       ? bursts / (bursts + 10) : 0);
}

/* Fills in what of 'x' depends on the resource alone. */
static void
condition(const struct aff_host *h, const struct aff_config *config,
          const struct aff_res *r, double x[AFF_N_FEATURES])
{
    double ref = MAX(config->latency_ref_us, 1e-3);

    x[AFF_F_BIAS] = 1;
    x[AFF_F_LATENCY] = ref / (ref + r->m.latency_us);
    x[AFF_F_ERRORS] = 1 - MIN(100 * r->m.error_rate, 1);
    x[AFF_F_NUMA] = r->numa < 0 || h->home < 0 ? 0.5 : r->numa == h->home;
    x[AFF_F_DEGRADED] = r->state == HRM_DEGRADED;
}

/* The NUMA node by which most traffic comes in: that of the receive queues,
 * or if these say nothing of the PMD cores, with the largest throughput.
 * -1 if unknown. */
int
aff_home_numa(const struct aff_host *h)
{
    static const enum hrm_kind kinds[] = { HRM_NIC_QUEUE, HRM_PMD_CORE };
    enum { N_NODES = 64 };

    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        double sum[N_NODES] = { 0 };
        int best = -1;

        for (int i = 0; i < h->n_res; i++) {
            const struct aff_res *r = &h->res[i];

            if (r->used && r->kind == kinds[k] && r->numa >= 0
                && r->numa < N_NODES) {
                /* Some weight without traffic, too. */
                sum[r->numa] += r->m.throughput + 1e-3;
            }
        }
        for (int n = 0; n < N_NODES; n++) {
            if (sum[n] > (best < 0 ? 0 : sum[best])) {
                best = n;
            }
        }
        if (best >= 0) {
            return best;
        }
    }
    return -1;
}

void
aff_prepare_resource(const struct aff_host *h, const struct aff_config *config,
                     const struct aff_learner *learner, struct aff_res *r)
{
    static const enum aff_feature own[] = {
        AFF_F_BIAS, AFF_F_LATENCY, AFF_F_ERRORS, AFF_F_NUMA, AFF_F_DEGRADED,
    };
    const double *w = aff_weights(config, learner);
    double x[AFF_N_FEATURES];

    condition(h, config, r, x);
    r->fixed = 0;
    for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
        r->fixed += w[own[i]] * x[own[i]];
    }
    for (int c = 0; c < TP_N_CLASSES; c++) {
        r->learned[c] = (config->learn && learner
                         ? aff_mean_get(&learner->means[r->kind][c])
                           + aff_mean_get(&r->means[c])
                         : 0);
    }
}

void
aff_prepare_profile(const double *w, struct aff_prof *p)
{
    static const enum aff_feature own[] = {
        AFF_F_FIT, AFF_F_ELEPHANTS, AFF_F_SMALL, AFF_F_BURSTS,
    };

    p->demand[AFF_U_UNKNOWN] = 0;
    p->demand[AFF_U_PACKETS] = p->in.pps;
    p->demand[AFF_U_BITS] = p->in.bps;
    p->demand[AFF_U_BYTES] = p->in.bps / 8;
    p->demand[AFF_U_ENTRIES] = p->in.flows;
    for (int row = 0; row < AFF_N_FITS; row++) {
        double x[AFF_N_FEATURES];

        if (aff_fit(row, p->class) <= 0) {
            p->by_fit[row] = -INFINITY;
            continue;
        }
        shape(p, row, x);
        p->by_fit[row] = 0;
        for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
            p->by_fit[row] += w[own[i]] * x[own[i]];
        }
    }
}

double
aff_share(const struct aff_prof *p, const struct aff_res *r)
{
    const double demand[AFF_N_UNITS] = {
        [AFF_U_PACKETS] = p->in.pps, [AFF_U_BITS] = p->in.bps,
        [AFF_U_BYTES] = p->in.bps / 8, [AFF_U_ENTRIES] = p->in.flows,
    };

    return demand[r->unit] * r->inv_capacity;
}

/* All features of a pair; 'now' and 'forecast' are the loads of 'r' without
 * 'p'. */
void
aff_features(const struct aff_host *h, const struct aff_config *config,
             const struct aff_prof *p, const struct aff_res *r,
             double now, double forecast, double x[AFF_N_FEATURES])
{
    double share = aff_share(p, r);

    condition(h, config, r, x);
    shape(p, r->fit, x);
    x[AFF_F_FREE] = MAX(1 - (now + share), 0);
    x[AFF_F_FORECAST] = MAX(1 - (forecast + share), 0);
    x[AFF_F_ROOM] = 1 - MIN(share, 1);
}
