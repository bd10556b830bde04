/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Scenarios, recorded traffic, threads and the progress bar of
 * ovs-ext-train(1). */

#include <config.h>
#include "utilities/ovs-ext-train.h"

#include <errno.h>
#include <pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "openvswitch/util.h"
#include "ovs-atomic.h"
#include "ovs-thread.h"
#include "util.h"

#define MAX_PACKETS 2000000

/* Recorded traffic. */

static struct trace *
traces_add(struct traces *t, const char *path)
{
    const char *slash = strrchr(path, '/');

    t->traces = xrealloc(t->traces, (t->n + 1) * sizeof *t->traces);
    t->traces[t->n] = (struct trace) {
        .name = xstrdup(slash ? slash + 1 : path),
    };
    return &t->traces[t->n++];
}

void
traces_destroy(struct traces *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->traces[i].name);
        free(t->traces[i].packets);
        free(t->traces[i].pps);
    }
    free(t->traces);
}

/* Returns a hash of the 5-tuple of the IP packet in 'p', 0 if it is none. */
static uint32_t
hash_ip(const uint8_t *p, size_t n)
{
    size_t l4;
    uint8_t proto;
    uint32_t hash;

    if (n >= 20 && p[0] >> 4 == 4) {
        l4 = (p[0] & 15) * 4;
        proto = p[9];
        hash = hash_bytes(p + 12, 8, proto);
        if ((p[6] & 0x1f) || p[7]) {
            return hash | 1;            /* Later fragment: no ports. */
        }
    } else if (n >= 40 && p[0] >> 4 == 6) {
        l4 = 40;
        proto = p[6];
        hash = hash_bytes(p + 8, 32, proto);
    } else {
        return 0;
    }
    if ((proto == 6 || proto == 17 || proto == 132) && n >= l4 + 4) {
        hash = hash_bytes(p + l4, 4, hash);
    }
    return hash | 1;
}

static uint32_t
hash_packet(const uint8_t *p, size_t n, int linktype)
{
    size_t at;
    uint16_t type;

    switch (linktype) {
    case DLT_EN10MB:
        at = 12;
        break;
    case DLT_LINUX_SLL:
        at = 14;
        break;
    case DLT_NULL:
        return n > 4 ? hash_ip(p + 4, n - 4) : 0;
    case DLT_RAW:
        return hash_ip(p, n);
    default:
        return n ? hash_bytes(p, MIN(n, 40), 0) | 1 : 0;
    }
    for (int tags = 0; tags < 3; tags++) {
        if (n < at + 2) {
            return 0;
        }
        type = p[at] << 8 | p[at + 1];
        at += 2;
        if (type != 0x8100 && type != 0x88a8) {
            break;
        }
        at += 2;
    }
    return n > at ? hash_ip(p + at, n - at) : 0;
}

void
traces_add_pcap(struct traces *ts, const char *path)
{
    char errbuf[PCAP_ERRBUF_SIZE];
    struct pcap_pkthdr *header;
    const u_char *data;
    size_t alloc = 0;
    int retval;

    pcap_t *pcap = pcap_open_offline(path, errbuf);
    if (!pcap) {
        ovs_fatal(0, "%s: cannot read capture (%s)", path, errbuf);
    }

    struct trace *t = traces_add(ts, path);
    int linktype = pcap_datalink(pcap);
    double t0 = 0;
    while ((retval = pcap_next_ex(pcap, &header, &data)) == 1
           && t->n_packets < MAX_PACKETS) {
        double ts_s = header->ts.tv_sec + header->ts.tv_usec * 1e-6;
        uint32_t hash = hash_packet(data, header->caplen, linktype);

        if (!hash) {
            continue;
        }
        if (t->n_packets >= alloc) {
            alloc = alloc ? 2 * alloc : 1024;
            t->packets = xrealloc(t->packets, alloc * sizeof *t->packets);
        }
        if (!t->n_packets) {
            t0 = ts_s;
        }
        t->packets[t->n_packets++] = (struct sim_packet) { ts_s - t0, hash };
    }
    if (retval == -1) {
        ovs_error(0, "%s: %s; using what precedes it", path,
                  pcap_geterr(pcap));
    }
    pcap_close(pcap);
    if (!t->n_packets) {
        ovs_fatal(0, "%s: capture contains no IP packets", path);
    }
}

/* Adds the offered rates of 'r' (what its core missed included) as one more
 * tick of 't'. */
static void
trace_add_record(struct trace *t, const struct steer_record *r)
{
    const struct steer_state *st = &r->state;
    float *row;

    t->pps = xrealloc(t->pps, (t->n_ticks + 1) * t->n_buckets
                              * sizeof *t->pps);
    row = t->pps + t->n_ticks++ * t->n_buckets;
    for (size_t i = 0; i < t->n_buckets; i++) {
        const struct steer_bucket *b = &st->buckets[i];
        double scale = 1;

        if (b->core < st->n_cores && st->cores[b->core].pps > 0) {
            const struct steer_core *c = &st->cores[b->core];

            scale = 1 + c->drops_pps / c->pps;
        }
        row[i] = b->pps * scale;
    }
}

