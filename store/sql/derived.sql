-- Transactions with what is derived from them: where a call goes, who made or served it, how it
-- ended. store/derived.py says the same of one row.
SELECT
    *,
    CASE direction
        WHEN 'egress-external' THEN 'outside'
        WHEN 'egress-internal' THEN 'inside'
        WHEN 'ingress' THEN 'here'
        ELSE 'unknown'
    END AS place,
    coalesce(container_name, process_exe) AS who,
    CASE
        WHEN status IS NULL THEN 'no_response'
        WHEN status >= 500 THEN 'server_error'
        WHEN status >= 400 THEN 'client_error'
        WHEN coalesce(grpc_status, '') IN ('', '0', 'OK') THEN 'ok'
        WHEN grpc_status IN ('2', '4', '12', '13', '14', '15') THEN 'server_error'
        ELSE 'client_error'
    END AS outcome,
    outcome <> 'ok' AS failed
FROM {rows}
