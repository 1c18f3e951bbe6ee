-- name: top-talkers
-- title: Clients that speak most
-- about: Clients by MCP messages, with what they say that they are and the servers that they use.
-- param: since = 7d | only messages since then
-- param: limit = 50 | most rows
SELECT
    replaceOne(toString(client_ip), '::ffff:', '') AS client,
    arraySort(groupUniqArrayIf(8)(toString(client_software), client_software != '')) AS software,
    count() AS messages,
    countIf(method = 'tools/call' AND kind = 'request') AS tool_calls,
    countIf(error_code IS NOT NULL) AS errors,
    sum(size_bytes) AS bytes,
    uniqExact(server_key) AS servers,
    arraySort(groupUniqArray(8)(server_host)) AS hosts,
    toDateTime(max(ts), 'UTC') AS last_seen
FROM mcp_messages
WHERE ts >= {since:DateTime('UTC')}
GROUP BY client_ip
ORDER BY messages DESC, client
LIMIT {limit:UInt32}
