/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* onc-load: hosts of a database OVS_Ext that do not exist.
 *
 *     onc-load [OPTIONS] fill      inserts them with resources and profiles
 *     onc-load [OPTIONS] change    changes rows as hosts would
 *
 * Each simulated host writes one transaction a second, at a moment of its own,
 * with those of its metrics and profiles that "changed": each with probability
 * --rate.  A host that has nothing to say writes nothing.  It confirms what
 * the controller tells it (Host.applied_generation), as the agent does.
 *
 * Prints one JSON object at the end: what was written, and how long it took.
 * UUIDs are made from the numbers of host and row, so that the rows can be
 * addressed without reading them first. */

#include <config.h>

#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "jsonrpc.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "openvswitch/poll-loop.h"
#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/monitor/hrm.h"
#include "ovs-ext/profile/tp.h"
#include "stream.h"
#include "timeval.h"
#include "util.h"

/* Transactions in flight. */
#define WINDOW 32

enum what { W_HOST = 1, W_RESOURCE, W_METRICS, W_PROFILE };

struct load {
    struct jsonrpc *rpc;
    int hosts, resources, profiles;
    double rate, seconds;
    struct ext_rng rng;
    int in_flight;
    int64_t *generation;        /* Of each host, as the controller wrote it. */
    int64_t *applied;           /* As the host confirmed it. */
    uint64_t txns, rows, confirmed, errors;
};

/* The last twelve digits say which row it is; the first eight, which are what
 * Open vSwitch hashes a UUID by, are as random as those of a real one. */
static const char *
uuid_of(enum what what, int host, int i)
{
    static char s[8][64];
    static int next;
    char *p = s[next++ % 8];
    uint64_t x = (uint64_t) what << 48 | (uint64_t) host << 24 | i;
    uint32_t random = ext_splitmix64(&x);

    snprintf(p, sizeof s[0], "%08x-0000-4000-8%03x-%06x%06x", random, what,
             host, i);
    return p;
}

/* Appends the start of an operation. */
static void
put_op(struct ds *s, const char *op, const char *table)
{
    if (s->length) {
        ds_put_char(s, ',');
    }
    ds_put_format(s, "{\"op\":\"%s\",\"table\":\"%s\",", op, table);
}

static void
put_where(struct ds *s, const char *uuid)
{
    ds_put_format(s, "\"where\":[[\"_uuid\",\"==\",[\"uuid\",\"%s\"]]],",
                  uuid);
}

static void
connect_db(struct load *load, const char *remote)
{
    struct stream *stream;
    int error = stream_open_block(jsonrpc_stream_open(remote, &stream,
                                                      DSCP_DEFAULT),
                                  10000, &stream);

    if (error) {
        ovs_fatal(error, "%s", remote);
    }
    load->rpc = jsonrpc_open(stream);
}

/* A change of Host.generation by the controller. */
static void
take_update(struct load *load, const struct json *params)
{
    struct json *tables = params->array.n > 1 ? params->array.elems[1] : NULL;
    struct json *rows = tables && tables->type == JSON_OBJECT
                        ? shash_find_data(tables->object, "Host") : NULL;
    struct shash_node *node;

    if (!rows || rows->type != JSON_OBJECT) {
        return;
    }
    SHASH_FOR_EACH (node, rows->object) {
        struct json *update = node->data;
        struct json *new = shash_find_data(update->object, "new");
        struct json *generation = new ? shash_find_data(new->object,
                                                        "generation") : NULL;
        unsigned int host;

        if (generation && generation->type == JSON_INTEGER
            && strlen(node->name) == 36
            && ovs_scan(node->name + 24, "%6x", &host)
            && host < load->hosts) {
            load->generation[host] = generation->integer;
        }
    }
}

