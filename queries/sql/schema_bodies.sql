-- A sample of bodies of each endpoint and class of status; wanted: (method, host, route). Which
-- rows is found first, then their bodies are read.
WITH placed AS (
    SELECT
        recorder,
        seq,
        row_number() OVER (
            PARTITION BY method, host, route, status // 100
            ORDER BY hash(recorder, seq)
        ) AS place
    FROM matching
    WHERE
        (coalesce(method, ''), coalesce(host, ''), coalesce(route, ''))
        IN (SELECT (method, host, route) FROM wanted)
)
SELECT method, host, route, status, req_body, res_body
FROM transactions
WHERE
    ts >= $from_ts AND ts < $to_ts
    AND (recorder, seq) IN (SELECT (recorder, seq) FROM placed WHERE place <= $sample)
ORDER BY recorder, seq
