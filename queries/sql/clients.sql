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
),
pairs AS (
    SELECT address, user_agent, host, count(*) AS requests
    FROM served
    WHERE host IS NOT NULL
    GROUP BY ALL
),
hosts AS (
    SELECT
        address,
        user_agent,
        list(host ORDER BY requests DESC, host)[:5] AS hosts,
        count(*) AS hosts_total
    FROM pairs
    GROUP BY ALL
),
clients AS (
    SELECT
        address,
        user_agent,
        count(*) AS requests,
        count(*) FILTER (WHERE failed) AS errors,
        quantile_cont(duration_ms, 0.95) AS p95_ms,
        min(ts) AS first_seen,
        max(ts) AS last_seen
    FROM served
    GROUP BY ALL
)
SELECT
    clients.*,
    coalesce(hosts.hosts, []) AS hosts,
    coalesce(hosts.hosts_total, 0) AS hosts_total,
    sum(requests) OVER ()::BIGINT AS all_requests,
    sum(errors) OVER ()::BIGINT AS all_errors
FROM clients
LEFT JOIN hosts
    ON hosts.address IS NOT DISTINCT FROM clients.address
        AND hosts.user_agent IS NOT DISTINCT FROM clients.user_agent
ORDER BY requests DESC, address, clients.user_agent
LIMIT $rows
