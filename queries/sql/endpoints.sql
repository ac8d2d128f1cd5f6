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
        requests(n, status < 200) AS s1xx,
        requests(n, status BETWEEN 200 AND 299) AS s2xx,
        requests(n, status BETWEEN 300 AND 399) AS s3xx,
        requests(n, status BETWEEN 400 AND 499) AS s4xx,
        requests(n, status >= 500) AS s5xx,
        requests(n, status IS NULL) AS no_response,
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
