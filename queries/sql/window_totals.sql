-- All of a window in one row.
SELECT
    count(*) AS all_requests,
    count(*) FILTER (WHERE failed) AS all_errors,
    count(*) FILTER (WHERE status < 200) AS s1xx,
    count(*) FILTER (WHERE status BETWEEN 200 AND 299) AS s2xx,
    count(*) FILTER (WHERE status BETWEEN 300 AND 399) AS s3xx,
    count(*) FILTER (WHERE status BETWEEN 400 AND 499) AS s4xx,
    count(*) FILTER (WHERE status >= 500) AS s5xx,
    count(*) FILTER (WHERE status IS NULL) AS no_response,
    count(*) FILTER (WHERE place = 'outside') AS outside,
    count(*) FILTER (WHERE place = 'inside') AS inside,
    count(*) FILTER (WHERE place = 'here') AS here,
    quantile_cont(duration_ms, 0.5) AS p50_ms,
    quantile_cont(duration_ms, 0.95) AS p95_ms,
    quantile_cont(duration_ms, 0.99) AS p99_ms,
    coalesce(sum(bytes_sent), 0)::BIGINT AS bytes_sent,
    coalesce(sum(bytes_received), 0)::BIGINT AS bytes_received,
    count(DISTINCT host) AS hosts,
    count(DISTINCT who) AS containers,
    min(ts) AS first_seen,
    max(ts) AS last_seen
FROM matching
