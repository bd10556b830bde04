/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

/* Tests of the NIC model's pure parts.  Prints "ok NAME" for each; a failed
 * check prints where and aborts.  "test-extnic pcap FILE" reads a capture and
 * prints what became of it, "test-extnic args TEXT" parses arguments. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/nic-model/extnic-args.h"
#include "datapath-hooks/nic-model/extnic-hist.h"
#include "datapath-hooks/nic-model/extnic-order.h"
#include "datapath-hooks/nic-model/extnic-rng.h"
#include "datapath-hooks/nic-model/extnic-rss.h"
#include "datapath-hooks/nic-model/extnic-traffic.h"

#define CHECK(COND)                                                     \
    do {                                                                \
        if (!(COND)) {                                                  \
            fprintf(stderr, "%s:%d: %s: check failed\n", __func__,      \
                    __LINE__, #COND);                                   \
            abort();                                                    \
        }                                                               \
    } while (0)

static struct extnic_traffic *
build(const char *text, struct extnic_args *args)
{
    struct extnic_traffic *traffic;
    char full[512], error[512];

    snprintf(full, sizeof full, "stat=/x,%s", text);
    if (!extnic_args_parse(full, args, error, sizeof error)) {
        fprintf(stderr, "%s\n", error);
        abort();
    }
    traffic = extnic_traffic_create(args, extnic_rss_default_hash, error,
                                    sizeof error);
    if (!traffic) {
        fprintf(stderr, "%s\n", error);
        abort();
    }
    return traffic;
}

/* Share of a phase's packets in the buckets that queue 0 of 'n' has. */
static double
share0(const struct extnic_traffic *traffic, const struct extnic_phase *phase,
       uint32_t reta, uint32_t n, double *max_bucket)
{
    uint32_t count[512] = { 0 };
    uint32_t on0 = 0, most = 0;

    for (uint32_t i = 0; i < phase->len; i++) {
        const struct extnic_template *t;

        t = &traffic->templates[phase->seq[i].template];
        uint32_t bucket = t->hash & (reta - 1);
        on0 += bucket % n == 0;
        count[bucket]++;
    }
    for (uint32_t b = 0; b < reta; b++) {
        most = count[b] > most ? count[b] : most;
    }
    *max_bucket = (double) most / phase->len;
    return (double) on0 / phase->len;
}

