-- The busiest containers (or executables, where there is none) of a window.
SELECT
    coalesce(container_name, process_exe) AS container,
    count(*) AS requests,
    count(*) FILTER (WHERE status IS NULL OR status >= 400) AS errors
FROM transactions
WHERE ts >= $from_ts AND ts < $to_ts AND {where}
GROUP BY ALL
ORDER BY requests DESC, container
LIMIT $rows
