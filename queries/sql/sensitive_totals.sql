-- How many transactions match, failed, and had something taken out of them.
SELECT
    count(*) AS all_requests,
    count(*) FILTER (WHERE failed) AS all_errors,
    count(*) FILTER (WHERE len(findings) > 0) AS affected
FROM matching
