-- Minutes of an hour's recorders, in the order in which single ones are.
FROM (
    SELECT
        numbers.key,
        minute,
        sum(requests)::INTEGER AS requests,
        sum(bytes_sent)::BIGINT AS bytes_sent,
        sum(bytes_received)::BIGINT AS bytes_received,
        min(seq) AS seq
    FROM (SELECT file_index AS file, * RENAME (key AS old) FROM {files})
    JOIN numbers USING (file, old)
    GROUP BY numbers.key, minute
)
ORDER BY minute // 15, key, minute
