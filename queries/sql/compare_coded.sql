-- Transactions of an hour, under the names of keys (store/sql/rollup_named.sql), with a hash of those.
SELECT
    hash({names}) AS names,
    {names},
    slot,
    bucket::UTINYINT AS bucket,
    received
FROM (SELECT *, ({slot})::SMALLINT AS slot FROM ({named}))
WHERE slot IS NOT NULL
