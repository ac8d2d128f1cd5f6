-- Status codes of a window, the most frequent first; no status is no response; {apart} as in hosts.sql.
WITH places AS (
    SELECT
        {apart},
        status,
        method,
        host,
        route,
        requests(n) AS requests,
        requests(n, failed) AS errors,
        min(ts) AS first_seen,
        max(ts) AS last_seen
    FROM matching
    GROUP BY ALL
)
SELECT
    recorder,
    "group",
    status,
    sum(requests)::BIGINT AS requests,
    sum(errors)::BIGINT AS errors,
    count(DISTINCT host) AS hosts,
    count(*) AS endpoints,
    min(first_seen) AS first_seen,
    max(last_seen) AS last_seen,
    list(
        {'method': method, 'host': host, 'route': route, 'requests': requests}
        ORDER BY requests DESC, host, route, method
    )[:3] AS top,
    sum(sum(requests)) OVER ()::BIGINT AS all_requests,
    sum(sum(errors)) OVER ()::BIGINT AS all_errors
FROM places
GROUP BY recorder, "group", status
ORDER BY requests DESC, status NULLS LAST, recorder, "group"
LIMIT $rows
