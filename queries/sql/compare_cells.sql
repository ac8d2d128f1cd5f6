-- The cells of all spans with one integer for the key. Text that is missing is '', no response 0.
create or replace temp view compare_cells as
select
    m.span,
    m.role,
    m.nth,
    m.kept,
    m.weight,
    m.recorder,
    case when c.direction = 'ingress' then 'in' else 'out' end as side,
    coalesce(c.host, '') as host,
    coalesce(c.method, '') as method,
    coalesce(c.route, '') as route,
    coalesce(c.status, 0)::INTEGER as status,
    coalesce(c.container, '') as container,
    coalesce(c.process, '') as process,
    coalesce(c.signature, '') as signature,
    c.requests,
    c.bytes_received,
    c.durations,
    c.sample,
    hash(
        c.direction = 'ingress',
        coalesce(c.host, ''),
        coalesce(c.method, ''),
        coalesce(c.route, ''),
        coalesce(c.status, 0)::INTEGER,
        coalesce(c.container, ''),
        coalesce(c.process, ''),
        coalesce(c.signature, '')
    ) as id,
    hash(
        c.direction = 'ingress',
        coalesce(c.host, ''),
        coalesce(c.method, ''),
        coalesce(c.route, ''),
        coalesce(c.container, '')
    ) as place
from cells c
join compare_minutes m on m.recorder = c.recorder and m.minute = c.minute
