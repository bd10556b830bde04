# shellcheck shell=bash
# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
#
# Parts of ./quickstart: messages and clean-up, what the machine must have,
# where the sources come from, the builds.  Uses $top, $cache and $build.

ovs_src=$cache/ovs-src
ovs_build=$cache/ovs-build
# Says what quickstart built Open vSwitch from; not there if others did.
ovs_stamp=$ovs_build/.ovs-ext-built
dpdk_src=$cache/dpdk-src
debian_ovs=$cache/debian-ovs
debian_vswitchd=$debian_ovs/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk
logs=$cache/logs
jobs=${OVS_EXT_JOBS:-$(nproc)}

# Debian packages that are needed to build and to run.
packages='gcc libc6-dev make autoconf automake pkg-config python3 xz-utils
          openvswitch-source libdpdk-dev libssl-dev libcap-ng-dev
          libunbound-dev libnuma-dev libpcap-dev libbpf-dev libxdp-dev
          libgsl-dev liblmdb-dev iproute2 procps util-linux ethtool
          iputils-ping iperf3 netcat-openbsd curl openssl'
need_kb=$((3 * 1024 * 1024))

# Directories as in Debian's packages, so that ovs-vswitchd-ext can take the
# place of Debian's daemon.
ovs_configure="--prefix=/usr --sysconfdir=/etc --localstatedir=/var
               --with-dpdk=shared PYTHON3=/usr/bin/python3"

hugepages=no
plugin_copy=
locked=no
is_cleaning=no

## Messages, steps, clean-up.

say() {
    echo "quickstart: $*" >&2
}

die() {
    say "$*"
    exit 1
}

is_root() {
    test "$(id -u)" = 0
}

# Everything started from here on carries this, daemons that detach included.
export OVS_EXT_RUN=$$.$RANDOM$RANDOM

