-- Seconds of each minute in which a recorder was receiving: stretches that touch or overlap
-- (a clock that stepped back) count once.
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
),
islands AS (
    SELECT recorder, min(from_ts) AS from_ts, max(to_ts) AS to_ts
    FROM numbered
    GROUP BY recorder, island
),
minutes AS (
    SELECT
        *,
        unnest(generate_series(date_trunc('minute', from_ts), to_ts, INTERVAL 1 MINUTE)) AS minute
    FROM islands
)
SELECT
    recorder,
    minute,
    sum(
        epoch_us(least(to_ts, minute + INTERVAL 1 MINUTE)) - epoch_us(greatest(from_ts, minute))
    ) / 1e6 AS seconds
FROM minutes
GROUP BY recorder, minute
HAVING seconds > 0
