-- Requests and failures of window (the first span) and baseline by container, on either end.
WITH spans AS (
    SELECT
        unnest($starts::TIMESTAMPTZ[]) AS from_ts,
        unnest($ends::TIMESTAMPTZ[]) AS to_ts,
        unnest(range(len($starts))) = 0 AS now
)
SELECT
    coalesce(who, '-') AS name,
    place = 'here' AS serves,
    count(*) FILTER (WHERE now) AS requests,
    count(*) FILTER (WHERE NOT now) AS before,
    count(*) FILTER (WHERE now AND failed) AS errors,
    count(*) FILTER (WHERE NOT now AND failed) AS errors_before
FROM matching AS m
JOIN spans AS s ON m.ts >= s.from_ts AND m.ts < s.to_ts
GROUP BY name, serves
ORDER BY abs(errors - errors_before) DESC, abs(requests - before) DESC, name, serves
LIMIT $rows