# Prints the processes that this run has left behind.
our_processes() {
    local dir pid

    for dir in /proc/[0-9]*; do
        pid=${dir#/proc/}
        if test "$pid" != $$ && \
           grep -qzFx "OVS_EXT_RUN=$OVS_EXT_RUN" "$dir/environ" 2>/dev/null
        then
            echo "$pid"
        fi
    done
}

# Ends what is still running, gives back hugepages, mounts and the lock.
cleanup() {
    local pids try

    test $is_cleaning = no || return 0
    is_cleaning=yes
    # This shell's own environment does not have OVS_EXT_RUN from its start,
    # so it does not find itself.
    for try in 1 2 3 4 5 6; do
        pids=$(our_processes)
        test -n "$pids" || break
        if test $try = 6; then
            kill -KILL $pids 2>/dev/null
        else
            test $try != 1 || kill -TERM $pids 2>/dev/null
            sleep 0.5
        fi
    done
    restore_hugepages
    if test -n "$plugin_copy"; then
        rm -rf "$plugin_copy"
        plugin_copy=
    fi
}
trap cleanup EXIT
trap 'trap "" INT TERM HUP; say "interrupted, cleaning up"; exit 130' INT
trap 'trap "" INT TERM HUP; exit 143' TERM HUP

take_lock() {
    test $locked = no || return 0
    exec 8>>"$cache/lock" || die "cannot write to $cache"
    flock -n 8 || die "another quickstart is running in $cache" \
                      "(process $(cat "$cache/lock" 2>/dev/null))"
    echo $$ > "$cache/lock"
    locked=yes
}

# step TITLE LOG COMMAND...: runs COMMAND with its output in LOG, and says how
# long it has been at it.
step() {
    local title=$1 log=$2
    local start=$SECONDS said=0 elapsed pid status

    shift 2
    "$@" > "$log" 2>&1 < /dev/null 8>&- &
    pid=$!
    while kill -0 $pid 2>/dev/null; do
        elapsed=$((SECONDS - start))
        if test -t 2; then
            printf '\rquickstart: %s ... %d s ' "$title" $elapsed >&2
        elif test $elapsed -ge $((said + 20)); then
            say "$title ... $elapsed s"
            said=$elapsed
        fi
        sleep 0.5
    done
    wait $pid
    status=$?
    test ! -t 2 || printf '\r\033[K' >&2
    if test $status = 0; then
        say "$title: done in $((SECONDS - start)) s"
    else
        say "$title: failed after $((SECONDS - start)) s, see $log"
    fi
    return $status
}

# must_step TITLE LOG COMMAND...: the same, and ends the run on failure.
must_step() {
    if ! step "$@"; then
        tail -n 15 "$2" | sed 's/^/    /' >&2
        exit 1
    fi
}

# foreground COMMAND...: runs it so that ^C reaches the trap above at once.
foreground() {
    "$@" 8>&- &
    wait $!
}

## What the machine must have.

require_distribution() {
    local id='' version=''

    if test -r /etc/os-release; then
        id=$(. /etc/os-release; echo "${ID-}")
        version=$(. /etc/os-release; echo "${VERSION_ID-}")
    fi
    if test "$id $version" != "debian 12"; then
        test "${OVS_EXT_FORCE-}" = 1 ||
            die "this is ${id:-an unknown system} $version; quickstart needs" \
                "Debian 12, whose Open vSwitch 3.1 and DPDK 22.11 it builds" \
                "with.  OVS_EXT_FORCE=1 tries anyway."
        say "not Debian 12: trying anyway"
    fi
    test "$(uname -m)" = x86_64 ||
        say "this machine is $(uname -m); only x86_64 has been tested"
    test "$(nproc)" -ge 2 ||
        say "one CPU only: two PMD threads will disturb each other"
}

# Space is needed once: for Open vSwitch (about 400 MB) and the packages.
require_space() {
    local dir=$cache free

    test ! -e "$ovs_build/vswitchd/ovs-vswitchd" || return 0
    while test ! -d "$dir"; do
        dir=$(dirname "$dir")
    done
    free=$(df -Pk "$dir" | awk 'NR == 2 { print $4 }')
    test "$free" -ge $need_kb ||
        die "$((free / 1024)) MB free in $dir, $((need_kb / 1024)) MB are" \
            "needed; OVS_EXT_CACHE=DIR takes another place"
}

missing_packages() {
    local name

    for name in $packages; do
        dpkg-query -W -f '${db:Status-Status}\n' "$name" 2>/dev/null \
            | grep -qx installed || echo "$name"
    done
}

require_packages() {
    local missing
    local -a get=(env DEBIAN_FRONTEND=noninteractive apt-get
                  -o Dpkg::Use-Pty=0 -y --no-install-recommends)

    missing=$(missing_packages | tr '\n' ' ')
    test -n "$missing" || return 0
    is_root || die "these Debian packages are missing:" \
                   "sudo apt-get install --no-install-recommends $missing"
    say "installing $missing"
    must_step "apt-get update" "$logs/apt-update.log" "${get[@]}" update
    must_step "apt-get install" "$logs/apt-install.log" \
              "${get[@]}" install $missing
}

## Hugepages.

# Takes 2 GB of 2 MB hugepages for the time of this run, if it may and can.
take_hugepages() {
    local pages=1024 nr=/proc/sys/vm/nr_hugepages before free

    hugepages=no
    if ! is_root || test "${OVS_EXT_NO_HUGE-}" = 1 || test ! -w $nr \
       || ! grep -q '^Hugepagesize: *2048 kB' /proc/meminfo; then
        say "no hugepages: DPDK runs with ordinary memory"
        return 0
    fi
    free=$(awk '/^HugePages_Free/ { print $2 }' /proc/meminfo)
    before=$(cat $nr)
    if test "$free" -lt $pages; then
        # What to give back, rather than a count to return to: others may take
        # and give back in the meantime.
        echo "nr $((pages - free))" >> "$cache/hugepages.state"
        echo $((before + pages - free)) 2>/dev/null > $nr
    fi
    if ! grep -q ' hugetlbfs ' /proc/mounts; then
        test -d /dev/hugepages || echo "dir /dev/hugepages" \
                                       >> "$cache/hugepages.state"
        mkdir -p /dev/hugepages
        echo "mount /dev/hugepages" >> "$cache/hugepages.state"
        mount -t hugetlbfs none /dev/hugepages 2>/dev/null
    fi
    free=$(awk '/^HugePages_Free/ { print $2 }' /proc/meminfo)
    if test "$free" -ge $pages && grep -q ' hugetlbfs ' /proc/mounts; then
        hugepages=yes
    else
        restore_hugepages
        say "no hugepages to be had: DPDK runs with ordinary memory"
    fi
}

# Undoes what take_hugepages() wrote down, last things first.
restore_hugepages() {
    local what value

    test -e "$cache/hugepages.state" || return 0
    test $locked = yes || return 0
    tac "$cache/hugepages.state" | while read -r what value; do
        case $what in
        nr) value=$(($(cat /proc/sys/vm/nr_hugepages) - value))
            echo $((value > 0 ? value : 0)) > /proc/sys/vm/nr_hugepages ;;
        mount) umount "$value" ;;
        dir) rmdir "$value" ;;
        esac
    done 2>/dev/null
    rm -f "$cache/hugepages.state"
}

