-- Requests of a window by time and by {by}; which buckets there are is known elsewhere.
SELECT
    {by} AS value,
    time_bucket(to_seconds($step), ts, $origin::TIMESTAMPTZ) AS bucket,
    requests(n) AS requests,
    requests(n, failed) AS errors,
    took(duration_ms, n, 0.95) AS p95_ms
FROM matching
GROUP BY ALL
ORDER BY bucket
