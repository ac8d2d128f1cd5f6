-- Whole transactions in order of time.
SELECT * EXCLUDE (n)
FROM matching
WHERE ts >= $from_ts AND ts < $to_ts
ORDER BY ts, recorder, seq
