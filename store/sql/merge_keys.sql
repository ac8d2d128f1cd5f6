-- All keys of the view single under numbers in the order of their names, whoever numbers them.
SELECT (row_number() OVER (ORDER BY {names}) - 1)::INTEGER AS key, *
FROM (
    SELECT
        {names},
        bool_or(failed) AS failed,
        sum(requests)::BIGINT AS requests,
        sum(bytes_sent)::BIGINT AS bytes_sent,
        sum(bytes_received)::BIGINT AS bytes_received,
        bit_or(active) AS active
    FROM single
    GROUP BY {names}
)
