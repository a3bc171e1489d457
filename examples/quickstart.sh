#!/bin/bash
# From a bare Debian 12 to a running broker: install packages, build, show the main job, serve.
#
#   examples/quickstart.sh                  ... and leave a broker running in the foreground, its
#                                           store in ./data (Ctrl-C stops it)
#   examples/quickstart.sh --demo           only show the main job, on a store of its own; exit 0
#                                           when it went as promised, 1 when not
#   --port-base N    name server on N, broker on N+1035 and N+1033  (N=9876: 9876, 10911, 10909)
#   --data DIR       the store, instead of ./data
#   --host ADDRESS   listen on all addresses and tell clients ADDRESS (else only this machine)
#   --no-install     do not ask for missing Debian packages
#
# The main job: ten orders are sent.  The group `warehouse` receives all ten.  The group `eu_team`
# has filters/eu_orders.lua bound and receives the orders of region eu from 100 upwards, only those.
set -euo pipefail
cd "$(dirname "$0")/.."

demo=0
install=1
port=9876
data=$PWD/data
host=127.0.0.1
listen=127.0.0.1

die() {
    printf 'quickstart: %s\n' "$*" >&2
    exit 1
}
need() { [ $# -ge 2 ] && [ -n "$2" ] || die "$1 needs a value"; }

while [ $# -gt 0 ]; do
    case $1 in
    --demo) demo=1 ;;
    --no-install) install=0 ;;
    --port-base)
        need "$@"
        case $2 in *[!0-9]*) die "--port-base $2: expected a number" ;; esac
        [ "$2" -ge 1 ] && [ "$2" -le 64000 ] || die "--port-base $2: expected 1..64000"
        port=$2
        shift
        ;;
    --data)
        need "$@"
        data=$(realpath -m "$2")
        shift
        ;;
    --host)
        need "$@"
        host=$2
        listen=0.0.0.0
        shift
        ;;
    -h | --help) sed -n '2,15s/^# \{0,1\}//p' "$0" && exit 0 ;;
    *) die "unknown option $1 (--help shows them)" ;;
    esac
    shift
done

broker_port=$((port + 1035))
namesrv=127.0.0.1:$port
broker=127.0.0.1:$broker_port
bin=build/release/bin
topic=Orders
log=
broker_pid=

step() { printf '\n== %s\n' "$*"; }
say() { printf '   %s\n' "$*"; }

# ---- order: name, region, amount.  What the filter should let through is computed here, apart.
orders=(
    "order-01 eu 250" "order-02 us 900" "order-03 eu 40" "order-04 eu 100" "order-05 asia 310"
    "order-06 us 75" "order-07 eu 99" "order-08 eu 1200" "order-09 asia 20" "order-10 eu 180"
)
wanted=()
for order in "${orders[@]}"; do
    read -r name region amount <<<"$order"
    if [ "$region" = eu ] && [ "$amount" -ge 100 ]; then wanted+=("$name"); fi
done

build() {
    mkdir -p build
    if ! { cmake --preset release && ninja -C build/release mqbroker mqnamesrv mqadmin; } \
        >build/quickstart.log 2>&1; then
        tail -n 40 build/quickstart.log >&2
        die "the build failed; all of it is in build/quickstart.log"
    fi
}

stop_broker() {
    [ -n "$broker_pid" ] || return 0
    kill -TERM "$broker_pid" 2>/dev/null || true
    wait "$broker_pid" 2>/dev/null || true
    broker_pid=
}

clean_up() {
    stop_broker
    if [ $demo = 1 ] && [ -n "${demo_dir:-}" ]; then rm -rf "$demo_dir"; fi
}

start_broker() { # start_broker OPTIONS...
    log=$data/broker.log
    mkdir -p "$data"
    "$bin/mqbroker" --standalone="$port" --set listenPort="$broker_port" \
        --set bindAddress="$listen" --set brokerIP1="$host" --set brokerName=quickstart \
        --set storePathRootDir="$data/store" "$@" >"$log" 2>&1 &
    broker_pid=$!
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        if grep -q 'boot success' "$log"; then return; fi
        if ! kill -0 "$broker_pid" 2>/dev/null; then
            broker_pid=
            cat "$log" >&2
            die "the broker did not start (port-base $port, store $data/store)"
        fi
        sleep 0.1
    done
    tail -n 20 "$log" >&2
    die "the broker is not ready after 30 s"
}

