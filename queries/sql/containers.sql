-- Containers of a window: what each called and served, the busiest first. No container: the
-- programs that run on the host itself, together.
WITH pairs AS (
    SELECT container_name AS container, host, count(*) AS requests
    FROM matching
    WHERE place <> 'here' AND host IS NOT NULL
    GROUP BY ALL
),
hosts AS (
    SELECT
        container,
        list(host ORDER BY requests DESC, host)[:5] AS hosts,
        count(*) AS hosts_total
    FROM pairs
    GROUP BY ALL
),
containers AS (
    SELECT
        container_name AS container,
        coalesce(
            list_sort(list(DISTINCT container_image) FILTER (WHERE container_image IS NOT NULL)), []
        ) AS images,
        coalesce(list_sort(list(DISTINCT pod_name) FILTER (WHERE pod_name IS NOT NULL)), [])
            AS pods,
        coalesce(
            list_sort(list(DISTINCT pod_namespace) FILTER (WHERE pod_namespace IS NOT NULL)), []
        ) AS namespaces,
        coalesce(list_sort(list(DISTINCT process_exe) FILTER (WHERE process_exe IS NOT NULL)), [])
            AS processes,
        count(*) FILTER (WHERE place <> 'here') AS called,
        count(*) FILTER (WHERE place <> 'here' AND failed) AS called_errors,
        quantile_cont(duration_ms, 0.95) FILTER (WHERE place <> 'here') AS called_p95_ms,
        count(*) FILTER (WHERE place = 'here') AS served,
        count(*) FILTER (WHERE place = 'here' AND failed) AS served_errors,
        quantile_cont(duration_ms, 0.95) FILTER (WHERE place = 'here') AS served_p95_ms,
        coalesce(sum(bytes_sent), 0)::BIGINT AS bytes_sent,
        coalesce(sum(bytes_received), 0)::BIGINT AS bytes_received,
        count(*) AS requests,
        count(*) FILTER (WHERE failed) AS errors,
        min(ts) AS first_seen,
        max(ts) AS last_seen
    FROM matching
    GROUP BY container
)
SELECT
    containers.* EXCLUDE (requests, errors),
    coalesce(hosts.hosts, []) AS hosts,
    coalesce(hosts.hosts_total, 0) AS hosts_total,
    sum(requests) OVER ()::BIGINT AS all_requests,
    sum(errors) OVER ()::BIGINT AS all_errors
FROM containers
LEFT JOIN hosts ON hosts.container IS NOT DISTINCT FROM containers.container
ORDER BY requests DESC, container
LIMIT $rows
