-- Requests of window (the first span) and baseline by status, by host and by bin of duration.
WITH spans AS (
    SELECT
        unnest($starts::TIMESTAMPTZ[]) AS from_ts,
        unnest($ends::TIMESTAMPTZ[]) AS to_ts,
        unnest(range(len($starts))) = 0 AS now
),

rows AS (
    SELECT
        s.now,
        coalesce(m.status::VARCHAR, 'none') AS status,
        coalesce(m.host, '-') AS host,
        floor(8 * log10(greatest(m.duration_ms, 1)))::BIGINT::VARCHAR AS duration
    FROM matching AS m
    JOIN spans AS s ON m.ts >= s.from_ts AND m.ts < s.to_ts
)

SELECT
    CASE
        WHEN grouping(status) = 0 THEN 'status'
        WHEN grouping(host) = 0 THEN 'host'
        ELSE 'duration'
    END AS dimension,
    coalesce(status, host, duration) AS value,
    count(*) FILTER (WHERE now) AS requests,
    count(*) FILTER (WHERE NOT now) AS before
FROM rows
GROUP BY GROUPING SETS ((status), (host), (duration))
HAVING value IS NOT NULL
ORDER BY dimension, requests + before DESC, value
LIMIT 1000
