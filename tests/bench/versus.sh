#!/bin/bash
# Translune and RocketMQ 5.3.3 side by side: each in turn on the same disk, both driven by mqbench.
# Options go on to versus.py (--help); the result also goes to build/versus.json.
set -euo pipefail
cd "$(dirname "$0")/../.."

cmake --preset release >/dev/null
ninja -C build/release mqbroker mqnamesrv mqbench >/dev/null
[ -e tests/apache/target/lib/rocketmq-broker-5.3.3.jar ] ||
    mvn -q -B -f tests/apache/pom.xml process-resources </dev/null
exec python3 tests/bench/versus.py "$@"
