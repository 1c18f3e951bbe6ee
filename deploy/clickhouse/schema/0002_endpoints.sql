-- Servers, one row each once merged: filled by what goes into findings, mcp_messages and flows.
--
-- A finding told again changes nothing here: whatever findings give is a minimum, a maximum or a
-- set. Numbers of messages and flows are sums: a batch that comes again does not count twice, as
-- long as deduplicate_blocks_in_dependent_materialized_views is on. Rows are kept for good.
--
-- The views act as the user that made them: a sensor needs no right to read.

CREATE TABLE IF NOT EXISTS {database}.endpoints{local}{on_cluster}
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
ENGINE = {engine:AggregatingMergeTree()}
ORDER BY server_key
SETTINGS non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800;

{cluster_only}CREATE TABLE IF NOT EXISTS {database}.endpoints{on_cluster} AS {database}.endpoints_local
ENGINE = {distributed:endpoints,cityHash64(server_key)};

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.endpoints_of_findings{on_cluster}
TO {database}.endpoints{local}
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
FROM {database}.findings{local} AS f
WHERE f.server_key != ''
GROUP BY server_key;

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.endpoints_of_messages{on_cluster}
TO {database}.endpoints{local}
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
FROM {database}.mcp_messages{local} AS m
WHERE m.server_key != ''
GROUP BY server_key;

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.endpoints_of_flows{on_cluster}
TO {database}.endpoints{local}
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
FROM {database}.flows{local} AS f
WHERE f.server_key != ''
GROUP BY server_key;

-- The same in plain columns, one row for each server: what questions read.
CREATE VIEW IF NOT EXISTS {database}.servers{on_cluster} AS
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
FROM {database}.endpoints AS e
GROUP BY server_key;
