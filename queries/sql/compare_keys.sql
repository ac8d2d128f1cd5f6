-- Every key of every span, in the order of its names, so that its number is stable.
create or replace temp table compare_keys as
select
    (row_number() over (
        order by side, host, method, route, status, container, process, signature
    ) - 1)::INTEGER as key,
    *
from (
    select
        id,
        any_value(place) as place,
        any_value(side) as side,
        any_value(host) as host,
        any_value(method) as method,
        any_value(route) as route,
        any_value(status) as status,
        any_value(container) as container,
        any_value(process) as process,
        any_value(signature) as signature
    from compare_cells
    group by id
)
