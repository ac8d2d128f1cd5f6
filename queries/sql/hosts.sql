-- Hosts of a window by where they lie, the busiest first, with who talks to (or serves) them;
-- {apart}: by recorder and group as well, or by NULL.
WITH pairs AS (
    SELECT {apart}, host, place, who, count(*) AS requests
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
        count(*) AS requests,
        count(*) FILTER (WHERE failed) AS errors,
        count(*) FILTER (WHERE status < 200) AS s1xx,
        count(*) FILTER (WHERE status BETWEEN 200 AND 299) AS s2xx,
        count(*) FILTER (WHERE status BETWEEN 300 AND 399) AS s3xx,
        count(*) FILTER (WHERE status BETWEEN 400 AND 499) AS s4xx,
        count(*) FILTER (WHERE status >= 500) AS s5xx,
        count(*) FILTER (WHERE status IS NULL) AS no_response,
        quantile_cont(duration_ms, 0.5) AS p50_ms,
        quantile_cont(duration_ms, 0.95) AS p95_ms,
        min(ts) AS first_seen,
        max(ts) AS last_seen
    FROM matching
    GROUP BY ALL
)
SELECT
    hosts.*,
    coalesce(people.who, []) AS who,
    coalesce(people.who_total, 0) AS who_total,
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
