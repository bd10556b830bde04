/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* The file of the store, and the one with its key: how they are opened. */

#include <config.h>

#include "datapath-hooks/session/phc-store.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datapath-hooks/session/phc-check.h"
#include "datapath-hooks/session/phc-store-impl.h"
#include "openvswitch/vlog.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(phc_store);

enum {
    KEY_LEN = 32,
    MAX_READERS = 8
};

/* What an error of LMDB, or 0, is as a positive errno. */
int
phc_store_errno__(int error)
{
    return (error == MDB_MAP_FULL || error == MDB_TXN_FULL ? ENOSPC
            : error == MDB_NOTFOUND ? ENOENT
            : error < 0 ? EIO : error);
}

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
    } else if (st.st_size) {
        error = phc_check_fd(fd, &why);
    }
    if (error == EINVAL) {
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
            error = phc_store_errno__(lmdb_error);
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
