-- The tables as views over NDJSON files of events, so that the questions can be asked of files.
-- What a column is made of is what src/sinks/rows/line.rs says; a test compares the two.
--
-- Lines are read as text and taken apart here: a line that a crash left unfinished, or one of a
-- later version, then costs only itself. Each view looks only into lines that name its type.

CREATE DATABASE IF NOT EXISTS {database};

CREATE OR REPLACE VIEW {database}.event_lines AS
SELECT line FROM file({files}, LineAsString, 'line String');

CREATE OR REPLACE VIEW {database}.findings AS
SELECT
    e.`@timestamp` AS ts,
    if(e.event.end = toDateTime64(0, 6, 'UTC'), e.`@timestamp`, e.event.end) AS last_seen,
    e.event.id AS finding_id,
    e.event.count * 4 + transform(e.event.state, ['began', 'rose', 'closed'], [0, 1, 2], 3) AS version,
    e.event.state AS state,
    {sensor} AS sensor,
    e.rule.id AS rule_id,
    e.rule.name AS rule_name,
    e.rule.version AS rule_version,
    e.rule.status AS rule_status,
    e.rule.lane AS lane,
    e.event.severity AS severity,
    e.event.severity_name AS severity_name,
    e.rule.confidence AS confidence,
    e.event.count AS hits,
    e.evidence AS evidence,
    e.visibility AS visibility,
    e.verdict AS verdict,
    e.reason AS reason,
    e.approval.name AS approval,
    toIPv6OrDefault(e.source.ip) AS client_ip,
    e.source.port AS client_port,
    toIPv6OrDefault(e.destination.ip) AS server_ip,
    e.destination.port AS server_port,
    e.server.key AS server_key,
    trim(BOTH '[]' FROM extract(e.server.key, '://(\\[[^\\]]*\\]|[^:/]*)')) AS server_host,
    e.network.transport AS transport,
    e.network.community_id AS community_id,
    e.user.name AS user,
    e.software AS software,
    e.message AS message,
    e.why AS why,
    e.todo AS todo,
    e.refs AS refs,
    arrayMap(m -> concat(m.field, '@', m.view, ': ', m.text), e.matched) AS matched,
    arrayMap(p -> concat(p.file, ':', toString(p.number)), e.packets) AS packets,
    arrayFilter(id -> id != '', arrayMap(f -> f.community_id, e.flows)) AS flows,
    if(length(line) <= 262144, line, concat('{"cut":{"bytes":', toString(length(line)),
        '},"event":{"id":', replaceAll(toJSONString(e.event.id), '\\/', '/'), '},"event_type":"finding"}')) AS document,
    e.device.name AS device,
    e.user.groups AS groups,
    e.sources AS sources
