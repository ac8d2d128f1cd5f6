-- Connections of a window by where they go, their protocol and who holds them. Of each connection
-- the last that was told of it counts.
WITH each AS (
    SELECT
        connection_id,
        max_by(
            {
                'place': place,
                'endpoint': coalesce(endpoint_id, destination_ip),
                'port': destination_port,
                'protocol': coalesce(l7_protocol, socket_protocol),
                'tls': tls_version,
                'who': who,
                'remote': CASE place WHEN 'here' THEN source_ip ELSE destination_ip END
            },
            (ts, seq)
        ) AS last,
        bool_or(event = 'closed') AS closed,
        max(bytes_sent) AS bytes_sent,
        max(bytes_received) AS bytes_received,
        date_diff('millisecond', min(coalesce(opened_ts, ts)), max(coalesce(closed_ts, ts)))
            AS duration_ms,
        min(ts) AS first_seen,
        max(ts) AS last_seen
    FROM matching
    GROUP BY connection_id
),
grouped AS (
    SELECT
        last.place AS place,
        last.endpoint AS endpoint,
        last.port AS port,
        last.protocol AS protocol,
        last.tls AS tls,
        last.who AS container,
        count(*) AS connections,
        count(*) FILTER (WHERE NOT closed) AS open,
        count(DISTINCT last.remote) AS remotes,
        coalesce(sum(bytes_sent), 0)::BIGINT AS bytes_sent,
        coalesce(sum(bytes_received), 0)::BIGINT AS bytes_received,
        quantile_cont(duration_ms, 0.5) AS p50_ms,
        max(duration_ms) AS max_ms,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen,
        max_by(connection_id, last_seen) AS example
    FROM each
    GROUP BY ALL
)
SELECT
    *,
    sum(connections) OVER ()::BIGINT AS all_requests,
    0 AS all_errors
FROM grouped
ORDER BY connections DESC, bytes_sent + bytes_received DESC, endpoint, port, container, protocol,
    tls, place
LIMIT $rows
