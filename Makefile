# The two commands that a fresh machine needs: `make demo` and `make test`.
# Both install what they need first: libpcap's headers and a C compiler, on Debian, and for the tests
# ClickHouse as a library (0.6 GB, by npm, into target/engine), proxies, and MCP's SDKs.

CARGO ?= cargo
# One more than there are processors: many tests wait for other programs.
TEST_THREADS ?= $(shell expr $$(nproc) + 1)
FUZZ_SECONDS ?= 30
FUZZ_TARGETS ?= decode event_line reassembly tls_handshake tls_records quic_initial dns http1 http2 \
	hpack websocket lines sse decompress jsonrpc rule_yaml approvals_yaml inspect_secrets inspect_text \
	state_json icap log_json log_text log_generic bearer portal_request portal_names portal_policy \
	portal_guard

.PHONY: demo test lint deps build licences fuzz-smoke bench bless

## demo: build, then replay a capture of real MCP traffic
demo: build
	@target/release/shadowtap replay captures/office-morning.pcap \
		--approvals captures/office-morning.approvals.yaml --fail-on never

## test: all tests, and the inline tests of the shipped rules
test:
	@deploy/install-build-deps.sh test
	@deploy/engine/install.sh
	@deploy/proxies/test-programs.sh
	@deploy/portal-tests/install.sh
	$(CARGO) test --locked -- --test-threads $(TEST_THREADS)
	$(CARGO) run --locked --quiet -- rules check

## lint: formatting, lints, documentation
lint: deps
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items --quiet

build: deps
	$(CARGO) build --locked --release

## deps: libpcap's headers and a C compiler
deps:
	@deploy/install-build-deps.sh

## licences: licences, bans and sources of all dependencies
licences:
	@command -v cargo-deny >/dev/null || $(CARGO) install --locked cargo-deny
	$(CARGO) deny --locked check licenses bans sources

## fuzz-smoke: each of FUZZ_TARGETS for FUZZ_SECONDS
fuzz-smoke: deps
	@command -v cargo-fuzz >/dev/null || $(CARGO) install --locked cargo-fuzz
	@for target in $(FUZZ_TARGETS); do \
		echo "fuzz $$target"; \
		$(CARGO) fuzz run -s none $$target -- -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=4096 \
			-verbosity=0 || exit 1; \
	done

## bench: each stage, then whole replays as ratios to tcpdump
bench: deps
	$(CARGO) bench --locked

## bless: rewrite the golden outputs after a change that is meant
bless:
	BLESS=1 $(CARGO) test --locked
