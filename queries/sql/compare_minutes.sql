-- Which minutes of which recorder count: those that it covered on both sides of the comparison.
-- compare_spans: (span, role 'window' | 'baseline' | 'history', from_ts, to_ts), whole minutes.
-- weight makes recorders comparable that one side covered longer than the other: it is 1 unless
-- the sides hold different shares of the recorders' time.
create or replace temp table compare_minutes as
with seen as (
    select
        c.recorder,
        c.minute,
        s.span,
        s.role,
        case s.role when 'history' then s.role || s.span else s.role end as part,
        date_diff('minute', s.from_ts, c.minute)::INTEGER as nth,
        case when $aligned then date_diff('minute', s.from_ts, c.minute) else -1 end as place,
        least(c.seconds, 60.0) as seconds,
        c.seconds >= 54 as whole
    from covered c
    join compare_spans s on c.minute >= s.from_ts and c.minute < s.to_ts
),
window_side as (
    select distinct recorder, place from seen where role = 'window' and whole
),
baseline_side as (
    select distinct recorder, place from seen where role = 'baseline' and whole
),
marked as (
    select
        seen.*,
        whole and case role
            when 'window' then (recorder, place) in (select (recorder, place) from baseline_side)
            when 'baseline' then (recorder, place) in (select (recorder, place) from window_side)
            else recorder in (select recorder from baseline_side)
        end as kept
    from seen
),
sums as (
    select recorder, part, sum(seconds) as s from marked where kept group by all
),
shares as (
    select recorder, part, s / sum(s) over (partition by part) as share from sums
)
select
    m.recorder,
    m.minute,
    m.span,
    m.role,
    m.nth,
    m.seconds,
    m.kept,
    -- in 1024ths: sums of such numbers are exact, whatever the order of the threads
    round(coalesce(w.share / p.share, 1.0) * 1024) / 1024 as weight
from marked m
left join shares p on p.recorder = m.recorder and p.part = m.part and m.kept
left join shares w on w.recorder = m.recorder and w.part = 'window' and m.kept
