/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/session/gossip-udp.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "openvswitch/poll-loop.h"
#include "packets.h"
#include "socket-util.h"
#include "timeval.h"
#include "util.h"

enum {
    BATCH = 32,
    MAX_BATCHES = 64,           /* Of one run. */
    RCVBUF = 4 << 20,
    READ_SIZE = GOSSIP_RX_MTU + 1, /* One more shows that it was larger. */
};

struct gossip_udp {
    int fd;
    struct gossip_addr addr;    /* That it is bound to. */
    bool ip6;                   /* Family of the socket. */
    bool more;                  /* A run ended with datagrams left. */
    struct gossip *g;
    struct gossip_seal *seal;
    struct gossip_udp_stats stats;
    struct gossip_addr refused[GOSSIP_OPEN_N];  /* Senders, the last ones. */
    void (*capture)(const void *, size_t, void *aux);
    void *capture_aux;
    uint8_t buffers[BATCH][READ_SIZE];
    struct sockaddr_storage froms[BATCH];
    struct iovec iovs[BATCH];
    struct mmsghdr msgs[BATCH];
};

/* Returns the length of '*ss', or 0 if the socket has no way to 'addr'. */
static socklen_t
to_sockaddr(const struct gossip_udp *u, const struct gossip_addr *addr,
            struct sockaddr_storage *ss)
{
    memset(ss, 0, sizeof *ss);
    if (u->ip6) {
        struct sockaddr_in6 *sin6 = ALIGNED_CAST(struct sockaddr_in6 *, ss);

        sin6->sin6_family = AF_INET6;
        sin6->sin6_port = htons(addr->port);
        memcpy(&sin6->sin6_addr, addr->ip, 16);
        return sizeof *sin6;
    } else {
        struct sockaddr_in *sin = ALIGNED_CAST(struct sockaddr_in *, ss);
        struct in6_addr ip;

        memcpy(&ip, addr->ip, sizeof ip);
        if (!IN6_IS_ADDR_V4MAPPED(&ip)) {
            return 0;
        }
        sin->sin_family = AF_INET;
        sin->sin_port = htons(addr->port);
        memcpy(&sin->sin_addr, addr->ip + 12, 4);
        return sizeof *sin;
    }
}

static void
from_sockaddr(const struct sockaddr_storage *ss, struct gossip_addr *addr)
{
    struct in6_addr ip = ss_get_address(ss);

    memcpy(addr->ip, &ip, sizeof addr->ip);
    addr->port = ss_get_port(ss);
}

static void
tx(void *u_, const struct gossip_to *to, const void *payload, size_t n)
{
    struct gossip_udp *u = u_;
    uint8_t datagram[GOSSIP_MTU];
    struct sockaddr_storage ss;
    size_t len = gossip_seal_close(u->seal, to->host, to->epoch, payload, n,
                                   datagram);

    if (!len) {
        u->stats.send_errors++;
        return;
    }
    socklen_t ss_len = to_sockaddr(u, &to->addr, &ss);
    if (!ss_len || sendto(u->fd, datagram, len, MSG_DONTWAIT,
               ALIGNED_CAST(struct sockaddr *, &ss), ss_len) < 0) {
        u->stats.send_errors++;         /* As good as lost. */
    } else {
        u->stats.sent++;
    }
}

static int
open_socket(struct gossip_udp *u, const struct gossip_addr *addr)
{
    int size = RCVBUF, off = 0, error;
    struct sockaddr_storage ss;

    u->ip6 = true;
    u->fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (u->fd < 0) {
        u->ip6 = false;
        u->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    }
    if (u->fd < 0) {
        return errno;
    }
    if (u->ip6) {
        setsockopt(u->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    if (setsockopt(u->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size)) {
        setsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    }
    socklen_t len = to_sockaddr(u, addr, &ss);
    if (!len || bind(u->fd, ALIGNED_CAST(struct sockaddr *, &ss), len)) {
        error = len ? errno : EAFNOSUPPORT;
        close(u->fd);
        return error;
    }
    set_nonblocking(u->fd);
    return 0;
}

/* Reads a number from 'fd'.  Returns false if there is none; an empty file
 * is 0. */
static bool
read_epoch(int fd, uint64_t *epoch)
{
    char text[32], *end;
    ssize_t n = pread(fd, text, sizeof text - 1, 0);

    if (n < 0) {
        return false;
    }
    text[n] = '\0';
    *epoch = 0;
    if (n) {
        errno = 0;
        *epoch = strtoull(text, &end, 10);
        return !errno && end > text && !strcmp(end, "\n")
               && *epoch < GOSSIP_MAX_EPOCH;
    }
    return true;
}

/* Stores an epoch to start with: 'now', ms since 1970, or more if the last one
 * that the file 'path' holds was not earlier, as after the clock was set back.
 * Writes it to that file, mode 0600, before it returns, so that no start
 * repeats one.  Returns null, or what is wrong, which the caller frees; then
 * the epoch is the best there is. */
char *
gossip_epoch_take(const char *path, uint64_t now, uint64_t *epoch)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                  0600);
    char *error = NULL;
    uint64_t last;
    char text[32];

    *epoch = now;
    if (fd < 0) {
        return xasprintf("%s: %s", path, ovs_strerror(errno));
    }
    if (!read_epoch(fd, &last)) {
        error = xasprintf("%s: not the time of the last start: written anew",
                          path);
    } else {
        *epoch = MAX(now, last + 1);
    }

    /* Never shorter than before, but for nonsense: a crash leaves a number. */
    int n = snprintf(text, sizeof text, "%015"PRIu64"\n", *epoch);
    if (fchmod(fd, 0600) || pwrite(fd, text, n, 0) != n || ftruncate(fd, n)
        || fsync(fd)) {
        free(error);
        error = xasprintf("%s: %s", path, ovs_strerror(errno));
    }
    close(fd);
    return error;
}

