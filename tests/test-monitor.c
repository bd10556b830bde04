/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Unit tests of the resource registry and the PCI scan.  Time is made up. */

#include <config.h>

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datapath-hooks/monitor/monitor-impl.h"
#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/monitor/hrm-registry.h"
#include "tests/test-steering-util.h"
#include "timeval.h"

#define STEP 100                /* ms */

/* A registry with one resource, of which each test tells one story. */
struct lab {
    struct hrm_registry *r;
    struct hrm_sample s;
    struct hrm_resource res;    /* As of the last round. */
    long long int now;
    size_t n;                   /* Resources. */
};

static void
lab_look(struct lab *lab)
{
    struct hrm_resource *all;

    hrm_registry_snapshot(lab->r, &all, &lab->n);
    if (lab->n) {
        lab->res = all[0];
    }
    free(all);
}

/* A round with, or without, a sample, 'dt' ms after the one before. */
static void
lab_round(struct lab *lab, bool sample, long long int dt)
{
    lab->now += dt;
    hrm_registry_begin(lab->r, lab->now);
    if (sample) {
        hrm_registry_put(lab->r, &lab->s);
    }
    hrm_registry_end(lab->r);
    lab_look(lab);
}

static void
lab_init(struct lab *lab, enum hrm_kind kind)
{
    memset(lab, 0, sizeof *lab);
    lab->r = hrm_registry_create(16);
    lab->now = 1000000;
    hrm_sample_init(&lab->s, kind, "packets/s", "%d", 0);
    lab_round(lab, true, STEP);
    CHECK_EQ(lab->res.state, HRM_AVAILABLE);
}

/* 'n' rounds in which the resource does 'done' units of work, fails at
 * 'failed' and takes 'latency' us for each. */
static void
lab_work(struct lab *lab, int n, int done, int failed, double latency)
{
    for (int i = 0; i < n; i++) {
        lab->s.answer = HRM_ANSWER;
        lab->s.done += done;
        lab->s.failed += failed;
        lab->s.latency_us = latency;
        lab_round(lab, true, STEP);
    }
}

static void
lab_fail(struct lab *lab, int n)
{
    for (int i = 0; i < n; i++) {
        lab->s.answer = HRM_NO_ANSWER;
        lab->s.why = "test";
        lab_round(lab, true, STEP);
    }
}

static void
lab_done(struct lab *lab)
{
    hrm_registry_destroy(lab->r);
}

static void
test_names(void)
{
    struct hrm_resource r;
    enum hrm_state state;
    enum hrm_kind kind;

    for (int i = 0; i < HRM_N_KINDS; i++) {
        CHECK(hrm_kind_from_string(hrm_kind_to_string(i), &kind));
        CHECK_EQ(kind, i);
        CHECK(hrm_kind_prefix(i));
    }
    for (int i = 0; i < HRM_N_STATES; i++) {
        CHECK(hrm_state_from_string(hrm_state_to_string(i), &state));
        CHECK_EQ(state, i);
    }
    CHECK(!hrm_kind_from_string("", &kind));
    CHECK(!hrm_state_from_string("gone", &state));
    CHECK(!hrm_kind_to_string(HRM_N_KINDS));
    CHECK(!hrm_state_to_string(HRM_N_STATES));

    memset(&r, 0, sizeof r);
    for (int i = 0; i < HRM_MAX_ATTRS; i++) {
        char key[8];

        snprintf(key, sizeof key, "k%d", i);
        CHECK(hrm_resource_set_attr(&r, key, "old"));
        CHECK(hrm_resource_set_attr(&r, key, key));
    }
    CHECK(!hrm_resource_set_attr(&r, "more", "1"));
    CHECK(!strcmp(hrm_resource_get_attr(&r, "k3"), "k3"));
    CHECK(!hrm_resource_get_attr(&r, "k"));
}

