-- Who asks which kind of database in a window.
SELECT
    who AS caller,
    CASE WHEN container_name IS NULL THEN 'process' ELSE 'container' END AS caller_kind,
    coalesce(database_type, 'database') AS callee,
    'database' AS callee_kind,
    place,
    []::VARCHAR[] AS hosts,
    count(*) AS requests,
    count(*) FILTER (WHERE is_error) AS errors,
    errors / requests AS error_share,
    quantile_cont(duration_ms, 0.5) AS p50_ms,
    quantile_cont(duration_ms, 0.95) AS p95_ms,
    min(ts) AS first_seen,
    max(ts) AS last_seen
FROM matching_database
WHERE place <> 'here' AND ($name::VARCHAR IS NULL OR who = $name OR database_type = $name)
GROUP BY caller, caller_kind, callee, callee_kind, place
ORDER BY requests DESC, caller, callee, place
