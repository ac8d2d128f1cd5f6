-- Transactions of one hour as a rollup: a row a key, its minutes and durations as lists.
-- Text that is missing is '', no response is status 0. Bucket b holds the requests of
-- 1.1^(b-1) < ms <= 1.1^b, at most 5 % off its middle; a code is 256 * minute of the hour + bucket.
-- Numbers are signed: few engines know others.
WITH fine AS (
    SELECT
        recorder,
        session,
        coalesce(direction, '') AS direction,
        coalesce(host, '') AS host,
        coalesce(method, '') AS method,
        coalesce(route, '') AS route,
        coalesce(status, 0)::SMALLINT AS status,
        coalesce(container_name, '') AS container,
        coalesce(process_exe, '') AS process,
        coalesce(error_signature, '') AS signature,
        minute(ts)::SMALLINT AS minute,
        CASE WHEN duration_ms IS NOT NULL
            THEN ceil(ln(greatest(duration_ms, 1)) / ln(1.1))::SMALLINT END AS bucket,
        count(*)::INTEGER AS requests,
        coalesce(sum(bytes_sent), 0)::BIGINT AS sent,
        coalesce(sum(bytes_received), 0)::BIGINT AS received,
        min(seq) AS seq
    FROM rows
    GROUP BY ALL
),

minutely AS (
    SELECT
        * EXCLUDE (bucket, requests, sent, received, seq),
        sum(requests)::INTEGER AS requests,
        sum(sent)::BIGINT AS sent,
        sum(received)::BIGINT AS received,
        min(seq) AS seq,
        coalesce(
            list((256 * minute + bucket)::SMALLINT ORDER BY bucket) FILTER (bucket IS NOT NULL), []
        ) AS codes,
        coalesce(list(requests ORDER BY bucket) FILTER (bucket IS NOT NULL), []) AS counts
    FROM fine
    GROUP BY ALL
)

SELECT
    * EXCLUDE (minute, requests, sent, received, seq, codes, counts),
    sum(requests)::BIGINT AS requests,
    bit_or(1::BIGINT << minute::BIGINT) AS active,
    list(minute::TINYINT ORDER BY minute) AS minutes,
    list(requests ORDER BY minute) AS minute_requests,
    list(sent ORDER BY minute) AS minute_bytes_sent,
    list(received ORDER BY minute) AS minute_bytes_received,
    list(seq ORDER BY minute) AS minute_seq,
    flatten(list(codes ORDER BY minute)) AS duration_codes,
    flatten(list(counts ORDER BY minute)) AS duration_requests
FROM minutely
GROUP BY ALL
ORDER BY host, route, method, container, status, process, signature, direction, session
