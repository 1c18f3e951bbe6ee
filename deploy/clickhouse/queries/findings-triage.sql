-- name: findings-triage
-- title: Findings to look at, the worst first
-- about: The last word on each finding, by severity. `finding` shows one of them in full.
-- param: since = 7d | only findings of traffic since then
-- param: severity = 3 | lowest severity: 1 info, 2 low, 3 medium, 4 high, 5 critical
-- param: lane = | hunt, alert or enforce; all when empty
-- param: limit = 100 | most rows
SELECT
    substring(finding_id, 1, 12) AS finding,
    severity_name AS severity,
    rule_id AS rule,
    rule_name AS title,
    replaceOne(toString(client_ip), '::ffff:', '') AS client,
    server_key AS server,
    hits,
    verdict,
    message,
    toDateTime(ts, 'UTC') AS first_hit,
    toDateTime(last_seen, 'UTC') AS last_hit,
    sensor
FROM
(
    SELECT *
    FROM findings
    WHERE last_seen >= {since:DateTime('UTC')}
    ORDER BY version DESC
    LIMIT 1 BY finding_id
) AS f
WHERE f.severity >= {severity:UInt8} AND (lane = {lane:String} OR {lane:String} = '')
ORDER BY f.severity DESC, last_seen DESC, finding_id
LIMIT {limit:UInt32}
