#!/bin/sh
# Records the connections in this folder anew: OpenSSL with itself over loopback. Needs openssl,
# tcpdump and leave to capture. The server sends each line back in reverse (not in tls13-early-data).
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
port=44330
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
	-subj /CN=lab.test -addext subjectAltName=DNS:lab.test,DNS:other.lab.test \
	-keyout "$work/ec.key" -out "$work/ec.crt" 2>/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=lab.test \
	-addext subjectAltName=DNS:lab.test -keyout "$work/rsa.key" -out "$work/rsa.crt" 2>/dev/null

# record NAME CERTIFICATE SERVER_OPTIONS CLIENT_OPTIONS CLIENTS. `K` as a line makes the client update
# its keys and ask the server to, `R` renegotiate.
record() {
	name=$1 cert=$2 server=$3 client=$4
	case $server in *early*) ;; *) server="-rev $server" ;; esac
	port=$((port + 1))
	rm -f "$name.keylog"
	timeout 20 tcpdump -i lo -U -w "$name.pcap" "tcp port $port" 2>/dev/null &
	dump=$!
	# shellcheck disable=SC2086
	sleep 20 | timeout 20 openssl s_server -accept "$port" -cert "$work/$cert.crt" \
		-key "$work/$cert.key" -quiet $server >/dev/null 2>&1 &
	srv=$!
	sleep 0.5
	eval "$5"
	sleep 0.4
	kill "$srv" 2>/dev/null || true
	sleep 0.3
	kill "$dump" 2>/dev/null || true
	wait "$dump" 2>/dev/null || true
}
say() {
	for line in "$@"; do
		sleep 0.4
		echo "$line"
	done
	sleep 0.4
}
connect() {
	# shellcheck disable=SC2086
	timeout 5 openssl s_client -connect "127.0.0.1:$port" -servername lab.test -keylogfile "$name.keylog" \
		$client "$@" >/dev/null 2>&1 || true
}
lines='say "first line of the client" "a second one, longer than the first" "last"'
plain="$lines | connect"

for suite in TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256; do
	record "tls13-$suite" ec "-tls1_3" "-tls1_3 -ciphersuites $suite" "$plain"
done
record tls13-TLS_AES_128_CCM_SHA256 ec "-tls1_3 -ciphersuites TLS_AES_128_CCM_SHA256" \
	"-tls1_3 -ciphersuites TLS_AES_128_CCM_SHA256" "$plain"
for suite in ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 \
	ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-ECDSA-AES128-SHA ECDHE-ECDSA-AES256-SHA \
	ECDHE-ECDSA-AES128-SHA256 ECDHE-ECDSA-AES256-SHA384; do
	record "tls12-$suite" ec "-tls1_2" "-tls1_2 -cipher $suite" "$plain"
done
for suite in AES128-SHA AES256-SHA256; do
	record "tls12-$suite" rsa "-tls1_2" "-tls1_2 -cipher $suite -no_etm" "$plain"
done
record tls11 rsa "-tls1_1 -cipher DEFAULT@SECLEVEL=0" "-tls1_1 -cipher DEFAULT@SECLEVEL=0" "$plain"
record tls12-renegotiation ec "-tls1_2 -client_renegotiation" "-tls1_2" 'say before R after | connect'
record tls12-resumption ec "-tls1_2" "-tls1_2" "$lines | connect -sess_out $work/s12;
	$lines | connect -sess_in $work/s12"
record tls12-session-id ec "-tls1_2 -no_ticket" "-tls1_2" \
	"$lines | connect -sess_out $work/sid; $lines | connect -sess_in $work/sid"
record tls13-key-update ec "-tls1_3" "-tls1_3" 'say one K two three K four | connect'
record tls13-hello-retry ec "-tls1_3 -groups P-256" "-tls1_3 -groups X25519:P-256" "$plain"
record tls13-resumption ec "-tls1_3" "-tls1_3" "$lines | connect -sess_out $work/s13;
	$lines | connect -sess_in $work/s13"
printf 'early words of the client\n' >"$work/early"
record tls13-early-data ec "-tls1_3 -early_data" "-tls1_3" "$lines | connect -sess_out $work/e;
	$lines | connect -sess_in $work/e -early_data $work/early"
ls -l ./*.pcap
