-- Who did anything in a window, whatever the filter.
SELECT who AS name
FROM everybody
WHERE who IS NOT NULL
GROUP BY ALL
ORDER BY count(*) DESC, name
