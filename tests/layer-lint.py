#!/usr/bin/python3
# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""Keeps the layer rules of ARCHITECTURE.rst.

usage: layer-lint.py SRCDIR | --self-test

Rules, each with the name it is reported under:

  path       our headers are included by their path from the top of the tree
  layer      a file includes only lower layers and its own folder
  idl        the generated interface of the database is for ovs-ext/db, the
             controller and the tools
  provider   rte_*.h and *-provider.h are for datapath-hooks/ only (and for
             tests of it)
  pure       layers 1 to 3 own no thread and no lock and read no clock, file
             or environment variable
  pmd        code between the comments PMD-THREAD CODE and END PMD-THREAD CODE
             allocates nothing, locks nothing, logs nothing and makes no
             system call

A line that must break a rule says why, in a comment on it: "lint: RULE, why".
"""

import os
import re
import sys

# Folder to layer; the longest match counts.  Folders of one layer do not
# include each other, except below datapath-hooks/, where one layer is spread
# over folders.
LAYERS = {
    'ovs-ext/core': 1,
    'ovs-ext/monitor': 2,
    'ovs-ext/profile': 2,
    'ovs-ext/steering': 3,
    'ovs-ext/affinity': 3,
    'ovs-ext/offload': 3,
    'ovs-ext/session': 3,
    'ovs-ext/topology': 3,
    'ovs-ext/stack': 3,
    # Below the hooks, whose agent reads and writes rows, and not pure.
    'ovs-ext/db': 3.5,
    'datapath-hooks': 4,
    'ovs-ext/controller': 5,
    'utilities': 5,
    'tests': 6,
}
# Wiring: may include what is in the layer below, in any folder.
WIRING = {'datapath-hooks/ext-vswitchd.c': 5}

PURE = re.compile(
    r'\b(pthread_\w+|ovs_thread_create|xpthread_\w+|ovs_mutex_\w+'
    r'|ovs_rwlock_\w+|ovs_spin_\w+|clock_gettime|gettimeofday|time_msec'
    r'|time_usec|time_now|time_wall\w*|rte_\w+|rdtsc|__rdtsc|__rdtscp'
    r'|getenv|random_uint\w+|random_range|poll_block|poll_\w+wait\w*'
    r'|usleep|nanosleep|time)\s*\(')
# Reading a policy file is the trainer's and the daemon's business as well;
# the loader works on a buffer.
PMD = re.compile(
    r'\b(x?malloc|x?calloc|x?zalloc|x?realloc|x?strdup|xasprintf|x2nrealloc'
    r'|free|xmemdup\w*|rte_(?:z?m|c|re)alloc\w*|rte_free|aligned_alloc'
    r'|pthread_(?!self)\w+|xpthread_\w+|ovs_mutex_\w+|ovs_rwlock_\w+'
    r'|ovs_spin_\w+|rte_spinlock_\w+|VLOG_\w+|RTE_LOG|printf|fprintf'
    r'|vlog|puts|open|close|read|write|ioctl|mmap|munmap|sendto|recvfrom'
    r'|sendmsg|recvmsg|sendmmsg|recvmmsg|poll|epoll_wait|select|futex'
    r'|syscall|usleep|nanosleep|sleep|sched_yield|gettimeofday|getrusage'
    r'|fopen|fclose|fwrite|fread|fflush|seq_change|latch_set)\s*\(')

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
WAIVER = re.compile(r'lint:\s*(\w+),\s*\S')
BEGIN = re.compile(r'/\*\s*PMD-THREAD CODE\b')
END = re.compile(r'/\*\s*END PMD-THREAD CODE\b')


def folder_of(path):
    """The entry of LAYERS that PATH is in, or None."""
    best = None
    for folder in LAYERS:
        if path.startswith(folder + '/'):
            if best is None or len(folder) > len(best):
                best = folder
    return best


def blank(text):
    """TEXT with comments and strings blanked, lines kept."""
    def spaces(match):
        return re.sub(r'[^\n]', ' ', match.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"'
                  r"|'(?:\\.|[^'\\\n])*'", spaces, text, flags=re.S)


def check_include(path, folder, layer, line, ours):
    """Yields (rule, message) for an #include line."""
    match = INCLUDE.match(line)
    if not match:
        return
    quote, name = match.groups()
    base = os.path.basename(name)
    if folder not in ('datapath-hooks', 'tests') and (
            base.startswith('rte_') or base.endswith('-provider.h')):
        yield 'provider', '%s is for datapath-hooks/ only' % name
    if base == 'ovs-ext-idl.h' and layer < 5 and folder != 'ovs-ext/db':
        yield 'idl', '%s is for ovs-ext/db' % name
    if quote != '"':
        return
    if name in ours:
        target = folder_of(name)
        if target is None:
            return
        if target == folder:
            return
        if LAYERS[target] > layer:
            yield 'layer', '%s is of a higher layer' % name
        elif LAYERS[target] == layer:
            yield 'layer', '%s is a sibling' % name
    elif any(other.endswith('/' + name) for other in ours):
        yield 'path', 'write the path of %s from the top of the tree' % name


