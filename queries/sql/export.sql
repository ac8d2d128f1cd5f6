-- Whole transactions in order of time.
SELECT *
FROM transactions
WHERE ts >= $from_ts AND ts < $to_ts AND {where}
ORDER BY ts, recorder, seq