# Whether a directory above FILE may be written to by everybody.
below_world_writable() {
    local dir

    dir=$(dirname "$(realpath "$1")")
    while :; do
        test -z "$(find "$dir" -maxdepth 0 -perm -002)" || return 0
        test "$dir" != / || return 1
        dir=$(dirname "$dir")
    done
}

## Sources and builds that do not depend on this checkout.

# What it is all built from and with.
package_versions() {
    dpkg-query -W -f '${Package} ${Version}\n' openvswitch-source libdpdk-dev
}

# Removes what was made from other packages than are installed now, such as
# before a security update.  What was built by hand bears no stamp and is taken
# as it is; configure checks that it fits.
forget_outdated() {
    test -e "$ovs_stamp" || return 0
    test "$(cat "$ovs_stamp")" != "$(package_versions)" || return 0
    say "Open vSwitch or DPDK has been updated: building anew"
    rm -rf "$ovs_src" "$ovs_build" "$debian_ovs"
}

unpack_ovs() {
    local tarball=/usr/src/openvswitch/openvswitch.tar.gz

    test ! -e "$ovs_src/vswitchd/bridge.c" || return 0
    test -r $tarball || die "$tarball is missing: reinstall the package" \
                            "openvswitch-source"
    rm -rf "$ovs_src.tmp" "$ovs_src"
    mkdir -p "$ovs_src.tmp"
    must_step "unpacking Open vSwitch" "$logs/ovs-unpack.log" \
        tar xzf $tarball -C "$ovs_src.tmp" --strip-components=1 \
            --no-same-owner
    mv "$ovs_src.tmp" "$ovs_src"
}

configure_ovs() {
    cd "$ovs_build" && "$ovs_src/configure" $ovs_configure CFLAGS="-O2 -g"
}

get_ovs() {
    forget_outdated
    unpack_ovs
    test ! -e "$ovs_stamp" || return 0
    if test -x "$ovs_build/vswitchd/ovs-vswitchd" \
       && test -x "$ovs_build/tests/test-ovsdb"; then
        return 0
    fi
    mkdir -p "$ovs_build"
    must_step "configuring Open vSwitch" "$logs/ovs-configure.log" \
        configure_ovs
    # "check_PROGRAMS" are among what "all" builds.
    must_step "building Open vSwitch (about 75 s on 2 CPUs)" \
        "$logs/ovs-make.log" make -C "$ovs_build" -j"$jobs"
    package_versions > "$ovs_stamp"
}

