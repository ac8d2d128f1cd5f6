-- Each key of compare_rows once, by its names.
SELECT
    (row_number() OVER () - 1)::INTEGER AS number,
    names,
    first(CASE direction WHEN 'ingress' THEN 'in' ELSE 'out' END) AS side,
    first(host) AS host,
    first(method) AS method,
    first(route) AS route,
    first(status) AS status,
    first(grpc_status) AS grpc_status,
    first(container) AS container,
    first(pod) AS pod,
    first(process) AS process,
    first(signature) AS signature
FROM ({rows})
GROUP BY names
