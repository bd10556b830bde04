/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef PHC_CHECK_H
#define PHC_CHECK_H 1

/* Whether an LMDB file is sound
 * =============================
 *
 * LMDB takes a file's page numbers, offsets and lengths on trust; damaged ones
 * end the process.  phc_check() walks the trees of the newest version in the
 * file (format 1, 64 bit, as LMDB 0.9 writes it): every page once, within the
 * file, the nodes of a page side by side, their keys in order, overflow pages
 * and the list of free pages likewise.  Contents are not its business; they
 * have MACs.
 *
 * phc_check_fd() reads with pread(), so that a file that is cut short is an
 * error and no signal: EINVAL, like all that is not sound.  What cannot be read
 * is not known to be unsound: another positive errno.  150 MB take about 0.1 s from the page cache. */

#include <stddef.h>

/* Reads 'size' bytes at 'offset' to 'buf', returns 0 or a positive errno,
 * EINVAL if they are not there. */
typedef int phc_check_read_func(void *aux, void *buf, size_t size,
                                size_t offset);

int phc_check(phc_check_read_func *, void *aux, size_t file_size,
              const char **why);
int phc_check_fd(int fd, const char **why);

#endif /* phc-check.h */
