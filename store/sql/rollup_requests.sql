-- Transactions (the relation of rows) by key, with an entry a request in the lists of each: that is
-- an order of magnitude quicker than to group texts by minute and duration as well.
-- Text that is missing is '', no response is status 0. A code is 256 * minute of the hour + bucket;
-- bucket b holds base^(b-1) < ms <= base^b, at most 5 % off its middle, and 255 is no duration.
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
    failed,
    list((
        256 * minute(ts)
        + CASE WHEN duration_ms IS NULL THEN 255
            ELSE least(ceil(ln(greatest(duration_ms, 1)) / ln({base})), 254) END
    )::USMALLINT) AS codes,
    list(coalesce(bytes_sent, 0)) AS sent,
    list(coalesce(bytes_received, 0)) AS received,
    list(seq) AS seqs
FROM ({derived})
GROUP BY ALL
