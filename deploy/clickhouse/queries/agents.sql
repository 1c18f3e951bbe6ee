-- name: agents
-- title: Programs that act as MCP clients
-- about: What clients say that they are, on how many machines, and which servers they use. It is their own word.
-- param: since = 30d | only what was seen since then
-- param: limit = 200 | most rows
SELECT
    software,
    uniqExact(client_ip) AS clients,
    arraySort(groupUniqArray(8)(replaceOne(toString(client_ip), '::ffff:', ''))) AS addresses,
    uniqExact(server_key) AS servers,
    arraySort(groupUniqArray(8)(server_host)) AS hosts,
    sum(message) AS messages,
    toDateTime(min(ts), 'UTC') AS first_seen,
    toDateTime(max(seen), 'UTC') AS last_seen
FROM
(
    SELECT toString(client_software) AS software, client_ip, server_key, server_host, ts,
        ts AS seen, toUInt64(1) AS message
    FROM mcp_messages
    WHERE client_software != ''
    UNION ALL
    SELECT substring(arrayJoin(arrayFilter(s -> startsWith(s, 'client '), CAST(f.software, 'Array(String)'))), 8),
        client_ip, server_key, server_host, ts, last_seen, 0
    FROM findings AS f
)
WHERE seen >= {since:DateTime('UTC')}
GROUP BY software
ORDER BY clients DESC, messages DESC, software
LIMIT {limit:UInt32}
