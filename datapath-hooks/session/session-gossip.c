/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* The agent's gossip: socket, keyring, members, and what others say. */

#include <config.h>

#include "datapath-hooks/session/session-agent.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datapath-hooks/session/gossip-udp.h"
#include "dirs.h"
#include "entropy.h"
#include "openssl/crypto.h"
#include "openvswitch/vlog.h"
#include "ovs-ext/session/gossip-keys.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(session_gossip);

enum {
    RETRY_MS = 250,             /* After what did not work: the address may
                                 * come right after the daemon. */
    LOOK_MS = 1000,             /* Between looks at the keyring file. */
    HELLO_MS = 1000,
    HELLOS = 16,                /* At a time. */
    LEAVE_ROUNDS = 4,
    EPOCHS_MS = 2000,           /* Between looks for who is refused. */
    EPOCHS_ROUNDS = 3
};

/* As the session system needs it: many records at once, when a backend is
 * drained, soon everywhere. */
enum {
    MAX_QUEUE = 65536,
    MAX_MEMBERS = 1024,
    SPREAD_MS = 20,
    FANOUT = 48,
    MAX_RATE = 8 * 1000 * 1000
};

/* What tells one version of a file from another. */
struct signature {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime;
};

static struct gossip_udp *udp;
static char *udp_listen, *udp_name;     /* What 'udp' was created for. */
static struct gossip_keyring ring;      /* In force. */
static char *ring_path;
static struct signature ring_signature; /* Of the file that was read last. */
static long long int next_try, next_look, next_hello;
static size_t hello_at;                 /* In the fleet's hosts. */
static uint64_t refused;                /* For their key, as last said. */
static long long int next_epochs;
static uint64_t n_epochs;               /* Refused for it, as last seen. */
static int epochs_rounds;               /* Looks in a row that saw some. */

/* What is wrong, as said in the log; or null. */
static char *udp_error, *ring_error, *epoch_error;

/* Notes what is wrong with 'what' now, null for nothing, and says so if that
 * is new.  Takes over 'error'. */
static void
note(char **slot, char *error, const char *what)
{
    if (error) {
        char *s = xasprintf("%s: %s", what, error);

        free(error);
        error = s;
    }
    if (error && (!*slot || strcmp(error, *slot))) {
        VLOG_WARN("%s", error);
    } else if (!error && *slot) {
        VLOG_INFO("%s: in use again", what);
    }
    free(*slot);
    *slot = error;
}

/* Reads the keyring in 'path'.  Returns null, or what is wrong. */
static char *
read_keyring(const char *path, struct gossip_keyring *new)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *text = NULL, *error = NULL;
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st)) {
        error = xstrdup(ovs_strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        error = xstrdup("not a regular file");
    } else if (st.st_mode & (S_IRWXG | S_IRWXO)) {
        error = xasprintf("others than its owner may access it (mode %03o), "
                          "which keys do not allow",
                          (unsigned int) st.st_mode & 0777);
    } else if (st.st_size > GOSSIP_KEYRING_MAX_FILE) {
        error = xstrdup("too large for a keyring");
    } else {
        text = xmalloc(GOSSIP_KEYRING_MAX_FILE);
        n = read(fd, text, GOSSIP_KEYRING_MAX_FILE);
        error = (n < 0 ? xstrdup(ovs_strerror(errno))
                 : gossip_keyring_parse(text, n, new));
        OPENSSL_cleanse(text, GOSSIP_KEYRING_MAX_FILE);
    }
    free(text);
    if (fd >= 0) {
        close(fd);
    }
    return error;
}

/* Reads the keyring again if the file is another one, or has changed.  What is
 * wrong with it leaves the last good one in force. */
static void
look_at_keyring(void)
{
    const char *path = session_ag.local.keys;
    struct signature signature;
    struct gossip_keyring new;
    struct stat st;
    char *error;

    memset(&signature, 0, sizeof signature);
    if (!stat(path, &st)) {
        signature.dev = st.st_dev;
        signature.ino = st.st_ino;
        signature.size = st.st_size;
        signature.mtime = st.st_mtim;
    }
    if (ring_path && !strcmp(path, ring_path) && !ring_error
        && !memcmp(&signature, &ring_signature, sizeof signature)) {
        return;
    }
    free(ring_path);
    ring_path = xstrdup(path);
    ring_signature = signature;
    error = read_keyring(path, &new);
    note(&ring_error, error, path);
    if (!error) {
        if (memcmp(&new, &ring, sizeof new)) {
            VLOG_INFO("%s: %"PRIuSIZE" keys", path, new.n);
        }
        if (udp) {
            gossip_keyring_apply(gossip_udp_seal(udp), &ring, &new);
        }
        ring = new;
    }
    OPENSSL_cleanse(&new, sizeof new);
}

