-- Stretches that count as covered and of which events are known, or must be feared, to be missing.
SELECT from_ts, to_ts
FROM coverage
WHERE dropped > 0 OR (state = 'lagging' AND to_ts - from_ts > INTERVAL 5 SECOND)
