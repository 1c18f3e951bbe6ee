-- name: portal-calls
-- title: Calls through the portal
-- about: Who called which tool, prompt or resource through the portal, and how it ended.
-- param: since = 7d | only calls since then
-- param: limit = 200 | most rows
SELECT
    user_id AS who,
    any(user_name) AS user_name,
    server_id AS server,
    toString(method) AS method,
    if(name != '', name, uri) AS target,
    count() AS calls,
    countIf(outcome = 'failure') AS failed,
    countIf(outcome = 'refused') AS refused,
    arraySort(groupUniqArrayArray(16)(finding_kinds)) AS found,
    round(quantileExact(0.5)(duration_us) / 1000, 1) AS median_ms,
    toDateTime(max(ts), 'UTC') AS last_call
FROM portal_calls
WHERE ts >= {since:DateTime('UTC')}
GROUP BY who, server, method, target
ORDER BY calls DESC, who, server, method, target
LIMIT {limit:UInt32}
