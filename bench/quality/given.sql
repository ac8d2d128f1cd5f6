-- Cells of any hours in the shape of rollups, an hour after the other.
SELECT
    epoch_us(minute) // 3600000000 AS hour,
    recorder,
    's' AS session,
    coalesce(direction, '') AS direction,
    coalesce(host, '') AS host,
    coalesce(method, '') AS method,
    coalesce(route, '') AS route,
    coalesce(status, 0)::SMALLINT AS status,
    coalesce(container, '') AS container,
    coalesce(process, '') AS process,
    coalesce(signature, '') AS signature,
    list(minute(minute)::UTINYINT) AS minutes,
    list(requests) AS minute_requests,
    list(coalesce(bytes_received, 0)) AS minute_bytes_received,
    list(number) AS minute_seq,
    flatten(list(list_transform(
        coalesce(map_keys(durations), []),
        lambda b: (256 * minute(minute) + greatest(0, least(b, 254)))::USMALLINT
    ))) AS duration_codes,
    flatten(list(coalesce(map_values(durations), []))) AS duration_requests
FROM (SELECT *, row_number() OVER () AS number FROM cells)
GROUP BY ALL
ORDER BY hour
