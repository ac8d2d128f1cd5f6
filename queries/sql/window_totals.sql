-- All of a window in one row.
SELECT
    requests(n) AS all_requests,
    requests(n, failed) AS all_errors,
    classes(status, n) AS statuses,
    requests(n, place = 'outside') AS outside,
    requests(n, place = 'inside') AS inside,
    requests(n, place = 'here') AS here,
    took(duration_ms, n, 0.5) AS p50_ms,
    took(duration_ms, n, 0.95) AS p95_ms,
    took(duration_ms, n, 0.99) AS p99_ms,
    coalesce(sum(bytes_sent), 0)::BIGINT AS bytes_sent,
    coalesce(sum(bytes_received), 0)::BIGINT AS bytes_received,
    count(DISTINCT host) AS hosts,
    count(DISTINCT who) AS containers,
    min(ts) AS first_seen,
    max(ts) AS last_seen
FROM matching
