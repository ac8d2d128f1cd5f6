-- Each key in each span: requests of kept minutes, of all minutes, and the slots it was active in
-- (a span has up to 60 slots, one a minute for an hour).
select
    k.key,
    c.span,
    coalesce(sum(c.weighted) filter (c.kept), 0)::DOUBLE as requests,
    sum(c.requests)::DOUBLE as anyhow,
    coalesce(bit_or(1::UBIGINT << (c.nth // $slot)::UBIGINT) filter (c.kept), 0)::UBIGINT as slots
from compare_rows c
join compare_keys k using (id)
group by all
order by all
