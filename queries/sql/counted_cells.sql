-- Requests of rollups by key, minute and duration (the middle of its bucket); a row more of each
-- minute has its bytes, and its requests without a duration: where there are any, or bytes are
-- asked for.
WITH lasted AS (
    SELECT
        file_index AS file,
        key,
        minute,
        round(power({base}, bucket - 0.5))::INTEGER AS duration_ms,
        requests
    FROM read_parquet({durations}, hive_partitioning = false)
)
SELECT *, 0 AS bytes_sent, 0 AS bytes_received FROM lasted
UNION ALL
SELECT
    m.file,
    m.key,
    m.minute,
    NULL AS duration_ms,
    (m.requests - coalesce(l.requests, 0))::BIGINT AS requests,
    m.bytes_sent,
    m.bytes_received
FROM (
    SELECT
        file_index AS file,
        key,
        minute,
        sum(requests) AS requests,
        sum(bytes_sent)::BIGINT AS bytes_sent,
        sum(bytes_received)::BIGINT AS bytes_received
    FROM read_parquet({minutes}, hive_partitioning = false)
    GROUP BY ALL
) AS m
LEFT JOIN (SELECT file, key, minute, sum(requests) AS requests FROM lasted GROUP BY ALL) AS l
    USING (file, key, minute)
WHERE {wanted} OR m.requests > coalesce(l.requests, 0)
