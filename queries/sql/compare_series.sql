-- Minute by minute what each pick's keys did: `counted` of its part, `requests` of its scope.
-- compare_picks: (pick, key, part, quick, bytes). `quick` cuts durations: counted are then the
-- slower ones; `bytes` counts what was received instead of requests.
select
    p.pick,
    c.span,
    c.nth,
    coalesce(sum(
        case when p.bytes then c.bytes_received when p.quick is null then c.requests
        else list_sum(map_values(map_from_entries(
            list_filter(map_entries(c.durations), lambda e: e.key > p.quick)))) end
    ) filter (p.part), 0)::DOUBLE as counted,
    sum(c.requests)::DOUBLE as requests
from compare_cells c
join compare_keys k using (id)
join compare_picks p using (key)
where c.kept and c.role <> 'history'
group by all
order by all
