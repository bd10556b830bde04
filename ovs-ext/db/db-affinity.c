/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>
#include "ovs-ext/db/db-affinity.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/shash.h"
#include "ovs-ext/db/ovs-ext-idl.h"
#include "ovsdb-idl.h"
#include "util.h"

/* As in the schema. */
#define MAX_SCORE 1e6

/* Reads 'row' into '*in'.  Returns false if it does not make sense. */
static bool
read_instruction(const struct ovsext_affinity *row, struct db_instruction *in)
{
    memset(in, 0, sizeof *in);
    if (!tp_class_from_string(row->class_, &in->class)
        || strlen(row->network) >= sizeof in->network
        || !row->network[0]) {
        return false;
    }
    ovs_strlcpy(in->network, row->network, sizeof in->network);
    if (row->resource) {
        if (strcmp(row->resource->host, row->host)
            || strlen(row->resource->name) >= sizeof in->resource) {
            return false;
        }
        ovs_strlcpy(in->resource, row->resource->name, sizeof in->resource);
    }
    in->pinned = !strcmp(row->origin, "pinned");
    in->score = row->score;
    in->generation = row->generation;
    in->expiry = row->n_expiry ? row->expiry[0] : LLONG_MAX;
    return true;
}

static int
compare_instructions(const void *a_, const void *b_)
{
    const struct db_instruction *a = a_;
    const struct db_instruction *b = b_;
    int cmp = strcmp(a->network, b->network);

    return cmp ? cmp : (int) a->class - (int) b->class;
}

size_t
db_instructions_read(struct ovsdb_idl *idl, const char *host,
                     long long int wall_now,
                     struct db_instruction **instructions)
{
    const struct ovsext_affinity *row;
    struct db_instruction *ins = NULL;
    size_t n = 0, allocated = 0;

    OVSEXT_AFFINITY_FOR_EACH (row, idl) {
        if (strcmp(row->host, host)) {
            continue;
        }
        if (n >= allocated) {
            ins = x2nrealloc(ins, &allocated, sizeof *ins);
        }
        if (read_instruction(row, &ins[n]) && ins[n].expiry >= wall_now) {
            n++;
        }
    }
    if (n) {
        qsort(ins, n, sizeof *ins, compare_instructions);
    }
    *instructions = ins;
    return n;
}

bool
db_instructions_equal(const struct db_instruction *a, size_t n,
                      const struct db_instruction *b, size_t n2)
{
    if (n != n2) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (compare_instructions(&a[i], &b[i])
            || strcmp(a[i].resource, b[i].resource)
            || a[i].pinned != b[i].pinned
            || a[i].expiry != b[i].expiry) {
            return false;
        }
    }
    return true;
}

const struct ovsext_host *
db_host_row(struct ovsdb_idl *idl, const char *host)
{
    const struct ovsext_host *row;

    OVSEXT_HOST_FOR_EACH (row, idl) {
        if (!strcmp(row->name, host)) {
            return row;
        }
    }
    return NULL;
}

int64_t
db_host_generation(struct ovsdb_idl *idl, const char *host)
{
    const struct ovsext_host *row = db_host_row(idl, host);

    return row ? row->generation : -1;
}

const struct ovsext_resource *
db_resource_row(struct ovsdb_idl *idl, const char *host, const char *name)
{
    const struct ovsext_resource *row;

    OVSEXT_RESOURCE_FOR_EACH (row, idl) {
        if (!strcmp(row->name, name) && !strcmp(row->host, host)) {
            return row;
        }
    }
    return NULL;
}

const struct ovsext_affinity *
db_affinity_row(struct ovsdb_idl *idl, const char *host, const char *network,
                enum tp_class class)
{
    const char *class_name = tp_class_to_string(class);
    const struct ovsext_affinity *row;

    OVSEXT_AFFINITY_FOR_EACH (row, idl) {
        if (!strcmp(row->host, host) && !strcmp(row->network, network)
            && !strcmp(row->class_, class_name)) {
            return row;
        }
    }
    return NULL;
}

