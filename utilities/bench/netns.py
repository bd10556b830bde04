# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""Network namespaces and pairs of interfaces between them.  A namespace lives
as long as the process that holds it, so nothing is left behind when that has
been killed."""

import atexit
import subprocess

from bench.lab import fail


class Space:
    """The namespace of process 'pid'."""

    def __init__(self, name, pid):
        self.name = name
        self.pid = pid
        self.path = "/proc/%d/ns/net" % pid

    def command(self, *argv):
        """The command line that runs 'argv' here."""
        return ["nsenter", "--net=" + self.path] + [str(a) for a in argv]

    def run(self, *argv, check=True, env=None):
        done = subprocess.run(self.command(*argv), env=env,
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              universal_newlines=True)
        if check and done.returncode:
            fail("%s: %s: %s" % (self.name, " ".join(map(str, argv)),
                                 done.stderr.strip() or done.stdout.strip()))
        return done.stdout

    def ip(self, *argv, **kw):
        """Runs ip(8), with a line of arguments or several of them."""
        words = [w for a in argv for w in str(a).split()]
        return self.run("ip", *words, **kw)

    def sysctl(self, *settings, check=True):
        """Sets keys below "net.", as in "ipv4.ip_forward=1"."""
        for setting in settings:
            self.run("sysctl", "-q", "net." + setting, check=check)


class Namespace(Space):
    """A namespace of its own, without IPv6, so that nothing in it sends by
    itself."""

    def __init__(self, name):
        self.processes = []
        self.holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c",
             "for f in all default; do"
             " echo 1 > /proc/sys/net/ipv6/conf/$f/disable_ipv6; done;"
             " ip link set lo up; echo up; exec sleep infinity"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"up\n":
            fail("%s: cannot make a network namespace (root is needed)" % name)
        super().__init__(name, self.holder.pid)
        atexit.register(self.close)

    def popen(self, *argv, **kw):
        """Starts a process here that ends with the namespace."""
        process = subprocess.Popen(self.command(*argv),
                                   universal_newlines=True, **kw)
        self.processes.append(process)
        return process

    def close(self):
        atexit.unregister(self.close)
        for process in self.processes + [self.holder]:
            if process.poll() is None:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    try:
                        pipe.close()
                    except OSError:
                        pass    # It could not be told its last command.
        self.processes = []


def plain(space, interface):
    """Has an interface put checksums into packets, since the other end may be
    a switch in user space, and sets it up."""
    space.run("ethtool", "-K", interface, "tx", "off", "gro", "off")
    space.ip("link set dev", interface, "up")


def veth(space1, name1, space2, name2, mtu=1500):
    """Connects two namespaces."""
    subprocess.run(["ip", "link", "add", "name", name1, "mtu", str(mtu),
                    "netns", str(space1.pid), "type", "veth",
                    "peer", "name", name2, "mtu", str(mtu),
                    "netns", str(space2.pid)], check=True)
    plain(space1, name1)
    plain(space2, name2)


def move(interface, here, there):
    """Takes an interface from one namespace to another."""
    here.ip("link set dev", interface, "netns", there.pid)
    plain(there, interface)
