-- An entry a request of an hour that was counted from its rows; code: store/sql/rollup_requests.sql.
SELECT
    key, code // 256 AS minute, nullif(code % 256, 255) AS bucket, 1 AS requests,
    received AS bytes_received, seq
FROM rollup_entries
