-- Whether events are known, or must be feared, to be missing from what counts as covered.
SELECT
    coalesce(sum(dropped), 0) > 0
    OR coalesce(bool_or(state = 'lagging' AND to_ts - from_ts > INTERVAL 5 SECOND), false) AS lossy
FROM coverage
WHERE to_ts > $from_ts AND from_ts < $to_ts
