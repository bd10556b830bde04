/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef STEER_H
#define STEER_H 1

/* Steering, as the daemon sees it.
 *
 * Everything here is called from the main thread, in the daemon's usual
 * init/run/wait/exit rhythm.  Without configuration steer_run() does nothing
 * and no packet-path hook is set. */

void steer_init(void);
void steer_run(void);
void steer_wait(void);
void steer_exit(void);

/* Changes a setting by hand until the database says otherwise.  Returns null
 * or an error that the caller must free(). */
char *steer_set(const char *key, const char *value);

#endif /* steer.h */