static void
test_skew(void)
{
    static const struct {
        const char *text;
        double share, max_bucket;
    } cases[] = {
        { "scenario=balanced", 0.5, 0.012 },
        { "scenario=skew90", 0.9, 0.03 },
        { "scenario=skew90,reta=512", 0.9, 0.03 },
        { "scenario=skew70,flows=10000,reta=64", 0.7, 0.03 },
        { "scenario=skew,skew=0.6,seed=9", 0.6, 0.03 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct extnic_args args;
        struct extnic_traffic *t = build(cases[i].text, &args);
        double max, share = share0(t, &t->phases[0], args.reta, 2, &max);

        CHECK(t->n_phases == 1);
        CHECK(fabs(share - cases[i].share) < 0.005);
        CHECK(max < cases[i].max_bucket);
        extnic_traffic_destroy(t);
    }
}

static void
test_elephants(void)
{
    struct extnic_args args;
    struct extnic_traffic *t = build("scenario=elephants,start_ms=500",
                                     &args);
    double max;

    CHECK(t->n_phases == 2 && t->phases[0].ms == 500 && !t->phases[1].ms);
    CHECK(t->phases[0].mult == 0.5 && t->phases[1].mult == 1);
    CHECK(fabs(share0(t, &t->phases[0], args.reta, 2, &max) - 0.5) < 0.01);
    CHECK(fabs(share0(t, &t->phases[1], args.reta, 2, &max) - 0.75) < 0.01);
    CHECK(max > 0.05);
    extnic_traffic_destroy(t);
}

static void
test_phases(void)
{
    struct extnic_args args;
    struct extnic_traffic *t = build("scenario=bursts", &args);

    CHECK(t->n_phases == 32);
    for (uint32_t i = 0; i < t->n_phases; i += 2) {
        double max;

        share0(t, &t->phases[i + 1], args.reta, 2, &max);
        CHECK(t->phases[i].ms == 20 && t->phases[i].mult == 1);
        CHECK(t->phases[i + 1].ms == 5 && t->phases[i + 1].mult > 1.3);
        CHECK(max > 0.03);
    }
    extnic_traffic_destroy(t);

    t = build("scenario=onoff", &args);
    double mean = 0;
    for (uint32_t i = 0; i < t->n_phases; i++) {
        mean += t->phases[i].mult / t->n_phases;
    }
    CHECK(fabs(mean - 1) < 0.1);
    extnic_traffic_destroy(t);
}

/* The entries of a flow count 0, 1, 2...; same seed, same traffic. */
static void
test_sequence(const char *text)
{
    char other[256];
    struct extnic_args args;
    struct extnic_traffic *a = build(text, &args);
    struct extnic_traffic *b = build(text, &args);

    snprintf(other, sizeof other, "%s,seed=2", text);
    struct extnic_traffic *c = build(other, &args);

    CHECK(a->n_phases == b->n_phases);
    for (uint32_t p = 0; p < a->n_phases; p++) {
        const struct extnic_phase *phase = &a->phases[p];
        uint32_t *next = calloc(a->n_flows, sizeof *next);

        CHECK(phase->len == b->phases[p].len);
        CHECK(!memcmp(phase->seq, b->phases[p].seq,
                      phase->len * sizeof *phase->seq));
        for (uint32_t i = 0; i < phase->len; i++) {
            const struct extnic_entry *e = &phase->seq[i];

            CHECK(e->template < a->n_templates);
            CHECK(e->k == next[a->templates[e->template].flow]++);
        }
        CHECK(!memcmp(next, phase->per_loop, a->n_flows * sizeof *next));
        free(next);
    }
    CHECK(!memcmp(a->templates, b->templates,
                  a->n_templates * sizeof *a->templates));
    CHECK(a->n_templates != c->n_templates
          || memcmp(a->templates, c->templates,
                    a->n_templates * sizeof *a->templates));
    extnic_traffic_destroy(a);
    extnic_traffic_destroy(b);
    extnic_traffic_destroy(c);
}

/* Share of flows not longer than 'n' packets, of 'draws'. */
static double
cdf(const double *lengths, uint32_t draws, double n)
{
    uint32_t below = 0;

    for (uint32_t i = 0; i < draws; i++) {
        below += lengths[i] <= n;
    }
    return (double) below / draws;
}

/* The reference values are those of the measured histogram (agh_2015
 * length-histogram, packets per flow), not of the fit. */
static void
test_flow_model(void)
{
    static const struct {
        bool tcp;
        double n, share;
    } cases[] = {
#include "datapath-hooks/nic-model/test-extnic-cdf.h"
    };
    enum { DRAWS = 2000000 };
    double *lengths[2];

    for (int tcp = 0; tcp < 2; tcp++) {
        struct extnic_rng rng = { 42 + tcp };

        lengths[tcp] = malloc(DRAWS * sizeof **lengths);
        for (uint32_t i = 0; i < DRAWS; i++) {
            lengths[tcp][i] = extnic_flow_model_length(&rng, tcp);
        }
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double share = cdf(lengths[cases[i].tcp], DRAWS, cases[i].n);

        if (fabs(share - cases[i].share) > 0.003) {
            fprintf(stderr, "tcp=%d n=%g: %g, published %g\n", cases[i].tcp,
                    cases[i].n, share, cases[i].share);
            abort();
        }
    }
    free(lengths[0]);
    free(lengths[1]);
}

static void
test_histogram(void)
{
    static struct extnic_hist hist;
    struct extnic_rng rng = { 7 };

    for (uint64_t v = 0; v < 100000; v += 1 + v / 64) {
        uint32_t slot = extnic_hist_slot__(v, EXTNIC_HIST_BITS,
                                           EXTNIC_HIST_N);
        double middle = extnic_hist_middle__(slot, EXTNIC_HIST_BITS);

        CHECK(fabs(middle - v) <= v / 64.0 + 0.5);
    }
    for (int i = 0; i < 100000; i++) {
        uint64_t v = extnic_rng_next(&rng) >> extnic_rng_below(&rng, 62);
        uint32_t slot = extnic_hist_slot__(v, EXTNIC_HIST_BITS,
                                           EXTNIC_HIST_N);

        CHECK(slot < EXTNIC_HIST_N);
        if (v < UINT64_C(1) << EXTNIC_HIST_OCTAVES) {
            double middle = extnic_hist_middle__(slot, EXTNIC_HIST_BITS);

            CHECK(fabs(middle - v) <= v / 64.0 + 0.5);
        }
        CHECK(extnic_whist_slot(v) < EXTNIC_WHIST_N);
    }

    /* Uniform values: quantiles are known. */
    for (uint64_t v = 1; v <= 100000; v++) {
        extnic_hist_add(&hist, v);
    }
    CHECK(fabs(extnic_hist_quantile(&hist, 0.5) - 50000) < 50000 / 60.0);
    CHECK(fabs(extnic_hist_quantile(&hist, 0.99) - 99000) < 99000 / 60.0);
    CHECK(extnic_hist_quantile(&hist, 1) > 98000);
}

static void
test_order(void)
{
    struct extnic_order o = { .epoch = 0 };

    CHECK(extnic_order_check(&o, 1, 4294967290u) == EXTNIC_IN_ORDER);
    for (uint32_t i = 0; i < 10; i++) {     /* Across the wrap. */
        CHECK(extnic_order_check(&o, 1, 4294967291u + i) == EXTNIC_IN_ORDER);
    }
    CHECK(extnic_order_check(&o, 1, 4) == EXTNIC_DUPLICATED);
    CHECK(extnic_order_check(&o, 1, 8) == EXTNIC_IN_ORDER);
    CHECK(extnic_order_check(&o, 1, 6) == EXTNIC_REORDERED);
    CHECK(extnic_order_check(&o, 1, 6) == EXTNIC_DUPLICATED);
    CHECK(extnic_order_check(&o, 1, 8) == EXTNIC_DUPLICATED);
    CHECK(extnic_order_check(&o, 1, 1000) == EXTNIC_IN_ORDER);
    CHECK(extnic_order_check(&o, 1, 936) == EXTNIC_REORDERED);
    CHECK(extnic_order_check(&o, 1, 937) == EXTNIC_REORDERED);
    CHECK(extnic_order_check(&o, 1, 937) == EXTNIC_DUPLICATED);
    CHECK(extnic_order_check(&o, 2, 5) == EXTNIC_IN_ORDER);
    CHECK(extnic_order_check(&o, 2, 4) == EXTNIC_REORDERED);
}

/* Vectors of Microsoft's "Verifying the RSS Hash Calculation". */
static void
test_rss(void)
{
    uint8_t frame[60] = { [12] = 0x08, [14] = 0x45, [23] = 6 };
    static const uint8_t addresses[8] = { 66, 9, 149, 187, 161, 142, 100, 80 };
    const uint8_t *key = extnic_rss_default_key;

    memcpy(frame + 26, addresses, sizeof addresses);
    frame[34] = 2794 >> 8;
    frame[35] = 2794 & 255;
    frame[36] = 1766 >> 8;
    frame[37] = 1766 & 255;
    CHECK(extnic_rss_hash(frame, 60, key, true, true) == 0x51ccc178);
    CHECK(extnic_rss_hash(frame, 60, key, false, true) == 0x323e8fc2);
    CHECK(extnic_rss_hash(frame, 20, key, true, true) == 0);
    frame[20] = 0x20;           /* More fragments: ports do not count. */
    CHECK(extnic_rss_hash(frame, 60, key, true, true) == 0x323e8fc2);
}

static void
check_bad(const char *text, const char *expected)
{
    struct extnic_args args;
    char error[512];

    CHECK(!extnic_args_parse(text, &args, error, sizeof error));
    if (!strstr(error, expected)) {
        fprintf(stderr, "'%s' gave '%s'\n", text, error);
        abort();
    }
}

static void
test_args(void)
{
    struct extnic_args args;
    char error[512];

    CHECK(extnic_args_parse("role=sink,stat=/a", &args, error, sizeof error));
    CHECK(args.role == EXTNIC_SINK && args.reta == 128 && args.rate == 1);
    CHECK(extnic_args_parse("stat=/a,rate=4.5,seed=18446744073709,size=imix",
                            &args, error, sizeof error));
    CHECK(args.rate == 4.5 && args.seed == 18446744073709 && !args.size);
    check_bad("", "stat=FILE is missing");
    check_bad(NULL, "stat=FILE is missing");
    check_bad("stat=/a,bogus=1", "bogus=1: unknown key");
    check_bad("stat=/a,rate=fast", "rate=fast");
    check_bad("stat=/a,rate=nan", "rate=nan");
    check_bad("stat=/a,rate=-1", "rate=-1");
    check_bad("stat=/a,reta=100", "reta=100");
    check_bad("stat=/a,flows=1.5", "flows=1.5");
    check_bad("stat=/a,size=59", "size=59");
    check_bad("stat=/a,watch=61", "watch=61");
    check_bad("stat=/a,scenario=skew101", "scenario=skew101");
    check_bad("stat=/a,scenario=captures", "pcap=FILE");
    check_bad("stat=/a,pcap=/x", "pcap=/x");
    check_bad("stat=/a,role", "role: not of the form");
    check_bad("stat=,rate=1", "stat=");
}

static int
show_pcap(const char *path)
{
    struct extnic_args args;
    char text[512], error[1200];

    snprintf(text, sizeof text, "stat=/x,scenario=captures,pcap=%s", path);
    if (!extnic_args_parse(text, &args, error, sizeof error)) {
        printf("%s\n", error);
        return 1;
    }
    struct extnic_traffic *t = extnic_traffic_create(
        &args, extnic_rss_default_hash, error, sizeof error);
    if (!t) {
        printf("%s\n", error);
        return 1;
    }
    printf("%u flows, %u templates\n", t->n_flows, t->n_templates);
    extnic_traffic_destroy(t);
    return 0;
}

static int
show_args(const char *text)
{
    struct extnic_args args;
    char error[1200];

    if (!extnic_args_parse(text, &args, error, sizeof error)) {
        printf("%s\n", error);
        return 1;
    }
    printf("ok\n");
    return 0;
}

int
main(int argc, char *argv[])
{
    if (argc == 3 && !strcmp(argv[1], "pcap")) {
        return show_pcap(argv[2]);
    } else if (argc == 3 && !strcmp(argv[1], "args")) {
        return show_args(argv[2]);
    }
    test_args();
    printf("ok args\n");
    test_rss();
    printf("ok rss\n");
    test_histogram();
    printf("ok histogram\n");
    test_order();
    printf("ok order\n");
    test_skew();
    printf("ok skew\n");
    test_elephants();
    printf("ok elephants\n");
    test_phases();
    printf("ok phases\n");
    test_sequence("scenario=skew90");
    test_sequence("scenario=bursts,poisson=1");
    test_sequence("scenario=zipf,zipf=1.1");
    test_sequence("scenario=flow-model,seqlen=100000");
    printf("ok sequence\n");
    test_flow_model();
    printf("ok flow-model\n");
    return 0;
}
