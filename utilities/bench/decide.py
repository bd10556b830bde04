# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""Time that a decision takes; see ovs-ext-train(1)."""

import json
import subprocess
import sys

from bench import plot
from bench.lab import say


def run(args):
    lines = []
    for cores, buckets, calls in ((2, 128, 400000), (8, 512, 400000),
                                  (64, 4096, 20000)):
        say("decide: %d x %d" % (cores, buckets))
        out = subprocess.run([args.trainer, "decide", "--policy=rl",
                              "--cores=%d" % cores, "--buckets=%d" % buckets,
                              "--calls=%d" % calls], stdout=subprocess.PIPE,
                             universal_newlines=True, check=True).stdout
        for text in out.splitlines():
            lines.append(dict({"bench": "decide"}, **json.loads(text)))
            print(json.dumps(lines[-1]))
            sys.stdout.flush()
    if args.plot:
        plot.bars(args, "decide", [("%dx%d" % (l["cores"], l["buckets"]),
                                    l["p9999_us"]) for l in lines],
                  "p99.99, us", log=True)
    return 0