admin() { # admin COMMAND OPTIONS...: its output only when it fails
    local out
    out=$("$bin/mqadmin" "$@" 2>&1) || die "mqadmin $1 failed: $out"
    printf '%s\n' "$out"
}

# consumed GROUP: the names of the orders the group receives, sorted
consumed() {
    admin consumeMessage -n "$namesrv" -t "$topic" -g "$1" -c ${#orders[@]} --json >"$data/$1.out"
    grep -oE '"KEYS":"order-[0-9]+"' "$data/$1.out" | grep -oE 'order-[0-9]+' | sort
}

has() { # has NAME LIST: one mark of the table
    if grep -qx "$1" <<<"$2"; then echo "received"; else echo "-"; fi
}

show_main_job() {
    local order name region amount all eu

    step "Ten orders"
    admin updateTopic -n "$namesrv" -b "$broker" -t "$topic" -r 4 -w 4 >/dev/null
    say "mqadmin putScript -f filters/eu_orders.lua"
    admin putScript -n "$namesrv" -b "$broker" -f filters/eu_orders.lua >/dev/null
    say "mqadmin bindScript -g eu_team -t $topic -s eu_orders -a region=eu,min=100"
    admin bindScript -n "$namesrv" -b "$broker" -g eu_team -t "$topic" -s eu_orders \
        -a 'region=eu,min=100' >/dev/null
    for order in "${orders[@]}"; do
        read -r name region amount <<<"$order"
        admin sendMessage -n "$namesrv" -t "$topic" -p "$name: $amount from $region" -k "$name" \
            -c "$region" --property "region=$region" --property "amount=$amount" >/dev/null
    done
    say "mqadmin sendMessage: ${#orders[@]} orders sent to topic $topic"
    all=$(consumed warehouse)
    eu=$(consumed eu_team)

    step "Who received what"
    printf '   %-10s %-8s %6s    %-12s %-12s\n' order region amount warehouse eu_team
    for order in "${orders[@]}"; do
        read -r name region amount <<<"$order"
        printf '   %-10s %-8s %6s    %-12s %-12s\n' "$name" "$region" "$amount" \
            "$(has "$name" "$all")" "$(has "$name" "$eu")"
    done

    local every
    every=$(printf '%s\n' "${orders[@]}" | cut -d' ' -f1 | sort)
    [ "$all" = "$every" ] || die "the group warehouse should have received each order once"
    [ "$eu" = "$(printf '%s\n' "${wanted[@]}")" ] ||
        die "the group eu_team should have received exactly: ${wanted[*]}"
    say ""
    say "warehouse received all ${#orders[@]}; eu_team exactly the ${#wanted[@]} orders of region eu from 100 upwards."
    say "The filter ran inside the broker; both groups subscribe to $topic as any client would."
}

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step "Packages"
if [ $install = 1 ]; then examples/install-deps.sh build; else say "not asked for"; fi
step "Build (build/release)"
build
say "$("$bin/mqbroker" --version)"

if [ $demo = 1 ]; then
    demo_dir=$(mktemp -d "$PWD/build/demo-XXXXXX")
    data=$demo_dir
    step "Broker and name server on ports $port, $broker_port"
    start_broker --set mappedFileSizeCommitLog=67108864
    say "ready, on a store of its own"
    show_main_job
    step "The demonstration succeeded"
    exit 0
fi

first=1
[ -d "$data/store/commitlog" ] && first=0
step "Broker and name server on ports $port, $broker_port"
start_broker
say "ready; store in $data/store, log in $data/broker.log"
if [ $first = 1 ]; then
    show_main_job
else
    say "the store was here already, so the ten orders are left out (--demo shows them)"
fi
step "Serving"
say "name server address for clients: $host:$port      stop: Ctrl-C"
wait "$broker_pid" && status=0 || status=$?
broker_pid=
say "the broker ended with status $status"
exit $status
