-- Requests of each key in each block of minutes, window and baseline only, kept minutes only.
select
    k.key,
    c.span,
    (c.nth // $block)::INTEGER as block,
    sum(c.requests * c.weight)::DOUBLE as requests,
    coalesce(sum(c.bytes_received * c.weight), 0)::DOUBLE as received
from compare_cells c
join compare_keys k using (id)
where c.kept and c.role <> 'history'
group by all
order by all
