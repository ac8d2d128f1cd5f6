-- Stretches of the given states in one: those that touch or overlap (a clock that stepped back). A
-- recorder without a group is a population by itself.
WITH seeing AS (
    SELECT coalesce(group_name, recorder) AS population, recorder, from_ts, to_ts
    FROM coverage
    WHERE ({states}) AND to_ts > from_ts
),
marked AS (
    SELECT
        *,
        from_ts > max(to_ts) OVER (
            PARTITION BY population, recorder ORDER BY from_ts, to_ts
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS apart
    FROM seeing
),
numbered AS (
    SELECT *, count_if(coalesce(apart, true)) OVER (
        PARTITION BY population, recorder ORDER BY from_ts, to_ts
    ) AS island
    FROM marked
)
SELECT population, recorder, min(from_ts) AS from_ts, max(to_ts) AS to_ts
FROM numbered
GROUP BY population, recorder, island
ORDER BY population, recorder, from_ts
