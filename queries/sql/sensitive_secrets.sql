-- Secrets that turn up in more than one place, told by their fingerprint.
WITH secrets AS (
    SELECT
        recorder,
        seq,
        host,
        who AS source,
        unnest(findings) AS f
    FROM matching
    WHERE len(findings) > 0
)
SELECT
    f.hint AS hint,
    names(f.kind) AS kinds,
    count(DISTINCT (recorder, seq)) AS transactions,
    names(host) AS hosts,
    names(source) AS sources,
    names(f.place) AS places
FROM secrets
WHERE f.hint IS NOT NULL AND f.hint <> ''
GROUP BY f.hint
HAVING len(hosts) > 1 OR len(sources) > 1 OR len(places) > 1
ORDER BY len(hosts) DESC, len(places) DESC, transactions DESC, hint
LIMIT $rows
