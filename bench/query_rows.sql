-- Rows of one synthetic hour, as a recorder would have written them, without headers and bodies.
SELECT
    '{start}'::TIMESTAMPTZ + to_microseconds((random() * 3600000000)::BIGINT) AS ts,
    exp(4 + 0.8 * sqrt(-2 * ln(1 - random())) * cos(6.283 * random()))::INTEGER + 1 AS duration_ms,
    'egress-external' AS direction,
    CASE WHEN route % 4 = 0 THEN 'POST' ELSE 'GET' END AS method,
    'host-' || host || '.example.com' AS host,
    '/v1/things-' || route || '/{id}' AS route,
    CASE WHEN luck < 0.97 THEN 200 WHEN luck < 0.99 THEN 404 ELSE 500 END::SMALLINT AS status,
    'service-' || container AS container_name,
    NULL::VARCHAR AS pod_name,
    NULL::VARCHAR AS grpc_status,
    '/usr/bin/app' AS process_exe,
    CASE WHEN luck >= 0.99 THEN 'internal: something broke' END AS error_signature,
    400::BIGINT AS bytes_sent,
    (1000 * random())::BIGINT AS bytes_received,
    'bench' AS recorder,
    's' AS session,
    n AS seq
FROM (
    SELECT
        n,
        floor(60 * random() * random())::INTEGER AS host,
        floor(20 * random() * random())::INTEGER AS route,
        floor(25 * random())::INTEGER AS container,
        random() AS luck
    FROM range({requests}) AS t (n)
)
