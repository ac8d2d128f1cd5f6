-- Requests of a window by time and by {by}; which buckets there are is known elsewhere.
WITH matching AS (
    SELECT *
    FROM transactions
    WHERE ts >= $from_ts AND ts < $to_ts AND {where}
),
asked AS (
    SELECT
        time_bucket(to_seconds($step), ts, $origin::TIMESTAMPTZ) AS bucket,
        CASE direction
            WHEN 'egress-external' THEN 'outside'
            WHEN 'egress-internal' THEN 'inside'
            WHEN 'ingress' THEN 'here'
            ELSE 'unknown'
        END AS place,
        method,
        m.host,
        coalesce(r.new, m.route) AS route,
        status,
        container_name AS container,
        process_exe AS process,
        error_signature AS signature,
        duration_ms
    FROM matching AS m
    LEFT JOIN renamed AS r ON r.host = coalesce(m.host, '') AND r.old = m.route
)
SELECT
    {by} AS value,
    bucket,
    count(*) AS requests,
    count(*) FILTER (WHERE status IS NULL OR status >= 400) AS errors,
    quantile_cont(duration_ms, 0.95) AS p95_ms
FROM asked
GROUP BY ALL
ORDER BY bucket