static void
take_reply(struct load *load, const struct json *result)
{
    if (result->type == JSON_ARRAY) {
        for (size_t i = 0; i < result->array.n; i++) {
            struct json *r = result->array.elems[i];

            if (r->type == JSON_OBJECT
                && shash_find_data(r->object, "error")) {
                if (!load->errors++) {
                    char *s = json_to_string(r, 0);
                    fprintf(stderr, "onc-load: %s\n", s);
                    free(s);
                }
            }
        }
    }
}

/* Handles what has come.  Returns false if nothing had. */
static bool
receive(struct load *load)
{
    struct jsonrpc_msg *msg;
    int error;

    jsonrpc_run(load->rpc);
    error = jsonrpc_get_status(load->rpc);
    if (error) {
        ovs_fatal(error, "connection to the database");
    }
    if (jsonrpc_recv(load->rpc, &msg)) {
        return false;
    }
    if (msg->type == JSONRPC_REPLY) {
        load->in_flight--;
        take_reply(load, msg->result);
    } else if (msg->type == JSONRPC_ERROR) {
        ovs_fatal(0, "the database: %s", jsonrpc_msg_to_string(msg));
    } else if (msg->type == JSONRPC_NOTIFY
               && !strcmp(msg->method, "update")) {
        take_update(load, msg->params);
    } else if (msg->type == JSONRPC_REQUEST && !strcmp(msg->method, "echo")) {
        jsonrpc_send(load->rpc, jsonrpc_create_reply(
                         json_clone(msg->params), msg->id));
    }
    jsonrpc_msg_destroy(msg);
    return true;
}

/* Waits until at most 'n' transactions are in flight. */
static void
drain(struct load *load, int n)
{
    for (;;) {
        while (receive(load)) {
            continue;
        }
        if (load->in_flight <= n) {
            return;
        }
        jsonrpc_wait(load->rpc);
        jsonrpc_recv_wait(load->rpc);
        poll_block();
    }
}

static void
request(struct load *load, const char *method, char *text)
{
    struct json *params = json_from_string(text);

    if (params->type == JSON_STRING) {
        ovs_fatal(0, "%s: %s", json_string(params), text);
    }
    free(text);
    load->in_flight++;
    jsonrpc_send(load->rpc, jsonrpc_create_request(method, params, NULL));
}

/* Sends the operations in 's', if any, and empties it. */
static void
transact(struct load *load, struct ds *s)
{
    if (s->length) {
        drain(load, WINDOW - 1);
        request(load, "transact", xasprintf("[\"OVS_Ext\",%s]", ds_cstr(s)));
        load->txns++;
        ds_clear(s);
    }
}

/* Filling. */

/* A host of the larger kind: PMD cores, queues of two NICs with a flow table
 * each, ports with accelerators, and what has no packet port. */
static void
put_resource(struct load *load, struct ds *s, int host, int i)
{
    enum hrm_kind kind = (i % 64 < 16 ? HRM_PMD_CORE
                          : i % 64 < 48 ? HRM_NIC_QUEUE
                          : i % 64 < 50 ? HRM_FLOW_TABLE
                          : i % 64 < 58 ? HRM_PORT
                          : i % 64 < 60 ? HRM_CRYPTO
                          : i % 64 < 62 ? HRM_DMA : HRM_PCI);
    bool entries = kind == HRM_FLOW_TABLE;
    double util = 0.6 * ext_rng_double(&load->rng);

    put_op(s, "insert", "Resource_Metrics");
    ds_put_format(s, "\"uuid\":\"%s\",\"row\":{\"host\":\"host-%d\","
                  "\"utilization\":%.3f,\"forecast_utilization\":%.3f,"
                  "\"latency_us\":%.1f,\"throughput\":%.0f}}",
                  uuid_of(W_METRICS, host, i), host, util, util,
                  5 + 50 * ext_rng_double(&load->rng), util * 1e7);
    put_op(s, "insert", "Resource");
    ds_put_format(s, "\"uuid\":\"%s\",\"row\":{\"host\":\"host-%d\","
                  "\"name\":\"%s/dev%d\",\"kind\":\"%s\","
                  "\"state\":\"%s\",\"numa\":%d,\"capacity\":%s,"
                  "\"unit\":\"%s\",\"metrics\":[\"uuid\",\"%s\"]%s}}",
                  uuid_of(W_RESOURCE, host, i), host, hrm_kind_prefix(kind),
                  i, hrm_kind_to_string(kind),
                  kind == HRM_PCI ? "unmanaged" : "available", i & 1,
                  entries ? "8000" : "10000000",
                  entries ? "entries" : "packets/s",
                  uuid_of(W_METRICS, host, i),
                  kind == HRM_PORT
                  ? ",\"attributes\":[\"map\",[[\"kind\",\"fpga\"]]]" : "");
}

