/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef FUZZ_UTIL_H
#define FUZZ_UTIL_H 1

/* Fuzzing of parsers, with and without libFuzzer.
 *
 * A fuzzer defines LLVMFuzzerTestOneInput().  With clang
 * -fsanitize=fuzzer,address -DFUZZ_LIBFUZZER it is a libFuzzer target.
 * Without, its main() calls fuzz_main(), which makes a program of it that runs
 * the same entry point
 *
 *     PROGRAM [--seed=N] [--runs=N] [FILE...]
 *
 * over some valid inputs and the files given, then over 'runs' mutations of
 * them that are drawn from 'seed'. */

#include <stddef.h>
#include <stdint.h>

struct fuzz_input {
    uint8_t *data;              /* From malloc(). */
    size_t size;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Runs the fuzzer over the 'n' inputs of 'valid', which it frees.  Returns
 * what main() is to return. */
int fuzz_main(int argc, char *argv[], const struct fuzz_input *valid,
              size_t n);

#endif /* fuzz-util.h */
