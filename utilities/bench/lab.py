# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""A laboratory: vswitchds with the NIC model, each in a directory of its own.

Several switches can exist at once; all but the one being measured are stopped
(SIGSTOP), so that they can be compared in turn, A B A B, without starting
daemons in between."""

import atexit
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

MISSING = object()


def say(*words):
    print("bench:", *words, file=sys.stderr, flush=True)


def fail(*words):
    say(*words)
    sys.exit(1)


def emit(line):
    """Prints a result, a dict, as one line of JSON."""
    print(json.dumps({k: round(v, 6) if isinstance(v, float) else v
                      for k, v in line.items()}), flush=True)


def median(values):
    values = sorted(values)
    n = len(values)
    return (values[n // 2] + values[(n - 1) // 2]) / 2 if n else float("nan")


def selected(args, **keys):
    """True unless a "--only KEY=VALUE" says otherwise about 'keys'."""
    wanted = {}
    for item in args.only:
        key, _, value = item.partition("=")
        wanted.setdefault(key, set()).update(value.split(","))
    return all(str(v) in wanted[k] for k, v in keys.items() if k in wanted)


@contextlib.contextmanager
def leave_to_pmd(mask):
    """Keeps this process, and what it starts meanwhile, off the CPUs in
    'mask', as isolcpus does where PMD threads are run in earnest.  These go
    there by themselves."""
    before = os.sched_getaffinity(0)
    rest = {c for c in before if not mask >> c & 1}
    os.sched_setaffinity(0, rest or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Switch:
    """One ovs-vswitchd with its database and, at most, one pair of ports."""

    # Memory without hugepages, in MB.
    plain_mb = 1024
    # And of hugepages.  Not more: buffers would take whatever is there, and
    # leave none to the switches that are to be compared with.
    huge_mb = 384

    def __init__(self, args, vswitchd, mask=0x3, **other_config):
        self.args = args
        self.program = vswitchd
        # Below the output directory rather than /tmp: no world-writable
        # parents, so that the same place serves for everything.
        self.dir = tempfile.mkdtemp(prefix="lab.", dir=args.output_dir)
        self.stat = os.path.join(self.dir, "nic.stat")
        self.env = dict(os.environ, OVS_RUNDIR=self.dir, OVS_LOGDIR=self.dir,
                        OVS_DBDIR=self.dir, OVS_SYSCONFDIR=self.dir)
        self.stopped = False
        self.traffic_began = 0
        self.pids = []
        self.cores = [c for c in range(64) if mask >> c & 1]
        self.ctl = os.path.join(self.dir, "vswitchd.ctl")
        atexit.register(self.close)
        self.start(mask, other_config)

    # Processes.

    def tool(self, name, *argv, check=True):
        done = subprocess.run([os.path.join(self.args.ovs_bindir, name)]
                              + [str(a) for a in argv], env=self.env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              universal_newlines=True)
        if check and done.returncode:
            fail("%s %s: %s" % (name, " ".join(map(str, argv)),
                                done.stderr.strip()))
        return done.stdout

    def vsctl(self, *argv, **kw):
        return self.tool("ovs-vsctl", "--timeout=20", *argv, **kw)

    def appctl(self, *argv, **kw):
        return self.tool("ovs-appctl", "-t", self.ctl, *argv, **kw)

    def start(self, mask, other_config):
        bindir = self.args.ovs_bindir
        db = os.path.join(self.dir, "conf.db")
        self.tool("ovsdb-tool", "create", db,
                  os.path.join(bindir, "vswitch.ovsschema"))
        self.tool("ovsdb-server", "--detach", "--no-chdir", "--pidfile",
                  "--log-file", "--remote=punix:%s/db.sock" % self.dir, db)
        self.pids.append(self.pid("ovsdb-server.pid"))
        extra = "-d %s --no-pci --file-prefix=%s" % (
            self.args.nic_driver, os.path.basename(self.dir))
        if self.args.no_huge:
            extra += " --no-huge --legacy-mem -m %d" % self.plain_mb
        else:
            extra += " --single-file-segments"
        settings = {"max-idle": "120000", "dpdk-init": "true", "dpdk-extra": extra,
                    "dpdk-socket-mem": str(self.huge_mb),
                    "dpdk-socket-limit": str(self.huge_mb),
                    "pmd-cpu-mask": hex(mask),
                    "pmd-rxq-assign": "group", "pmd-rxq-isolate": "false",
                    "n-handler-threads": "1", "n-revalidator-threads": "1"}
        if self.args.no_huge:
            del settings["dpdk-socket-mem"], settings["dpdk-socket-limit"]
            settings["per-port-memory"] = "true"
        settings.update({k.replace("_", "-"): v
                         for k, v in other_config.items()})
        self.vsctl("--no-wait", "init")
        self.configure(no_wait=True, **settings)
        self.launch()

    def launch(self):
        """Starts the daemon."""
        log = os.path.join(self.dir, "vswitchd.log")
        with open(os.path.join(self.dir, "stderr"), "w") as err:
            code = subprocess.call(
                self.in_namespace()
                + [self.program, "--detach", "--no-chdir",
                 "--pidfile=%s/vswitchd.pid" % self.dir,
                 "--log-file=" + log, "--unixctl=" + self.ctl,
                 "unix:%s/db.sock" % self.dir],
                env=self.env, stdout=err, stderr=err)
        if code:
            # The directory goes at exit.
            fail("%s did not start:\n%s" % (self.program, errors_of(log)))
        self.pids.append(self.pid("vswitchd.pid"))

    def in_namespace(self):
        """A network namespace of its own: the taps of the bridges of two
        switches have the same names."""
        return ["unshare", "--net"]

    def pid(self, name):
        with open(os.path.join(self.dir, name)) as f:
            return int(f.read())

    def pause(self):
        if not self.stopped:
            os.kill(self.pids[-1], signal.SIGSTOP)
            self.stopped = True

    def resume(self):
        if self.stopped:
            os.kill(self.pids[-1], signal.SIGCONT)
            self.stopped = False

    def close(self):
        atexit.unregister(self.close)
        if not self.pids:
            return
        self.resume()
        pids, self.pids = self.pids, []
        for pid in reversed(pids):
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        deadline = time.time() + 5
        while time.time() < deadline and any(alive(p) for p in pids):
            time.sleep(0.05)
        for pid in pids:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        if os.environ.get("OVS_EXT_KEEP"):
            say("kept", self.dir)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    # Configuration.

    def configure(self, no_wait=False, **other_config):
        """Sets other_config of the switch; a value of None removes a key."""
        argv = ["--no-wait"] if no_wait else []
        for key, value in other_config.items():
            key = key.replace("_", "-")
            if value is None:
                argv += ["--", "remove", "Open_vSwitch", ".", "other_config",
                         key]
            else:
                argv += ["--", "set", "Open_vSwitch", ".",
                         "other_config:%s=\"%s\"" % (key, value)]
        self.vsctl(*argv)

    def ports(self, n_rxq, source, flows, n_rxq_desc=2048):
        """Makes br0 with ports "src" and "dst".  'source' are devargs of the
        source, 'flows' OpenFlow flows.  The queues of "src" are spread over
        the PMD threads, which OVS left to itself does only by chance."""
        spread = ",".join("%d:%d" % (q, self.cores[q % len(self.cores)])
                          for q in range(n_rxq))
        devargs = "net_extnic0,role=source,stat=%s,%s" % (self.stat, source)
        self.vsctl("add-br", "br0", "--", "set", "bridge", "br0",
                   "datapath_type=netdev", "fail-mode=secure")
        self.vsctl("add-port", "br0", "src", "--", "set", "Interface", "src",
                   "type=dpdk", "ofport_request=1",
                   "options:n_rxq=%d" % n_rxq,
                   "options:n_rxq_desc=%d" % n_rxq_desc,
                   "options:dpdk-devargs=\"%s\"" % devargs,
                   "other_config:pmd-rxq-affinity=\"%s\"" % spread,
                   "--", "add-port", "br0", "dst",
                   "--", "set", "Interface", "dst", "type=dpdk",
                   "ofport_request=2",
                   "options:dpdk-devargs=\"net_extnic1,role=sink,stat=%s\""
                   % self.stat)
        for port in ("src", "dst"):
            error = self.vsctl("get", "Interface", port, "error").strip()
            if error not in ("[]", '""'):
                fail("%s: %s (log: %s/vswitchd.log)" % (port, error, self.dir))
        path = os.path.join(self.dir, "flows")
        with open(path, "w") as f:
            f.write("\n".join(flows) + "\n")
        self.tool("ovs-ofctl", "--bundle", "add-flows",
                  "unix:%s/br0.mgmt" % self.dir, path)

    # Traffic.

    def nic(self, verb, *argv):
        done = subprocess.run([self.args.nic_tool, verb, self.stat]
                              + [str(a) for a in argv],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              universal_newlines=True)
        if done.returncode:
            fail("%s: %s" % (verb, done.stderr.strip()))
        return done.stdout

    def stats(self, *argv):
        return json.loads(self.nic("stat", *argv))

    def traffic(self, ms, rate=None, windows=False):
        """Sends for 'ms' of the model's time and returns its figures."""
        argv = ["--ms", ms]
        if rate is not None:
            argv += ["--rate", rate]
        self.nic("start", *argv)
        # The command returns when a queue has begun, within a millisecond.
        self.traffic_began = time.time()
        self.nic("wait", "--timeout", ms / 1000 * 4 + 60)
        return self.stats(*(["--windows"] if windows else []))

    def warm_up(self, ms=400, rate=1.0):
        """Sends slowly, so that flows are set up before it counts."""
        self.traffic(ms, rate)

    def steering(self):
        return json.loads(self.appctl("ext/steering-show", "--json"))

    def wait_for(self, what, predicate, timeout=10):
        """Waits until 'predicate' holds of what ext/steering-show says, and
        returns that."""
        deadline = time.time() + timeout
        while True:
            show = self.steering()
            if predicate(show):
                return show
            if time.time() > deadline:
                fail("%s: waited %d s in vain" % (what, timeout))
            time.sleep(0.02)

    def set_mode(self, mode, ports=("src",)):
        """Turns steering to 'mode', from wherever it was, by way of off, so
        that every run begins with the device's own table."""
        self.configure(ext_steering="off")
        self.wait_for("steering off", lambda show: not show["cores"])
        if mode != "off":
            self.configure(ext_steering=mode)
            self.wait_for("steering " + mode, lambda show: show["ticks"] > 2
                          and len(show["cores"]) == len(self.cores))

    def port(self, name="src"):
        """What steering knows of port 'name'."""
        return [p for p in self.steering()["ports"] if p["name"] == name][0]

    def hand_off(self, name="src"):
        """Gives port 'name' virtual queues."""
        self.appctl("ext/steering-debug", "handoff", name)
        self.wait_for("virtual queues", lambda show: any(
            p["name"] == name and p["queue_of_bucket"]
            and all(q["core"] >= 0 for q in p["rxqs"])
            for p in show["ports"]))


