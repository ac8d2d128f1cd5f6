-- The slowest single transactions of a window.
WITH matching AS (
    SELECT *
    FROM transactions
    WHERE ts >= $from_ts AND ts < $to_ts AND duration_ms IS NOT NULL AND {where}
)
SELECT
    recorder || ':' || session || ':' || seq AS id,
    ts,
    duration_ms,
    CASE direction
        WHEN 'egress-external' THEN 'outside'
        WHEN 'egress-internal' THEN 'inside'
        WHEN 'ingress' THEN 'here'
        ELSE 'unknown'
    END AS place,
    method,
    host,
    path[:300] AS path,
    status,
    coalesce(container_name, process_exe) AS container
FROM matching
ORDER BY duration_ms DESC, ts DESC, seq
LIMIT $rows
