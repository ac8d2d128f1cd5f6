-- The names of each number of the table firsts: those of one of its rows in the relation {keys}.
SELECT
    number,
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
