-- How many transactions match, failed, and had something taken out of them.
SELECT
    count(*) AS all_requests,
    count(*) FILTER (WHERE status IS NULL OR status >= 400) AS all_errors,
    count(*) FILTER (WHERE len(findings) > 0) AS affected
FROM transactions
WHERE ts >= $from_ts AND ts < $to_ts AND {where}
