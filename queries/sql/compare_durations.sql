-- Log-bucket histogram of the durations of each place (side, endpoint, container) and block.
select
    place,
    span,
    block,
    bucket,
    sum(requests)::DOUBLE as requests
from (
    select
        c.place,
        c.span,
        (c.nth // $block)::INTEGER as block,
        unnest(map_keys(c.durations))::INTEGER as bucket,
        unnest(map_values(c.durations)) as requests
    from compare_cells c
    where c.kept and c.role <> 'history'
)
group by all
