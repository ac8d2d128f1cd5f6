-- Which of the spans [$starts[i], $ends[i]) some recorder saw for at least $share of their time.
WITH spans AS (
    SELECT unnest($starts::TIMESTAMPTZ[]) AS from_ts, unnest($ends::TIMESTAMPTZ[]) AS to_ts
)
SELECT DISTINCT s.from_ts
FROM spans AS s
JOIN covered AS c ON c.minute >= s.from_ts AND c.minute < s.to_ts
GROUP BY s.from_ts, s.to_ts, c.recorder
HAVING sum(c.seconds) >= $share * epoch(s.to_ts - s.from_ts)
