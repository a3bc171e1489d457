#!/bin/bash
# Build Translune and run its tests.
#
#   tests/run.sh               everything below but fuzzing and benchmarks
#   tests/run.sh --lint        the checks of tests/lint
#   tests/run.sh --unit        lint, then the unit tests under AddressSanitizer and ThreadSanitizer
#   tests/run.sh --interop     real clients and Apache's tools against our servers (tests/integration)
#   tests/run.sh --crash       kills, power cuts, failing disks, damaged files (tests/crash); --long: ten times as much
#   tests/run.sh --fuzz        each fuzz target for 60 s; --fuzz-seconds N for another time
#   tests/run.sh --bench       the benchmarks of tests/bench
#   tests/run.sh --no-install  do not ask for missing Debian packages first
#
# Options add up.  The last line is `N passed, M failed, K skipped`; the exit code is 0 only when
# nothing failed.  Logs stay in build/test-logs.  With CI=true a warning of the compiler is an error.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

jobs=$(nproc)
fuzz_seconds=60
crash_form=()
install=1
stages=()

usage() {
    sed -n '2,15s/^# \{0,1\}//p' tests/run.sh
}

while [ $# -gt 0 ]; do
    case $1 in
    --lint) stages+=(lint) ;;
    --unit) stages+=(lint unit) ;;
    --interop) stages+=(interop) ;;
    --crash) stages+=(crash) ;;
    --long) crash_form=(--long) ;;
    --fuzz) stages+=(fuzz) ;;
    --bench) stages+=(bench) ;;
    --no-install) install=0 ;;
    --fuzz-seconds)
        case ${2:-} in
        '' | *[!0-9]*) echo "run.sh: --fuzz-seconds needs a number of seconds" >&2 && exit 2 ;;
        esac
        fuzz_seconds=$2
        shift
        ;;
    -h | --help) usage && exit 0 ;;
    *) echo "run.sh: unknown option $1 (--help shows them)" >&2 && exit 2 ;;
    esac
    shift
