-- What redaction took out, by kind, place, host and source; the values themselves are nowhere.
WITH secrets AS (
    SELECT
        ts,
        recorder,
        session,
        seq,
        host,
        place AS goes,
        scheme = 'http' AS plain,
        who AS source,
        unnest(findings) AS f
    FROM matching
    WHERE len(findings) > 0
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
FROM secrets
GROUP BY ALL
ORDER BY transactions DESC, kind, place, host, goes, source
LIMIT 20000