/* The values of a profile, by which many small and few large ones come. */
static void
put_profile_values(struct load *load, struct ds *s)
{
    double pps = 1000 * ext_rng_exp(&load->rng) / (0.01
                                            + ext_rng_double(&load->rng));
    double size = 64 + 1400 * ext_rng_double(&load->rng);

    ds_put_format(s, "\"pps\":%.0f,\"bps\":%.0f,\"packet_size\":%.0f,"
                  "\"burstiness\":%.1f,\"flows\":%.0f,"
                  "\"elephant_share\":%.3f}}", pps, 8 * pps * size, size,
                  5 * ext_rng_exp(&load->rng), 1 + pps / 1000,
                  ext_rng_double(&load->rng));
}

static void
fill(struct load *load)
{
    struct ds s = DS_EMPTY_INITIALIZER;

    for (int h = 0; h < load->hosts; h++) {
        put_op(&s, "insert", "Host");
        ds_put_format(&s, "\"uuid\":\"%s\",\"row\":{\"name\":\"host-%d\"}}",
                      uuid_of(W_HOST, h, 0), h);
        for (int i = 0; i < load->resources; i++) {
            put_resource(load, &s, h, i);
        }
        for (int i = 0; i < load->profiles; i++) {
            put_op(&s, "insert", "Traffic_Profile");
            ds_put_format(&s, "\"uuid\":\"%s\",\"row\":{\"host\":\"host-%d\","
                          "\"network\":\"vni:%d\",\"class\":\"%s\",",
                          uuid_of(W_PROFILE, h, i), h, i / 2,
                          i & 1 ? "udp" : i % 8 ? "tcp" : "esp");
            put_profile_values(load, &s);
        }
        load->rows += 1 + 2 * load->resources + load->profiles;
        transact(load, &s);
    }
    drain(load, 0);
    ds_destroy(&s);
}

/* Changing. */

static void
put_changes(struct load *load, struct ds *s, int host)
{
    for (int i = 0; i < load->resources; i++) {
        if (ext_rng_double(&load->rng) < load->rate) {
            double util = 0.6 * ext_rng_double(&load->rng);

            put_op(s, "update", "Resource_Metrics");
            put_where(s, uuid_of(W_METRICS, host, i));
            ds_put_format(s, "\"row\":{\"utilization\":%.3f,"
                          "\"forecast_utilization\":%.3f,"
                          "\"latency_us\":%.1f,\"throughput\":%.0f}}", util,
                          util, 5 + 50 * ext_rng_double(&load->rng),
                          util * 1e7);
            load->rows++;
        }
    }
    for (int i = 0; i < load->profiles; i++) {
        if (ext_rng_double(&load->rng) < load->rate) {
            put_op(s, "update", "Traffic_Profile");
            put_where(s, uuid_of(W_PROFILE, host, i));
            ds_put_cstr(s, "\"row\":{");
            put_profile_values(load, s);
            load->rows++;
        }
    }
    if (load->applied[host] < load->generation[host]) {
        load->applied[host] = load->generation[host];
        put_op(s, "update", "Host");
        put_where(s, uuid_of(W_HOST, host, 0));
        ds_put_format(s, "\"row\":{\"applied_generation\":%"PRId64"}}",
                      load->applied[host]);
        load->confirmed++;
    }
}

