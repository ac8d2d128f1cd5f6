-- Requests of each key in each block of minutes, window and baseline only, kept minutes only.
select
    k.key,
    c.span,
    (c.nth // $block)::INTEGER as block,
    sum(c.weighted)::DOUBLE as requests,
    sum(c.received)::DOUBLE as received
from compare_rows c
join compare_keys k using (id)
where c.kept and c.role <> 'history'
group by all
