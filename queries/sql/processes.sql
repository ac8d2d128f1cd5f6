-- Programs of a window: what each called and served, the busiest first. In containers a program is
-- a different one in each.
SELECT
    process_exe AS process,
    container_name AS container,
    names(pod_name)[:5] AS pods,
    count(DISTINCT process_id) AS pids,
    part(place <> 'here', failed, duration_ms) AS called,
    part(place = 'here', failed, duration_ms) AS served,
    min(ts) AS first_seen,
    max(ts) AS last_seen,
    busiest(if(place <> 'here', host, NULL))[:5] AS hosts,
    len(busiest(if(place <> 'here', host, NULL))) AS hosts_total,
    sum(count(*)) OVER ()::BIGINT AS all_requests,
    (sum(count(*) FILTER (WHERE failed)) OVER ())::BIGINT AS all_errors
FROM matching
GROUP BY process, container
ORDER BY count(*) DESC, process, container
LIMIT $rows
