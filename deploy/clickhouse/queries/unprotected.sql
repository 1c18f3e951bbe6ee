-- name: unprotected
-- title: Servers in the clear or without authentication
-- about: Servers whose messages anybody on the way can read, and those that answer without asking who is there.
-- param: since = 30d | only servers used since then
-- param: limit = 200 | most rows
SELECT
    server_key AS server,
    startsWith(server_key, 'http://') OR startsWith(server_key, 'tcp://') AS in_the_clear,
    has(rules, 'SMCP-6001') AS no_authentication,
    has(rules, 'SMCP-6002') AS credentials_in_the_clear,
    verdict,
    evidence,
    clients,
    messages,
    toDateTime(last_seen, 'UTC') AS last_seen
FROM servers
WHERE last_seen >= {since:DateTime('UTC')}
    AND (in_the_clear AND evidence != 'hint' OR no_authentication OR credentials_in_the_clear)
ORDER BY credentials_in_the_clear DESC, no_authentication DESC, messages DESC, server
LIMIT {limit:UInt32}
