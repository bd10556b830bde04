/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/nic-model/extnic-link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "datapath-hooks/nic-model/extnic-clock.h"
#include "datapath-hooks/nic-model/extnic-source.h"

static struct extnic_link *links;

static bool
try_lock(struct extnic_link *link)
{
    return !__atomic_exchange_n(&link->lock, 1, __ATOMIC_ACQUIRE);
}

static void
lock(struct extnic_link *link)
{
    while (!try_lock(link)) {
        usleep(10);
    }
}

static void
unlock(struct extnic_link *link)
{
    __atomic_store_n(&link->lock, 0, __ATOMIC_RELEASE);
}

static void
init_page(struct extnic_shm *shm, uint32_t window_us)
{
    shm->hdr.version = EXTNIC_SHM_VERSION;
    shm->hdr.size = sizeof *shm;
    shm->hdr.tsc_hz = rte_get_tsc_hz();
    shm->hdr.pid = getpid();
    shm->hdr.epoch = 1;
    shm->hdr.window_us = window_us;
    __atomic_store_n(&shm->hdr.magic, EXTNIC_SHM_MAGIC, __ATOMIC_RELEASE);
}

/* Opens 'path', which must be new, empty, or a page of an earlier process. */
static int
map_page(const char *path, struct extnic_shm **shmp, char *error, size_t size)
{
    uint64_t magic = 0;
    struct stat st;
    void *p;
    int err;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0 || fstat(fd, &st)) {
        err = errno;
        snprintf(error, size, "stat=%s: %s", path, strerror(err));
        if (fd >= 0) {
            close(fd);
        }
        return err;
    }
    if (!S_ISREG(st.st_mode)
        || (st.st_size && (read(fd, &magic, sizeof magic) != sizeof magic
                           || magic != EXTNIC_SHM_MAGIC))) {
        snprintf(error, size, "stat=%s: exists and is no statistics page of "
                 "the NIC model", path);
        close(fd);
        return EEXIST;
    }
    if (ftruncate(fd, 0) || ftruncate(fd, sizeof **shmp)
        || (p = mmap(NULL, sizeof **shmp, PROT_READ | PROT_WRITE, MAP_SHARED,
                     fd, 0)) == MAP_FAILED) {
        err = errno;
        snprintf(error, size, "stat=%s: %s", path, strerror(err));
        close(fd);
        return err;
    }
    close(fd);
    *shmp = p;
    return 0;
}

int
extnic_link_get(const char *path, uint32_t window_us,
                struct extnic_link **linkp, char *error, size_t error_size)
{
    struct extnic_link *link;

    for (link = links; link; link = link->next) {
        if (!strcmp(link->path, path)) {
            *linkp = link;
            return 0;
        }
    }

    link = calloc(1, sizeof *link);
    if (!link) {
        snprintf(error, error_size, "out of memory");
        return ENOMEM;
    }
    int err = map_page(path, &link->shm, error, error_size);
    if (err) {
        free(link);
        return err;
    }
    extnic_clock_init(rte_get_tsc_hz());
    init_page(link->shm, window_us);
    snprintf(link->path, sizeof link->path, "%s", path);
    link->next = links;
    links = link;
    *linkp = link;
    return 0;
}

int
extnic_link_add_source(struct extnic_link *link,
                       struct extnic_source *source, uint32_t n_flows)
{
    for (int slot = 0; slot < EXTNIC_MAX_PORTS; slot++) {
        if (link->sources[slot]) {
            continue;
        }
        if (n_flows > link->n_order[slot]) {
            /* A sink may be using the old array: it is not freed. */
            struct extnic_order *order = calloc(n_flows, sizeof *order);

            if (!order) {
                return -1;
            }
            __atomic_store_n(&link->order[slot], order, __ATOMIC_RELEASE);
            __atomic_store_n(&link->n_order[slot], n_flows,
                             __ATOMIC_RELEASE);
        }
        lock(link);
        link->sources[slot] = source;
        link->shm->hdr.epoch++;
        unlock(link);
        link->shm->source[slot].in_use = 1;
        return slot;
    }
    return -1;
}

void
extnic_link_remove_source(struct extnic_link *link, int slot)
{
    lock(link);
    link->sources[slot] = NULL;
    unlock(link);
    link->shm->source[slot].in_use = 0;
}

int
extnic_link_add_sink(struct extnic_link *link)
{
    for (int slot = 0; slot < EXTNIC_MAX_PORTS; slot++) {
        if (!link->sinks[slot]) {
            link->sinks[slot] = true;
            link->shm->sink[slot].in_use = 1;
            return slot;
        }
    }
    return -1;
}

void
extnic_link_remove_sink(struct extnic_link *link, int slot)
{
    link->sinks[slot] = false;
    link->shm->sink[slot].in_use = 0;
}

uint32_t
extnic_link_row(uint32_t *next)
{
    return *next < EXTNIC_N_ROWS ? ++*next : 0;
}

static void
new_epoch(struct extnic_link *link)
{
    struct extnic_shm_hdr *hdr = &link->shm->hdr;

    hdr->paused0 = hdr->paused = extnic_clock_paused();
    hdr->pauses0 = hdr->pauses = extnic_clock.pauses;
    __atomic_store_n(&hdr->epoch, hdr->epoch + 1, __ATOMIC_RELEASE);
}

static int
execute(struct extnic_link *link, const struct extnic_shm_cmd *cmd)
{
    struct extnic_shm_hdr *hdr = &link->shm->hdr;
    bool any = false;

    for (int i = 0; i < EXTNIC_MAX_PORTS; i++) {
        any = any || link->sources[i];
    }
    if (!any) {
        return ENODEV;
    }

    switch (cmd->op) {
    case EXTNIC_OP_START:
        hdr->t0 = rte_rdtsc() - extnic_clock_paused();
        new_epoch(link);
        hdr->state = EXTNIC_RUNNING;
        break;
    case EXTNIC_OP_STOP:
        hdr->state = hdr->state == EXTNIC_IDLE ? EXTNIC_IDLE : EXTNIC_STOPPED;
        break;
    case EXTNIC_OP_RESET:
        new_epoch(link);
        return 0;
    case EXTNIC_OP_RATE:
        break;
    default:
        return EINVAL;
    }
    int err = 0;
    for (int i = 0; i < EXTNIC_MAX_PORTS; i++) {
        if (link->sources[i]) {
            int e = extnic_source_command(link->sources[i], cmd);

            err = err ? err : e;
        }
    }
    return err;
}

void
extnic_link_command__(struct extnic_link *link)
{
    struct extnic_shm_cmd *cmd = &link->shm->cmd;

    if (!try_lock(link)) {
        return;
    }
    uint32_t gen = __atomic_load_n(&cmd->gen, __ATOMIC_ACQUIRE);
    if (gen != link->cmd_seen) {
        cmd->error = execute(link, cmd);
        __atomic_store_n(&link->cmd_seen, gen, __ATOMIC_RELAXED);
        __atomic_store_n(&cmd->ack, gen, __ATOMIC_RELEASE);
    }
    unlock(link);
}