void
session_group_key(uint64_t backend, uint8_t key[SESSION_GROUP_KEY])
{
    key[0] = 'B';
    gossip_put(key + 1, backend, 8);
}

bool
session_group_from_key(const uint8_t *key, size_t len, uint64_t *backend)
{
    if (len == SESSION_GROUP_KEY && key[0] == 'B') {
        *backend = gossip_get(key + 1, 8);
        return true;
    }
    return false;
}

/* A host says where a session or a backend is. */
static void
take_session(const struct gossip_record *r, bool expired)
{
    struct gossip_session_value value;
    struct sess_key key;
    uint64_t backend;

    if (session_group_from_key(r->key, r->key_len, &backend)) {
        session_ag.places_changed = true;
    } else if (gossip_session_decode(r, &value)
               && gossip_key_decode(r->key, r->key_len, &key)) {
        if (expired || value.closed) {
            session_cache_remove(&key);
        } else {
            session_cache_put(&key, value.host, r->ttl, time_msec());
        }
    }
}

static void
changed(void *aux OVS_UNUSED, const struct gossip_record *r, bool expired)
{
    switch ((enum gossip_class) r->class) {
    case GOSSIP_MEMBER:
        session_ag.places_changed = true;
        break;
    case GOSSIP_SESSION:
        take_session(r, expired);
        break;
    case GOSSIP_HINT:
        session_ag.hints_changed = true;
        break;
    case GOSSIP_LOAD:
    case GOSSIP_N_CLASSES:
    default:
        break;
    }
}

static void
destroy(void)
{
    gossip_udp_destroy(udp);
    udp = NULL;
    free(udp_listen);
    free(udp_name);
    udp_listen = udp_name = NULL;
}

/* The number of this start: larger than that of any before. */
static uint64_t
take_epoch(void)
{
    const char *dir = session_ag.local.dir ? session_ag.local.dir
                      : ovs_dbdir();
    char *path = xasprintf("%s/ovs-ext-gossip.epoch", dir);
    uint64_t epoch;

    note(&epoch_error, gossip_epoch_take(path, time_wall_msec(), &epoch),
         "gossip relies on the clock");
    free(path);
    return epoch;
}

/* Whether the socket there is has the address 'listen', which nobody else can
 * have then. */
static bool
holds(const char *listen)
{
    struct gossip_addr a, b;

    return (udp && gossip_addr_parse(listen, &a)
            && gossip_addr_parse(udp_listen, &b) && gossip_addr_equal(&a, &b));
}

/* What was heard is to be heard again before it counts as all there is. */
static void
start_over(long long int now)
{
    session_ag.ready = false;
    session_ag.active_since = now;
    session_ag.joined_at = 0;
    if (udp) {
        destroy();
    }
}

/* Has 'new' gossip as is configured now.  Only here, after all that may fail,
 * an epoch is taken: that writes to the disk. */
static void
start(struct gossip_udp *new)
{
    static const struct gossip_keyring none;
    struct gossip_config cfg;

    gossip_config_init(&cfg);
    ovs_strlcpy(cfg.name, session_ag.host, sizeof cfg.name);
    cfg.epoch = take_epoch();
    get_entropy(&cfg.seed, sizeof cfg.seed);
    cfg.changed = changed;
    cfg.max_records = SESSION_MAX_RECORDS;
    cfg.max_queue = MAX_QUEUE;
    cfg.max_members = MAX_MEMBERS;
    cfg.spread_interval = SPREAD_MS;
    cfg.fanout = FANOUT;
    cfg.max_rate = MAX_RATE;
    gossip_udp_start(new, &cfg);
    gossip_keyring_apply(gossip_udp_seal(new), &none, &ring);
    udp = new;
    udp_listen = xstrdup(session_ag.local.gossip);
    udp_name = xstrdup(session_ag.host);
    session_ag.places_changed = true;
    refused = n_epochs = 0;
    epochs_rounds = 0;
    next_hello = 0;
    VLOG_INFO("%s gossips at %s", udp_name, udp_listen);
}

/* Opens a socket for what is configured now, in place of the one there is, if
 * that works.  What was heard stays in force until it has been heard again. */
static void
create(long long int now)
{
    const char *listen = session_ag.local.gossip;
    struct gossip_udp *new;
    char *error;

    if (holds(listen)) {
        /* Another name for this host. */
        start_over(now);
    }
    gossip_udp_open(listen, &new, &error);
    note(&udp_error, error, "external_ids:ovs-ext-gossip");
    if (new) {
        start_over(now);
        start(new);
    }
}

