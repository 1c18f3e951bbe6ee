-- name: finding
-- title: One finding in full
-- about: All that is known of a finding, with the event itself; of findings that begin with the same digits all.
-- param: id | id of the finding, or the beginning of it
SELECT
    finding_id,
    rule_id,
    rule_name,
    severity_name,
    confidence,
    message,
    why,
    todo,
    replaceOne(toString(client_ip), '::ffff:', '') AS client,
    client_port,
    user,
    server_key,
    replaceOne(toString(server_ip), '::ffff:', '') AS server_address,
    server_port,
    software,
    verdict,
    reason,
    evidence,
    hits,
    ts,
    last_seen,
    matched,
    packets,
    flows,
    sensor,
    document
FROM
(
    SELECT *
    FROM findings
    WHERE startsWith(finding_id, lower({id:String}))
    ORDER BY version DESC
    LIMIT 1 BY finding_id
)
ORDER BY ts, finding_id
LIMIT 20
