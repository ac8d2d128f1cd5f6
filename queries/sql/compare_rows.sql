-- The rows of a relation of keys, which say something of a key in a file, with a hash of the key's
-- names that is the same in all files, and the number of the recorder.
SELECT
    file,
    key,
    ({place})::SMALLINT AS place,
    requests,
    bytes_received,
    hash(
        direction = 'ingress', host, method, route, status, grpc_status, container, pod, process,
        signature
    ) AS names
FROM ({keys})
