/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* The profiler: configuration in the main thread, merging in the agent's. */

#include <config.h>

#include "datapath-hooks/profile/profile.h"

#include <rte_cycles.h>
#include <stdlib.h>

#include "datapath-hooks/ext-agent.h"
#include "datapath-hooks/ext-config.h"
#include "datapath-hooks/ext-chain.h"
#include "datapath-hooks/profile/profile-impl.h"
#include "openvswitch/vlog.h"
#include "ovs-atomic.h"
#include "ovs-thread.h"
#include "smap.h"
#include "sset.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(profile);

struct profile_settings {
    bool on;
    unsigned int sample;        /* One packet in this many; 0: to measure. */
    unsigned int max;           /* Profiles. */
};

static const struct profile_settings defaults = {
    .on = false, .sample = 0, .max = TP_DEFAULT_PROFILES
};

/* Held by the agent while it merges, by the main thread while it reads. */
struct ovs_mutex profile_mutex = OVS_MUTEX_INITIALIZER;

/* Null unless the agent has run since the profiler was turned on. */
static struct tp_merge *merge OVS_GUARDED_BY(profile_mutex);

/* As configured.  Main thread writes. */
static struct profile_settings settings OVS_GUARDED_BY(profile_mutex)
    = { .max = TP_DEFAULT_PROFILES };

/* Systems that need the profiler; main thread. */
static struct sset required = SSET_INITIALIZER(&required);

static ATOMIC(bool) wanted;     /* Main thread writes. */

/* The TSC when the agent began, to work out its frequency; agent. */
static uint64_t first_ticks;
static long long int first_usec;

static void
profile_agent_run(long long int now, bool due)
{
    uint64_t ticks;
    long long int usec;
    double ticks_ms;

    if (!due) {
        return;
    }
    ovs_mutex_lock(&profile_mutex);
    ticks = rte_rdtsc() >> PROFILE_TICK_SHIFT;
    usec = time_usec();
    if (!merge) {
        merge = tp_merge_create();
        first_ticks = ticks;
        first_usec = usec;
    }
    ticks_ms = (usec > first_usec
                ? (ticks - first_ticks) * 1000.0 / (usec - first_usec) : 0);
    tp_merge_configure(merge, settings.max, settings.sample);
    tp_merge_begin(merge, now, ticks, ticks_ms);
    profile_pmd_merge(merge);
    tp_merge_end(merge);
    ovs_mutex_unlock(&profile_mutex);
}

static void
profile_agent_stop(void)
{
    ovs_mutex_lock(&profile_mutex);
    profile_pmd_stop();
    tp_merge_destroy(merge);
    merge = NULL;
    ovs_mutex_unlock(&profile_mutex);
}

static const struct ext_agent_system profile_system = {
    .name = "profile",
    .run = profile_agent_run,
    .stop = profile_agent_stop,
};

/* Turns the profiler on or off, as configuration and other systems want it. */
static void
profile_apply(void)
{
    bool on;

    ovs_mutex_lock(&profile_mutex);
    on = settings.on || !sset_is_empty(&required);
    ovs_mutex_unlock(&profile_mutex);
    atomic_store(&wanted, on);
    ext_chain_set_received(EXT_RECEIVER_PROFILE,
                           on ? profile_received : NULL);
    ext_agent_enable(profile_system.name, on);
}

void
profile_init(void)
{
    profile_pmd_init();
    profile_show_init();
    ext_agent_register(&profile_system);
}

/* Complains of 'error', if there is one. */
static void
profile_check(const char *key, const char *value, char *error)
{
    if (error) {
        ext_config_complain(&this_module, key, value, error);
    }
}

static void
profile_get_uint(const struct smap *cfg, const char *key, unsigned int min,
                 unsigned int max, unsigned int def, unsigned int *n)
{
    const char *value = smap_get(cfg, key);

    if (!value) {
        *n = def;
    } else {
        profile_check(key, value, ext_config_uint(key, value, min, max, n));
    }
}

void
profile_configure(const struct smap *cfg)
{
    const char *on = smap_get_def(cfg, PROFILE_KEY, "false");

    ovs_mutex_lock(&profile_mutex);
    profile_check(PROFILE_KEY, on,
                  ext_config_bool(PROFILE_KEY, on, &settings.on));
    profile_get_uint(cfg, PROFILE_KEY"-sample", 0, 65536, defaults.sample,
                     &settings.sample);
    profile_get_uint(cfg, PROFILE_KEY"-max", 1, TP_MAX_PROFILES, defaults.max,
                     &settings.max);
    ovs_mutex_unlock(&profile_mutex);
    profile_apply();
}

void
profile_port_configure(const char *name, bool is_accelerator)
{
    profile_pmd_skip(name, is_accelerator);
}

void
profile_require(const char *who, bool on)
{
    if (on) {
        sset_add(&required, who);
    } else {
        sset_find_and_delete(&required, who);
    }
    profile_apply();
}

bool
profile_is_on(void)
{
    bool on;

    atomic_read(&wanted, &on);
    return on;
}

const struct tp_merge *
profile_merge(void)
{
    return merge;
}

void
profile_snapshot(struct tp_profile **profiles, size_t *n)
{
    ovs_mutex_lock(&profile_mutex);
    if (merge) {
        tp_merge_profiles(merge, profiles, n);
    } else {
        *profiles = NULL;
        *n = 0;
    }
    ovs_mutex_unlock(&profile_mutex);
}
