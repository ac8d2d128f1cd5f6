-- Status codes of a window, the most frequent first; no status is no response.
WITH matching AS (
    SELECT status, method, host, route, ts
    FROM transactions
    WHERE ts >= $from_ts AND ts < $to_ts AND {where}
),
asked AS (
    SELECT m.* REPLACE (coalesce(r.new, m.route) AS route)
    FROM matching AS m
    LEFT JOIN renamed AS r ON r.host = coalesce(m.host, '') AND r.old = m.route
),
places AS (
    SELECT
        status,
        method,
        host,
        route,
        count(*) AS requests,
        min(ts) AS first_seen,
        max(ts) AS last_seen
    FROM asked
    GROUP BY ALL
)
SELECT
    status,
    sum(requests)::BIGINT AS requests,
    count(DISTINCT host) AS hosts,
    count(*) AS endpoints,
    min(first_seen) AS first_seen,
    max(last_seen) AS last_seen,
    list(
        {'method': method, 'host': host, 'route': route, 'requests': requests}
        ORDER BY requests DESC, host, route, method
    )[:3] AS top,
    sum(sum(requests)) OVER ()::BIGINT AS all_requests,
    (sum(sum(requests) FILTER (WHERE status IS NULL OR status >= 400)) OVER ())::BIGINT AS all_errors
FROM places
GROUP BY status
ORDER BY requests DESC, status NULLS LAST
LIMIT $rows
