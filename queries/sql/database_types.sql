-- Calls of each kind of database in a window.
SELECT
    database_type AS type,
    count(*) AS calls,
    count(*) FILTER (WHERE is_error) AS errors
FROM matching_database
GROUP BY ALL
ORDER BY calls DESC, type
LIMIT 10
