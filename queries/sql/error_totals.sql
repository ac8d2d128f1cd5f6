-- All requests and failures of a window, by who sent or served them where {side} says so.
SELECT {side} AS side, requests(n) AS requests, requests(n, failed) AS errors
FROM matching
GROUP BY ALL
ORDER BY errors DESC, requests DESC, side
