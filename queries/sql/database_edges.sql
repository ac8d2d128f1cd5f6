-- Who asks which kind of database in a window.
SELECT
    coalesce(container_name, process_exe) AS caller,
    CASE WHEN container_name IS NULL THEN 'process' ELSE 'container' END AS caller_kind,
    coalesce(database_type, 'database') AS callee,
    'database' AS callee_kind,
    CASE direction
        WHEN 'egress-external' THEN 'outside'
        WHEN 'egress-internal' THEN 'inside'
        ELSE 'unknown'
    END AS place,
    []::VARCHAR[] AS hosts,
    count(*) AS requests,
    count(*) FILTER (WHERE is_error) AS errors,
    quantile_cont(duration_ms, 0.5) AS p50_ms,
    quantile_cont(duration_ms, 0.95) AS p95_ms,
    min(ts) AS first_seen,
    max(ts) AS last_seen
FROM database
WHERE ts >= $from_ts AND ts < $to_ts AND {where}
    AND direction IS DISTINCT FROM 'ingress'
    AND ($name::VARCHAR IS NULL
        OR coalesce(container_name, process_exe) = $name
        OR database_type = $name)
GROUP BY caller, caller_kind, callee, callee_kind, place
ORDER BY requests DESC, caller, callee, place
