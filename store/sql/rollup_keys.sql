-- The keys and what they sum up to over the hour; active: a bit for each minute with requests.
SELECT
    key,
    {names},
    failed,
    len(codes)::BIGINT AS requests,
    list_sum(sent)::BIGINT AS bytes_sent,
    list_sum(received)::BIGINT AS bytes_received,
    active
FROM rollup_numbered
JOIN (
    SELECT key, bit_or(1::BIGINT << (code // 256)) AS active FROM rollup_entries GROUP BY key
) USING (key)
ORDER BY key
