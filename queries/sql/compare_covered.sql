-- What each recorder covered of each span of both sides: seconds, those of them that are compared,
-- and the minutes (counted from the span's first) that it covered in full.
SELECT
    recorder,
    span,
    role,
    sum(seconds) AS seconds,
    coalesce(sum(seconds) FILTER (kept), 0) AS compared,
    coalesce(list(nth ORDER BY nth) FILTER (seconds >= 54), []) AS whole
FROM compare_minutes
WHERE role <> 'history'
GROUP BY ALL
ORDER BY ALL