/* Rates, utilization, latency and errors of constant work are right. */
static void
test_rates(void)
{
    struct lab lab;

    lab_init(&lab, HRM_PMD_CORE);
    lab.s.cycles_us = 1000;
    lab.s.busy = lab.s.total = 1;
    lab_round(&lab, true, STEP);
    for (int i = 0; i < 100; i++) {
        lab.s.done += 10000;
        lab.s.failed += 10;
        lab.s.busy += 30000000;
        lab.s.total += 100000000;
        lab_round(&lab, true, STEP);
    }
    CHECK(fabs(lab.res.m.throughput - 100000) < 1);
    CHECK(fabs(lab.res.m.utilization - 0.3) < 1e-3);
    CHECK(fabs(lab.res.m.forecast_utilization - 0.3) < 0.01);
    CHECK(fabs(lab.res.m.latency_us - 3) < 1e-3);
    CHECK(fabs(lab.res.m.error_rate - 10.0 / 10010) < 1e-5);
    CHECK(fabs(lab.res.capacity - 100000 / 0.3) < 1);

    /* A counter that starts anew is no burst of work. */
    lab.s.done = lab.s.failed = lab.s.busy = lab.s.total = 5;
    lab_round(&lab, true, STEP);
    CHECK(lab.res.m.throughput <= 100000);
    CHECK(lab.res.m.utilization <= 0.3);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    lab_done(&lab);
}

/* By Little's law: what waits over the rate at which it is done. */
static void
test_waiting(void)
{
    struct lab lab;

    lab_init(&lab, HRM_NIC_QUEUE);
    lab.s.counts_waiting = true;
    lab.s.waiting = 50;
    lab_work(&lab, 50, 10000, 0, 0);
    CHECK(fabs(lab.res.m.latency_us - 500) < 1);
    lab.s.waiting = 0;
    lab_work(&lab, 50, 10000, 0, 0);
    CHECK(lab.res.m.latency_us < 1);
    lab.s.waiting = 2000;
    lab_work(&lab, 20, 10000, 0, 0);
    CHECK(fabs(lab.res.m.latency_us - 20000) < 500);
    CHECK_EQ(lab.res.state, HRM_DEGRADED);
    lab_done(&lab);
}

/* A load that grows is expected to grow. */
static void
test_forecast(void)
{
    struct lab lab;

    lab_init(&lab, HRM_NIC_QUEUE);
    for (int i = 0; i < 50; i++) {
        lab.s.fill = 0.1 + 0.01 * i;
        lab.s.done++;
        lab_round(&lab, true, STEP);
    }
    CHECK(lab.res.m.forecast_utilization > lab.res.m.utilization + 0.03);
    CHECK(lab.res.m.forecast_utilization <= 1);
    lab_done(&lab);
}

/* Two samples without answer, by each way not to answer. */
static void
test_two_samples(void)
{
    struct lab lab;

    lab_init(&lab, HRM_CRYPTO);
    lab_fail(&lab, 1);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    lab_fail(&lab, 1);
    CHECK_EQ(lab.res.state, HRM_UNAVAILABLE);
    CHECK(!strcmp(lab.res.reason, "2 samples without answer: test"));
    CHECK_EQ(lab.res.since, lab.now);
    lab_done(&lab);

    /* One alone is nothing. */
    lab_init(&lab, HRM_CRYPTO);
    for (int i = 0; i < 10; i++) {
        lab_fail(&lab, 1);
        lab_work(&lab, 1, 1, 0, 0);
        CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    }
    lab_done(&lab);

    /* Work waits and none is done, though some fails. */
    lab_init(&lab, HRM_NIC_QUEUE);
    lab_work(&lab, 5, 10, 0, 0);
    lab.s.queued = true;
    lab_work(&lab, 5, 10, 0, 0);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    lab_work(&lab, 1, 0, 5, 0);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    lab_work(&lab, 1, 0, 5, 0);
    CHECK_EQ(lab.res.state, HRM_UNAVAILABLE);
    CHECK(lab.res.m.throughput == 0);

    /* Without work it is idle. */
    lab.s.queued = false;
    lab_work(&lab, HRM_UP_SAMPLES, 0, 0, 0);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    lab_done(&lab);

    /* Gone. */
    lab_init(&lab, HRM_PORT);
    lab_round(&lab, false, STEP);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    lab_round(&lab, false, STEP);
    CHECK_EQ(lab.res.state, HRM_UNAVAILABLE);
    CHECK(strstr(lab.res.reason, "gone"));
    lab_done(&lab);

    /* What says that it is down is so at once. */
    lab_init(&lab, HRM_PORT);
    lab.s.answer = HRM_DOWN;
    lab.s.why = "link is down";
    lab_round(&lab, true, STEP);
    CHECK_EQ(lab.res.state, HRM_UNAVAILABLE);
    CHECK(!strcmp(lab.res.reason, "link is down"));
    lab_done(&lab);
}

