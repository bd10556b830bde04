#! /bin/sh
# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
#
# Runs Open vSwitch's own test suite with our daemon in place of ovs-vswitchd
# and compares with the stock daemon of the same tree.  A test that fails with
# ours is run again by itself, up to twice; if it fails each time, with stock as
# well.  Only a test that fails three times with ours and passes with stock
# counts as a failure: some of the suite's tests want PMD threads to get to run
# every 10 ms, and fail with either daemon where other work is in the way.

usage() {
    cat <<'END'
usage: check-ovs.sh --ovs-source=DIR --ovs-build=DIR --vswitchd=FILE --dir=DIR
                    [--mode=idle|steering]... [--subset=fast|all] [--jobs=N]
                    [--tests="NUMBERS"]
  --mode      idle: nothing configured; steering: rsspp on every port
              (default: both)
  --subset    fast: the tests of PMD threads, dpif-netdev, load balancing,
              offload, tunnels and the daemon itself; all: every test (default)
  --tests     only these, by number, e.g. "1001-1010 1051"
Exit status: 0 if no test failed that passes with stock.
END
}

fast_files='pmd alb dpif-netdev dpctl tunnel-push-pop tunnel-push-pop-ipv6
            ovs-vswitchd'
ovs_source='' ovs_build='' vswitchd='' dir='' modes='' subset=all
tests='' jobs=''
for arg; do
    value=${arg#*=}
    case $arg in
    --ovs-source=*) ovs_source=$value ;;
    --ovs-build=*) ovs_build=$value ;;
    --vswitchd=*) vswitchd=$value ;;
    --dir=*) dir=$value ;;
    --mode=idle | --mode=steering) modes="$modes $value" ;;
    --subset=fast | --subset=all) subset=$value ;;
    --jobs=*) jobs=$value ;;
    --tests=*) tests=$value ;;
    --help) usage; exit 0 ;;
    *) echo "check-ovs.sh: $arg is not an option" >&2; usage >&2; exit 2 ;;
    esac
done
suite=$ovs_source/tests/testsuite
for file in "$suite" "$ovs_build/tests/atlocal" "$vswitchd"; do
    if test ! -f "$file"; then
        echo "check-ovs.sh: $file does not exist" >&2
        exit 2
    fi
done
: ${modes:=idle steering}
# The tests of the fast subset mostly wait.  What is run again runs alone, with
# ours and with stock alike.
cpus=`getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1`
test -n "$jobs" || case $subset in
fast) jobs=$((cpus * 4)) ;;
*) jobs=$cpus ;;
esac
case $dir in
    /*) ;;
    *) echo "check-ovs.sh: --dir needs an absolute path" >&2; exit 2 ;;
esac

# prepare NAME [DAEMON]: makes directory $dir/NAME to run the suite in, with
# DAEMON as ovs-vswitchd, or stock's.
prepare() {
    work=$dir/$1
    rm -rf "$work"
    mkdir -p "$work/tests/bin"
    sed -e "s|^abs_builddir=.*|abs_builddir='$work/tests'|" \
        -e "s|^at_srcdir=.*|at_srcdir='$ovs_source/tests'|" \
        -e "s|^at_top_srcdir=.*|at_top_srcdir='$ovs_source'|" \
        -e "s|^at_top_build_prefix=.*|at_top_build_prefix='$ovs_build/'|" \
        "$ovs_build/tests/atconfig" > "$work/tests/atconfig"
    cp "$ovs_build/tests/atlocal" "$work/tests/atlocal"
    if test -n "$2"; then
        ln -s "$2" "$work/tests/bin/ovs-vswitchd"
    fi
    path=$work/tests/bin
    for sub in utilities vswitchd ovsdb vtep tests ipsec; do
        path=$path:$ovs_build/$sub:$ovs_source/$sub
    done
}

# run NAME MODE JOBS NUMBERS...: runs the tests and leaves one line a test,
# "NUMBER RESULT", in $dir/NAME/results.
run() {
    name=$1 as=$2 parallel=$3
    shift 3
    (
        unset OVS_EXT_STEERING
        if test "$as" = steering; then
            OVS_EXT_STEERING=rsspp
            export OVS_EXT_STEERING
        fi
        cd "$dir/$name/tests" &&
        "$suite" AUTOTEST_PATH="$path" -j"$parallel" "$@" \
            > "$dir/$name/output" 2>&1 < /dev/null
    )
    sed -n -e 's/^ *\([0-9][0-9]*\): .* ok *$/\1 ok/p' \
        -e 's/^ *\([0-9][0-9]*\): .* skipped (.*$/\1 skipped/p' \
        -e 's/^ *\([0-9][0-9]*\): .* expected failure (.*$/\1 ok/p' \
        -e 's/^ *\([0-9][0-9]*\): .* FAILED (.*$/\1 failed/p' \
        -e 's/^ *\([0-9][0-9]*\): .* UNEXPECTED PASS.*$/\1 failed/p' \
        "$dir/$name/output" > "$dir/$name/results"
    # The suite itself says which binary it took.
    expected=$dir/$name/tests/bin/ovs-vswitchd
    test -h "$expected" || expected=$ovs_build/vswitchd/ovs-vswitchd
    if ! grep -F "$expected" "$dir/$name/tests/testsuite.log" >/dev/null; then
        echo "check-ovs.sh: the suite did not run $expected," \
             "see $dir/$name/output" >&2
        exit 2
    fi
}

count() {
    grep -c " $2\$" "$dir/$1/results"
}

failed() {
    sed -n 's/ failed$//p' "$dir/$1/results" | tr '\n' ' '
}

# title NUMBER
title() {
    sed -n "s/^ *$1: [^ ]* *//p" "$dir/list" | sed 1q
}

