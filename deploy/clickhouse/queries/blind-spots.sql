-- name: blind-spots
-- title: What the sensors could not see
-- about: Lost, cut and encrypted traffic of each sensor: no findings may also mean that nobody could look.
-- param: since = 7d | only what was counted since then
WITH
    [packets, kernel_dropped, interface_dropped, shed_packets, gap_bytes, truncated_packets,
        undecodable_packets, payload_bytes, readable_bytes, encrypted_bytes, lost_events,
        dropped_findings] AS counts,
    -- Counts are those of a run so far: all of them when it begins, then what they grew by.
    run = 'replay' OR uptime_seconds * 1000 <= interval_millis + 1000 AS begins
SELECT
    sensor,
    grown[1] AS packets,
    grown[2] AS kernel_dropped,
    grown[3] AS interface_dropped,
    grown[4] AS shed_packets,
    worst_shed AS worst_shed_sixteenths,
    grown[5] AS gap_bytes,
    grown[6] AS truncated_packets,
    grown[7] AS undecodable_packets,
    if(grown[8] = 0, NULL, round(100 * grown[9] / grown[8], 1)) AS readable_percent,
    if(grown[8] = 0, NULL, round(100 * grown[10] / grown[8], 1)) AS encrypted_percent,
    grown[11] AS lost_events,
    grown[12] AS dropped_findings,
    down AS interfaces_down,
    toDateTime(told, 'UTC') AS last_told
FROM
(
    SELECT
        sensor,
        sumForEach(growth) AS grown,
        max(shed) AS worst_shed,
        arraySort(groupUniqArrayArray(down)) AS down,
        max(ts) AS told
    FROM
    (
        SELECT sensor, ts, shed_sixteenths AS shed, interfaces_down AS down,
            lagInFrame(counts, 1, counts) OVER (PARTITION BY sensor, run ORDER BY ts, uptime_seconds
                ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before,
            arrayMap((now, then) -> if(begins OR now < then, now, toUInt64(now - then)), counts, before)
                AS growth
        FROM sensor_stats
        WHERE ts >= {since:DateTime('UTC')}
    )
    GROUP BY sensor
)
ORDER BY sensor
