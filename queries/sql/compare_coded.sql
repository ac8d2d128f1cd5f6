-- Transactions of an hour (the relation {rows}) by key, with an entry a request in the lists of
-- each: that is an order of magnitude quicker than to group texts by slot and duration as well.
-- A code is 256 * slot + bucket of duration; see store/sql/rollup_requests.sql for names and buckets.
SELECT
    {names},
    list((
        256 * slot
        + CASE WHEN duration_ms IS NULL THEN 255
            ELSE least(ceil(ln(greatest(duration_ms, 1)) / ln({base})), 254) END
    )::UINTEGER) AS codes,
    list(coalesce(bytes_received, 0)) AS received
FROM (
    SELECT
        recorder,
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
        duration_ms,
        bytes_received,
        {slot} AS slot
    FROM {rows}
)
WHERE slot IS NOT NULL
GROUP BY ALL
