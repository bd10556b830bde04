/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/session/gossip-keys.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "util.h"

static bool
keyring_has(const struct gossip_keyring *ring,
            const uint8_t key[GOSSIP_KEY_SIZE])
{
    for (size_t i = 0; i < ring->n; i++) {
        if (!memcmp(ring->keys[i], key, GOSSIP_KEY_SIZE)) {
            return true;
        }
    }
    return false;
}

/* Reads the 'n' characters of 'line', trimmed, as a key.  What is wrong with
 * it is said without repeating it: it is a secret. */
static const char *
parse_key(const char *line, size_t n, uint8_t key[GOSSIP_KEY_SIZE])
{
    if (n != 2 * GOSSIP_KEY_SIZE) {
        return "a key has 64 hexadecimal digits";
    }
    for (size_t i = 0; i < GOSSIP_KEY_SIZE; i++) {
        bool ok;

        key[i] = hexits_value(line + 2 * i, 2, &ok);
        if (!ok) {
            return "not a hexadecimal digit";
        }
    }
    return NULL;
}

static const char *
take_line(const char *line, size_t n, struct gossip_keyring *ring)
{
    const char *comment = memchr(line, '#', n);
    uint8_t key[GOSSIP_KEY_SIZE];
    const char *error;

    n = comment ? comment - line : n;
    while (n && isspace((unsigned char) *line)) {
        line++;
        n--;
    }
    while (n && isspace((unsigned char) line[n - 1])) {
        n--;
    }
    if (!n) {
        return NULL;
    }
    error = parse_key(line, n, key);
    if (error) {
        return error;
    } else if (keyring_has(ring, key)) {
        return "this key is there already";
    } else if (ring->n == GOSSIP_KEYRING_MAX) {
        return "too many keys";
    }
    memcpy(ring->keys[ring->n++], key, sizeof key);
    return NULL;
}

/* Reads a keyring from the 'n' characters of 'text'.  Returns null, or what is
 * wrong with it, to be freed by the caller; '*ring' is then not defined. */
char *
gossip_keyring_parse(const char *text, size_t n, struct gossip_keyring *ring)
{
    const char *end = text + n;
    int line_number = 0;

    memset(ring, 0, sizeof *ring);
    while (text < end) {
        const char *eol = memchr(text, '\n', end - text);
        size_t len = (eol ? eol : end) - text;
        const char *error = take_line(text, len, ring);

        line_number++;
        if (error) {
            return xasprintf("line %d: %s", line_number, error);
        }
        text += len + 1;
    }
    return ring->n ? NULL : xstrdup("no key in it");
}

/* Makes the keys of 'seal', which are those of 'old', those of 'new'.  At no
 * time is a key missing that is in both. */
void
gossip_keyring_apply(struct gossip_seal *seal,
                     const struct gossip_keyring *old,
                     const struct gossip_keyring *new)
{
    /* But the first, which is in use. */
    for (size_t i = 1; i < old->n; i++) {
        if (!keyring_has(new, old->keys[i])) {
            gossip_seal_remove_key(seal, old->keys[i]);
        }
    }
    for (size_t i = 0; i < new->n; i++) {
        gossip_seal_add_key(seal, new->keys[i]);
    }
    gossip_seal_use_key(seal, new->keys[0]);
    if (old->n && !keyring_has(new, old->keys[0])) {
        gossip_seal_remove_key(seal, old->keys[0]);
    }
}
