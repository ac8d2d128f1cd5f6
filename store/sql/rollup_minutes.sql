-- Requests of each key and minute; seq: of the first of them. By quarters of an hour, so that a
-- part of the hour can be read by itself.
FROM (
    SELECT
        key,
        (code // 256)::SMALLINT AS minute,
        count(*)::INTEGER AS requests,
        sum(sent)::BIGINT AS bytes_sent,
        sum(received)::BIGINT AS bytes_received,
        min(seq)::BIGINT AS seq
    FROM rollup_entries
    GROUP BY ALL
)
ORDER BY minute // 15, key, minute
