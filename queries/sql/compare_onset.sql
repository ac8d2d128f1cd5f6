-- Transactions (compare_named.sql) of each place by minute of the stretch from $begin on.
SELECT
    place,
    date_diff('minute', $begin::TIMESTAMPTZ, ts)::INTEGER AS minute,
    count(*) AS requests
FROM ({named})
GROUP BY ALL
