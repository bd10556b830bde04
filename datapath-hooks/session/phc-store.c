/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/session/phc-store.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datapath-hooks/session/phc-check.h"
#include "openvswitch/vlog.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(phc_store);

enum {
    KEY_LEN = 32,
    MAC_LEN = 16,               /* Of the 32 bytes of the HMAC. */
    MAX_READERS = 8
};

struct phc_store {
    MDB_env *env;
    MDB_dbi dbi;
    size_t max_bytes;
    EVP_MAC_CTX *mac;           /* Has the key. */
    struct phc_store_counts counts;     /* But for 'n'. */
};

static int
lmdb_errno(int error)
{
    return (error == MDB_MAP_FULL || error == MDB_TXN_FULL ? ENOSPC
            : error == MDB_NOTFOUND ? ENOENT
            : error < 0 ? EIO : error);
}

/* Files. */

/* Opens 'path' for reading and writing, mode 0600, and makes it if need be.
 * Refuses what belongs to somebody else or is no file.  Stores a descriptor. */
static int
open_private(const char *path, int *fdp, char **errorp)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat st;

    if (fd < 0 || fstat(fd, &st)) {
        int error = errno;

        *errorp = xasprintf("%s: %s", path, ovs_strerror(error));
        if (fd >= 0) {
            close(fd);
        }
        return error;
    }
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid()
        || (st.st_mode & 077 && fchmod(fd, 0600))) {
        *errorp = xasprintf("%s: not a file of this user, mode 0600", path);
        close(fd);
        return EPERM;
    }
    *fdp = fd;
    return 0;
}

/* Reads the key from 'path'; makes one if the file is empty. */
static int
read_key(const char *path, uint8_t key[KEY_LEN], char **errorp)
{
    ssize_t n;
    int fd, error = open_private(path, &fd, errorp);

    if (error) {
        return error;
    }
    n = read(fd, key, KEY_LEN);
    if (!n) {
        n = (RAND_bytes(key, KEY_LEN) == 1 ? write(fd, key, KEY_LEN) : -1);
        if (n != KEY_LEN || fsync(fd)) {
            error = errno ? errno : EIO;
            *errorp = xasprintf("%s: cannot write a key", path);
            ignore(ftruncate(fd, 0));
        }
    } else if (n != KEY_LEN) {
        error = EINVAL;
        *errorp = xasprintf("%s: not a key of %d bytes", path, KEY_LEN);
    }
    close(fd);
    return error;
}

static int
set_key(struct phc_store *s, const char *path, char **errorp)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                         CONST_CAST(char *, "SHA256"), 0),
        OSSL_PARAM_construct_end()
    };
    uint8_t key[KEY_LEN];
    EVP_MAC *mac;
    int error = read_key(path, key, errorp);

    if (error) {
        return error;
    }
    mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    s->mac = mac ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac);
    if (!s->mac || !EVP_MAC_init(s->mac, key, sizeof key, params)) {
        *errorp = xstrdup("HMAC is not to be had from OpenSSL");
        error = ENOTSUP;
    }
    OPENSSL_cleanse(key, sizeof key);
    return error;
}

/* Checks the file; moves it aside if it is not sound. */
static int
check_file(struct phc_store *s, const char *path, char **errorp)
{
    struct stat st;
    const char *why;
    int fd, error;

    error = open_private(path, &fd, errorp);
    if (error) {
        return error;
    }
    if (fstat(fd, &st)) {
        error = errno;
    } else if (st.st_size && phc_check_fd(fd, &why)) {
        char *aside = xasprintf("%s.corrupt", path);
        char *lock = xasprintf("%s-lock", path);

        VLOG_ERR("%s: damaged (%s): moved to %s, going on without",
                 path, why, aside);
        error = rename(path, aside) ? errno : 0;
        unlink(lock);
        s->counts.replaced++;
        free(aside);
        free(lock);
    }
    if (error) {
        *errorp = xasprintf("%s: %s", path, ovs_strerror(error));
    }
    close(fd);
    return error;
}

static int
open_env(struct phc_store *s, const struct phc_store_config *config)
{
    MDB_txn *txn;
    int error = mdb_env_create(&s->env);

    if (error) {
        s->env = NULL;
        return error;
    }
    s->max_bytes = config->max_bytes;
    mdb_env_set_mapsize(s->env, s->max_bytes);
    mdb_env_set_maxreaders(s->env, MAX_READERS);
    error = mdb_env_open(s->env, config->path,
                         MDB_NOSUBDIR | MDB_NOMETASYNC | MDB_NOTLS
                         | MDB_NORDAHEAD, 0600);
    if (!error) {
        error = mdb_txn_begin(s->env, NULL, 0, &txn);
    }
    if (!error) {
        error = mdb_dbi_open(txn, NULL, 0, &s->dbi);
        if (!error) {
            error = mdb_txn_commit(txn);
        } else {
            mdb_txn_abort(txn);
        }
    }
    return error;
}

