-- The same, of which only requests will be asked.
SELECT
    key, code // 256 AS minute, NULL AS bucket, count(*) AS requests, NULL AS bytes_received,
    NULL AS seq
FROM rollup_entries
GROUP BY ALL
