# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""A fleet: the OVS_Ext database, on one server or on three, a controller, and
hosts (bench.lab.Switch) whose agents talk to them, all on one machine."""

import atexit
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from bench.lab import Switch, alive, fail


def wait_for(what, predicate, timeout=20, step=0.02):
    """Waits until 'predicate' gives something true, and returns that."""
    deadline = time.time() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.time() > deadline:
            fail("%s: waited %d s in vain" % (what, timeout))
        time.sleep(step)


class Fleet:
    """The database and its controllers."""

    def __init__(self, args, servers=1):
        self.args = args
        self.dir = tempfile.mkdtemp(prefix="fleet.", dir=args.output_dir)
        self.env = dict(os.environ, OVS_RUNDIR=self.dir, OVS_LOGDIR=self.dir,
                        OVS_DBDIR=self.dir, OVS_SYSCONFDIR=self.dir)
        self.pids = {}
        atexit.register(self.close)
        self.remotes = ["unix:%s/db%d.sock" % (self.dir, i)
                        for i in range(servers)]
        for i in range(servers):
            self.start_server(i, servers)
        self.remote = ",".join(self.remotes)
        wait_for("database", lambda: self.ctl("init", check=False) is not None)

    def tool(self, name, *argv, check=True):
        path = getattr(self.args, name.replace("-", "_"), None) \
            or os.path.join(self.args.ovs_bindir, name)
        done = subprocess.run([path] + [str(a) for a in argv], env=self.env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              universal_newlines=True)
        if done.returncode and check:
            fail("%s %s: %s" % (name, " ".join(map(str, argv)),
                                done.stderr.strip()))
        return None if done.returncode else done.stdout

    def ctl(self, *argv, **kw):
        return self.tool("ext-ctl", "--timeout=10", "--db=" + self.remote,
                         *argv, **kw)

    def pid(self, name):
        with open(os.path.join(self.dir, name + ".pid")) as f:
            self.pids[name] = int(f.read())

    def start_server(self, i, servers):
        db = os.path.join(self.dir, "db%d.db" % i)
        raft = ["unix:%s/raft%d.sock" % (self.dir, j) for j in range(servers)]
        if servers == 1:
            self.tool("ovsdb-tool", "create", db, self.args.ext_schema)
        elif i == 0:
            self.tool("ovsdb-tool", "create-cluster", db,
                      self.args.ext_schema, raft[0])
        else:
            self.tool("ovsdb-tool", "join-cluster", db, "OVS_Ext", raft[i],
                      raft[0])
        self.tool("ovsdb-server", "--detach", "--no-chdir",
                  "--pidfile=%s/db%d.pid" % (self.dir, i),
                  "--log-file=%s/db%d.log" % (self.dir, i),
                  "--unixctl=%s/db%d.ctl" % (self.dir, i),
                  "--remote=p" + self.remotes[i], db)
        self.pid("db%d" % i)

    def leader(self):
        """The name of the server that leads."""
        for name in sorted(self.pids):
            if name.startswith("db"):
                status = self.tool("ovs-appctl", "-t",
                                   "%s/%s.ctl" % (self.dir, name),
                                   "cluster/status", "OVS_Ext", check=False)
                if status and "Role: leader" in status:
                    return name
        return None

    def start_controller(self, name="onc"):
        self.tool("controller", "--detach", "--no-chdir",
                  "--pidfile=%s/%s.pid" % (self.dir, name),
                  "--log-file=%s/%s.log" % (self.dir, name),
                  "--unixctl=%s/%s.ctl" % (self.dir, name),
                  "--db=" + self.remote)
        self.pid(name)

    def kill(self, name):
        """As a crash."""
        os.kill(self.pids.pop(name), signal.SIGKILL)

    def close(self):
        atexit.unregister(self.close)
        pids, self.pids = list(self.pids.values()), {}
        for sig in (signal.SIGTERM, signal.SIGKILL):
            for pid in pids:
                if alive(pid):
                    os.kill(pid, sig)
            deadline = time.time() + 3
            while time.time() < deadline and any(map(alive, pids)):
                time.sleep(0.05)
        if not os.environ.get("OVS_EXT_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)


class Host(Switch):
    """A switch of the fleet with accelerators that give packets back."""

    def __init__(self, args, fleet, name, mask, **other_config):
        super().__init__(args, args.vswitchd_ext, mask, **other_config)
        self.fleet = fleet
        self.name = name
        self.n_acc = 0

    def join(self):
        self.vsctl("set", "Open_vSwitch", ".",
                   "external_ids:system-id=" + self.name,
                   "external_ids:ovs-ext-remote=\"%s\"" % self.fleet.remote)
        wait_for("host in the database", lambda: self.fleet.ctl(
            "--columns=name", "find", "Resource", "host=" + self.name))

    def accelerator(self, kind="fpga", core=None, bridge="br0", **devargs):
        """Adds port acc0, acc1...; returns its name."""
        name = "acc%d" % self.n_acc
        stat = os.path.join(self.dir, name + ".stat")
        argv = ["add-port", bridge, name, "--", "set", "Interface", name,
                "type=dpdk", "ofport_request=%d" % (10 + self.n_acc),
                "options:dpdk-devargs=\"net_extnic%d,role=echo,stat=%s%s\""
                % (10 + self.n_acc, stat, "".join(
                    ",%s=%s" % item for item in devargs.items())),
                "other_config:ext-accelerator=" + kind]
        if core is not None:
            argv.append("other_config:pmd-rxq-affinity=\"0:%d\"" % core)
        self.vsctl(*argv)
        error = self.vsctl("get", "Interface", name, "error").strip()
        if error not in ("[]", '""'):
            fail("%s: %s" % (name, error))
        self.n_acc += 1
        return name

    def inject(self, name, what):
        """Has accelerator 'name' fail: "rx_stall=1", "echo_loss=100"..."""
        done = subprocess.run([self.args.nic_tool, "inject",
                               os.path.join(self.dir, name + ".stat"), what],
                              stderr=subprocess.PIPE, universal_newlines=True)
        if done.returncode:
            fail("inject: " + done.stderr.strip())

    def affinity(self):
        return json.loads(self.appctl("ext/affinity-show", "--json"))

    def instruction(self, network="untagged", klass="udp"):
        for i in self.affinity()["instructions"]:
            if (i["network"], i["class"]) == (network, klass):
                return i
        return None

    def start_traffic(self, rate, ms=None):
        self.nic("start", "--rate", rate, *(["--ms", ms] if ms else []))

    def stop_traffic(self):
        self.nic("stop")
        self.nic("wait", "--timeout", 20)
