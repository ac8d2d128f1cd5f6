-- The rows of the relation {keys}: what a file says of one key over its hour, with a hash of the
-- key's names that is the same in all files.
SELECT
    *,
    hash(
        direction = 'ingress', host, method, route, status, grpc_status, container, pod, process,
        signature
    ) AS names
FROM ({keys})
