-- How many transactions match, how many of them failed, and the newest: when and which (or
-- the oldest), nothing else, in one pass. Bodies and paths are read for those few alone (search_lines).
SELECT
    count(*) AS all_requests,
    count(*) FILTER (WHERE failed) AS all_errors,
    {pick}({'ts': ts, 'recorder': recorder, 'seq': seq}, $rows) FILTER (WHERE {before}) AS newest
FROM matching
