-- The filters under which a window was recorded; '' is none.
SELECT DISTINCT coalesce(filter, '') AS filter
FROM coverage
WHERE state IN ('receiving', 'lagging') AND to_ts > $from_ts AND from_ts < $to_ts
