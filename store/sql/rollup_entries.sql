-- An entry a request: its key, code, bytes and number.
SELECT
    key, unnest(codes) AS code, unnest(sent) AS sent, unnest(received) AS received,
    unnest(seqs) AS seq
FROM rollup_numbered
