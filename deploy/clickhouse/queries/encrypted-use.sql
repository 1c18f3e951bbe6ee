-- name: encrypted-use
-- title: Encrypted flows to MCP servers and hosts named for them
-- about: Who speaks with MCP servers where only the handshake can be read, by name and fingerprint of the client.
-- param: since = 7d | only flows since then
-- param: limit = 200 | most rows
SELECT
    replaceOne(toString(client_ip), '::ffff:', '') AS client,
    server_host AS host,
    ja4,
    argMaxIf(toString(f.verdict), f.last_seen, f.verdict != '') AS verdict,
    argMaxIf(toString(f.evidence), f.last_seen, f.evidence != '') AS evidence,
    count() AS flows,
    sum(f.bytes_to_server) AS bytes_sent,
    sum(f.bytes_to_client) AS bytes_received,
    toDateTime(max(f.last_seen), 'UTC') AS last_flow
FROM flows AS f
WHERE ts >= {since:DateTime('UTC')} AND app IN ('tls', 'quic')
GROUP BY client_ip, server_host, ja4
ORDER BY flows DESC, client, host, ja4
LIMIT {limit:UInt32}
