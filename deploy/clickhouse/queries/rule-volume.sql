-- name: rule-volume
-- title: How much each rule finds
-- about: Findings, hits, clients and servers of each rule: rules that find too much need an exception or another lane.
-- param: since = 7d | only findings of traffic since then
SELECT
    rule_id AS rule,
    any(rule_name) AS title,
    any(lane) AS lane,
    any(rule_status) AS status,
    max(f.severity) AS worst_severity,
    count() AS findings,
    sum(f.hits) AS hits,
    uniqExact(client_ip) AS clients,
    uniqExact(server_key) AS servers,
    toDateTime(max(last_seen), 'UTC') AS last_hit
FROM
(
    SELECT *
    FROM findings
    WHERE last_seen >= {since:DateTime('UTC')}
    ORDER BY version DESC
    LIMIT 1 BY finding_id
) AS f
GROUP BY rule_id
ORDER BY findings DESC, rule
