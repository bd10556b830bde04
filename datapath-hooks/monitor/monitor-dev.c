/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* DPDK devices other than NICs: crypto, dma, event, bb, raw, regex, gpu.
 *
 * A table of classes, each with a function that finds its devices and one that
 * reads one of them.  They only ask for information and statistics; nothing is
 * configured or sent to a device, since it may belong to somebody.
 *
 * A device's sign of life is thus that it is still there, that its driver
 * answers, and, while it has work, that it finishes some. */

#include <config.h>

/* dma, regex and gpu devices are experimental in DPDK 22.11. */
#define ALLOW_EXPERIMENTAL_API

#include "datapath-hooks/monitor/monitor-impl.h"

#include <rte_bbdev.h>
#include <rte_cryptodev.h>
#include <rte_dev.h>
#include <rte_dmadev.h>
#include <rte_eventdev.h>
#include <rte_gpudev.h>
#include <rte_rawdev.h>
#include <rte_regexdev.h>

#include "util.h"

#define MONITOR_MAX_DEVS 64     /* Of all classes. */

/* A device that has been found. */
struct monitor_dev {
    const struct dev_class *class;
    int id;
    int numa;
    char name[48];
    char driver[32];
    uint64_t size;              /* Queues, channels..., 0: not known. */
};

/* What there is to know of a device's work. */
struct dev_work {
    uint64_t accepted;          /* Units of work handed to it. */
    uint64_t done;
    uint64_t failed;
};

struct dev_class {
    enum hrm_kind kind;
    const char *unit;
    const char *size;           /* What 'size' counts. */

    /* Stores what is constant of device number 'i' into '*dev'.  Returns
     * false if there is none. */
    bool (*find)(int i, struct monitor_dev *dev);

    /* Returns 0, or an errno if the device does not answer. */
    int (*read)(const struct monitor_dev *, struct dev_work *);
    int max;                    /* Numbers to try. */
};

static struct monitor_dev devs[MONITOR_MAX_DEVS];
static size_t n_devs;

static void
dev_set(struct monitor_dev *dev, int id, const char *name, const char *driver,
        int numa, uint64_t size)
{
    dev->id = id;
    dev->numa = numa;
    dev->size = size;
    ovs_strzcpy(dev->name, name ? name : "", sizeof dev->name);
    ovs_strzcpy(dev->driver, driver ? driver : "", sizeof dev->driver);
    if (!dev->name[0]) {
        snprintf(dev->name, sizeof dev->name, "%d", id);
    }
}

/* Takes in what a driver has counted, unless 'error' says that it did not
 * answer.  A device without statistics is there all the same. */
static int
dev_work_set(struct dev_work *w, int error, uint64_t accepted, uint64_t done,
             uint64_t failed)
{
    if (!error) {
        w->accepted = accepted;
        w->done = done;
        w->failed = failed;
    }
    return error == ENOTSUP ? 0 : error;
}

/* Crypto. */

static bool
crypto_find(int i, struct monitor_dev *dev)
{
    struct rte_cryptodev_info info;

    if (!rte_cryptodev_is_valid_dev(i)) {
        return false;
    }
    memset(&info, 0, sizeof info);
    rte_cryptodev_info_get(i, &info);
    dev_set(dev, i, rte_cryptodev_name_get(i), info.driver_name,
            rte_cryptodev_socket_id(i), info.max_nb_queue_pairs);
    return true;
}

static int
crypto_read(const struct monitor_dev *dev, struct dev_work *w)
{
    struct rte_cryptodev_stats stats;
    int error;

    if (!rte_cryptodev_is_valid_dev(dev->id)) {
        return ENODEV;
    }
    error = -rte_cryptodev_stats_get(dev->id, &stats);
    return dev_work_set(w, error, stats.enqueued_count, stats.dequeued_count,
                        stats.enqueue_err_count + stats.dequeue_err_count);
}

/* DMA. */

static bool
dma_find(int i, struct monitor_dev *dev)
{
    struct rte_dma_info info;

    if (!rte_dma_is_valid(i) || rte_dma_info_get(i, &info)) {
        return false;
    }
    dev_set(dev, i, info.dev_name, NULL, info.numa_node, info.max_vchans);
    return true;
}