# Certificates for the tests of TLS, made once per tree.
if test ! -f "$ovs_build/tests/testpki-cacert.pem"; then
    make -C "$ovs_build" `sed -n 's|^.*\(tests/testpki-[a-z0-9]*\.pem\):.*|\1|p' \
        "$ovs_source/tests/automake.mk"` > /dev/null 2>&1 ||
        echo "check-ovs.sh: no certificates, tests of TLS will fail" >&2
fi

mkdir -p "$dir" || exit 2
(cd "$dir" && "$suite" --list) > "$dir/list" || exit 2
if test -z "$tests" && test "$subset" = fast; then
    for file in $fast_files; do
        tests="$tests `sed -n "s/^ *\([0-9]*\): $file\.at:.*/\1/p" "$dir/list" \
                       | tr '\n' ' '`"
    done
fi

trap 'exit 130' INT
trap 'exit 143' TERM
status=0 passed=0 new=0
for mode in $modes; do
    start=`date +%s`
    prepare $mode "$vswitchd"
    run $mode $mode "$jobs" $tests
    ok=`count $mode ok` skipped=`count $mode skipped` first=`failed $mode`
    bad=$first
    for again in $mode-again $mode-again2; do
        if test -n "$bad"; then
            prepare $again "$vswitchd"
            run $again $mode 1 $bad
            bad=`failed $again`
        fi
    done
    both=
    if test -n "$bad"; then
        prepare stock
        run stock stock 1 $bad
        both=`failed stock`
    fi
    echo "check-ovs $mode: `cat "$dir/$mode/results" | wc -l` run in" \
         "$((`date +%s` - start)) s, $ok ok, $skipped skipped"
    for test in $first; do
        case " $both " in *" $test "*)
            echo "  $test: fails with stock too: `title $test`"
            continue ;;
        esac
        case " $bad " in *" $test "*)
            echo "  $test: FAILS HERE, passes with stock: `title $test`"
            echo "    see $dir/$mode-again2/tests/testsuite.dir/"
            new=$((new + 1))
            continue ;;
        esac
        echo "  $test: passes when run again: `title $test`"
        ok=$((ok + 1))
    done
    passed=$((passed + ok))
    total=`wc -l < "$dir/$mode/results"`
    stock_fails=`echo $both | wc -w`
    if test $((stock_fails * 20)) -gt "$total"; then
        echo "check-ovs $mode: $stock_fails of $total tests fail with stock:" \
             "this machine cannot run the suite, see $dir/stock/output" >&2
        new=$((new + 1))
    fi
    if test "$ok" = 0; then
        echo "check-ovs $mode: no test passed, see $dir/$mode/output" >&2
        status=1
    fi
done
echo "$passed passed, $new failed"
test "$new" = 0 || status=1
exit $status
