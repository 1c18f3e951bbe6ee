-- name: server-users
-- title: Who uses a server
-- about: Clients of a server with what they say that they are, what they called, and what was found.
-- param: server | key or host of the server, or a part of its key
-- param: since = 30d | only what was seen since then
-- param: limit = 200 | most rows
SELECT
    replaceOne(toString(client_ip), '::ffff:', '') AS client,
    server_key AS server,
    argMaxIf(judged, seen, judged != '') AS verdict,
    arraySort(groupUniqArrayArray(8)(programs)) AS software,
    arraySort(groupUniqArrayArray(8)(persons)) AS users,
    sum(message) AS messages,
    arraySort(groupUniqArrayIf(16)(tool, tool != '')) AS tools,
    uniqExactIf(finding_id, finding_id != '') AS findings,
    sum(flow) AS flows,
    sum(bytes) AS bytes,
    toDateTime(min(ts), 'UTC') AS first_seen,
    toDateTime(max(seen), 'UTC') AS last_seen
FROM
(
    SELECT client_ip, server_key, server_host, ts, ts AS seen, toString(verdict) AS judged,
        if(client_software = '', [], [toString(client_software)]) AS programs,
        CAST([], 'Array(String)') AS persons, toUInt64(1) AS message,
        if(method = 'tools/call', name, '') AS tool, '' AS finding_id, toUInt64(0) AS flow,
        size_bytes AS bytes
    FROM mcp_messages
    UNION ALL
    SELECT client_ip, server_key, server_host, ts, last_seen, toString(verdict),
        arrayMap(s -> substring(s, 8), arrayFilter(s -> startsWith(s, 'client '), CAST(software, 'Array(String)'))),
        if(user = '', [], [user]), 0, '', finding_id, 0, 0
    FROM findings
    UNION ALL
    SELECT client_ip, server_key, server_host, ts, last_seen, toString(verdict), [], [], 0, '', '', 1, 0
    FROM flows
)
WHERE seen >= {since:DateTime('UTC')}
    AND (server_host = {server:String} OR positionCaseInsensitive(server_key, {server:String}) > 0)
GROUP BY client_ip, server_key
ORDER BY last_seen DESC, client, server
LIMIT {limit:UInt32}
