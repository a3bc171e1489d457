#!/bin/bash
# What a call of each ready-made filter costs, in nanoseconds.
set -euo pipefail
cd "$(dirname "$0")/../.."

cmake --preset release >/dev/null
ninja -C build/release bench_filter >/dev/null
for run in "eu_orders region=eu,min=100" "by_property name=region,value=e*,negate=false"; do
    read -r script args <<<"$run"
    printf '%-12s ' "$script"
    build/release/bin/bench_filter "filters/$script.lua" "$args"
done
