-- Failures of a window by endpoint, status and signature, with one transaction of each.
WITH pairs AS (
    SELECT
        {side} AS side,
        place,
        method,
        host,
        route,
        status,
        grpc_status,
        error_signature AS signature,
        who,
        requests(n) AS errors,
        min(ts) AS first_seen,
        max(ts) AS last_seen,
        -- The latest is still there to look at; one with a body says more.
        max({'body': coalesce(res_body_bytes, 0) > 0, 'ts': ts, 'recorder': recorder,
             'session': session, 'seq': seq}) AS one
    FROM matching
    WHERE failed
    GROUP BY ALL
)
SELECT
    side,
    place,
    method,
    host,
    route,
    status,
    grpc_status,
    signature,
    sum(errors)::BIGINT AS errors,
    min(first_seen) AS first_seen,
    max(last_seen) AS last_seen,
    coalesce(list(who ORDER BY errors DESC, who) FILTER (WHERE who IS NOT NULL), []) AS who,
    max(one) AS one
FROM pairs
GROUP BY ALL
ORDER BY errors DESC, last_seen DESC, host, route, method, status, signature, place
LIMIT $rows
