#!/bin/sh
# Installs what the build needs beside Rust: libpcap's headers and a C compiler. With `test`, also
# what the tests of live capture need, and tshark to compare with; without them they are skipped.
set -eu

missing=""
command -v cc >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
[ -e /usr/include/pcap/pcap.h ] || [ -e /usr/local/include/pcap/pcap.h ] || missing="$missing libpcap-dev"
if [ "${1:-}" = test ]; then
    command -v tcpreplay >/dev/null 2>&1 || missing="$missing tcpreplay"
    command -v tshark >/dev/null 2>&1 || missing="$missing tshark"
    command -v ip >/dev/null 2>&1 || missing="$missing iproute2"
    command -v tcpdump >/dev/null 2>&1 || missing="$missing tcpdump"
    command -v ethtool >/dev/null 2>&1 || missing="$missing ethtool"
    python3 -c "import ensurepip" >/dev/null 2>&1 || missing="$missing python3-venv"
fi
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "Please install a C compiler and the development files of libpcap, then try again." >&2
    exit 1
fi
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"
echo "Installing:$missing"
$sudo apt-get update -qq
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null
