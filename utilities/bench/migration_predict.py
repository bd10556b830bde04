# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""Migrations predicted on simulated fleets (ovs-ext/session/tpam-sim.h), with
seeds that the weights were trained on and seeds that were held out, beside
"hint everything" and "hint on overload only"."""

import json
import subprocess

from bench import plot
from bench.lab import emit, fail, say, selected

SCENARIOS = ("rolling-drain", "hot-host", "diurnal", "noisy-neighbour")
POLICIES = ("tpam", "everything", "overload-only")
# First and last seed; the former were trained on.
SEEDS = ((1, 6), (101, 112))


def run(args):
    lines = []
    for first, last in SEEDS:
        for scenario in SCENARIOS:
            for policy in POLICIES:
                if not selected(args, scenario=scenario, policy=policy,
                                heldout=str(first > 100).lower()):
                    continue
                done = subprocess.run(
                    [args.predictor, "run", scenario, policy, str(first),
                     str(last)], stdout=subprocess.PIPE,
                    universal_newlines=True)
                if done.returncode:
                    fail("migration-predict: %s failed" % args.predictor)
                lines.append(json.loads(done.stdout))
                emit(lines[-1])
            say("migration-predict: %s, seeds %d to %d"
                % (scenario, first, last))
    if args.plot and lines:
        held = [l for l in lines if l["heldout"]]
        plot.groups(args, "migration-predict", ["precision", "recall"],
                    [("%(scenario)s %(policy)s" % l,
                      [l["precision"], l["recall"]]) for l in held],
                    "share")
    return 0