bool
session_gossip_start(long long int now)
{
    if (!session_ag.local.host) {
        return false;
    }
    if (now >= next_look) {
        next_look = now + LOOK_MS;
        look_at_keyring();
    }
    if (ring.n && now >= next_try
        && (!udp || strcmp(udp_listen, session_ag.local.gossip)
            || strcmp(udp_name, session_ag.host))) {
        next_try = now + RETRY_MS;
        create(now);
    }
    return udp != NULL;
}

/* Takes leave, too. */
void
session_gossip_stop(void)
{
    if (udp) {
        struct gossip *g = gossip_udp_gossip(udp);
        long long int now = time_msec();

        gossip_leave(g);
        for (int i = 0; i < LEAVE_ROUNDS; i++) {
            gossip_run(g, now += SPREAD_MS);
        }
        destroy();
    }
    OPENSSL_cleanse(&ring, sizeof ring);
    free(ring_path);
    free(udp_error);
    free(ring_error);
    free(epoch_error);
    ring_path = udp_error = ring_error = epoch_error = NULL;
    next_try = next_look = 0;
}

/* Says HELLO to some hosts of the fleet that should be members.  Gossip itself
 * does so only as long as it knows nobody; but two parts of a fleet may have
 * found themselves at first.  A row may be of a name that a host had before:
 * what gossip does not greet counts as well, so that the turn of all comes. */
static void
say_hello(struct gossip *g, long long int now)
{
    const struct sess_fleet *fleet = &session_ag.fleet;
    int n = 0;

    if (now < next_hello) {
        return;
    }
    next_hello = now + HELLO_MS;
    for (size_t i = 0; i < fleet->n_hosts && n < HELLOS; i++) {
        const struct sess_host *h
            = &fleet->hosts[hello_at++ % fleet->n_hosts];

        if (h->id != session_ag.self && h->gossip.port
            && !session_gossip_is_alive(h->id)) {
            gossip_say_hello(g, &h->gossip);
            n++;
        }
    }
}

/* Says who has another key. */
static void
watch_refused(void)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 1);
    struct gossip_seal *seal = gossip_udp_seal(udp);
    uint64_t n = gossip_seal_count(seal, GOSSIP_OPEN_KEY);

    if (n != refused && !VLOG_DROP_WARN(&rl)) {
        char *from = gossip_addr_to_string(
            gossip_udp_refused(udp, GOSSIP_OPEN_KEY));

        VLOG_WARN("%s: refused %"PRIu64" datagrams, the last from %s, sealed "
                  "with a key that is not in this host's keyring",
                  ring_path, n - refused, from);
        refused = n;
        free(from);
    }
}

/* Says who goes on with an epoch that is over, which is a host whose clock was
 * set back and whose file of the last epoch is lost.  After each restart some
 * datagrams are late: they are not worth it. */
static void
watch_epochs(long long int now)
{
    uint64_t n = gossip_seal_count(gossip_udp_seal(udp), GOSSIP_OPEN_EPOCH);

    if (now < next_epochs) {
        return;
    }
    next_epochs = now + EPOCHS_MS;
    if (n == n_epochs) {
        epochs_rounds = 0;
    } else if (++epochs_rounds == EPOCHS_ROUNDS) {
        char *from = gossip_addr_to_string(
            gossip_udp_refused(udp, GOSSIP_OPEN_EPOCH));

        VLOG_WARN("%s is refused: it started earlier than another run with "
                  "its name (is its clock right, its name its own?)", from);
        free(from);
    }
    n_epochs = n;
}

void
session_gossip_run(long long int now, bool due)
{
    if (udp) {
        if (due) {
            say_hello(gossip_udp_gossip(udp), now);
            watch_refused();
            watch_epochs(now);
        }
        gossip_udp_run(udp);
    }
}

void
session_gossip_wait(void)
{
    if (udp) {
        gossip_udp_wait(udp);
    }
}

struct gossip *
session_gossip(void)
{
    return udp ? gossip_udp_gossip(udp) : NULL;
}

/* Whether 'host' lives, as far as this one knows. */
bool
session_gossip_is_alive(uint64_t host)
{
    struct gossip_member_info info;

    return (host == session_ag.self
            || (udp && gossip_member(gossip_udp_gossip(udp), host, &info)
                && (info.state == GOSSIP_ALIVE
                    || info.state == GOSSIP_SUSPECT)));
}

const struct gossip_udp *
session_gossip_udp(const char **listen, const char **keyring,
                   const char **error)
{
    *listen = udp_listen;
    *keyring = ring_path;
    *error = udp_error ? udp_error : ring_error;
    return udp;
}
