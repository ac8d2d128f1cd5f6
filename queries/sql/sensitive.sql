-- What redaction took out, by kind, place, host and source; the values themselves are nowhere.
WITH found AS (
    SELECT
        ts,
        recorder,
        session,
        seq,
        host,
        CASE direction
            WHEN 'egress-external' THEN 'outside'
            WHEN 'egress-internal' THEN 'inside'
            WHEN 'ingress' THEN 'here'
            ELSE 'unknown'
        END AS goes,
        scheme = 'http' AS plain,
        coalesce(container_name, process_exe) AS source,
        unnest(findings) AS f
    FROM transactions
    WHERE ts >= $from_ts AND ts < $to_ts AND len(findings) > 0 AND {where}
)
SELECT
    f.kind AS kind,
    f.place AS place,
    host,
    goes,
    source,
    bool_or(coalesce(plain, false)) AS plain,
    count(DISTINCT (recorder, seq)) AS transactions,
    count(DISTINCT f.hint) AS secrets,
    list_sort(list(DISTINCT f.hint))[:3] AS hints,
    min(ts) AS first_seen,
    max(ts) AS last_seen,
    arg_max(recorder || ':' || session || ':' || seq, (ts, seq)) AS sample
FROM found
GROUP BY ALL
ORDER BY transactions DESC, kind, place, host, goes, source
LIMIT 20000
