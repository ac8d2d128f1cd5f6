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
    list_sort(list(DISTINCT f.kind)) AS kinds,
    count(DISTINCT (recorder, seq)) AS transactions,
    coalesce(list_sort(list(DISTINCT host) FILTER (WHERE host IS NOT NULL)), []) AS hosts,
    coalesce(list_sort(list(DISTINCT source) FILTER (WHERE source IS NOT NULL)), []) AS sources,
    list_sort(list(DISTINCT f.place)) AS places
FROM secrets
WHERE f.hint IS NOT NULL AND f.hint <> ''
GROUP BY f.hint
HAVING len(hosts) > 1 OR len(sources) > 1 OR len(places) > 1
ORDER BY len(hosts) DESC, len(places) DESC, transactions DESC, hint
LIMIT $rows
