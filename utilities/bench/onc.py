# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""What the controller costs: simulated hosts (tests/onc-load) with 64
resources and 32 profiles each, over a real ovsdb-server.

loop_cpu_ms is CPU time of the whole controller process, receiving, planning
and writing, for each 100 ms of time; loop_cpu_max_ms that of its longest loop,
in which receive_cpu_max_ms is what Open vSwitch's client library takes at most
to receive (one message is not divided) and own_cpu_max_ms the most of all the
rest.
db_writes_per_s counts the rows that the controller wrote.  changed_share is
the share of metrics and profiles that hosts changed in a second.  The line
with "event": "replan" is the one where all hosts are planned anew, because an
option changed, "event": "start" where a controller starts on a full
database.  "event": "flood" is where a host writes 50,000 rows at once, which
are one message, and another one loses hardware at that moment: reassign_ms is
how long it has to wait for new instructions, alone_ms how long without the
flood."""

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from bench import plot
from bench.lab import emit, fail, say, selected

RESOURCES, PROFILES = 64, 32
SIZES = (10, 100, 1000)
RATES = (0, 0.01, 0.1)
SECONDS = 5
LOOP_S = 0.1
FLOOD = 50000


class Client:
    """A client of the database server that has no limit of length."""

    def __init__(self, remote):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(remote[len("unix:"):])

    def transact(self, *operations):
        self.socket.sendall(json.dumps(
            {"method": "transact", "id": 0,
             "params": ["OVS_Ext"] + list(operations)}).encode())
        text = b""
        while True:
            text += self.socket.recv(1 << 20)
            try:
                reply = json.loads(text)
            except ValueError:
                continue
            for result in reply["result"]:
                if result is None or "error" in result:
                    fail("onc: %s" % result)
            return reply["result"]

    def close(self):
        self.socket.close()


class Fleet:
    """A database server, a controller and hosts that are not there."""

    def __init__(self, args, hosts):
        self.args = args
        self.hosts = hosts
        self.dir = tempfile.mkdtemp(prefix="onc.", dir=args.output_dir)
        self.dir = os.path.realpath(self.dir)
        self.db = "unix:%s/db.sock" % self.dir
        self.env = dict(os.environ, OVS_RUNDIR=self.dir, OVS_LOGDIR=self.dir,
                        OVS_DBDIR=self.dir)
        self.pids = {}
        atexit.register(self.close)
        base = os.path.join(self.dir, "db")
        self.tool("ovsdb-tool", "create", base, args.ext_schema)
        self.daemon("ovsdb-server",
                    os.path.join(args.ovs_bindir, "ovsdb-server"),
                    "--remote=p" + self.db, base)
        self.transact('{"op":"insert","table":"Ext_Global","row":{}}')

    def run(self, *argv):
        done = subprocess.run([str(a) for a in argv], env=self.env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              universal_newlines=True)
        if done.returncode:
            fail("onc: %s: %s" % (" ".join(map(str, argv)),
                                  done.stderr.strip()))
        return done.stdout

    def tool(self, name, *argv):
        return self.run(os.path.join(self.args.ovs_bindir, name), *argv)

    def daemon(self, name, path, *argv):
        self.run(path, "--detach", "--no-chdir", "--pidfile", "--log-file",
                 *argv)
        with open(os.path.join(self.dir, name + ".pid")) as f:
            self.pids[name] = int(f.read())

    def transact(self, *operations):
        out = self.tool("ovsdb-client", "transact", self.db,
                        '["OVS_Ext",%s]' % ",".join(operations))
        if "error" in out:
            fail("onc: " + out)

    def load(self, verb, **options):
        return json.loads(self.run(
            self.args.onc_load, "--db=" + self.db,
            "--hosts=%d" % self.hosts, "--resources=%d" % RESOURCES,
            "--profiles=%d" % PROFILES,
            *["--%s=%s" % item for item in options.items()], verb))

    def controller(self, *argv):
        return self.tool("ovs-appctl", "--timeout=60", "-t",
                         "%s/ovs-ext-controller.%d.ctl"
                         % (self.dir, self.pids["ovs-ext-controller"]), *argv)

    def status(self):
        return json.loads(self.controller("controller/status", "--json"))

    def cpu(self):
        """CPU time of the controller so far, in seconds."""
        with open("/proc/%d/schedstat" % self.pids["ovs-ext-controller"]) as f:
            return int(f.read().split()[0]) / 1e9

    def start_controller(self):
        self.daemon("ovs-ext-controller", self.args.controller,
                    "--db=" + self.db)

    def settle(self, wanted):
        """Waits until the controller has 'wanted' hosts and nothing to do.
        Returns its status then."""
        quiet, before = 0, None
        for _ in range(600):
            status = self.status()
            work = (status["plans"], status["rows written"])
            idle = (status["role"] == "active" and status["hosts"] == wanted
                    and not status["waiting hosts"] and work == before)
            quiet, before = quiet + 1 if idle else 0, work
            if quiet == 3:
                return status
            time.sleep(2 * LOOP_S)
        return fail("onc: the controller does not settle: %s" % status)

    def close(self):
        for pid in self.pids.values():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.pids = {}
        shutil.rmtree(self.dir, ignore_errors=True)


def line_of(fleet, event, seconds, cpu, before, after, changed):
    rows = fleet.hosts * (RESOURCES + PROFILES)
    return {
        "bench": "onc", "event": event, "hosts": fleet.hosts,
        "resources": RESOURCES, "profiles": PROFILES,
        "changed_share": changed / seconds / rows,
        "changed_per_s": changed / seconds,
        "loop_cpu_ms": 1e3 * cpu / (seconds / LOOP_S),
        "loop_cpu_max_ms": after["loop cpu max ms"],
        "receive_cpu_max_ms": after["receive cpu max ms"],
        "own_cpu_max_ms": after["own cpu max ms"],
        "loops": after["loops"],
        "plans_per_s": (after["plans"] - before["plans"]) / seconds,
        "decisions_per_s": (after["decisions changed"]
                            - before["decisions changed"]) / seconds,
        "db_writes_per_s": (after["rows written"]
                            - before["rows written"]) / seconds,
        "db_txns_per_s": (after["transactions"]
                          - before["transactions"]) / seconds,
    }


def measure_change(fleet, rate, seed):
    fleet.settle(fleet.hosts)
    fleet.controller("controller/status-reset")
    before, cpu, start = fleet.status(), fleet.cpu(), time.time()
    done = fleet.load("change", rate=rate, seconds=SECONDS, seed=seed)
    seconds = time.time() - start
    cpu = fleet.cpu() - cpu
    return line_of(fleet, "change", seconds, cpu, before, fleet.status(),
                   done["rows"])


def measure_replan(fleet, hosts):
    """All hosts at once, because an option changed."""
    fleet.settle(hosts)
    fleet.controller("controller/status-reset")
    before, cpu, start = fleet.status(), fleet.cpu(), time.time()
    fleet.transact('{"op":"mutate","table":"Ext_Global","where":[],'
                   '"mutations":[["options","insert",["map",'
                   '[["onc-margin","0.9"]]]]]}')
    while fleet.status()["plans"] - before["plans"] < hosts:
        if time.time() - start > 30:
            fail("onc: not all hosts were planned again")
        time.sleep(0.02)
    seconds = time.time() - start
    line = line_of(fleet, "replan", seconds, fleet.cpu() - cpu, before,
                   fleet.settle(hosts), 0)
    line["total_cpu_ms"] = 1e3 * (fleet.cpu() - cpu)
    line["settle_s"] = seconds
    return line


def reassign(client, host, flood):
    """Has HOST lose a resource that takes traffic, in one transaction with the
    operations FLOOD.  Returns the milliseconds until none is sent there."""
    rows = client.transact({"op": "select", "table": "Affinity",
                            "columns": ["resource_name"],
                            "where": [["host", "==", host]]})[0]["rows"]
    name = [row["resource_name"] for row in rows if row["resource_name"]][0]
    client.transact(*flood, {
        "op": "update", "table": "Resource", "row": {"state": "unavailable"},
        "where": [["host", "==", host], ["name", "==", name]]})
    start = time.time()
    while client.transact({"op": "select", "table": "Affinity",
                           "columns": ["network"],
                           "where": [["host", "==", host],
                                     ["resource_name", "==", name]]}
                          )[0]["rows"]:
        if time.time() - start > 60:
            fail("onc: %s is left on %s" % (host, name))
        time.sleep(0.005)
    return 1e3 * (time.time() - start)


def measure_flood(fleet):
    fleet.settle(fleet.hosts)
    client = Client(fleet.db)
    alone = [reassign(client, "host-%d" % n, []) for n in range(5)]
    fleet.settle(fleet.hosts)
    fleet.controller("controller/status-reset")
    before, cpu, start = fleet.status(), fleet.cpu(), time.time()
    waited = reassign(client, "host-5", [
        {"op": "insert", "table": "Resource",
         "row": {"host": "flood", "name": "pmd/%d" % i, "kind": "pmd-core",
                 "state": "available", "unit": "packets/s"}}
        for i in range(FLOOD)])
    client.close()
    status = fleet.settle(fleet.hosts)
    line = line_of(fleet, "flood", time.time() - start, fleet.cpu() - cpu,
                   before, status, FLOOD)
    line["reassign_ms"] = waited
    line["alone_ms"] = sorted(alone)[len(alone) // 2]
    return line


def measure_start(fleet):
    start = time.time()
    fleet.start_controller()
    status = fleet.settle(fleet.hosts)
    nothing = dict.fromkeys(status, 0)
    line = line_of(fleet, "start", time.time() - start, fleet.cpu(), nothing,
                   status, 0)
    line["total_cpu_ms"] = 1e3 * fleet.cpu()
    return line


def run(args):
    lines = []

    def out(line):
        if selected(args, **line):
            lines.append(line)
            emit(line)

    for hosts in SIZES:
        if not selected(args, hosts=hosts):
            continue
        say("onc: %d hosts" % hosts)
        fleet = Fleet(args, hosts)
        fleet.load("fill")
        out(measure_start(fleet))
        for n, rate in enumerate(RATES):
            say("onc: %d hosts, %g %% a second" % (hosts, 100 * rate))
            out(measure_change(fleet, rate, n + 2))
        out(measure_replan(fleet, hosts))
        say("onc: %d hosts, a flood" % hosts)
        out(measure_flood(fleet))
        fleet.close()
    changes = [l for l in lines if l["event"] == "change"]
    slow = [l for l in changes if l["loop_cpu_ms"] > 100]
    for line in slow:
        say("onc: over 100 ms: %s" % line)
    if args.plot and changes:
        plot.groups(args, "onc", ["%d hosts" % n for n in SIZES],
                    [("%g%%/s" % (100 * r),
                      [l["loop_cpu_ms"] for l in changes
                       if abs(l["changed_share"] - r) <= 0.3 * r + 1e-9])
                     for r in RATES], "CPU ms in a loop of 100 ms")
    return 1 if slow else 0
