-- What several questions make of their rows. Requests by the class of their status, as
-- queries.core.answer.StatusClasses has them.
CREATE OR REPLACE TEMP MACRO classes(status, n) AS {
    's1xx': requests(n, status < 200),
    's2xx': requests(n, status BETWEEN 200 AND 299),
    's3xx': requests(n, status BETWEEN 300 AND 399),
    's4xx': requests(n, status BETWEEN 400 AND 499),
    's5xx': requests(n, status >= 500),
    'no_response': requests(n, status IS NULL)
};
-- What was called or served, as queries.processes.Part has it.
CREATE OR REPLACE TEMP MACRO part(which, failed, ms) AS {
    'requests': count(*) FILTER (WHERE which),
    'errors': count(*) FILTER (WHERE which AND failed),
    'error_share': coalesce(avg(failed::INTEGER) FILTER (WHERE which), 0),
    'p95_ms': quantile_cont(ms, 0.95) FILTER (WHERE which)
};
-- The different names that there are.
CREATE OR REPLACE TEMP MACRO names(name) AS
    coalesce(list_sort(list(DISTINCT name) FILTER (WHERE name IS NOT NULL)), []);
-- Names, the most frequent first.
CREATE OR REPLACE TEMP MACRO busiest(name) AS coalesce(
    list_transform(
        list_sort(
            list_transform(
                map_entries(histogram(name)), lambda one: {'n': -one.value::BIGINT, 'name': one.key}
            )
        ),
        lambda one: one.name
    ),
    []
);
