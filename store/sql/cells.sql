-- Transactions as per-minute cells: what the comparison counts, and what a rollup holds.
-- Bucket b of `durations` holds the requests of 1.1^(b-1) < ms <= 1.1^b: at most 5 % off its middle.
SELECT
    recorder,
    date_trunc('minute', ts) AS minute,
    direction,
    host,
    method,
    route,
    status,
    container_name AS container,
    process_exe AS process,
    error_signature AS signature,
    count(*) AS requests,
    coalesce(sum(bytes_sent), 0)::BIGINT AS bytes_sent,
    coalesce(sum(bytes_received), 0)::BIGINT AS bytes_received,
    histogram(ceil(ln(greatest(duration_ms, 1)) / ln(1.1))::SMALLINT)
        FILTER (WHERE duration_ms IS NOT NULL) AS durations,
    min(recorder || ':' || session || ':' || lpad(seq::VARCHAR, 12, '0')) AS sample
FROM rows
GROUP BY ALL
