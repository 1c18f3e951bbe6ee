-- name: servers
-- title: All servers, the latest first
-- about: The inventory: what speaks MCP or looks like it, who uses it, and the worst finding.
-- param: since = 30d | only servers used since then
-- param: limit = 200 | most rows
SELECT
    server_key AS server,
    verdict,
    evidence,
    worst_severity,
    findings,
    clients,
    messages,
    tool_calls,
    flows,
    toDateTime(first_seen, 'UTC') AS first_seen,
    toDateTime(last_seen, 'UTC') AS last_seen,
    software,
    sensors
FROM servers
-- Messages of other JSON-RPC servers may look like MCP's: nobody judged those.
WHERE last_seen >= {since:DateTime('UTC')} AND (verdict != 'undetermined' OR evidence != '')
ORDER BY last_seen DESC, server
LIMIT {limit:UInt32}
