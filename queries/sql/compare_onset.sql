-- Requests of the given names by minute of the stretch from $from_ts on.
SELECT date_diff('minute', $from_ts::TIMESTAMPTZ, ts)::INTEGER AS minute, count(*) AS requests
FROM {rows}
WHERE coalesce(host, '') IN (SELECT unnest($hosts::VARCHAR[]))
    AND concat_ws(
        chr(31), coalesce(host, ''), coalesce(method, ''), coalesce(route, ''),
        coalesce(status, 0), coalesce(grpc_status, ''), coalesce(container_name, ''),
        coalesce(pod_name, ''), coalesce(error_signature, '')
    ) IN (SELECT unnest($names::VARCHAR[]))
    AND ts >= $from_ts::TIMESTAMPTZ AND ts < $to_ts::TIMESTAMPTZ
GROUP BY ALL
