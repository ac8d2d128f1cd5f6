-- Coverage of a window, clipped to it, in order of time.
SELECT
    recorder,
    group_name,
    greatest(from_ts, $from_ts::TIMESTAMPTZ) AS from_ts,
    least(to_ts, $to_ts::TIMESTAMPTZ) AS to_ts,
    state,
    reason,
    reason_code,
    filter,
    events,
    rejected,
    dropped,
    dropped_estimate,
    dropped_basis,
    max_lag_ms
FROM coverage
WHERE from_ts < $to_ts AND to_ts > $from_ts
ORDER BY recorder, coverage.from_ts, coverage.to_ts
