-- name: silent-sensors
-- title: Sensors that have not been heard of
-- about: Sensors whose last statistics are old: what is silent sees nothing. Replays are left out.
-- param: before = 10m | last statistics before then
SELECT
    sensor,
    toDateTime(max(ts), 'UTC') AS last_told,
    argMax(sensor_version, ts) AS version,
    argMax(packets, ts) AS packets,
    argMax(interfaces_down, ts) AS interfaces_down
FROM sensor_stats
WHERE run = 'watch'
GROUP BY sensor
HAVING max(ts) < {before:DateTime('UTC')}
ORDER BY last_told, sensor
