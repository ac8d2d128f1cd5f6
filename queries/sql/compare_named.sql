-- Transactions of the given names, with their name, that pass the condition of the comparison.
SELECT
    *,
    concat_ws(
        chr(31), coalesce(host, ''), coalesce(method, ''), coalesce(route, ''),
        coalesce(status, 0), coalesce(grpc_status, ''), coalesce(container_name, ''),
        coalesce(pod_name, ''), coalesce(error_signature, '')
    ) AS name
FROM {rows}
WHERE coalesce(host, '') IN (SELECT unnest($hosts::VARCHAR[]))
    AND coalesce(route, '') IN (SELECT unnest($routes::VARCHAR[])) -- so that few rows get to what follows
    AND name IN (SELECT unnest(flatten($names::VARCHAR[][])))
    AND ({where})
