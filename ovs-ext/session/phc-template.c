/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "ovs-ext/session/phc-impl.h"

/* Services, whose members alone may be targets, and templates. */

static uint32_t
template_hash(uint16_t service, uint32_t owner)
{
    return hash_2words(service, owner);
}

struct phc_template *
phc_template_find(const struct phc *phc, uint16_t service, uint32_t owner)
{
    struct phc_template *t;

    HMAP_FOR_EACH_WITH_HASH (t, node, template_hash(service, owner),
                             &phc->templates) {
        if (t->service == service && t->owner == owner) {
            return t;
        }
    }
    return NULL;
}

static int
compare_members(const void *a_, const void *b_)
{
    const struct phc_member *a = a_, *b = b_;

    return a->owner < b->owner ? -1 : a->owner > b->owner;
}

static const struct phc_member *
member_find(const struct phc *phc, uint16_t service, uint32_t owner)
{
    const struct phc_service *s = &phc->services[service];
    struct phc_member key = { .owner = owner };

    return s->n ? bsearch(&key, s->members, s->n, sizeof *s->members,
                          compare_members) : NULL;
}

/* Writes the template to its slot, for the present members of the service. */
static void
write_slot(struct phc *phc, const struct phc_template *t)
{
    struct phc_slot *slot = &phc->slots[t->slot];
    struct phc_slot_tail tail = {
        .len = t->shape.len,
        .flags = ((t->shape.len ? PHC_SLOT_VALID : 0)
                  | (t->shape.ip6 ? PHC_SLOT_IP6 : 0)
                  | (t->shape.csum ? PHC_SLOT_CSUM : 0)
                  | (t->shape.l3_ofs > ETH_HEADER_LEN ? PHC_SLOT_VLAN : 0)),
        .service = t->service,
        .epoch = t->epoch,
    };
    uint64_t words[7], more[8] = { 0 };

    memcpy(words, t->header, PHC_HEAD);
    memcpy((uint8_t *) words + PHC_HEAD, &tail, sizeof tail);
    memcpy(more, t->header + PHC_HEAD, PHC_MAX_HEADER - PHC_HEAD);

    ext_seq_write_begin(&slot->seq);
    ext_store32(&slot->gen, phc->gens[t->service]);
    for (int i = 0; i < 7; i++) {
        ext_store64(&slot->words[i], words[i]);
    }
    for (int i = 0; i < 8; i++) {
        ext_store64(&slot->more[i], more[i]);
    }
    ext_seq_write_end(&slot->seq);
}

/* Takes the header away.  Entries stay and know their owner. */
static void
blank(struct phc *phc, struct phc_template *t)
{
    memset(&t->shape, 0, sizeof t->shape);
    memset(t->header, 0, sizeof t->header);
    write_slot(phc, t);
}

/* Makes a template without a header.  Returns null if there is no place. */
static struct phc_template *
make_template(struct phc *phc, uint16_t service, const struct phc_member *m)
{
    struct phc_template *t;

    if (!phc->n_free) {
        return NULL;
    }
    t = xzalloc(sizeof *t);
    t->service = service;
    t->owner = m->owner;
    t->addr = m->addr;
    t->slot = phc->free_slots[phc->free_head];
    phc->free_head = (phc->free_head + 1) % (phc->n_slots - 1);
    phc->n_free--;
    t->epoch = phc->epochs[t->slot];
    ext_store32(&phc->owners[t->slot], m->owner);
    hmap_insert(&phc->templates, &t->node, template_hash(service, m->owner));
    write_slot(phc, t);
    return t;
}

/* Gives the template's place back.  Entries that lead there are dead by their
 * epoch; should all epochs of the place be used up, they are dropped. */
static void
free_template(struct phc *phc, struct phc_template *t)
{
    t->epoch = ++phc->epochs[t->slot];
    blank(phc, t);
    if (!t->epoch) {
        phc_purge_slot(phc, t->slot);
    }
    phc->free_slots[(phc->free_head + phc->n_free++) % (phc->n_slots - 1)]
        = t->slot;
    hmap_remove(&phc->templates, &t->node);
    free(t);
}

