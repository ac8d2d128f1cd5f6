-- Durations of an hour's recorders, in the order in which single ones are.
FROM (
    SELECT numbers.key, minute, bucket, sum(requests)::INTEGER AS requests
    FROM (SELECT file_index AS file, * RENAME (key AS old) FROM {files})
    JOIN numbers USING (file, old)
    GROUP BY numbers.key, minute, bucket
)
ORDER BY key, minute, bucket
