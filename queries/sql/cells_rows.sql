-- Transactions of one hour by key, in the shape of a rollup (store/sql/rollup.sql), but with one
-- entry a request in its lists: counting them is left to whoever reads them. Code 255 of a minute
-- is a request without a duration.
SELECT
    recorder,
    session,
    coalesce(direction, '') AS direction,
    coalesce(host, '') AS host,
    coalesce(method, '') AS method,
    coalesce(route, '') AS route,
    coalesce(status, 0)::SMALLINT AS status,
    coalesce(container_name, '') AS container,
    coalesce(process_exe, '') AS process,
    coalesce(error_signature, '') AS signature,
    list((
        256 * minute(ts)
        + CASE WHEN duration_ms IS NULL THEN 255
            ELSE ceil(ln(greatest(duration_ms, 1)) / ln(1.1)) END
    )::USMALLINT) AS codes,
    list(coalesce(bytes_received, 0)) AS received,
    list(seq) AS seqs
FROM rows
GROUP BY ALL
