/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef GOSSIP_SEAL_H
#define GOSSIP_SEAL_H 1

/* Sealed datagrams: who may say something, and when
 * =================================================
 *
 * Gossip messages travel in AES-256-GCM (OpenSSL).  A datagram is
 *
 *     magic:1 version:1 flags:1 zero:1 key:4 sender:8 epoch:6 sequence:6
 *     ciphertext  tag:16
 *
 * 'key' names a key of the keyring (the start of a hash of it), 'sender' is
 * the host's number, 'epoch' the time at which it started, in ms since 1970,
 * larger than at any start before, and 'sequence' counts its datagrams from 1.
 *
 * Each start of each host has a key of its own, HMAC-SHA256 with the key of
 * the keyring over "ovs-ext gossip 1", sender and epoch, and 'sequence' is the
 * nonce.  So no nonce is used twice under a key, whoever else uses the same
 * keyring, and a datagram that claims another sender or epoch does not open.
 *
 * The additional data is the header followed by the *receiver's* number and
 * epoch, which the sender has to know.  A datagram therefore opens only at
 * the host and during the run that it was meant for: what was recorded is of
 * no use at another host, and of none at this host after a restart, when its
 * replay window is empty.  During the run, a window of 1024 sequence numbers
 * for each sender refuses what came before; a sender's later epoch starts a
 * new window with the first datagram bound to us, and an earlier epoch is
 * refused for good.
 *
 * Names come and go, windows are bounded.  If there is none left, the sender
 * that was not heard for the longest time gives up its own; its epoch and the
 * highest sequence number stay, and nothing up to those opens again.  Of 16
 * times as many senders even that becomes too much: then those that started
 * first are forgotten, and whoever is not known must have started later than
 * all that were.  A host that lives, was not heard for that long and is so
 * refused ("earlier-epoch") is heard again when it restarts.
 *
 * A host that starts knows no epoch.  It says HELLO with the flag JOIN, in
 * which case receiver and epoch are 0 in the additional data.  Such a datagram
 * must not change any state but be answered by one that is bound to the
 * sender's epoch.  A recorded HELLO brings forth one answer that only the host
 * that once said it could open, during that run.
 *
 * Rotation without loss: add the new key at all hosts, then use it at all,
 * then remove the old one.  Keys are told apart by 'key', windows do not
 * depend on them.
 *
 * Everything that does not open is counted by kind, and nothing else happens.
 *
 * Thread safety: none; a seal belongs to one thread at a time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GOSSIP_KEY_SIZE = 32,
    GOSSIP_MAX_KEYS = 8,
};

#define GOSSIP_MAX_EPOCH ((UINT64_C(1) << 48) - 1)

enum gossip_open_error {
    GOSSIP_OPEN_OK,
    GOSSIP_OPEN_TRUNCATED,      /* Shorter than header and tag. */
    GOSSIP_OPEN_OVERSIZED,      /* Larger than GOSSIP_RX_MTU. */
    GOSSIP_OPEN_FORMAT,         /* Magic, version or flags not ours. */
    GOSSIP_OPEN_SELF,           /* Claims to be from here. */
    GOSSIP_OPEN_KEY,            /* No such key, or not any more. */
    GOSSIP_OPEN_REPLAYED,       /* Seen before. */
    GOSSIP_OPEN_EPOCH,          /* Of an earlier epoch than seen before, or
                                 * than that of who was forgotten. */
    GOSSIP_OPEN_FORGED,         /* Does not open with the key it names. */
    GOSSIP_OPEN_N
};

struct gossip_seal;

/* The sender of a datagram. */
struct gossip_from {
    uint64_t host;
    uint64_t epoch;
    bool join;                  /* Not bound to us: only HELLO counts. */
};

struct gossip_seal *gossip_seal_create(uint64_t host, uint64_t epoch,
                                       size_t max_windows);
void gossip_seal_destroy(struct gossip_seal *);

int gossip_seal_add_key(struct gossip_seal *,
                        const uint8_t key[GOSSIP_KEY_SIZE]);
int gossip_seal_use_key(struct gossip_seal *,
                        const uint8_t key[GOSSIP_KEY_SIZE]);
int gossip_seal_remove_key(struct gossip_seal *,
                           const uint8_t key[GOSSIP_KEY_SIZE]);
size_t gossip_seal_n_keys(const struct gossip_seal *);
size_t gossip_seal_key_ids(const struct gossip_seal *,
                           uint32_t ids[GOSSIP_MAX_KEYS]);

size_t gossip_seal_close(struct gossip_seal *, uint64_t to_host,
                         uint64_t to_epoch, const void *payload, size_t n,
                         uint8_t *datagram);
enum gossip_open_error gossip_seal_open(struct gossip_seal *,
                                        const uint8_t *datagram, size_t n,
                                        struct gossip_from *,
                                        uint8_t *payload, size_t *payload_n);

const char *gossip_open_error_to_string(enum gossip_open_error);
uint64_t gossip_seal_count(const struct gossip_seal *, enum gossip_open_error);

#endif /* gossip-seal.h */
