# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""What can happen to the hosts of a lab (bench.session_lab) while clients are
at work.  Each function takes the lab and may return figures, a dict."""

import json
import os
import sys
import time

from bench import capture
from bench.fleet import wait_for
from bench.lab import fail
from bench.session_lab import GOSSIP_PORT

APART = 4                       # Seconds of a partition.
AWAY = 3                        # Seconds for which a backend is elsewhere.
STORM_RATE = 100000             # Datagrams a second...
STORM_S = 2                     # ...for as long, of each kind.
STORM_KINDS = ("forged", "replayed", "truncated", "oversized", "old-key")
CAPTURED = 40


def drain1(lab):
    lab.drain(lab.hosts[-1])


def drain2(lab):
    lab.drain(lab.hosts[-1])
    time.sleep(1)
    lab.drain(lab.hosts[-2])


def migrate(lab):
    backend, home = lab.backends[0], lab.hosts[0]
    took = [lab.migrate(backend, lab.hosts[1])]
    time.sleep(AWAY)
    took.append(lab.migrate(backend, home))
    return {"unplugged_s": max(took)}


def kill(lab):
    """Returns when the others know."""
    dead = lab.hosts[-1]
    others = [host for host in lab.hosts if host is not dead]
    began = time.time()
    lab.kill(dead)
    if lab.mode != "ext":
        return {}
    wait_for(dead.name + " taken for dead",
             lambda: all(member["state"] == "dead"
                         for host in others
                         for member in host.show("gossip")["members"]
                         if member["name"] == dead.name), 60, 0.5)
    return {"noticed_s": round(time.time() - began, 1)}


def rotate_key(lab):
    lab.rotate_key()


def partition(lab):
    lab.partition(lab.hosts[:2])
    time.sleep(APART)
    lab.heal()


def storm(lab):
    """Datagrams that must not be accepted, at 100,000 a second, to a host's
    own address from within, so that they only meet its gossip."""
    victim = lab.hosts[0]
    path = os.path.join(lab.dir, "captured")
    victim.ns.run(sys.executable, capture.__file__, "br-phy", GOSSIP_PORT,
                  path, CAPTURED)
    old = lab.key
    lab.rotate_key()
    before = victim.show("gossip")
    sent = 0
    for kind in STORM_KINDS:
        said = victim.ns.run(
            os.path.join(lab.args.gossip_dir, "gossip-storm"), kind,
            "%s:%d" % (victim.address, GOSSIP_PORT), path, STORM_RATE,
            STORM_S, old)
        sent += json.loads(said)["sent"]
    after = victim.show("gossip")
    refused = sum(after["refused"].values()) - sum(before["refused"].values())
    if refused < 0.1 * sent:
        fail("storm: %d datagrams sent, %d refused" % (sent, refused))
    return {"storm_per_s": sent / STORM_S / len(STORM_KINDS),
            "refused": refused, "strangers": len(after["members"])
            - len(before["members"]), "deaths": after["deaths"]
            - before["deaths"]}


def full_disk(lab):
    """Needs a lab with 'disk_kb'."""
    for host in lab.hosts:
        try:
            with open(os.path.join(host.seen_disk(), "filling"), "wb",
                      buffering=0) as f:
                while True:
                    f.write(bytes(4096))
        except OSError:
            pass                # It is full.
        if os.statvfs(host.seen_disk()).f_bavail:
            fail("%s: its disk does not get full" % host.name)
    # What needs room now: sessions that come and go, and their owners.
    migrate(lab)


def corrupt(lab):
    """A host's daemon is started again, with garbage on its disk."""
    host = lab.hosts[0]
    host.stop()
    changed = 0
    for directory, _, names in os.walk(host.disk):
        for name in names:
            path = os.path.join(directory, name)
            size = os.path.getsize(path)
            with open(path, "r+b") as f:
                for at in range(0, size, 61):
                    f.seek(at)
                    f.write(b"\xa5")
                    changed += 1
    if not changed:
        fail("corrupt: nothing is stored in %s" % host.disk)
    host.start_again()
    wait_for("service at " + host.name, lambda: host.show("sessions")["ready"])
    return {"bytes_changed": changed}


ACTIONS = {"none": lambda lab: None, "drain1": drain1, "drain2": drain2,
           "migrate": migrate, "kill": kill, "rotate-key": rotate_key,
           "partition": partition, "storm": storm, "full-disk": full_disk,
           "corrupt": corrupt}
# What a lab has to have been made with.
NEEDS = {"full-disk": {"disk_kb": 4096}}
