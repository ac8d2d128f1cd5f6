-- Transactions of an hour, under the names of keys (store/sql/rollup_named.sql), with an entry a
-- request in the lists of each key, as store/sql/rollup_requests.sql has them; a code is 256 * slot
-- + bucket of duration.
SELECT
    {names},
    list((256 * slot + bucket)::UINTEGER) AS codes,
    list(received) AS received
FROM (SELECT *, {slot} AS slot FROM ({named}))
WHERE slot IS NOT NULL
GROUP BY ALL
