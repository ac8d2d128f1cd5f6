-- Requests and failures of window (the first span) and baseline by container, on either end.
WITH spans AS (
    SELECT
        unnest($starts::TIMESTAMPTZ[]) AS from_ts,
        unnest($ends::TIMESTAMPTZ[]) AS to_ts,
        unnest(range(len($starts))) = 0 AS now
),
matching AS (
    SELECT
        coalesce(container_name, process_exe, '-') AS name,
        coalesce(direction = 'ingress', false) AS serves,
        status IS NULL OR status >= 400 AS failed,
        ts
    FROM transactions
    WHERE {where}
)
SELECT
    name,
    serves,
    count(*) FILTER (WHERE now) AS requests,
    count(*) FILTER (WHERE NOT now) AS before,
    count(*) FILTER (WHERE now AND failed) AS errors,
    count(*) FILTER (WHERE NOT now AND failed) AS errors_before
FROM matching
JOIN spans ON ts >= from_ts AND ts < to_ts
GROUP BY name, serves
ORDER BY abs(errors - errors_before) DESC, abs(requests - before) DESC, name, serves
LIMIT $rows
