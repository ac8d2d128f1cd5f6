-- Hosts of a window by where they lie, the busiest first, with who talks to (or serves) them;
-- {apart}: by recorder and group as well, or by NULL.
WITH pairs AS (
    SELECT {apart}, host, place, who, requests(n) AS requests
    FROM matching
    WHERE who IS NOT NULL
    GROUP BY ALL
),
people AS (
    SELECT
        recorder,
        "group",
        host,
        place,
        list(who ORDER BY requests DESC, who)[:5] AS who,
        count(*) AS who_total
    FROM pairs
    GROUP BY ALL
),
hosts AS (
    SELECT
        {apart},
        host,
        place,
        requests(n) AS requests,
        requests(n, failed) AS errors,
        errors / requests AS error_share,
        classes(status, n) AS statuses,
        took(duration_ms, n, 0.5) AS p50_ms,
        took(duration_ms, n, 0.95) AS p95_ms,
        min(ts) AS first_seen,
        max(ts) AS last_seen
    FROM matching
    GROUP BY ALL
)
SELECT
    hosts.*,
    if(hosts.place = 'here', [], coalesce(people.who, [])) AS callers,
    if(hosts.place = 'here', 0, coalesce(people.who_total, 0)) AS callers_total,
    if(hosts.place = 'here', coalesce(people.who, []), []) AS served_by,
    sum(requests) OVER ()::BIGINT AS all_requests,
    sum(errors) OVER ()::BIGINT AS all_errors
FROM hosts
LEFT JOIN people
    ON people.host IS NOT DISTINCT FROM hosts.host
    AND people.place = hosts.place
    AND people.recorder IS NOT DISTINCT FROM hosts.recorder
    AND people."group" IS NOT DISTINCT FROM hosts."group"
ORDER BY requests DESC, host, place, hosts.recorder, hosts."group"
LIMIT $rows