static int
dma_read(const struct monitor_dev *dev, struct dev_work *w)
{
    struct rte_dma_stats stats;
    int error;

    if (!rte_dma_is_valid(dev->id)) {
        return ENODEV;
    }
    error = -rte_dma_stats_get(dev->id, RTE_DMA_ALL_VCHAN, &stats);
    return dev_work_set(w, error, stats.submitted, stats.completed,
                        stats.errors);
}

/* Event. */

static bool
event_find(int i, struct monitor_dev *dev)
{
    struct rte_event_dev_info info;

    if (i >= rte_event_dev_count() || rte_event_dev_info_get(i, &info)) {
        return false;
    }
    dev_set(dev, i, info.dev ? rte_dev_name(info.dev) : NULL,
            info.driver_name, rte_event_dev_socket_id(i),
            info.max_event_queues);
    return true;
}

/* Returns statistic 'name', 0 if there is none of that name. */
static uint64_t
event_xstat(int id, const char *name)
{
    uint64_t xid = UINT64_MAX;
    uint64_t value = rte_event_dev_xstats_by_name_get(id, name, &xid);

    return xid == UINT64_MAX || value > INT64_MAX ? 0 : value;
}

static int
event_read(const struct monitor_dev *dev, struct dev_work *w)
{
    if (dev->id >= rte_event_dev_count()) {
        return ENODEV;
    }
    w->done = event_xstat(dev->id, "dev_tx");
    w->failed = event_xstat(dev->id, "dev_drop");
    w->accepted = event_xstat(dev->id, "dev_rx");
    w->accepted -= MIN(w->accepted, w->failed);
    return 0;
}

/* Baseband. */

static bool
bb_find(int i, struct monitor_dev *dev)
{
    struct rte_bbdev_info info;

    if (!rte_bbdev_is_valid(i) || rte_bbdev_info_get(i, &info)) {
        return false;
    }
    dev_set(dev, i, info.dev_name, info.drv.driver_name, info.socket_id,
            info.drv.max_num_queues);
    return true;
}

static int
bb_read(const struct monitor_dev *dev, struct dev_work *w)
{
    struct rte_bbdev_stats stats;
    int error;

    if (!rte_bbdev_is_valid(dev->id)) {
        return ENODEV;
    }
    error = -rte_bbdev_stats_get(dev->id, &stats);
    return dev_work_set(w, error, stats.enqueued_count, stats.dequeued_count,
                        stats.enqueue_err_count + stats.dequeue_err_count);
}

/* Raw.  What a raw device does only its driver knows, so there is only its
 * presence. */

static bool
raw_find(int i, struct monitor_dev *dev)
{
    struct rte_rawdev_info info;

    memset(&info, 0, sizeof info);
    if (i >= rte_rawdev_count() || rte_rawdev_info_get(i, &info, 0)) {
        return false;
    }
    dev_set(dev, i, info.device ? rte_dev_name(info.device) : NULL,
            info.driver_name, info.socket_id, 0);
    return true;
}

static int
raw_read(const struct monitor_dev *dev, struct dev_work *w OVS_UNUSED)
{
    struct rte_rawdev_info info;

    memset(&info, 0, sizeof info);
    return (dev->id >= rte_rawdev_count() ? ENODEV
            : -rte_rawdev_info_get(dev->id, &info, 0));
}

/* Regular expressions. */

static bool
regex_find(int i, struct monitor_dev *dev)
{
    struct rte_regexdev_info info;

    memset(&info, 0, sizeof info);
    if (!rte_regexdev_is_valid_dev(i) || rte_regexdev_info_get(i, &info)) {
        return false;
    }
    dev_set(dev, i, info.dev ? rte_dev_name(info.dev) : NULL,
            info.driver_name, -1, info.max_queue_pairs);
    return true;
}

static int
regex_read(const struct monitor_dev *dev, struct dev_work *w OVS_UNUSED)
{
    struct rte_regexdev_info info;

    return (!rte_regexdev_is_valid_dev(dev->id) ? ENODEV
            : -rte_regexdev_info_get(dev->id, &info));
}

/* GPUs. */