/* Opens a socket for 'listen', "ADDRESS:PORT", the address that others reach
 * us at.  Returns 0 and '*udpp', for gossip_udp_start() or
 * gossip_udp_destroy() and nothing else, or a positive errno and '*errorp',
 * which the caller frees. */
int
gossip_udp_open(const char *listen, struct gossip_udp **udpp, char **errorp)
{
    struct gossip_udp *u = xzalloc(sizeof *u);
    int error;

    *udpp = NULL;
    *errorp = NULL;
    if (!gossip_addr_parse(listen, &u->addr)) {
        *errorp = xasprintf("\"%s\" is not ADDRESS:PORT", listen);
        free(u);
        return EINVAL;
    }
    error = open_socket(u, &u->addr);
    if (error) {
        *errorp = xasprintf("%s: %s", listen, ovs_strerror(error));
        free(u);
        return error;
    }
    for (int i = 0; i < BATCH; i++) {
        u->iovs[i].iov_base = u->buffers[i];
        u->iovs[i].iov_len = READ_SIZE;
        u->msgs[i].msg_hdr.msg_iov = &u->iovs[i];
        u->msgs[i].msg_hdr.msg_iovlen = 1;
        u->msgs[i].msg_hdr.msg_name = &u->froms[i];
    }
    *udpp = u;
    return 0;
}

/* Starts to gossip as 'cfg' says.  Sets the members 'addr', 'tx' and 'tx_aux'
 * of '*cfg', and 'epoch' to the time if it is 0.  There is no key yet: add it
 * to gossip_udp_seal(). */
void
gossip_udp_start(struct gossip_udp *u, struct gossip_config *cfg)
{
    if (!cfg->epoch) {
        cfg->epoch = time_wall_msec();
    }
    cfg->addr = u->addr;
    cfg->tx = tx;
    cfg->tx_aux = u;
    u->seal = gossip_seal_create(gossip_host_id(cfg->name), cfg->epoch,
                                 cfg->max_members);
    u->g = gossip_create(cfg, time_msec());
}

void
gossip_udp_destroy(struct gossip_udp *u)
{
    if (u) {
        gossip_destroy(u->g);
        gossip_seal_destroy(u->seal);
        close(u->fd);
        free(u);
    }
}

/* Counts what opens but comes from elsewhere.  It is no reason to refuse it: a
 * host may have several addresses. */
static void
count_origin(struct gossip_udp *u, const struct gossip_from *from,
             const struct gossip_addr *addr)
{
    struct gossip_member_info info;

    if (!gossip_member(u->g, from->host, &info)) {
        u->stats.unknown++;
    } else if (!gossip_addr_equal(&info.addr, addr)) {
        u->stats.strangers++;
    }
}

static void
receive(struct gossip_udp *u, const uint8_t *datagram, size_t n,
        const struct sockaddr_storage *ss)
{
    uint8_t payload[GOSSIP_RX_PAYLOAD_MAX];
    enum gossip_open_error error;
    struct gossip_from from;
    struct gossip_addr addr;
    size_t payload_n;

    u->stats.received++;
    if (u->capture) {
        u->capture(datagram, n, u->capture_aux);
    }
    from_sockaddr(ss, &addr);
    error = gossip_seal_open(u->seal, datagram, n, &from, payload, &payload_n);
    if (error) {
        u->refused[error] = addr;
    } else {
        count_origin(u, &from, &addr);
        gossip_receive(u->g, time_msec(), &from, &addr, payload, payload_n);
    }
}

/* Reads what has come and does what is due. */
void
gossip_udp_run(struct gossip_udp *u)
{
    u->more = false;
    for (int batch = 0; batch < MAX_BATCHES; batch++) {
        int n;

        for (int i = 0; i < BATCH; i++) {
            u->msgs[i].msg_hdr.msg_namelen = sizeof u->froms[i];
        }
        n = recvmmsg(u->fd, u->msgs, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++) {
            receive(u, u->buffers[i], u->msgs[i].msg_len, &u->froms[i]);
        }
        if (n < BATCH) {
            break;
        }
        u->more = batch == MAX_BATCHES - 1;
    }
    if (gossip_next(u->g) <= time_msec()) {
        gossip_run(u->g, time_msec());
    }
}

void
gossip_udp_wait(struct gossip_udp *u)
{
    if (u->more) {
        poll_immediate_wake();
        return;
    }
    poll_fd_wait(u->fd, POLLIN);
    poll_timer_wait_until(gossip_next(u->g));
}

struct gossip *
gossip_udp_gossip(struct gossip_udp *u)
{
    return u->g;
}

struct gossip_seal *
gossip_udp_seal(struct gossip_udp *u)
{
    return u->seal;
}

void
gossip_udp_get_stats(const struct gossip_udp *u,
                     struct gossip_udp_stats *stats)
{
    *stats = u->stats;
}

/* Where the last datagram that did not open because of 'error' said it was
 * from; port 0 if there was none. */
const struct gossip_addr *
gossip_udp_refused(const struct gossip_udp *u, enum gossip_open_error error)
{
    return &u->refused[error];
}

/* Calls 'cb' with each datagram as it comes, for tests. */
void
gossip_udp_capture(struct gossip_udp *u,
                   void (*cb)(const void *, size_t, void *aux), void *aux)
{
    u->capture = cb;
    u->capture_aux = aux;
}
