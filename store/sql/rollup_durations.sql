-- Requests of each key, minute and bucket of duration; those without a duration are not here.
SELECT
    key,
    (code // 256)::SMALLINT AS minute,
    (code % 256)::SMALLINT AS bucket,
    count(*)::INTEGER AS requests
FROM rollup_entries
WHERE code % 256 <> 255
GROUP BY ALL
ORDER BY key, minute, bucket
