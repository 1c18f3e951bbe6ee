-- name: portal-bypass
-- title: Servers reached around the portal
-- about: Clients that use a server directly although its approval is for the portal only.
-- param: since = 7d | only what was seen since then
-- param: limit = 200 | most rows
SELECT
    replaceOne(toString(client_ip), '::ffff:', '') AS client,
    server_key AS server,
    arraySort(groupUniqArrayIf(8)(person, person != '')) AS users,
    countIf(is_message) AS messages,
    uniqExactIf(finding_id, NOT is_message) AS findings,
    arraySort(groupUniqArrayIf(16)(tool, tool != '')) AS tools,
    toDateTime(min(ts), 'UTC') AS first_seen,
    toDateTime(max(seen), 'UTC') AS last_seen
FROM
(
    SELECT client_ip, server_key, user AS person, false AS is_message, finding_id, '' AS tool, ts,
        last_seen AS seen, toString(verdict) AS judged
    FROM findings
    UNION ALL
    SELECT client_ip, server_key, '', true, '', if(method = 'tools/call', name, ''), ts, ts,
        toString(verdict)
    FROM mcp_messages
)
WHERE judged = 'portal_bypass' AND seen >= {since:DateTime('UTC')}
GROUP BY client_ip, server_key
ORDER BY last_seen DESC, client, server
LIMIT {limit:UInt32}
