-- All requests and failures of a window, by who sent or served them where {side} says so.
SELECT {side} AS side, count(*) AS requests, count(*) FILTER (WHERE failed) AS errors
FROM (
    SELECT
        coalesce(container_name, process_exe) AS who,
        status IS NULL OR status >= 400 OR coalesce(grpc_status, '') NOT IN ('', '0', 'OK')
            AS failed
    FROM transactions
    WHERE ts >= $from_ts AND ts < $to_ts AND {where}
)
GROUP BY ALL
ORDER BY errors DESC, requests DESC, side
