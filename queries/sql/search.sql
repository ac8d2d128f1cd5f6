-- How many transactions match, how many of them failed, and the newest: when and which, nothing
-- else, in one pass. Bodies and paths are read for those few alone (search_lines).
SELECT
    count(*) AS all_requests,
    count(*) FILTER (WHERE status IS NULL OR status >= 400) AS all_errors,
    max({'ts': ts, 'recorder': recorder, 'seq': seq}, $rows) FILTER (WHERE {before}) AS newest
FROM transactions
WHERE ts >= $from_ts AND ts < $to_ts AND {where}
