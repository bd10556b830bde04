/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXT_CONFIG_H
#define EXT_CONFIG_H 1

/* Values of other_config, as all systems take them in: a bad value leaves the
 * last good one in force and is told once.
 *
 * Use:
 *
 *     error = ext_config_uint(key, value, 1, 1000, &settings.tick);
 *     if (error) {
 *         ext_config_complain(&this_module, key, value, error);
 *     }
 *
 * Main thread only. */

#include <stdbool.h>

struct vlog_module;

/* Store what 'value' of 'key' says in '*out' and return null, or return what
 * is wrong with it, for the caller to free(). */
char *ext_config_uint(const char *key, const char *value, unsigned int min,
                      unsigned int max, unsigned int *out);
char *ext_config_bool(const char *key, const char *value, bool *out);

/* Logs 'error', which it frees, as 'module''s unless it has done so for the
 * same key and value. */
void ext_config_complain(struct vlog_module *module, const char *key,
                         const char *value, char *error);

#endif /* ext-config.h */