# Downloads Debian's source of DPDK with a private copy of the package
# sources, and unpacks the headers.  The system's sources stay as they are.
fetch_dpdk() {
    local version=$1 apt=$cache/apt file
    local -a private

    rm -rf "$apt" "$dpdk_src.tmp"
    mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/cache/archives/partial" \
             "$dpdk_src.tmp"
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        test ! -r "$file" || sed -n 's/^deb\(-src\)\?\([ \t]\)/deb-src\2/p' \
            "$file" | sort -u > "$apt/parts/$(basename "$file" .list).list"
    done
    for file in /etc/apt/sources.list.d/*.sources; do
        test ! -r "$file" || sed 's/^Types:.*/Types: deb-src/' "$file" \
            > "$apt/parts/${file##*/}"
    done
    private=(-o "Dir::Etc::SourceList=/dev/null"
             -o "Dir::Etc::SourceParts=$apt/parts"
             -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache"
             -o "APT::Sandbox::User=$(id -un)")
    apt-get "${private[@]}" update &&
    (cd "$apt" && apt-get "${private[@]}" source --download-only \
        "dpdk=$version") &&
    tar xf "$apt"/dpdk_*.orig.tar.* -C "$dpdk_src.tmp" --strip-components=1 \
        --no-same-owner --wildcards '*/VERSION' '*/lib' '*/drivers/bus' &&
    rm -rf "$apt" "$dpdk_src" && mv "$dpdk_src.tmp" "$dpdk_src"
}

get_dpdk_headers() {
    local version installed

    version=$(dpkg-query -W -f '${source:Version}' libdpdk-dev) ||
        die "libdpdk-dev is not installed"
    installed=$(pkg-config --modversion libdpdk)
    test "$(cat "$dpdk_src/VERSION" 2>/dev/null)" != "$installed" || return 0
    step "getting DPDK's driver headers ($version)" "$logs/dpdk-source.log" \
        fetch_dpdk "$version" && return 0
    tail -n 5 "$logs/dpdk-source.log" | sed 's/^/    /' >&2
    die "no source of dpdk $version to be had.  If the archive has a newer" \
        "one, upgrade: apt-get update && apt-get install libdpdk-dev"
}

fetch_debian_ovs() {
    local tmp=$debian_ovs.tmp

    rm -rf "$tmp"
    mkdir -p "$tmp"
    (cd "$tmp" && apt-get -o "APT::Sandbox::User=$(id -un)" \
        download openvswitch-switch-dpdk) &&
    dpkg -x "$tmp"/openvswitch-switch-dpdk_*.deb "$tmp" &&
    rm -rf "$debian_ovs" && mv "$tmp" "$debian_ovs"
}

# Debian's own daemon, to compare with.  Unpacked, not installed.
get_debian_ovs() {
    test ! -x "$debian_vswitchd" || return 0
    step "getting Debian's ovs-vswitchd-dpdk" "$logs/debian-ovs.log" \
        fetch_debian_ovs ||
        say "going on without it: comparisons will lack Debian's binary"
}

## Our build.

configure_ext() {
    local dir=$1

    shift
    cd "$dir" && "$top/configure" --with-ovs-source="$ovs_src" \
        --with-ovs-build="$ovs_build" --with-dpdk-source="$dpdk_src" "$@"
}

# build_ext DIRECTORY [CONFIGURE-ARGUMENT...]
build_ext() {
    local dir=$1 name=${1##*/}

    # The headers of another Open vSwitch may be older than our objects.
    if test -e "$ovs_stamp" && test -e "$dir" \
       && ! cmp -s "$ovs_stamp" "$dir/.built-with"; then
        rm -rf "$dir"
    fi
    mkdir -p "$dir"
    test ! -e "$ovs_stamp" || cp "$ovs_stamp" "$dir/.built-with"
    if test ! -x "$top/configure" || test -n "$(
        find "$top/configure.ac" "$top/m4" "$top/boot.sh" \
             -newer "$top/configure" -type f | head -n 1)"; then
        must_step "generating configure" "$logs/boot.log" "$top/boot.sh"
    fi
    if test ! -f "$dir/Makefile" || test "$top/configure" -nt "$dir/Makefile"
    then
        must_step "configuring ovs-ext ($name)" "$logs/$name-configure.log" \
            configure_ext "$@"
    fi
    must_step "building ovs-ext ($name)" "$logs/$name-make.log" \
        make -C "$dir" -j"$jobs"
}