def errors_of(log):
    """The last lines in a daemon's log that say what went wrong."""
    try:
        with open(log) as f:
            lines = [line.rstrip() for line in f
                     if any(level in line for level in
                            ("|WARN|", "|ERR|", "|EMER|"))]
    except OSError as e:
        return str(e)
    return "\n".join(lines[-5:]) or "%s names no error" % log


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def taking_turns(switches, active):
    """Stops every switch but 'active'."""
    for switch in switches:
        if switch is not active:
            switch.pause()
    active.resume()


# Pipelines.

def pipeline_plain():
    """One flow: in at 1, out at 2."""
    return ["in_port=1,actions=output:2"]


def pipeline_exact():
    """Makes every transport flow a megaflow of its own: the actions read all
    of its 5-tuple."""
    flows = ["priority=0,actions=drop"]
    for proto in ("tcp", "udp"):
        flows.append("priority=5,in_port=1,%s,actions="
                     "move:NXM_OF_IP_SRC[]->NXM_NX_REG0[],"
                     "move:NXM_OF_IP_DST[]->NXM_NX_REG1[],"
                     "move:OXM_OF_%s_SRC[]->NXM_NX_REG2[0..15],"
                     "move:OXM_OF_%s_DST[]->NXM_NX_REG2[16..31],output:2"
                     % (proto, proto.upper(), proto.upper()))
    return flows


