-- A few ids of transactions (compare_named.sql), by $sort: first, last, slowest, smallest or largest.
SELECT recorder || ':' || session || ':' || printf('%012d', seq) AS id
FROM ({named})
WHERE list_bool_or(
        list_transform(
            list_zip($starts::TIMESTAMPTZ[], $ends::TIMESTAMPTZ[]), lambda s: ts >= s[1] AND ts < s[2]
        )
    )
    -- row groups outside of all of them are not read
    AND ts >= list_min($starts::TIMESTAMPTZ[]) AND ts < list_max($ends::TIMESTAMPTZ[])
ORDER BY CASE $sort
        WHEN 'last' THEN -epoch(ts)
        WHEN 'slowest' THEN -duration_ms
        WHEN 'smallest' THEN bytes_received
        WHEN 'largest' THEN -bytes_received
    END NULLS LAST, ts, id
LIMIT $most
