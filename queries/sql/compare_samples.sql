-- A few transactions of each pick and side, from its busiest cells.
select pick, role, sample
from (
    select
        p.pick,
        c.role,
        c.sample,
        row_number() over (
            partition by p.pick, c.role order by c.requests desc, c.nth, c.sample
        ) as place
    from compare_cells c
    join compare_keys k using (id)
    join compare_picks p using (key)
    where c.kept and c.role <> 'history' and p.part and c.sample is not null
)
where place <= 3
order by pick, role, place
