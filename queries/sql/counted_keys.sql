-- The keys of rollups (store/derived.py) under the names of transactions, with their file and hour.
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
