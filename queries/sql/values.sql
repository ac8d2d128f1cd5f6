-- The values of an expression in a window, whatever the filter.
SELECT {value} AS value
FROM everything
WHERE value IS NOT NULL
GROUP BY ALL
ORDER BY count(*) DESC, value
LIMIT 2000
