-- Requests (of compare_named.sql) by minute of the stretch from $from_ts on.
SELECT date_diff('minute', $from_ts::TIMESTAMPTZ, ts)::INTEGER AS minute, count(*) AS requests
FROM ({named})
WHERE ts >= $from_ts::TIMESTAMPTZ AND ts < $to_ts::TIMESTAMPTZ
GROUP BY ALL
