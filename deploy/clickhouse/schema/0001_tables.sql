-- The tables. Columns are those of the rows that the sensor writes, in their order, each on a line
-- of its own. Batches that come again within a week, or among the last 10,000, are stored once.

CREATE DATABASE IF NOT EXISTS {database}{on_cluster};

CREATE TABLE IF NOT EXISTS {database}.schema_migrations{local}{on_cluster}
(
    version UInt32,
    name String,
    checksum String,
    applied_at DateTime64(6, 'UTC') DEFAULT now64(6),
    tool_version String
)
ENGINE = {engine:MergeTree()}
ORDER BY version
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

{cluster_only}CREATE TABLE IF NOT EXISTS {database}.schema_migrations{on_cluster} AS {database}.schema_migrations_local
ENGINE = {distributed:schema_migrations,version};

-- A finding of a running sensor is told up to three times: the row with the highest version of an
-- id counts, as FINAL has it. Retention goes by when a row was stored: captures may be old.
CREATE TABLE IF NOT EXISTS {database}.findings{local}{on_cluster}
(
    ts DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    last_seen DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    finding_id String CODEC(ZSTD(1)),
    version UInt64,
    state LowCardinality(String),
    sensor LowCardinality(String),
    rule_id LowCardinality(String),
    rule_name LowCardinality(String),
    rule_version LowCardinality(String),
    rule_status LowCardinality(String),
    lane LowCardinality(String),
    severity UInt8,
    severity_name LowCardinality(String),
    confidence UInt8,
    hits UInt64,
    evidence LowCardinality(String),
    visibility LowCardinality(String),
    verdict LowCardinality(String),
    reason LowCardinality(String),
    approval LowCardinality(String),
    client_ip IPv6,
    client_port UInt16,
    server_ip IPv6,
    server_port UInt16,
    server_key String CODEC(ZSTD(1)),
    server_host String CODEC(ZSTD(1)),
    transport LowCardinality(String),
    community_id String CODEC(ZSTD(1)),
    user String CODEC(ZSTD(1)),
    software Array(LowCardinality(String)),
    message String CODEC(ZSTD(1)),
    why String CODEC(ZSTD(1)),
    todo Array(LowCardinality(String)),
    refs Array(LowCardinality(String)),
    matched Array(String) CODEC(ZSTD(1)),
    packets Array(String) CODEC(ZSTD(1)),
    flows Array(String) CODEC(ZSTD(1)),
    document String CODEC(ZSTD(3)),
    stored_at DateTime('UTC') MATERIALIZED now() CODEC(Delta(4), ZSTD(1)),
    INDEX by_finding_id finding_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_server_host server_host TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_client_ip client_ip TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_community_id community_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_word document TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 1
)
ENGINE = {engine:ReplacingMergeTree(version)}
PARTITION BY toYYYYMM(ts)
ORDER BY (toDate(ts), rule_id, server_key, ts, finding_id)
TTL stored_at + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

{cluster_only}CREATE TABLE IF NOT EXISTS {database}.findings{on_cluster} AS {database}.findings_local
ENGINE = {distributed:findings,cityHash64(server_key)};

