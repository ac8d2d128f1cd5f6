-- Each key of the table compare_rows once, under a number, with its names: those of one of its rows
-- in the relation {keys}.
SELECT
    number,
    names,
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
JOIN (
    SELECT
        names,
        min({'file': file, 'key': key}) AS place,
        (row_number() OVER () - 1)::INTEGER AS number
    FROM compare_rows
    GROUP BY names
) ON file = place.file AND key = place.key
