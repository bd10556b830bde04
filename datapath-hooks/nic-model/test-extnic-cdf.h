/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Share of flows with at most n packets in the measured histograms that the
 * mixtures were fitted to (agh_2015, length-histogram): tcp, n, share. */
        { true, 1, 0.26567 },
        { true, 2, 0.47567 },
        { true, 4, 0.58924 },
        { true, 8, 0.73154 },
        { true, 16, 0.83870 },
        { true, 64, 0.93882 },
        { true, 256, 0.97594 },
        { true, 1024, 0.99093 },
        { false, 1, 0.72089 },
        { false, 2, 0.85920 },
        { false, 4, 0.93451 },
        { false, 8, 0.96909 },
        { false, 16, 0.98413 },
        { false, 64, 0.99461 },
        { false, 256, 0.99767 },
        { false, 1024, 0.99899 },
