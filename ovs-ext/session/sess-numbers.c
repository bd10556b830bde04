/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/session/sess-plan.h"

#include <stdlib.h>

#include "hash.h"
#include "openvswitch/hmap.h"
#include "openvswitch/list.h"
#include "util.h"

/* Small numbers for names of any size. */

enum { N_KINDS = SESS_NUMBER_TARGET + 1 };

struct number {
    struct hmap_node node;      /* In 'by_key'. */
    struct ovs_list list;       /* In 'in_use', by time of use. */
    uint64_t a, b;
    uint32_t c;
    uint16_t number;
    long long int used;         /* ms */
};

struct number_kind {
    struct hmap by_key;
    struct ovs_list in_use;     /* Least lately used first. */
    uint16_t highest;           /* Given so far. */
};

struct sess_numbers {
    struct number_kind kinds[N_KINDS];
};

static const uint16_t limits[N_KINDS] = {
    [SESS_NUMBER_SERVICE] = SESS_MAX_SERVICES - 1,
    [SESS_NUMBER_BACKEND] = SESS_BACKEND_NUMBERS - 1,
    [SESS_NUMBER_TARGET] = SESS_MAX_TARGETS - 1,
};

struct sess_numbers *
sess_numbers_create(void)
{
    struct sess_numbers *numbers = xzalloc(sizeof *numbers);

    for (size_t i = 0; i < N_KINDS; i++) {
        hmap_init(&numbers->kinds[i].by_key);
        ovs_list_init(&numbers->kinds[i].in_use);
    }
    return numbers;
}

void
sess_numbers_destroy(struct sess_numbers *numbers)
{
    if (!numbers) {
        return;
    }
    for (size_t i = 0; i < N_KINDS; i++) {
        struct number *number;

        HMAP_FOR_EACH_POP (number, node, &numbers->kinds[i].by_key) {
            free(number);
        }
        hmap_destroy(&numbers->kinds[i].by_key);
    }
    free(numbers);
}

static struct number *
find(const struct number_kind *k, uint64_t a, uint64_t b, uint32_t c,
     uint32_t hash)
{
    struct number *number;

    HMAP_FOR_EACH_WITH_HASH (number, node, hash, &k->by_key) {
        if (number->a == a && number->b == b && number->c == c) {
            return number;
        }
    }
    return NULL;
}

/* A number that was not used for long, or a new one; null if there is none. */
static struct number *
obtain(struct number_kind *k, uint16_t limit, long long int now)
{
    struct number *number;

    if (!ovs_list_is_empty(&k->in_use)) {
        number = CONTAINER_OF(ovs_list_front(&k->in_use), struct number, list);
        if (now - number->used > SESS_REST_MS) {
            hmap_remove(&k->by_key, &number->node);
            ovs_list_remove(&number->list);
            return number;
        }
    }
    if (k->highest >= limit) {
        return NULL;
    }
    number = xmalloc(sizeof *number);
    number->number = ++k->highest;
    return number;
}

/* Returns the number of what 'kind', 'a', 'b' and 'c' name, which is in use
 * now; SESS_NONE if there are too many. */
uint16_t
sess_numbers_get(struct sess_numbers *numbers, enum sess_number_kind kind,
                 uint64_t a, uint64_t b, uint32_t c, long long int now)
{
    struct number_kind *k = &numbers->kinds[kind];
    uint32_t hash = hash_uint64_basis(a, hash_uint64_basis(b, c));
    struct number *number = find(k, a, b, c, hash);

    if (number) {
        ovs_list_remove(&number->list);
    } else {
        number = obtain(k, limits[kind], now);
        if (!number) {
            return SESS_NONE;
        }
        number->a = a;
        number->b = b;
        number->c = c;
        hmap_insert(&k->by_key, &number->node, hash);
    }
    number->used = now;
    ovs_list_push_back(&k->in_use, &number->list);
    return number->number;
}
