-- Containers of a window: what each called and served, the busiest first. No container: the
-- programs that run on the host itself, together.
SELECT
    container_name AS container,
    names(container_image)[:5] AS images,
    names(pod_name)[:5] AS pods,
    names(pod_namespace)[:5] AS namespaces,
    names(process_exe)[:5] AS processes,
    part(place <> 'here', failed, duration_ms) AS called,
    part(place = 'here', failed, duration_ms) AS served,
    coalesce(sum(bytes_sent), 0)::BIGINT AS bytes_sent,
    coalesce(sum(bytes_received), 0)::BIGINT AS bytes_received,
    min(ts) AS first_seen,
    max(ts) AS last_seen,
    busiest(if(place <> 'here', host, NULL))[:5] AS hosts,
    len(busiest(if(place <> 'here', host, NULL))) AS hosts_total,
    sum(count(*)) OVER ()::BIGINT AS all_requests,
    (sum(count(*) FILTER (WHERE failed)) OVER ())::BIGINT AS all_errors
FROM matching
GROUP BY container
ORDER BY count(*) DESC, container
LIMIT $rows
