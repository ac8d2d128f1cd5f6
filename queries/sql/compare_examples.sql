-- A few ids of transactions (compare_named.sql) of each of $names, in spans of its own, by its sort:
-- first, last, slowest, smallest or largest.
WITH wanted AS (
    SELECT *, unnest(own) AS name
    FROM (
        SELECT
            unnest($names::VARCHAR[][]) AS own,
            unnest($sorts::VARCHAR[]) AS sort,
            unnest($starts::TIMESTAMPTZ[][]) AS starts,
            unnest($ends::TIMESTAMPTZ[][]) AS ends,
            unnest(range(len($sorts))) AS place
    )
),

rows AS (
    SELECT *, recorder || ':' || session || ':' || printf('%012d', seq) AS id
    FROM ({named})
    -- row groups outside of all of them are not read
    WHERE ts >= list_min(flatten($starts::TIMESTAMPTZ[][]))
        AND ts < list_max(flatten($ends::TIMESTAMPTZ[][]))
)

SELECT
    place,
    id,
    row_number() OVER (
        PARTITION BY place
        ORDER BY CASE sort
                WHEN 'last' THEN -epoch(ts)
                WHEN 'slowest' THEN -duration_ms
                WHEN 'smallest' THEN bytes_received
                WHEN 'largest' THEN -bytes_received
            END NULLS LAST, ts, id
    ) AS rank
FROM rows
JOIN wanted USING (name)
WHERE list_bool_or(list_transform(list_zip(starts, ends), lambda s: ts >= s[1] AND ts < s[2]))
QUALIFY rank <= $most
ORDER BY place, rank
