-- Transactions of the given names, with their name, that pass the condition of the comparison.
SELECT
    *,
    concat_ws(
        chr(31), coalesce(host, ''), coalesce(method, ''), coalesce(route, ''),
        coalesce(status, 0), coalesce(grpc_status, ''), coalesce(container_name, ''),
        coalesce(pod_name, ''), coalesce(error_signature, '')
    ) AS name
FROM {rows}
-- the first and the third part of names, so that few rows get to what follows
WHERE coalesce(host, '') IN (SELECT split_part(unnest(flatten($names::VARCHAR[][])), chr(31), 1))
    AND coalesce(route, '') IN (SELECT split_part(unnest(flatten($names::VARCHAR[][])), chr(31), 3))
    AND name IN (SELECT unnest(flatten($names::VARCHAR[][])))
    AND ({where})
