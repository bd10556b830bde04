/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* The records of the store. */

#include <config.h>

#include "datapath-hooks/session/phc-store.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "datapath-hooks/session/phc-store-impl.h"
#include "util.h"

enum {
    MAC_LEN = 16,               /* Of the 32 bytes of the HMAC. */
    MAX_FAILED = 3              /* Transactions, until it has to be closed. */
};

/* Notes how a transaction went, by LMDB's word.  Returns 0 or a positive
 * errno. */
static int
note(struct phc_store *s, int lmdb_error)
{
    int error = phc_store_errno__(lmdb_error);
    MDB_txn *txn;

    if (error != EIO) {
        s->n_failed = 0;
        return error;
    }
    if (!mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn)) {
        mdb_txn_abort(txn);
    } else {
        lmdb_error = MDB_PANIC;         /* There are no others after this. */
    }
    if (++s->n_failed == MAX_FAILED || lmdb_error == MDB_PANIC) {
        s->broken = lmdb_error;
    }
    return error;
}

/* What is wrong with the store if it has to be closed and opened again for it
 * to work, else null. */
const char *
phc_store_broken(const struct phc_store *s)
{
    return s->broken ? mdb_strerror(s->broken) : NULL;
}

static bool
authenticate(struct phc_store *s, const MDB_val *key, const uint8_t *value,
             size_t len, uint8_t mac[MAC_LEN])
{
    uint8_t full[EVP_MAX_MD_SIZE], key_len = key->mv_size;
    size_t n;

    if (!EVP_MAC_init(s->mac, NULL, 0, NULL)
        || !EVP_MAC_update(s->mac, &key_len, 1)
        || !EVP_MAC_update(s->mac, key->mv_data, key->mv_size)
        || !EVP_MAC_update(s->mac, value, len)
        || !EVP_MAC_final(s->mac, full, &n, sizeof full)) {
        return false;
    }
    memcpy(mac, full, MAC_LEN);
    return true;
}

/* Takes a record of the file.  Returns false if it is not ours. */
static bool
take_record(struct phc_store *s, const MDB_val *key, const MDB_val *value,
            struct phc_record *r)
{
    uint8_t mac[MAC_LEN];
    size_t len;

    if (value->mv_size <= MAC_LEN || key->mv_size > PHC_RECORD_MAX_KEY
        || value->mv_size > PHC_RECORD_MAX_VALUE + MAC_LEN) {
        s->counts.tampered++;
        return false;
    }
    len = value->mv_size - MAC_LEN;
    if (!authenticate(s, key, value->mv_data, len, mac)
        || CRYPTO_memcmp(mac, (uint8_t *) value->mv_data + len, MAC_LEN)) {
        s->counts.tampered++;
        return false;
    }
    if (!phc_record_parse(key->mv_data, key->mv_size, value->mv_data, len,
                          r)) {
        s->counts.malformed++;
        return false;
    }
    return true;
}

static int
change(struct phc_store *s, MDB_txn *txn, const struct phc_change *c)
{
    uint8_t key_data[PHC_RECORD_MAX_KEY];
    uint8_t value_data[PHC_RECORD_MAX_VALUE + MAC_LEN];
    MDB_val key = { phc_record_format_key(&c->record, key_data), key_data };
    MDB_val value = { 0, value_data };
    int error;

    if (c->delete) {
        error = mdb_del(txn, s->dbi, &key, NULL);
        return error == MDB_NOTFOUND ? 0 : error;
    }
    value.mv_size = phc_record_format_value(&c->record, value_data);
    if (!authenticate(s, &key, value_data, value.mv_size,
                      value_data + value.mv_size)) {
        return EIO;
    }
    value.mv_size += MAC_LEN;
    return mdb_put(txn, s->dbi, &key, &value, 0);
}

/* Whether as much of the file is free as deleting may need. */
static bool
has_room(struct phc_store *s)
{
    MDB_val key, value;
    MDB_cursor *cursor;
    MDB_envinfo info;
    MDB_stat stat;
    MDB_txn *txn;
    size_t pages, used, n_free = 0;
    int error;

    if (mdb_env_info(s->env, &info) || mdb_env_stat(s->env, &stat)) {
        return false;
    }
    pages = s->max_bytes / stat.ms_psize;
    used = info.me_last_pgno + 1 + pages / 8;
    if (used <= pages) {
        return true;
    }

    /* Database 0 has, by transaction, lists of pages that are free again. */
    error = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
    if (error) {
        note(s, error);
        return false;
    }
    if (!mdb_cursor_open(txn, 0, &cursor)) {
        while (!mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
            n_free += *(const size_t *) value.mv_data;
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return used <= pages + n_free;
}

static bool
any_puts(const struct phc_change *changes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!changes[i].delete) {
            return true;
        }
    }
    return false;
}