/* Opens the store.  Returns 0, or a positive errno and in '*errorp' what is
 * wrong, which the caller frees. */
int
phc_store_open(const struct phc_store_config *config,
               struct phc_store **storep, char **errorp)
{
    struct phc_store *s = xzalloc(sizeof *s);
    int error = set_key(s, config->key_path, errorp);

    *storep = NULL;
    if (!error) {
        error = check_file(s, config->path, errorp);
    }
    if (!error) {
        int lmdb_error = open_env(s, config);

        if (lmdb_error) {
            *errorp = xasprintf("%s: %s", config->path,
                                mdb_strerror(lmdb_error));
            error = lmdb_errno(lmdb_error);
        }
    }
    if (error) {
        phc_store_close(s);
        return error;
    }
    *errorp = NULL;
    *storep = s;
    return 0;
}

void
phc_store_close(struct phc_store *s)
{
    if (s) {
        if (s->env) {
            mdb_env_sync(s->env, 1);
            mdb_env_close(s->env);
        }
        EVP_MAC_CTX_free(s->mac);
        free(s);
    }
}

/* Records. */

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

    if (mdb_env_info(s->env, &info) || mdb_env_stat(s->env, &stat)) {
        return false;
    }
    pages = s->max_bytes / stat.ms_psize;
    used = info.me_last_pgno + 1 + pages / 8;
    if (used <= pages) {
        return true;
    }

    /* Database 0 has, by transaction, lists of pages that are free again. */
    if (mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn)) {
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
    if (error) {
        s->counts.errors++;
        return lmdb_errno(error);
    }
    for (size_t i = 0; i < n; i++) {
        *(changes[i].delete ? &s->counts.deletes : &s->counts.puts) += 1;
    }
    return 0;
}

/* Deletes the keys 'keys', if they are there, in one transaction. */
static int
delete_keys(struct phc_store *s, const MDB_val *keys, size_t n)
{
    MDB_txn *txn;
    int error = mdb_txn_begin(s->env, NULL, 0, &txn);

    if (error) {
        return error;
    }
    for (size_t i = 0; i < n; i++) {
        MDB_val key = keys[i];

        error = mdb_del(txn, s->dbi, &key, NULL);
        if (error && error != MDB_NOTFOUND) {
            mdb_txn_abort(txn);
            return error;
        }
    }
    error = mdb_txn_commit(txn);
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
        } else if (lmdb_errno(error) == ENOSPC && !grown) {
            grown = true;
            mdb_env_set_mapsize(s->env, s->max_bytes + s->max_bytes / 8);
        } else if (lmdb_errno(error) == ENOSPC && k > 1) {
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
    if (!error) {
        error = mdb_get(txn, s->dbi, &key, &value);
        ok = !error && take_record(s, &key, &value, r);
        mdb_txn_abort(txn);
    }
    if (error) {
        return lmdb_errno(error);
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
        return lmdb_errno(error);
    }
    error = mdb_cursor_open(txn, s->dbi, &cursor);
    if (!error) {
        for (error = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
             !error && key.mv_size && *(uint8_t *) key.mv_data == w->type
             && !w->full;
             error = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
            struct phc_record r;

            if (!take_record(s, &key, &value, &r)
                || (w->type == PHC_RECORD_SESSION && r.expires <= w->now)) {
                walk_drop(w, &key);
            } else if (w->cb) {
                w->cb(&r, w->aux);
            }
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return error == MDB_NOTFOUND ? 0 : lmdb_errno(error);
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

/* Calls 'cb' for all records, templates first, and drops what has expired at
 * wall time 'now' in ms or was tampered with.  'cb' must not use the store.
 * Returns 0 or a positive errno. */
int
phc_store_load(struct phc_store *s, uint64_t now, phc_store_func *cb,
               void *aux)
{
    int error = walk(s, PHC_RECORD_TEMPLATE, now, cb, aux);

    return error ? error : walk(s, PHC_RECORD_SESSION, now, cb, aux);
}

/* Drops sessions that have expired at wall time 'now' in ms.  Reads them all.
 * Returns 0 or a positive errno. */
int
phc_store_purge(struct phc_store *s, uint64_t now)
{
    return walk(s, PHC_RECORD_SESSION, now, NULL, NULL);
}

void
phc_store_get_counts(const struct phc_store *s,
                     struct phc_store_counts *counts)
{
    MDB_stat stat;

    *counts = s->counts;
    counts->n = mdb_env_stat(s->env, &stat) ? 0 : stat.ms_entries;
}
