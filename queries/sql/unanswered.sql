-- Requests of a window that got no response, and so have no duration.
SELECT count(*) AS requests
FROM transactions
WHERE ts >= $from_ts AND ts < $to_ts AND status IS NULL AND {where}
