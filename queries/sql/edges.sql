-- Who calls whom in a window. A host that one container (or program) of this machine serves is
-- that container; any other stays a host. What is served under a name that nobody here calls comes
-- from outside: its caller is null.
WITH matching AS (
    SELECT
        coalesce(container_name, process_exe) AS who,
        CASE WHEN container_name IS NULL THEN 'process' ELSE 'container' END AS who_kind,
        -- A gRPC call may have no host; its service has a name.
        coalesce(host, endpoint_id, nullif('grpc ' || split_part(path, '/', 2), 'grpc ')) AS target,
        direction,
        status IS NULL OR status >= 400 AS failed,
        duration_ms,
        ts
    FROM transactions
    WHERE ts >= $from_ts AND ts < $to_ts AND {where}
),
servers AS (
    SELECT target, min(who) AS server, min(who_kind) AS server_kind
    FROM matching
    WHERE direction = 'ingress' AND who IS NOT NULL AND target IS NOT NULL
    GROUP BY target
    HAVING count(DISTINCT who) = 1
),
called AS (
    SELECT DISTINCT target FROM matching WHERE direction IS DISTINCT FROM 'ingress'
),
calls AS (
    SELECT
        m.who AS caller,
        m.who_kind AS caller_kind,
        coalesce(s.server, m.target) AS callee,
        coalesce(s.server_kind, 'host') AS callee_kind,
        CASE direction
            WHEN 'egress-external' THEN 'outside'
            WHEN 'egress-internal' THEN 'inside'
            ELSE 'unknown'
        END AS place,
        m.target,
        failed,
        duration_ms,
        ts
    FROM matching AS m
    LEFT JOIN servers AS s ON s.target = m.target
    WHERE direction IS DISTINCT FROM 'ingress'
    UNION ALL
    SELECT
        NULL AS caller,
        'outside' AS caller_kind,
        who AS callee,
        who_kind AS callee_kind,
        'here' AS place,
        target,
        failed,
        duration_ms,
        ts
    FROM matching
    WHERE direction = 'ingress'
        AND (target IS NULL OR target NOT IN (SELECT target FROM called WHERE target IS NOT NULL))
),
edges AS (
    SELECT
        caller,
        caller_kind,
        callee,
        callee_kind,
        place,
        coalesce(list_sort(list(DISTINCT target) FILTER (WHERE target IS NOT NULL)), []) AS hosts,
        count(*) AS requests,
        count(*) FILTER (WHERE failed) AS errors,
        quantile_cont(duration_ms, 0.5) AS p50_ms,
        quantile_cont(duration_ms, 0.95) AS p95_ms,
        min(ts) AS first_seen,
        max(ts) AS last_seen
    FROM calls
    GROUP BY caller, caller_kind, callee, callee_kind, place
)
SELECT *
FROM edges
WHERE $name::VARCHAR IS NULL
    OR caller = $name
    OR callee = $name
    OR list_contains(hosts, $name)
ORDER BY requests DESC, caller, callee, place
