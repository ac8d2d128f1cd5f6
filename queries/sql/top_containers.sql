-- The busiest containers (or executables, where there is none) of a window.
SELECT
    who AS container,
    requests(n) AS requests,
    requests(n, failed) AS errors,
    errors / requests AS error_share
FROM matching
GROUP BY ALL
ORDER BY requests DESC, container
LIMIT $rows
