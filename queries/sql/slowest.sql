-- The slowest single transactions of a window.
SELECT
    recorder || ':' || session || ':' || seq AS id,
    ts,
    duration_ms,
    place,
    method,
    host,
    path[:300] AS path,
    status,
    who AS container
FROM matching
WHERE duration_ms IS NOT NULL
ORDER BY duration_ms DESC, ts DESC, recorder, seq
LIMIT $rows