/* Each outage soon after another takes twice as long to get over. */
static void
test_flap(void)
{
    int last = 0, rounds[8];
    struct lab lab;

    lab_init(&lab, HRM_PORT);
    for (int i = 0; i < 8; i++) {
        lab_fail(&lab, HRM_DOWN_SAMPLES);
        CHECK_EQ(lab.res.state, HRM_UNAVAILABLE);
        rounds[i] = 0;
        while (lab.res.state == HRM_UNAVAILABLE) {
            lab_work(&lab, 1, 1, 0, 0);
            rounds[i]++;
            CHECK(rounds[i] <= HRM_UP_SAMPLES_MAX);
        }
        CHECK(rounds[i] >= last);
        last = rounds[i];
    }
    CHECK_EQ(rounds[0], HRM_UP_SAMPLES);
    CHECK(rounds[3] >= 3 * HRM_UP_SAMPLES);
    CHECK(last >= 4 * HRM_UP_SAMPLES);

    /* Forgiven after a minute of good behaviour. */
    lab_work(&lab, 600, 1, 0, 0);
    lab_fail(&lab, HRM_DOWN_SAMPLES);
    lab_work(&lab, HRM_UP_SAMPLES, 1, 0, 0);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    lab_done(&lab);

    /* A resource that answers every other sample group changes its state far
     * less often than it flaps. */
    lab_init(&lab, HRM_PORT);
    for (int i = 0; i < 300; i++) {
        lab_fail(&lab, 3);
        lab_work(&lab, 3, 1, 0, 0);
    }
    CHECK(hrm_registry_stats(lab.r)->transitions <= 10);
    CHECK_EQ(lab.res.state, HRM_UNAVAILABLE);
    lab_done(&lab);
}

/* Degraded by errors and by latency, with hysteresis. */
static void
test_degraded(void)
{
    struct lab lab;

    lab_init(&lab, HRM_CRYPTO);
    lab_work(&lab, 50, 1000, 0, 0);
    lab_work(&lab, HRM_BAD_SAMPLES + 2, 1000, 100, 0);
    CHECK_EQ(lab.res.state, HRM_DEGRADED);
    CHECK(strstr(lab.res.reason, "of its work fails"));
    lab_work(&lab, 100, 1000, 5, 0);
    CHECK_EQ(lab.res.state, HRM_DEGRADED);
    lab_work(&lab, 40, 1000, 0, 0);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    CHECK(!lab.res.reason[0]);
    lab_work(&lab, 100, 1000, 5, 0);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    lab_done(&lab);

    lab_init(&lab, HRM_CRYPTO);
    lab_work(&lab, 50, 1000, 0, 40);
    lab_work(&lab, 20, 1000, 0, 90);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);     /* Twice is usual. */
    lab_work(&lab, 10, 1000, 0, 1000);
    CHECK_EQ(lab.res.state, HRM_DEGRADED);
    CHECK(strstr(lab.res.reason, "latency"));
    /* It does not get used to being slow. */
    lab_work(&lab, 3000, 1000, 0, 1000);
    CHECK_EQ(lab.res.state, HRM_DEGRADED);
    lab_work(&lab, 50, 1000, 0, 40);
    CHECK_EQ(lab.res.state, HRM_AVAILABLE);
    lab_done(&lab);

    /* From degraded to unavailable takes no longer. */
    lab_init(&lab, HRM_CRYPTO);
    lab_work(&lab, 50, 1000, 500, 0);
    CHECK_EQ(lab.res.state, HRM_DEGRADED);
    lab_fail(&lab, HRM_DOWN_SAMPLES);
    CHECK_EQ(lab.res.state, HRM_UNAVAILABLE);
    lab_done(&lab);
}

/* Clocks that stand still, go back or jump by years change no state and make
 * no nonsense of rates. */
