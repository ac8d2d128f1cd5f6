-- Transactions (the relation of rows) by key, with an entry a request in the lists of each: that is
-- an order of magnitude quicker than to group texts by minute and duration as well.
-- A code is 256 * minute of the hour + bucket of duration; see rollup_named.sql.
SELECT
    {names},
    failed,
    list((256 * minute(ts) + bucket)::USMALLINT) AS codes,
    list(sent) AS sent,
    list(received) AS received,
    list(seq) AS seqs
FROM ({named})
GROUP BY ALL
