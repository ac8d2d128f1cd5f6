-- How many transactions of each second match, to cut the window into pieces.
SELECT date_trunc('second', ts) AS second, count(*) AS requests
FROM matching
GROUP BY second
ORDER BY second
