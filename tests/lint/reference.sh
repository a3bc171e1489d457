#!/bin/bash
# conf/REFERENCE.md is what the programs say about their configuration keys.
#
# usage: reference.sh BUILD_FOLDER            compare
#        reference.sh BUILD_FOLDER --write    write it anew
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${1:?a build folder is needed}/bin
file=conf/REFERENCE.md

reference() {
    cat <<'HEAD'
# Configuration keys

Names and defaults are RocketMQ 5.3.3's; `ours` marks keys RocketMQ does not have, `no effect` those
that are taken so that a RocketMQ file works, `dynamic` those that can change while the program
runs. This file is made by `tests/lint/reference.sh BUILD_FOLDER --write` from the programs' tables.

HEAD
    "$bin/mqbroker" --reference
    "$bin/mqnamesrv" --reference
}

if [ "${2:-}" = --write ]; then
    reference >"$file"
    exit 0
fi
if diff <(reference) "$file"; then
    echo "lint reference: ok"
else
    echo "lint reference: $file is behind; tests/lint/reference.sh $1 --write"
    exit 1
fi
