-- The group of each recorder of one in each hour (since the epoch), as its last stretch there says,
-- of those that see if there are any.
SELECT
    recorder,
    epoch_us(from_ts) // 3600000000 AS hour,
    arg_max(coalesce(group_name, recorder), row(state IN ('receiving', 'lagging'), from_ts)) AS population
FROM {coverage}
GROUP BY ALL
HAVING population <> recorder
