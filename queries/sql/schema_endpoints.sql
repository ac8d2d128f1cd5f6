-- The busiest endpoints whose requests or responses have a body.
SELECT
    method,
    host,
    route,
    count(*) AS requests,
    count(*) FILTER (WHERE failed) AS errors,
    sum(count(*)) OVER ()::BIGINT AS all_requests,
    (sum(count(*) FILTER (WHERE failed)) OVER ())::BIGINT AS all_errors,
    count(req_body) + count(res_body) AS bodies
FROM matching
GROUP BY ALL
ORDER BY bodies > 0 DESC, requests DESC, host, route, method
LIMIT $rows