void
traces_add_dump(struct traces *ts, const char *path)
{
    char *line = NULL;
    size_t alloc = 0, n_lines = 0;

    FILE *f = fopen(path, "r");
    if (!f) {
        ovs_fatal(errno, "%s: cannot open decisions log", path);
    }

    struct trace *t = traces_add(ts, path);
    while (getline(&line, &alloc, f) > 0) {
        struct steer_record r;
        char *error = steer_dump_parse(line, &r);

        n_lines++;
        if (error) {
            ovs_fatal(0, "%s:%"PRIuSIZE": %s", path, n_lines, error);
        }
        if (!t->n_ticks) {
            t->n_buckets = r.state.n_buckets;
        }
        if (!r.state.n_buckets || r.state.n_buckets != t->n_buckets) {
            ovs_fatal(0, "%s:%"PRIuSIZE": number of buckets is %"PRIuSIZE
                      ", but was %"PRIuSIZE, path, n_lines,
                      r.state.n_buckets, t->n_buckets);
        }
        trace_add_record(t, &r);
        steer_record_uninit(&r);
    }
    free(line);
    fclose(f);
    if (!t->n_ticks) {
        ovs_fatal(0, "%s: decisions log is empty", path);
    }
}

/* Reads a number from 'min' to 'max'.  Returns false if there is none. */
static bool
read_number(FILE *f, double min, double max, double *x)
{
    return fscanf(f, "%lf", x) == 1 && *x >= min && *x <= max;
}

/* A table of rates, as "ovs-ext-nic rates" prints it. */
void
traces_add_rates(struct traces *ts, const char *path)
{
    double version, step_s, n_buckets, x;
    size_t n = 0, alloc = 0;
    char word[16] = "";

    FILE *f = fopen(path, "r");
    if (!f) {
        ovs_fatal(errno, "%s: cannot open table of rates", path);
    }
    if (fscanf(f, "%15s", word) != 1 || strcmp(word, "ovs-ext-rates")
        || !read_number(f, 1, 1, &version)
        || !read_number(f, 1e-5, 10, &step_s)
        || !read_number(f, 1, 65536, &n_buckets)) {
        ovs_fatal(0, "%s: does not begin as a table of rates", path);
    }

    struct trace *t = traces_add(ts, path);
    t->step_s = step_s;
    t->n_buckets = n_buckets;
    while (read_number(f, 0, 1e12, &x)) {
        if (n >= alloc) {
            alloc = alloc ? 2 * alloc : 4096;
            t->pps = xrealloc(t->pps, alloc * sizeof *t->pps);
        }
        t->pps[n++] = x;
        t->mean_pps += x;
    }
    t->n_ticks = n / t->n_buckets;
    if (!feof(f) || !n || n % t->n_buckets) {
        ovs_fatal(0, "%s: row %"PRIuSIZE" is not %"PRIuSIZE" rates", path,
                  t->n_ticks + 1, t->n_buckets);
    }
    t->mean_pps /= t->n_ticks;
    fclose(f);
}

/* Scenarios. */

const char *
scenario_name(const struct scenario *s)
{
    return s->family ? s->family->name : s->trace->name;
}

void
scenario_run(const struct scenario *s, struct steer_policy *policy,
             const struct steer_weights *w, struct sim_result *result)
{
    struct sim_params sim = s->sim;
    struct sim_traffic *t;

    if (s->trace && s->trace->step_s > 0) {
        sim.traffic_s = MIN(s->trace->step_s, sim.tick_s);
        sim.idle_load = 0.05;   /* As the daemon's agent. */
    }
    struct sim_traffic_params tp = {
        .n_cores = sim.n_cores, .n_buckets = sim.n_buckets,
        .core_pps = sim_core_pps(&sim), .load = sim.load,
        .tick_s = sim.traffic_s > 0 ? sim.traffic_s : sim.tick_s,
        .duration_s = sim.duration_s, .seed = sim.seed,
        .absolute = sim.traffic_s > 0,
        .bucket_flows = sim.trace_flows / sim.n_buckets,
    };

    if (s->family) {
        t = sim_traffic_create(s->family, &tp);
    } else if (s->trace->packets) {
        t = sim_traffic_replay(s->trace->packets, s->trace->n_packets, 2.0,
                               &tp);
    } else {
        t = sim_traffic_trace(s->trace->pps, s->trace->n_ticks,
                              s->trace->n_buckets, &tp);
    }
    sim_run(&sim, t, policy, w, TRAIN_MAX_MOVES, NULL, result);
}

/* Threads. */

struct parallel {
    atomic_count next;
    size_t n;
    void (*cb)(void *aux, size_t i);
    void *aux;
};

static void *
parallel_main(void *p_)
{
    struct parallel *p = p_;
    unsigned int i;

    while ((i = atomic_count_inc(&p->next)) < p->n) {
        p->cb(p->aux, i);
    }
    return NULL;
}

void
parallel_for(size_t n, size_t n_threads, void (*cb)(void *aux, size_t i),
             void *aux)
{
    struct parallel p = { .n = n, .cb = cb, .aux = aux };
    pthread_t *threads = xcalloc(n_threads, sizeof *threads);

    atomic_count_init(&p.next, 0);
    n_threads = MIN(n_threads, n);
    for (size_t i = 1; i < n_threads; i++) {
        threads[i] = ovs_thread_create("train", parallel_main, &p);
    }
    parallel_main(&p);
    for (size_t i = 1; i < n_threads; i++) {
        xpthread_join(threads[i], NULL);
    }
    free(threads);
}

void
progress(const char *what, size_t done, size_t total, const char *note)
{
    int width = 30, full = total ? done * width / total : width;

    fprintf(stderr, "\r%s [%.*s%*s] %"PRIuSIZE"/%"PRIuSIZE" %s\033[K%s",
            what, full, "##############################", width - full, "",
            done, total, note, done == total ? "\n" : "");
    fflush(stderr);
}
