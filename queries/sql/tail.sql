-- New transactions of a recorder's live segments.
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
FROM {files}
WHERE {where}
ORDER BY ts, seq
