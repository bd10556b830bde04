/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/nic-model/extnic-args.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { K_U32, K_U64, K_I32, K_DOUBLE, K_STRING, K_ROLE, K_SCENARIO,
            K_SIZE };

struct key {
    const char *name;
    enum kind kind;
    size_t offset, size;        /* Member of struct extnic_args. */
    double min, max, def;
};

#define KEY(NAME, KIND, MIN, MAX, DEF)                          \
    { #NAME, KIND, offsetof(struct extnic_args, NAME),          \
      sizeof ((struct extnic_args *) NULL)->NAME, MIN, MAX, DEF }

static const struct key keys[] = {
    KEY(role, K_ROLE, 0, 0, EXTNIC_SOURCE),
    KEY(stat, K_STRING, 0, 0, 0),
    KEY(scenario, K_SCENARIO, 0, 0, EXTNIC_BALANCED),
    KEY(rate, K_DOUBLE, 1e-6, 1000, 1),
    KEY(seed, K_U64, 0, 1e18, 1),
    KEY(flows, K_U32, 1, 1 << 20, 1000),
    KEY(size, K_SIZE, 60, 1514, 60),
    KEY(reta, K_U32, 64, 512, 128),
    KEY(seqlen, K_U32, 1 << 10, 1 << 24, 0),
    KEY(pcap, K_STRING, 0, 0, 0),
    KEY(copies, K_U32, 0, 10000, 0),
    KEY(poisson, K_U32, 0, 1, 0),
    KEY(skew, K_DOUBLE, 0, 1, 0.9),
    KEY(skew_queues, K_U32, 1, 64, 2),
    KEY(flow_skew, K_DOUBLE, 0, 1, 0),
    KEY(start_ms, K_U32, 1, 3600e3, 1000),
    KEY(elephants, K_U32, 1, 256, 8),
    KEY(elephant_share, K_DOUBLE, 0.01, 0.99, 0.5),
    KEY(burst_buckets, K_U32, 1, 512, 8),
    KEY(burst_factor, K_DOUBLE, 1, 1000, 10),
    KEY(burst_ms, K_U32, 1, 60e3, 5),
    KEY(burst_gap_ms, K_U32, 1, 60e3, 20),
    KEY(on_ms, K_U32, 1, 60e3, 50),
    KEY(zipf, K_DOUBLE, 0, 4, 1),
    KEY(shift_ms, K_U32, 0, 3600e3, 0),
    KEY(shift_share, K_DOUBLE, 0, 1, 1),
    KEY(active, K_U32, 1, 1 << 20, 1000),
    KEY(window_ms, K_U32, 1, 10000, 10),
    KEY(watch, K_U32, 0, 60, 0),
    KEY(flow_max, K_U32, 0, (1 << 20) - 2, 1024),
    KEY(flow_insert_us, K_U32, 0, 1000000, 0),
    KEY(echo_us, K_DOUBLE, 0, 1e6, 5),
    KEY(echo_rate, K_DOUBLE, 0, 1000, 0),
    KEY(numa, K_I32, -1, 31, -1),
};
#define N_KEYS (sizeof keys / sizeof keys[0])

static const struct {
    const char *name;
    enum extnic_scenario scenario;
} scenarios[] = {
    { "balanced", EXTNIC_BALANCED },
    { "skew", EXTNIC_SKEW },
    { "elephants", EXTNIC_ELEPHANTS },
    { "bursts", EXTNIC_BURSTS },
    { "onoff", EXTNIC_ONOFF },
    { "flow-model", EXTNIC_FLOW_MODEL },
    { "zipf", EXTNIC_ZIPF },
    { "captures", EXTNIC_CAPTURES },
};
#define N_SCENARIOS (sizeof scenarios / sizeof scenarios[0])

static void
set_number(void *member, enum kind kind, double value)
{
    switch (kind) {
    case K_U32:
    case K_SIZE:
        *(uint32_t *) member = value;
        break;
    case K_U64:
        *(uint64_t *) member = value;
        break;
    case K_I32:
        *(int32_t *) member = value;
        break;
    case K_DOUBLE:
        *(double *) member = value;
        break;
    case K_ROLE:
    case K_SCENARIO:
        *(unsigned int *) member = value;
        break;
    case K_STRING:
        break;
    }
}

static bool
parse_number(const struct key *key, const char *value, void *member)
{
    char *end;

    errno = 0;
    double d = strtod(value, &end);
    if (!*value || *end || errno || !isfinite(d)
        || d < key->min || d > key->max) {
        return false;
    }
    if (key->kind == K_U64) {
        /* A double holds 53 bits only; seeds have more. */
        unsigned long long int u = strtoull(value, &end, 0);
        if (*end) {
            return false;
        }
        *(uint64_t *) member = u;
        return true;
    }
    if (key->kind != K_DOUBLE && d != floor(d)) {
        return false;
    }
    set_number(member, key->kind, d);
    return true;
}

