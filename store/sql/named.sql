-- Transactions (the relation of rows) under the names of keys: what text is missing is '', no response
-- is status 0. Bucket b of duration holds base^(b-1) < ms <= base^b, at most 5 % off its middle, and
-- 255 is no duration.
SELECT
    recorder,
    session,
    coalesce(direction, '') AS direction,
    coalesce(host, '') AS host,
    coalesce(method, '') AS method,
    coalesce(route, '') AS route,
    coalesce(status, 0)::SMALLINT AS status,
    coalesce(grpc_status, '') AS grpc_status,
    coalesce(container_name, '') AS container,
    coalesce(pod_name, '') AS pod,
    coalesce(process_exe, '') AS process,
    coalesce(error_signature, '') AS signature,
    CASE WHEN duration_ms IS NULL THEN 255
        ELSE least(ceil(ln(greatest(duration_ms, 1)) / ln({base})), 254) END AS bucket,
    ts,
    seq,
    coalesce(bytes_sent, 0) AS sent,
    coalesce(bytes_received, 0) AS received,
    failed
FROM ({derived})
