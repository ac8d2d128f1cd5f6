-- Stretches in which a recorder was receiving: those that touch or overlap (a clock that stepped
-- back) are one.
WITH seeing AS (
    SELECT recorder, from_ts, to_ts
    FROM coverage
    WHERE state IN ('receiving', 'lagging') AND to_ts > from_ts
),
marked AS (
    SELECT
        *,
        from_ts > max(to_ts) OVER (
            PARTITION BY recorder ORDER BY from_ts, to_ts
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS apart
    FROM seeing
),
numbered AS (
    SELECT *, count_if(coalesce(apart, true)) OVER (
        PARTITION BY recorder ORDER BY from_ts, to_ts
    ) AS island
    FROM marked
)
SELECT recorder, min(from_ts) AS from_ts, max(to_ts) AS to_ts
FROM numbered
GROUP BY recorder, island
