-- A few ids of the transactions (compare_named.sql) of each place, by its sort: first, last, slowest,
-- smallest or largest.
SELECT
    place,
    recorder || ':' || session || ':' || printf('%012d', seq) AS id,
    row_number() OVER (
        PARTITION BY place
        ORDER BY CASE $sorts[place + 1]
                WHEN 'last' THEN -epoch(ts)
                WHEN 'slowest' THEN -duration_ms
                WHEN 'smallest' THEN bytes_received
                WHEN 'largest' THEN -bytes_received
            END NULLS LAST, ts, id
    ) AS rank
FROM ({named})
QUALIFY rank <= $most
ORDER BY place, rank
