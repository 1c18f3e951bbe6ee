-- name: unapproved-tools
-- title: Tools called without approval
-- about: Tools that clients called although the approvals do not cover the server, the client or the tool.
-- param: since = 7d | only calls since then
-- param: limit = 200 | most rows
SELECT
    m.server_key AS server,
    m.name AS tool,
    replaceOne(toString(m.client_ip), '::ffff:', '') AS client,
    anyLastIf(toString(m.client_software), m.client_software != '') AS software,
    if(m.verdict != '', toString(m.verdict), s.verdict) AS verdict,
    count() AS calls,
    toDateTime(min(m.ts), 'UTC') AS first_call,
    toDateTime(max(m.ts), 'UTC') AS last_call
FROM mcp_messages AS m
GLOBAL LEFT JOIN (SELECT server_key, verdict FROM servers) AS s ON s.server_key = m.server_key
WHERE m.ts >= {since:DateTime('UTC')} AND m.method = 'tools/call' AND m.kind = 'request'
GROUP BY server, tool, m.client_ip, verdict
HAVING verdict NOT IN ('', 'approved', 'undetermined')
ORDER BY calls DESC, server, tool, client
LIMIT {limit:UInt32}
