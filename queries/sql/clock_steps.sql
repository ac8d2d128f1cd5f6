-- When the clock of a recorder's source jumped: the moment after the jump, in its new time.
SELECT recorder, from_ts
FROM coverage
WHERE (reason_code = 'clock_stepped' OR reason = 'the source''s clock stepped') -- or: no codes then
    AND from_ts >= $from_ts AND from_ts < $to_ts
ORDER BY from_ts, recorder
