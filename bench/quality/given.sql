-- Cells of any hours as what rows would have given (queries/diff/counts.py), hour by hour.
CREATE TEMP TABLE numbered AS
SELECT
    (dense_rank() OVER (ORDER BY hour) - 1)::INTEGER AS file,
    (dense_rank() OVER (
        ORDER BY hour, recorder, direction, host, method, route, status, grpc_status, container,
            process, signature
    ) - 1)::INTEGER AS key,
    *
FROM (
    SELECT
        epoch_us(minute) // 3600000000 AS hour,
        recorder,
        coalesce(direction, '') AS direction,
        coalesce(host, '') AS host,
        coalesce(method, '') AS method,
        coalesce(route, '') AS route,
        coalesce(status, 0)::SMALLINT AS status,
        coalesce(grpc_status, '') AS grpc_status,
        coalesce(container, '') AS container,
        coalesce(process, '') AS process,
        coalesce(signature, '') AS signature,
        minute(minute)::SMALLINT AS minute,
        requests::INTEGER AS requests,
        coalesce(bytes_received, 0) AS bytes_received,
        durations,
        row_number() OVER () AS seq
    FROM cells
);

CREATE TEMP TABLE counted_keys AS
SELECT
    file, key, recorder, 's' AS session, direction, host, method, route, status, grpc_status,
    container, process, signature, sum(requests)::BIGINT AS requests,
    bit_or(1::BIGINT << minute) AS active
FROM numbered
GROUP BY ALL;

CREATE TEMP TABLE counted_minutes AS
SELECT key, minute, requests, bytes_received, seq FROM numbered;

CREATE TEMP TABLE counted_durations AS
SELECT
    key,
    minute,
    greatest(0, least(unnest(map_keys(durations)), 254))::SMALLINT AS bucket,
    unnest(map_values(durations))::INTEGER AS requests
FROM numbered
