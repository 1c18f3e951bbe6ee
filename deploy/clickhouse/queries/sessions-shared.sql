-- name: sessions-shared
-- title: Sessions used from several addresses
-- about: One MCP session from more than one client: a proxy, a machine that moved, or a stolen session.
-- param: since = 7d | only messages since then
-- param: limit = 100 | most rows
SELECT
    server_key AS server,
    session,
    uniqExact(client_ip) AS clients,
    arraySort(groupUniqArray(16)(replaceOne(toString(client_ip), '::ffff:', ''))) AS addresses,
    arraySort(groupUniqArrayIf(8)(toString(client_software), client_software != '')) AS software,
    count() AS messages,
    toDateTime(min(ts), 'UTC') AS first_seen,
    toDateTime(max(ts), 'UTC') AS last_seen
FROM mcp_messages
WHERE ts >= {since:DateTime('UTC')} AND session != ''
GROUP BY server_key, session
HAVING clients > 1
ORDER BY last_seen DESC, server, session
LIMIT {limit:UInt32}
