/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef OPTION_H
#define OPTION_H 1

/* Arguments of command line options. */

#include "openvswitch/util.h"
#include "util.h"

/* Returns the number 's' that 'option' was given, or ends the program if it is
 * not one in 'min'...'max'. */
static inline double
opt_number(const char *option, const char *s, double min, double max)
{
    double x;

    if (!str_to_double(s, &x) || !(x >= min && x <= max)) {
        ovs_fatal(0, "--%s: \"%s\" is not a number in %g...%g", option, s,
                  min, max);
    }
    return x;
}

#endif /* option.h */
