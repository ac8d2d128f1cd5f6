-- Requests and failures of window (the first span) and baseline by status, by host, by who made or
-- served them, by what failures say, and by bin of duration: of each those in which most changed.
WITH spans AS (
    SELECT
        unnest($starts::TIMESTAMPTZ[]) AS from_ts,
        unnest($ends::TIMESTAMPTZ[]) AS to_ts,
        unnest(range(len($starts))) = 0 AS now
),

rows AS (
    SELECT
        s.now,
        m.failed,
        coalesce(m.status::VARCHAR, 'none') AS status,
        coalesce(m.host, '-') AS host,
        if(m.place = 'here', 'serves', 'calls') || ' ' || coalesce(m.who, '-') AS who,
        CASE
            WHEN m.failed
                THEN coalesce(m.error_signature, 'status ' || coalesce(m.status::VARCHAR, 'none'))
        END AS says,
        floor(8 * log10(if(m.duration_ms < 1, 1, m.duration_ms)))::BIGINT::VARCHAR AS duration
    FROM matching AS m
    JOIN spans AS s ON m.ts >= s.from_ts AND m.ts < s.to_ts
)

SELECT
    CASE
        WHEN grouping(status) = 0 THEN 'status'
        WHEN grouping(host) = 0 THEN 'host'
        WHEN grouping(who) = 0 THEN 'who'
        WHEN grouping(says) = 0 THEN 'says'
        ELSE 'duration'
    END AS dimension,
    coalesce(status, host, who, says, duration) AS value,
    count(*) FILTER (WHERE now) AS requests,
    count(*) FILTER (WHERE NOT now) AS before,
    count(*) FILTER (WHERE now AND failed) AS errors,
    count(*) FILTER (WHERE NOT now AND failed) AS errors_before
FROM rows
GROUP BY GROUPING SETS ((status), (host), (who), (says), (duration))
HAVING value IS NOT NULL
QUALIFY
    row_number() OVER (
        PARTITION BY dimension
        ORDER BY abs(errors - errors_before) DESC, requests + before DESC, value
    ) <= $most
ORDER BY dimension, requests + before DESC, value
