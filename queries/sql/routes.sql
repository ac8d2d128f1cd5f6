-- How often each route of a host was asked for, to find levels with too many different values.
SELECT coalesce(host, '') AS host, route, count(*) AS requests
FROM transactions
WHERE ts >= $from_ts AND ts < $to_ts AND route IS NOT NULL AND {where}
GROUP BY ALL