/* Makes 'n' changes, all or none.  Returns 0, ENOSPC if the disk or the file
 * is full, or another positive errno. */
int
phc_store_write(struct phc_store *s, const struct phc_change *changes,
                size_t n)
{
    MDB_txn *txn;
    int error = (any_puts(changes, n) && !has_room(s) ? MDB_MAP_FULL
                 : mdb_txn_begin(s->env, NULL, 0, &txn));

    if (!error) {
        for (size_t i = 0; !error && i < n; i++) {
            error = change(s, txn, &changes[i]);
        }
        if (!error) {
            error = mdb_txn_commit(txn);
        } else {
            mdb_txn_abort(txn);
        }
    }
    error = note(s, error);
    if (error) {
        s->counts.errors++;
        return error;
    }
    for (size_t i = 0; i < n; i++) {
        *(changes[i].delete ? &s->counts.deletes : &s->counts.puts) += 1;
    }
    return 0;
}

/* Deletes the keys 'keys', if they are there, in one transaction.  Returns 0
 * or a positive errno. */
static int
delete_keys(struct phc_store *s, const MDB_val *keys, size_t n)
{
    MDB_txn *txn;
    int error = mdb_txn_begin(s->env, NULL, 0, &txn);

    if (error) {
        return note(s, error);
    }
    for (size_t i = 0; i < n; i++) {
        MDB_val key = keys[i];

        error = mdb_del(txn, s->dbi, &key, NULL);
        if (error && error != MDB_NOTFOUND) {
            mdb_txn_abort(txn);
            return note(s, error);
        }
    }
    error = note(s, mdb_txn_commit(txn));
    if (!error) {
        s->counts.deletes += n;
    }
    return error;
}

/* Likewise, in as many transactions as it takes.  To delete takes pages, too,
 * which those that it frees make up for only later: if the file is full, there
 * are some more for this alone.  Returns how many it deleted. */
static size_t
drop(struct phc_store *s, const MDB_val *keys, size_t n)
{
    size_t done = 0, chunk = n;
    bool grown = false;

    while (done < n) {
        size_t k = MIN(chunk, n - done);
        int error = delete_keys(s, keys + done, k);

        if (!error) {
            done += k;
        } else if (error == ENOSPC && !grown) {
            grown = true;
            mdb_env_set_mapsize(s->env, s->max_bytes + s->max_bytes / 8);
        } else if (error == ENOSPC && k > 1) {
            chunk = k / 2;
        } else {
            break;
        }
    }
    if (grown) {
        mdb_env_set_mapsize(s->env, s->max_bytes);
    }
    return done;
}

/* Makes those of 'n' changes that delete, also if the file is full.  Returns
 * how many it made. */
size_t
phc_store_delete(struct phc_store *s, const struct phc_change *changes,
                 size_t n)
{
    MDB_val *keys = xcalloc(MAX(n, 1), sizeof *keys);
    uint8_t (*data)[PHC_RECORD_MAX_KEY] = xcalloc(MAX(n, 1), sizeof *data);
    size_t n_keys = 0, done;

    for (size_t i = 0; i < n; i++) {
        if (changes[i].delete) {
            keys[n_keys].mv_size = phc_record_format_key(&changes[i].record,
                                                         data[n_keys]);
            keys[n_keys].mv_data = data[n_keys];
            n_keys++;
        }
    }
    done = drop(s, keys, n_keys);
    free(keys);
    free(data);
    return done;
}

/* Reads the record of session 'key'.  Returns 0, ENOENT if there is none,
 * EBADMSG if it was tampered with and has been dropped. */
int
phc_store_get(struct phc_store *s, const struct sess_key *session,
              struct phc_record *r)
{
    uint8_t data[PHC_RECORD_MAX_KEY];
    struct phc_record want = { .type = PHC_RECORD_SESSION, .key = *session };
    MDB_val key = { phc_record_format_key(&want, data), data }, value;
    MDB_txn *txn;
    int error = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
    bool ok = false;