static void
test_clock(void)
{
    static const long long int jumps[] = {
        0, -1, -STEP, -1000000, 1, 86400000, 100000000000, -100000000000,
    };

    for (size_t i = 0; i < ARRAY_SIZE(jumps); i++) {
        struct lab lab;

        lab_init(&lab, HRM_NIC_QUEUE);
        lab.s.fill = 0.5;
        lab_work(&lab, 100, 1000, 0, 10);
        lab.s.done += 1000;
        lab_round(&lab, true, jumps[i]);
        CHECK_EQ(lab.res.state, HRM_AVAILABLE);
        CHECK(isfinite(lab.res.m.throughput) && lab.res.m.throughput >= 0);
        lab_work(&lab, 50, 1000, 0, 10);
        CHECK_EQ(lab.res.state, HRM_AVAILABLE);
        CHECK_EQ(lab.n, 1);
        CHECK(fabs(lab.res.m.throughput - 10000) < 100);
        CHECK(fabs(lab.res.m.utilization - 0.5) < 0.01);
        lab_fail(&lab, HRM_DOWN_SAMPLES);
        CHECK_EQ(lab.res.state, HRM_UNAVAILABLE);
        lab_done(&lab);
    }

    /* One that is gone while the clock goes back is forgotten still. */
    struct lab lab;

    lab_init(&lab, HRM_NIC_QUEUE);
    lab_round(&lab, false, STEP);
    lab_round(&lab, false, -5000000);
    for (int i = 0; i < HRM_FORGET_MS / STEP; i++) {
        lab_round(&lab, false, STEP);
    }
    CHECK_EQ(lab.n, 0);
    lab_done(&lab);
}

/* What is gone is forgotten, what is too much refused. */
static void
test_bounded(void)
{
    struct hrm_registry *r = hrm_registry_create(16);
    long long int now = 5;

    for (int i = 0; i < 2000; i++) {
        hrm_registry_begin(r, now += STEP);
        for (int j = 0; j < 8; j++) {
            struct hrm_sample s;

            hrm_sample_init(&s, HRM_DMA, "copies/s", "%d", i * 8 + j);
            hrm_registry_put(r, &s);
        }
        hrm_registry_end(r);
        CHECK(hrm_registry_count(r) <= 16);
    }
    CHECK(hrm_registry_stats(r)->refused > 1000);
    for (int i = 0; i <= HRM_FORGET_MS / STEP; i++) {
        hrm_registry_begin(r, now += STEP);
        hrm_registry_end(r);
    }
    CHECK_EQ(hrm_registry_count(r), 0);
    hrm_registry_destroy(r);

    /* Names that are too long are cut and stay apart from none. */
    struct lab lab;

    lab_init(&lab, HRM_NIC_QUEUE);
    hrm_sample_init(&lab.s, HRM_NIC_QUEUE, "packets/s", "%0100d", 1);
    CHECK_EQ(strlen(lab.s.name), HRM_NAME_LEN - 1);
    lab_round(&lab, true, STEP);
    CHECK_EQ(lab.n, 2);
    lab_done(&lab);
}

/* The order of resources does not depend on that of samples. */
static void
test_order(void)
{
    static const char *const expected[] = {
        "pmd/0", "pmd/2", "pmd/10", "rxq/a/0", "rxq/a/1", "rxq/b/0",
        "crypto/x", "pci/0000:00:01.0",
    };
    struct hrm_registry *r = hrm_registry_create(16);
    struct hrm_resource *all;
    struct hrm_sample s[8];
    size_t n;

    hrm_sample_init(&s[0], HRM_PCI, "functions", "0000:00:01.0");
    s[0].answer = HRM_NOT_OURS;
    hrm_sample_init(&s[1], HRM_NIC_QUEUE, "packets/s", "b/0");
    hrm_sample_init(&s[2], HRM_NIC_QUEUE, "packets/s", "a/1");
    hrm_sample_init(&s[3], HRM_PMD_CORE, "packets/s", "10");
    hrm_sample_init(&s[4], HRM_CRYPTO, "ops/s", "x");
    hrm_sample_init(&s[5], HRM_PMD_CORE, "packets/s", "2");
    hrm_sample_init(&s[6], HRM_NIC_QUEUE, "packets/s", "a/0");
    hrm_sample_init(&s[7], HRM_PMD_CORE, "packets/s", "0");
    hrm_sample_attr(&s[7], "rxqs", "%d", 3);
    hrm_registry_begin(r, 1);
    for (int i = 0; i < 8; i++) {
        hrm_registry_put(r, &s[i]);
        hrm_registry_put(r, &s[i]);     /* Twice is once. */
    }
    hrm_registry_end(r);
    hrm_registry_snapshot(r, &all, &n);
    CHECK_EQ(n, 8);
    for (int i = 0; i < 8; i++) {
        CHECK(!strcmp(all[i].name, expected[i]));
    }
    CHECK(!strcmp(hrm_resource_get_attr(&all[0], "rxqs"), "3"));
    CHECK_EQ(all[7].state, HRM_UNMANAGED);
    free(all);
    hrm_registry_destroy(r);
}

