-- Clients of what this machine serves in a window, by address and user agent, the busiest first.
WITH peers AS (
    SELECT connection_id, max_by(source_ip, ts) AS address
    FROM connections
    WHERE source_ip IS NOT NULL
    GROUP BY connection_id
),
served AS (
    SELECT
        coalesce(
            nullif(trim(split_part(req_headers['X-Forwarded-For'], ',', 1)), ''), peers.address
        ) AS address,
        user_agent,
        host,
        failed,
        duration_ms,
        ts
    FROM matching
    LEFT JOIN peers USING (connection_id)
    WHERE place = 'here'
)
SELECT
    address,
    user_agent,
    count(*) AS requests,
    count(*) FILTER (WHERE failed) AS errors,
    errors / requests AS error_share,
    quantile_cont(duration_ms, 0.95) AS p95_ms,
    min(ts) AS first_seen,
    max(ts) AS last_seen,
    busiest(host)[:5] AS hosts,
    len(busiest(host)) AS hosts_total,
    sum(count(*)) OVER ()::BIGINT AS all_requests,
    (sum(count(*) FILTER (WHERE failed)) OVER ())::BIGINT AS all_errors
FROM served
GROUP BY address, user_agent
ORDER BY requests DESC, address, user_agent
LIMIT $rows
