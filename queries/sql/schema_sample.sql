-- A sample of the transactions of each endpoint and class of status; wanted: (method, host, route).
SELECT ts, recorder, seq
FROM matching
WHERE
    (coalesce(method, ''), coalesce(host, ''), coalesce(route, ''))
    IN (SELECT (method, host, route) FROM wanted)
QUALIFY row_number() OVER (
    PARTITION BY method, host, route, status // 100
    ORDER BY hash(recorder, seq)
) <= $sample