def check_file(path, text, ours):
    """Yields (line number, rule, message) for each violation in a file."""
    folder = folder_of(path)
    if folder is None:
        return
    layer = WIRING.get(path, LAYERS[folder])
    pmd = False
    begun = 0
    code = blank(text).split('\n')
    for number, line in enumerate(text.split('\n'), 1):
        found = list(check_include(path, folder, layer, line, ours))
        if BEGIN.search(line):
            if pmd:
                found.append(('pmd', 'PMD-THREAD CODE within itself'))
            pmd, begun = True, number
        elif END.search(line):
            if not pmd:
                found.append(('pmd', 'END PMD-THREAD CODE without a begin'))
            pmd = False
        source = code[number - 1]
        if layer <= 3:
            found += [('pure', '%s() in a pure layer' % m.group(1))
                      for m in PURE.finditer(source)]
        if pmd:
            found += [('pmd', '%s() in PMD-thread code' % m.group(1))
                      for m in PMD.finditer(source)]
        waiver = WAIVER.search(line)
        for rule, message in found:
            if not (waiver and waiver.group(1) == rule):
                yield number, rule, message
    if pmd:
        yield begun, 'pmd', 'PMD-THREAD CODE without an end'


def sources(top):
    """Maps the path of each C file below TOP's layer folders to its text."""
    files = {}
    for start in sorted({folder.split('/')[0] for folder in LAYERS}):
        for where, dirs, names in os.walk(os.path.join(top, start)):
            dirs[:] = sorted(d for d in dirs if not d.endswith('.dir'))
            for name in sorted(names):
                if name.endswith(('.c', '.h')):
                    full = os.path.join(where, name)
                    with open(full, encoding='utf-8') as f:
                        files[os.path.relpath(full, top)] = f.read()
    return files


def lint(files):
    """The violations in FILES, as sorted (path, line, rule, message)."""
    return [(path,) + found for path in sorted(files)
            for found in check_file(path, files[path], set(files))]