static bool
gpu_find(int i, struct monitor_dev *dev)
{
    struct rte_gpu_info info;

    if (!rte_gpu_is_valid(i) || rte_gpu_info_get(i, &info)) {
        return false;
    }
    dev_set(dev, i, info.name, NULL, info.numa_node, info.processor_count);
    return true;
}

static int
gpu_read(const struct monitor_dev *dev, struct dev_work *w OVS_UNUSED)
{
    struct rte_gpu_info info;

    return (!rte_gpu_is_valid(dev->id) ? ENODEV
            : rte_gpu_info_get(dev->id, &info) ? EIO : 0);
}

static const struct dev_class classes[] = {
    { HRM_CRYPTO, "ops/s", "queue_pairs", crypto_find, crypto_read,
      RTE_CRYPTO_MAX_DEVS },
    { HRM_DMA, "copies/s", "channels", dma_find, dma_read,
      RTE_DMADEV_DEFAULT_MAX },
    { HRM_EVENT, "events/s", "queues", event_find, event_read,
      RTE_EVENT_MAX_DEVS },
    { HRM_BB, "ops/s", "queues", bb_find, bb_read, RTE_BBDEV_MAX_DEVS },
    { HRM_RAW, "ops/s", NULL, raw_find, raw_read, RTE_RAWDEV_MAX_DEVS },
    { HRM_REGEX, "ops/s", "queue_pairs", regex_find, regex_read,
      RTE_MAX_REGEXDEV_DEVS },
    { HRM_GPU, "ops/s", "processors", gpu_find, gpu_read, 32 },
};

static bool
dev_is_known(const struct monitor_dev *dev)
{
    for (size_t i = 0; i < n_devs; i++) {
        if (devs[i].class == dev->class && devs[i].id == dev->id
            && !strcmp(devs[i].name, dev->name)) {
            return true;
        }
    }
    return false;
}

/* Adds devices that are new. */
static void
dev_scan(void)
{
    for (size_t c = 0; c < ARRAY_SIZE(classes); c++) {
        for (int i = 0; i < classes[c].max && n_devs < MONITOR_MAX_DEVS;
             i++) {
            struct monitor_dev *dev = &devs[n_devs];

            memset(dev, 0, sizeof *dev);
            dev->class = &classes[c];
            if (classes[c].find(i, dev)) {
                n_devs += !dev_is_known(dev);
            }
        }
    }
}

/* Forgets all devices. */
void
monitor_dev_clear(void)
{
    n_devs = 0;
}

/* Returns true if a device that has been found is, or is part of, the PCI
 * function at 'address' (0000:00:00.0). */
bool
monitor_dev_owns_pci(const char *address)
{
    for (size_t i = 0; i < n_devs; i++) {
        if (!strncmp(devs[i].name, address, strlen(address))) {
            return true;
        }
    }
    return false;
}

/* Appends samples of all devices.  'scan': look for new ones first. */
void
monitor_dev_sample(struct monitor_samples *samples, bool scan)
{
    if (scan) {
        dev_scan();
    }
    for (size_t i = 0; i < n_devs; ) {
        const struct monitor_dev *dev = &devs[i];
        struct hrm_sample *s;
        struct dev_work w;
        int error;

        memset(&w, 0, sizeof w);
        error = dev->class->read(dev, &w);
        if (error == ENODEV) {
            /* Not sampled: the registry takes it for gone. */
            devs[i] = devs[--n_devs];
            continue;
        }
        s = monitor_samples_add(samples);
        hrm_sample_init(s, dev->class->kind, dev->class->unit, "%s",
                        dev->name);
        s->numa = dev->numa;
        s->done = w.done;
        s->failed = w.failed;
        s->queued = w.accepted > w.done;
        s->waiting = s->queued ? w.accepted - w.done : 0;
        s->counts_waiting = w.accepted > 0;
        if (dev->driver[0]) {
            hrm_sample_attr(s, "driver", "%s", dev->driver);
        }
        if (dev->class->size && dev->size) {
            hrm_sample_attr(s, dev->class->size, "%"PRIu64, dev->size);
        }
        if (error) {
            s->answer = HRM_NO_ANSWER;
            s->why = ovs_strerror(error);
        }
        i++;
    }
}
