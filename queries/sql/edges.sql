-- Who calls whom in a window. A host that one container (or program) of this machine serves is
-- that container; any other stays a host. What is served under a name that nobody here calls comes
-- from outside: its caller is null.
WITH requests AS (
    SELECT
        who,
        CASE WHEN container_name IS NULL THEN 'process' ELSE 'container' END AS who_kind,
        -- A gRPC call may have no host; its service has a name.
        coalesce(host, endpoint_id, nullif('grpc ' || split_part(path, '/', 2), 'grpc ')) AS target,
        place,
        failed,
        duration_ms,
        n,
        ts
    FROM matching
),
servers AS (
    SELECT target, min(who) AS server, min(who_kind) AS server_kind
    FROM requests
    WHERE place = 'here' AND who IS NOT NULL AND target IS NOT NULL
    GROUP BY target
    HAVING count(DISTINCT who) = 1
),
called AS (
    SELECT DISTINCT target FROM requests WHERE place <> 'here'
),
calls AS (
    SELECT
        m.who AS caller,
        m.who_kind AS caller_kind,
        coalesce(s.server, m.target) AS callee,
        coalesce(s.server_kind, 'host') AS callee_kind,
        place,
        m.target,
        failed,
        duration_ms,
        n,
        ts
    FROM requests AS m
    LEFT JOIN servers AS s ON s.target = m.target
    WHERE place <> 'here'
    UNION ALL
    SELECT
        NULL AS caller,
        'outside' AS caller_kind,
        who AS callee,
        who_kind AS callee_kind,
        place,
        target,
        failed,
        duration_ms,
        n,
        ts
    FROM requests
    WHERE place = 'here'
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
        requests(n) AS requests,
        requests(n, failed) AS errors,
        took(duration_ms, n, 0.5) AS p50_ms,
        took(duration_ms, n, 0.95) AS p95_ms,
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
