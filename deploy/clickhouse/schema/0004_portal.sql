-- Calls through the portal, one row each, and the same by the names that Cloudflare's
-- `mcp_portal_logs` has.

CREATE TABLE IF NOT EXISTS {database}.portal_calls{local}{on_cluster}
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
ENGINE = {engine:MergeTree()}
PARTITION BY toYYYYMM(ts)
ORDER BY (portal, server_id, method, ts)
TTL stored_at + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

{cluster_only}CREATE TABLE IF NOT EXISTS {database}.portal_calls{on_cluster} AS {database}.portal_calls_local
ENGINE = {distributed:portal_calls,cityHash64(user_id)};

-- Country and data centre are not known here; a server has no audience of its own.
CREATE VIEW IF NOT EXISTS {database}.mcp_portal_logs{on_cluster} AS
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
FROM {database}.portal_calls;
