-- Transactions that pass the condition of the comparison, of the names and the times that are wanted, a
-- row of parameters each; and the place of what they are wanted for.
SELECT named.*, place
FROM (
    SELECT
        ts,
        duration_ms,
        bytes_received,
        recorder,
        session,
        seq,
        concat_ws(
            chr(31), coalesce(host, ''), coalesce(method, ''), coalesce(route, ''),
            coalesce(status, 0), coalesce(grpc_status, ''), coalesce(container_name, ''),
            coalesce(pod_name, ''), coalesce(error_signature, '')
        ) AS name
    FROM {rows}
    -- so that few rows get to what follows, and row groups of other hosts and times are not read
    WHERE ({near})
        AND (coalesce(host, ''), coalesce(route, '')) IN (
            SELECT unnest($hosts::VARCHAR[]), unnest($routes::VARCHAR[])
        )
        AND ({times})
        AND ({where})
) AS named
JOIN (
    SELECT
        unnest($names::VARCHAR[]) AS name,
        unnest($places::INTEGER[]) AS place,
        unnest($starts::TIMESTAMPTZ[]) AS starts,
        unnest($ends::TIMESTAMPTZ[]) AS ends
) USING (name)
WHERE ts >= starts AND ts < ends