-- One row for each JSON-RPC message, without its content.
CREATE TABLE IF NOT EXISTS {database}.mcp_messages{local}{on_cluster}
(
    ts DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    sensor LowCardinality(String),
    client_ip IPv6,
    client_port UInt16,
    server_ip IPv6,
    server_port UInt16,
    server_key String CODEC(ZSTD(1)),
    server_host String CODEC(ZSTD(1)),
    verdict LowCardinality(String),
    client_software LowCardinality(String),
    direction LowCardinality(String),
    kind LowCardinality(String),
    method LowCardinality(String),
    name String CODEC(ZSTD(1)),
    uri String CODEC(ZSTD(1)),
    rpc_id String CODEC(ZSTD(1)),
    protocol_version LowCardinality(String),
    session String CODEC(ZSTD(1)),
    error_code Nullable(Int64),
    http_status UInt16,
    channel LowCardinality(String),
    size_bytes UInt64 CODEC(T64, ZSTD(1)),
    partial Bool,
    ambiguous Bool,
    capture_file String CODEC(ZSTD(1)),
    packet_number UInt64,
    stored_at DateTime('UTC') MATERIALIZED now() CODEC(Delta(4), ZSTD(1)),
    INDEX by_session session TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_client_ip client_ip TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_name name TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {engine:MergeTree()}
PARTITION BY toYYYYMMDD(ts)
ORDER BY (server_host, method, client_ip, ts)
TTL stored_at + INTERVAL 60 DAY
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

{cluster_only}CREATE TABLE IF NOT EXISTS {database}.mcp_messages{on_cluster} AS {database}.mcp_messages_local
ENGINE = {distributed:mcp_messages,cityHash64(client_ip)};

-- Flows of MCP servers, and of hints of them.
CREATE TABLE IF NOT EXISTS {database}.flows{local}{on_cluster}
(
    ts DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    last_seen DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    sensor LowCardinality(String),
    community_id String CODEC(ZSTD(1)),
    transport LowCardinality(String),
    app LowCardinality(String),
    client_ip IPv6,
    client_port UInt16,
    server_ip IPv6,
    server_port UInt16,
    server_key String CODEC(ZSTD(1)),
    server_host String CODEC(ZSTD(1)),
    sni String CODEC(ZSTD(1)),
    alpn Array(LowCardinality(String)),
    ja4 String CODEC(ZSTD(1)),
    verdict LowCardinality(String),
    evidence LowCardinality(String),
    bytes_to_server UInt64 CODEC(T64, ZSTD(1)),
    bytes_to_client UInt64 CODEC(T64, ZSTD(1)),
    packets_to_server UInt64 CODEC(T64, ZSTD(1)),
    packets_to_client UInt64 CODEC(T64, ZSTD(1)),
    gaps UInt64,
    gap_bytes UInt64,
    midstream Bool,
    finish LowCardinality(String),
    tunnels Array(LowCardinality(String)),
    stored_at DateTime('UTC') MATERIALIZED now() CODEC(Delta(4), ZSTD(1)),
    INDEX by_client_ip client_ip TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_community_id community_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_sni sni TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {engine:MergeTree()}
PARTITION BY toYYYYMMDD(ts)
ORDER BY (toStartOfHour(ts), server_host, client_ip, ts)
TTL stored_at + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1,
    non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

{cluster_only}CREATE TABLE IF NOT EXISTS {database}.flows{on_cluster} AS {database}.flows_local
ENGINE = {distributed:flows,cityHash64(client_ip)};

-- What servers offered: one row for each digest, so that more than one of a name is a history. Told
-- again, a definition keeps its first time and gets a new last one.
CREATE TABLE IF NOT EXISTS {database}.tool_definitions{local}{on_cluster}
(
    first_seen SimpleAggregateFunction(min, DateTime64(6, 'UTC')) CODEC(Delta(8), ZSTD(1)),
    last_seen SimpleAggregateFunction(max, DateTime64(6, 'UTC')) CODEC(Delta(8), ZSTD(1)),
    sensor SimpleAggregateFunction(anyLast, String),
    server_key String CODEC(ZSTD(1)),
    server_host SimpleAggregateFunction(anyLast, String) CODEC(ZSTD(1)),
    kind LowCardinality(String),
    name String CODEC(ZSTD(1)),
    digest String CODEC(ZSTD(1)),
    verdict SimpleAggregateFunction(anyLast, String),
    software SimpleAggregateFunction(anyLast, Array(String)),
    INDEX by_digest digest TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {engine:AggregatingMergeTree()}
ORDER BY (server_key, kind, name, digest)
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

{cluster_only}CREATE TABLE IF NOT EXISTS {database}.tool_definitions{on_cluster} AS {database}.tool_definitions_local
ENGINE = {distributed:tool_definitions,cityHash64(server_key)};

-- What each sensor saw and could not see.
CREATE TABLE IF NOT EXISTS {database}.sensor_stats{local}{on_cluster}
(
    ts DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    sensor LowCardinality(String),
    sensor_version LowCardinality(String),
    run LowCardinality(String),
    uptime_seconds UInt64,
    interval_millis UInt64,
    packets UInt64,
    bytes UInt64 CODEC(T64, ZSTD(1)),
    packets_interval UInt64 CODEC(T64, ZSTD(1)),
    bytes_interval UInt64 CODEC(T64, ZSTD(1)),
    kernel_dropped UInt64,
    kernel_dropped_interval UInt64,
    interface_dropped UInt64,
    interface_dropped_interval UInt64,
    shed_sixteenths UInt8,
    shed_flows UInt64,
    shed_packets UInt64,
    shed_packets_interval UInt64,
    shed_bytes UInt64,
    overflow_packets UInt64,
    queued_batches UInt64,
    queue_capacity UInt64,
    lost_events UInt64,
    lost_events_interval UInt64,
    flows UInt64,
    payload_bytes UInt64,
    readable_bytes UInt64,
    truncated_packets UInt64,
    undecodable_packets UInt64,
    malformed_packets UInt64,
    lost_fragments UInt64,
    gaps UInt64,
    gap_bytes UInt64,
    encrypted_flows UInt64,
    encrypted_bytes UInt64,
    midstream_flows UInt64,
    evictions UInt64,
    dropped_findings UInt64,
    out_of_order UInt64,
    reloads UInt64,
    failed_reloads UInt64,
    interfaces_down Array(LowCardinality(String)),
    counters Map(LowCardinality(String), UInt64),
    anomalies Map(LowCardinality(String), UInt64),
    stored_at DateTime('UTC') MATERIALIZED now() CODEC(Delta(4), ZSTD(1))
)
ENGINE = {engine:MergeTree()}
PARTITION BY toMonday(ts)
ORDER BY (sensor, ts)
TTL stored_at + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

{cluster_only}CREATE TABLE IF NOT EXISTS {database}.sensor_stats{on_cluster} AS {database}.sensor_stats_local
ENGINE = {distributed:sensor_stats,cityHash64(sensor)};
