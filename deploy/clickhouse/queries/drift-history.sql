-- name: drift-history
-- title: Definitions that changed
-- about: Tools, prompts and resources that a server listed in more than one form: a change after approval may be an attack.
-- param: server = | key or host of the server, or a part of its key; all when empty
-- param: limit = 200 | most rows
SELECT
    server_key AS server,
    kind,
    name,
    uniqExact(digest) AS forms,
    arrayMap(f -> concat(toString(toDateTime(f.1, 'UTC')), ' ', substring(f.2, 1, 12)),
        arraySort(groupArray((seen, digest)))) AS history
FROM
(
    SELECT server_key, any(server_host) AS host, kind, name, digest, min(first_seen) AS seen
    FROM tool_definitions
    WHERE digest != ''
    GROUP BY server_key, kind, name, digest
)
WHERE host = {server:String} OR positionCaseInsensitive(server_key, {server:String}) > 0
    OR {server:String} = ''
GROUP BY server_key, kind, name
HAVING forms > 1
ORDER BY max(seen) DESC, server, kind, name
LIMIT {limit:UInt32}
