-- The keys of the relation rollup_requests under numbers, from $first on.
SELECT ($first + row_number() OVER (ORDER BY {names}) - 1)::INTEGER AS key, *
FROM rollup_requests
