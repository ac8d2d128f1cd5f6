-- Programs of a window: what each called and served, the busiest first. In containers a program is
-- a different one in each.
WITH pairs AS (
    SELECT process_exe AS process, container_name AS container, host, count(*) AS requests
    FROM matching
    WHERE place <> 'here' AND host IS NOT NULL
    GROUP BY ALL
),
hosts AS (
    SELECT
        process,
        container,
        list(host ORDER BY requests DESC, host)[:5] AS hosts,
        count(*) AS hosts_total
    FROM pairs
    GROUP BY ALL
),
programs AS (
    SELECT
        process_exe AS process,
        container_name AS container,
        coalesce(list_sort(list(DISTINCT pod_name) FILTER (WHERE pod_name IS NOT NULL))[:5], [])
            AS pods,
        count(DISTINCT process_id) AS pids,
        count(*) FILTER (WHERE place <> 'here') AS called,
        count(*) FILTER (WHERE place <> 'here' AND failed) AS called_errors,
        quantile_cont(duration_ms, 0.95) FILTER (WHERE place <> 'here') AS called_p95_ms,
        count(*) FILTER (WHERE place = 'here') AS served,
        count(*) FILTER (WHERE place = 'here' AND failed) AS served_errors,
        quantile_cont(duration_ms, 0.95) FILTER (WHERE place = 'here') AS served_p95_ms,
        count(*) AS requests,
        count(*) FILTER (WHERE failed) AS errors,
        min(ts) AS first_seen,
        max(ts) AS last_seen
    FROM matching
    GROUP BY process, container
)
SELECT
    programs.* EXCLUDE (requests, errors),
    coalesce(hosts.hosts, []) AS hosts,
    coalesce(hosts.hosts_total, 0) AS hosts_total,
    sum(requests) OVER ()::BIGINT AS all_requests,
    sum(errors) OVER ()::BIGINT AS all_errors
FROM programs
LEFT JOIN hosts
    ON hosts.process IS NOT DISTINCT FROM programs.process
        AND hosts.container IS NOT DISTINCT FROM programs.container
ORDER BY requests DESC, process, container
LIMIT $rows