    s->counts.gets++;
    if (error) {
        return note(s, error);
    }
    error = mdb_get(txn, s->dbi, &key, &value);
    ok = !error && take_record(s, &key, &value, r);
    mdb_txn_abort(txn);
    if (error) {
        return phc_store_errno__(error);
    }
    if (!ok) {
        drop(s, &key, 1);
        return EBADMSG;
    }
    s->counts.hits++;
    return 0;
}

enum { MAX_DROP = 1024 };

/* A walk, in parts: after each, what it found to be dropped is. */
struct walk {
    enum phc_record_type type;
    uint64_t now;
    phc_store_func *cb;         /* Or null. */
    void *aux;

    uint8_t from[UINT8_MAX];    /* Key to go on at. */
    size_t from_len;
    bool full;                  /* No room in 'keys': go on at 'from'. */
    bool keep;                  /* Dropping does not work. */

    uint8_t data[MAX_DROP][UINT8_MAX];
    MDB_val keys[MAX_DROP];     /* To be dropped; in 'data'. */
    size_t n;
};

static void
walk_drop(struct walk *w, const MDB_val *key)
{
    if (w->keep || key->mv_size > UINT8_MAX) {
        return;
    }
    memcpy(w->data[w->n], key->mv_data, key->mv_size);
    w->keys[w->n].mv_size = key->mv_size;
    w->keys[w->n].mv_data = w->data[w->n];
    if (++w->n == MAX_DROP) {
        memcpy(w->from, key->mv_data, key->mv_size);
        w->from_len = key->mv_size;
        w->full = true;
    }
}

/* Goes through records of the walk's type, from its 'from' on. */
static int
walk_part(struct phc_store *s, struct walk *w)
{
    MDB_val key = { w->from_len, w->from }, value;
    MDB_cursor *cursor;
    MDB_txn *txn;
    int error = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);

    if (error) {
        return note(s, error);
    }
    error = mdb_cursor_open(txn, s->dbi, &cursor);
    if (!error) {
        for (error = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
             !error && key.mv_size && *(uint8_t *) key.mv_data == w->type
             && !w->full;
             error = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
            struct phc_record r;

            if (!take_record(s, &key, &value, &r) || r.expires <= w->now) {
                walk_drop(w, &key);
            } else if (w->cb) {
                w->cb(&r, w->aux);
            }
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return error == MDB_NOTFOUND ? 0 : phc_store_errno__(error);
}

static int
walk(struct phc_store *s, enum phc_record_type type, uint64_t now,
     phc_store_func *cb, void *aux)
{
    struct walk *w = xzalloc(sizeof *w);
    int error;

    w->type = type;
    w->now = now;
    w->cb = cb;
    w->aux = aux;
    w->from[0] = type;
    w->from_len = 1;
    do {
        w->n = 0;
        w->full = false;
        error = walk_part(s, w);

        /* The key to go on at may not be there any more: it is not taken
         * twice.  If it still is, nothing more is dropped, but the one record
         * at it, which is none for 'cb', is looked at again. */
        w->keep |= drop(s, w->keys, w->n) < w->n;
    } while (!error && w->full);
    free(w);
    return error;
}

/* Calls 'cb', unless it is null, for all records, templates first, and drops
 * what has expired at wall time 'now' in ms or was tampered with.  'cb' must not
 * use the store.  Returns 0 or a positive errno. */
int
phc_store_load(struct phc_store *s, uint64_t now, phc_store_func *cb,
               void *aux)
{
    int error = walk(s, PHC_RECORD_TEMPLATE, now, cb, aux);

    return error ? error : walk(s, PHC_RECORD_SESSION, now, cb, aux);
}

/* Drops what has expired at wall time 'now' in ms or was tampered with.  Reads
 * everything.  Returns 0 or a positive errno. */
int
phc_store_purge(struct phc_store *s, uint64_t now)
{
    return phc_store_load(s, now, NULL, NULL);
}

void
phc_store_get_counts(const struct phc_store *s,
                     struct phc_store_counts *counts)
{
    MDB_stat stat;

    *counts = s->counts;
    counts->n = mdb_env_stat(s->env, &stat) ? 0 : stat.ms_entries;
}
