#!/bin/sh
# Gets the proxies that tests run, and Python with MCP's SDK of both eras, into DIRECTORY, or
# target/proxies. Nothing is installed into the system and nothing is started: packages of Debian are
# unpacked, programs of Python go to virtual environments. Does nothing when all of it is there.
#
#   root/         squid-openssl, nginx, haproxy, and the libraries of theirs that the system lacks
#   programs/     a virtual environment: mitmproxy, envoy
#   sessions/     MCP's SDK of the era of sessions
#   stateless/    MCP's SDK of the revision without sessions
#
# What cannot be had is told at the end, and its tests are skipped; with CI=true it is an error.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
to=${1:-$here/../../target/proxies}
mkdir -p "$to"
to=$(cd "$to" && pwd)
missing=""
# Bound for each download: a machine without a way out shall not wait for ever.
patience=300

sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"

# What the packages need and the system has not. Packages that the system has are not touched, so
# lines of an upgrade, whose second word is a version in brackets, are passed over; so is what only
# maintainer scripts of the packages use.
absent() {
    apt-get install --simulate --no-install-recommends squid-openssl nginx haproxy |
        awk '$1 == "Inst" && $3 !~ /^\[/ { print $2 }' |
        grep -vE '^(perl|libperl|libdbi-perl|logrotate|init-system-helpers|lsb-base)'
}

debian() {
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    $sudo apt-get update -qq || return 1
    rm -rf "$to/root" "$to/packages"
    mkdir -p "$to/root" "$to/packages"
    names=$(absent) || return 1
    # Where the system has them already, their files are still wanted here.
    for name in squid-openssl squid-common squid-langpack nginx haproxy; do
        echo "$names" | grep -qx "$name" || names="$names $name"
    done
    # shellcheck disable=SC2086
    (cd "$to/packages" && timeout "$patience" apt-get download -qq -o APT::Sandbox::User=root $names >/dev/null) || return 1
    for package in "$to"/packages/*.deb; do
        dpkg-deb --extract "$package" "$to/root" || return 1
    done
    rm -rf "$to/packages"
    touch "$to/root/complete"
}

# environment NAME: a virtual environment with what NAME.txt lists.
environment() {
    wanted=$here/../../tests/proxies/$1.txt
    cmp -s "$wanted" "$to/$1/installed.txt" && return 0
    echo "Installing for tests: $(tr '\n' ' ' <"$wanted")"
    rm -rf "${to:?}/$1"
    python3 -m venv "$to/$1" || return 1
    timeout "$patience" "$to/$1/bin/pip" install -q --disable-pip-version-check -r "$wanted" || return 1
    cp "$wanted" "$to/$1/installed.txt"
}

if [ ! -e "$to/root/complete" ]; then
    echo "Unpacking for tests: squid-openssl, nginx, haproxy"
    debian || missing="$missing squid nginx haproxy"
fi
for name in programs sessions stateless; do
    environment "$name" || missing="$missing $name"
done

[ -n "$missing" ] || exit 0
echo "Cannot be had, tests that need them are skipped:$missing" >&2
[ "${CI:-}" != true ]