/* Says who the members of 'service' are, in place of what was said before;
 * none withdraws it.  Entries of a former member, and the header towards a
 * former address of one, are dead when this returns; entries of a member that
 * has another address now stay, and wait for its header.  Returns 0, EINVAL
 * for a number out of range, ENOSPC if there is no place for all members. */
int
phc_service_set(struct phc *phc, uint16_t service,
                const struct phc_member *members, size_t n)
{
    struct phc_template *t, *next;
    struct phc_service *s;

    if (service >= PHC_MAX_SERVICES) {
        return EINVAL;
    }
    s = &phc->services[service];
    free(s->members);
    s->members = n ? xmemdup(members, n * sizeof *members) : NULL;
    s->n = n;
    if (n) {
        qsort(s->members, n, sizeof *members, compare_members);
    }

    /* From here on the old templates count for nothing. */
    ext_store32(&phc->gens[service], phc->gens[service] + 1);
    HMAP_FOR_EACH_SAFE (t, next, node, &phc->templates) {
        const struct phc_member *m;

        if (t->service != service) {
            continue;
        }
        m = member_find(phc, service, t->owner);
        if (!m) {
            free_template(phc, t);
        } else if (IN6_ARE_ADDR_EQUAL(&m->addr, &t->addr)) {
            write_slot(phc, t);
        } else {
            t->addr = m->addr;
            blank(phc, t);
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (!phc_template_find(phc, service, s->members[i].owner)
            && !make_template(phc, service, &s->members[i])) {
            return ENOSPC;
        }
    }
    return 0;
}

/* Sets the outer header towards 'owner' for sessions of 'service'; entries
 * that are there already use it from now on.  Returns 0, EINVAL if it is not
 * an outer header, EPERM if it does not lead to a member, ENOSPC if there are
 * too many. */
int
phc_template_set(struct phc *phc, uint16_t service, uint32_t owner,
                 const uint8_t *header, size_t len)
{
    struct phc_template *t, new = { .service = service, .owner = owner };
    const struct phc_member *m;

    if (service >= PHC_MAX_SERVICES
        || !phc_header_take(header, len, new.header, &new.shape, &new.addr)) {
        return EINVAL;
    }
    m = member_find(phc, service, owner);
    if (!m || !IN6_ARE_ADDR_EQUAL(&m->addr, &new.addr)) {
        phc->counts.templates_refused++;
        return EPERM;
    }
    t = phc_template_find(phc, service, owner);
    t = t ? t : make_template(phc, service, m);
    if (!t) {
        return ENOSPC;
    }
    t->shape = new.shape;
    memcpy(t->header, new.header, sizeof t->header);
    write_slot(phc, t);
    return 0;
}

/* Withdraws a header, for instance because its neighbour is gone. */
void
phc_template_remove(struct phc *phc, uint16_t service, uint32_t owner)
{
    struct phc_template *t = phc_template_find(phc, service, owner);

    if (t) {
        blank(phc, t);
    }
}

/* Withdraws all templates to 'owner', which is gone, and the entries that lead
 * to it.  Returns how many. */
size_t
phc_owner_remove(struct phc *phc, uint32_t owner)
{
    struct phc_template *t, *next;
    size_t n = 0;

    HMAP_FOR_EACH_SAFE (t, next, node, &phc->templates) {
        if (t->owner == owner) {
            free_template(phc, t);
            n++;
        }
    }
    return n;
}

/* Stores the header for 'service' and 'owner'.  Returns false if there is
 * none. */
bool
phc_template_get(const struct phc *phc, uint16_t service, uint32_t owner,
                 uint8_t header[PHC_MAX_HEADER], struct phc_shape *shape)
{
    const struct phc_template *t = phc_template_find(phc, service, owner);

    if (!t || !t->shape.len) {
        return false;
    }
    memcpy(header, t->header, PHC_MAX_HEADER);
    *shape = t->shape;
    return true;
}
