-- The names of each number of the table firsts: those of one of its rows in the relation {keys}; with a
-- hash of each part of them.
SELECT
    number,
    hash(direction = 'ingress', host, method, route) AS endpoint,
    hash(status, grpc_status) AS outcome,
    hash(container, pod, process, signature) AS instance,
    CASE direction WHEN 'ingress' THEN 'in' ELSE 'out' END AS side,
    host,
    method,
    route,
    status,
    grpc_status,
    container,
    pod,
    process,
    signature
FROM ({keys})
JOIN firsts USING (file, key)
