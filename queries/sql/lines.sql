-- The lines of some transactions, as search and tail show them.
SELECT
    recorder,
    session,
    seq,
    ts,
    duration_ms,
    status,
    grpc_status,
    direction,
    method,
    scheme,
    host,
    path,
    query,
    route,
    container_name,
    process_exe,
    error_signature,
    req_body_bytes,
    res_body_bytes,
    len(findings) AS findings
FROM {rows}
WHERE {where}
ORDER BY {order}
