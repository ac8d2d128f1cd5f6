-- Failures of a window by endpoint, status and signature, with one transaction of each.
-- A gRPC call that answered 200 with a status other than OK failed, too.
WITH matching AS (
    SELECT
        CASE direction
            WHEN 'egress-external' THEN 'outside'
            WHEN 'egress-internal' THEN 'inside'
            WHEN 'ingress' THEN 'here'
            ELSE 'unknown'
        END AS place,
        method,
        host,
        route,
        status,
        grpc_status,
        error_signature AS signature,
        coalesce(container_name, process_exe) AS who,
        -- The latest is still there to look at; one with a body says more.
        {'body': coalesce(res_body_bytes, 0) > 0, 'ts': ts, 'recorder': recorder,
         'session': session, 'seq': seq} AS one,
        ts
    FROM transactions
    WHERE ts >= $from_ts AND ts < $to_ts AND {where}
        AND (status IS NULL OR status >= 400 OR coalesce(grpc_status, '') NOT IN ('', '0', 'OK'))
),
pairs AS (
    SELECT
        {side} AS side,
        place,
        method,
        m.host,
        coalesce(r.new, m.route) AS route,
        status,
        grpc_status,
        signature,
        who,
        count(*) AS errors,
        min(ts) AS first_seen,
        max(ts) AS last_seen,
        max(one) AS one
    FROM matching AS m
    LEFT JOIN renamed AS r ON r.host = coalesce(m.host, '') AND r.old = m.route
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