FROM
(
    SELECT line, JSONExtract(line, 'Tuple(
        event_type String, `@timestamp` DateTime64(6, \'UTC\'),
        event Tuple(id String, severity UInt8, severity_name String, count UInt64, state String,
            end DateTime64(6, \'UTC\')),
        rule Tuple(id String, name String, version String, status String, lane String, confidence UInt8),
        evidence String, visibility String, verdict String, reason String, approval Tuple(name String),
        source Tuple(ip String, port UInt16), destination Tuple(ip String, port UInt16),
        server Tuple(key String), network Tuple(transport String, community_id String),
        user Tuple(name String, groups Array(String)), device Tuple(name String),
        sources Array(String), software Array(String), message String, why String,
        todo Array(String), refs Array(String),
        matched Array(Tuple(field String, view String, text String)),
        packets Array(Tuple(file String, number UInt64)),
        flows Array(Tuple(community_id String)))') AS e
    FROM {database}.event_lines
    WHERE position(line, '"finding"') > 0
)
WHERE e.event_type = 'finding' AND e.event.id != '';

CREATE OR REPLACE VIEW {database}.mcp_messages AS
SELECT
    e.`@timestamp` AS ts,
    {sensor} AS sensor,
    toIPv6OrDefault(e.source.ip) AS client_ip,
    e.source.port AS client_port,
    toIPv6OrDefault(e.destination.ip) AS server_ip,
    e.destination.port AS server_port,
    e.server.key AS server_key,
    trim(BOTH '[]' FROM extract(e.server.key, '://(\\[[^\\]]*\\]|[^:/]*)')) AS server_host,
    e.verdict AS verdict,
    e.client.software AS client_software,
    transform(e.mcp.direction, ['to_server', 'to_client'], ['client_to_server', 'server_to_client'],
        e.mcp.direction) AS direction,
    e.mcp.kind AS kind,
    e.mcp.method AS method,
    e.mcp.name AS name,
    e.mcp.uri AS uri,
    e.mcp.id AS rpc_id,
    e.mcp.protocol_version AS protocol_version,
    e.mcp.session AS session,
    e.mcp.error_code AS error_code,
    e.mcp.http_status AS http_status,
    e.mcp.channel AS channel,
    e.mcp.size AS size_bytes,
    e.mcp.partial AS partial,
    e.mcp.ambiguous AS ambiguous,
    e.packet.file AS capture_file,
    e.packet.number AS packet_number
FROM
(
    SELECT JSONExtract(line, 'Tuple(
        event_type String, `@timestamp` DateTime64(6, \'UTC\'),
        packet Tuple(file String, number UInt64),
        source Tuple(ip String, port UInt16), destination Tuple(ip String, port UInt16),
        server Tuple(key String), verdict String, client Tuple(software String),
        mcp Tuple(direction String, kind String, method String, id String, name String, uri String,
            protocol_version String, session String, error_code Nullable(Int64), http_status UInt16,
            channel String, size UInt64, partial Bool, ambiguous Bool))') AS e
    FROM {database}.event_lines
    WHERE position(line, '"message"') > 0
)
WHERE e.event_type = 'message' AND e.mcp.kind != '';

CREATE OR REPLACE VIEW {database}.flows AS
SELECT
    e.`@timestamp` AS ts,
    if(e.event.end = toDateTime64(0, 6, 'UTC'), e.`@timestamp`, e.event.end) AS last_seen,
    {sensor} AS sensor,
    e.network.community_id AS community_id,
    e.network.transport AS transport,
    e.network.application AS app,
    toIPv6OrDefault(e.source.ip) AS client_ip,
    e.source.port AS client_port,
    toIPv6OrDefault(e.destination.ip) AS server_ip,
    e.destination.port AS server_port,
    e.server.key AS server_key,
    multiIf(e.server.address != '', e.server.address,
        e.server.key != '', trim(BOTH '[]' FROM extract(e.server.key, '://(\\[[^\\]]*\\]|[^:/]*)')),
        e.tls.sni) AS server_host,
    e.tls.sni AS sni,
    e.tls.alpn AS alpn,
    e.tls.ja4 AS ja4,
    e.verdict AS verdict,
    e.evidence AS evidence,
    e.source.bytes AS bytes_to_server,
    e.destination.bytes AS bytes_to_client,
    e.source.packets AS packets_to_server,
    e.destination.packets AS packets_to_client,
    e.gaps.count AS gaps,
    e.gaps.bytes AS gap_bytes,
    e.midstream AS midstream,
    e.finish AS finish,
    arrayMap(t -> concat(t.kind, if(isNull(t.id), '', concat(' ', assumeNotNull(toString(t.id)))),
        if(t.outer_src = '', '', concat(' ', t.outer_src, ' > ', t.outer_dst))), e.tunnels) AS tunnels
FROM
(
    SELECT JSONExtract(line, 'Tuple(
        event_type String, `@timestamp` DateTime64(6, \'UTC\'),
        event Tuple(end DateTime64(6, \'UTC\')),
        network Tuple(transport String, community_id String, application String),
        source Tuple(ip String, port UInt16, bytes UInt64, packets UInt64),
        destination Tuple(ip String, port UInt16, bytes UInt64, packets UInt64),
        server Tuple(key String, address String),
        tls Tuple(sni String, alpn Array(String), ja4 String),
        verdict String, evidence String, gaps Tuple(count UInt64, bytes UInt64),
        midstream Bool, finish String,
        tunnels Array(Tuple(kind String, id Nullable(UInt32), outer_src String, outer_dst String)))') AS e
    FROM {database}.event_lines
    WHERE position(line, '"flow"') > 0
)
WHERE e.event_type = 'flow';

CREATE OR REPLACE VIEW {database}.tool_definitions AS
SELECT
    min(d.3) AS first_seen,
    max(seen) AS last_seen,
    {sensor} AS sensor,
    e.server.key AS server_key,
    argMax(if(e.server.address != '', e.server.address,
        trim(BOTH '[]' FROM extract(e.server.key, '://(\\[[^\\]]*\\]|[^:/]*)'))), seen) AS server_host,
    k AS kind,
    d.1 AS name,
    d.2 AS digest,
    argMax(e.verdict, seen) AS verdict,
    argMax(arrayMap(s -> if(s.version = '', s.name, concat(s.name, ' ', s.version)),
        e.server.software), seen) AS software
FROM
(
    SELECT
        JSONExtract(line, 'Tuple(
            event_type String, `@timestamp` DateTime64(6, \'UTC\'),
            event Tuple(start DateTime64(6, \'UTC\'), end DateTime64(6, \'UTC\')), verdict String,
            server Tuple(key String, address String, software Array(Tuple(name String, version String))),
            definitions Tuple(
                tools Array(Tuple(name String, digest String, first DateTime64(6, \'UTC\'))),
                resources Array(Tuple(name String, digest String, first DateTime64(6, \'UTC\'))),
                resource_templates Array(Tuple(name String, digest String, first DateTime64(6, \'UTC\'))),
                prompts Array(Tuple(name String, digest String, first DateTime64(6, \'UTC\')))))') AS e,
        arrayConcat(
            arrayMap(t -> ('tool', t), e.definitions.tools),
            arrayMap(t -> ('resource', t), e.definitions.resources),
            arrayMap(t -> ('resource_template', t), e.definitions.resource_templates),
            arrayMap(t -> ('prompt', t), e.definitions.prompts)) AS listed,
        arrayJoin(listed) AS one,
        if(e.event.end = toDateTime64(0, 6, 'UTC'), e.`@timestamp`, e.event.end) AS seen,
        one.1 AS k,
        (one.2.name, one.2.digest, if(one.2.first = toDateTime64(0, 6, 'UTC'),
            if(e.event.start = toDateTime64(0, 6, 'UTC'), e.`@timestamp`, e.event.start),
            one.2.first)) AS d
    FROM {database}.event_lines
    WHERE position(line, '"server"') > 0 AND position(line, '"definitions"') > 0
)
WHERE e.event_type = 'server' AND e.server.key != ''
GROUP BY server_key, kind, name, digest;

CREATE OR REPLACE VIEW {database}.sensor_stats AS
SELECT
    e.`@timestamp` AS ts,
    {sensor} AS sensor,
    e.sensor_version AS sensor_version,
    if(position(line, '"live"') > 0, 'watch', 'replay') AS run,
    e.live.uptime_seconds AS uptime_seconds,
    e.live.interval_millis AS interval_millis,
    e.coverage.packets AS packets,
    arraySum(c -> c.bytes, e.captures) AS bytes,
    arraySum(i -> i.packets.interval, e.live.interfaces) AS packets_interval,
    arraySum(i -> i.bytes.interval, e.live.interfaces) AS bytes_interval,
    arraySum(i -> i.dropped.total, e.live.interfaces) AS kernel_dropped,
    arraySum(i -> i.dropped.interval, e.live.interfaces) AS kernel_dropped_interval,
    arraySum(i -> greatest(i.if_dropped.total, i.rx_missed.total), e.live.interfaces)
        AS interface_dropped,
    arraySum(i -> greatest(i.if_dropped.interval, i.rx_missed.interval), e.live.interfaces)
        AS interface_dropped_interval,
    e.live.shed.sixteenths AS shed_sixteenths,
    e.live.shed.flows.total AS shed_flows,
    e.live.shed.packets.total AS shed_packets,
    e.live.shed.packets.interval AS shed_packets_interval,
    e.live.shed.bytes.total AS shed_bytes,
    e.live.shed.overflow_packets.total AS overflow_packets,
    e.live.queued_batches AS queued_batches,
    e.live.queue_capacity AS queue_capacity,
    e.live.lost_events.total AS lost_events,
    e.live.lost_events.interval AS lost_events_interval,
    e.coverage.flows AS flows,
    e.coverage.payload_bytes AS payload_bytes,
    e.coverage.readable_bytes AS readable_bytes,
    e.coverage.truncated_packets AS truncated_packets,
    e.coverage.undecodable_packets AS undecodable_packets,
    e.coverage.malformed_packets AS malformed_packets,
    e.coverage.lost_fragments AS lost_fragments,
    e.coverage.gaps AS gaps,
    e.coverage.gap_bytes AS gap_bytes,
    e.coverage.encrypted_flows AS encrypted_flows,
    e.coverage.encrypted_bytes AS encrypted_bytes,
    e.coverage.midstream_flows AS midstream_flows,
    e.coverage.evictions AS evictions,
    e.coverage.dropped_findings AS dropped_findings,
    e.live.out_of_order.total AS out_of_order,
    e.live.reloads AS reloads,
    e.live.failed_reloads AS failed_reloads,
    arrayMap(i -> i.name, arrayFilter(i -> i.state != 'up', e.live.interfaces)) AS interfaces_down,
    e.counters AS counters,
    e.anomalies AS anomalies
FROM
(
    SELECT line, JSONExtract(line, 'Tuple(
        event_type String, `@timestamp` DateTime64(6, \'UTC\'), sensor_version String,
        captures Array(Tuple(bytes UInt64)),
        coverage Tuple(packets UInt64, flows UInt64, payload_bytes UInt64, readable_bytes UInt64,
            truncated_packets UInt64, undecodable_packets UInt64, malformed_packets UInt64,
            lost_fragments UInt64, gaps UInt64, gap_bytes UInt64, encrypted_flows UInt64,
            encrypted_bytes UInt64, midstream_flows UInt64, evictions UInt64, dropped_findings UInt64),
        counters Map(String, UInt64), anomalies Map(String, UInt64),
        live Tuple(uptime_seconds UInt64, interval_millis UInt64,
            interfaces Array(Tuple(name String, state String,
                packets Tuple(interval UInt64), bytes Tuple(interval UInt64),
                dropped Tuple(total UInt64, interval UInt64),
                if_dropped Tuple(total UInt64, interval UInt64),
                rx_missed Tuple(total UInt64, interval UInt64))),
            shed Tuple(sixteenths UInt8, flows Tuple(total UInt64),
                packets Tuple(total UInt64, interval UInt64), bytes Tuple(total UInt64),
                overflow_packets Tuple(total UInt64)),
            queued_batches UInt64, queue_capacity UInt64, out_of_order Tuple(total UInt64),
            lost_events Tuple(total UInt64, interval UInt64), reloads UInt64, failed_reloads UInt64))') AS e
    FROM {database}.event_lines
    WHERE position(line, '"stats"') > 0
)
WHERE e.event_type = 'stats';

-- Calls through the portal.
CREATE OR REPLACE VIEW {database}.portal_calls AS
SELECT
    e.`@timestamp` AS ts,
    e.event.id AS call_id,
    {sensor} AS sensor,
    e.portal.name AS portal,
    e.portal.audience AS portal_audience,
    e.portal.replica AS replica,
    e.portal.config AS config_version,
    toIPv6OrDefault(e.source.ip) AS client_ip,
    e.source.port AS client_port,
    e.user.issuer AS user_issuer,
    e.user.id AS user_id,
    e.user.name AS user_name,
    e.user.groups AS user_groups,
    e.user.proof AS proof,
    e.client.id AS client_id,
    e.client.unverified_name AS client_software,
    e.client.user_agent AS user_agent,
    e.server.id AS server_id,
    e.server.key AS server_key,
    if(e.server.address != '', e.server.address,
        trim(BOTH '[]' FROM extract(e.server.key, '://(\\[[^\\]]*\\]|[^:/]*)'))) AS server_host,
    e.mcp.method AS method,
    e.mcp.kind AS kind,
    e.mcp.name AS name,
    e.mcp.uri AS uri,
    e.mcp.id AS rpc_id,
    e.mcp.session AS session,
    e.mcp.protocol_version AS protocol_version,
    e.mcp.server_protocol_version AS server_protocol_version,
    e.arguments.shape AS arguments_shape,
    e.arguments.digest AS arguments_digest,
    e.arguments.text AS arguments_text,
    e.event.outcome AS outcome,
    e.decision.ruling AS ruling,
    e.decision.policy AS policy,
    e.decision.kind AS refused_kind,
    e.decision.tier AS tier,
    e.decision.hold.id AS hold_id,
    e.decision.hold.outcome AS hold_outcome,
    e.decision.hold.approver AS approver,
    arrayMap(f -> concat(f.direction, ' ', f.kind, ' ', toString(f.count), ' ', f.action, ' ', f.pointer), e.findings) AS findings,
    arrayMap(f -> f.kind, e.findings) AS finding_kinds,
    e.rules AS rules,
    e.pin.state AS pin_state,
    e.pin.digest AS pin_digest,
    e.request.bytes AS request_bytes,
    e.response.bytes AS response_bytes,
    e.response.upstream_status AS upstream_status,
    e.event.duration_us AS duration_us,
    e.event.upstream_us AS upstream_us,
    e.event.first_byte_us AS first_byte_us,
    e.error.code AS error_code,
    e.error.message AS error,
    e.trace.id AS trace_id,
    e.trace.span AS span_id,
    e.trace.parent AS parent_span_id
FROM
(
    SELECT JSONExtract(line, 'Tuple(
        event_type String, `@timestamp` DateTime64(6, \'UTC\'),
        event Tuple(id String, outcome String, duration_us UInt64, upstream_us UInt64,
            first_byte_us UInt64),
        portal Tuple(name String, audience String, replica String, config String),
        source Tuple(ip String, port UInt16),
        user Tuple(issuer String, id String, name String, groups Array(String), proof String),
        client Tuple(id String, unverified_name String, user_agent String),
        server Tuple(id String, key String, address String),
        mcp Tuple(method String, kind String, name String, uri String, id String, session String,
            protocol_version String, server_protocol_version String),
        arguments Tuple(shape String, digest String, text String),
        decision Tuple(ruling String, policy String, kind String, tier String,
            hold Tuple(id String, outcome String, approver String)),
        findings Array(Tuple(kind String, direction String, count UInt32, action String,
            pointer String)),
        rules Array(String), pin Tuple(state String, digest String),
        request Tuple(bytes UInt64), response Tuple(bytes UInt64, upstream_status UInt16),
        error Tuple(code Nullable(Int64), message String),
        trace Tuple(id String, span String, parent String))') AS e
    FROM {database}.event_lines
    WHERE position(line, '"call"') > 0
)
WHERE e.event_type = 'call' AND e.event.id != '';

CREATE OR REPLACE VIEW {database}.mcp_portal_logs AS
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

-- What the materialized views of the store make of the three tables.
CREATE OR REPLACE VIEW {database}.endpoints AS
SELECT
    server_key,
    max(host) AS server_host,
    min(ts) AS first_seen,
    max(seen) AS last_seen,
    groupUniqArrayIf(64)(told_by, told_by != '') AS sensors,
    argMaxStateIf(judged, seen, judged != '') AS verdict,
    argMaxStateIf(proof, seen, proof != '') AS evidence,
    max(severity) AS worst_severity,
    uniqExactStateIf(finding_id, finding_id != '') AS findings,
    groupUniqArrayIf(256)(rule_id, rule_id != '') AS rules,
    uniqState(client_ip) AS clients,
    uniqStateIf(session, session != '') AS sessions,
    groupUniqArrayArray(64)(programs) AS software,
    groupUniqArrayIf(16)(revision, revision != '') AS protocol_versions,
    groupUniqArrayIf(256)(tool, tool != '') AS tools,
    sum(message) AS messages,
    sum(tool_call) AS tool_calls,
    sum(error) AS errors,
    sum(flow) AS flows,
    sum(up) AS bytes_to_server,
    sum(down) AS bytes_to_client
FROM
(
    SELECT server_key, server_host AS host, ts, last_seen AS seen, sensor AS told_by,
        verdict AS judged, evidence AS proof, severity, finding_id, rule_id, client_ip,
        '' AS session, software AS programs, '' AS revision, '' AS tool,
        0 AS message, 0 AS tool_call, 0 AS error, 0 AS flow,
        toUInt64(0) AS up, toUInt64(0) AS down
    FROM {database}.findings
    UNION ALL
    SELECT server_key, server_host, ts, ts, sensor, verdict, '', 0, '', '', client_ip, session,
        if(client_software = '', [], [concat('client ', client_software)]), protocol_version,
        if(method = 'tools/call', name, ''), 1, method = 'tools/call' AND kind = 'request',
        error_code IS NOT NULL, 0, 0, 0
    FROM {database}.mcp_messages
    UNION ALL
    SELECT server_key, server_host, ts, last_seen, sensor, verdict, evidence, 0, '', '', client_ip,
        '', [], '', '', 0, 0, 0, 1, bytes_to_server, bytes_to_client
    FROM {database}.flows
)
WHERE server_key != ''
GROUP BY server_key;

CREATE OR REPLACE VIEW {database}.servers AS
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
