-- The rows of a relation of keys, which say something of a key in a file, with a hash of the key's
-- names that is the same in all files, one of each part of them, and the number of the recorder.
SELECT
    *,
    ({place})::SMALLINT AS place,
    hash(
        direction = 'ingress', host, method, route, status, grpc_status, container, pod, process,
        signature
    ) AS names,
    hash(direction = 'ingress', host, method, route) AS endpoint,
    hash(status, grpc_status) AS outcome,
    hash(container, pod, process, signature) AS instance,
    CASE direction WHEN 'ingress' THEN 'in' ELSE 'out' END AS side
FROM ({keys})
