-- Endpoints of a window (where, method, host, route), in the order asked for; {apart} as in hosts.sql.
WITH endpoints AS (
    SELECT
        {apart},
        place,
        method,
        host,
        route,
        requests(n) AS requests,
        requests(n, failed) AS errors,
        errors / requests AS error_share,
        classes(status, n) AS statuses,
        took(duration_ms, n, 0.5) AS p50_ms,
        took(duration_ms, n, 0.95) AS p95_ms,
        took(duration_ms, n, 0.99) AS p99_ms,
        min(ts) AS first_seen,
        max(ts) AS last_seen
    FROM matching
    GROUP BY ALL
)
SELECT
    *,
    sum(requests) OVER ()::BIGINT AS all_requests,
    sum(errors) OVER ()::BIGINT AS all_errors
FROM endpoints
ORDER BY {order} DESC NULLS LAST, requests DESC, host, route, method, place, recorder, "group"
LIMIT $rows