def self_test():
    """Checks that each rule finds its violation, and only that."""
    good = {
        'ovs-ext/core/ext-a.h': '#include "openvswitch/list.h"\n',
        'ovs-ext/steering/steer-a.h': '#include "ovs-ext/core/ext-a.h"\n',
        'ovs-ext/steering/steer-a.c':
            '#include "ovs-ext/steering/steer-a.h"\n'
            '/* clock_gettime() is not called. */\n'
            'static int downtime(int);\nint f(void) { return downtime(1); }\n',
        'datapath-hooks/hook.c':
            '#include <rte_ethdev.h>\n#include "netdev-provider.h"\n'
            '#include "ovs-ext/steering/steer-a.h"\n'
            'void f(void) { free(xmalloc(1)); }\n'
            '/* PMD-THREAD CODE */\n'
            'static void g(void) { h(1); /* free() */ }\n'
            '/* END PMD-THREAD CODE */\n'
            'static void i(void) { VLOG_INFO("x"); }\n',
        'ovs-ext/db/db-a.h': '#include "ovs-ext/core/ext-a.h"\n',
        'ovs-ext/db/db-a.c':
            '#include "ovs-ext/db/ovs-ext-idl.h"\n'
            'void f(void) { poll_timer_wait(1); }\n',
        'datapath-hooks/affinity/aff.c': '#include "ovs-ext/db/db-a.h"\n',
        'utilities/ctl.c': '#include "ovs-ext/db/ovs-ext-idl.h"\n',
        'datapath-hooks/ext-vswitchd.c':
            '#include "ovs-ext/steering/steer-a.h"\n',
    }
    bad = [
        ('layer', 'ovs-ext/core/ext-b.c',
         '#include "ovs-ext/steering/steer-a.h"\n'),
        ('layer', 'ovs-ext/session/s.c',
         '#include "ovs-ext/steering/steer-a.h"\n'),
        ('layer', 'ovs-ext/steering/steer-b.c',
         '#include "ovs-ext/db/db-a.h"\n'),
        ('idl', 'datapath-hooks/hook2.c',
         '#include "ovs-ext/db/ovs-ext-idl.h"\n'),
        ('path', 'ovs-ext/steering/steer-b.c', '#include "steer-a.h"\n'),
        ('provider', 'ovs-ext/steering/steer-b.c', '#include <rte_ring.h>\n'),
        ('provider', 'ovs-ext/steering/steer-b.c',
         '#include "netdev-provider.h"\n'),
        ('pure', 'ovs-ext/core/ext-b.c', 'x = time_msec();\n'),
        ('pure', 'ovs-ext/monitor/m.c', 'ovs_thread_create("x", f, NULL);\n'),
        ('pure', 'ovs-ext/steering/steer-b.c',
         'clock_gettime(CLOCK_MONOTONIC, &ts);\n'),
        ('pmd', 'datapath-hooks/h.c',
         '/* PMD-THREAD CODE */\np = xmalloc(1);\n'
         '/* END PMD-THREAD CODE */\n'),
        ('pmd', 'datapath-hooks/h.c',
         '/* PMD-THREAD CODE */\novs_mutex_lock(&m);\n'
         '/* END PMD-THREAD CODE */\n'),
        ('pmd', 'datapath-hooks/h.c',
         '/* PMD-THREAD CODE */\nVLOG_DBG("x");\n'
         '/* END PMD-THREAD CODE */\n'),
        ('pmd', 'datapath-hooks/h.c',
         '/* PMD-THREAD CODE */\nwrite(1, b, 1);\n'
         '/* END PMD-THREAD CODE */\n'),
        ('pmd', 'datapath-hooks/h.c', '/* PMD-THREAD CODE */\n'),
    ]
    failures = [repr(v) for v in lint(good)]
    for rule, path, text in bad:
        rules = [v[2] for v in lint(dict(good, **{path: text}))]
        if rules != [rule]:
            failures.append('%s in %s: found %s' % (rule, path, rules))
    waived = dict(good, **{'ovs-ext/core/w.c':
                           'x = time_msec(); /* lint: pure, a reason */\n'})
    failures += [repr(v) for v in lint(waived)]
    for failure in failures:
        print('self-test: %s' % failure)
    print('layer lint: %d of %d checks of itself failed'
          % (len(failures), len(bad) + 2))
    return 1 if failures else 0


def main(argv):
    if len(argv) != 2:
        sys.stderr.write(__doc__)
        return 2
    if argv[1] == '--self-test':
        return self_test()
    files = sources(argv[1])
    found = lint(files)
    for violation in found:
        print('%s:%d: %s: %s' % violation)
    print('layer lint: %d files, %d violations' % (len(files), len(found)))
    return 1 if found or not files else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))
