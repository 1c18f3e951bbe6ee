-- name: portal-refusals
-- title: Calls that the portal refused or changed
-- about: What policy, inspection, rules and limits refused or edited, newest first.
-- param: since = 7d | only calls since then
-- param: limit = 200 | most rows
SELECT
    toDateTime(ts, 'UTC') AS at,
    call_id AS call,
    user_id AS who,
    server_id AS server,
    if(name != '', name, uri) AS target,
    toString(outcome) AS outcome,
    toString(refused_kind) AS refused_for,
    toString(policy) AS policy,
    rules,
    findings,
    error
FROM portal_calls
WHERE ts >= {since:DateTime('UTC')} AND (outcome = 'refused' OR notEmpty(rules) OR notEmpty(findings))
ORDER BY ts DESC, call_id
LIMIT {limit:UInt32}
