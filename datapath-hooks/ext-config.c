/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/ext-config.h"

#include <stdlib.h>
#include <string.h>

#include "openvswitch/vlog.h"
#include "smap.h"
#include "util.h"

char *
ext_config_uint(const char *key, const char *value, unsigned int min,
                unsigned int max, unsigned int *out)
{
    unsigned int n;

    if (!str_to_uint(value, 10, &n) || n < min || n > max) {
        return xasprintf("%s: \"%s\" is not an integer from %u to %u", key,
                         value, min, max);
    }
    *out = n;
    return NULL;
}

char *
ext_config_bool(const char *key, const char *value, bool *out)
{
    if (strcmp(value, "true") && strcmp(value, "false")) {
        return xasprintf("%s: \"%s\" is neither true nor false", key, value);
    }
    *out = !strcmp(value, "true");
    return NULL;
}

void
ext_config_complain(struct vlog_module *module, const char *key,
                    const char *value, char *error)
{
    static struct smap told = SMAP_INITIALIZER(&told);

    if (strcmp(smap_get_def(&told, key, ""), value)) {
        smap_replace(&told, key, value);
        vlog(module, VLL_WARN, "other_config:%s, last good value stays",
             error);
    }
    free(error);
}