/* "skew" may carry its percentage: skew90. */
static bool
parse_scenario(const char *value, struct extnic_args *args)
{
    snprintf(args->scenario_name, sizeof args->scenario_name, "%s", value);
    if (!strncmp(value, "skew", 4) && value[4]) {
        char *end;
        long int percent = strtol(value + 4, &end, 10);

        if (*end || percent < 1 || percent > 100) {
            return false;
        }
        args->scenario = EXTNIC_SKEW;
        args->skew = percent / 100.0;
        return true;
    }
    for (size_t i = 0; i < N_SCENARIOS; i++) {
        if (!strcmp(value, scenarios[i].name)) {
            args->scenario = scenarios[i].scenario;
            return true;
        }
    }
    return false;
}

static bool
parse_role(const char *value, struct extnic_args *args)
{
    static const char *names[] = { "source", "sink", "both", "echo" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strcmp(value, names[i])) {
            args->role = i;
            return true;
        }
    }
    return false;
}

static bool
parse_value(const struct key *key, const char *value,
            struct extnic_args *args)
{
    void *member = (char *) args + key->offset;

    switch (key->kind) {
    case K_STRING:
        if (!*value || strlen(value) >= key->size) {
            return false;
        }
        strcpy(member, value);
        return true;
    case K_ROLE:
        return parse_role(value, args);
    case K_SCENARIO:
        return parse_scenario(value, args);
    case K_SIZE:
        if (!strcmp(value, "imix")) {
            args->size = 0;
            return true;
        }
        return parse_number(key, value, member);
    case K_U32:
    case K_U64:
    case K_I32:
    case K_DOUBLE:
        break;
    }
    return parse_number(key, value, member);
}

static bool
parse_pair(char *pair, struct extnic_args *args, char *error, size_t size)
{
    char *value = strchr(pair, '=');

    if (!value) {
        snprintf(error, size, "%s: not of the form KEY=VALUE", pair);
        return false;
    }
    *value++ = '\0';
    for (size_t i = 0; i < N_KEYS; i++) {
        const struct key *key = &keys[i];

        if (strcmp(pair, key->name)) {
            continue;
        }
        if (parse_value(key, value, args)) {
            return true;
        }
        if (key->max > key->min) {
            snprintf(error, size, "%s=%s: not a number from %.10g to %.10g",
                     pair, value, key->min, key->max);
        } else {
            snprintf(error, size, "%s=%s: bad value", pair, value);
        }
        return false;
    }
    snprintf(error, size, "%s=%s: unknown key", pair, value);
    return false;
}

static bool
check(struct extnic_args *args, char *error, size_t size)
{
    if (!args->stat[0]) {
        snprintf(error, size, "stat=FILE is missing");
        return false;
    }
    if (args->reta & (args->reta - 1)) {
        snprintf(error, size, "reta=%u: not 64, 128, 256 or 512", args->reta);
        return false;
    }
    if (args->role == EXTNIC_SINK || args->role == EXTNIC_ECHO) {
        return true;
    }
    if ((args->scenario == EXTNIC_CAPTURES) != (args->pcap[0] != '\0')) {
        snprintf(error, size, args->pcap[0]
                 ? "pcap=%s: only with scenario=captures"
                 : "scenario=captures: pcap=FILE[:FILE...] is missing%s",
                 args->pcap);
        return false;
    }
    if (args->burst_buckets > args->reta) {
        snprintf(error, size, "burst_buckets=%u: more than reta=%u",
                 args->burst_buckets, args->reta);
        return false;
    }
    return true;
}

bool
extnic_args_parse(const char *text, struct extnic_args *args,
                  char *error, size_t error_size)
{
    memset(args, 0, sizeof *args);
    for (size_t i = 0; i < N_KEYS; i++) {
        set_number((char *) args + keys[i].offset, keys[i].kind,
                   keys[i].def);
    }
    strcpy(args->scenario_name, "balanced");

    char *copy = strdup(text ? text : "");
    char *save = NULL;
    bool ok = copy != NULL;

    if (!ok) {
        snprintf(error, error_size, "out of memory");
    }
    for (char *pair = ok ? strtok_r(copy, ",", &save) : NULL; pair && ok;
         pair = strtok_r(NULL, ",", &save)) {
        ok = parse_pair(pair, args, error, error_size);
    }
    free(copy);
    return ok && check(args, error, error_size);
}
