-- Routes of a window by host, the busiest first, with methods, statuses and a few real paths.
WITH by_status AS (
    SELECT place, host, route, status, count(*) AS requests FROM matching GROUP BY ALL
),
by_method AS (
    SELECT place, host, route, method, count(*) AS requests FROM matching GROUP BY ALL
),
statuses AS (
    SELECT
        place, host, route,
        list({'status': status, 'requests': requests} ORDER BY requests DESC, status)[:10]
            AS statuses
    FROM by_status
    GROUP BY ALL
),
methods AS (
    SELECT
        place, host, route,
        list({'method': method, 'requests': requests} ORDER BY requests DESC, method)[:10]
            AS methods
    FROM by_method
    GROUP BY ALL
),
routes AS (
    SELECT
        place, host, route,
        count(*) AS requests,
        count(*) FILTER (WHERE failed) AS errors,
        min(ts) AS first_seen,
        max(ts) AS last_seen,
        approx_count_distinct(path) AS paths,
        list_sort(list_distinct([
            min(path[:300]), arg_max(path[:300], ts), max(path[:300])
        ])) AS examples
    FROM matching
    GROUP BY place, host, route
),
whole AS (
    SELECT
        *,
        sum(requests) OVER (PARTITION BY host, place) AS of_host,
        sum(requests) OVER ()::BIGINT AS all_requests,
        sum(errors) OVER ()::BIGINT AS all_errors
    FROM routes
)
SELECT
    w.place,
    w.host,
    w.route,
    w.requests,
    w.errors,
    w.errors / w.requests AS error_share,
    m.methods,
    s.statuses,
    w.paths,
    w.examples,
    w.first_seen,
    w.last_seen,
    w.all_requests,
    w.all_errors
FROM (FROM whole ORDER BY of_host DESC, host, place, requests DESC, route LIMIT $rows) AS w
JOIN statuses AS s
    ON s.place = w.place AND s.host IS NOT DISTINCT FROM w.host
        AND s.route IS NOT DISTINCT FROM w.route
JOIN methods AS m
    ON m.place = w.place AND m.host IS NOT DISTINCT FROM w.host
        AND m.route IS NOT DISTINCT FROM w.route
ORDER BY w.of_host DESC, w.host, w.place, w.requests DESC, w.route
