-- Who calls whom in a window. A host that one container (or program) of this machine serves is
-- that container; any other stays a host. What is served under a name that nobody here calls comes
-- from outside: its caller is null.
WITH requests AS NOT MATERIALIZED (
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
-- From one to a target: few, where requests are millions.
ends AS MATERIALIZED (
    SELECT
        who,
        who_kind,
        target,
        place,
        requests(n) AS requests,
        requests(n, failed) AS errors,
        took(duration_ms, n, 0.5) AS p50_ms,
        took(duration_ms, n, 0.95) AS p95_ms,
        min(ts) AS first_seen,
        max(ts) AS last_seen
    FROM requests
    GROUP BY who, who_kind, target, place
),
servers AS (
    SELECT target, min(who) AS server, min(who_kind) AS server_kind
    FROM ends
    WHERE place = 'here' AND who IS NOT NULL AND target IS NOT NULL
    GROUP BY target
    HAVING count(DISTINCT who) = 1
),
called AS (
    SELECT target FROM ends WHERE place <> 'here' AND target IS NOT NULL
),
calls AS MATERIALIZED (
    SELECT
        *,
        if(place = 'here', NULL, who) AS caller,
        if(place = 'here', 'outside', who_kind) AS caller_kind,
        if(place = 'here', who, coalesce(server, target)) AS callee,
        if(place = 'here', who_kind, coalesce(server_kind, 'host')) AS callee_kind,
        dense_rank() OVER (ORDER BY caller, caller_kind, callee, callee_kind, place) AS edge
    FROM ends
    LEFT JOIN servers USING (target)
    WHERE place <> 'here' OR coalesce(target NOT IN (FROM called), true)
),
-- Of an edge with several targets: no quantile of all is told by those of each.
times AS (
    SELECT
        edge,
        took(r.duration_ms, r.n, 0.5) AS p50_ms,
        took(r.duration_ms, r.n, 0.95) AS p95_ms
    FROM requests AS r
    JOIN calls AS c
        ON r.who IS NOT DISTINCT FROM c.who
        AND r.who_kind = c.who_kind
        AND r.target IS NOT DISTINCT FROM c.target
        AND r.place = c.place
    WHERE edge IN (SELECT edge FROM calls GROUP BY edge HAVING count(*) > 1)
    GROUP BY edge
)
SELECT
    caller,
    caller_kind,
    callee,
    callee_kind,
    place,
    names(target) AS hosts,
    sum(requests)::BIGINT AS requests,
    sum(errors)::BIGINT AS errors,
    sum(errors) / sum(requests) AS error_share,
    coalesce(any_value(t.p50_ms), any_value(c.p50_ms)) AS p50_ms,
    coalesce(any_value(t.p95_ms), any_value(c.p95_ms)) AS p95_ms,
    min(first_seen) AS first_seen,
    max(last_seen) AS last_seen
FROM calls AS c
LEFT JOIN times AS t USING (edge)
GROUP BY caller, caller_kind, callee, callee_kind, place
HAVING $name::VARCHAR IS NULL
    OR caller = $name
    OR callee = $name
    OR list_contains(hosts, $name)
ORDER BY requests DESC, caller, callee, place
