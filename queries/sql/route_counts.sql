-- How often each route of a host was asked for, to find levels with too many different values.
SELECT coalesce(host, '') AS host, route, count(*) AS requests
FROM matching
WHERE route IS NOT NULL
GROUP BY ALL
