#!/bin/sh
# Installs ClickHouse as a library (0.6 GB) into DIRECTORY, or target/engine: the exact build that
# deploy/engine/package-lock.json names. Does nothing when it is there already.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
to=${1:-$here/../../target/engine}
if [ -e "$to/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so" ] &&
    cmp -s "$here/package-lock.json" "$to/package-lock.json"; then
    exit 0
fi
if ! command -v npm >/dev/null 2>&1; then
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "Please install npm, then try again." >&2
        exit 1
    fi
    sudo=""
    [ "$(id -u)" = 0 ] || sudo="sudo"
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends npm >/dev/null
fi
mkdir -p "$to"
cp "$here/package.json" "$here/package-lock.json" "$to/"
npm ci --prefix "$to" --no-audit --no-fund --ignore-scripts --loglevel=error
