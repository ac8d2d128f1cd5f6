-- What rollups (store/rollup.py) tell of transactions, a row a request: as its time the beginning of
-- its minute, as its duration the middle of its bucket; of what they do not keep there is nothing.
WITH named AS (
    SELECT
        file_index AS file,
        key,
        strptime(regexp_extract(filename, 'hour=([0-9T-]{13})', 1), '%Y-%m-%dT%H')::TIMESTAMP AT TIME ZONE 'UTC'
            AS hour,
        recorder,
        session,
        nullif(direction, '') AS direction,
        nullif(host, '') AS host,
        nullif(method, '') AS method,
        nullif(route, '') AS route,
        nullif(status, 0) AS status,
        nullif(grpc_status, '') AS grpc_status,
        nullif(container, '') AS container_name,
        nullif(pod, '') AS pod_name,
        nullif(process, '') AS process_exe,
        nullif(signature, '') AS error_signature
    FROM read_parquet({keys}, filename = true, hive_partitioning = false)
),
lasted AS (
    SELECT
        file_index AS file,
        key,
        minute,
        round(power({base}, bucket - 0.5))::INTEGER AS duration_ms,
        requests
    FROM read_parquet({durations}, hive_partitioning = false)
),
unanswered AS (
    SELECT
        m.file,
        m.key,
        m.minute,
        NULL::INTEGER AS duration_ms,
        m.requests - coalesce(l.requests, 0) AS requests
    FROM (
        SELECT file_index AS file, key, minute, sum(requests) AS requests
        FROM read_parquet({minutes}, hive_partitioning = false)
        GROUP BY ALL
    ) AS m
    LEFT JOIN (SELECT file, key, minute, sum(requests) AS requests FROM lasted GROUP BY ALL) AS l
        USING (file, key, minute)
    WHERE m.requests > coalesce(l.requests, 0)
),
counts AS (
    SELECT hour + to_minutes(minute) AS ts, * EXCLUDE (file, key, hour, minute)
    FROM named
    JOIN (FROM lasted UNION ALL FROM unanswered) USING (file, key)
)
SELECT * EXCLUDE (requests, each)
FROM (SELECT *, unnest(range(requests::BIGINT)) AS each FROM counts WHERE ts < {until})
