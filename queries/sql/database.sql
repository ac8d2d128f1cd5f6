-- Database statements of a window: how often, how well, how fast, and who runs them. Keys of
-- key-value stores hold values: where many differ in their last part alone, that part is {*}.
WITH calls AS (
    SELECT
        database_type AS type,
        statement,
        regexp_replace(statement, '([:/.])[^:/. ]*$', '\1{*}') AS shorter,
        coalesce(is_error, false) AS failed,
        error_message,
        duration_ms,
        affected_count,
        result_count,
        who,
        ts
    FROM matching
),
crowds AS (
    SELECT type, shorter
    FROM calls
    WHERE type = 'redis' AND shorter <> statement
    GROUP BY ALL
    HAVING count(DISTINCT statement) > 5
),
statements AS (
    SELECT m.* REPLACE (coalesce(c.shorter, m.statement) AS statement)
    FROM calls AS m
    LEFT JOIN crowds AS c ON c.type = m.type AND c.shorter = m.shorter
)
SELECT
    type,
    statement,
    count(*) AS calls,
    count(*) FILTER (WHERE failed) AS errors,
    errors / calls AS error_share,
    quantile_cont(duration_ms, 0.5) AS p50_ms,
    quantile_cont(duration_ms, 0.95) AS p95_ms,
    max(duration_ms) AS max_ms,
    coalesce(sum(duration_ms), 0)::BIGINT AS total_ms,
    sum(affected_count)::BIGINT AS affected,
    sum(result_count)::BIGINT AS results,
    arg_max(error_message, ts) FILTER (WHERE failed) AS last_error,
    min(ts) AS first_seen,
    max(ts) AS last_seen,
    busiest(who)[:5] AS containers,
    len(busiest(who)) AS containers_total,
    sum(count(*)) OVER ()::BIGINT AS all_requests,
    (sum(count(*) FILTER (WHERE failed)) OVER ())::BIGINT AS all_errors
FROM statements
GROUP BY type, statement
ORDER BY {order} DESC NULLS LAST, calls DESC, type, statement
LIMIT $rows
