-- How often each route of a host was asked for, to find levels with too many different values.
SELECT coalesce(host, '') AS host, route, requests(n) AS requests
FROM matching
WHERE route IS NOT NULL
GROUP BY ALL
