/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Offload placement in the daemon's main thread: configuration. */

#include <config.h>

#include "datapath-hooks/offload/offload.h"

#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/ext-config.h"
#include "datapath-hooks/ext-hooks.h"
#include "datapath-hooks/offload/offload-agent.h"
#include "datapath-hooks/offload/offload-queue.h"
#include "datapath-hooks/offload/offload-rte.h"
#include "dpif.h"
#include "openvswitch/vlog.h"
#include "smap.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(offload_config);

#define KEY "ext-offload"

static const char *const mode_names[] = {
    [OFFLOAD_OFF] = "off",
    [OFFLOAD_SHADOW] = "shadow",
    [OFFLOAD_ON] = "on",
};

/* As last configured. */
static struct offload_settings settings;

const char *
offload_mode_to_string(enum offload_mode mode)
{
    return mode_names[mode];
}

void
offload_settings_init(struct offload_settings *s)
{
    s->mode = OFFLOAD_OFF;
    s->budget = 10000;
    s->interval = 500;
}

static char *
parse_mode(const char *value, enum offload_mode *mode)
{
    for (size_t i = 0; i < ARRAY_SIZE(mode_names); i++) {
        if (!strcmp(value, mode_names[i])) {
            *mode = i;
            return NULL;
        }
    }
    return xasprintf(KEY": \"%s\" is not one of off, shadow and on", value);
}

void
offload_settings_parse(struct offload_settings *s, const struct smap *cfg)
{
    struct offload_settings def;
    struct smap_node *node;

    offload_settings_init(&def);
    s->mode = smap_get(cfg, KEY) ? s->mode : def.mode;
    s->budget = smap_get(cfg, KEY"-budget") ? s->budget : def.budget;
    s->interval = smap_get(cfg, KEY"-interval") ? s->interval : def.interval;
    SMAP_FOR_EACH (node, cfg) {
        const char *key = node->key, *value = node->value;
        char *error;

        if (strncmp(key, KEY, strlen(KEY))) {
            continue;
        } else if (!strcmp(key, KEY)) {
            error = parse_mode(value, &s->mode);
        } else if (!strcmp(key, KEY"-budget")) {
            error = ext_config_uint(key, value, 1, 1000000, &s->budget);
        } else if (!strcmp(key, KEY"-interval")) {
            error = ext_config_uint(key, value, 50, 60000, &s->interval);
        } else {
            error = xasprintf("%s: there is no such key", key);
        }
        if (error) {
            ext_config_complain(&this_module, key, value, error);
        }
    }
}

/* Nobody changes rules while a device stops and starts. */
static void
offload_reconfigure(struct netdev *netdev OVS_UNUSED, bool begins)
{
    if (begins) {
        offload_enter_all();
    } else {
        offload_leave_all();
    }
}

void
offload_dpif_config(struct dpif *dpif, const struct smap *cfg)
{
    struct offload_settings old = settings;

    offload_agent_set_dpif(dpif);
    offload_settings_parse(&settings, cfg);
    if (settings.mode != old.mode || settings.budget != old.budget
        || settings.interval != old.interval) {
        offload_agent_configure(&settings);
    }
}

void
offload_init(void)
{
    offload_settings_init(&settings);
    offload_agent_init();
    offload_show_init();
    offload_queue_init();
    EXT_HOOK_SET(rte_flow_create, offload_rte_create);
    EXT_HOOK_SET(reconfigure, offload_reconfigure);
    EXT_HOOK_SET(port_number, offload_port_number);
}

void
offload_run(void)
{
    offload_queue_run();
}

void
offload_wait(void)
{
    offload_queue_wait();
}

void
offload_exit(void)
{
    offload_agent_exit();
}
