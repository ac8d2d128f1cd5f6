-- The busiest endpoints whose requests or responses have a body.
SELECT
    method,
    host,
    route,
    count(*) AS requests,
    count(*) FILTER (WHERE status IS NULL OR status >= 400) AS errors,
    sum(count(*)) OVER ()::BIGINT AS all_requests,
    (sum(count(*) FILTER (WHERE status IS NULL OR status >= 400)) OVER ())::BIGINT AS all_errors,
    count(req_body) + count(res_body) AS bodies
FROM transactions
WHERE ts >= $from_ts AND ts < $to_ts AND {where}
GROUP BY ALL
ORDER BY bodies > 0 DESC, requests DESC, host, route, method
LIMIT $rows