/* Whatever probes say in whatever order, values stay in their ranges. */
static void
test_random(void)
{
    struct ext_rng rng;
    struct lab lab;

    ext_rng_init(&rng, 3);
    lab_init(&lab, HRM_CRYPTO);
    for (int i = 0; i < 100000; i++) {
        struct hrm_sample *s = &lab.s;

        s->answer = ext_rng_range(&rng, 4);
        s->queued = ext_rng_range(&rng, 2);
        s->done = ext_rng_next(&rng) >> ext_rng_range(&rng, 64);
        s->failed = ext_rng_next(&rng) >> ext_rng_range(&rng, 64);
        s->busy = ext_rng_next(&rng) >> ext_rng_range(&rng, 64);
        s->total = (ext_rng_range(&rng, 2)
                    ? ext_rng_next(&rng) >> ext_rng_range(&rng, 64) : 0);
        s->fill = ext_rng_normal(&rng);
        s->cycles_us = ext_rng_range(&rng, 2) * 1000;
        s->latency_us = (ext_rng_range(&rng, 9) ? ext_rng_normal(&rng) * 1000
                         : ext_rng_range(&rng, 2) ? NAN : INFINITY);
        lab_round(&lab, ext_rng_range(&rng, 20),
                  (long long int) ext_rng_range(&rng, 300) - 20);
        if (lab.n) {
            const struct hrm_metrics *m = &lab.res.m;

            CHECK(m->utilization >= 0 && m->utilization <= 1);
            CHECK(m->forecast_utilization >= 0
                  && m->forecast_utilization <= 1);
            CHECK(m->error_rate >= 0 && m->error_rate <= 1);
            CHECK(isfinite(m->latency_us) && m->latency_us >= 0);
            CHECK(isfinite(m->throughput) && m->throughput >= 0);
            CHECK(isfinite(lab.res.capacity) && lab.res.capacity >= 0);
            CHECK(lab.res.state < HRM_N_STATES);
            CHECK(memchr(lab.res.reason, 0, sizeof lab.res.reason));
        }
    }
    lab_done(&lab);
}

/* PCI functions of a made-up sysfs. */

struct hrm_sample *
monitor_samples_add(struct monitor_samples *all)
{
    if (all->n >= all->allocated) {
        all->s = x2nrealloc(all->s, &all->allocated, sizeof *all->s);
    }
    return &all->s[all->n++];
}

static void
put_attr(const char *address, const char *attr, const char *value)
{
    char *dir = xasprintf("sysfs.tmp/bus/pci/devices/%s", address);
    char *name = xasprintf("%s/%s", dir, attr);
    FILE *f;

    mkdir("sysfs.tmp", 0755);
    mkdir("sysfs.tmp/bus", 0755);
    mkdir("sysfs.tmp/bus/pci", 0755);
    mkdir("sysfs.tmp/bus/pci/devices", 0755);
    mkdir(dir, 0755);
    f = fopen(name, "w");
    CHECK(f);
    fputs(value, f);
    CHECK(!fclose(f));
    free(dir);
    free(name);
}

static bool
is_0003(const char *address)
{
    return !strcmp(address, "0000:00:03.0");
}

static const struct hrm_sample *
find_sample(const struct monitor_samples *all, const char *name)
{
    for (size_t i = 0; i < all->n; i++) {
        if (!strcmp(all->s[i].name, name)) {
            return &all->s[i];
        }
    }
    return NULL;
}