static void
change(struct load *load)
{
    struct ds s = DS_EMPTY_INITIALIZER;
    long long int start;
    long long int turns = load->seconds * load->hosts;

    request(load, "monitor",
            xstrdup("[\"OVS_Ext\",null,{\"Host\":[{\"columns\":"
                    "[\"generation\"],\"select\":{\"initial\":false}}]}]"));
    drain(load, 0);
    start = time_msec();
    for (long long int turn = 0; turn < turns; turn++) {
        long long int when = start + turn * 1000 / load->hosts;

        while (time_msec() < when) {
            drain(load, INT_MAX);
            jsonrpc_wait(load->rpc);
            jsonrpc_recv_wait(load->rpc);
            poll_timer_wait_until(when);
            poll_block();
        }
        put_changes(load, &s, turn % load->hosts);
        transact(load, &s);
    }
    drain(load, 0);
    ds_destroy(&s);
}

static double
number(const char *s, const char *name, double min, double max)
{
    double x;

    if (!str_to_double(s, &x) || x < min || x > max) {
        ovs_fatal(0, "--%s: %s is not a number of %g to %g", name, s, min,
                  max);
    }
    return x;
}

int
main(int argc, char *argv[])
{
    static const struct option options[] = {
        { "db", required_argument, NULL, 'd' },
        { "hosts", required_argument, NULL, 'h' },
        { "resources", required_argument, NULL, 'r' },
        { "profiles", required_argument, NULL, 'p' },
        { "rate", required_argument, NULL, 'c' },
        { "seconds", required_argument, NULL, 's' },
        { "seed", required_argument, NULL, 'e' },
        { NULL, 0, NULL, 0 },
    };
    struct load load = {
        .hosts = 10, .resources = 64, .profiles = 32, .rate = 0.01,
        .seconds = 5,
    };
    const char *remote = NULL;
    double seed = 1;
    int c;

    set_program_name(argv[0]);
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'd': remote = optarg; break;
        case 'h': load.hosts = number(optarg, "hosts", 1, 100000); break;
        case 'r': load.resources = number(optarg, "resources", 1, 1024); break;
        case 'p': load.profiles = number(optarg, "profiles", 1, 1024); break;
        case 'c': load.rate = number(optarg, "rate", 0, 1); break;
        case 's': load.seconds = number(optarg, "seconds", 0.1, 3600); break;
        case 'e': seed = number(optarg, "seed", 0, 1e9); break;
        default: exit(EXIT_FAILURE);
        }
    }
    if (!remote || argc != optind + 1
        || (strcmp(argv[optind], "fill") && strcmp(argv[optind], "change"))) {
        ovs_fatal(0, "usage: onc-load --db=REMOTE [--hosts=N] "
                  "[--resources=N] [--profiles=N] [--rate=SHARE] "
                  "[--seconds=N] [--seed=N] fill|change");
    }
    ext_rng_init(&load.rng, seed);
    load.generation = xcalloc(load.hosts, sizeof *load.generation);
    load.applied = xcalloc(load.hosts, sizeof *load.applied);
    connect_db(&load, remote);

    long long int start = time_msec();
    if (!strcmp(argv[optind], "fill")) {
        fill(&load);
    } else {
        change(&load);
    }
    printf("{\"txns\": %"PRIu64", \"rows\": %"PRIu64", \"confirmed\": %"PRIu64
           ", \"errors\": %"PRIu64", \"seconds\": %.3f}\n", load.txns,
           load.rows, load.confirmed, load.errors,
           (time_msec() - start) / 1e3);
    jsonrpc_close(load.rpc);
    free(load.generation);
    free(load.applied);
    return load.errors ? EXIT_FAILURE : EXIT_SUCCESS;
}
