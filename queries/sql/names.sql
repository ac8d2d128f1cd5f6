-- Who did anything in a window: containers, or executables where there is no container.
SELECT coalesce(container_name, process_exe) AS name
FROM {table}
WHERE ts >= $from_ts AND ts < $to_ts AND coalesce(container_name, process_exe) IS NOT NULL
GROUP BY ALL
ORDER BY count(*) DESC, name
