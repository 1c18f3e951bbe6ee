-- Migration 1: tables

-- The tables. Columns are those of the rows that the sensor writes, in their order, each on a line
-- of its own. Batches that come again within a week, or among the last 10,000, are stored once.

CREATE DATABASE IF NOT EXISTS shadowtap ON CLUSTER '{cluster}';

CREATE TABLE IF NOT EXISTS shadowtap.schema_migrations_local ON CLUSTER '{cluster}'
(
    version UInt32,
    name String,
    checksum String,
    applied_at DateTime64(6, 'UTC') DEFAULT now64(6),
    tool_version String
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
ORDER BY version
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS shadowtap.schema_migrations ON CLUSTER '{cluster}' AS shadowtap.schema_migrations_local
ENGINE = Distributed('{cluster}', 'shadowtap', 'schema_migrations_local', version);

-- A finding of a running sensor is told up to three times: the row with the highest version of an
-- id counts, as FINAL has it. Retention goes by when a row was stored: captures may be old.
CREATE TABLE IF NOT EXISTS shadowtap.findings_local ON CLUSTER '{cluster}'
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', version)
PARTITION BY toYYYYMM(ts)
ORDER BY (toDate(ts), rule_id, server_key, ts, finding_id)
TTL stored_at + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS shadowtap.findings ON CLUSTER '{cluster}' AS shadowtap.findings_local
ENGINE = Distributed('{cluster}', 'shadowtap', 'findings_local', cityHash64(server_key));

-- One row for each JSON-RPC message, without its content.
CREATE TABLE IF NOT EXISTS shadowtap.mcp_messages_local ON CLUSTER '{cluster}'
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
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYYYYMMDD(ts)
ORDER BY (server_host, method, client_ip, ts)
TTL stored_at + INTERVAL 60 DAY
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS shadowtap.mcp_messages ON CLUSTER '{cluster}' AS shadowtap.mcp_messages_local
ENGINE = Distributed('{cluster}', 'shadowtap', 'mcp_messages_local', cityHash64(client_ip));

-- Flows of MCP servers, and of hints of them.
CREATE TABLE IF NOT EXISTS shadowtap.flows_local ON CLUSTER '{cluster}'
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
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYYYYMMDD(ts)
ORDER BY (toStartOfHour(ts), server_host, client_ip, ts)
TTL stored_at + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1,
    non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS shadowtap.flows ON CLUSTER '{cluster}' AS shadowtap.flows_local
ENGINE = Distributed('{cluster}', 'shadowtap', 'flows_local', cityHash64(client_ip));

-- What servers offered: one row for each digest, so that more than one of a name is a history. Told
-- again, a definition keeps its first time and gets a new last one.
CREATE TABLE IF NOT EXISTS shadowtap.tool_definitions_local ON CLUSTER '{cluster}'
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
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
ORDER BY (server_key, kind, name, digest)
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS shadowtap.tool_definitions ON CLUSTER '{cluster}' AS shadowtap.tool_definitions_local
ENGINE = Distributed('{cluster}', 'shadowtap', 'tool_definitions_local', cityHash64(server_key));

-- What each sensor saw and could not see.
CREATE TABLE IF NOT EXISTS shadowtap.sensor_stats_local ON CLUSTER '{cluster}'
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
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toMonday(ts)
ORDER BY (sensor, ts)
TTL stored_at + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS shadowtap.sensor_stats ON CLUSTER '{cluster}' AS shadowtap.sensor_stats_local
ENGINE = Distributed('{cluster}', 'shadowtap', 'sensor_stats_local', cityHash64(sensor));

INSERT INTO shadowtap.schema_migrations (version, name, checksum, tool_version)
VALUES (1, 'tables', '7e5efb7b95281c5d15a6ecd38a29ab395b0ef17bf52e385ad418cf96fde773e6', '0.1.0');

-- Migration 2: endpoints

-- Servers, one row each once merged: filled by what goes into findings, mcp_messages and flows.
--
-- A finding told again changes nothing here: whatever findings give is a minimum, a maximum or a
-- set. Numbers of messages and flows are sums: a batch that comes again does not count twice, as
-- long as deduplicate_blocks_in_dependent_materialized_views is on. Rows are kept for good.
--
-- The views act as the user that made them: a sensor needs no right to read.

CREATE TABLE IF NOT EXISTS shadowtap.endpoints_local ON CLUSTER '{cluster}'
(
    server_key String CODEC(ZSTD(1)),
    server_host SimpleAggregateFunction(max, String) CODEC(ZSTD(1)),
    first_seen SimpleAggregateFunction(min, DateTime64(6, 'UTC')) CODEC(Delta(8), ZSTD(1)),
    last_seen SimpleAggregateFunction(max, DateTime64(6, 'UTC')) CODEC(Delta(8), ZSTD(1)),
    sensors SimpleAggregateFunction(groupUniqArrayArray(64), Array(String)),
    verdict AggregateFunction(argMax, String, DateTime64(6, 'UTC')),
    evidence AggregateFunction(argMax, String, DateTime64(6, 'UTC')),
    worst_severity SimpleAggregateFunction(max, UInt8),
    findings AggregateFunction(uniqExact, String),
    rules SimpleAggregateFunction(groupUniqArrayArray(256), Array(String)),
    clients AggregateFunction(uniq, IPv6),
    sessions AggregateFunction(uniq, String),
    software SimpleAggregateFunction(groupUniqArrayArray(64), Array(String)),
    protocol_versions SimpleAggregateFunction(groupUniqArrayArray(16), Array(String)),
    tools SimpleAggregateFunction(groupUniqArrayArray(256), Array(String)),
    messages SimpleAggregateFunction(sum, UInt64),
    tool_calls SimpleAggregateFunction(sum, UInt64),
    errors SimpleAggregateFunction(sum, UInt64),
    flows SimpleAggregateFunction(sum, UInt64),
    bytes_to_server SimpleAggregateFunction(sum, UInt64),
    bytes_to_client SimpleAggregateFunction(sum, UInt64)
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
ORDER BY server_key
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS shadowtap.endpoints ON CLUSTER '{cluster}' AS shadowtap.endpoints_local
ENGINE = Distributed('{cluster}', 'shadowtap', 'endpoints_local', cityHash64(server_key));

CREATE MATERIALIZED VIEW IF NOT EXISTS shadowtap.endpoints_of_findings ON CLUSTER '{cluster}'
TO shadowtap.endpoints_local
DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    f.server_key AS server_key,
    max(f.server_host) AS server_host,
    min(f.ts) AS first_seen,
    max(f.last_seen) AS last_seen,
    groupUniqArrayIf(64)(toString(f.sensor), f.sensor != '') AS sensors,
    argMaxStateIf(toString(f.verdict), f.last_seen, f.verdict != '') AS verdict,
    argMaxStateIf(toString(f.evidence), f.last_seen, f.evidence != '') AS evidence,
    max(f.severity) AS worst_severity,
    uniqExactState(f.finding_id) AS findings,
    groupUniqArray(256)(toString(f.rule_id)) AS rules,
    uniqState(f.client_ip) AS clients,
    groupUniqArrayArray(64)(CAST(f.software, 'Array(String)')) AS software
FROM shadowtap.findings_local AS f
WHERE f.server_key != ''
GROUP BY server_key;

CREATE MATERIALIZED VIEW IF NOT EXISTS shadowtap.endpoints_of_messages ON CLUSTER '{cluster}'
TO shadowtap.endpoints_local
DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    m.server_key AS server_key,
    max(m.server_host) AS server_host,
    min(m.ts) AS first_seen,
    max(m.ts) AS last_seen,
    groupUniqArrayIf(64)(toString(m.sensor), m.sensor != '') AS sensors,
    argMaxStateIf(toString(m.verdict), m.ts, m.verdict != '') AS verdict,
    uniqState(m.client_ip) AS clients,
    uniqStateIf(m.session, m.session != '') AS sessions,
    groupUniqArrayIf(64)(concat('client ', m.client_software), m.client_software != '') AS software,
    groupUniqArrayIf(16)(toString(m.protocol_version), m.protocol_version != '') AS protocol_versions,
    groupUniqArrayIf(256)(m.name, m.method = 'tools/call' AND m.name != '') AS tools,
    count() AS messages,
    countIf(m.method = 'tools/call' AND m.kind = 'request') AS tool_calls,
    countIf(m.error_code IS NOT NULL) AS errors
FROM shadowtap.mcp_messages_local AS m
WHERE m.server_key != ''
GROUP BY server_key;

CREATE MATERIALIZED VIEW IF NOT EXISTS shadowtap.endpoints_of_flows ON CLUSTER '{cluster}'
TO shadowtap.endpoints_local
DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    f.server_key AS server_key,
    max(f.server_host) AS server_host,
    min(f.ts) AS first_seen,
    max(f.last_seen) AS last_seen,
    groupUniqArrayIf(64)(toString(f.sensor), f.sensor != '') AS sensors,
    argMaxStateIf(toString(f.verdict), f.last_seen, f.verdict != '') AS verdict,
    argMaxStateIf(toString(f.evidence), f.last_seen, f.evidence != '') AS evidence,
    uniqState(f.client_ip) AS clients,
    count() AS flows,
    sum(f.bytes_to_server) AS bytes_to_server,
    sum(f.bytes_to_client) AS bytes_to_client
FROM shadowtap.flows_local AS f
WHERE f.server_key != ''
GROUP BY server_key;

-- The same in plain columns, one row for each server: what questions read.
CREATE VIEW IF NOT EXISTS shadowtap.servers ON CLUSTER '{cluster}' AS
SELECT
    e.server_key AS server_key,
    max(e.server_host) AS server_host,
    min(e.first_seen) AS first_seen,
    max(e.last_seen) AS last_seen,
    arraySort(groupUniqArrayArray(64)(e.sensors)) AS sensors,
    argMaxMerge(e.verdict) AS verdict,
    argMaxMerge(e.evidence) AS evidence,
    max(e.worst_severity) AS worst_severity,
    uniqExactMerge(e.findings) AS findings,
    arraySort(groupUniqArrayArray(256)(e.rules)) AS rules,
    uniqMerge(e.clients) AS clients,
    uniqMerge(e.sessions) AS sessions,
    arraySort(groupUniqArrayArray(64)(e.software)) AS software,
    arraySort(groupUniqArrayArray(16)(e.protocol_versions)) AS protocol_versions,
    arraySort(groupUniqArrayArray(256)(e.tools)) AS tools,
    sum(e.messages) AS messages,
    sum(e.tool_calls) AS tool_calls,
    sum(e.errors) AS errors,
    sum(e.flows) AS flows,
    sum(e.bytes_to_server) AS bytes_to_server,
    sum(e.bytes_to_client) AS bytes_to_client
FROM shadowtap.endpoints AS e
GROUP BY server_key;

INSERT INTO shadowtap.schema_migrations (version, name, checksum, tool_version)
VALUES (2, 'endpoints', '8badf4a70b37c7bc15b161535359633da8ddc264d178decf62120aded3a26f9b', '0.1.0');

-- Migration 3: sources

-- Who told of a finding, and more of who was at the client: logs of proxies know.

ALTER TABLE shadowtap.findings_local ON CLUSTER '{cluster}'
    ADD COLUMN IF NOT EXISTS device String CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS groups Array(LowCardinality(String)),
    ADD COLUMN IF NOT EXISTS sources Array(LowCardinality(String));

ALTER TABLE shadowtap.findings ON CLUSTER '{cluster}'
    ADD COLUMN IF NOT EXISTS device String,
    ADD COLUMN IF NOT EXISTS groups Array(LowCardinality(String)),
    ADD COLUMN IF NOT EXISTS sources Array(LowCardinality(String));

INSERT INTO shadowtap.schema_migrations (version, name, checksum, tool_version)
VALUES (3, 'sources', '9f3ed495665ebc460b8cdcc74cef7d2955bd4c53f0a3ff16077d08ea167aa08c', '0.1.0');

-- Migration 4: portal

-- Calls through the portal, one row each, and the same by the names that Cloudflare's
-- `mcp_portal_logs` has.

CREATE TABLE IF NOT EXISTS shadowtap.portal_calls_local ON CLUSTER '{cluster}'
(
    ts DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    call_id String CODEC(ZSTD(1)),
    sensor LowCardinality(String),
    portal LowCardinality(String),
    portal_audience LowCardinality(String),
    replica LowCardinality(String),
    config_version LowCardinality(String),
    client_ip IPv6,
    client_port UInt16,
    user_issuer LowCardinality(String),
    user_id String CODEC(ZSTD(1)),
    user_name String CODEC(ZSTD(1)),
    user_groups Array(LowCardinality(String)),
    proof LowCardinality(String),
    client_id String CODEC(ZSTD(1)),
    client_software LowCardinality(String),
    user_agent LowCardinality(String),
    server_id LowCardinality(String),
    server_key String CODEC(ZSTD(1)),
    server_host String CODEC(ZSTD(1)),
    method LowCardinality(String),
    kind LowCardinality(String),
    name String CODEC(ZSTD(1)),
    uri String CODEC(ZSTD(1)),
    rpc_id String CODEC(ZSTD(1)),
    session String CODEC(ZSTD(1)),
    protocol_version LowCardinality(String),
    server_protocol_version LowCardinality(String),
    arguments_shape String CODEC(ZSTD(1)),
    arguments_digest String CODEC(ZSTD(1)),
    arguments_text String CODEC(ZSTD(3)),
    outcome LowCardinality(String),
    ruling LowCardinality(String),
    policy LowCardinality(String),
    refused_kind LowCardinality(String),
    tier LowCardinality(String),
    hold_id String CODEC(ZSTD(1)),
    hold_outcome LowCardinality(String),
    approver String CODEC(ZSTD(1)),
    findings Array(String) CODEC(ZSTD(1)),
    finding_kinds Array(LowCardinality(String)),
    rules Array(LowCardinality(String)),
    pin_state LowCardinality(String),
    pin_digest String CODEC(ZSTD(1)),
    request_bytes UInt64 CODEC(T64, ZSTD(1)),
    response_bytes UInt64 CODEC(T64, ZSTD(1)),
    upstream_status UInt16,
    duration_us UInt64 CODEC(T64, ZSTD(1)),
    upstream_us UInt64 CODEC(T64, ZSTD(1)),
    first_byte_us UInt64 CODEC(T64, ZSTD(1)),
    error_code Nullable(Int64),
    error String CODEC(ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    parent_span_id String CODEC(ZSTD(1)),
    stored_at DateTime('UTC') MATERIALIZED now() CODEC(Delta(4), ZSTD(1)),
    INDEX by_call_id call_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_user_id user_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_name name TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_session session TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_trace_id trace_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_arguments_digest arguments_digest TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYYYYMM(ts)
ORDER BY (portal, server_id, method, ts)
TTL stored_at + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS shadowtap.portal_calls ON CLUSTER '{cluster}' AS shadowtap.portal_calls_local
ENGINE = Distributed('{cluster}', 'shadowtap', 'portal_calls_local', cityHash64(user_id));

-- Country and data centre are not known here; a server has no audience of its own.
CREATE VIEW IF NOT EXISTS shadowtap.mcp_portal_logs ON CLUSTER '{cluster}' AS
SELECT
    '' AS ClientCountry,
    replaceOne(toString(client_ip), '::ffff:', '') AS ClientIP,
    '' AS ColoCode,
    ts AS Datetime,
    error AS Error,
    method AS Method,
    portal_audience AS PortalAUD,
    portal AS PortalID,
    if(kind = 'prompt', name, '') AS PromptGetName,
    if(kind = 'resource', uri, '') AS ResourceReadURI,
    '' AS ServerAUD,
    server_id AS ServerID,
    toInt64(intDiv(upstream_us, 1000)) AS ServerResponseDurationMs,
    server_key AS ServerURL,
    session AS SessionID,
    toBool(CAST(outcome AS String) = 'success') AS Success,
    if(kind = 'tool', name, '') AS ToolCallName,
    user_name AS UserEmail,
    user_id AS UserID
FROM shadowtap.portal_calls;

INSERT INTO shadowtap.schema_migrations (version, name, checksum, tool_version)
VALUES (4, 'portal', '206c4e70d003de5a8b5d78c17707d2b5caad8587518cb6d0bb578e98a576e9ab', '0.1.0');

-- Users of the store. Run it as an administrator, after the tables are there, with passwords of
-- your own in place of CHANGE-ME.
--
--   shadowtap            writes; reads only what describes the tables
--   shadowtap_reader     people and dashboards: reads, within limits
--   shadowtap_migrator   makes and changes the tables, and nothing else; it must stay: the views
--                        that fill endpoints act as the user that made them

CREATE ROLE IF NOT EXISTS shadowtap_sensor ON CLUSTER '{cluster}';

GRANT ON CLUSTER '{cluster}' INSERT ON shadowtap.* TO shadowtap_sensor;

-- Inserts name their columns, and the server describes the table for that.
GRANT ON CLUSTER '{cluster}' SHOW TABLES, SHOW COLUMNS ON shadowtap.* TO shadowtap_sensor;

GRANT ON CLUSTER '{cluster}' SELECT ON shadowtap.schema_migrations TO shadowtap_sensor;

CREATE ROLE IF NOT EXISTS shadowtap_dashboard ON CLUSTER '{cluster}';

GRANT ON CLUSTER '{cluster}' SELECT, SHOW TABLES, SHOW COLUMNS ON shadowtap.* TO shadowtap_dashboard;

GRANT ON CLUSTER '{cluster}' SELECT ON system.parts TO shadowtap_dashboard;

CREATE ROLE IF NOT EXISTS shadowtap_owner ON CLUSTER '{cluster}';

GRANT ON CLUSTER '{cluster}' CREATE DATABASE, CREATE TABLE, CREATE VIEW, ALTER, DROP TABLE, DROP VIEW, TRUNCATE,
    OPTIMIZE, SELECT, INSERT, SHOW TABLES, SHOW COLUMNS
    ON shadowtap.* TO shadowtap_owner;

GRANT ON CLUSTER '{cluster}' SELECT ON system.parts TO shadowtap_owner;

GRANT ON CLUSTER '{cluster}' TABLE ENGINE ON MergeTree, TABLE ENGINE ON ReplacingMergeTree,
    TABLE ENGINE ON AggregatingMergeTree TO shadowtap_owner;

GRANT ON CLUSTER '{cluster}' TABLE ENGINE ON ReplicatedMergeTree,
    TABLE ENGINE ON ReplicatedReplacingMergeTree, TABLE ENGINE ON ReplicatedAggregatingMergeTree,
    TABLE ENGINE ON Distributed TO shadowtap_owner;

GRANT ON CLUSTER '{cluster}' CLUSTER, REMOTE ON *.* TO shadowtap_owner;

-- Batches are kept in order and stored once because of settings that come with each of them.
CREATE SETTINGS PROFILE IF NOT EXISTS shadowtap_sensor ON CLUSTER '{cluster}'
SETTINGS max_memory_usage = 4000000000, async_insert = 0, wait_for_async_insert = 1
TO shadowtap_sensor;

-- 2 forbids writing and lets a query say how it wants its answer.
CREATE SETTINGS PROFILE IF NOT EXISTS shadowtap_dashboard ON CLUSTER '{cluster}'
SETTINGS readonly = 2 READONLY, max_execution_time = 60 MAX 300,
    max_memory_usage = 4000000000 MAX 8000000000, max_result_rows = 1000000 MAX 10000000
TO shadowtap_dashboard;

CREATE QUOTA IF NOT EXISTS shadowtap_dashboard ON CLUSTER '{cluster}' KEYED BY user_name
FOR INTERVAL 1 minute MAX queries = 600, execution_time = 300
TO shadowtap_dashboard;

CREATE USER IF NOT EXISTS shadowtap ON CLUSTER '{cluster}'
IDENTIFIED WITH sha256_password BY 'CHANGE-ME' DEFAULT ROLE shadowtap_sensor;

GRANT ON CLUSTER '{cluster}' shadowtap_sensor TO shadowtap;

CREATE USER IF NOT EXISTS shadowtap_reader ON CLUSTER '{cluster}'
IDENTIFIED WITH sha256_password BY 'CHANGE-ME' DEFAULT ROLE shadowtap_dashboard;

GRANT ON CLUSTER '{cluster}' shadowtap_dashboard TO shadowtap_reader;

CREATE USER IF NOT EXISTS shadowtap_migrator ON CLUSTER '{cluster}'
IDENTIFIED WITH sha256_password BY 'CHANGE-ME' DEFAULT ROLE shadowtap_owner;

GRANT ON CLUSTER '{cluster}' shadowtap_owner TO shadowtap_migrator;