void
db_affinity_set_resource(const struct ovsext_affinity *row,
                         const struct ovsext_resource *resource)
{
    ovsext_affinity_set_resource(row, resource);
    ovsext_affinity_set_resource_name(row, resource ? resource->name : "");
}

void
db_affinity_set_score(const struct ovsext_affinity *row, double score)
{
    ovsext_affinity_set_score(row, isnan(score) ? 0
                              : MAX(-MAX_SCORE, MIN(score, MAX_SCORE)));
}

/* True if 'row' is a pin whose resource is gone, as far as it knows. */
static bool
is_unlinked(const struct ovsext_affinity *row)
{
    return (!row->resource && row->resource_name[0]
            && !strcmp(row->origin, "pinned"));
}

size_t
db_affinity_relink(struct ovsdb_idl *idl)
{
    struct shash unlinked = SHASH_INITIALIZER(&unlinked);
    const struct ovsext_affinity *row;
    const struct ovsext_resource *resource;
    size_t n = 0;

    /* One pass over the resources however many rows wait, and none if no row
     * does. */
    OVSEXT_AFFINITY_FOR_EACH (row, idl) {
        if (is_unlinked(row)) {
            shash_add_nocopy(&unlinked, xasprintf("%s\n%s", row->host,
                                                  row->resource_name), row);
        }
    }
    if (!shash_is_empty(&unlinked)) {
        OVSEXT_RESOURCE_FOR_EACH (resource, idl) {
            char *key = xasprintf("%s\n%s", resource->host, resource->name);

            while ((row = shash_find_and_delete(&unlinked, key))) {
                ovsext_affinity_verify_resource(row);
                ovsext_affinity_set_resource(row, resource);
                n++;
            }
            free(key);
        }
    }
    shash_destroy(&unlinked);
    return n;
}

int64_t
db_host_next_generation(const struct ovsext_host *host)
{
    int64_t next = host->generation < INT64_MAX ? host->generation + 1 : 1;

    ovsext_host_verify_generation(host);
    ovsext_host_set_generation(host, next);
    return next;
}

/* Networks that have a number. */
static const struct network_form {
    const char *prefix;
    int base;
    unsigned long long int min, max;
} network_forms[] = {
    { "vni:", 10, 0, 0xffffff },
    { "vlan:", 10, 1, 4094 },
    { "metadata:0x", 16, 0, UINT64_MAX },
};

/* Checks 'name', of the form 'f'.  Profiles have each number written in one
 * way; names are compared with theirs as they are.  Returns false if that is
 * no number, else true, and what is wrong, or NULL, in '*errorp'. */
static bool
check_number(const struct network_form *f, const char *name, char **errorp)
{
    const char *s = name + strlen(f->prefix);
    unsigned long long int x;
    char *right;

    if (!s[0] || s[strspn(s, "0123456789abcdefABCDEF")]
        || !str_to_ullong(s, f->base, &x)) {
        return false;
    }
    *errorp = NULL;
    right = xasprintf(f->base == 16 ? "%s%llx" : "%s%llu", f->prefix, x);
    if (x < f->min || x > f->max) {
        *errorp = xasprintf("network \"%s\": the number is not from %llu to "
                            "%llu", name, f->min, f->max);
    } else if (strcmp(name, right)) {
        *errorp = xasprintf("network \"%s\" has to be written \"%s\"", name,
                            right);
    }
    free(right);
    return true;
}

char *
db_check_network(const char *name)
{
    char *error;

    if (!strcmp(name, "untagged") || !strcmp(name, TP_NETWORK_OTHER)) {
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_SIZE(network_forms); i++) {
        const struct network_form *f = &network_forms[i];

        if (!strncmp(name, f->prefix, strlen(f->prefix))
            && check_number(f, name, &error)) {
            return error;
        }
    }
    return xasprintf("network \"%s\" is not vni:N, vlan:N, untagged, "
                     "metadata:0xN or other", name);
}