done
[ ${#stages[@]} -gt 0 ] || stages=(lint unit interop crash)

logs=$PWD/build/test-logs
mkdir -p "$logs"
passed=0 failed=0 skipped=0
failures=()
began=$SECONDS

say() { printf '%s\n' "[$(printf '%4d' $((SECONDS - began))) s] $*"; }

# count PASSED FAILED SKIPPED WHAT: add to the sum and tell
count() {
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
    [ "$2" = 0 ] || failures+=("$4")
    say "$4: $1 passed, $2 failed, $3 skipped"
}

# build PRESET TARGET...: configure and build; the log is shown only when it fails
build() {
    local preset=$1 log=$logs/build-$1.log
    shift
    local werror=OFF
    [ "${CI:-}" = true ] && werror=ON
    say "building $preset: $*"
    if ! cmake --preset "$preset" -DTL_WERROR=$werror >"$log" 2>&1 ||
        ! ninja -C "build/$preset" -j "$jobs" "$@" >>"$log" 2>&1; then
        grep -E -A8 '(error|warning|Error|undefined reference)' "$log" | head -n 60
        count 0 1 0 "building $preset (see $log)"
        return 1
    fi
}

run_lint() {
    local check log
    for check in layers tables size words; do
        log=$logs/lint-$check.log
        if python3 "tests/lint/$check.py" >"$log" 2>&1; then
            count 1 0 0 "lint $check"
        else
            cat "$log"
            count 0 1 0 "lint $check"
        fi
    done
}

# These two need objects and programs, so they run behind a build.
lint_build() {
    local check log
    for check in symbols.py reference.sh; do
        log=$logs/lint-${check%.*}.log
        if "tests/lint/$check" "build/$1" >"$log" 2>&1; then
            count 1 0 0 "lint ${check%.*}"
        else
            cat "$log"
            count 0 1 0 "lint ${check%.*}"
        fi
    done
}

# Sums of cmocka's own lines in ctest's log; a program that ended without them counts as one failure.
cmocka_sums() {
    awk '
        function close_block() { if (bad && !told) f++; bad = told = 0 }
        /^[0-9]+\/[0-9]+ Testing: / { close_block() }
        /^\[  PASSED  \] [0-9]+ test/ { p += $4 }
        /^\[  FAILED  \] [0-9]+ test\(s\), listed/ { f += $4; told = 1 }
        /^\[  SKIPPED \] [0-9]+ test\(s\), listed/ { s += $4 }
        /^Test Failed\.|^Test timeout|^Unable to find executable/ { bad = 1 }
        END { close_block(); print p + 0, f + 0, s + 0 }
    ' "$1"
}

unit_under() {
    local preset=$1 runner=() log=$logs/unit-$1.log
    build "$preset" unit || return
    # ThreadSanitizer of gcc 12 does not get along with much address randomisation.
    if [ "$preset" = tsan ] && setarch -R true 2>/dev/null; then
        runner=(setarch -R)
    fi
    say "unit tests under $preset"
    if ! "${runner[@]}" ctest --test-dir "build/$preset" -j "$jobs" --timeout 300 \
        --output-on-failure >"$log" 2>&1; then
        grep -vE '^\[ (RUN|  *OK)|^ *[0-9]+/[0-9]+ .*Passed|^    *Start ' "$log" | head -n 200
    fi
    local all=build/$preset/Testing/Temporary/LastTest.log
    if [ ! -s "$all" ]; then
        count 0 1 0 "unit tests under $preset did not run (see $log)"
        return
    fi
    cp "$all" "$logs/unit-$preset-all.log"
    # shellcheck disable=SC2046
    count $(cmocka_sums "$all") "unit tests under $preset"
}

# The tests beside the ready-made scripts: TAP from mqlua.
script_tests() {
    local test log ok bad
    for test in filters/*_test.lua; do
        log=$logs/script-$(basename "$test" .lua).log
        "$1/bin/mqlua" test "$test" >"$log" 2>&1 || echo "not ok: exit code $?" >>"$log"
        ok=$(grep -c '^ok' "$log")
        bad=$(grep -c '^not ok' "$log")
        [ $((ok + bad)) -gt 0 ] || bad=1
        [ "$bad" = 0 ] || cat "$log"
        count "$ok" "$bad" 0 "script $test"
    done
}

run_unit() {
    unit_under asan
    if build asan all; then
        lint_build asan
        script_tests build/asan
    fi
    unit_under tsan
}

# A python3 that has pytest: Debian's may not be the first on the PATH.
find_python() {
    local python
    for python in python3 /usr/bin/python3; do
        if "$python" -c 'import pytest' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
}

number_before() { # number_before WORD TEXT: the 12 of "12 WORD"
    grep -oE "[0-9]+ $1" <<<"$2" | tail -n 1 | grep -oE '[0-9]+' || echo 0
}

run_interop() {
    build release all || return
    local python log=$logs/integration.log
    python=$(find_python)
    if [ -z "$python" ]; then
        count 0 1 0 "integration: no python3 with pytest"
        return
    fi
    say "integration tests: real clients against our servers"
    "$python" -m pytest tests/integration -ra --color=no -p no:cacheprovider </dev/null 2>&1 |
        tee "$log"
    local last
    last=$(grep -E '^=+ .*(passed|failed|skipped|error|no tests ran).* =+$' "$log" | tail -n 1)
    local bad=$(($(number_before failed "$last") + $(number_before 'errors?' "$last")))
    local ok
    ok=$(number_before passed "$last")
    [ $((ok + bad)) -gt 0 ] || bad=1
    count "$ok" "$bad" "$(number_before skipped "$last")" "integration"
}

run_crash() {
    build release crash || return
    build asan crash || return
    local python log=$logs/crash.log
    python=$(find_python)
    if [ -z "$python" ]; then
        count 0 1 0 "crash: no python3 with pytest"
        return
    fi
    say "crash harness ${crash_form[*]}"
    if "$python" tests/crash/run.py "${crash_form[@]}" </dev/null 2>&1 | tee "$log"; then
        count 4 0 0 "crash"
    else
        count 0 1 0 "crash (see $log)"
    fi
}

fuzz_one() { # fuzz_one PROGRAM: run it over a scratch corpus and the one in the tree
    local name=${1##*/fuzz_} work=build/fuzz/run
    mkdir -p "$work/$name"
    local dirs=("$work/$name")
    [ -d "tests/fuzz/corpus/$name" ] && dirs+=("tests/fuzz/corpus/$name")
    "$1" -max_total_time="$fuzz_seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$work/$name-" "${dirs[@]}" >"$logs/fuzz-$name.log" 2>&1 </dev/null
}

run_fuzz() {
    build fuzz fuzzers || return
    local programs=() program name pids i
    for program in build/fuzz/bin/fuzz_* build/fuzz/tests/fuzz_*; do
        [ -f "$program" ] && [ -x "$program" ] && programs+=("$program")
    done
    if [ ${#programs[@]} = 0 ]; then
        count 0 1 0 "fuzz: no targets were built"
        return
    fi
    say "fuzzing ${#programs[@]} targets, $fuzz_seconds s each, $jobs at a time"
    for ((i = 0; i < ${#programs[@]}; i += jobs)); do
        pids=()
        for program in "${programs[@]:i:jobs}"; do
            fuzz_one "$program" &
            pids+=("$! ${program##*/fuzz_}")
        done
        for program in "${pids[@]}"; do
            name=${program#* }
            if wait "${program%% *}"; then
                count 1 0 0 "fuzz $name ($(grep -oE 'number_of_executed_units: *[0-9]+' \
                    "$logs/fuzz-$name.log" | grep -oE '[0-9]+$') runs)"
            else
                tail -n 40 "$logs/fuzz-$name.log"
                count 0 1 0 "fuzz $name (input kept in build/fuzz/run)"
            fi
        done
    done
}

run_bench() {
    build release all || return
    local script name
    for script in tests/bench/*.sh; do
        [ -x "$script" ] || continue
        name=$(basename "$script" .sh)
        say "benchmark $name"
        if "$script" 2>&1 </dev/null | tee "$logs/bench-$name.log"; then
            count 1 0 0 "bench $name"
        else
            count 0 1 0 "bench $name"
        fi
    done
}

if [ $install = 1 ]; then
    say "packages"
    if ! examples/install-deps.sh test; then
        echo "0 passed, 1 failed, 0 skipped"
        exit 1
    fi
fi
done_stages=" "
for stage in "${stages[@]}"; do
    case $done_stages in *" $stage "*) continue ;; esac
    done_stages+="$stage "
    "run_$stage"
done

for what in "${failures[@]}"; do
    say "FAILED: $what"
done
say "took $((SECONDS - began)) s; logs are in build/test-logs"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