static void
test_pci(void)
{
    struct monitor_samples all = { NULL, 0, 0 };
    struct monitor_pci *pci = monitor_pci_create("sysfs.tmp");
    const struct hrm_sample *s;

    CHECK(!system("rm -rf sysfs.tmp"));
    monitor_pci_scan(pci);      /* Nothing there. */
    monitor_pci_sample(pci, &all, NULL);
    CHECK_EQ(all.n, 0);

    put_attr("0000:00:01.0", "class", "0x120000\n");
    put_attr("0000:00:01.0", "vendor", "0x8086\n");
    put_attr("0000:00:01.0", "device", "0x0b25\n");
    put_attr("0000:00:01.0", "numa_node", "1\n");
    CHECK(!symlink("../../drivers/idxd",
                   "sysfs.tmp/bus/pci/devices/0000:00:01.0/driver"));
    put_attr("0000:00:02.0", "class", "0x030200\n");
    put_attr("0000:00:02.0", "numa_node", "-1\n");
    put_attr("0000:00:03.0", "class", "0x0b4000\n");
    put_attr("0000:00:04.0", "class", "0x020000\n");    /* A NIC. */
    put_attr("0000:00:05.0", "class", "garbage");
    put_attr("0000:00:06.0", "class", "");
    put_attr("0000:00:07.0", "class", "0x12000000000000000000000");
    put_attr("0000:00:08.0", "class", "-1");
    put_attr("a-name-longer-than-any-address-there-is", "class", "0x120000");
    monitor_pci_scan(pci);
    monitor_pci_sample(pci, &all, NULL);
    CHECK_EQ(all.n, 3);
    s = find_sample(&all, "pci/0000:00:01.0");
    CHECK(s);
    CHECK_EQ(s->kind, HRM_PCI);
    CHECK_EQ(s->answer, HRM_NOT_OURS);
    CHECK_EQ(s->numa, 1);
    CHECK_EQ(s->n_attrs, 3);
    CHECK(!strcmp(s->attrs[0].value, "accelerator"));
    CHECK(!strcmp(s->attrs[1].value, "8086:0b25"));
    CHECK(!strcmp(s->attrs[2].value, "idxd"));
    s = find_sample(&all, "pci/0000:00:02.0");
    CHECK(s);
    CHECK_EQ(s->numa, -1);
    CHECK(!strcmp(s->attrs[0].value, "display"));

    /* What a DPDK driver has is a resource of another kind. */
    all.n = 0;
    monitor_pci_sample(pci, &all, is_0003);
    CHECK_EQ(all.n, 2);
    CHECK(!find_sample(&all, "pci/0000:00:03.0"));

    /* Unplugged. */
    CHECK(!system("rm -r sysfs.tmp/bus/pci/devices/0000:00:01.0"));
    all.n = 0;
    monitor_pci_sample(pci, &all, NULL);
    CHECK_EQ(all.n, 2);
    CHECK(!system("rm -rf sysfs.tmp"));
    monitor_pci_destroy(pci);
    free(all.s);
}

/* Prints what a round of 64 resources costs, without reading devices. */
static void
test_cost(void)
{
    struct hrm_registry *r = hrm_registry_create(1024);
    struct hrm_sample s[64];
    long long int now = 0, start;
    const int n = 2000;

    for (int i = 0; i < 64; i++) {
        hrm_sample_init(&s[i], HRM_NIC_QUEUE, "packets/s", "eth%d/%d", i / 8,
                        i % 8);
        hrm_sample_attr(&s[i], "descriptors", "%d", 2048);
    }
    start = time_usec();
    for (int i = 0; i < n; i++) {
        hrm_registry_begin(r, now += STEP);
        for (int j = 0; j < 64; j++) {
            s[j].done += 1000 + i % 7 * j;
            s[j].fill = (i + j) % 100 / 100.0;
            hrm_registry_put(r, &s[j]);
        }
        hrm_registry_end(r);
    }
    printf("%d resources: %.1f us a round\n", 64,
           (double) (time_usec() - start) / n);
    CHECK_EQ(hrm_registry_count(r), 64);
    hrm_registry_destroy(r);
}

int
main(int argc, char *argv[])
{
    static const struct test tests[] = {
        { "names", test_names },
        { "rates", test_rates },
        { "waiting", test_waiting },
        { "forecast", test_forecast },
        { "two-samples", test_two_samples },
        { "flap", test_flap },
        { "degraded", test_degraded },
        { "clock", test_clock },
        { "bounded", test_bounded },
        { "order", test_order },
        { "random", test_random },
        { "pci", test_pci },
        { "cost", test_cost },
        { NULL, NULL },
    };

    return run_tests(tests, argc, argv);
}