def pipeline_real():
    """A pipeline of the usual sort: admission by source, a routing table with
    a lower TTL and new Ethernet addresses, classes by transport port, a VLAN
    on the way out.  Gives thousands of megaflows with several masks."""
    flows = ["table=0,priority=0,actions=drop",
             "table=0,priority=10,in_port=1,ip,actions=goto_table:1",
             "table=0,priority=10,in_port=1,ipv6,actions=goto_table:3",
             "table=0,priority=10,in_port=1,arp,actions=output:2",
             "table=1,priority=0,actions=goto_table:2",
             "table=2,priority=0,actions=goto_table:3",
             "table=3,priority=0,actions=mod_vlan_vid:100,output:2"]
    for i in range(64):
        flows.append("table=1,priority=20,ip,nw_src=198.51.%d.0/24,"
                     "actions=drop" % i)
    for i in range(256):
        flows.append("table=2,priority=%d,ip,nw_dst=172.%d.%d.0/20,actions="
                     "dec_ttl,mod_dl_src:02:00:00:00:00:01,"
                     "mod_dl_dst:02:00:00:00:01:%02x,goto_table:3"
                     % (10 + i % 4, 16 + i // 16, i % 16 * 16, i))
    for port in (22, 53, 80, 123, 443, 3306, 5432, 8080):
        for proto in ("tcp", "udp"):
            flows.append("table=3,priority=20,%s,tp_dst=%d,actions="
                         "mod_nw_tos:32,mod_vlan_vid:%d,output:2"
                         % (proto, port, 100 + port % 7))
    return flows


def captures():
    """Real captures to replay, if there are any: in $OVS_EXT_DATA or beside
    the source tree.  They are not part of it."""
    top = os.environ.get("OVS_EXT_DATA") or os.path.join(
        os.path.dirname(os.path.realpath(__file__)), "../../../shared/data")
    names = ("443-firefox.pcap", "KakaoTalk_talk.pcap", "bitcoin.pcap",
             "bittorrent_ip.pcap", "skype-conference-call.pcap", "zoom.pcap",
             "git.pcap", "iphone.pcap")
    return [path for path in (os.path.realpath(os.path.join(top, "pcap", n))
                              for n in names) if os.path.exists(path)]
