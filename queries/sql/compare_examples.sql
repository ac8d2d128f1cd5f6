-- A few ids of transactions (compare_named.sql): the slowest if $least_ms is given, else the first.
SELECT recorder || ':' || session || ':' || printf('%012d', seq) AS id
FROM ({named})
WHERE list_bool_or(
        list_transform(
            list_zip($starts::TIMESTAMPTZ[], $ends::TIMESTAMPTZ[]), lambda s: ts >= s[1] AND ts < s[2]
        )
    )
    AND ($least_ms::DOUBLE IS NULL OR duration_ms > $least_ms::DOUBLE)
ORDER BY CASE WHEN $least_ms::DOUBLE IS NOT NULL THEN -duration_ms END, ts, id
LIMIT $most
