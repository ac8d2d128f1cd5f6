-- The numbers alone, so that text is hashed once and not once a question.
create or replace temp table compare_rows as
select
    id,
    span,
    role,
    nth,
    kept,
    requests,
    requests * weight as weighted,
    coalesce(bytes_received, 0) * weight as received
from compare_cells
