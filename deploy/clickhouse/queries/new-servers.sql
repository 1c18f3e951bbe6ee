-- name: new-servers
-- title: Servers met for the first time
-- about: Servers that no sensor had met before, the newest first. Hints are left out: `servers` has them.
-- param: since = 7d | only servers first met since then
-- param: limit = 100 | most rows
SELECT
    toDateTime(first_seen, 'UTC') AS first_seen,
    server_key AS server,
    verdict,
    evidence,
    clients,
    messages,
    findings,
    software,
    sensors
FROM servers
WHERE first_seen >= {since:DateTime('UTC')} AND evidence != 'hint'
    AND (verdict != 'undetermined' OR evidence != '')
ORDER BY first_seen DESC, server
LIMIT {limit:UInt32}
